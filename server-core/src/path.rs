//! Request target decoding (PATH-1 to PATH-10).

use memchr::memchr;
use std::borrow::Cow;

/// A decoded path: characters when the octets were valid UTF-8, else the octets themselves (PATH-3).
#[derive(Debug, PartialEq, Eq)]
pub enum Path<'a> {
    /// Valid UTF-8 (PATH-2).
    Text(Cow<'a, str>),
    /// Not UTF-8: each octet stands for the character of the same number.
    Octets(Vec<u8>),
}

/// Percent-decodes once; malformed escapes stay literal (PATH-7).
#[must_use]
pub fn percent_decode(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr(b'%', raw) else {
        return Cow::Borrowed(raw);
    };
    let mut decoded = Vec::with_capacity(raw.len());
    decoded.extend_from_slice(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                decoded.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// `path` from `raw_path`: percent-decode, then strict UTF-8, else the octets (PATH-2, PATH-3, PATH-10).
#[must_use]
pub fn decode(raw: &[u8]) -> Path<'_> {
    match percent_decode(raw) {
        Cow::Borrowed(octets) => match std::str::from_utf8(octets) {
            Ok(text) => Path::Text(Cow::Borrowed(text)),
            Err(_) => Path::Octets(octets.to_vec()),
        },
        Cow::Owned(octets) => match String::from_utf8(octets) {
            Ok(text) => Path::Text(Cow::Owned(text)),
            Err(error) => Path::Octets(error.into_bytes()),
        },
    }
}

/// Removes the mount point from a raw path when it is a whole-segment prefix (PATH-6): `/app` from `/app/x`, not from
/// `/application`. What is left starts with `/`.
#[must_use]
pub fn strip_root<'a>(raw: &'a [u8], root: &str) -> &'a [u8] {
    match raw.strip_prefix(root.as_bytes()) {
        Some(b"") if !root.is_empty() => b"/",
        Some(rest) if rest.starts_with(b"/") => rest,
        _ => raw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn path_7_table() {
        for (raw, expected) in [
            ("/a+b", "/a+b"),
            ("/a%2Bb", "/a+b"),
            ("/a%2Fb", "/a/b"),
            ("/a%00b", "/a\0b"),
            ("//x", "//x"),
            ("/../x", "/../x"),
            ("/%zz", "/%zz"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%%41", "/%A"),
            ("/users/%E4%B8%AD%E6%96%87", "/users/中文"),
        ] {
            assert_eq!(decode(raw.as_bytes()), Path::Text(expected.into()), "{raw}");
        }
    }

    #[test]
    fn path_3_and_path_10_fall_back_to_octets() {
        assert_eq!(decode(b"/users/%FF%FE"), Path::Octets(b"/users/\xFF\xFE".to_vec()));
        assert_eq!(decode(b"/%C0%80"), Path::Octets(b"/\xC0\x80".to_vec()));
        assert_eq!(decode(b"/%ED%A0%80"), Path::Octets(b"/\xED\xA0\x80".to_vec()));
    }

    #[test]
    fn path_6_strips_whole_segments_only() {
        assert_eq!(strip_root(b"/app/x", "/app"), b"/x");
        assert_eq!(strip_root(b"/app", "/app"), b"/");
        assert_eq!(strip_root(b"/application", "/app"), b"/application");
        assert_eq!(strip_root(b"/x", ""), b"/x");
    }

    proptest! {
        #[test]
        fn path_7_decoding_inverts_encoding(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let encoded: String = octets.iter().map(|octet| format!("%{octet:02X}")).collect();
            prop_assert_eq!(percent_decode(encoded.as_bytes()).into_owned(), octets);
        }

        #[test]
        fn path_7_never_grows(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(percent_decode(&raw).len() <= raw.len());
        }
    }
}
