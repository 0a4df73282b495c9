//! The bytes of a chunked request body.
//!
//! Checked besides panics: how the bytes are cut, and how much the application takes at a time, changes neither the
//! content nor where the body ends nor whether it is refused; no limit is passed; nothing is held back.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use pagi_server_core::http1::body::{BodyDecoder, Decoded};
use pagi_server_core::scope::BodyFraming;

const LIMIT: u64 = 5000;

/// What became of a body.
#[derive(Debug, PartialEq)]
struct Heard {
    content: Vec<u8>,
    refused: bool,
    /// Bytes that belong to whatever comes behind the body.
    rest: Option<Vec<u8>>,
}

fuzz_target!(|input: &[u8]| {
    let [step, room, wire @ ..] = input else { return };
    let whole = hear(wire, wire.len().max(1), usize::MAX);
    let pieces = hear(wire, usize::from(*step) + 1, usize::from(*room) + 1);
    if whole.refused {
        // A refusal may come before content in front of it was taken.
        assert!(pieces.refused);
    } else {
        assert_eq!(whole, pieces, "how bytes are cut changes what is heard");
    }
    assert!(whole.content.len() as u64 <= LIMIT);
});

fn hear(wire: &[u8], step: usize, room: usize) -> Heard {
    let mut decoder = BodyDecoder::new(BodyFraming::Chunked, LIMIT);
    let mut buffer = BytesMut::new();
    let mut content = Vec::new();
    let mut ended = false;
    for piece in wire.chunks(step) {
        buffer.extend_from_slice(piece);
        while !ended {
            match decoder.decode(&mut buffer, room) {
                Err(_) => return Heard { content, refused: true, rest: None },
                Ok(Decoded::NeedMore) => break,
                Ok(Decoded::Data { bytes, last }) => {
                    assert!(bytes.len() <= room && (last || !bytes.is_empty()));
                    content.extend_from_slice(&bytes);
                    ended = last;
                }
            }
        }
        assert!(ended || buffer.len() <= 8192 + 2, "bytes are held back");
    }
    assert_eq!(decoder.is_done(), ended);
    Heard { content, refused: false, rest: ended.then(|| buffer.to_vec()) }
}
