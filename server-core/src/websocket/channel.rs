//! The application's side of an accepted WebSocket: its session, and the messages that wait for a receive.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;

use super::receiver::Limits;
use super::session::{Message, Options, Phase, Session};
use crate::config::Config;
use crate::event::ReceiveEvent;

/// What became of bytes that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fed {
    /// More are needed.
    Hungry,
    /// The application is behind: reading pauses.
    Full,
    /// The session is over.
    Over,
}

/// See the module documentation.
pub(crate) struct Channel {
    pub(crate) session: Session,
    messages: VecDeque<Message>,
    bytes: usize,
    paused: bool,
}

/// The session's part of the configuration.
pub(crate) fn session_options(config: &Config) -> Options {
    Options {
        limits: Limits { max_frame_size: config.max_ws_frame_size, max_message_size: config.max_ws_message_size },
        ..Options::default()
    }
}

impl Channel {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, messages: VecDeque::new(), bytes: 0, paused: false }
    }

    /// Whether nothing more is sent or read.
    pub(crate) fn is_over(&self) -> bool {
        self.session.phase() == Phase::Closed
    }

    /// Reads frames while the application keeps up: by bytes the socket is left unread (RECV-8), by messages the
    /// connection is given up (WS-30).
    pub(crate) fn feed(&mut self, input: &mut BytesMut, out: &mut Vec<u8>, config: &Config, now: Instant) -> Fed {
        loop {
            if self.is_over() {
                return Fed::Over;
            }
            if self.bytes >= config.receive_window {
                self.paused = true;
                self.session.reading_paused();
                return Fed::Full;
            }
            if std::mem::take(&mut self.paused) {
                self.session.reading_again(now);
            }
            match self.session.receive(input, out) {
                None if self.is_over() => return Fed::Over,
                None => return Fed::Hungry,
                Some(message) => {
                    if self.messages.len() >= config.max_receive_queue {
                        self.session.queue_overflowed(now, out);
                        continue;
                    }
                    self.bytes += length(&message);
                    self.messages.push_back(message);
                }
            }
        }
    }

    /// The next event: messages first, then the end, again and again (WS-28).
    pub(crate) fn take(&mut self) -> Option<ReceiveEvent> {
        match self.messages.pop_front() {
            Some(message) => {
                self.bytes -= length(&message);
                Some(match message {
                    Message::Text(text) => ReceiveEvent::WsText(text),
                    Message::Binary(bytes) => ReceiveEvent::WsBinary(bytes),
                })
            }
            None if self.is_over() => {
                self.session.end().map(|end| ReceiveEvent::WsDisconnect { code: end.code, reason: end.reason.clone() })
            }
            None => None,
        }
    }
}

fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
    }
}
