//! What a request asks for, before an application has seen it.

use std::ops::Range;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::header::{HeaderList, list_elements};
use crate::tls::TlsInfo;
use crate::websocket::handshake::Offer;

/// HTTP version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl Version {
    /// `http_version` in scopes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// Which protocol a request's scope speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// Plain request and response.
    Http,
    /// Server-Sent Events (SSE-1).
    Sse,
    /// A WebSocket handshake (WS-1).
    WebSocket,
}

impl ScopeKind {
    /// SSE-1 to SSE-4: an `Accept` list that names exactly `text/event-stream` with q > 0, on any method.
    #[must_use]
    pub fn of(headers: &HeaderList) -> Self {
        let accepted = headers.values(b"accept").flat_map(list_elements).any(accepts_event_stream);
        if accepted { Self::Sse } else { Self::Http }
    }
}

/// One media range of an `Accept` header: exactly `text/event-stream`, parameters other than q ignored, q > 0.
fn accepts_event_stream(range: &[u8]) -> bool {
    let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case(b"text/event-stream")) {
        return false;
    }
    for parameter in parts {
        let Some((name, value)) = split_once(parameter, b'=') else { continue };
        if name.trim_ascii().eq_ignore_ascii_case(b"q") {
            return quality(value.trim_ascii()).is_some_and(|quality| quality > 0);
        }
    }
    true
}

/// A qvalue in thousandths, or `None` when malformed (RFC 9110 §12.4.2).
pub(crate) fn quality(value: &[u8]) -> Option<u32> {
    let (whole, fraction) = split_once(value, b'.').unwrap_or((value, b""));
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = fraction.iter().chain(b"000").take(3).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    match whole {
        b"0" => Some(thousandths),
        b"1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// How the end of a request body is found (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// Exactly this many bytes; 0 when the request has no body.
    Length(u64),
    /// Chunked transfer coding, or HTTP/2 frames without a declared length.
    Chunked,
}

/// A parsed and checked request head.
#[derive(Debug)]
pub struct RequestHead {
    pub(crate) headers: HeaderList,
    pub(crate) method: Range<usize>,
    pub(crate) path: Range<usize>,
    pub(crate) query: Range<usize>,
    /// Version of the request line.
    pub version: Version,
    /// What the client speaks, which is another version when a worker has handed the request over: for the scope.
    pub client_version: Version,
    /// Scope type the request leads to.
    pub kind: ScopeKind,
    /// Body framing.
    pub framing: BodyFraming,
    /// Whether the client allows another request on this connection (SRV-5).
    pub keep_alive: bool,
    /// `Expect: 100-continue` on HTTP/1.1 (HTTP-6).
    pub expects_continue: bool,
    /// What a WebSocket handshake offers.
    pub(crate) websocket: Option<Box<Offer>>,
}

impl RequestHead {
    /// Request method, as sent.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        &self.headers.bytes()[self.method.clone()]
    }

    /// Path as on the wire, still percent-encoded, without query (PATH-1).
    #[must_use]
    pub fn raw_path(&self) -> &[u8] {
        &self.headers.bytes()[self.path.clone()]
    }

    /// Everything after the first `?`, still percent-encoded; empty when there is none (PATH-4).
    #[must_use]
    pub fn query_string(&self) -> &[u8] {
        &self.headers.bytes()[self.query.clone()]
    }

    /// Header fields: names in lower case, values as sent, cookies joined.
    #[must_use]
    pub fn headers(&self) -> &HeaderList {
        &self.headers
    }

    /// Offered WebSocket subprotocols in order; empty for other requests.
    #[must_use]
    pub fn subprotocols(&self) -> &[String] {
        self.websocket.as_ref().map_or(&[], |offer| &offer.subprotocols)
    }

    /// Whether the request names this host, given in lower case; a port behind it does not count.
    #[must_use]
    pub fn is_for_host(&self, host: &str) -> bool {
        let Some(named) = self.headers.get(b"host") else { return false };
        let end = named.len() - named.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let name = if end > 0 && named[end - 1] == b':' { &named[..end - 1] } else { named };
        name.eq_ignore_ascii_case(host.as_bytes())
    }

    /// Whether this is a HEAD request (HEAD-1).
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }
}

/// Addresses of one connection, shared by its exchanges.
#[derive(Debug)]
pub struct Peer {
    /// Client address and port; none on Unix sockets (SCOPE-6).
    pub client: Option<(String, u16)>,
    /// Server address and port, or the socket path and none (SCOPE-7).
    pub server: (String, Option<u16>),
    /// Facts of the TLS session, exactly when we terminate TLS (TLS-1, TLS-8).
    pub tls: Option<Rc<TlsInfo>>,
    /// Whether the client speaks TLS, to us or to a proxy that we believe: decides between `http` and `https`.
    pub secure: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sse_1_sse_2_sse_3_accept_table() {
        for (accept, expected) in [
            (&["text/event-stream"][..], ScopeKind::Sse),
            (&["text/html, text/event-stream;q=0.5"], ScopeKind::Sse),
            (&["text/event-stream;q=0"], ScopeKind::Http),
            (&["text/event-stream;q=0.000"], ScopeKind::Http),
            (&["*/*"], ScopeKind::Http),
            (&["text/*"], ScopeKind::Http),
            (&[], ScopeKind::Http),
            (&["text/event-stream-x"], ScopeKind::Http),
            (&["application/text/event-stream"], ScopeKind::Http),
            (&["text/html", "text/event-stream"], ScopeKind::Sse),
            (&["text/event-stream;level=1"], ScopeKind::Sse),
            (&["text/event-stream;q=abc"], ScopeKind::Http),
            (&["TEXT/Event-Stream;charset=utf-8"], ScopeKind::Sse),
            (&["text/event-stream;q=1.001"], ScopeKind::Http),
        ] {
            let mut headers = HeaderList::new();
            for value in accept {
                headers.push(b"accept", value.as_bytes());
            }
            assert_eq!(ScopeKind::of(&headers), expected, "{accept:?}");
        }
    }
}
