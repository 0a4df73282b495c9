//! Finding the frames in what a client sends: nine bytes of header each, the payload passed over (RFC 9113 §4.1).

/// Kinds of frame that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    ResetStream,
    /// Everything else: SETTINGS, PING, PRIORITY, WINDOW_UPDATE, CONTINUATION, unknown ones.
    Control,
}

/// What is known of a frame from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Payload bytes.
    pub(super) length: u32,
    /// END_STREAM on DATA and HEADERS.
    pub(super) ends_stream: bool,
}

const HEADER: usize = 9;
const TYPE_DATA: u8 = 0x0;
const TYPE_HEADERS: u8 = 0x1;
const TYPE_RST_STREAM: u8 = 0x3;
const TYPE_PING: u8 = 0x6;
const TYPE_CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Follows one direction of a connection, byte by byte whatever the pieces are.
#[derive(Debug)]
pub(super) struct FrameScanner {
    header: [u8; HEADER],
    have: usize,
    /// Preface or payload bytes still to be passed over.
    skip: usize,
    /// A HEADERS frame has begun whose last CONTINUATION has not come.
    in_header_block: bool,
    /// That HEADERS frame's block ends with the payload which is being passed over.
    block_ends: bool,
    /// What is passed over is the payload of an acknowledged PING.
    in_pong: bool,
}

impl FrameScanner {
    /// A scanner that passes over a preface first.
    pub(super) fn new(preface: usize) -> Self {
        Self { header: [0; HEADER], have: 0, skip: preface, in_header_block: false, block_ends: false, in_pong: false }
    }

    /// Whether the client owes us the rest of a header block.
    pub(super) fn in_header_block(&self) -> bool {
        self.in_header_block
    }

    /// Whether a frame has just ended.
    pub(super) fn between_frames(&self) -> bool {
        self.have == 0 && self.skip == 0
    }

    /// Takes bytes; tells each frame whose header is complete with them. Returns where among them the payload of the last
    /// acknowledged PING ends, if one does.
    pub(super) fn scan(&mut self, all: &[u8], mut found: impl FnMut(Frame)) -> Option<usize> {
        let mut bytes = all;
        let mut pong_end = None;
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = &bytes[passed..];
            if self.skip > 0 {
                return pong_end;
            }
            if std::mem::take(&mut self.in_pong) && passed > 0 {
                pong_end = Some(all.len() - bytes.len());
            }
            if std::mem::take(&mut self.block_ends) {
                self.in_header_block = false;
            }
            if bytes.is_empty() {
                return pong_end;
            }
            let taken = (HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < HEADER {
                return pong_end;
            }
            self.have = 0;
            found(self.begin());
        }
    }

    fn begin(&mut self) -> Frame {
        let [a, b, c, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]);
        self.skip = length as usize;
        if matches!(kind, TYPE_HEADERS | TYPE_CONTINUATION) {
            self.in_header_block = true;
            self.block_ends = flags & END_HEADERS != 0;
        }
        self.in_pong = kind == TYPE_PING && flags & ACK != 0;
        let kind = match kind {
            TYPE_DATA => Kind::Data,
            TYPE_HEADERS => Kind::Headers,
            TYPE_RST_STREAM => Kind::ResetStream,
            _ => Kind::Control,
        };
        let ends_stream = flags & END_STREAM != 0 && matches!(kind, Kind::Data | Kind::Headers);
        Frame { kind, length, ends_stream }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn scan(scanner: &mut FrameScanner, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        scanner.scan(bytes, |frame| frames.push(frame));
        frames
    }

    #[test]
    fn kinds_and_flags() {
        let wire = [
            b"PRI".to_vec(),
            frame(4, 1, b""),
            frame(1, 5, b"head"),
            frame(0, 0, b""),
            frame(0, 1, &[7; 300]),
            frame(3, 0, &[0; 4]),
            frame(0xbe, 0xff, b"?"),
        ]
        .concat();
        let of = |kind, length, ends_stream| Frame { kind, length, ends_stream };
        assert_eq!(
            scan(&mut FrameScanner::new(3), &wire),
            [
                of(Kind::Control, 0, false),
                of(Kind::Headers, 4, true),
                of(Kind::Data, 0, false),
                of(Kind::Data, 300, true),
                of(Kind::ResetStream, 4, false),
                of(Kind::Control, 1, false),
            ]
        );
    }

    #[test]
    fn a_header_block_lasts_to_the_end_of_its_last_continuation() {
        let mut scanner = FrameScanner::new(0);
        scan(&mut scanner, &frame(1, 0, b"first"));
        assert!(scanner.in_header_block());
        let last = frame(9, 4, b"second");
        scan(&mut scanner, &last[..last.len() - 1]);
        assert!(scanner.in_header_block());
        scan(&mut scanner, &last[last.len() - 1..]);
        assert!(!scanner.in_header_block());
        scan(&mut scanner, &frame(1, 4, b""));
        assert!(!scanner.in_header_block());
    }

    #[test]
    fn tells_where_the_answer_to_a_ping_ends() {
        let wire = [frame(6, 0, &[1; 8]), frame(6, 1, &[2; 8]), frame(1, 5, b"head")].concat();
        assert_eq!(FrameScanner::new(0).scan(&wire, |_| ()), Some(34));
        for cut in 18..34 {
            let mut scanner = FrameScanner::new(0);
            assert_eq!(scanner.scan(&wire[..cut], |_| ()), None, "{cut}");
            assert_eq!(scanner.scan(&wire[cut..], |_| ()), Some(34 - cut), "{cut}");
            assert!(scanner.between_frames());
        }
        assert_eq!(FrameScanner::new(0).scan(&frame(6, 1, b""), |_| ()), None);
    }

    proptest! {
        #[test]
        fn any_split_finds_the_same_frames(
            frames in proptest::collection::vec((0u8..12, any::<u8>(), 0usize..50), 0..10),
            cut in 0usize..700,
        ) {
            let wire: Vec<u8> =
                frames.iter().flat_map(|&(kind, flags, length)| frame(kind, flags, &vec![0xff; length])).collect();
            let cut = cut.min(wire.len());
            let whole = scan(&mut FrameScanner::new(0), &wire);
            let mut scanner = FrameScanner::new(0);
            let mut pieces = scan(&mut scanner, &wire[..cut]);
            pieces.extend(scan(&mut scanner, &wire[cut..]));
            prop_assert_eq!(whole.len(), frames.len());
            prop_assert_eq!(whole, pieces);
        }
    }
}
