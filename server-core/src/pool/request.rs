//! The request as a pool process reads it: HTTP/1.1, one request per stream.

use crate::exchange::Exchange;
use crate::scope::{BodyFraming, RequestHead};

/// Fields about the client's connection, not about the request.
const CONNECTION_FIELDS: [&[u8]; 8] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"content-length",
    b"upgrade",
    b"expect",
];

/// Appends the head. Field order, repeats and values stay as they were received; an HTTP/1.0 request without a Host field gets
/// none.
pub(super) fn write_head(head: &RequestHead, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method());
    out.push(b' ');
    out.extend_from_slice(head.raw_path());
    if !head.query_string().is_empty() {
        out.push(b'?');
        out.extend_from_slice(head.query_string());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in head.headers().iter().filter(|(name, _)| !CONNECTION_FIELDS.contains(name)) {
        write_field(out, name, value);
    }
    match head.framing {
        BodyFraming::Length(0) => {}
        BodyFraming::Length(length) => write_field(out, b"content-length", length.to_string().as_bytes()),
        BodyFraming::Chunked => write_field(out, b"transfer-encoding", b"chunked"),
    }
    out.extend_from_slice(b"connection: close\r\n\r\n");
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a piece of the body in its framing.
pub(super) fn write_body(exchange: &Exchange, bytes: &[u8], more: bool, out: &mut Vec<u8>) {
    if exchange.head().framing != BodyFraming::Chunked {
        out.extend_from_slice(bytes);
        return;
    }
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
    if !more {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}
