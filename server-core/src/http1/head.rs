//! Request heads: `httparse` for the tokens, and on top of it everything an edge server has to refuse (RFC 9112).

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::Status;
use smallvec::SmallVec;

use crate::config::Config;
use crate::header::{HeaderList, has_token, list_elements};
use crate::http1::encode::wants_keep_alive;
use crate::refusal::Refusal;
use crate::scope::{BodyFraming, RequestHead, ScopeKind, Version};
use crate::websocket::handshake::Handshake;

/// Finds the end of a head in a growing buffer without looking at any byte twice (a slow flood of header bytes costs
/// linear time).
#[derive(Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
    line_checked: bool,
}

impl HeadScanner {
    /// Length of the complete head including its empty line, `None` when more bytes are needed, or the refusal for a
    /// head that is too long.
    pub fn scan(&mut self, buffer: &[u8], config: &Config) -> Result<Option<usize>, Refusal> {
        let from = self.scanned.saturating_sub(3);
        let end = memchr::memmem::find(&buffer[from..], b"\r\n\r\n").map(|at| from + at + 4);
        if !self.line_checked {
            match memchr::memchr(b'\n', &buffer[..buffer.len().min(config.max_request_line + 2)]) {
                Some(_) => self.line_checked = true,
                // A line of just that length is no longer when its line end comes in two pieces.
                None if buffer.len() > config.max_request_line + 1 => return Err(Refusal::URI_TOO_LONG),
                None => {}
            }
        }
        self.scanned = buffer.len();
        match end {
            Some(end) if end <= config.max_header_size => Ok(Some(end)),
            None if buffer.len() <= config.max_header_size => Ok(None),
            _ => Err(Refusal::HEAD_TOO_LARGE),
        }
    }
}

/// Parses a complete head (request line, fields and empty line).
pub fn parse(bytes: &[u8], config: &Config) -> Result<RequestHead, Refusal> {
    refuse_bare_line_ends(bytes)?;
    let mut fields = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; 64];
    match tokenise(bytes, &mut fields, config) {
        Err(TokenError::TooManyFields) if config.max_header_count > fields.len() => {
            let mut fields = vec![MaybeUninit::uninit(); config.max_header_count];
            tokenise(bytes, &mut fields, config)
        }
        other => other,
    }
    .map_err(|error| match error {
        TokenError::TooManyFields => Refusal::HEAD_TOO_LARGE,
        TokenError::Refused(refusal) => refusal,
    })
}

/// The values of a field in what could not be accepted as a head; nothing when it is no complete head at all, or one of
/// unusually many fields: a refusal should not cost more than an answer.
pub(super) fn values_in(bytes: &[u8], name: &str) -> Vec<Vec<u8>> {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(Status::Complete(_)) => {
            let named = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            named.map(|field| field.value.to_vec()).collect()
        }
        _ => Vec::new(),
    }
}

enum TokenError {
    TooManyFields,
    Refused(Refusal),
}

impl From<Refusal> for TokenError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn tokenise<'b>(
    bytes: &'b [u8],
    fields: &mut [MaybeUninit<httparse::Header<'b>>],
    config: &Config,
) -> Result<RequestHead, TokenError> {
    let mut request = httparse::Request::new(&mut []);
    match httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, fields) {
        Ok(Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(TokenError::TooManyFields),
        Err(httparse::Error::Version) => return Err(version_refusal(bytes).into()),
        _ => return Err(Refusal::BAD_REQUEST.into()),
    }
    if request.headers.len() > config.max_header_count {
        return Err(TokenError::TooManyFields);
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Refusal::BAD_REQUEST.into());
    };
    let offset = |slice: &[u8]| {
        let start = slice.as_ptr() as usize - bytes.as_ptr() as usize;
        start..start + slice.len()
    };
    let mut headers = HeaderList::over(bytes.to_vec());
    for field in request.headers.iter() {
        headers.push_ranges(offset(field.name.as_bytes()), offset(field.value));
    }
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let target = Target::parse(method, target.as_bytes(), offset(target.as_bytes()))?;
    check_host(&headers, config.needs_host && version == Version::Http11)?;
    let framing = body_framing(&headers, version)?;
    if let BodyFraming::Length(length) = framing
        && config.max_body_size > 0
        && length > config.max_body_size
    {
        return Err(Refusal::BODY_TOO_LARGE.into());
    }
    headers.join(b"cookie", b"; ");
    if let Some(authority) = target.authority {
        // RFC 9112 §3.2.2: an absolute-form target replaces the Host field.
        let authority = bytes[authority].to_vec();
        headers.replace(b"host", &authority);
    }
    let mut head = RequestHead {
        kind: ScopeKind::of(&headers),
        keep_alive: wants_keep_alive(&headers, version),
        expects_continue: version == Version::Http11
            && framing != BodyFraming::Length(0)
            && headers.values(b"expect").any(|value| has_token(value, b"100-continue")),
        method: offset(method.as_bytes()),
        path: target.path,
        query: target.query,
        websocket: None,
        version,
        client_version: version,
        framing,
        headers,
    };
    match Handshake::of(&head) {
        Handshake::NotUpgrade => {}
        Handshake::Valid(offer) => {
            head.kind = ScopeKind::WebSocket;
            head.websocket = Some(Box::new(offer));
        }
        Handshake::Refused(refusal) => return Err(Refusal::from(refusal).into()),
    }
    Ok(head)
}

/// Line ends are CRLF only: a bare LF or CR is how one parser's field becomes another's request (RFC 9112 §2.2).
fn refuse_bare_line_ends(bytes: &[u8]) -> Result<(), Refusal> {
    let bare = memchr::memchr2_iter(b'\r', b'\n', bytes).any(|at| match bytes[at] {
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        _ => bytes.get(at + 1) != Some(&b'\n'),
    });
    // httparse would skip any number of empty lines before the request line; one was skipped already.
    if bare || bytes.starts_with(b"\r\n") { Err(Refusal::BAD_REQUEST) } else { Ok(()) }
}

/// A well-formed request line with a version other than 1.0 and 1.1 is 505, anything else 400.
fn version_refusal(bytes: &[u8]) -> Refusal {
    let line = &bytes[..memchr::memchr(b'\r', bytes).unwrap_or(bytes.len())];
    let words: SmallVec<[&[u8]; 3]> = line.split(|&byte| byte == b' ').collect();
    match words[..] {
        [_, _, version] => match version.strip_prefix(b"HTTP/") {
            Some(b"1.0" | b"1.1") => Refusal::BAD_REQUEST,
            Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit() => Refusal::VERSION,
            _ => Refusal::BAD_REQUEST,
        },
        _ => Refusal::BAD_REQUEST,
    }
}

struct Target {
    path: Range<usize>,
    query: Range<usize>,
    authority: Option<Range<usize>>,
}

impl Target {
    /// The four forms of RFC 9112 §3.2, as ranges of the head.
    fn parse(method: &str, target: &[u8], at: Range<usize>) -> Result<Self, Refusal> {
        if method == "CONNECT" {
            return Err(Refusal::CONNECT);
        }
        if !target.iter().all(|byte| (0x21..=0x7e).contains(byte) && *byte != b'#') {
            return Err(Refusal::BAD_REQUEST);
        }
        if target == b"*" {
            return if method == "OPTIONS" {
                Ok(Self { path: at.clone(), query: at.end..at.end, authority: None })
            } else {
                Err(Refusal::BAD_REQUEST)
            };
        }
        let scheme_length = ["http://", "https://"]
            .iter()
            .find(|scheme| {
                target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
            })
            .map(|scheme| scheme.len());
        let (path_start, authority) = match scheme_length {
            None if target.starts_with(b"/") => (0, None),
            None => return Err(Refusal::BAD_REQUEST),
            Some(start) => {
                let length =
                    target[start..].iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(target.len() - start);
                if !is_authority(&target[start..start + length]) {
                    return Err(Refusal::BAD_REQUEST);
                }
                (start + length, Some(at.start + start..at.start + start + length))
            }
        };
        let rest = &target[path_start..];
        let question = memchr::memchr(b'?', rest).unwrap_or(rest.len());
        let start = at.start + path_start;
        let query_start = (start + question + 1).min(at.end);
        let path = match (question, scheme_length) {
            // RFC 9110 §4.2.3: an empty path is `/`. There is one at the end of the scheme.
            (0, Some(length)) => at.start + length - 1..at.start + length,
            _ => start..start + question,
        };
        Ok(Self { path, query: query_start..at.end, authority })
    }
}

/// RFC 9112 §3.2: exactly one valid Host on 1.1; at most one on 1.0.
fn check_host(headers: &HeaderList, is_needed: bool) -> Result<(), Refusal> {
    let mut hosts = headers.values(b"host");
    match (hosts.next(), hosts.next()) {
        (None, _) if !is_needed => Ok(()),
        (Some(host), None) if is_authority(host) => Ok(()),
        _ => Err(Refusal::BAD_REQUEST),
    }
}

/// `uri-host [":" port]`, not empty, without userinfo (RFC 9110 §7.2).
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    let (host, port) = match bytes {
        [b'[', rest @ ..] => match memchr::memchr(b']', rest) {
            Some(end) => {
                let address = std::str::from_utf8(&rest[..end]).unwrap_or_default();
                if address.parse::<std::net::Ipv6Addr>().is_err() {
                    return false;
                }
                (&b"v6"[..], &rest[end + 1..])
            }
            None => return false,
        },
        _ => match memchr::memchr(b':', bytes) {
            Some(colon) => bytes.split_at(colon),
            None => (bytes, &b""[..]),
        },
    };
    let host_ok =
        !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(byte));
    let port_ok = match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit) && digits.len() <= 5,
        _ => false,
    };
    host_ok && port_ok
}

/// RFC 9112 §6.3, with every ambiguity refused (SRV-7, SRV-11).
fn body_framing(headers: &HeaderList, version: Version) -> Result<BodyFraming, Refusal> {
    let mut lengths = headers.values(b"content-length");
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(value), None) => Some(parse_length(value)?),
        (Some(_), Some(_)) => return Err(Refusal::BAD_REQUEST),
    };
    let mut codings = headers.values(b"transfer-encoding");
    let Some(coding) = codings.next() else { return Ok(BodyFraming::Length(length.unwrap_or(0))) };
    if length.is_some() {
        return Err(Refusal::TWO_FRAMINGS);
    }
    if version == Version::Http10 {
        // RFC 9112 §6.1: faulty framing.
        return Err(Refusal::BAD_REQUEST);
    }
    if codings.next().is_some() {
        // Legal for a list, but nobody writes it except to be read in two ways: some look at the first field, some at the
        // last (RFC 9112 §11.2).
        return Err(Refusal::BAD_REQUEST);
    }
    let codings: Vec<&[u8]> = list_elements(coding).collect();
    let chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match codings.iter().position(chunked) {
        None if codings.is_empty() => Err(Refusal::BAD_REQUEST),
        None => Err(Refusal::UNKNOWN_CODING),
        Some(at) if at + 1 < codings.len() => Err(Refusal::CHUNKED_NOT_LAST),
        Some(0) => Ok(BodyFraming::Chunked),
        // Codings before chunked would have to be undone, and we undo none.
        Some(_) => Err(Refusal::UNKNOWN_CODING),
    }
}

/// A `content-length` value: digits only.
pub(crate) fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::BAD_REQUEST);
    }
    // A number of digits that overflows 64 bits is a body larger than any limit.
    value
        .iter()
        .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|&length| i64::try_from(length).is_ok())
        .ok_or(Refusal::BODY_TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> u16 {
        match parse(text.as_bytes(), &Config::default()) {
            Ok(_) => 0,
            Err(refusal) => refusal.status,
        }
    }

    fn head(text: &str) -> RequestHead {
        parse(text.as_bytes(), &Config::default()).unwrap_or_else(|refusal| panic!("{refusal:?}: {text:?}"))
    }

    #[test]
    fn fields_of_what_is_refused() {
        let values = |text: &str| values_in(text.as_bytes(), "x-id");
        assert_eq!(values("GET / HTTP/1.1\r\nX-ID: a\r\nother: b\r\nx-id: c\r\n\r\nbody"), [b"a", b"c"]);
        assert!(values("GET / HTTP/1.1\r\nX-ID: a\r\n").is_empty(), "not complete");
        assert!(values("nonsense\r\nX-ID: a\r\n\r\n").is_empty());
        let many = |number: usize| format!("GET / HTTP/1.1\r\n{}X-ID: a\r\n\r\n", "f: v\r\n".repeat(number));
        assert_eq!((values(&many(127)).len(), values(&many(128)).len()), (1, 0));
    }

    #[test]
    fn hdr_9_srv_7_srv_11_refusals() {
        for (status, request) in [
            (400, "GET / HTTP/1.1\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
            (400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
            (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
            (501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
            (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
            (505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
            (400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET /\r\nHost: a\r\n\r\n"),
            (400, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"),
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000001\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"),
            (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
            (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"),
            (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n"),
            (400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ] {
            assert_eq!(refused(request), status, "{request:?}");
        }
    }

    #[test]
    fn hdr_1_hdr_4_hdr_5_order_and_repeats() {
        let parsed = head("GET /p?q=1?2 HTTP/1.1\r\nX-FoO: 1\r\nHost: a\r\nx-foo:  2 \r\nX_Foo: 3\r\n\r\n");
        let fields: Vec<(&str, &str)> = parsed
            .headers()
            .iter()
            .map(|(name, value)| (std::str::from_utf8(name).unwrap(), std::str::from_utf8(value).unwrap()))
            .collect();
        assert_eq!(fields, [("x-foo", "1"), ("host", "a"), ("x-foo", "2"), ("x_foo", "3")]);
        assert_eq!((parsed.raw_path(), parsed.query_string()), (&b"/p"[..], &b"q=1?2"[..]));
    }

    #[test]
    fn path_8_absolute_and_asterisk_forms() {
        let absolute = head("GET http://h:80/p?q HTTP/1.1\r\nHost: other\r\n\r\n");
        assert_eq!(absolute.raw_path(), b"/p");
        assert_eq!(absolute.query_string(), b"q");
        assert_eq!(absolute.headers().get(b"host"), Some(&b"h:80"[..]));
        let without_path = head("GET https://h?q HTTP/1.1\r\nHost: other\r\n\r\n");
        assert_eq!((without_path.raw_path(), without_path.query_string()), (&b"/"[..], &b"q"[..]));
        assert_eq!(head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").raw_path(), b"*");
    }

    #[test]
    fn srv_5_keep_alive_table() {
        for (keep, request) in [
            (true, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (false, "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"),
            (false, "GET / HTTP/1.0\r\n\r\n"),
            (true, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
        ] {
            assert_eq!(head(request).keep_alive, keep, "{request:?}");
        }
    }

    #[test]
    fn srv_9_limits_are_found_before_the_head_is_complete() {
        let config = Config { max_request_line: 32, max_header_size: 64, ..Config::default() };
        let scan = |bytes: &[u8]| HeadScanner::default().scan(bytes, &config);
        assert_eq!(scan(b"GET / HTTP/1.1\r\n"), Ok(None));
        // The 33rd byte could be the line end's first.
        assert_eq!(scan(&[b'x'; 33]), Ok(None));
        assert_eq!(scan(&[b'x'; 34]), Err(Refusal::URI_TOO_LONG));
        assert_eq!(scan(&[b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 60]].concat()), Err(Refusal::HEAD_TOO_LARGE));
        let mut growing = HeadScanner::default();
        assert_eq!(growing.scan(b"GET / HTTP/1.1\r\n\r", &config), Ok(None));
        assert_eq!(growing.scan(b"GET / HTTP/1.1\r\n\r\nrest", &config), Ok(Some(18)));
    }

    #[test]
    fn srv_9_field_count() {
        let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(count - 1));
        assert_eq!(refused(&fields(100)), 0);
        assert_eq!(refused(&fields(101)), 431);
    }
}
