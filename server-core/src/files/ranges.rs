//! Byte ranges (RFC 9110 §14).

use std::ops::Range;

use crate::header::list_elements;

/// Most ranges of one request that are honoured; a request for more gets the whole file.
pub(crate) const MAX_RANGES: usize = 16;

/// What a `range` field asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// Everything: the field is absent, of another unit, malformed, or asks for more than the file together.
    Whole,
    /// These parts, each within the file, in the order asked for.
    Parts(Vec<Range<u64>>),
    /// Nothing that exists: 416.
    Unsatisfiable,
}

/// Reads the field for content of this length.
pub(crate) fn parse(field: Option<&[u8]>, length: u64) -> Ranges {
    let Some(list) = field.and_then(unit) else { return Ranges::Whole };
    let mut parts = Vec::new();
    let mut any = false;
    for element in list_elements(list) {
        let Some(part) = part(element, length) else { return Ranges::Whole };
        any = true;
        parts.extend(part);
        if parts.len() > MAX_RANGES {
            return Ranges::Whole;
        }
    }
    let sum: u64 = parts.iter().fold(0, |sum, part| sum.saturating_add(part.end - part.start));
    match parts.is_empty() {
        _ if !any => Ranges::Whole,
        true => Ranges::Unsatisfiable,
        // Overlapping ranges are how a small request asks for a large answer (RFC 9110 §17.15).
        false if sum > length => Ranges::Whole,
        false => Ranges::Parts(parts),
    }
}

/// What follows `bytes=`.
fn unit(field: &[u8]) -> Option<&[u8]> {
    let equals = memchr::memchr(b'=', field)?;
    field[..equals].trim_ascii().eq_ignore_ascii_case(b"bytes").then(|| &field[equals + 1..])
}

/// One range: `None` when malformed, `Some(None)` when it lies outside.
fn part(element: &[u8], length: u64) -> Option<Option<Range<u64>>> {
    let dash = memchr::memchr(b'-', element)?;
    let (first, last) = (&element[..dash], &element[dash + 1..]);
    Some(match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => {
            let suffix = number(last)?.min(length);
            (suffix > 0).then(|| length - suffix..length)
        }
        (false, open) => {
            let first = number(first)?;
            let last = if open { u64::MAX } else { number(last)? };
            if last < first {
                return None;
            }
            (first < length).then(|| first..last.saturating_add(1).min(length))
        }
    })
}

/// Digits; a number that is too large is as good as the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::Ranges::{Parts, Unsatisfiable, Whole};
    use super::*;

    /// A range in a list of its own.
    fn one(range: std::ops::Range<u64>) -> super::Ranges {
        Parts(std::iter::once(range).collect())
    }

    #[test]
    fn rfc_9110_14_table() {
        for (field, expected) in [
            ("bytes=0-3", one(0..4)),
            ("Bytes = 0-0", one(0..1)),
            ("bytes=4-", one(4..10)),
            ("bytes=-3", one(7..10)),
            ("bytes=-300", one(0..10)),
            ("bytes=0-99999999999999999999", one(0..10)),
            ("bytes=9-9, 0-0", Parts(vec![9..10, 0..1])),
            ("bytes=20-30, 0-0", one(0..1)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=20-30", Unsatisfiable),
            ("bytes=", Whole),
            ("bytes=a-b", Whole),
            ("bytes=3-1", Whole),
            ("bytes=-", Whole),
            ("bytes=+1-2", Whole),
            ("lines=1-2", Whole),
            ("bytes 0-1", Whole),
            ("bytes=0-9,0-9", Whole),
            ("bytes=0-5, x", Whole),
        ] {
            assert_eq!(parse(Some(field.as_bytes()), 10), expected, "{field}");
        }
        assert_eq!(parse(None, 10), Whole);
        assert_eq!(parse(Some(b"bytes=0-"), 0), Unsatisfiable);
    }

    #[test]
    fn more_ranges_than_the_limit_are_the_whole_file() {
        let list = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(parse(Some(list(MAX_RANGES).as_bytes()), 100), Parts(vec![0..1; MAX_RANGES]));
        assert_eq!(parse(Some(list(MAX_RANGES + 1).as_bytes()), 100), Whole);
    }
}
