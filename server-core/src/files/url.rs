//! From the path of a request to the name of a file. Whatever is ambiguous names nothing: a name that two programs could
//! read differently is how files leak.

use std::borrow::Cow;

use crate::path::percent_decode;

/// The part of a path below a prefix, when the prefix covers whole segments of it: `/x` of `/a/x` for `/a`, nothing of
/// `/ab`. The prefix has no slash at its end; the empty one covers everything.
#[must_use]
pub(crate) fn below<'a>(path: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(prefix.as_bytes())?;
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

/// The path of a request, decoded once (PATH-7), and whether it is the only way to read it: an encoded slash may be meant
/// as one or not.
#[must_use]
pub(crate) fn decoded(raw: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let slashes = |bytes: &[u8]| memchr::memchr_iter(b'/', bytes).count();
    let path = percent_decode(raw);
    let is_clear = match &path {
        Cow::Borrowed(_) => true,
        Cow::Owned(path) => slashes(path) == slashes(raw),
    };
    (path, is_clear)
}

/// A file below a folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// Relative to the folder; empty for the folder itself.
    pub(crate) path: &'a str,
    /// The path ends in a slash: only a directory is meant.
    pub(crate) is_directory: bool,
}

/// The file that the rest of a decoded path names. No name has empty segments, segments that begin with a dot (which are
/// hidden, or lead upwards), backslashes, control characters, or bytes that are not UTF-8.
#[must_use]
pub(crate) fn name(rest: &[u8]) -> Option<Name<'_>> {
    let path = std::str::from_utf8(rest).ok()?;
    if matches!(path, "" | "/") {
        return Some(Name { path: "", is_directory: path == "/" });
    }
    let path = path.strip_prefix('/')?;
    let (path, is_directory) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
    let sound = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && !segment.chars().any(|character| character.is_control() || character == '\\')
    };
    path.split('/').all(sound).then_some(Name { path, is_directory })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(raw: &str) -> Option<(String, bool)> {
        let (path, is_clear) = decoded(raw.as_bytes());
        let name = name(below(&path, "/s").filter(|_| is_clear)?)?;
        Some((name.path.to_owned(), name.is_directory))
    }

    #[test]
    fn names() {
        for (raw, path, is_directory) in [
            ("/s", "", false),
            ("/s/", "", true),
            ("/s/a.css", "a.css", false),
            ("/s/a/b", "a/b", false),
            ("/s/a/", "a", true),
            ("/s/caf%C3%A9.txt", "café.txt", false),
            ("/s/a%20b+c", "a b+c", false),
            ("/%73/a", "a", false),
            ("/s/a..b", "a..b", false),
            ("/s/a%2525", "a%25", false),
        ] {
            assert_eq!(named(raw), Some((path.to_owned(), is_directory)), "{raw}");
        }
    }

    #[test]
    fn what_names_nothing() {
        for raw in [
            "/sx",
            "/",
            "/s//",
            "/s//a",
            "/s/a//b",
            "/s/a//",
            "/s/.",
            "/s/..",
            "/s/../x",
            "/s/a/../b",
            "/s/./a",
            "/s/.git/config",
            "/s/a/.hidden",
            "/s/%2e%2e/x",
            "/s/..%2fx",
            "/s/a%2Fb",
            "/s/a%00",
            "/s/a%5cb",
            "/s/..%5cx",
            "/s/%ff",
            "/s/a%0ab",
            "/s/%c0%ae%c0%ae/x",
            "/s/...",
            "/s/a/%2e",
            "/s%2fa",
            "/s/%7f",
        ] {
            assert_eq!(named(raw), None, "{raw}");
        }
    }
}
