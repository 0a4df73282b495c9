//! Bodies: counts bytes, undoes chunked coding (HTTP-1), tolerates trailers. Those of requests are thrown away (HTTP-8).

use bytes::{Buf, Bytes, BytesMut};

use crate::header::HeaderList;
use crate::refusal::Refusal;
use crate::scope::BodyFraming;

/// Longest chunk-size line, extensions included.
const MAX_CHUNK_LINE: usize = 4096;
/// Longest trailer section.
const MAX_TRAILERS: usize = 8192;
/// Largest fragment given to the application at once.
const MAX_FRAGMENT: usize = 65536;

/// Incremental decoder of one body.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    received: u64,
    limit: u64,
    trailers: Option<HeaderList>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers { seen: usize },
    Done,
}

/// One step of decoding.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// More bytes are needed.
    NeedMore,
    /// Content; `last` when it is the end of the body.
    Data {
        /// Content bytes; may be empty at the end of the body.
        bytes: Bytes,
        /// Whether the body ends here.
        last: bool,
    },
}

impl BodyDecoder {
    /// A decoder for one body; `limit` of 0 is unlimited.
    #[must_use]
    pub fn new(framing: BodyFraming, limit: u64) -> Self {
        let state = match framing {
            BodyFraming::Length(0) => State::Done,
            BodyFraming::Length(length) => State::Length(length),
            BodyFraming::Chunked => State::ChunkSize,
        };
        Self { state, received: 0, limit, trailers: None }
    }

    /// The same, which keeps the trailers of a chunked body.
    #[must_use]
    pub(crate) fn keeping_trailers(self) -> Self {
        let trailers = (self.state == State::ChunkSize).then(HeaderList::new);
        Self { trailers, ..self }
    }

    /// The trailers of a chunked body that has ended, where they were kept.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderList> {
        self.trailers.take()
    }

    /// Whether there may be trailers.
    pub(crate) fn keeps_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes what it can from the buffer, at most `room` bytes of content.
    pub fn decode(&mut self, buffer: &mut BytesMut, room: usize) -> Result<Decoded, Refusal> {
        loop {
            match self.state {
                State::Done | State::Length(0) => return Ok(Decoded::NeedMore),
                State::Length(left) => {
                    let Some(bytes) = take(buffer, left, room) else { return Ok(Decoded::NeedMore) };
                    let left = left - bytes.len() as u64;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    return Ok(Decoded::Data { bytes, last: left == 0 });
                }
                State::ChunkSize => {
                    let Some(line) = take_line(buffer, MAX_CHUNK_LINE)? else { return Ok(Decoded::NeedMore) };
                    let size = chunk_size(&line)?;
                    self.received = self.received.saturating_add(size);
                    if self.limit > 0 && self.received > self.limit {
                        return Err(Refusal::BODY_TOO_LARGE);
                    }
                    self.state = if size == 0 { State::Trailers { seen: 0 } } else { State::ChunkData(size) };
                }
                State::ChunkData(left) => {
                    let Some(bytes) = take(buffer, left, room) else { return Ok(Decoded::NeedMore) };
                    let left = left - bytes.len() as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                    return Ok(Decoded::Data { bytes, last: false });
                }
                State::ChunkEnd => {
                    if buffer.len() < 2 {
                        return if b"\r\n".starts_with(buffer) {
                            Ok(Decoded::NeedMore)
                        } else {
                            Err(Refusal::BAD_CHUNK)
                        };
                    }
                    if !buffer.starts_with(b"\r\n") {
                        return Err(Refusal::BAD_CHUNK);
                    }
                    buffer.advance(2);
                    self.state = State::ChunkSize;
                }
                State::Trailers { seen } => {
                    let Some(line) = take_line(buffer, MAX_TRAILERS - seen)? else { return Ok(Decoded::NeedMore) };
                    if line.is_empty() {
                        self.state = State::Done;
                        return Ok(Decoded::Data { bytes: Bytes::new(), last: true });
                    }
                    let (name, value) = trailer(&line)?;
                    if let Some(trailers) = &mut self.trailers {
                        trailers.push(name, value.trim_ascii());
                    }
                    self.state = State::Trailers { seen: (seen + line.len() + 2).min(MAX_TRAILERS) };
                }
            }
        }
    }
}

fn take(buffer: &mut BytesMut, left: u64, room: usize) -> Option<Bytes> {
    let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)).min(room).min(MAX_FRAGMENT);
    (length > 0).then(|| buffer.split_to(length).freeze())
}

/// A line without its CRLF. A bare LF, a bare CR or too many bytes are refused (RFC 9112 §7.1).
fn take_line(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, Refusal> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
        let cr_inside = memchr::memchr(b'\r', buffer).is_some_and(|at| at + 1 < buffer.len());
        return if buffer.len() > limit || cr_inside { Err(Refusal::BAD_CHUNK) } else { Ok(None) };
    };
    if end == 0 || end > limit + 1 || memchr::memchr(b'\r', &buffer[..end]) != Some(end - 1) {
        return Err(Refusal::BAD_CHUNK);
    }
    let mut line = buffer.split_to(end + 1).freeze();
    line.truncate(end - 1);
    Ok(Some(line))
}

/// `1*HEXDIG [ chunk-ext ]` with strict extensions: no space after the size, no bare `;` (RFC 9112 §7.1.1).
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    if digits == 0 || digits > 16 {
        return Err(Refusal::BAD_CHUNK);
    }
    let size = line[..digits]
        .iter()
        .fold(0u64, |size, &digit| size << 4 | u64::from(char::from(digit).to_digit(16).unwrap_or(0)));
    if i64::try_from(size).is_err() {
        return Err(Refusal::BODY_TOO_LARGE);
    }
    if is_extension_list(&line[digits..]) { Ok(size) } else { Err(Refusal::BAD_CHUNK) }
}

/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`, without the "bad" white space before the first
/// semicolon, which is how chunk sizes were smuggled.
fn is_extension_list(mut rest: &[u8]) -> bool {
    use crate::header::is_token;
    while let Some(after) = rest.strip_prefix(b";") {
        let after = trim_start(after);
        let name = after.iter().position(|byte| b"=; \t".contains(byte)).unwrap_or(after.len());
        if !is_token(&after[..name]) {
            return false;
        }
        rest = trim_start(&after[name..]);
        if let Some(value) = rest.strip_prefix(b"=") {
            let value = trim_start(value);
            let length = if value.starts_with(b"\"") { quoted_length(value) } else { token_length(value) };
            let Some(length) = length else { return false };
            rest = trim_start(&value[length..]);
        }
    }
    rest.is_empty()
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len());
    &bytes[blank..]
}

fn token_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().position(|byte| b"; \t".contains(byte)).unwrap_or(bytes.len());
    crate::header::is_token(&bytes[..length]).then_some(length)
}

fn quoted_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                let escaped = bytes.get(at + 1)?;
                if *escaped < 0x20 && *escaped != b'\t' || *escaped == 0x7f {
                    return None;
                }
                at += 2;
            }
            byte if *byte < 0x20 && *byte != b'\t' || *byte == 0x7f => return None,
            _ => at += 1,
        }
    }
}

/// Even one that is thrown away must be well-formed: otherwise we and a proxy disagree about the bytes.
fn trailer(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = memchr::memchr(b':', line).ok_or(Refusal::BAD_REQUEST)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let value_ok = value.iter().all(|&byte| byte == b'\t' || byte >= 0x20 && byte != 0x7f);
    if crate::header::is_token(name) && value_ok { Ok((name, value)) } else { Err(Refusal::BAD_REQUEST) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes a whole body given in pieces; the rest of the input comes back.
    fn decode(framing: BodyFraming, limit: u64, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let mut decoder = BodyDecoder::new(framing, limit);
        let mut buffer = BytesMut::new();
        let mut content = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Decoded::Data { bytes, .. } = decoder.decode(&mut buffer, 7)? {
                content.extend_from_slice(&bytes);
            }
        }
        assert!(decoder.is_done(), "incomplete: {pieces:?}");
        Ok((content, buffer.to_vec()))
    }

    #[test]
    fn http_1_http_8_chunked_with_extensions_and_trailers() {
        let wire = b"5;a=b;c=\"q\\\";\"\r\nhello\r\n3\r\n wo\r\n0\r\nX-T: 1\r\n\r\nGET";
        let whole = decode(BodyFraming::Chunked, 0, &[wire]).unwrap();
        assert_eq!(whole, (b"hello wo".to_vec(), b"GET".to_vec()));
        for cut in 1..wire.len() - 3 {
            let (content, _) = decode(BodyFraming::Chunked, 0, &[&wire[..cut], &wire[cut..]]).unwrap();
            assert_eq!(content, b"hello wo", "cut at {cut}");
        }
    }

    #[test]
    fn srv_7_bad_chunks() {
        for wire in [
            "g\r\n",
            "\r\n",
            "-1\r\n",
            "5 \r\nhello\r\n",
            "5;\r\nhello\r\n",
            "5;=\r\nhello\r\n",
            "5; a b\r\nhello\r\n",
            "5;a=\"x\r\nhello\r\n",
            "5\nhello",
            "5\rx",
            "5\r\nhelloXX",
            "5\r\nhello\n0",
            "0x5\r\nhello\r\n",
            "0\r\nbad trailer\r\n\r\n",
            "0\r\nX : 1\r\n\r\n",
            "0\r\nX: \x01\r\n\r\n",
            "11111111111111111\r\n",
        ] {
            assert!(decode(BodyFraming::Chunked, 0, &[wire.as_bytes()]).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn srv_8_chunked_overflow_is_413() {
        assert_eq!(decode(BodyFraming::Chunked, 4, &[b"5\r\n"]).unwrap_err(), Refusal::BODY_TOO_LARGE);
        let endless = [b"5;a=".as_slice(), &[b'x'; MAX_CHUNK_LINE]].concat();
        assert_eq!(decode(BodyFraming::Chunked, 0, &[&endless]).unwrap_err(), Refusal::BAD_CHUNK);
    }

    #[test]
    fn http_7_length_bodies_leave_the_next_request() {
        let (content, rest) = decode(BodyFraming::Length(10), 0, &[b"0123", b"456789NEXT"]).unwrap();
        assert_eq!((content, rest), (b"0123456789".to_vec(), b"NEXT".to_vec()));
    }

    proptest! {
        #[test]
        fn http_1_any_split_gives_the_same_content(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            cut in 0usize..400,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let cut = cut.min(wire.len());
            let (content, rest) = decode(BodyFraming::Chunked, 0, &[&wire[..cut], &wire[cut..]]).unwrap();
            prop_assert_eq!(content, chunks.concat());
            prop_assert!(rest.is_empty());
        }
    }
}
