//! The client's side of the wire, for tests: masked frames, fragments, compression.

use super::deflate::Deflater;
use super::extension::Agreement;
use super::frame::apply_mask;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame with this first byte.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![first];
    match payload.len() {
        length @ 0..=125 => wire.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            wire.push(0x80 | 126);
            wire.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            wire.push(0x80 | 127);
            wire.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    wire.extend_from_slice(&MASK);
    let start = wire.len();
    wire.extend_from_slice(payload);
    apply_mask(&mut wire[start..], MASK);
    wire
}

/// A client that compresses as was agreed for it.
pub(super) struct Client {
    deflater: Option<Deflater>,
}

impl Client {
    pub(super) fn new(agreement: Option<&Agreement>) -> Self {
        let deflater = agreement.map(|agreement| {
            let mut mirrored = *agreement;
            mirrored.server_no_context_takeover = agreement.client_no_context_takeover;
            mirrored.server_max_window_bits = agreement.client_max_window_bits;
            Deflater::new(&mirrored)
        });
        Self { deflater }
    }

    /// A message in one frame.
    pub(super) fn message(&mut self, compress: bool, is_text: bool, content: &[u8]) -> Vec<u8> {
        self.fragments(compress, is_text, content, usize::MAX)
    }

    /// A message in frames of at most `size` payload bytes.
    pub(super) fn fragments(&mut self, compress: bool, is_text: bool, content: &[u8], size: usize) -> Vec<u8> {
        let mut payload = Vec::new();
        let compressed =
            compress && self.deflater.as_mut().is_some_and(|deflater| deflater.compress(content, &mut payload));
        let payload = if compressed { &payload } else { content };
        let mut first = if is_text { 0x01 } else { 0x02 } | if compressed { 0x40 } else { 0 };
        let mut wire = Vec::new();
        let mut rest = payload;
        loop {
            let (piece, later) = rest.split_at(size.min(rest.len()));
            let fin = if later.is_empty() { 0x80 } else { 0 };
            wire.extend(frame(first | fin, piece));
            if later.is_empty() {
                return wire;
            }
            (first, rest) = (0, later);
        }
    }
}
