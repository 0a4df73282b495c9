//! Lines of an application's standard error, and for which request they were written: Perl's STDERR marks what it writes
//! (`perl-runtime/shim/stderr.c`), other writers do not.
//!
//! A mark is NUL, token, space, name, space, number of bytes, line feed. The token is a secret of the process, so that what an
//! application writes is never taken for a mark.

use std::hash::{BuildHasher, RandomState};

/// A longer line is given out in pieces.
const LONGEST_LINE: usize = 8192;
/// Bytes of a mark behind its token: a name has up to 128.
const LONGEST_MARK: usize = 160;

/// A new token.
#[must_use]
pub fn token() -> String {
    // Seeded by the system, each with keys of its own.
    let chance = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", chance(), chance())
}

/// Whose a line is that is not complete yet.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Author {
    /// Nothing of it is there.
    #[default]
    Open,
    /// One request's.
    Request(String),
    /// Somebody else's, or several requests'.
    Nobody,
}

/// Takes bytes, gives lines.
#[derive(Debug)]
pub struct Lines {
    /// NUL and token.
    start: Vec<u8>,
    /// Not looked at yet.
    raw: Vec<u8>,
    /// So many bytes are still this request's.
    marked: Option<(String, usize)>,
    line: Vec<u8>,
    author: Author,
}

impl Lines {
    /// Of a stream that is marked with this token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        let start = [b"\0", token.as_bytes()].concat();
        Self { start, raw: Vec::new(), marked: None, line: Vec::new(), author: Author::Open }
    }

    /// Takes what was read, and gives each complete line with the name of its request.
    pub fn feed(&mut self, bytes: &[u8], emit: &mut dyn FnMut(&[u8], Option<&str>)) {
        self.raw.extend_from_slice(bytes);
        let raw = std::mem::take(&mut self.raw);
        let mut rest = raw.as_slice();
        while !rest.is_empty() {
            if let Some((name, owed)) = self.marked.take() {
                let (own, after) = rest.split_at(owed.min(rest.len()));
                self.text(own, Some(&name), emit);
                self.marked = Some((name, owed - own.len())).filter(|(_, owed)| *owed > 0);
                rest = after;
                continue;
            }
            let next = rest.windows(self.start.len()).position(|bytes| bytes == self.start);
            // A mark may begin at the end of what there is.
            let plain = next.unwrap_or_else(|| rest.len() - self.beginning_of_mark(rest));
            self.text(&rest[..plain], None, emit);
            rest = &rest[plain..];
            if next.is_none() {
                break;
            }
            match self.mark(rest) {
                Mark::Complete(mark, length) => {
                    self.marked = Some(mark).filter(|(_, owed)| *owed > 0);
                    rest = &rest[length..];
                }
                Mark::Unfinished => break,
                Mark::None => {
                    self.text(&rest[..self.start.len()], None, emit);
                    rest = &rest[self.start.len()..];
                }
            }
        }
        self.raw = rest.to_vec();
    }

    /// Gives what is left at the end of the stream.
    pub fn end(&mut self, emit: &mut dyn FnMut(&[u8], Option<&str>)) {
        let raw = std::mem::take(&mut self.raw);
        self.text(&raw, None, emit);
        if !self.line.is_empty() {
            self.give(emit);
        }
    }

    /// How many bytes at the end may be the beginning of a mark.
    fn beginning_of_mark(&self, bytes: &[u8]) -> usize {
        let longest = (self.start.len() - 1).min(bytes.len());
        (1..=longest).rev().find(|&length| bytes.ends_with(&self.start[..length])).unwrap_or(0)
    }

    /// The mark at the beginning of these bytes.
    fn mark(&self, bytes: &[u8]) -> Mark {
        let rest = &bytes[self.start.len()..];
        let Some(end) = rest.iter().take(LONGEST_MARK).position(|&byte| byte == b'\n') else {
            return if rest.len() < LONGEST_MARK { Mark::Unfinished } else { Mark::None };
        };
        let mut words = std::str::from_utf8(&rest[..end]).unwrap_or_default().split(' ');
        match (words.next(), words.next(), words.next().map(str::parse), words.next()) {
            (Some(""), Some(name), Some(Ok(owed)), None) if !name.is_empty() => {
                Mark::Complete((name.to_owned(), owed), self.start.len() + end + 1)
            }
            _ => Mark::None,
        }
    }

    fn text(&mut self, mut bytes: &[u8], name: Option<&str>, emit: &mut dyn FnMut(&[u8], Option<&str>)) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let room = LONGEST_LINE - self.line.len();
            let taken = end.unwrap_or(bytes.len()).min(room);
            self.line.extend_from_slice(&bytes[..taken]);
            self.author = match (&self.author, name) {
                (Author::Open, Some(name)) => Author::Request(name.to_owned()),
                (Author::Request(known), Some(name)) if known == name => Author::Request(name.to_owned()),
                _ => Author::Nobody,
            };
            bytes = &bytes[taken..];
            if end == Some(taken) {
                bytes = &bytes[1..];
                self.give(emit);
            } else if self.line.len() == LONGEST_LINE {
                self.give(emit);
            }
        }
    }

    fn give(&mut self, emit: &mut dyn FnMut(&[u8], Option<&str>)) {
        let line = std::mem::take(&mut self.line);
        match std::mem::take(&mut self.author) {
            Author::Request(name) => emit(&line, Some(&name)),
            Author::Open | Author::Nobody => emit(&line, None),
        }
    }
}

enum Mark {
    Complete((String, usize), usize),
    Unfinished,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    /// What comes of pieces of a stream.
    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::new(TOKEN);
        let mut found = Vec::new();
        let mut emit = |line: &[u8], name: Option<&str>| {
            found.push(format!("{}:{}", name.unwrap_or("-"), String::from_utf8_lossy(line)));
        };
        pieces.iter().for_each(|piece| lines.feed(piece.as_bytes(), &mut emit));
        lines.end(&mut emit);
        found
    }

    fn marked(name: &str, text: &str) -> String {
        format!("\0{TOKEN} {name} {}\n{text}", text.len())
    }

    #[test]
    fn lines_of_requests_and_of_others() {
        let stream =
            format!("loose\n{}{}free\n{}", marked("a-1", "one\ntwo\n"), marked("b", "three\n"), marked("c", "end"));
        let expected = ["-:loose", "a-1:one", "a-1:two", "b:three", "-:free", "c:end"];
        assert_eq!(lines(&[&stream]), expected);
        // However it is cut.
        for cut in 0..stream.len() {
            assert_eq!(lines(&[&stream[..cut], &stream[cut..]]), expected, "cut at {cut}");
        }
        let bytes: Vec<String> = stream.chars().map(String::from).collect();
        assert_eq!(lines(&bytes.iter().map(String::as_str).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn a_line_of_several_is_nobodys() {
        assert_eq!(lines(&[&(marked("a", "x ") + &marked("a", "y\n"))]), ["a:x y"]);
        assert_eq!(lines(&[&(marked("a", "x ") + &marked("b", "y\n") + &marked("b", "z\n"))]), ["-:x y", "b:z"]);
        assert_eq!(lines(&[&format!("x {}", marked("a", "y\n"))]), ["-:x y"]);
        assert_eq!(lines(&["\n\na\n"]), ["-:", "-:", "-:a"]);
    }

    #[test]
    fn what_is_no_mark_is_text() {
        for text in ["\0", "\0 12345 a 3", "\0fedcba9876543210 a 3", "a\0b"] {
            assert_eq!(lines(&[text]), [format!("-:{text}")]);
        }
        let broken = format!("\0{TOKEN} a b\n");
        assert_eq!(lines(&[&broken]), [format!("-:\0{TOKEN} a b")]);
        let endless = format!("\0{TOKEN} {}", "x".repeat(400));
        assert_eq!(lines(&[&endless]), [format!("-:{endless}")]);
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let long = "x".repeat(LONGEST_LINE + 5);
        let found = lines(&[&marked("a", &format!("{long}\n"))]);
        assert_eq!(found, [format!("a:{}", &long[..LONGEST_LINE]), "a:xxxxx".to_owned()]);
        let full = "x".repeat(LONGEST_LINE);
        assert_eq!(lines(&[&format!("{full}\nnext\n")]), [format!("-:{full}"), "-:next".to_owned()]);
    }

    #[test]
    fn tokens_differ() {
        assert!(token() != token() && token().len() == 32);
    }
}
