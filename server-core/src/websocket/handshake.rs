//! The opening handshake over HTTP/1.1 (RFC 6455 §4.2), and what extended CONNECT offers in its place (RFC 8441).

use tungstenite::handshake::derive_accept_key;

use super::extension::{self, Agreement, DeflateOffer};
use crate::header::{HeaderList, has_token, is_safe_value, is_token, list_elements};
use crate::scope::{BodyFraming, RequestHead, Version};

/// What a request head means for WebSocket (WS-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// Not a WebSocket handshake: an http or sse request.
    NotUpgrade,
    /// A valid handshake.
    Valid(Offer),
    /// A handshake that breaks a rule.
    Refused(Refusal),
}

/// What a valid handshake carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `Sec-WebSocket-Key` as sent; empty over HTTP/2.
    pub key: String,
    /// Offered subprotocols in order, characters (WS-4).
    pub subprotocols: Vec<String>,
    /// Well-formed offers of compression in order.
    pub deflate: Vec<DeflateOffer>,
}

/// Why a handshake is refused: what is answered, in place of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// Text of the response body.
    pub text: &'static str,
    /// Further headers. `upgrade` among them needs its token in `connection` (HDR-21).
    pub headers: &'static [(&'static str, &'static str)],
}

impl Refusal {
    const VERSION: Self = Self {
        status: 426,
        text: "Unsupported Sec-WebSocket-Version: 13 is needed",
        headers: &[("upgrade", "websocket"), ("sec-websocket-version", "13")],
    };
    /// 426 is about the connection's protocol, which HTTP/2 cannot change.
    const HTTP2_VERSION: Self = Self { status: 400, headers: &[("sec-websocket-version", "13")], ..Self::VERSION };
    const KEY: Self = Self::bad("Sec-WebSocket-Key must be given once, 16 bytes in base64");
    const BODY: Self = Self::bad("A WebSocket handshake cannot have a body");

    const fn bad(text: &'static str) -> Self {
        Self { status: 400, text, headers: &[] }
    }
}

impl Offer {
    /// What extended CONNECT offers (RFC 8441 §5): no key, and `Upgrade` is said by `:protocol`. A version that is named
    /// has to be the one there is.
    pub(crate) fn over_http2(headers: &HeaderList) -> Result<Self, Refusal> {
        let mut versions = headers.values(b"sec-websocket-version");
        if !versions.all(|version| version.trim_ascii() == b"13") {
            return Err(Refusal::HTTP2_VERSION);
        }
        Ok(Self { key: String::new(), subprotocols: subprotocols(headers), deflate: extension::offers(headers) })
    }
}

impl Handshake {
    /// Reads a request head. Another method than GET, HTTP/1.0, or `Upgrade` without its token in `Connection` make a
    /// plain request: RFC 9110 §7.8 has a server ignore such an `Upgrade` (WS-1).
    #[must_use]
    pub fn of(head: &RequestHead) -> Self {
        let headers = head.headers();
        let names = |field: &'static [u8], token| headers.values(field).any(|value| has_token(value, token));
        let asked = names(b"upgrade", b"websocket") && names(b"connection", b"upgrade");
        if !asked || head.method() != b"GET" || head.version != Version::Http11 {
            return Self::NotUpgrade;
        }
        if only(headers, b"sec-websocket-version") != Some(b"13") {
            return Self::Refused(Refusal::VERSION);
        }
        let Some(key) = only(headers, b"sec-websocket-key").and_then(valid_key) else {
            return Self::Refused(Refusal::KEY);
        };
        // Bytes of a body could pass for frames, or frames for a body, depending on who reads.
        if head.framing != BodyFraming::Length(0) {
            return Self::Refused(Refusal::BODY);
        }
        Self::Valid(Offer { key, subprotocols: subprotocols(headers), deflate: extension::offers(headers) })
    }
}

/// `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2).
#[must_use]
pub fn accept_key(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// Appends the 101 response. On an error, which is the sentence that fails `websocket.accept`, nothing is appended
/// (WS-7, WS-8, HDR-12).
///
/// Extra headers that speak about body or connection (`transfer-encoding`, `content-length`, `keep-alive`,
/// `proxy-connection`, `te`) are left out (HDR-18, HDR-23): a 101 has no body, and the connection is ours.
pub fn response(
    key: &str,
    subprotocol: Option<&str>,
    headers: &HeaderList,
    deflate: Option<&Agreement>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    check_subprotocol(subprotocol)?;
    check_headers(headers)?;
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    write_field(out, b"Sec-WebSocket-Accept", accept_key(key).as_bytes());
    if let Some(subprotocol) = subprotocol {
        write_field(out, b"Sec-WebSocket-Protocol", subprotocol.as_bytes());
    }
    if let Some(agreement) = deflate {
        write_field(out, b"Sec-WebSocket-Extensions", agreement.header_value().as_bytes());
    }
    for (name, value) in headers.iter().filter(|(name, _)| !is_connection_level(name)) {
        write_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// WS-8: a subprotocol is a token.
pub fn check_subprotocol(subprotocol: Option<&str>) -> Result<(), String> {
    match subprotocol {
        Some(name) if !is_token(name.as_bytes()) => Err(format!(
            "websocket.accept 'subprotocol' must be a token (letters, digits and !#$%&'*+-.^_`|~), got {name:?}"
        )),
        _ => Ok(()),
    }
}

/// WS-8: the handshake's own fields are ours; HDR-10 to HDR-13 for the rest.
pub fn check_headers(headers: &HeaderList) -> Result<(), String> {
    for (name, value) in headers.iter() {
        let shown = String::from_utf8_lossy(name);
        if !is_token(name) {
            return Err(format!("websocket.accept 'headers': {shown:?} is not a valid header name"));
        }
        if !is_safe_value(value) {
            return Err(format!("websocket.accept 'headers': the value of '{shown}' contains CR, LF or NUL"));
        }
        if writes(name) {
            return Err(format!("websocket.accept 'headers': '{shown}' is written by the server"));
        }
    }
    Ok(())
}

/// Whether a field is the handshake's own.
pub(crate) fn writes(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    matches!(lower.as_slice(), b"upgrade" | b"connection") || lower.starts_with(b"sec-websocket-")
}

fn is_connection_level(name: &[u8]) -> bool {
    [&b"transfer-encoding"[..], b"content-length", b"keep-alive", b"proxy-connection", b"te"]
        .iter()
        .any(|ours| name.eq_ignore_ascii_case(ours))
}

/// The value of a field that is there exactly once.
fn only<'h>(headers: &'h HeaderList, name: &'h [u8]) -> Option<&'h [u8]> {
    let mut values = headers.values(name);
    values.next().filter(|_| values.next().is_none()).map(<[u8]>::trim_ascii)
}

/// 16 bytes in base64 are 22 digits and two pads (RFC 6455 §4.2.1). What the digits say does not matter to us.
fn valid_key(value: &[u8]) -> Option<String> {
    let digits = value.strip_suffix(b"==")?;
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if digits.len() != 22 || !digits.iter().all(is_digit) {
        return None;
    }
    String::from_utf8(value.to_vec()).ok()
}

/// WS-4. Bytes outside ASCII, which no token has, become the characters of the same numbers.
fn subprotocols(headers: &HeaderList) -> Vec<String> {
    headers
        .values(b"sec-websocket-protocol")
        .flat_map(list_elements)
        .map(|name| name.iter().copied().map(char::from).collect())
        .collect()
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::extension::{DeflateOptions, negotiate};
    use super::*;
    use crate::config::Config;
    use crate::http1::head::parse;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// The handshake of a request whose fields after Host are given.
    fn read(line: &str, fields: &[&str]) -> Handshake {
        let text = format!("{line}\r\nHost: a\r\n{}\r\n\r\n", fields.join("\r\n"));
        match parse(text.as_bytes(), &Config::default()) {
            Ok(head) => Handshake::of(&head),
            // The parser refuses what the handshake refuses.
            Err(refusal) => {
                Handshake::Refused(Refusal { status: refusal.status, text: refusal.text, headers: refusal.headers })
            }
        }
    }

    /// A valid handshake, with one field replaced or added.
    fn with(field: &str) -> Handshake {
        let name = |field: &str| field.split(':').next().unwrap_or_default().to_owned();
        let mut fields = vec![
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ];
        fields.retain(|known| name(known) != name(field));
        fields.push(field);
        read("GET / HTTP/1.1", &fields)
    }

    fn refused(handshake: &Handshake) -> u16 {
        match handshake {
            Handshake::Refused(refusal) => refusal.status,
            _ => 0,
        }
    }

    #[test]
    fn ws_1_detection() {
        for field in [
            "Upgrade: WebSocket",
            "Upgrade: h2c, websocket",
            "Connection: keep-alive, UPGRADE",
            "Accept: text/event-stream",
            "Content-Length: 0",
        ] {
            assert!(matches!(with(field), Handshake::Valid(_)), "{field}");
        }
        for field in ["Upgrade: h2c", "Upgrade: websockets", "Connection: keep-alive", "Connection: upgraded"] {
            assert_eq!(with(field), Handshake::NotUpgrade, "{field}");
        }
        let upgrade = ["Upgrade: websocket", "Connection: Upgrade"];
        assert_eq!(read("POST / HTTP/1.1", &upgrade), Handshake::NotUpgrade);
        assert_eq!(read("GET / HTTP/1.0", &upgrade), Handshake::NotUpgrade);
    }

    #[test]
    fn ws_1_bad_version_is_426() {
        for field in [
            "Sec-WebSocket-Version: 8",
            "Sec-WebSocket-Version: 013",
            "Sec-WebSocket-Version:",
            "Sec-WebSocket-Version: 13, 8",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13",
        ] {
            let handshake = with(field);
            assert_eq!(refused(&handshake), 426, "{field}");
            let Handshake::Refused(refusal) = handshake else { panic!("{field}") };
            assert_eq!(refusal.headers, [("upgrade", "websocket"), ("sec-websocket-version", "13")]);
        }
        assert_eq!(refused(&read("GET / HTTP/1.1", &["Upgrade: websocket", "Connection: Upgrade"])), 426);
    }

    #[test]
    fn ws_1_bad_key_is_400() {
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQAA",
            "dGhlIHNhbXBsZSBub25jZ===",
            "dGhlIHNhbXBsZSBub25j!Q==",
            "dGhlIHNhbXBsZSBub25jZQ==, x",
            "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ] {
            assert_eq!(refused(&with(&format!("Sec-WebSocket-Key: {key}"))), 400, "{key:?}");
        }
        assert_eq!(refused(&with("Content-Length: 3")), 400);
        assert_eq!(refused(&with("Transfer-Encoding: chunked")), 400);
    }

    #[test]
    fn ws_4_subprotocols_in_order() {
        let offered = |field: &str| match with(field) {
            Handshake::Valid(offer) => offer.subprotocols,
            other => panic!("{other:?}"),
        };
        assert_eq!(offered("X: y"), Vec::<String>::new());
        assert_eq!(
            offered("Sec-WebSocket-Protocol: chat,  super.chat ,\r\nSec-WebSocket-Protocol: v2"),
            ["chat", "super.chat", "v2"]
        );
    }

    #[test]
    fn rfc_6455_accept_key_example() {
        assert_eq!(accept_key(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn ws_7_response() {
        let mut headers = HeaderList::new();
        headers.push(b"x-one", b"1");
        headers.push(b"set-cookie", b"a=b");
        headers.push(b"Content-Length", b"7");
        headers.push(b"transfer-encoding", b"chunked");
        let agreement = negotiate(&[DeflateOffer::default()], &DeflateOptions::default());
        let mut out = Vec::new();
        response(KEY, Some("chat"), &headers, agreement.as_ref(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\nx-one: 1\r\nset-cookie: a=b\r\n\r\n"
        );
        let mut plain = Vec::new();
        response(KEY, None, &HeaderList::new(), None, &mut plain).unwrap();
        let plain = String::from_utf8(plain).unwrap();
        assert!(plain.ends_with("xOo=\r\n\r\n") && !plain.contains("Protocol:") && !plain.contains("Extensions"));
    }

    #[test]
    fn ws_8_hdr_12_what_accept_refuses() {
        for subprotocol in ["", "a b", "a,b", "a\r\nx: y", "é"] {
            let mut out = Vec::new();
            let error = response(KEY, Some(subprotocol), &HeaderList::new(), None, &mut out).unwrap_err();
            assert!(error.starts_with("websocket.accept 'subprotocol' must be a token"), "{error}");
            assert!(out.is_empty());
        }
        for (name, value, complaint) in [
            ("Upgrade", "h2c", "'Upgrade' is written by the server"),
            ("connection", "close", "'connection' is written by the server"),
            ("Sec-WebSocket-Accept", "x", "'Sec-WebSocket-Accept' is written by the server"),
            ("sec-websocket-extensions", "x", "'sec-websocket-extensions' is written by the server"),
            ("x", "a\r\nb: c", "the value of 'x' contains CR, LF or NUL"),
            ("x y", "1", "\"x y\" is not a valid header name"),
        ] {
            let mut headers = HeaderList::new();
            headers.push(name.as_bytes(), value.as_bytes());
            let mut out = Vec::new();
            let error = response(KEY, None, &headers, None, &mut out).unwrap_err();
            assert_eq!(error, format!("websocket.accept 'headers': {complaint}"));
            assert!(out.is_empty());
        }
    }
}
