//! Frames in, whole messages and control frames out (WS-13 to WS-16, WS-29 to WS-32).

use bytes::{Buf, Bytes, BytesMut};

use super::close;
use super::deflate::Inflater;
use super::extension::Agreement;
use super::failure::Failure;
use super::frame::{Header, Opcode, apply_mask};
use super::text::TextBuffer;

/// Room made ahead for a message that has not arrived yet; a header that promises more is believed as it comes true.
const TRUSTED: usize = 64 * 1024;

/// Sizes at which a connection fails with 1009.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most payload bytes of one frame as on the wire (WS-31). `max_ws_frame_size`, default 65,536.
    pub max_frame_size: u64,
    /// Most bytes of one message, all fragments together and inflated. Default 16,777,216 (16 MiB).
    pub max_message_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame_size: 65_536, max_message_size: 16 << 20 }
    }
}

/// What a peer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping with its payload.
    Ping(Bytes),
    /// A pong with its payload.
    Pong(Bytes),
    /// A Close frame with its code and reason, if it had any.
    Close(Option<(u16, String)>),
}

/// Reads a client's frames. After a [`Failure`] it must not be used again.
#[derive(Debug)]
pub struct Receiver {
    limits: Limits,
    inflater: Option<Inflater>,
    /// The data frame whose payload is being read.
    frame: Option<Frame>,
    /// The message whose frames are being read.
    message: Option<Message>,
}

#[derive(Debug)]
struct Frame {
    is_final: bool,
    remaining: u64,
    mask: [u8; 4],
}

#[derive(Debug)]
struct Message {
    is_compressed: bool,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Text(TextBuffer),
    Binary(Vec<u8>),
}

impl Receiver {
    /// A receiver for a connection with this agreement about compression, if there is one.
    #[must_use]
    pub fn new(limits: Limits, deflate: Option<&Agreement>) -> Self {
        Self { limits, inflater: deflate.map(Inflater::new), frame: None, message: None }
    }

    /// Takes bytes from the front of `input` up to the next message or control frame. `None` means that more are
    /// needed; payload of messages is taken as it comes, so what stays in `input` is never more than a control frame.
    pub fn push(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Failure> {
        loop {
            if self.frame.is_none() {
                let Some(header) = Header::parse(input)? else { return Ok(None) };
                if header.opcode.is_control() {
                    return control(&header, input);
                }
                self.begin(&header, input.len() - header.size)?;
                input.advance(header.size);
            }
            let Some(frame) = &mut self.frame else { return Ok(None) };
            let here = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(input.len());
            frame.mask = apply_mask(&mut input[..here], frame.mask);
            frame.remaining -= here as u64;
            let (is_over, is_final) = (frame.remaining == 0, frame.is_final);
            if here > 0 {
                self.take(&input[..here])?;
                input.advance(here);
            }
            if !is_over {
                return Ok(None);
            }
            self.frame = None;
            if is_final {
                return self.finish();
            }
        }
    }

    /// Starts a data frame, of which `present` bytes (and whatever follows them) have arrived.
    fn begin(&mut self, header: &Header, present: usize) -> Result<(), Failure> {
        match (header.opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(Failure::CONTINUATION),
            // RFC 7692 §6.1: the bit is on the first frame of a message only.
            (Opcode::Continuation, Some(_)) if header.is_compressed => return Err(Failure::RSV),
            (Opcode::Continuation, Some(_)) => {}
            (_, Some(_)) => return Err(Failure::NESTED),
            (_, None) if header.is_compressed && self.inflater.is_none() => return Err(Failure::RSV),
            (opcode, None) => {
                let content = if opcode == Opcode::Text {
                    Content::Text(TextBuffer::default())
                } else {
                    Content::Binary(Vec::new())
                };
                self.message = Some(Message { is_compressed: header.is_compressed, content });
            }
        }
        if header.length > self.limits.max_frame_size {
            return Err(Failure::FRAME_TOO_LARGE);
        }
        if let Some(message) = &mut self.message
            && !message.is_compressed
        {
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            if message.content.len().saturating_add(length) > self.limits.max_message_size {
                return Err(Failure::MESSAGE_TOO_LARGE);
            }
            if header.is_final {
                message.content.reserve(length.min(present.max(TRUSTED)));
            }
        }
        self.frame = Some(Frame { is_final: header.is_final, remaining: header.length, mask: header.mask });
        Ok(())
    }

    fn take(&mut self, payload: &[u8]) -> Result<(), Failure> {
        let limit = self.limits.max_message_size;
        match (&mut self.message, &mut self.inflater) {
            (Some(Message { is_compressed: true, content }), Some(inflater)) => {
                inflater.inflate(payload, |bytes| content.push(bytes, limit))
            }
            (Some(message), _) => message.content.push(payload, limit),
            (None, _) => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<Option<Incoming>, Failure> {
        let Some(mut message) = self.message.take() else { return Ok(None) };
        let limit = self.limits.max_message_size;
        if message.is_compressed
            && let Some(inflater) = &mut self.inflater
        {
            inflater.finish(|bytes| message.content.push(bytes, limit))?;
        }
        match message.content {
            Content::Text(text) => text.finish().map(|text| Some(Incoming::Text(text))).map_err(|_| Failure::UTF8),
            Content::Binary(bytes) => Ok(Some(Incoming::Binary(bytes.into()))),
        }
    }
}

impl Content {
    fn push(&mut self, bytes: &[u8], limit: usize) -> Result<(), Failure> {
        if self.len() + bytes.len() > limit {
            return Err(Failure::MESSAGE_TOO_LARGE);
        }
        match self {
            Self::Text(text) => text.push(bytes).map_err(|_| Failure::UTF8),
            Self::Binary(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn reserve(&mut self, bytes: usize) {
        match self {
            Self::Text(text) => text.reserve(bytes),
            Self::Binary(all) => all.reserve_exact(bytes),
        }
    }
}

/// A control frame, taken whole or not at all.
fn control(header: &Header, input: &mut BytesMut) -> Result<Option<Incoming>, Failure> {
    let length = usize::try_from(header.length).map_err(|_| Failure::CONTROL_TOO_LARGE)?;
    if input.len() - header.size < length {
        return Ok(None);
    }
    let payload = &mut input[header.size..header.size + length];
    apply_mask(payload, header.mask);
    let incoming = match header.opcode {
        Opcode::Close => Incoming::Close(close::parse(payload)?),
        Opcode::Ping => Incoming::Ping(Bytes::copy_from_slice(payload)),
        _ => Incoming::Pong(Bytes::copy_from_slice(payload)),
    };
    input.advance(header.size + length);
    Ok(Some(incoming))
}

#[cfg(test)]
mod tests {
    use super::super::client::{Client, frame};
    use super::super::extension::{DeflateOffer, DeflateOptions, negotiate};
    use super::*;
    use proptest::prelude::*;

    const TEXT: u8 = 0x81;
    const BINARY: u8 = 0x82;
    const COMPRESSED: u8 = 0x40;
    const FIN: u8 = 0x80;

    fn agreement(options: &DeflateOptions) -> Agreement {
        negotiate(&[DeflateOffer::default()], options).unwrap()
    }

    /// Everything a receiver says to these bytes.
    fn heard_by(receiver: &mut Receiver, wire: &[u8]) -> Result<Vec<Incoming>, Failure> {
        let mut input = BytesMut::from(wire);
        let mut heard = Vec::new();
        while let Some(incoming) = receiver.push(&mut input)? {
            heard.push(incoming);
        }
        Ok(heard)
    }

    fn heard(frames: &[Vec<u8>]) -> Result<Vec<Incoming>, Failure> {
        heard_by(&mut Receiver::new(Limits::default(), None), &frames.concat())
    }

    fn text(text: &str) -> Incoming {
        Incoming::Text(text.to_owned())
    }

    #[test]
    fn ws_13_ws_14_ws_15_whole_messages() {
        assert_eq!(heard(&[frame(TEXT, "Hello é".as_bytes())]), Ok(vec![text("Hello é")]));
        assert_eq!(heard(&[frame(BINARY, b"\xff\0")]), Ok(vec![Incoming::Binary(Bytes::from_static(b"\xff\0"))]));
        assert_eq!(heard(&[frame(TEXT, b""), frame(BINARY, b"")]), Ok(vec![text(""), Incoming::Binary(Bytes::new())]));
    }

    #[test]
    fn ws_13_fragments_are_joined_around_control_frames() {
        let frames = [
            frame(0x01, b"Hel"),
            frame(0x89, b"ping"),
            frame(0x00, b""),
            frame(0x8a, b"pong"),
            frame(FIN, b"lo"),
            frame(TEXT, b"next"),
        ];
        let expected = vec![
            Incoming::Ping(Bytes::from_static(b"ping")),
            Incoming::Pong(Bytes::from_static(b"pong")),
            text("Hello"),
            text("next"),
        ];
        assert_eq!(heard(&frames), Ok(expected));
    }

    #[test]
    fn ws_16_invalid_text_fails_fast() {
        assert_eq!(heard(&[frame(TEXT, b"\xff")]), Err(Failure::UTF8));
        assert_eq!(heard(&[frame(0x01, b"\xe2\x82"), frame(FIN, b"\xac")]), Ok(vec![text("€")]));
        assert_eq!(heard(&[frame(0x01, b"\xe2\x82"), frame(FIN, b"")]), Err(Failure::UTF8));
        // Before the fragment is complete: only two of its ten bytes have come.
        let mut wire = frame(0x01, b"\xf4\x90aaaaaaaa");
        wire.truncate(6 + 2);
        assert_eq!(heard(&[wire]), Err(Failure::UTF8));
        assert_eq!((Failure::UTF8.close_code, Failure::UTF8.reason_text), (1007, "Invalid UTF-8"));
    }

    #[test]
    fn ws_16_invalid_compressed_text_fails_fast() {
        let shared = agreement(&DeflateOptions { min_size: 0, ..DeflateOptions::default() });
        let mut wire = Client::new(Some(&shared)).message(true, true, b"\xff\xff");
        assert_eq!(wire[0], TEXT | COMPRESSED);
        wire[0] &= !FIN;
        let mut receiver = Receiver::new(Limits::default(), Some(&shared));
        assert_eq!(heard_by(&mut receiver, &wire), Err(Failure::UTF8));
    }

    #[test]
    fn ws_29_sequence_of_frames() {
        assert_eq!(heard(&[frame(FIN, b"x")]), Err(Failure::CONTINUATION));
        assert_eq!(heard(&[frame(0x00, b"x")]), Err(Failure::CONTINUATION));
        assert_eq!(heard(&[frame(TEXT, b"x"), frame(FIN, b"x")]), Err(Failure::CONTINUATION));
        assert_eq!(heard(&[frame(0x01, b"x"), frame(TEXT, b"x")]), Err(Failure::NESTED));
        assert_eq!(heard(&[frame(0x02, b"x"), frame(0x01, b"x")]), Err(Failure::NESTED));
        assert_eq!(heard(&[frame(TEXT | COMPRESSED, b"x")]), Err(Failure::RSV), "nothing was negotiated");
        let shared = agreement(&DeflateOptions::default());
        let mut receiver = Receiver::new(Limits::default(), Some(&shared));
        let frames = [frame(0x01, b"x"), frame(FIN | COMPRESSED, b"x")].concat();
        assert_eq!(heard_by(&mut receiver, &frames), Err(Failure::RSV), "not on a continuation");
    }

    #[test]
    fn ws_22_ws_29_ws_32_close_frames() {
        assert_eq!(heard(&[frame(0x88, b"")]), Ok(vec![Incoming::Close(None)]));
        let bye = Incoming::Close(Some((1001, "bye".to_owned())));
        assert_eq!(heard(&[frame(0x88, b"\x03\xe9bye")]), Ok(vec![bye]));
        assert_eq!(heard(&[frame(0x88, b"\x03")]), Err(Failure::CLOSE_FRAME));
        assert_eq!(heard(&[frame(0x88, b"\x03\xed")]), Err(Failure::CLOSE_CODE));
        assert_eq!(heard(&[frame(0x88, b"\x03\xe8\xff")]), Err(Failure::CLOSE_REASON));
    }

    #[test]
    fn ws_31_frame_and_message_limits() {
        let limits = Limits { max_frame_size: 10, max_message_size: 15 };
        let heard = |frames: &[Vec<u8>]| heard_by(&mut Receiver::new(limits, None), &frames.concat());
        assert!(heard(&[frame(TEXT, &[b'x'; 10])]).is_ok());
        // The header alone is enough.
        let header = frame(TEXT, &[b'x'; 11])[..6].to_vec();
        assert_eq!(heard(&[header]), Err(Failure::FRAME_TOO_LARGE));
        assert!(heard(&[frame(0x02, &[0; 10]), frame(FIN, &[0; 5])]).is_ok());
        assert_eq!(heard(&[frame(0x02, &[0; 10]), frame(FIN, &[0; 6])]), Err(Failure::MESSAGE_TOO_LARGE));
        assert_eq!(Failure::FRAME_TOO_LARGE.close_code, 1009);
        assert_eq!(Failure::MESSAGE_TOO_LARGE.close_code, 1009);
    }

    #[test]
    fn ws_31_inflated_size_is_limited() {
        let shared = agreement(&DeflateOptions::default());
        let mut client = Client::new(Some(&shared));
        let limits = Limits { max_message_size: 100_000, ..Limits::default() };
        let mut receiver = Receiver::new(limits, Some(&shared));
        let fits = client.message(true, false, &vec![7; 100_000]);
        assert_eq!(heard_by(&mut receiver, &fits), Ok(vec![Incoming::Binary(vec![7; 100_000].into())]));
        let bomb = client.message(true, false, &vec![7; 100_001]);
        assert!(bomb.len() < 1000);
        assert_eq!(heard_by(&mut receiver, &bomb), Err(Failure::MESSAGE_TOO_LARGE));
    }

    #[test]
    fn a_promised_length_is_not_allocated() {
        let limits = Limits { max_frame_size: 1 << 40, max_message_size: 1 << 40 };
        let mut receiver = Receiver::new(limits, None);
        let header = [BINARY, 0xff, 0, 0, 0, 0xff, 0, 0, 0, 0, 1, 2, 3, 4];
        assert_eq!(heard_by(&mut receiver, &header), Ok(Vec::new()));
        let Some(Message { content: Content::Binary(bytes), .. }) = &receiver.message else { panic!("no message") };
        assert!(bytes.capacity() <= TRUSTED);
    }

    #[test]
    fn rfc_7692_plain_messages_between_compressed_ones() {
        let shared = agreement(&DeflateOptions::default());
        let mut client = Client::new(Some(&shared));
        let wire = [
            client.message(true, true, b"compressed compressed"),
            frame(TEXT, b"plain"),
            client.message(true, true, b"compressed compressed"),
        ];
        let expected = vec![text("compressed compressed"), text("plain"), text("compressed compressed")];
        assert_eq!(heard_by(&mut Receiver::new(Limits::default(), Some(&shared)), &wire.concat()), Ok(expected));
    }

    #[derive(Debug, Clone)]
    enum Said {
        Text(String),
        Binary(Vec<u8>),
        Ping(Vec<u8>),
    }

    fn said() -> impl Strategy<Value = (Said, bool, usize)> {
        let said = prop_oneof![
            "\\PC{0,200}".prop_map(Said::Text),
            proptest::collection::vec(any::<u8>(), 0..600).prop_map(Said::Binary),
            proptest::collection::vec(any::<u8>(), 0..=125).prop_map(Said::Ping),
        ];
        (said, any::<bool>(), 1usize..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn ws_13_any_split_and_fragmentation_gives_the_same_messages(
            conversation in proptest::collection::vec(said(), 1..8),
            forget: bool, bits in 9u8..=15, pieces in proptest::collection::vec(1usize..300, 1..20),
        ) {
            let mut shared = agreement(&DeflateOptions {
                server_context_takeover: !forget,
                client_context_takeover: !forget,
                server_max_window_bits: bits,
                ..DeflateOptions::default()
            });
            shared.client_max_window_bits = bits;
            let mut client = Client::new(Some(&shared));
            let mut wire = Vec::new();
            let mut expected = Vec::new();
            for (said, compress, fragment) in conversation {
                match said {
                    Said::Text(words) => {
                        wire.extend(client.fragments(compress, true, words.as_bytes(), fragment));
                        expected.push(Incoming::Text(words));
                    }
                    Said::Binary(bytes) => {
                        wire.extend(client.fragments(compress, false, &bytes, fragment));
                        expected.push(Incoming::Binary(bytes.into()));
                    }
                    Said::Ping(bytes) => {
                        wire.extend(frame(0x89, &bytes));
                        expected.push(Incoming::Ping(bytes.into()));
                    }
                }
            }
            let mut receiver = Receiver::new(Limits::default(), Some(&shared));
            let mut input = BytesMut::new();
            let mut heard = Vec::new();
            let mut rest = wire.as_slice();
            for size in pieces.iter().cycle() {
                let (piece, later) = rest.split_at((*size).min(rest.len()));
                rest = later;
                input.extend_from_slice(piece);
                while let Some(incoming) = receiver.push(&mut input).unwrap() {
                    heard.push(incoming);
                }
                prop_assert!(input.len() < 14 + 125, "payload of messages is not held back");
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(heard, expected);
            prop_assert!(input.is_empty());
        }

        #[test]
        fn any_bytes_are_messages_or_a_failure(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let shared = agreement(&DeflateOptions::default());
            let whole = heard_by(&mut Receiver::new(Limits::default(), Some(&shared)), &bytes);
            if let Err(failure) = whole {
                prop_assert!(matches!(failure.close_code, 1002 | 1007 | 1009));
                prop_assert!(failure.reason_text.len() <= close::MAX_REASON);
            }
        }
    }
}
