//! The answer of a pool process: HTTP/1.1 as our own connection code writes it.

use bytes::{Buf, Bytes, BytesMut};
use httparse::Status;

use crate::header::HeaderList;
use crate::http1::body::{BodyDecoder, Decoded};
use crate::scope::BodyFraming;

/// Most fields of a response; an application that sends more is at fault.
const MAX_FIELDS: usize = 256;
/// Largest head.
const MAX_HEAD: usize = 256 * 1024;

/// A response head.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderList,
    pub(super) body: BodyDecoder,
}

/// Reads a head from the front of the buffer; `None` when more bytes are needed. Interim responses are dropped: the
/// worker makes its own.
pub(super) fn read_head(buffer: &mut BytesMut, answers_head: bool) -> Result<Option<Head>, String> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(buffer) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if buffer.len() <= MAX_HEAD => return Ok(None),
            Ok(Status::Partial) => return Err(format!("its response head is larger than {MAX_HEAD} bytes")),
            Err(error) => return Err(format!("its response cannot be read: {error}")),
        };
        let status = response.code.unwrap_or_default();
        let mut headers = HeaderList::new();
        let mut framing = BodyFraming::Length(0);
        for field in response.headers.iter() {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("transfer-encoding") {
                framing = BodyFraming::Chunked;
            } else if is("content-length") {
                let length = std::str::from_utf8(field.value).ok().and_then(|text| text.parse().ok());
                framing = BodyFraming::Length(length.ok_or("its content-length is not a number")?);
            }
            if !is("transfer-encoding") && !is("connection") {
                headers.push(field.name.as_bytes(), field.value);
            }
        }
        buffer.advance(length);
        if (100..200).contains(&status) {
            continue;
        }
        if answers_head || matches!(status, 204 | 304) {
            framing = BodyFraming::Length(0);
        }
        return Ok(Some(Head { status, headers, body: BodyDecoder::new(framing, 0).keeping_trailers() }));
    }
}

/// The next piece of the body: `Some((bytes, more))`, or `None` when more bytes are needed.
pub(super) fn read_body(body: &mut BodyDecoder, buffer: &mut BytesMut) -> Result<Option<(Bytes, bool)>, String> {
    if body.is_done() {
        return Ok(Some((Bytes::new(), false)));
    }
    match body.decode(buffer, usize::MAX) {
        Ok(Decoded::NeedMore) => Ok(None),
        Ok(Decoded::Data { bytes, last }) => Ok(Some((bytes, !last))),
        Err(refusal) => Err(format!("its response body cannot be read: {}", refusal.text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_responses_are_dropped_and_connection_fields_left_out() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
                    Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for split in 0..text.len() {
            let mut buffer = BytesMut::from(&text.as_bytes()[..split]);
            let mut head = read_head(&mut buffer, false).unwrap();
            let mut rest = text.as_bytes()[split..].to_vec();
            buffer.extend_from_slice(&rest);
            rest.clear();
            if head.is_none() {
                head = read_head(&mut buffer, false).unwrap();
            }
            let mut head = head.unwrap();
            assert_eq!(head.status, 201);
            let fields: Vec<_> = head.headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            assert_eq!(fields.len(), 3);
            assert_eq!(fields[2], (b"Set-Cookie".to_vec(), b"b".to_vec()));
            let mut content = Vec::new();
            while let Some((bytes, more)) = read_body(&mut head.body, &mut buffer).unwrap() {
                content.extend_from_slice(&bytes);
                if !more {
                    break;
                }
            }
            assert_eq!(content, b"abc");
        }
    }

    #[test]
    fn responses_without_content() {
        for (text, answers_head) in
            [("HTTP/1.1 204 No Content\r\n\r\n", false), ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true)]
        {
            let mut head = read_head(&mut BytesMut::from(text), answers_head).unwrap().unwrap();
            assert_eq!(read_body(&mut head.body, &mut BytesMut::new()).unwrap(), Some((Bytes::new(), false)));
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(read_head(&mut BytesMut::from("HELLO\r\n\r\n"), false).is_err());
        assert!(read_head(&mut BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), false).is_err());
        let mut head = read_head(&mut BytesMut::from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), false);
        let head = head.as_mut().unwrap().as_mut().unwrap();
        assert!(read_body(&mut head.body, &mut BytesMut::from("zz\r\n")).is_err());
    }
}
