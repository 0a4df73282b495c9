//! Frame headers and masks (RFC 6455 §5.2, §5.3), with the checks that need nothing but the frame itself.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::failure::Failure;

/// Most payload bytes of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL: u64 = 125;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A further part of a message.
    Continuation,
    /// The first part of a text message.
    Text,
    /// The first part of a binary message.
    Binary,
    /// Close.
    Close,
    /// Ping.
    Ping,
    /// Pong.
    Pong,
}

impl Opcode {
    /// Whether this is a control frame: never fragmented, at most 125 bytes.
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    fn of(code: OpCode) -> Result<Self, Failure> {
        match code {
            OpCode::Data(Data::Continue) => Ok(Self::Continuation),
            OpCode::Data(Data::Text) => Ok(Self::Text),
            OpCode::Data(Data::Binary) => Ok(Self::Binary),
            OpCode::Control(Control::Close) => Ok(Self::Close),
            OpCode::Control(Control::Ping) => Ok(Self::Ping),
            OpCode::Control(Control::Pong) => Ok(Self::Pong),
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => Err(Failure::OPCODE),
        }
    }

    fn code(self) -> OpCode {
        match self {
            Self::Continuation => OpCode::Data(Data::Continue),
            Self::Text => OpCode::Data(Data::Text),
            Self::Binary => OpCode::Data(Data::Binary),
            Self::Close => OpCode::Control(Control::Close),
            Self::Ping => OpCode::Control(Control::Ping),
            Self::Pong => OpCode::Control(Control::Pong),
        }
    }
}

/// The header of a frame from a client, already checked for what a frame alone can get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub is_final: bool,
    /// RSV1: the message is compressed (RFC 7692 §6). Whether that is allowed, the receiver knows.
    pub is_compressed: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// Payload bytes.
    pub length: u64,
    /// Mask of the payload.
    pub mask: [u8; 4],
    /// Bytes of the header itself.
    pub size: usize,
}

impl Header {
    /// Reads a header from the start of a buffer; `None` when more bytes are needed (WS-29).
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let mut cursor = Cursor::new(bytes);
        // From memory the codec has one way to fail: an opcode it does not know.
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| Failure::OPCODE)? else {
            return Ok(None);
        };
        if header.rsv2 || header.rsv3 {
            return Err(Failure::RSV);
        }
        let opcode = Opcode::of(header.opcode)?;
        if opcode.is_control() {
            if header.rsv1 {
                return Err(Failure::RSV);
            }
            if length > MAX_CONTROL {
                return Err(Failure::CONTROL_TOO_LARGE);
            }
            if !header.is_final {
                return Err(Failure::CONTROL_FRAGMENTED);
            }
        }
        let mask = header.mask.ok_or(Failure::UNMASKED)?;
        if length > i64::MAX as u64 {
            return Err(Failure::LENGTH);
        }
        let size = usize::try_from(cursor.position()).map_err(|_| Failure::LENGTH)?;
        Ok(Some(Self { is_final: header.is_final, is_compressed: header.rsv1, opcode, length, mask, size }))
    }
}

/// Appends the header of a server's frame: whole message, not masked.
pub fn write_header(opcode: Opcode, is_compressed: bool, length: usize, out: &mut Vec<u8>) {
    let header = FrameHeader { is_final: true, rsv1: is_compressed, opcode: opcode.code(), ..FrameHeader::default() };
    let written = header.format(length as u64, out);
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
}

/// Applies a mask in place, eight bytes at a time, and returns the mask for the bytes that follow these.
pub fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) -> [u8; 4] {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        if let Ok(octets) = <[u8; 8]>::try_from(&*word) {
            word.copy_from_slice(&(u64::from_ne_bytes(octets) ^ wide).to_ne_bytes());
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    let mut next = mask;
    next.rotate_left(bytes.len() % 4);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    fn parsed(first: u8, second: u8, rest: &[u8]) -> Result<Option<Header>, Failure> {
        Header::parse(&[&[first, second][..], rest, &MASK].concat())
    }

    #[test]
    fn ws_29_every_first_byte() {
        for first in 0..=255u8 {
            let (is_final, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 15);
            let result = parsed(first, 0x80, b"");
            let is_control = opcode >= 8;
            let expected = match opcode {
                3..=7 | 11..=15 => Err(Failure::OPCODE),
                _ if rsv & 3 != 0 || (is_control && rsv != 0) => Err(Failure::RSV),
                _ if is_control && !is_final => Err(Failure::CONTROL_FRAGMENTED),
                _ => Ok((is_final, rsv == 4)),
            };
            let result = result.map(|header| header.map(|header| (header.is_final, header.is_compressed)).unwrap());
            assert_eq!(result, expected, "{first:#x}");
        }
    }

    #[test]
    fn ws_29_control_payload_length() {
        assert_eq!(parsed(0x89, 0x80 | 125, b"").unwrap().unwrap().length, 125);
        assert_eq!(parsed(0x89, 0x80 | 126, &[0, 126]), Err(Failure::CONTROL_TOO_LARGE));
        assert_eq!(parsed(0x88, 0x80 | 127, &[0, 0, 0, 0, 0, 1, 0, 0]), Err(Failure::CONTROL_TOO_LARGE));
    }

    #[test]
    fn ws_29_unmasked_client_frame() {
        assert_eq!(parsed(0x81, 5, b"hello"), Err(Failure::UNMASKED));
        assert_eq!(parsed(0x89, 0, b""), Err(Failure::UNMASKED));
    }

    #[test]
    fn rfc_6455_length_of_63_bits() {
        assert_eq!(parsed(0x82, 0xff, &[0x80, 0, 0, 0, 0, 0, 0, 0]), Err(Failure::LENGTH));
        let header = parsed(0x82, 0xff, &[0x7f, 255, 255, 255, 255, 255, 255, 255]).unwrap().unwrap();
        assert_eq!((header.length, header.size), (i64::MAX as u64, 14));
    }

    #[test]
    fn headers_that_are_not_complete_ask_for_more() {
        let whole = [&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0][..], &MASK].concat();
        for cut in 0..whole.len() {
            assert_eq!(Header::parse(&whole[..cut]), Ok(None), "cut at {cut}");
        }
        let header = Header::parse(&whole).unwrap().unwrap();
        assert_eq!((header.length, header.mask, header.size), (65536, MASK, 14));
    }

    #[test]
    fn data_10_lengths_use_the_shortest_form() {
        for (length, expected) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65535, &[0x82, 126, 255, 255]),
            (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_header(Opcode::Binary, false, length, &mut out);
            assert_eq!(out, expected, "{length}");
        }
    }

    proptest! {
        #[test]
        fn masking_in_any_pieces_is_masking_at_once(
            bytes in proptest::collection::vec(any::<u8>(), 0..80), mask: [u8; 4], cut in 0usize..80,
        ) {
            let expected: Vec<u8> = bytes.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            let mut masked = bytes.clone();
            let (first, second) = masked.split_at_mut(cut.min(bytes.len()));
            let mask = apply_mask(first, mask);
            apply_mask(second, mask);
            prop_assert_eq!(masked, expected);
        }
    }
}
