//! Request heads: what the `h2` crate has decoded, checked by the rules that HTTP/1 requests are checked by.
//!
//! The crate refuses what RFC 9113 §8 calls malformed (connection-specific fields, upper case in names, pseudo-header
//! fields out of place, a content-length that the DATA frames belie) as stream errors of type PROTOCOL_ERROR.

use std::ops::Range;

use h2::ext::Protocol;
use http::Method;
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;

use crate::config::Config;
use crate::header::HeaderList;
use crate::http1::head::{is_authority, parse_length};
use crate::refusal::Refusal;
use crate::scope::{BodyFraming, RequestHead, ScopeKind, Version};
use crate::websocket::handshake::Offer;

/// `method SP path SP version CR LF`, and `name: value CR LF`: the same count as over HTTP/1, so that the limits mean the
/// same.
const LINE_OVERHEAD: usize = " HTTP/1.1\r\n".len() + 1;
const FIELD_OVERHEAD: usize = ": \r\n".len();

/// The head of a request, or what it is refused with. `bodiless` when its stream has ended already.
pub(super) fn head(parts: &Parts, bodiless: bool, config: &Config) -> Result<RequestHead, Refusal> {
    let is_websocket = tunnels(parts)?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    check_target(&parts.method, target)?;
    check_size(parts, target, config)?;
    let (mut headers, ranges) = with_request_line(parts, target);
    push_fields(&mut headers, parts)?;
    let framing = framing(parts, bodiless, config)?;
    let websocket = is_websocket.then(|| Offer::over_http2(&headers)).transpose()?;
    Ok(RequestHead {
        kind: if is_websocket { ScopeKind::WebSocket } else { ScopeKind::of(&headers) },
        method: ranges[0].clone(),
        path: ranges[1].clone(),
        query: ranges[2].clone(),
        version: Version::Http2,
        client_version: Version::Http2,
        framing,
        keep_alive: true,
        // HTTP-6: no interim response on HTTP/2.
        expects_continue: false,
        websocket: websocket.map(Box::new),
        headers,
    })
}

/// Whether this is extended CONNECT for WebSocket (WS-44). Other protocols and plain CONNECT are refused (SRV-11).
fn tunnels(parts: &Parts) -> Result<bool, Refusal> {
    match parts.extensions.get::<Protocol>() {
        Some(protocol) if protocol.as_str().eq_ignore_ascii_case("websocket") => Ok(true),
        Some(_) => Err(Refusal::UNKNOWN_PROTOCOL),
        None if parts.method == Method::CONNECT => Err(Refusal::CONNECT),
        None => Ok(false),
    }
}

fn check_target(method: &Method, target: &str) -> Result<(), Refusal> {
    let sound = target.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#');
    let known_form = target.starts_with('/') || target == "*" && method == Method::OPTIONS;
    if sound && known_form { Ok(()) } else { Err(Refusal::BAD_REQUEST) }
}

/// SRV-9, with the limits of HTTP/1.
fn check_size(parts: &Parts, target: &str, config: &Config) -> Result<(), Refusal> {
    let line = parts.method.as_str().len() + target.len() + LINE_OVERHEAD;
    if line > config.max_request_line {
        return Err(Refusal::URI_TOO_LONG);
    }
    let field = |name: &str, value: &[u8]| name.len() + value.len() + FIELD_OVERHEAD;
    let authority = parts.uri.authority().map_or(0, |authority| field("host", authority.as_str().as_bytes()));
    let fields: usize = parts.headers.iter().map(|(name, value)| field(name.as_str(), value.as_bytes())).sum();
    let count = parts.headers.len() + usize::from(authority > 0);
    if line + authority + fields > config.max_header_size || count > config.max_header_count {
        return Err(Refusal::HEAD_TOO_LARGE);
    }
    Ok(())
}

/// One buffer that begins with method and target, and the ranges of method, path and query in it.
fn with_request_line(parts: &Parts, target: &str) -> (HeaderList, [Range<usize>; 3]) {
    let method = parts.method.as_str();
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(method.as_bytes());
    bytes.extend_from_slice(target.as_bytes());
    let start = method.len();
    let end = bytes.len();
    let question = start + memchr::memchr(b'?', target.as_bytes()).unwrap_or(target.len());
    (HeaderList::over(bytes), [0..start, start..question, (question + 1).min(end)..end])
}

/// HDR-7: `:authority` stands for any `host`, and one of them has to be there (RFC 9113 §8.3.1). HDR-6: one `cookie`.
fn push_fields(headers: &mut HeaderList, parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (parts.uri.authority(), hosts.next(), hosts.next()) {
        (Some(authority), _, _) => authority.as_str().as_bytes(),
        (None, Some(host), None) => host.as_bytes(),
        _ => return Err(Refusal::BAD_REQUEST),
    };
    if !is_authority(host) {
        return Err(Refusal::BAD_REQUEST);
    }
    headers.push(b"host", host);
    for (name, value) in &parts.headers {
        if name != HOST {
            headers.push(name.as_str().as_bytes(), value.as_bytes());
        }
    }
    headers.join(b"cookie", b"; ");
    Ok(())
}

fn framing(parts: &Parts, bodiless: bool, config: &Config) -> Result<BodyFraming, Refusal> {
    let declared = match parts.headers.get(CONTENT_LENGTH) {
        Some(value) => Some(parse_length(value.as_bytes())?),
        None => None,
    };
    if config.max_body_size > 0 && declared.is_some_and(|length| length > config.max_body_size) {
        return Err(Refusal::BODY_TOO_LARGE);
    }
    Ok(match declared {
        _ if bodiless => BodyFraming::Length(0),
        Some(length) => BodyFraming::Length(length),
        None => BodyFraming::Chunked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        let builder = http::Request::builder().uri("https://a.example/p%20q?x=1?2");
        build(builder).body(()).unwrap().into_parts().0
    }

    fn read(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Result<RequestHead, u16> {
        head(&parts(build), false, &Config::default()).map_err(|refusal| refusal.status)
    }

    #[test]
    fn hdr_6_hdr_7_path_1_path_4_mapping() {
        let head = read(|request| {
            request
                .header("x-b", "2")
                .header("host", "b")
                .header("cookie", "a=1")
                .header("x-a", "1")
                .header("cookie", "b=2")
        })
        .unwrap();
        let fields: Vec<_> = head.headers().iter().map(|(name, value)| [name, value].map(<[u8]>::to_vec)).collect();
        let expected = [["host", "a.example"], ["x-b", "2"], ["cookie", "a=1; b=2"], ["x-a", "1"]];
        assert_eq!(fields, expected.map(|pair| pair.map(|text| text.as_bytes().to_vec())));
        assert_eq!((head.method(), head.raw_path(), head.query_string()), (&b"GET"[..], &b"/p%20q"[..], &b"x=1?2"[..]));
        assert_eq!(head.version.as_str(), "2");
        assert!(!head.expects_continue);
    }

    #[test]
    fn srv_7_srv_8_srv_9_srv_11_refusals() {
        assert!(read(|request| (0..99).fold(request, |request, n| request.header(format!("x-{n}"), "y"))).is_ok());
        for (status, refused) in [
            (501, read(|request| request.method("CONNECT").uri("a:1"))),
            (501, read(|request| request.method("CONNECT").extension(Protocol::from_static("masque")))),
            (400, read(|request| request.uri("/"))),
            (400, read(|request| request.uri("/").header("host", "a b"))),
            (400, read(|request| request.uri("/").header("host", "a").header("host", "a"))),
            (400, read(|request| request.uri("https://u@a/"))),
            (413, read(|request| request.method("POST").header("content-length", "10000001"))),
            (414, read(|request| request.uri(format!("/{}", "x".repeat(8200))))),
            (431, read(|request| request.header("x", "y".repeat(8200)))),
            (431, read(|request| (0..100).fold(request, |request, n| request.header(format!("x-{n}"), "y")))),
        ] {
            assert_eq!(refused.map(|_| ()), Err(status));
        }
        assert_eq!(read(|request| request.method("OPTIONS").uri("*").header("host", "a")).unwrap().raw_path(), b"*");
    }

    #[test]
    fn ws_44_extended_connect() {
        let connect = |request: http::request::Builder| {
            request
                .method("CONNECT")
                .extension(Protocol::from_static("websocket"))
                .header("sec-websocket-protocol", "a, b")
        };
        let head = read(|request| connect(request).header("sec-websocket-version", "13")).unwrap();
        assert_eq!((head.kind, head.subprotocols()), (ScopeKind::WebSocket, &["a".to_owned(), "b".to_owned()][..]));
        assert_eq!(read(|request| connect(request).header("sec-websocket-version", "8")).map(|_| ()), Err(400));
    }
}
