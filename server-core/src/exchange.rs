//! One request and its response, shared by the connection task and the application side.
//!
//! The application side calls [`Exchange::send`] and [`Exchange::receive`]; the connection task moves bytes. Neither ever
//! calls the other: they leave marks here and wake each other, through the [`Inbox`](crate::inbox::Inbox) in one
//! direction and a `Waker` in the other. No borrow outlives a method, so applications may re-enter freely (EMB-2).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};

use crate::drain::Phase;
use crate::event::{Content, ReceiveEvent, SendEvent};
use crate::header::HeaderList;
use crate::http1::encode::{Encoder, Framing};
use crate::http1::head::Refusal;
use crate::outbound::Outbound;
use crate::reason::Reason;
use crate::scope::{Peer, RequestHead, ScopeKind};
use crate::sequence::{Response, Sequence, Step, Violation, WebSocket};
use crate::websocket::channel::{Channel, Fed, session_options};
use crate::websocket::session::Session;
use crate::websocket::{close, extension, handshake};
use crate::worker::Worker;

/// What an accepted send means for its Future (SEND-2, SEND-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Finished with: resolve now.
    Done,
    /// Queued, but the client is behind: resolve when [`Exchange::send_released`] says so.
    Behind,
}

/// How an application call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// Its Future resolved.
    Resolved,
    /// It died, its Future failed or was cancelled, or it returned something else.
    Failed,
}

/// What the server made of the end of an application call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The response is complete (or an sse stream was ended by the return, SSE-25).
    Complete,
    /// The client had gone before (RESP-3, RESP-9): nothing to do or to log as an error.
    ClientGone,
    /// No response was started: a 500 was made (RESP-1).
    Backstop,
    /// The response was started and not finished: it is cut off visibly (RESP-5).
    Truncated,
}

/// What the application side wants to be woken for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interest {
    /// A receive is pending.
    pub receive: bool,
    /// A send is held back, or a handle is being streamed.
    pub drain: bool,
    /// Somebody waits for the end of the exchange.
    pub end: bool,
}

/// What the connection has to do with the exchange now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More is to come.
    Active,
    /// The handshake was accepted: from now on the connection carries frames.
    Upgraded,
    /// All output is written; the connection may go on when `true`.
    Finished(bool),
    /// Cut the connection once the output is written; as a reset when `true`.
    Cut(bool),
}

/// See the module documentation.
pub struct Exchange {
    head: RequestHead,
    peer: Rc<Peer>,
    worker: Rc<Worker>,
    token: Cell<usize>,
    queued: Cell<bool>,
    interest: Cell<Interest>,
    inner: RefCell<Inner>,
}

struct Inner {
    sequence: Sequence,
    encoder: Encoder,
    out: Outbound,
    /// Output is held until the first body bytes, so that head and body leave in one write (HTTP-10).
    held: bool,
    /// `fh` content still comes through [`Exchange::push_handle_bytes`].
    handle: Option<HandleProgress>,
    inbound: VecDeque<Bytes>,
    inbound_bytes: usize,
    inbound_end: bool,
    final_delivered: bool,
    body_wanted: bool,
    /// Abnormal end, as the application sees it.
    reason: Option<Reason>,
    /// The transport is gone: sends are no-ops (SEND-8).
    gone: bool,
    cut: bool,
    above_high: bool,
    /// The server ended an event stream: later sends are no-ops, as after a disconnect (SEND-8).
    ended_by_server: bool,
    sse_close_reason: Option<String>,
    /// The accepted WebSocket.
    websocket: Option<Box<Channel>>,
    keepalive: Option<Keepalive>,
    status: u16,
    body_bytes: u64,
    started: Instant,
    last_activity: Instant,
    connection: Option<Waker>,
}

struct HandleProgress {
    before: Sequence,
    any: bool,
}

struct Keepalive {
    interval: Duration,
    comment: Vec<u8>,
    due: Instant,
}

/// What an access log line needs of a finished exchange.
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) body_bytes: u64,
    pub(crate) duration: Duration,
    pub(crate) finished: SystemTime,
}

impl Exchange {
    pub(crate) fn new(head: RequestHead, peer: Rc<Peer>, worker: Rc<Worker>, now: Instant) -> Rc<Self> {
        let sequence = match head.kind {
            ScopeKind::Http => Sequence::Http(Response::Unstarted),
            ScopeKind::Sse => Sequence::SseUndecided,
            ScopeKind::WebSocket => Sequence::WebSocket(WebSocket::Connecting),
        };
        let encoder = Encoder::new(&head);
        let inner = Inner {
            sequence,
            encoder,
            out: Outbound::default(),
            held: false,
            handle: None,
            inbound: VecDeque::new(),
            inbound_bytes: 0,
            inbound_end: false,
            final_delivered: false,
            body_wanted: false,
            reason: None,
            gone: false,
            cut: false,
            above_high: false,
            ended_by_server: false,
            sse_close_reason: None,
            websocket: None,
            keepalive: None,
            status: 0,
            body_bytes: 0,
            started: now,
            last_activity: now,
            connection: None,
        };
        Rc::new(Self {
            head,
            peer,
            worker,
            token: Cell::new(usize::MAX),
            queued: Cell::new(false),
            interest: Cell::new(Interest::default()),
            inner: RefCell::new(inner),
        })
    }

    /// The request.
    #[must_use]
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Addresses of the connection.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The worker's shared parts.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The application side's own number for this exchange, or `None` before it was set.
    #[must_use]
    pub fn token(&self) -> Option<usize> {
        Some(self.token.get()).filter(|&token| token != usize::MAX)
    }

    /// Sets [`Self::token`].
    pub fn set_token(&self, token: usize) {
        self.token.set(token);
    }

    /// Says what to be woken for; replaces what was said before.
    pub fn set_interest(&self, interest: Interest) {
        self.interest.set(interest);
    }

    /// To be called when the exchange was taken from the inbox, before its marks are looked at.
    pub fn taken(&self) {
        self.queued.set(false);
    }

    /// Puts the exchange in the inbox unless it is there.
    pub fn notify(self: &Rc<Self>) {
        if !self.queued.replace(true) {
            self.worker.inbox.push(Rc::clone(self));
        }
    }

    fn wake_connection(inner: &mut Inner) {
        if let Some(waker) = inner.connection.take() {
            waker.wake();
        }
    }

    // ---- application side: sending ----------------------------------------------------------------------------------

    /// Whether sends are silent no-ops because the transport has gone (SEND-8, SEND-9). An application's own `sse.close`
    /// wins over that (SSE-27).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let inner = self.inner.borrow();
        match inner.sequence {
            // The application's own close wins (SSE-27, WS-33).
            Sequence::SseClosed if !inner.ended_by_server => false,
            Sequence::WebSocket(WebSocket::Closed) => false,
            _ => inner.gone || inner.ended_by_server || inner.websocket.as_ref().is_some_and(|ws| ws.is_over()),
        }
    }

    /// Whether body bytes are accepted and thrown away: HEAD, or a status without content (HEAD-6, STAT-2).
    #[must_use]
    pub fn discards_body(&self) -> bool {
        matches!(self.inner.borrow().encoder.framing(), Framing::Nothing)
    }

    /// Whether a step would be legal now.
    pub fn check(&self, step: Step) -> Result<(), Violation> {
        self.inner.borrow().sequence.after(step).map(drop)
    }

    /// Takes an event. The error is the sentence that fails the send; nothing has changed then (SEND-10).
    pub fn send(&self, event: SendEvent<'_>) -> Result<Sent, String> {
        if self.is_gone() {
            return Ok(Sent::Done);
        }
        let inner = &mut *self.inner.borrow_mut();
        let was_high = inner.out.buffered() >= self.worker.config.write_high_watermark;
        self.take(inner, event)?;
        inner.last_activity = self.worker.now();
        if !inner.held {
            Self::wake_connection(inner);
        }
        // FLOW-15: an event is accepted while the buffer is below the mark, however large it is.
        Ok(if was_high { Sent::Behind } else { Sent::Done })
    }

    fn take(&self, inner: &mut Inner, event: SendEvent<'_>) -> Result<(), String> {
        let kind = self.head.kind;
        let step = step_of(&event, kind);
        let next = inner.sequence.after(step).map_err(|violation| violation.to_string())?;
        match event {
            SendEvent::ResponseStart { status, headers, trailers: _ } => {
                let close = kind != ScopeKind::Http || self.closes();
                inner.encoder.start(&mut inner.out, status, &headers, close, &self.worker.config)?;
                inner.status = status;
                inner.held = true;
            }
            SendEvent::ResponseBody { content, more } => self.take_body(inner, content, more, next)?,
            SendEvent::ResponseTrailers { headers } => {
                inner.encoder.trailers(&mut inner.out, &headers)?;
                inner.held = false;
            }
            SendEvent::FullFlush => inner.held = false,
            SendEvent::SseStart { status, headers } => {
                inner.encoder.start_stream(&mut inner.out, status, headers, self.closes(), &self.worker.config)?;
                inner.status = status;
            }
            SendEvent::SseSend(bytes) | SendEvent::SseComment(bytes) => {
                inner.body_bytes += bytes.len() as u64;
                inner.encoder.body(&mut inner.out, bytes)?;
            }
            SendEvent::SseKeepalive { interval, comment } => {
                // HEAD streams nothing, so nothing keeps it alive (AMB-11).
                inner.keepalive = Duration::try_from_secs_f64(interval)
                    .ok()
                    .filter(|interval| !interval.is_zero() && !self.head.is_head())
                    .map(|interval| Keepalive { interval, comment, due: self.worker.now() + interval });
            }
            SendEvent::SseClose { reason } => {
                if inner.sequence != Sequence::SseClosed {
                    inner.encoder.end(&mut inner.out);
                    inner.sse_close_reason = Some(reason);
                    inner.keepalive = None;
                }
            }
            SendEvent::WsAccept { subprotocol, headers } => self.accept(inner, subprotocol.as_deref(), &headers)?,
            SendEvent::WsClose { code, reason } if inner.sequence == Sequence::WebSocket(WebSocket::Connecting) => {
                close::check(code, &reason)?;
                self.refuse(inner, Refusal::FORBIDDEN);
            }
            SendEvent::WsText(_)
            | SendEvent::WsBinary(_)
            | SendEvent::WsKeepalive { .. }
            | SendEvent::WsClose { .. } => {
                self.send_websocket(inner, event)?;
            }
        }
        inner.sequence = next;
        Ok(())
    }

    /// `websocket.accept`: the 101 response, and from now on a session (WS-7).
    fn accept(&self, inner: &mut Inner, subprotocol: Option<&str>, headers: &HeaderList) -> Result<(), String> {
        let offer = self.head.websocket.as_ref().ok_or_else(|| Violation::Foreign.to_string())?;
        let config = &self.worker.config;
        let agreement = extension::negotiate(&offer.deflate, &config.ws_compression);
        let mut session = Session::new(&session_options(config), agreement.as_ref());
        let mut response = Ok(());
        inner.out.append(|out| {
            response = handshake::response(&offer.key, subprotocol, headers, agreement.as_ref(), out);
            if response.is_ok() && self.worker.drain.phase() != Phase::Running {
                session.shut_down(self.worker.now(), out);
            }
        });
        response?;
        inner.status = 101;
        inner.websocket = Some(Box::new(Channel::new(session)));
        Ok(())
    }

    fn send_websocket(&self, inner: &mut Inner, event: SendEvent<'_>) -> Result<(), String> {
        let now = self.worker.now();
        let limit = self.worker.config.max_ws_send_size;
        let channel = inner.websocket.as_mut().ok_or_else(|| Violation::Foreign.to_string())?;
        let session = &mut channel.session;
        let mut sent = Ok(());
        match event {
            SendEvent::WsText(message) | SendEvent::WsBinary(message) if message.len() > limit => {
                let size = message.len();
                return Err(format!("websocket.send: the message has {size} bytes, the limit is {limit}"));
            }
            SendEvent::WsText(text) => {
                inner.body_bytes += text.len() as u64;
                inner.out.append(|out| session.send_text(text, out));
            }
            SendEvent::WsBinary(bytes) => {
                inner.body_bytes += bytes.len() as u64;
                inner.out.append(|out| session.send_binary(bytes, out));
            }
            SendEvent::WsKeepalive { interval, timeout } => return session.keepalive(interval, timeout, now),
            SendEvent::WsClose { code, reason } => {
                inner.out.append(|out| sent = session.close(code, &reason, now, out));
            }
            _ => return Err(Violation::Foreign.to_string()),
        }
        sent
    }

    fn take_body(&self, inner: &mut Inner, content: Content<'_>, more: bool, next: Sequence) -> Result<(), String> {
        let terminal = next.is_complete();
        match content {
            Content::Inline(bytes) => {
                inner.encoder.body(&mut inner.out, bytes)?;
                if !inner.encoder.discards() {
                    inner.body_bytes += bytes.len() as u64;
                }
                inner.held = inner.held && more && bytes.is_empty();
            }
            Content::File(range) => {
                let length = range.length;
                inner.encoder.file(&mut inner.out, range)?;
                inner.body_bytes += length;
                inner.held = false;
            }
            Content::Handle => {
                inner.handle = Some(HandleProgress { before: inner.sequence, any: false });
                return Ok(());
            }
        }
        if !more {
            Self::finish_body(inner, terminal);
        }
        Ok(())
    }

    /// The last body event: end marker, or truncation when fewer bytes came than were declared (BODY-12, RESP-5).
    fn finish_body(inner: &mut Inner, terminal: bool) {
        if inner.encoder.is_short() {
            inner.reason = Some(Reason::ServerError);
            inner.cut = true;
        } else if terminal {
            inner.encoder.end(&mut inner.out);
        }
    }

    /// Content of a `fh` body event, in pieces. The error is the sentence that fails the send.
    pub fn push_handle_bytes(&self, bytes: &[u8]) -> Result<Sent, String> {
        let inner = &mut *self.inner.borrow_mut();
        if inner.gone {
            return Ok(Sent::Done);
        }
        inner.encoder.body(&mut inner.out, bytes)?;
        inner.body_bytes += bytes.len() as u64;
        inner.held = false;
        if let Some(handle) = &mut inner.handle {
            handle.any = true;
        }
        inner.last_activity = self.worker.now();
        Self::wake_connection(inner);
        let high = inner.out.buffered() >= self.worker.config.write_high_watermark;
        Ok(if high { Sent::Behind } else { Sent::Done })
    }

    /// The `fh` is read to its end.
    pub fn finish_handle(&self) {
        let inner = &mut *self.inner.borrow_mut();
        if inner.handle.take().is_some() && !inner.gone {
            let terminal = inner.sequence.is_complete();
            Self::finish_body(inner, terminal);
            inner.held = false;
            Self::wake_connection(inner);
        }
    }

    /// Reading the `fh` failed. Before any byte the response goes back to where it was; afterwards it is cut (BODY-10).
    pub fn fail_handle(&self) {
        let inner = &mut *self.inner.borrow_mut();
        let Some(handle) = inner.handle.take() else { return };
        if handle.any {
            inner.reason.get_or_insert(Reason::ServerError);
            inner.cut = true;
            Self::wake_connection(inner);
        } else {
            inner.sequence = handle.before;
        }
    }

    /// Whether sends that were held back may go on (below the low mark, or the client is gone).
    #[must_use]
    pub fn send_released(&self) -> bool {
        let inner = self.inner.borrow();
        inner.gone || self.is_low(&inner)
    }

    /// FLOW-12: "below" is strict, so a low mark of 0 means empty.
    fn is_low(&self, inner: &Inner) -> bool {
        let buffered = inner.out.buffered();
        buffered == 0 || buffered < self.worker.config.write_low_watermark
    }

    /// Edge detector for `on_high_water` and `on_drain` (FLOW-6 to FLOW-8): `Some(true)` on reaching the high mark,
    /// `Some(false)` on falling below the low mark after that.
    pub fn watermark_edge(&self) -> Option<bool> {
        let inner = &mut *self.inner.borrow_mut();
        if inner.gone {
            return None;
        }
        if !inner.above_high && inner.out.buffered() >= self.worker.config.write_high_watermark {
            inner.above_high = true;
            return Some(true);
        }
        if inner.above_high && self.is_low(inner) {
            inner.above_high = false;
            return Some(false);
        }
        None
    }

    /// Whether the buffer reached the high mark and has not drained since.
    #[must_use]
    pub fn is_above_high(&self) -> bool {
        self.inner.borrow().above_high
    }

    /// Bytes queued for this exchange and not yet taken by the network (FLOW-2, FLOW-13).
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        let inner = self.inner.borrow();
        if inner.gone { 0 } else { inner.out.buffered() }
    }

    // ---- application side: receiving and state ------------------------------------------------------------------------

    /// The next event, or `None` when the receive has to wait (RECV-2).
    pub fn receive(&self) -> Option<ReceiveEvent> {
        let inner = &mut *self.inner.borrow_mut();
        if self.head.kind == ScopeKind::WebSocket {
            return Self::receive_websocket(inner);
        }
        if let Some(reason) = Self::end_of_scope(inner) {
            return Some(ReceiveEvent::Disconnect { reason });
        }
        if let Some(body) = inner.inbound.pop_front() {
            inner.inbound_bytes -= body.len();
            let more = !(inner.inbound_end && inner.inbound.is_empty());
            inner.final_delivered = !more;
            Self::wake_connection(inner);
            return Some(ReceiveEvent::Request { body, more });
        }
        if inner.inbound_end && !inner.final_delivered {
            inner.final_delivered = true;
            return Some(ReceiveEvent::Request { body: Bytes::new(), more: false });
        }
        if !inner.inbound_end && !inner.body_wanted {
            inner.body_wanted = true;
            if self.head.expects_continue && !inner.sequence.is_started() {
                inner.encoder.interim_continue(&mut inner.out);
            }
            Self::wake_connection(inner);
        }
        None
    }

    /// Connect first (WS-5, WS-6), then messages, then the end. A denial delivers none (WS-40).
    fn receive_websocket(inner: &mut Inner) -> Option<ReceiveEvent> {
        if !std::mem::replace(&mut inner.final_delivered, true) {
            return Some(ReceiveEvent::WsConnect);
        }
        if let Some(channel) = &mut inner.websocket {
            let event = channel.take();
            Self::wake_connection(inner);
            return event;
        }
        let never_open = match inner.sequence {
            Sequence::WebSocket(WebSocket::Rejected) => true,
            Sequence::WebSocket(WebSocket::Connecting) => inner.gone,
            _ => false,
        };
        let reason = inner.reason.map(|reason| reason.token().to_owned()).unwrap_or_default();
        never_open.then_some(ReceiveEvent::WsDisconnect { code: close::ABNORMAL, reason })
    }

    /// `Some` once receive only ever resolves with the disconnect event (RECV-3, SSE-28, SSE-29). A completed decline
    /// delivers none (SSE-33).
    fn end_of_scope(inner: &Inner) -> Option<String> {
        if let Some(reason) = &inner.sse_close_reason {
            return Some(reason.clone());
        }
        match inner.sequence {
            Sequence::SseDeclined(Response::Complete) => None,
            sequence if sequence.is_complete() && inner.handle.is_none() => Some(String::new()),
            _ => inner.reason.map(|reason| reason.token().to_owned()),
        }
    }

    /// Reason of an abnormal end.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.inner.borrow().reason
    }

    /// Whether a response start was processed (CONN-11).
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.inner.borrow().sequence.is_started()
    }

    /// Whether the response was finished by the application (CONN-13).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let inner = self.inner.borrow();
        inner.sequence.is_complete() && inner.reason.is_none() && inner.handle.is_none()
    }

    /// Whether a complete response has been handed to the network in full: when `on_complete` fires (CONN-21).
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        let inner = self.inner.borrow();
        inner.sequence.is_complete() && inner.reason.is_none() && inner.handle.is_none() && inner.out.is_empty()
    }

    /// The application call has ended. Makes the 500 backstop or cuts an unfinished response (section 8.6).
    pub fn call_ended(&self, end: CallEnd) -> Verdict {
        let inner = &mut *self.inner.borrow_mut();
        if inner.gone {
            let complete = inner.sequence.is_complete() && inner.reason.is_none();
            return if complete { Verdict::Complete } else { Verdict::ClientGone };
        }
        if inner.reason.is_some() {
            return Verdict::Truncated;
        }
        if inner.sequence.is_complete() {
            return Verdict::Complete;
        }
        if let (Sequence::WebSocket(WebSocket::Open | WebSocket::Closed), Some(channel)) =
            (inner.sequence, &mut inner.websocket)
        {
            let now = self.worker.now();
            inner.out.append(|out| match end {
                CallEnd::Resolved => channel.session.application_returned(now, out),
                CallEnd::Failed => channel.session.application_failed(now, out),
            });
            Self::wake_connection(inner);
            return Verdict::Complete;
        }
        if inner.sequence == Sequence::SseStreaming && end == CallEnd::Resolved {
            inner.encoder.end(&mut inner.out);
            inner.sequence = Sequence::SseClosed;
            inner.sse_close_reason = Some(String::new());
            inner.keepalive = None;
            Self::wake_connection(inner);
            return Verdict::Complete;
        }
        inner.reason = Some(Reason::ServerError);
        inner.held = false;
        inner.keepalive = None;
        Self::wake_connection(inner);
        if inner.sequence.is_started() {
            inner.cut = true;
            return Verdict::Truncated;
        }
        self.refuse(inner, Refusal::SERVER_ERROR);
        inner.sequence = match inner.sequence {
            Sequence::Http(_) => Sequence::Http(Response::Complete),
            Sequence::WebSocket(_) => Sequence::WebSocket(WebSocket::Denied(Response::Complete)),
            _ => Sequence::SseDeclined(Response::Complete),
        };
        Verdict::Backstop
    }

    /// Ends an open event stream or WebSocket from our side: a clean end for the client, a reason for the application
    /// (SHUT-1, SHUT-3).
    pub fn end_stream(self: &Rc<Self>, reason: Reason) {
        {
            let inner = &mut *self.inner.borrow_mut();
            if let Some(channel) = &mut inner.websocket {
                let now = self.worker.now();
                inner.out.append(|out| channel.session.shut_down(now, out));
                Self::wake_connection(inner);
                return;
            }
            if inner.gone || inner.sequence != Sequence::SseStreaming {
                return;
            }
            inner.encoder.end(&mut inner.out);
            inner.sequence = Sequence::SseClosed;
            inner.sse_close_reason = Some(reason.token().to_owned());
            inner.keepalive = None;
            inner.ended_by_server = true;
            Self::wake_connection(inner);
        }
        self.notify();
    }

    /// A response of the server's own in place of the application's.
    fn refuse(&self, inner: &mut Inner, refusal: Refusal) {
        inner.encoder.refusal(&mut inner.out, refusal, &self.worker.config);
        inner.status = refusal.status;
        inner.body_bytes = refusal.text.len() as u64;
    }

    // ---- connection side ----------------------------------------------------------------------------------------------

    /// Whether this response has to be the connection's last.
    fn closes(&self) -> bool {
        !self.head.keep_alive || self.worker.drain.phase() != Phase::Running
    }

    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut inner = self.inner.borrow_mut();
        if !inner.connection.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            inner.connection = Some(cx.waker().clone());
        }
    }

    /// Gives the output queue to the connection while it may be written.
    pub(crate) fn with_output<T>(&self, write: impl FnOnce(&mut Outbound) -> T) -> Option<T> {
        let inner = &mut *self.inner.borrow_mut();
        if inner.held && !inner.cut || inner.out.is_empty() {
            return None;
        }
        Some(write(&mut inner.out))
    }

    /// Output was written: time for the watermarks, and for whoever waits for the end.
    pub(crate) fn written(self: &Rc<Self>) {
        let wake = {
            let mut inner = self.inner.borrow_mut();
            inner.last_activity = self.worker.now();
            let interest = self.interest.get();
            (interest.drain && self.is_low(&inner))
                || (interest.end && inner.sequence.is_complete() && inner.out.is_empty())
        };
        if wake {
            self.notify();
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        let inner = self.inner.borrow();
        if inner.websocket.is_some() {
            return Progress::Upgraded;
        }
        if inner.held && !inner.cut || !inner.out.is_empty() {
            return Progress::Active;
        }
        if inner.cut {
            // Only a body that ends where the connection ends needs a reset to be seen as cut.
            return Progress::Cut(inner.encoder.framing() == Framing::UntilClose);
        }
        if inner.sequence.is_complete() && inner.handle.is_none() {
            return Progress::Finished(!inner.encoder.closes());
        }
        Progress::Active
    }

    /// Whether an event stream is open: its idle timer runs.
    pub(crate) fn is_event_stream(&self) -> bool {
        self.inner.borrow().sequence == Sequence::SseStreaming
    }

    pub(crate) fn last_activity(&self) -> Instant {
        self.inner.borrow().last_activity
    }

    /// How many more body bytes may be buffered (RECV-8). Nothing is read before it is wanted when the client waits for
    /// a 100 (HTTP-6).
    pub(crate) fn inbound_room(&self) -> usize {
        let inner = self.inner.borrow();
        if inner.inbound_end || (self.head.expects_continue && !inner.body_wanted) {
            return 0;
        }
        self.worker.config.receive_window.saturating_sub(inner.inbound_bytes)
    }

    pub(crate) fn push_inbound(self: &Rc<Self>, body: Bytes, last: bool) {
        {
            let mut inner = self.inner.borrow_mut();
            inner.inbound_bytes += body.len();
            if !body.is_empty() {
                inner.inbound.push_back(body);
            }
            inner.inbound_end = last;
            inner.last_activity = self.worker.now();
        }
        if self.interest.get().receive {
            self.notify();
        }
    }

    /// The transport or the request is no more (CONN-9). Output is dropped; state flips at once, notifications follow
    /// through the inbox (CONN-16).
    pub(crate) fn disconnected(self: &Rc<Self>, reason: Reason) {
        {
            let inner = &mut *self.inner.borrow_mut();
            if inner.gone {
                return;
            }
            inner.gone = true;
            inner.keepalive = None;
            let handed_over = inner.sequence.is_complete() && inner.handle.is_none() && inner.out.is_empty();
            if !handed_over {
                inner.reason.get_or_insert(reason);
            }
            inner.out.clear();
            inner.inbound.clear();
            inner.inbound_bytes = 0;
        }
        self.notify();
    }

    /// Whether a server-made refusal may still be sent: nothing of a response has been.
    pub(crate) fn is_unanswered(&self) -> bool {
        !self.inner.borrow().sequence.is_started()
    }

    /// Gives the session what has arrived, and the application its messages.
    pub(crate) fn feed_websocket(self: &Rc<Self>, input: &mut BytesMut) -> Fed {
        let fed = {
            let inner = &mut *self.inner.borrow_mut();
            let Some(channel) = &mut inner.websocket else { return Fed::Over };
            let mut fed = Fed::Hungry;
            inner.out.append(|out| fed = channel.feed(input, out, &self.worker.config, self.worker.now()));
            fed
        };
        if self.interest.get().receive || fed == Fed::Over {
            self.notify();
        }
        fed
    }

    /// Does what is due in a WebSocket session; also when to look again.
    pub(crate) fn tick_websocket(self: &Rc<Self>, now: Instant) -> Option<Instant> {
        let (deadline, over) = {
            let inner = &mut *self.inner.borrow_mut();
            let channel = inner.websocket.as_mut()?;
            if channel.session.deadline().is_some_and(|deadline| deadline <= now) {
                inner.out.append(|out| channel.session.tick(now, out));
            }
            (channel.session.deadline(), channel.is_over())
        };
        if over {
            self.notify();
        }
        deadline
    }

    /// The transport of a WebSocket ended without a closing handshake (WS-23).
    pub(crate) fn websocket_lost(self: &Rc<Self>, reason: Reason) {
        if let Some(channel) = &mut self.inner.borrow_mut().websocket {
            channel.session.lost(reason);
        }
        self.disconnected(reason);
    }

    /// Whether the session is over and everything was written.
    pub(crate) fn is_websocket_done(&self) -> bool {
        let inner = self.inner.borrow();
        inner.out.is_empty() && inner.websocket.as_ref().is_none_or(|channel| channel.is_over())
    }

    /// A comment that is due (SSE-23); also when the next one is.
    pub(crate) fn keepalive(&self, now: Instant) -> Option<Instant> {
        let inner = &mut *self.inner.borrow_mut();
        let keepalive = inner.keepalive.as_mut()?;
        if keepalive.due <= now {
            keepalive.due = now + keepalive.interval;
            inner.last_activity = now;
            inner.body_bytes += keepalive.comment.len() as u64;
            // An encoder without declared length takes any number of bytes.
            let _ = inner.encoder.body(&mut inner.out, &keepalive.comment);
        }
        Some(keepalive.due)
    }

    pub(crate) fn override_status(&self, status: u16) {
        self.inner.borrow_mut().status = status;
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let inner = self.inner.borrow();
        Outcome {
            status: Some(inner.status).filter(|&status| status != 0),
            body_bytes: inner.body_bytes,
            duration: self.worker.now().duration_since(inner.started),
            finished: SystemTime::now(),
        }
    }
}

/// The step an event is in its scope: plain responses go by three names.
fn step_of(event: &SendEvent<'_>, kind: ScopeKind) -> Step {
    match (event, kind) {
        (SendEvent::ResponseStart { trailers, .. }, ScopeKind::Http) => Step::ResponseStart { trailers: *trailers },
        (SendEvent::ResponseStart { .. }, ScopeKind::Sse) => Step::SseDeclineStart,
        (SendEvent::ResponseStart { .. }, ScopeKind::WebSocket) => Step::WsDenialStart,
        (SendEvent::ResponseBody { content: Content::Inline(bytes), more }, ScopeKind::Http) => {
            Step::ResponseBody { more: *more, empty: bytes.is_empty() }
        }
        (SendEvent::ResponseBody { .. }, ScopeKind::Http) => Step::ResponseFile,
        (SendEvent::ResponseBody { more, .. }, ScopeKind::Sse) => Step::SseDeclineBody { more: *more },
        (SendEvent::ResponseBody { more, .. }, ScopeKind::WebSocket) => Step::WsDenialBody { more: *more },
        (SendEvent::ResponseTrailers { .. }, _) => Step::ResponseTrailers,
        (SendEvent::FullFlush, _) => Step::FullFlush,
        (SendEvent::SseStart { .. }, _) => Step::SseStart,
        (SendEvent::SseSend(_), _) => Step::SseSend,
        (SendEvent::SseComment(_), _) => Step::SseComment,
        (SendEvent::SseKeepalive { .. }, _) => Step::SseKeepalive,
        (SendEvent::SseClose { .. }, _) => Step::SseClose,
        (SendEvent::WsAccept { .. }, _) => Step::WsAccept,
        (SendEvent::WsText(_) | SendEvent::WsBinary(_), _) => Step::WsSend,
        (SendEvent::WsKeepalive { .. }, _) => Step::WsKeepalive,
        (SendEvent::WsClose { .. }, _) => Step::WsClose,
    }
}
