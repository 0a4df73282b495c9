//! Conditional requests (RFC 9110 §13): is the client's copy still good, and is it the one it believes?

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::header::{HeaderList, list_elements};

/// What identifies one version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validators {
    /// Strong entity tag, with its quotes.
    pub(crate) etag: String,
    /// Seconds since 1970.
    pub(crate) modified: i64,
}

/// What the preconditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send it.
    Send,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

impl Validators {
    /// `last-modified`.
    pub(crate) fn last_modified(&self) -> String {
        httpdate::fmt_http_date(self.time())
    }

    fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.modified).unwrap_or(0))
    }

    /// Evaluates the preconditions of a GET or HEAD request in the order of RFC 9110 §13.2.2.
    pub(crate) fn judge(&self, headers: &HeaderList) -> Verdict {
        if headers.get(b"if-match").is_some() {
            if !self.is_listed(headers, b"if-match", Comparison::Strong) {
                return Verdict::Failed;
            }
        } else if let Some(limit) = date(headers, b"if-unmodified-since")
            && self.time() > limit
        {
            return Verdict::Failed;
        }
        if headers.get(b"if-none-match").is_some() {
            if self.is_listed(headers, b"if-none-match", Comparison::Weak) {
                return Verdict::NotModified;
            }
        } else if let Some(known) = date(headers, b"if-modified-since")
            && self.time() <= known
        {
            return Verdict::NotModified;
        }
        Verdict::Send
    }

    /// RFC 9110 §13.1.5: whether a `range` may be honoured.
    pub(crate) fn allow_range(&self, headers: &HeaderList) -> bool {
        match headers.get(b"if-range") {
            None => true,
            Some(tag) if tag.ends_with(b"\"") => tag == self.etag.as_bytes(),
            // A date has to be exactly ours, and old enough that nothing changed within its second.
            Some(_) => date(headers, b"if-range").is_some_and(|known| known == self.time() && self.is_settled()),
        }
    }

    fn is_settled(&self) -> bool {
        SystemTime::now().duration_since(self.time()).is_ok_and(|age| age > Duration::from_secs(1))
    }

    fn is_listed(&self, headers: &HeaderList, field: &[u8], comparison: Comparison) -> bool {
        headers.values(field).flat_map(list_elements).any(|tag| match (comparison, tag.strip_prefix(b"W/")) {
            _ if tag == b"*" => true,
            (Comparison::Strong, Some(_)) => false,
            (_, opaque) => opaque.unwrap_or(tag) == self.etag.as_bytes(),
        })
    }
}

#[derive(Clone, Copy)]
enum Comparison {
    Strong,
    Weak,
}

/// A date that cannot be read counts as none (RFC 9110 §13.1.3).
fn date(headers: &HeaderList, field: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(headers.get(field)?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";

    fn file() -> Validators {
        Validators { etag: "\"a-1\"".to_owned(), modified: 784_111_777 }
    }

    fn list(fields: &[(&str, &str)]) -> HeaderList {
        let mut list = HeaderList::new();
        fields.iter().for_each(|(name, value)| list.push(name.as_bytes(), value.as_bytes()));
        list
    }

    #[test]
    fn rfc_9110_13_2_2_precedence() {
        use Verdict::{Failed, NotModified, Send};
        let table: &[(&[(&str, &str)], Verdict)] = &[
            (&[], Send),
            (&[("if-match", "\"a-1\"")], Send),
            (&[("if-match", "\"b\", \"a-1\"")], Send),
            (&[("if-match", "*")], Send),
            (&[("if-match", "W/\"a-1\"")], Failed),
            (&[("if-match", "\"b\"")], Failed),
            (&[("if-match", "\"a-1\""), ("if-unmodified-since", BEFORE)], Send),
            (&[("if-unmodified-since", BEFORE)], Failed),
            (&[("if-unmodified-since", THEN)], Send),
            (&[("if-unmodified-since", "nonsense")], Send),
            (&[("if-none-match", "\"a-1\"")], NotModified),
            (&[("if-none-match", "W/\"a-1\"")], NotModified),
            (&[("if-none-match", "\"x\""), ("if-none-match", "\"a-1\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"b\"")], Send),
            (&[("if-none-match", "\"b\""), ("if-modified-since", AFTER)], Send),
            (&[("if-modified-since", BEFORE)], Send),
            (&[("if-modified-since", THEN)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", "1994")], Send),
            (&[("if-match", "\"b\""), ("if-none-match", "\"a-1\"")], Failed),
        ];
        for (fields, expected) in table {
            assert_eq!(file().judge(&list(fields)), *expected, "{fields:?}");
        }
        assert_eq!(file().last_modified(), THEN);
    }

    #[test]
    fn rfc_9110_13_1_5_if_range() {
        for (value, expected) in [
            ("\"a-1\"", true),
            ("W/\"a-1\"", false),
            ("\"b\"", false),
            (THEN, true),
            (AFTER, false),
            (BEFORE, false),
            ("x", false),
        ] {
            assert_eq!(file().allow_range(&list(&[("if-range", value)])), expected, "{value}");
        }
        assert!(file().allow_range(&list(&[])));
    }
}
