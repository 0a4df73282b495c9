//! Text that arrives in pieces, checked as it comes (WS-16).

/// The piece just given cannot be part of UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUtf8;

/// Collects text. A byte that can never become valid is noticed with the piece that holds it, not at the end of the
/// message; a character cut by a piece's end is kept back until the rest comes.
#[derive(Debug, Default)]
pub struct TextBuffer {
    text: String,
    /// The beginning of a character whose rest has not come; the standard library's verdict on it was "incomplete", so
    /// it never holds more than three bytes between calls.
    cut: [u8; 4],
    cut_length: usize,
}

impl TextBuffer {
    /// Appends a piece.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.cut_length > 0
            && let Some((&byte, rest)) = piece.split_first()
        {
            piece = rest;
            self.cut[self.cut_length] = byte;
            self.cut_length += 1;
            match std::str::from_utf8(&self.cut[..self.cut_length]) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.cut_length = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(NotUtf8),
            }
        }
        let valid = match std::str::from_utf8(piece) {
            Ok(text) => text,
            Err(error) if error.error_len().is_some() => return Err(NotUtf8),
            Err(error) => {
                let (whole, cut) = piece.split_at(error.valid_up_to());
                self.cut[..cut.len()].copy_from_slice(cut);
                self.cut_length = cut.len();
                std::str::from_utf8(whole).map_err(|_| NotUtf8)?
            }
        };
        self.text.push_str(valid);
        Ok(())
    }

    /// The whole text; an error when it ends inside a character.
    pub fn finish(self) -> Result<String, NotUtf8> {
        if self.cut_length == 0 { Ok(self.text) } else { Err(NotUtf8) }
    }

    /// Makes room for a piece of known size.
    pub fn reserve(&mut self, bytes: usize) {
        self.text.reserve_exact(bytes);
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() + self.cut_length
    }

    /// Whether nothing was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ws_16_fails_at_the_first_impossible_byte() {
        // The bytes before the last one could all become valid; with the last one nothing can.
        for bad in [
            &b"\x80"[..],
            b"\xc0",
            b"\xc2\x41",
            b"\xe0\x9f",
            b"\xed\xa0",
            b"\xe2\x82\x41",
            b"\xf0\x8f",
            b"\xf4\x90",
            b"\xf5",
            b"\xf0\x9f\x98\xc0",
        ] {
            let mut buffer = TextBuffer::default();
            let (last, first) = bad.split_last().unwrap();
            for byte in first {
                assert_eq!(buffer.push(&[*byte]), Ok(()), "{bad:x?}");
            }
            assert_eq!(buffer.push(&[*last]), Err(NotUtf8), "{bad:x?}");
            assert_eq!(TextBuffer::default().push(bad), Err(NotUtf8), "{bad:x?} at once");
        }
    }

    #[test]
    fn ws_16_an_unfinished_character_is_an_error_at_the_end() {
        let mut buffer = TextBuffer::default();
        buffer.push("a€".as_bytes().split_last().unwrap().1).unwrap();
        assert_eq!(buffer.len(), 3);
        assert_eq!(buffer.finish(), Err(NotUtf8));
    }

    proptest! {
        #[test]
        fn ws_14_any_cut_gives_the_same_text(text in "\\PC{0,40}", cuts in proptest::collection::vec(0usize..160, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut buffer = TextBuffer::default();
            let mut from = 0;
            for to in cuts.into_iter().chain([text.len()]) {
                buffer.push(&text.as_bytes()[from..to]).unwrap();
                from = to;
            }
            prop_assert_eq!(buffer.finish(), Ok(text));
        }

        #[test]
        fn ws_16_agrees_with_the_whole_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut buffer = TextBuffer::default();
            let taken = bytes.iter().try_for_each(|byte| buffer.push(&[*byte]));
            let text = taken.and_then(|()| buffer.finish());
            prop_assert_eq!(text.ok(), String::from_utf8(bytes).ok());
        }
    }
}
