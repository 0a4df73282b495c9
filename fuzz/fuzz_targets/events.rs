//! Events of an application, in any order and with any content, on an exchange of each kind.
//!
//! Checked besides panics: an event that is refused changes nothing (fail-don't-mutate); whatever the events were, the
//! bytes for the client are one well-formed response, whose head has nothing that the application did not say or the
//! server had to add, and whose chunked body ends where the application ended it.

#![no_main]

use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use pagi_server_core::config::Config;
use pagi_server_core::event::{Content, SendEvent};
use pagi_server_core::exchange::{CallEnd, Exchange, Sent};
use pagi_server_core::header::HeaderList;
use pagi_server_core::http1::head::parse;
use pagi_server_core::scope::Peer;
use pagi_server_core::sse;
use pagi_server_core::worker::Worker;

const REQUESTS: [&[u8]; 7] = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a\r\n\r\n",
];

#[derive(Debug, Arbitrary)]
enum Event<'a> {
    Start { status: u16, headers: Vec<(Name<'a>, &'a [u8])> },
    Body { body: &'a [u8], more: bool },
    Trailers { headers: Vec<(Name<'a>, &'a [u8])> },
    FullFlush,
    SseStart { status: u16, headers: Vec<(Name<'a>, &'a [u8])> },
    SseSend { event: Option<&'a str>, data: &'a str, id: Option<&'a str>, retry: Option<u64> },
    SseComment(&'a str),
    SseKeepalive(f64),
    SseClose(&'a str),
    Accept { subprotocol: Option<&'a str>, headers: Vec<(Name<'a>, &'a [u8])> },
    Text(&'a str),
    Binary(&'a [u8]),
    Keepalive { interval: f64, timeout: Option<f64> },
    Close { code: u16, reason: &'a str },
}

/// Names that the server treats in its own way are worth more than what chance makes.
#[derive(Debug, Arbitrary)]
enum Name<'a> {
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    Date,
    ContentType,
    SecWebSocketAccept,
    Other(&'a [u8]),
}

impl Name<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::ContentLength => b"Content-Length",
            Self::TransferEncoding => b"transfer-encoding",
            Self::Connection => b"connection",
            Self::Upgrade => b"upgrade",
            Self::Date => b"date",
            Self::ContentType => b"content-type",
            Self::SecWebSocketAccept => b"sec-websocket-accept",
            Self::Other(bytes) => bytes,
        }
    }
}

fuzz_target!(|input: (u8, bool, Vec<Event<'_>>)| {
    let (kind, resolved, events) = input;
    let request = REQUESTS[usize::from(kind) % REQUESTS.len()];
    let config = Config::default();
    let head = parse(request, &config).expect("a good request");
    let peer = Rc::new(Peer { client: None, server: ("unix".to_owned(), None), tls: None, secure: false });
    let exchange = Exchange::new(head, peer, Rc::new(Worker::new(config, None)), Instant::now());
    for event in &events {
        send(&exchange, event);
    }
    let complete = exchange.is_complete();
    let started = exchange.is_started();
    exchange.call_ended(if resolved { CallEnd::Resolved } else { CallEnd::Failed });
    let mut wire = Vec::new();
    exchange.with_output(|out| {
        let poll = out.poll_write(&mut wire, &mut Context::from_waker(Waker::noop()), |_| ());
        assert!(matches!(poll, Poll::Ready(Ok(()))));
    });
    check(&wire, request, started, complete);
});

/// Makes the event as the decoder does, with the same checks, and sends it.
fn send(exchange: &Rc<Exchange>, event: &Event<'_>) {
    let mut buffer = Vec::new();
    let Some(event) = decoded(event, &mut buffer) else { return };
    let before = (exchange.buffered_amount(), exchange.is_started(), exchange.is_complete());
    match exchange.send(event) {
        Ok(Sent::Done | Sent::Behind) => {}
        Err(sentence) => {
            assert!(!sentence.is_empty());
            assert_eq!(before, (exchange.buffered_amount(), exchange.is_started(), exchange.is_complete()));
        }
    }
}

fn decoded<'a>(event: &'a Event<'_>, buffer: &'a mut Vec<u8>) -> Option<SendEvent<'a>> {
    let seconds = |seconds: f64| Some(seconds).filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    Some(match event {
        Event::Start { status, headers } => {
            SendEvent::ResponseStart { status: final_status(*status)?, headers: list(headers)?, trailers: false }
        }
        Event::Body { body, more } => SendEvent::ResponseBody { content: Content::Inline(body), more: *more },
        Event::Trailers { headers } => SendEvent::ResponseTrailers { headers: list(headers)? },
        Event::FullFlush => SendEvent::FullFlush,
        Event::SseStart { status, headers } => {
            SendEvent::SseStart { status: final_status(*status)?, headers: list(headers)? }
        }
        Event::SseSend { event, data, id, retry } => {
            let message = sse::Message {
                event: event.map(str::as_bytes),
                data: data.as_bytes(),
                id: id.map(str::as_bytes),
                retry: *retry,
            };
            message.check().ok()?;
            message.encode(buffer);
            SendEvent::SseSend(buffer)
        }
        Event::SseComment(text) => {
            sse::encode_comment(text.as_bytes(), buffer);
            SendEvent::SseComment(buffer)
        }
        Event::SseKeepalive(interval) => SendEvent::SseKeepalive { interval: seconds(*interval)?, comment: Vec::new() },
        Event::SseClose(reason) => SendEvent::SseClose { reason: (*reason).to_owned() },
        Event::Accept { subprotocol, headers } => {
            SendEvent::WsAccept { subprotocol: subprotocol.map(str::to_owned), headers: list(headers)? }
        }
        Event::Text(text) => SendEvent::WsText(text.as_bytes()),
        Event::Binary(bytes) => SendEvent::WsBinary(bytes),
        Event::Keepalive { interval, timeout } => SendEvent::WsKeepalive {
            interval: seconds(*interval)?,
            timeout: match timeout {
                Some(timeout) => Some(seconds(*timeout)?),
                None => None,
            },
        },
        Event::Close { code, reason } => SendEvent::WsClose { code: *code, reason: (*reason).to_owned() },
    })
}

fn final_status(status: u16) -> Option<u16> {
    Some(200 + status % 800)
}

fn list(fields: &[(Name<'_>, &[u8])]) -> Option<HeaderList> {
    let mut headers = HeaderList::new();
    for (name, value) in fields {
        headers.push_checked(name.bytes(), value).ok()?;
    }
    Some(headers)
}

fn check(wire: &[u8], request: &[u8], started: bool, complete: bool) {
    let show = || wire.escape_ascii().to_string();
    if wire.is_empty() {
        // Only a head that was started and cut before its first byte leaves nothing.
        assert!(started, "nothing was sent");
        return;
    }
    // Control characters other than CR, LF and NUL are the application's own affair (HDR-10).
    let Some(end) = wire.windows(4).position(|window| window == b"\r\n\r\n") else { panic!("no head: {}", show()) };
    let mut lines = wire[..end].split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status_line = lines.next().unwrap_or_default();
    let status: u16 = std::str::from_utf8(&status_line[9..12]).expect("digits").parse().expect("a status");
    assert!(status_line.starts_with(b"HTTP/1.1 "), "{}", show());
    let fields: Vec<(Vec<u8>, Vec<u8>)> = lines
        .map(|line| {
            assert!(!line.iter().any(|byte| matches!(byte, b'\r' | 0)), "{}", show());
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or_else(|| panic!("no colon: {}", show()));
            (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii().to_ascii_lowercase())
        })
        .collect();
    let values = |name: &str| -> Vec<Vec<u8>> {
        let same = fields.iter().filter(|(known, _)| known == name.as_bytes());
        same.map(|(_, value)| value.clone()).collect()
    };
    let (codings, lengths) = (values("transfer-encoding"), values("content-length"));
    assert!(codings.len() + lengths.len() <= 1, "framing is said twice: {}", show());
    assert!(values("connection").len() <= 1, "{}", show());
    let body = &wire[end + 4..];
    let is_head = request.starts_with(b"HEAD");
    if is_head {
        assert!(body.is_empty(), "HEAD is answered with content: {}", show());
    } else if status == 101 {
        assert!(codings.is_empty() && lengths.is_empty() && values("sec-websocket-accept").len() == 1, "{}", show());
    } else if !codings.is_empty() {
        assert!(codings[0] == b"chunked" && request.windows(8).any(|window| window == b"HTTP/1.1"), "{}", show());
        assert_eq!(chunks_end(body), Some(complete || body.ends_with(b"0\r\n\r\n")), "{}", show());
    } else if let Some(declared) = lengths.first() {
        let declared: usize = std::str::from_utf8(declared).expect("digits").parse().expect("a length");
        assert!(body.len() <= declared || matches!(status, 204 | 205 | 304), "{}", show());
    }
}

/// Whether chunks end with the last one; `None` when they are malformed or something is behind them.
fn chunks_end(mut body: &[u8]) -> Option<bool> {
    loop {
        if body.is_empty() {
            return Some(false);
        }
        let line = body.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&body[..line]).ok()?, 16).ok()?;
        body = &body[line + 2..];
        if size == 0 {
            // Trailer fields, then an empty line, then nothing.
            return body.ends_with(b"\r\n").then_some(true).filter(|_| body == b"\r\n" || body.ends_with(b"\r\n\r\n"));
        }
        if body.get(size..size + 2)? != b"\r\n" {
            return None;
        }
        body = &body[size + 2..];
    }
}
