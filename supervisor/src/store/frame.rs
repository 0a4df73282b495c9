//! What travels between a worker and the store, in both directions: four bytes of length, then one byte of kind, four of
//! tag, and fields, each four bytes of length and as many bytes. Numbers are big-endian; inside fields they are decimal
//! text. A reply has the tag of its request.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Kind and tag.
const HEAD: usize = 5;
/// Of the frame, and of each field.
const LENGTH: usize = 4;
/// Fields of the richest request.
const MOST_FIELDS: usize = 3;
/// Room for everything but a value: kind, tag, a key, a number.
pub const OVERHEAD: usize = 4096;

/// What a worker asks for, and what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Worker: the value of a key.
    Get,
    /// Worker: keep a value under a key for so many milliseconds.
    Set,
    /// Worker: keep what a key has for so many milliseconds from now.
    Touch,
    /// Worker: forget a key.
    Delete,
    /// Worker: so many here listen to a channel now.
    Interest,
    /// Worker: a message to everybody else who listens to a channel.
    Publish,
    /// Store: done; with the value of a `Get`, the number of listeners of a `Publish`.
    Done,
    /// Store: there is no such key.
    Nothing,
    /// Store: refused, and why.
    Refused,
    /// Store: a message on a channel; the tag is 0.
    Message,
}

const KINDS: [(u8, Kind); 10] = [
    (b'G', Kind::Get),
    (b'S', Kind::Set),
    (b'T', Kind::Touch),
    (b'D', Kind::Delete),
    (b'I', Kind::Interest),
    (b'P', Kind::Publish),
    (b'K', Kind::Done),
    (b'N', Kind::Nothing),
    (b'E', Kind::Refused),
    (b'M', Kind::Message),
];

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Chosen by the worker.
    pub tag: u32,
    /// The rest.
    pub fields: Vec<Bytes>,
}

/// Bytes that no worker of ours sends.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Makes the bytes of a frame.
#[must_use]
pub fn encode(kind: Kind, tag: u32, fields: &[&[u8]]) -> Bytes {
    let length = HEAD + fields.iter().map(|field| LENGTH + field.len()).sum::<usize>();
    let mut bytes = BytesMut::with_capacity(LENGTH + length);
    put_length(&mut bytes, length);
    let (letter, _) = KINDS.iter().find(|(_, known)| *known == kind).expect("every kind is listed");
    bytes.put_u8(*letter);
    bytes.put_u32(tag);
    for field in fields {
        put_length(&mut bytes, field.len());
        bytes.put_slice(field);
    }
    bytes.freeze()
}

fn put_length(bytes: &mut BytesMut, length: usize) {
    bytes.put_u32(u32::try_from(length).expect("a frame is bounded by the limit of an item"));
}

/// Takes the next frame from what was received; `None` when it is not complete yet.
///
/// # Errors
/// When these bytes are no frame, or one longer than `most`; the connection is of no use then.
pub fn decode(received: &mut BytesMut, most: usize) -> Result<Option<Frame>, Malformed> {
    let Some(length) = received.first_chunk::<LENGTH>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    // Before anything is set aside for it.
    if length < HEAD || length > most {
        return Err(Malformed("a frame has an impossible length"));
    }
    if received.len() < LENGTH + length {
        return Ok(None);
    }
    received.advance(LENGTH);
    let mut body = received.split_to(length).freeze();
    let letter = body.get_u8();
    let (_, kind) = KINDS.iter().find(|(known, _)| *known == letter).ok_or(Malformed("a frame has an unknown kind"))?;
    let tag = body.get_u32();
    let mut fields = Vec::with_capacity(MOST_FIELDS);
    while body.has_remaining() {
        if fields.len() == MOST_FIELDS || body.len() < LENGTH {
            return Err(Malformed("a frame has impossible fields"));
        }
        let length = body.get_u32() as usize;
        if length > body.len() {
            return Err(Malformed("a field is longer than its frame"));
        }
        fields.push(body.split_to(length));
    }
    Ok(Some(Frame { kind: *kind, tag, fields }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_and_back_in_any_pieces() {
        let sent = encode(Kind::Set, 7, &[b"key", b"", b"60000"]);
        let mut received = BytesMut::new();
        for (number, byte) in sent.iter().enumerate() {
            assert_eq!(decode(&mut received, 100), Ok(None), "after {number} bytes");
            received.put_u8(*byte);
        }
        received.extend_from_slice(&encode(Kind::Get, 8, &[b"next"]));
        let first = decode(&mut received, 100).unwrap().unwrap();
        assert_eq!((first.kind, first.tag), (Kind::Set, 7));
        assert_eq!(first.fields, [&b"key"[..], b"", b"60000"]);
        assert_eq!(decode(&mut received, 100).unwrap().unwrap().tag, 8);
        assert!(received.is_empty());
    }

    #[test]
    fn impossible_frames_are_refused_at_once() {
        let decoded = |bytes: &[u8]| decode(&mut BytesMut::from(bytes), 100).unwrap_err().0;
        assert_eq!(decoded(&[0, 0, 0, 101]), "a frame has an impossible length");
        assert_eq!(decoded(&[0, 0, 0, 4, b'G']), "a frame has an impossible length");
        assert_eq!(decoded(&[0, 0, 0, 5, b'?', 0, 0, 0, 0]), "a frame has an unknown kind");
        assert_eq!(decoded(&[0, 0, 0, 6, b'G', 0, 0, 0, 0, 1]), "a frame has impossible fields");
        assert_eq!(decoded(&[0, 0, 0, 10, b'G', 0, 0, 0, 0, 0, 0, 0, 2, b'x']), "a field is longer than its frame");
        assert_eq!(decoded(&encode(Kind::Set, 1, &[b"", b"", b"", b""])), "a frame has impossible fields");
    }

    proptest! {
        #[test]
        fn nothing_a_worker_sends_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut received = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decode(&mut received, 64) {}
        }
    }
}
