//! One accepted WebSocket: what to answer, what to tell the application, when it is over (protocol sections 11.2 to 11.5).
//!
//! A session has no socket and no clock. Its connection does four things:
//!
//! 1. bytes that arrive go through [`Session::receive`] until it returns `None`; messages go to the application;
//! 2. what the application sends goes through the `send` methods, [`Session::close`] and [`Session::keepalive`];
//! 3. [`Session::tick`] is called when [`Session::deadline`] has passed, [`Session::lost`] when the transport ended;
//! 4. whatever was appended to `out` is written, and once the phase is [`Phase::Closed`] the transport is closed.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::close;
use super::extension::Agreement;
use super::failure::Failure;
use super::keepalive::{Due, Keepalive};
use super::receiver::{Incoming, Limits, Receiver};
use super::sender::{Sender, encode_close, encode_ping, encode_pong};
use crate::reason::Reason;

/// Options of every session.
#[derive(Debug, Clone)]
pub struct Options {
    /// Limits of what a peer may send.
    pub limits: Limits,
    /// How long the peer's answer to our Close frame is waited for (WS-20). Default 5 s.
    pub close_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), close_timeout: Duration::from_secs(5) }
    }
}

/// A message for the application (WS-17, WS-18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// `text`, decoded.
    Text(String),
    /// `bytes`.
    Binary(Bytes),
}

/// How far the closing handshake has come. That the peer has closed and we have not is no phase: the answer goes out
/// with the Close frame that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Messages go both ways.
    Open,
    /// Our Close frame went out, the peer's is awaited; its messages are read and dropped, as RFC 6455 §1.4 allows,
    /// because an application that has closed need not take them and the peer's Close frame is behind them.
    Closing,
    /// Nothing more is sent or read: write what is left, then close the transport.
    Closed,
}

/// What `websocket.disconnect` tells the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Close code (WS-22 to WS-24).
    pub code: u16,
    /// The peer's text, or a standard token.
    pub reason: String,
}

impl End {
    fn abnormal(reason: Reason) -> Self {
        Self { code: close::ABNORMAL, reason: reason.token().to_owned() }
    }
}

/// The state of one accepted connection.
#[derive(Debug)]
pub struct Session {
    receiver: Receiver,
    sender: Sender,
    keepalive: Keepalive,
    close_timeout: Duration,
    phase: Phase,
    end: Option<End>,
    /// When the peer's Close frame is no longer waited for.
    close_until: Option<Instant>,
    must_linger: bool,
}

impl Session {
    /// A session that has just been accepted.
    #[must_use]
    pub fn new(options: &Options, deflate: Option<&Agreement>) -> Self {
        Self {
            receiver: Receiver::new(options.limits, deflate),
            sender: Sender::new(deflate),
            keepalive: Keepalive::default(),
            close_timeout: options.close_timeout,
            phase: Phase::Open,
            end: None,
            close_until: None,
            must_linger: false,
        }
    }

    /// How far the session is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What the application is to be told, once it is known (WS-21). It never changes afterwards, and is always known
    /// when the phase is [`Phase::Closed`].
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Whether the peer may still be sending although we are done. Closing the transport with its bytes unread would
    /// reset the connection and could destroy our Close frame on its way: shut down the write half, then read and
    /// throw away until the peer closes, for a bounded time.
    #[must_use]
    pub fn must_linger(&self) -> bool {
        self.must_linger
    }

    // ---- from the peer --------------------------------------------------------------------------------------------------

    /// Takes bytes from the front of `input` up to the next message for the application, and appends to `out` what
    /// pings, a Close frame and violations on the way call for (WS-13, WS-29). `None` means that more bytes are needed,
    /// or that the session is over: see [`Session::phase`].
    pub fn receive(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Option<Message> {
        while self.phase != Phase::Closed {
            match self.receiver.push(input) {
                Ok(None) => return None,
                Ok(Some(Incoming::Text(text))) if self.phase == Phase::Open => return Some(Message::Text(text)),
                Ok(Some(Incoming::Binary(bytes))) if self.phase == Phase::Open => return Some(Message::Binary(bytes)),
                Ok(Some(Incoming::Text(_) | Incoming::Binary(_))) => {}
                // After our Close frame nothing may follow it, not even a pong (RFC 6455 §5.5.1).
                Ok(Some(Incoming::Ping(payload))) if self.phase == Phase::Open => encode_pong(&payload, out),
                Ok(Some(Incoming::Ping(_))) => {}
                Ok(Some(Incoming::Pong(_))) => self.keepalive.pong(),
                Ok(Some(Incoming::Close(close))) => self.peer_closed(close, out),
                Err(failure) => self.failed(failure, out),
            }
        }
        input.clear();
        None
    }

    /// The peer's Close frame: answered with its own code, or with an empty one if it had none (RFC 6455 §5.5.1); 1005
    /// is what the application is told then and never sent (WS-22).
    fn peer_closed(&mut self, close: Option<(u16, String)>, out: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            write_close(close.as_ref().map(|(code, _)| (*code, "")), out);
        }
        let (code, reason) = close.unwrap_or((close::NO_STATUS, String::new()));
        self.over(End { code, reason }, false);
    }

    /// A violation: the code we send is the code the application is told (WS-24). If our Close frame is out already,
    /// no other can follow it, and the closing handshake has not been completed (WS-23).
    fn failed(&mut self, failure: Failure, out: &mut Vec<u8>) {
        let end = if self.phase == Phase::Open {
            write_close(Some((failure.close_code, failure.reason_text)), out);
            End { code: failure.close_code, reason: Reason::ProtocolError.token().to_owned() }
        } else {
            End::abnormal(Reason::ProtocolError)
        };
        self.over(end, true);
    }

    /// Reading pauses because the application is slow; see [`Keepalive::reading_paused`].
    pub fn reading_paused(&mut self) {
        self.keepalive.reading_paused();
    }

    /// Reading goes on; see [`Keepalive::reading_again`].
    pub fn reading_again(&mut self, now: Instant) {
        self.keepalive.reading_again(now);
    }

    // ---- from the application -------------------------------------------------------------------------------------------

    /// `websocket.send` with `text`, encoded as UTF-8. Nothing is appended once the session is not open (SEND-8); that
    /// a send after the application's own close fails is the event sequence's business (WS-33).
    pub fn send_text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            self.sender.encode_text(text, out);
        }
    }

    /// `websocket.send` with `bytes`.
    pub fn send_binary(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            self.sender.encode_binary(bytes, out);
        }
    }

    /// `websocket.close`: starts the closing handshake (WS-20). The error is the sentence that fails the send (WS-26),
    /// and changes nothing.
    pub fn close(&mut self, code: u16, reason: &str, now: Instant, out: &mut Vec<u8>) -> Result<(), String> {
        close::check(code, reason)?;
        self.start_closing(code, reason, now, out);
        Ok(())
    }

    /// `websocket.keepalive`, in seconds (WS-34 to WS-37). The error is the sentence that fails the send.
    pub fn keepalive(&mut self, interval: f64, timeout: Option<f64>, now: Instant) -> Result<(), String> {
        // Checked in every phase, so that a wrong event fails whether or not the peer is still there.
        if self.phase == Phase::Open {
            self.keepalive.set(interval, timeout, now)
        } else {
            Keepalive::default().set(interval, timeout, now)
        }
    }

    // ---- from the server ------------------------------------------------------------------------------------------------

    /// The application returned with the session open: Close 1000 (WS-27).
    pub fn application_returned(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.server_closes(1000, "", "", now, out);
    }

    /// The application threw: Close 1011 (WS-27).
    pub fn application_failed(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.server_closes(1011, "Internal server error", Reason::ServerError.token(), now, out);
    }

    /// The application does not take its messages and the queue is full: Close 1008 (WS-24, WS-30).
    pub fn queue_overflowed(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.server_closes(1008, "Message queue overflow", Reason::QueueOverflow.token(), now, out);
    }

    /// Graceful shutdown: Close 1012, which is also what the application is told (SHUT-3).
    pub fn shut_down(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.server_closes(1012, "Server shutdown", Reason::ServerShutdown.token(), now, out);
    }

    /// The transport ended, or is to be ended without a closing handshake: FIN, an error, a timeout (WS-23).
    pub fn lost(&mut self, reason: Reason) {
        if self.phase != Phase::Closed {
            self.over(End::abnormal(reason), false);
        }
    }

    /// When [`Session::tick`] has to be called next; `None` when it need not be.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.keepalive.deadline(), self.close_until].into_iter().flatten().min()
    }

    /// Does what is due: pings, gives up on a peer that owes a pong (WS-36) or a Close frame (WS-20).
    pub fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.close_until.is_some_and(|until| now >= until) {
            self.over(End::abnormal(Reason::ClientTimeout), true);
            return;
        }
        match self.keepalive.due(now) {
            Due::Nothing => {}
            Due::Ping => encode_ping(b"", out),
            Due::PongMissing => self.lost(Reason::KeepaliveTimeout),
        }
    }

    // ---- phases ---------------------------------------------------------------------------------------------------------

    fn server_closes(&mut self, code: u16, text: &str, token: &str, now: Instant, out: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            self.start_closing(code, text, now, out);
            self.end = Some(End { code, reason: token.to_owned() });
        }
    }

    fn start_closing(&mut self, code: u16, reason: &str, now: Instant, out: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            write_close(Some((code, reason)), out);
            self.phase = Phase::Closing;
            self.close_until = Some(now + self.close_timeout);
            self.keepalive.stop();
        }
    }

    fn over(&mut self, end: End, must_linger: bool) {
        self.phase = Phase::Closed;
        self.close_until = None;
        self.keepalive.stop();
        self.must_linger = must_linger;
        self.end.get_or_insert(end);
    }
}

/// Appends a Close frame whose code and reason are known to be sendable.
fn write_close(code_and_reason: Option<(u16, &str)>, out: &mut Vec<u8>) {
    let written = encode_close(code_and_reason, out);
    debug_assert!(written.is_ok(), "{written:?}");
}

#[cfg(test)]
mod tests {
    use super::super::client::{Client, frame};
    use super::super::extension::{DeflateOffer, DeflateOptions, negotiate};
    use super::*;
    use proptest::prelude::*;

    /// A session with what it has written and read so far.
    struct Wire {
        session: Session,
        out: Vec<u8>,
        now: Instant,
    }

    impl Wire {
        fn open() -> Self {
            Self { session: Session::new(&Options::default(), None), out: Vec::new(), now: Instant::now() }
        }

        /// The messages in these bytes.
        fn hears(&mut self, bytes: &[u8]) -> Vec<Message> {
            let mut input = BytesMut::from(bytes);
            std::iter::from_fn(|| self.session.receive(&mut input, &mut self.out)).collect()
        }

        /// What was written since the last call.
        fn says(&mut self) -> Vec<u8> {
            std::mem::take(&mut self.out)
        }

        fn passes(&mut self, seconds: f64) {
            self.now += Duration::from_secs_f64(seconds);
            self.session.tick(self.now, &mut self.out);
        }

        fn told(&self) -> Option<(u16, &str)> {
            self.session.end().map(|end| (end.code, end.reason.as_str()))
        }
    }

    fn close_frame(code: u16, reason: &str) -> Vec<u8> {
        let mut out = vec![0x88, 2 + reason.len() as u8];
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(reason.as_bytes());
        out
    }

    #[test]
    fn ws_13_pings_are_answered_and_not_told() {
        let mut wire = Wire::open();
        let bytes = [frame(0x01, b"a"), frame(0x89, b"are you there"), frame(0x8a, b"x"), frame(0x80, b"b")].concat();
        assert_eq!(wire.hears(&bytes), [Message::Text("ab".to_owned())]);
        assert_eq!(wire.says(), b"\x8a\x0dare you there");
        assert_eq!((wire.session.phase(), wire.told()), (Phase::Open, None));
    }

    #[test]
    fn ws_22_the_peer_closes() {
        for (payload, answer, told) in [
            (&b""[..], &b"\x88\0"[..], (1005, "")),
            (b"\x03\xe8", b"\x88\x02\x03\xe8", (1000, "")),
            (b"\x0f\xa0bye \xc3\xa9", b"\x88\x02\x0f\xa0", (4000, "bye é")),
        ] {
            let mut wire = Wire::open();
            let bytes = [frame(0x81, b"last"), frame(0x88, payload), frame(0x81, b"too late")].concat();
            assert_eq!(wire.hears(&bytes), [Message::Text("last".to_owned())]);
            assert_eq!(wire.says(), answer);
            assert_eq!((wire.session.phase(), wire.told()), (Phase::Closed, Some(told)));
            assert!(!wire.session.must_linger());
            wire.session.lost(Reason::ClientClosed);
            assert_eq!(wire.told(), Some(told), "the FIN that follows changes nothing");
        }
    }

    #[test]
    fn ws_20_ws_21_the_application_closes() {
        let mut wire = Wire::open();
        wire.session.close(3001, "done", wire.now, &mut wire.out).unwrap();
        assert_eq!(wire.says(), close_frame(3001, "done"));
        assert_eq!((wire.session.phase(), wire.told()), (Phase::Closing, None));
        // Messages that were under way, and a ping that can no longer be answered.
        assert!(wire.hears(&[frame(0x81, b"x"), frame(0x82, b"x"), frame(0x89, b"x")].concat()).is_empty());
        assert!(wire.says().is_empty());
        wire.hears(&frame(0x88, b"\x0b\xb9ok"));
        assert!(wire.says().is_empty(), "one Close frame is enough");
        assert_eq!((wire.session.phase(), wire.told()), (Phase::Closed, Some((3001, "ok"))));
    }

    #[test]
    fn ws_20_the_peer_does_not_answer_our_close() {
        let mut wire = Wire::open();
        wire.session.close(1000, "", wire.now, &mut wire.out).unwrap();
        assert_eq!(wire.session.deadline(), Some(wire.now + Options::default().close_timeout));
        wire.passes(4.9);
        assert_eq!(wire.session.phase(), Phase::Closing);
        wire.passes(0.2);
        assert_eq!((wire.session.phase(), wire.told()), (Phase::Closed, Some((1006, "client_timeout"))));
        assert!(wire.session.must_linger());
        assert_eq!(wire.session.deadline(), None);
    }

    #[test]
    fn ws_23_no_closing_handshake() {
        for reason in [Reason::ClientClosed, Reason::IdleTimeout, Reason::WriteError, Reason::WriteTimeout] {
            let mut wire = Wire::open();
            wire.session.lost(reason);
            assert_eq!((wire.session.phase(), wire.told()), (Phase::Closed, Some((1006, reason.token()))));
            assert!(wire.says().is_empty());
        }
        let mut wire = Wire::open();
        wire.session.close(1000, "", wire.now, &mut wire.out).unwrap();
        wire.session.lost(Reason::ClientClosed);
        assert_eq!(wire.told(), Some((1006, "client_closed")), "FIN in place of the peer's Close frame");
    }

    #[test]
    fn ws_24_ws_29_violations() {
        for (bytes, code, text) in [
            (frame(0xf1, b""), 1002, "RSV bits must be 0"),
            (frame(0xc1, b""), 1002, "RSV bits must be 0"),
            (frame(0x83, b""), 1002, "Reserved opcode"),
            (frame(0x89, &[0; 126]), 1002, "Control frame too large"),
            (frame(0x88, b"x"), 1002, "Invalid close frame"),
            (frame(0x88, b"\x03\xed"), 1002, "Invalid close code"),
            (frame(0x88, b"\x03\xe8\xff"), 1007, "Invalid UTF-8 in close reason"),
            (frame(0x81, b"\xff"), 1007, "Invalid UTF-8"),
            (frame(0x82, &[0; 65_537]), 1009, "Frame too large"),
            (frame(0x09, b""), 1002, "Control frame must not be fragmented"),
            (vec![0x81, 0], 1002, "Client frame must be masked"),
            (frame(0x80, b""), 1002, "Continuation without a message"),
        ] {
            let mut wire = Wire::open();
            assert!(wire.hears(&[bytes, frame(0x81, b"ignored")].concat()).is_empty());
            assert_eq!(wire.says(), close_frame(code, text), "{text}");
            assert_eq!((wire.session.phase(), wire.told()), (Phase::Closed, Some((code, "protocol_error"))));
            assert!(wire.session.must_linger(), "the rest of what the peer sends is thrown away");
            assert!(wire.hears(&frame(0x81, b"ignored")).is_empty());
        }
    }

    #[test]
    fn ws_23_a_violation_while_closing() {
        let mut wire = Wire::open();
        wire.session.close(1000, "", wire.now, &mut wire.out).unwrap();
        wire.says();
        wire.hears(&frame(0x83, b""));
        assert!(wire.says().is_empty(), "nothing follows a Close frame");
        assert_eq!((wire.session.phase(), wire.told()), (Phase::Closed, Some((1006, "protocol_error"))));
    }

    #[test]
    fn ws_26_a_wrong_close_changes_nothing() {
        let mut wire = Wire::open();
        assert!(wire.session.close(1005, "", wire.now, &mut wire.out).is_err());
        assert!(wire.session.close(1000, &"x".repeat(124), wire.now, &mut wire.out).is_err());
        assert_eq!((wire.says(), wire.session.phase()), (Vec::new(), Phase::Open));
    }

    #[test]
    fn ws_24_ws_27_ws_30_shut_3_the_server_closes() {
        type Closing = fn(&mut Session, Instant, &mut Vec<u8>);
        let cases: [(Closing, u16, &str, &str); 4] = [
            (Session::application_returned, 1000, "", ""),
            (Session::application_failed, 1011, "Internal server error", "server_error"),
            (Session::queue_overflowed, 1008, "Message queue overflow", "queue_overflow"),
            (Session::shut_down, 1012, "Server shutdown", "server_shutdown"),
        ];
        for (closing, code, text, token) in cases {
            let mut wire = Wire::open();
            closing(&mut wire.session, wire.now, &mut wire.out);
            assert_eq!(wire.says(), close_frame(code, text));
            assert_eq!((wire.session.phase(), wire.told()), (Phase::Closing, Some((code, token))));
            closing(&mut wire.session, wire.now, &mut wire.out);
            wire.session.close(1000, "", wire.now, &mut wire.out).unwrap();
            wire.session.send_text(b"late", &mut wire.out);
            wire.session.send_binary(b"late", &mut wire.out);
            assert!(wire.says().is_empty(), "nothing follows a Close frame");
            wire.hears(&frame(0x88, &code.to_be_bytes()));
            assert_eq!((wire.session.phase(), wire.told()), (Phase::Closed, Some((code, token))));
        }
    }

    #[test]
    fn shut_3_does_not_replace_the_applications_close() {
        let mut wire = Wire::open();
        wire.session.close(4000, "", wire.now, &mut wire.out).unwrap();
        wire.says();
        wire.session.shut_down(wire.now, &mut wire.out);
        assert_eq!((wire.says(), wire.told()), (Vec::new(), None));
    }

    #[test]
    fn ws_34_ws_36_keepalive() {
        let mut wire = Wire::open();
        wire.session.keepalive(10.0, Some(3.0), wire.now).unwrap();
        wire.passes(10.0);
        assert_eq!(wire.says(), b"\x89\0");
        wire.hears(&frame(0x8a, b""));
        wire.passes(10.0);
        assert_eq!(wire.says(), b"\x89\0");
        wire.passes(2.9);
        assert_eq!(wire.session.phase(), Phase::Open);
        wire.passes(0.2);
        assert_eq!((wire.session.phase(), wire.told()), (Phase::Closed, Some((1006, "keepalive_timeout"))));
        assert!(wire.says().is_empty());
        assert_eq!(wire.session.deadline(), None);
    }

    #[test]
    fn ws_37_keepalive_is_checked_in_every_phase() {
        let mut wire = Wire::open();
        wire.session.close(1000, "", wire.now, &mut wire.out).unwrap();
        assert!(wire.session.keepalive(-1.0, None, wire.now).is_err());
        let deadline = wire.session.deadline();
        wire.session.keepalive(0.5, None, wire.now).unwrap();
        assert_eq!(wire.session.deadline(), deadline, "no pings after a Close frame");
    }

    #[test]
    fn ws_33_send_8_sends_after_the_end_are_silent() {
        let mut wire = Wire::open();
        wire.session.lost(Reason::ClientClosed);
        wire.session.send_text(b"x", &mut wire.out);
        wire.session.close(1000, "", wire.now, &mut wire.out).unwrap();
        wire.session.shut_down(wire.now, &mut wire.out);
        assert_eq!((wire.says(), wire.told()), (Vec::new(), Some((1006, "client_closed"))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_echo_through_two_compressors_is_the_same(
            words in proptest::collection::vec("[a-z é]{0,300}", 1..6), forget: bool, bits in 9u8..=15,
        ) {
            let options = DeflateOptions {
                server_context_takeover: !forget,
                client_context_takeover: !forget,
                server_max_window_bits: bits,
                ..DeflateOptions::default()
            };
            let mut agreement = negotiate(&[DeflateOffer::default()], &options).unwrap();
            agreement.client_max_window_bits = bits;
            let mut client = Client::new(Some(&agreement));
            let mut server = Session::new(&Options::default(), Some(&agreement));
            // What the server sends is read by a second session, after masking it as a client's.
            let mut mirror = Session::new(&Options::default(), Some(&agreement));
            for word in words {
                let mut input = BytesMut::from(client.message(true, true, word.as_bytes()).as_slice());
                let mut out = Vec::new();
                prop_assert_eq!(server.receive(&mut input, &mut out), Some(Message::Text(word.clone())));
                server.send_text(word.as_bytes(), &mut out);
                let header = if out[1] < 126 { 2 } else { 4 };
                let mut back = BytesMut::from(frame(out[0], &out[header..]).as_slice());
                prop_assert_eq!(mirror.receive(&mut back, &mut Vec::new()), Some(Message::Text(word)));
            }
        }

        #[test]
        fn any_bytes_end_in_a_phase_with_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut wire = Wire::open();
            wire.hears(&bytes);
            prop_assert_eq!(wire.session.phase() == Phase::Closed, wire.told().is_some());
        }
    }
}
