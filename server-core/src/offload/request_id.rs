//! A name for each request: in its fields, in its response, in the scope and in logs.

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::scope::RequestHead;

/// Whose names are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Nobody's: each request gets a new one.
    Generate,
    /// Those of trusted proxies.
    Trusted,
    /// Everybody's.
    Accept,
}

/// How requests are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestIdOptions {
    /// Whose names are taken over. `request_id`, off by default.
    pub source: Source,
    /// The field, in lower case. `request_id_header`, `x-request-id` by default.
    pub header: String,
}

/// Longest name that is taken over.
const LONGEST: usize = 128;

impl RequestIdOptions {
    /// Gives the request its name, unless it has one that may be taken over.
    pub(crate) fn name(&self, head: &mut RequestHead, is_trusted: bool) {
        let field = self.header.as_bytes();
        if self.keep(head.headers.values(field), is_trusted).is_none() {
            head.headers.replace(field, fresh().as_bytes());
        }
    }

    /// The name of a request that is refused before it has a head: what it gives itself if that may be taken over, or a
    /// new one.
    pub(crate) fn name_refused<'a>(&self, given: impl Iterator<Item = &'a [u8]>, is_trusted: bool) -> Vec<u8> {
        self.keep(given, is_trusted).map_or_else(|| fresh().into_bytes(), <[u8]>::to_vec)
    }

    /// The one name that is given, if it may be taken over.
    fn keep<'a>(&self, mut given: impl Iterator<Item = &'a [u8]>, is_trusted: bool) -> Option<&'a [u8]> {
        let believed = match self.source {
            Source::Generate => false,
            Source::Trusted => is_trusted,
            Source::Accept => true,
        };
        let name = given.next().filter(|name| believed && is_sound(name))?;
        given.next().is_none().then_some(name)
    }
}

/// Whether a name can be copied into logs and fields as it is.
fn is_sound(name: &[u8]) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte))
}

/// 128 random bits in hexadecimal.
fn fresh() -> String {
    let mut bytes = [0; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // A system without random numbers has other troubles; names must only differ.
        bytes = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos())
            .to_be_bytes();
    }
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::http1::head;

    fn named(source: Source, is_trusted: bool, fields: &str) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut head = head::parse(text.as_bytes(), &Config::default()).unwrap();
        RequestIdOptions { source, header: "x-request-id".to_owned() }.name(&mut head, is_trusted);
        assert_eq!(head.headers().values(b"x-request-id").count(), 1);
        String::from_utf8_lossy(head.headers().get(b"x-request-id").unwrap()).into_owned()
    }

    #[test]
    fn whose_names_are_taken_over() {
        const GIVEN: &str = "X-Request-ID: abc-1\r\n";
        for (source, is_trusted, fields, kept) in [
            (Source::Generate, true, GIVEN, false),
            (Source::Trusted, true, GIVEN, true),
            (Source::Trusted, false, GIVEN, false),
            (Source::Accept, false, GIVEN, true),
            (Source::Accept, false, "", false),
            (Source::Accept, false, "X-Request-ID:\r\n", false),
            (Source::Accept, false, "X-Request-ID: a b\r\n", false),
            (Source::Accept, false, "X-Request-ID: a\"b\r\n", false),
            (Source::Accept, false, "X-Request-ID: abc-1\r\nX-Request-ID: abc-2\r\n", false),
        ] {
            assert_eq!(named(source, is_trusted, fields) == "abc-1", kept, "{source:?} {is_trusted} {fields}");
        }
        let long = |length: usize| named(Source::Accept, false, &format!("X-Request-ID: {}\r\n", "x".repeat(length)));
        assert_eq!((long(128).len(), long(129).len()), (128, 32));
    }

    #[test]
    fn names_differ() {
        let (one, other) = (named(Source::Generate, false, ""), named(Source::Generate, false, ""));
        assert!(one != other && one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
