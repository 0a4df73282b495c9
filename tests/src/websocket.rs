//! A WebSocket client that is strict about what it gets.

use std::net::SocketAddr;

use crate::http::Response;
use crate::lab::request;
use crate::raw::Raw;

/// What a client's handshake has to have (RFC 6455 §4.1).
pub const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// An open WebSocket without extensions.
#[derive(Debug)]
pub struct Socket {
    /// The connection.
    pub raw: Raw,
}

/// What came from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A Close frame: code and reason.
    Close(u16, String),
}

impl Socket {
    /// Connects; the response when it is no 101.
    pub fn open(address: SocketAddr, path: &str) -> Result<Self, Box<Response>> {
        let mut raw = Raw::connect(address);
        raw.send(request("GET", path, HANDSHAKE));
        raw.read_until("a head", |bytes| bytes.windows(4).any(|window| window == b"\r\n\r\n"));
        if !raw.received.starts_with(b"HTTP/1.1 101 ") {
            return Err(Box::new(raw.response("GET")));
        }
        let head = raw.received.windows(4).position(|window| window == b"\r\n\r\n").expect("just seen");
        raw.received.drain(..head + 4);
        Ok(Self { raw })
    }

    /// Sends a text message.
    pub fn send_text(&mut self, text: &str) {
        self.raw.send(frame(0x81, text.as_bytes()));
    }

    /// Sends a binary message.
    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.raw.send(frame(0x82, bytes));
    }

    /// Sends a Close frame.
    pub fn send_close(&mut self, code: u16, reason: &str) {
        self.raw.send(frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat()));
    }

    /// Waits for the next message or control frame.
    pub fn hear(&mut self) -> Heard {
        self.raw.read_until("a frame", |bytes| Frame::parse(bytes).is_some());
        let Frame { opcode, payload, length } = Frame::parse(&self.raw.received).expect("just seen");
        self.raw.received.drain(..length);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text is UTF-8");
        match opcode {
            1 => Heard::Text(text(&payload)),
            2 => Heard::Binary(payload),
            8 if payload.is_empty() => Heard::Close(1005, String::new()),
            8 => Heard::Close(u16::from_be_bytes([payload[0], payload[1]]), text(&payload[2..])),
            9 => Heard::Ping(payload),
            other => panic!("a frame of opcode {other} was not asked for"),
        }
    }

    /// Waits for the next message, which has to be text.
    #[track_caller]
    pub fn hear_text(&mut self) -> String {
        match self.hear() {
            Heard::Text(text) => text,
            other => panic!("not a text message: {other:?}"),
        }
    }
}

struct Frame {
    opcode: u8,
    payload: Vec<u8>,
    length: usize,
}

impl Frame {
    /// A whole frame at the start of some bytes. The server sends each message in one frame, and never masks.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        assert!(first & 0xf0 == 0x80 && second & 0x80 == 0, "first bytes {first:#x} {second:#x}");
        let (start, size) = match second {
            126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().expect("two bytes")).into()),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().expect("eight bytes"))),
            size => (2, u64::from(size)),
        };
        let end = start + usize::try_from(size).expect("a message fits into memory");
        Some(Self { opcode: first & 15, payload: bytes.get(start..end)?.to_vec(), length: end })
    }
}

/// A client's frame; the mask of zeros leaves the payload readable.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).expect("small")),
        length @ 126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("below 65536").to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}
