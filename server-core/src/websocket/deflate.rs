//! The compressor and decompressor of permessage-deflate (RFC 7692 §7.2).
//!
//! zlib-rs is flate2's backend: of the backends that need no C compiler it is the one that takes window bits.
//!
//! States are made when the first message needs them, so an idle connection costs nothing. A side that forgets its
//! window after each message (no context takeover) has no state of its own at all: it borrows one from its thread for
//! the length of a message.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::extension::Agreement;
use super::failure::Failure;

/// What a sync flush ends with: cut off by the sender, put back by the receiver (RFC 7692 §7.2.1, §7.2.2).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes inflated at a time: what a bomb can make us hold beyond the limit before it is noticed.
const PIECE: usize = 8192;

thread_local! {
    static SPARE_COMPRESS: RefCell<Option<(Shape, Compress)>> = const { RefCell::new(None) };
    static SPARE_DECOMPRESS: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

/// What makes two fresh compressors interchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    level: u32,
    window_bits: u8,
}

impl Shape {
    fn compressor(self) -> Compress {
        Compress::new_with_window_bits(Compression::new(self.level.min(9)), false, self.window_bits.clamp(9, 15))
    }
}

/// Compresses messages.
#[derive(Debug)]
pub struct Deflater {
    shape: Shape,
    min_size: usize,
    forgets: bool,
    state: Option<Compress>,
}

impl Deflater {
    /// A compressor for our side of an agreement.
    #[must_use]
    pub fn new(agreement: &Agreement) -> Self {
        Self {
            shape: Shape { level: agreement.level, window_bits: agreement.server_max_window_bits },
            min_size: agreement.min_size,
            forgets: agreement.server_no_context_takeover,
            state: None,
        }
    }

    /// Whether a message of this many bytes is worth compressing. An empty one never is.
    #[must_use]
    pub fn wants(&self, length: usize) -> bool {
        length > 0 && length >= self.min_size
    }

    /// Appends a compressed message. `false`, with nothing appended, when it could not be compressed: the message can
    /// then go out plain, and the next one starts with an empty window, which is always allowed.
    #[must_use]
    pub fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let mut state = match self.state.take() {
            Some(state) => state,
            None => self.borrow(),
        };
        let start = out.len();
        if flush_message(&mut state, message, out).is_none() {
            out.truncate(start);
            return false;
        }
        if self.forgets {
            state.reset();
            SPARE_COMPRESS.set(Some((self.shape, state)));
        } else {
            self.state = Some(state);
        }
        true
    }

    /// A state with an empty window: the thread's spare one when this side forgets, a new one otherwise.
    fn borrow(&self) -> Compress {
        let spare = if self.forgets { SPARE_COMPRESS.take() } else { None };
        match spare {
            Some((shape, state)) if shape == self.shape => state,
            _ => self.shape.compressor(),
        }
    }
}

/// Everything up to a sync flush, without its tail.
fn flush_message(state: &mut Compress, message: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let mut rest = message;
    loop {
        out.reserve(rest.len() / 2 + 64);
        let before = state.total_in();
        state.compress_vec(rest, out, FlushCompress::Sync).ok()?;
        let taken = usize::try_from(state.total_in() - before).ok()?;
        rest = rest.get(taken..)?;
        // Room left over means that the flush is complete (zlib's manual on `deflate`).
        if rest.is_empty() && out.len() < out.capacity() {
            break;
        }
    }
    let length = out[start..].strip_suffix(&TAIL)?.len();
    out.truncate(start + length);
    Some(())
}

/// Decompresses messages piece by piece.
#[derive(Debug)]
pub struct Inflater {
    forgets: bool,
    /// Whether the message has had any bytes yet.
    is_begun: bool,
    state: Option<Decompress>,
}

impl Inflater {
    /// A decompressor for the client's side of an agreement.
    #[must_use]
    pub fn new(agreement: &Agreement) -> Self {
        Self { forgets: agreement.client_no_context_takeover, is_begun: false, state: None }
    }

    /// Inflates a piece of a message and hands what comes out to `sink`, at most 8 KiB at a time; an error of the sink
    /// (a limit, text that is not UTF-8) ends the work at once.
    pub fn inflate(
        &mut self,
        mut piece: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut state = match self.state.take() {
            Some(state) => state,
            None => self.borrow(),
        };
        self.is_begun = true;
        let mut buffer = [0; PIECE];
        loop {
            let (before_in, before_out) = (state.total_in(), state.total_out());
            let status = state.decompress(piece, &mut buffer, FlushDecompress::Sync).map_err(|_| Failure::DEFLATE)?;
            let taken = usize::try_from(state.total_in() - before_in).map_err(|_| Failure::DEFLATE)?;
            let made = usize::try_from(state.total_out() - before_out).map_err(|_| Failure::DEFLATE)?;
            piece = piece.get(taken..).ok_or(Failure::DEFLATE)?;
            sink(buffer.get(..made).ok_or(Failure::DEFLATE)?)?;
            if status == Status::StreamEnd {
                // A block with BFINAL set ends a DEFLATE stream but not the message (RFC 7692 §7.2.3.4).
                state.reset(false);
            } else if taken == 0 && made == 0 && !piece.is_empty() {
                return Err(Failure::DEFLATE);
            }
            if piece.is_empty() && (made < PIECE || status == Status::StreamEnd) {
                break;
            }
        }
        self.state = Some(state);
        Ok(())
    }

    /// Ends a message: what the sender cut off is put back, and the window is let go if it is not needed any more.
    ///
    /// A message without any bytes is taken as the empty one. It should have been a single zero byte (RFC 7692 §7.2.3.6);
    /// the tail alone is no whole block, and would spoil the message after it.
    pub fn finish(&mut self, sink: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        if !self.is_begun {
            return Ok(());
        }
        self.inflate(&TAIL, sink)?;
        self.is_begun = false;
        if self.forgets
            && let Some(mut state) = self.state.take()
        {
            state.reset(false);
            SPARE_DECOMPRESS.set(Some(state));
        }
        Ok(())
    }

    /// A state with an empty window: the thread's spare one when this side forgets, a new one otherwise. The window is
    /// always the largest, which inflates what was made with any other; zlib-rs takes no less memory for a smaller one.
    fn borrow(&self) -> Decompress {
        let spare = if self.forgets { SPARE_DECOMPRESS.take() } else { None };
        spare.unwrap_or_else(|| Decompress::new(false))
    }
}

#[cfg(test)]
mod tests {
    use super::super::extension::{DeflateOffer, DeflateOptions, negotiate};
    use super::*;
    use proptest::prelude::*;

    fn agreement(options: &DeflateOptions) -> Agreement {
        negotiate(&[DeflateOffer::default()], options).unwrap()
    }

    fn inflated(inflater: &mut Inflater, pieces: &[&[u8]], limit: usize) -> Result<Vec<u8>, Failure> {
        let mut message = Vec::new();
        let mut sink = |bytes: &[u8]| {
            message.extend_from_slice(bytes);
            if message.len() > limit { Err(Failure::MESSAGE_TOO_LARGE) } else { Ok(()) }
        };
        for piece in pieces {
            inflater.inflate(piece, &mut sink)?;
        }
        inflater.finish(&mut sink)?;
        Ok(message)
    }

    #[test]
    fn rfc_7692_examples_of_section_7_2_3() {
        let shared = agreement(&DeflateOptions { server_context_takeover: true, ..DeflateOptions::default() });
        let mut deflater = Deflater::new(&shared);
        let mut out = Vec::new();
        assert!(deflater.compress(b"Hello", &mut out));
        assert_eq!(out, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        out.clear();
        assert!(deflater.compress(b"Hello", &mut out));
        assert_eq!(out, [0xf2, 0x00, 0x11, 0x00, 0x00], "the second refers to the window of the first");

        let mut inflater = Inflater::new(&shared);
        for wire in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
            // No compression (§7.2.3.3).
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            // BFINAL set (§7.2.3.4).
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            // Two blocks in one message (§7.2.3.5).
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflated(&mut inflater, &[wire], 5).unwrap(), b"Hello", "{wire:x?}");
        }
        assert_eq!(inflated(&mut inflater, &[b"\0"], 0).unwrap(), b"", "an empty message (§7.2.3.6)");
        assert_eq!(inflated(&mut inflater, &[], 0).unwrap(), b"", "an empty message that forgot its byte");
        assert_eq!(inflated(&mut inflater, &[&[0xf2, 0x00, 0x11, 0x00, 0x00]], 5).unwrap(), b"Hello");
    }

    #[test]
    fn no_context_takeover_keeps_nothing() {
        let options = DeflateOptions {
            server_context_takeover: false,
            client_context_takeover: false,
            ..DeflateOptions::default()
        };
        let shared = agreement(&options);
        let (mut deflater, mut inflater) = (Deflater::new(&shared), Inflater::new(&shared));
        let mut first = Vec::new();
        assert!(deflater.compress(b"Hello", &mut first));
        assert!(deflater.state.is_none());
        let mut second = Vec::new();
        assert!(deflater.compress(b"Hello", &mut second));
        assert_eq!(first, second);
        assert_eq!(inflated(&mut inflater, &[&first], 5).unwrap(), b"Hello");
        assert!(inflater.state.is_none());
        // A reference to the message before is an error: the window is really gone.
        assert_eq!(inflated(&mut inflater, &[&[0xf2, 0x00, 0x11, 0x00, 0x00]], 5), Err(Failure::DEFLATE));
        assert_eq!(inflated(&mut inflater, &[&second], 5).unwrap(), b"Hello", "a failed state is not used again");
    }

    #[test]
    fn an_idle_connection_has_no_state() {
        let shared = agreement(&DeflateOptions::default());
        assert!(Deflater::new(&shared).state.is_none() && Inflater::new(&shared).state.is_none());
    }

    #[test]
    fn ws_31_a_bomb_is_stopped_within_one_piece_of_the_limit() {
        let shared = agreement(&DeflateOptions::default());
        let mut bomb = Vec::new();
        assert!(Deflater::new(&shared).compress(&vec![0; 64 << 20], &mut bomb));
        assert!(bomb.len() < 100_000);
        let mut most = 0;
        let result = Inflater::new(&shared).inflate(&bomb, |bytes| {
            most += bytes.len();
            if most > 100_000 { Err(Failure::MESSAGE_TOO_LARGE) } else { Ok(()) }
        });
        assert_eq!(result, Err(Failure::MESSAGE_TOO_LARGE));
        assert!(most <= 100_000 + PIECE);
    }

    #[test]
    fn garbage_is_1007() {
        let shared = agreement(&DeflateOptions::default());
        assert_eq!(inflated(&mut Inflater::new(&shared), &[&[0xff; 8]], 100), Err(Failure::DEFLATE));
        assert_eq!(Failure::DEFLATE.close_code, 1007);
    }

    #[test]
    fn min_size_and_empty_messages() {
        let deflater = Deflater::new(&agreement(&DeflateOptions::default()));
        assert!(!deflater.wants(127) && deflater.wants(128));
        let eager = Deflater::new(&agreement(&DeflateOptions { min_size: 0, ..DeflateOptions::default() }));
        assert!(!eager.wants(0) && eager.wants(1));
    }

    /// Bytes without repeats worth the name.
    fn noise(length: usize) -> Vec<u8> {
        let mut seed = 1u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn rfc_7692_no_level_reaches_beyond_the_agreed_window() {
        for level in 1..=9 {
            for bits in 9..=15 {
                let window = 1 << bits;
                for (distance, is_reachable) in [(window / 4 + 100, true), (window + 1, false)] {
                    let options = DeflateOptions {
                        level,
                        server_context_takeover: true,
                        server_max_window_bits: bits,
                        ..DeflateOptions::default()
                    };
                    let mut deflater = Deflater::new(&agreement(&options));
                    let first = noise(distance);
                    let mut out = Vec::new();
                    assert!(deflater.compress(&first, &mut out));
                    out.clear();
                    // 100 bytes that were sent `distance` bytes ago cost next to nothing if the window holds them.
                    assert!(deflater.compress(&first[..100], &mut out));
                    assert_eq!(out.len() < 50, is_reachable, "level {level}, {bits} bits, {distance} back: {out:?}");
                }
            }
        }
    }

    /// Something that compresses a little: runs of random length over random bytes.
    fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let message = proptest::collection::vec((any::<u8>(), 1usize..300), 1..60)
            .prop_map(|runs| runs.into_iter().flat_map(|(byte, length)| vec![byte; length]).collect());
        proptest::collection::vec(message, 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn round_trip_in_every_combination(
            messages in messages(), noise in proptest::collection::vec(any::<u8>(), 1..3000),
            level in 0u32..=9, bits in 9u8..=15, forget: bool, cut in 0usize..4000,
        ) {
            let options = DeflateOptions {
                level,
                server_context_takeover: !forget,
                client_context_takeover: !forget,
                server_max_window_bits: bits,
                ..DeflateOptions::default()
            };
            let mut shared = agreement(&options);
            // The peer inflates what we deflate, with no larger window than was agreed.
            shared.client_max_window_bits = bits;
            let (mut deflater, mut inflater) = (Deflater::new(&shared), Inflater::new(&shared));
            for message in messages.iter().chain([&noise, &noise]) {
                let mut wire = Vec::new();
                prop_assert!(deflater.compress(message, &mut wire));
                let (first, second) = wire.split_at(cut.min(wire.len()));
                prop_assert_eq!(&inflated(&mut inflater, &[first, second], usize::MAX).unwrap(), message);
            }
        }
    }
}
