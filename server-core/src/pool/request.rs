//! The request as a pool process reads it: HTTP/1.1, one request per stream.

use crate::exchange::Exchange;
use crate::scope::{BodyFraming, RequestHead};

/// Appends the head. All fields stay as they were received, those about the client's connection included: an application sees
/// the same in a pool process as in a worker.
pub(super) fn write_head(head: &RequestHead, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method());
    out.push(b' ');
    out.extend_from_slice(head.raw_path());
    if !head.query_string().is_empty() {
        out.push(b'?');
        out.extend_from_slice(head.query_string());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut says_chunked = false;
    for (name, value) in head.headers().iter() {
        says_chunked |= name == b"transfer-encoding";
        write_field(out, name, value);
    }
    if head.framing == BodyFraming::Chunked && !says_chunked {
        // HTTP/2 has frames: this field is taken out again before the application sees it.
        write_field(out, b"transfer-encoding", b"chunked");
    }
    out.extend_from_slice(b"\r\n");
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
