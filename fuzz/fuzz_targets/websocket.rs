//! The bytes of a hostile client, through frames, text, compression and the session.
//!
//! The first bytes of the input choose what was negotiated and how the rest arrives. Checked besides panics: how the
//! bytes are cut does not change what is heard, no limit is passed, nothing is held back, and every end has a code that
//! applications can be told.

#![no_main]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use pagi_server_core::header::HeaderList;
use pagi_server_core::websocket::extension::{Agreement, DeflateOptions, negotiate, offers};
use pagi_server_core::websocket::frame;
use pagi_server_core::websocket::receiver::Limits;
use pagi_server_core::websocket::session::{Message, Options, Phase, Session};

const OFFERS: [&[u8]; 4] = [
    b"permessage-deflate",
    b"permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    b"permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
    b"permessage-deflate; client_no_context_takeover; client_max_window_bits",
];

const LIMITS: Limits = Limits { max_frame_size: 4096, max_message_size: 100_000 };

/// What became of a connection.
#[derive(Debug, PartialEq)]
struct Heard {
    messages: Vec<Message>,
    answers: Vec<u8>,
    end: Option<(u16, String)>,
}

fuzz_target!(|input: &[u8]| {
    let [mode, step, client @ ..] = input else { return };
    let agreement = agreement(mode & 7);
    let client = if mode & 8 == 0 { client.to_vec() } else { masked(client) };
    let whole = hear(&client, client.len().max(1), agreement.as_ref());
    let pieces = hear(&client, usize::from(*step) + 1, agreement.as_ref());
    assert_eq!(whole, pieces, "how bytes are cut changes what is heard");
    echo(&whole.messages, agreement.as_ref());
});

fn agreement(choice: u8) -> Option<Agreement> {
    let mut headers = HeaderList::new();
    headers.push(b"sec-websocket-extensions", OFFERS.get(usize::from(choice))?);
    let options = DeflateOptions { min_size: 1, server_context_takeover: true, ..DeflateOptions::default() };
    negotiate(&offers(&headers), &options)
}

/// Masks a run of frames that a fuzzer has written without masks, so that it need not learn to undo them: each frame is
/// a first byte, a length byte and that many bytes of payload.
fn masked(mut frames: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    while let [first, length, rest @ ..] = frames {
        let length = usize::from(length & 0x7f).min(125).min(rest.len());
        let (payload, later) = rest.split_at(length);
        wire.extend_from_slice(&[*first, 0x80 | length as u8, 0, 0, 0, 0]);
        wire.extend_from_slice(payload);
        frames = later;
    }
    wire
}

fn hear(client: &[u8], step: usize, agreement: Option<&Agreement>) -> Heard {
    let options = Options { limits: LIMITS, close_timeout: Duration::from_secs(1) };
    let mut session = Session::new(&options, agreement);
    let (mut buffer, mut answers, mut messages) = (BytesMut::new(), Vec::new(), Vec::new());
    for piece in client.chunks(step) {
        buffer.extend_from_slice(piece);
        while let Some(message) = session.receive(&mut buffer, &mut answers) {
            let length = match &message {
                Message::Text(text) => text.len(),
                Message::Binary(bytes) => bytes.len(),
            };
            assert!(length <= LIMITS.max_message_size);
            messages.push(message);
        }
        assert!(buffer.len() < 14 + 125, "payload is held back");
    }
    let mut end = session.end().map(|end| (end.code, end.reason.clone()));
    assert_eq!(session.phase() == Phase::Closed, end.is_some());
    if let Some((code, _)) = end {
        assert!(matches!(code, 1000..=1003 | 1005 | 1007..=1014 | 3000..=4999), "{code}");
    }
    if let Some((code @ (1007 | 1009), _)) = &mut end {
        // Which of several faults in what one piece inflates to is found first depends on the piece.
        *code = 1007;
        answers.clear();
    }
    Heard { messages, answers, end }
}

/// Sends messages back; a client that has the same agreement must hear them.
fn echo(messages: &[Message], agreement: Option<&Agreement>) {
    let options = Options { limits: Limits { max_frame_size: u64::MAX, ..LIMITS }, ..Options::default() };
    // The client's receiver has to expect of its peer what was agreed for the server.
    let mirrored = agreement.map(|agreement| {
        let mut mirrored = *agreement;
        mirrored.client_no_context_takeover = agreement.server_no_context_takeover;
        mirrored
    });
    let (mut server, mut client) = (Session::new(&options, agreement), Session::new(&options, mirrored.as_ref()));
    for message in messages {
        let mut wire = Vec::new();
        match message {
            Message::Text(text) => server.send_text(text.as_bytes(), &mut wire),
            Message::Binary(bytes) => server.send_binary(bytes, &mut wire),
        }
        let mut masked = BytesMut::from(as_client(&wire).as_slice());
        let heard = client.receive(&mut masked, &mut Vec::new());
        assert_eq!(heard.as_ref(), Some(message));
    }
    server.shut_down(Instant::now(), &mut Vec::new());
    assert_eq!(server.phase(), Phase::Closing);
}

/// A server's frame as a client would send it.
fn as_client(wire: &[u8]) -> Vec<u8> {
    let extra = match wire[1] {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let (header, payload) = wire.split_at(2 + extra);
    let mask = [1, 2, 3, 4];
    let mut masked = header.to_vec();
    masked[1] |= 0x80;
    masked.extend_from_slice(&mask);
    let start = masked.len();
    masked.extend_from_slice(payload);
    frame::apply_mask(&mut masked[start..], mask);
    masked
}
