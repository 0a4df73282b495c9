//! Hostile and ambiguous requests, kept as text files in `tests/corpus`.
//!
//! ```text
//! == name | citation | expectation
//! bytes, with \r \n \t \0 \\ \xHH and \{count:text}; lines are joined without a separator
//! > what the application saw, one line for each request that has to reach it
//! ```
//!
//! An expectation is a status (the only response, then the connection is closed), `accept` (the application answers
//! every `>` line), `accept close` (the same, then the connection is closed), or `accept` and a status (the same, then a
//! refusal with that status, then the connection is closed).

use std::fs;
use std::path::PathBuf;

/// One request, or several in one go.
#[derive(Debug, Clone)]
pub struct Case {
    /// File and name.
    pub name: String,
    /// The text that decides.
    pub citation: String,
    /// What the application has to see, in order.
    pub seen: Vec<Vec<u8>>,
    /// Status of the server's refusal after that.
    pub refusal: Option<u16>,
    /// Whether the connection has to be closed by the server.
    pub closes: bool,
    /// What to send.
    pub bytes: Vec<u8>,
}

/// All cases of one file, or of all files.
pub fn read(only: Option<&str>) -> Vec<Case> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    files.retain(|path| only.is_none_or(|only| stem(path) == only));
    assert!(!files.is_empty(), "no corpus file {only:?} in {}", directory.display());
    files.iter().flat_map(|path| parse(&stem(path), &fs::read_to_string(path).expect("a text file"))).collect()
}

fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(parse_title(file, title));
        } else if line.is_empty() || line.starts_with('#') {
            // Blank lines and remarks are for people.
        } else {
            let case = cases.last_mut().unwrap_or_else(|| panic!("{file}: {line:?} stands before any case"));
            match line.strip_prefix("> ") {
                Some(seen) => case.seen.push(unescape(seen)),
                None => case.bytes.extend(unescape(line)),
            }
        }
    }
    for case in &cases {
        let expects = case.closes as usize + case.seen.len();
        assert!(expects > 0 && !case.bytes.is_empty(), "{}: nothing to send or to expect", case.name);
    }
    cases
}

fn parse_title(file: &str, title: &str) -> Case {
    let parts: Vec<&str> = title.split(" | ").collect();
    let [name, citation, expectation] = parts[..] else {
        panic!("{file}: not 'name | citation | expectation': {title}")
    };
    let end = expectation.strip_prefix("accept").unwrap_or(expectation).trim();
    let refusal = match end {
        "" | "close" => None,
        status => Some(status.parse().unwrap_or_else(|_| panic!("{file}: {name}: no expectation: {expectation}"))),
    };
    Case {
        name: format!("{file}: {name}"),
        citation: citation.to_owned(),
        seen: Vec::new(),
        refusal,
        closes: !end.is_empty(),
        bytes: Vec::new(),
    }
}

/// Undoes the escapes.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&kind, tail) = rest.split_first().unwrap_or_else(|| panic!("a backslash at the end of {text:?}"));
        rest = tail;
        match kind {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("two hex digits");
                out.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
                rest = &rest[2..];
            }
            b'{' => {
                let close = rest.iter().position(|&byte| byte == b'}').expect("a closing brace");
                let inner = std::str::from_utf8(&rest[..close]).expect("text");
                let (count, repeated) = inner.split_once(':').expect("count:text");
                out.extend(unescape(repeated).repeat(count.parse().expect("a number")));
                rest = &rest[close + 1..];
            }
            _ => panic!("unknown escape in {text:?}"),
        }
    }
    out
}
