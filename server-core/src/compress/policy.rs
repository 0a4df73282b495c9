//! Which responses are compressed, and what that does to their heads. Pure functions.

use serde::{Deserialize, Serialize};

use crate::coding::{Coding, Wishes};
use crate::header::{HeaderList, has_token};
use crate::media;
use crate::scope::{RequestHead, Version};

/// What may be compressed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompressionOptions {
    /// Codings that are offered, the preferred ones first. `compress`, none by default: off.
    pub codings: Vec<Coding>,
    /// Smallest body in bytes. `compress_min_size`, default 1024.
    pub min_size: usize,
    /// Effort from 1 to 9. `compress_level`, default 4.
    pub level: u32,
    /// Media types, `text/*` for a whole family; empty for [`media::is_compressible`]. `compress_types`.
    pub types: Vec<String>,
}

impl Default for CompressionOptions {
    fn default() -> Self {
        Self { codings: Vec::new(), min_size: 1024, level: 4, types: Vec::new() }
    }
}

/// What is to be done with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing.
    Leave,
    /// It depends on the client, and this one does not want it.
    Vary,
    /// Compress it, if there is enough of it.
    Compress(Coding),
}

impl CompressionOptions {
    /// Looks at the heads of request and response; the size is a question for later, unless it is declared.
    pub(crate) fn decide(
        &self,
        request: &RequestHead,
        status: u16,
        headers: &HeaderList,
        declared: Option<u64>,
    ) -> Decision {
        let suits = !self.codings.is_empty()
            && !matches!(status, 204..=206 | 304)
            && declared.is_none_or(|length| length >= self.min_size as u64)
            && !FORBIDDING.iter().any(|name| headers.get(name).is_some())
            && !headers.values(b"cache-control").any(|value| has_token(value, b"no-transform"))
            && headers.get(b"content-type").is_some_and(|media| self.suits(media));
        // Chunked coding, which a body of unknown length needs, came with HTTP/1.1.
        if !suits {
            return Decision::Leave;
        }
        if request.version == Version::Http10 {
            return Decision::Vary;
        }
        let ranked = Wishes::of(request.headers()).ranked(&self.codings);
        ranked.first().map_or(Decision::Vary, |&coding| Decision::Compress(coding))
    }

    fn suits(&self, media: &[u8]) -> bool {
        let Ok(media) = std::str::from_utf8(media) else { return false };
        if self.types.is_empty() {
            return media::is_compressible(media);
        }
        let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.types.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(family) => essence.starts_with(family) && essence != "text/event-stream",
            None => essence == *wanted,
        })
    }
}

/// Fields that speak about the bytes as they are: they would become wrong.
const FORBIDDING: [&[u8]; 6] =
    [b"content-encoding", b"content-range", b"content-digest", b"repr-digest", b"digest", b"content-md5"];

/// Says that another client may get another representation.
pub(crate) fn vary(headers: &mut HeaderList) {
    let known = headers.values(b"vary").any(|value| has_token(value, b"accept-encoding") || has_token(value, b"*"));
    if !known {
        headers.push(b"vary", b"accept-encoding");
    }
}

/// Turns the head of a response into that of its compressed form; `length` is declared if it is known.
pub(crate) fn transform(headers: &mut HeaderList, coding: Coding, length: Option<usize>) {
    vary(headers);
    headers.remove(b"content-length");
    // Nobody could say which bytes a range of this means.
    headers.remove(b"accept-ranges");
    headers.push(b"content-encoding", coding.name().as_bytes());
    if let Some(length) = length {
        headers.push(b"content-length", itoa::Buffer::new().format(length).as_bytes());
    }
    // RFC 9110 §8.8.3: a strong tag belongs to one sequence of bytes.
    let weak = headers.get(b"etag").filter(|tag| tag.starts_with(b"\"")).map(|tag| [b"W/", tag].concat());
    if let Some(weak) = weak {
        headers.replace(b"etag", &weak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::http1::head;

    fn list(fields: &[(&str, &str)]) -> HeaderList {
        let mut list = HeaderList::new();
        fields.iter().for_each(|(name, value)| list.push(name.as_bytes(), value.as_bytes()));
        list
    }

    fn decide(options: &CompressionOptions, request: &str, status: u16, fields: &[(&str, &str)]) -> Decision {
        let request = head::parse(request.as_bytes(), &Config::default()).unwrap();
        let declared =
            fields.iter().find(|(name, _)| *name == "content-length").map(|(_, value)| value.parse().unwrap());
        options.decide(&request, status, &list(fields), declared)
    }

    const WANTS: &str = "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n";

    #[test]
    fn what_is_compressed() {
        let options = CompressionOptions { codings: vec![Coding::Zstd, Coding::Gzip], ..CompressionOptions::default() };
        let gzip = Decision::Compress(Coding::Gzip);
        const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
        type Fields = &'static [(&'static str, &'static str)];
        let table: &[(u16, Fields, Decision)] = &[
            (200, &[HTML], gzip),
            (404, &[HTML], gzip),
            (200, &[HTML, ("content-length", "1024")], gzip),
            (200, &[HTML, ("content-length", "1023")], Decision::Leave),
            (200, &[], Decision::Leave),
            (200, &[("content-type", "image/png")], Decision::Leave),
            (200, &[("content-type", "text/event-stream")], Decision::Leave),
            (204, &[HTML], Decision::Leave),
            (206, &[HTML], Decision::Leave),
            (304, &[HTML], Decision::Leave),
            (200, &[HTML, ("content-encoding", "br")], Decision::Leave),
            (200, &[HTML, ("content-range", "bytes 0-1/2")], Decision::Leave),
            (200, &[HTML, ("content-digest", "x")], Decision::Leave),
            (200, &[HTML, ("cache-control", "public, no-transform")], Decision::Leave),
        ];
        for (status, fields, expected) in table {
            assert_eq!(decide(&options, WANTS, *status, fields), *expected, "{status} {fields:?}");
        }
        assert_eq!(decide(&options, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, &[HTML]), Decision::Vary);
        assert_eq!(decide(&options, "GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n", 200, &[HTML]), Decision::Vary);
        assert_eq!(decide(&CompressionOptions::default(), WANTS, 200, &[HTML]), Decision::Leave, "off by default");
        let own = CompressionOptions { types: vec!["image/*".into(), "a/b".into()], ..options };
        for (media, expected) in [("image/png", gzip), ("A/B; c=d", gzip), ("text/html", Decision::Leave)] {
            assert_eq!(decide(&own, WANTS, 200, &[("content-type", media)]), expected, "{media}");
        }
    }

    #[test]
    fn what_becomes_of_the_head() {
        let mut headers = list(&[
            ("Content-Length", "5"),
            ("ETag", "\"a\""),
            ("accept-ranges", "bytes"),
            ("vary", "cookie"),
            ("x", "y"),
        ]);
        transform(&mut headers, Coding::Brotli, Some(3));
        let fields: Vec<_> =
            headers.iter().map(|(name, value)| [name, value].map(String::from_utf8_lossy).join(": ")).collect();
        let expected = [
            "ETag: W/\"a\"",
            "vary: cookie",
            "x: y",
            "vary: accept-encoding",
            "content-encoding: br",
            "content-length: 3",
        ];
        assert_eq!(fields, expected);
        let mut weak = list(&[("etag", "W/\"a\""), ("vary", "Accept-Encoding")]);
        transform(&mut weak, Coding::Gzip, None);
        assert_eq!((weak.get(b"etag"), weak.values(b"vary").count()), (Some(&b"W/\"a\""[..]), 1));
    }
}
