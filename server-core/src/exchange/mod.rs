//! One request and its response, shared by the connection task and the application side.
//!
//! The application side calls [`Exchange::send`] and [`Exchange::receive`]; the connection task moves bytes. Neither ever
//! calls the other: they leave marks here and wake each other, through the [`Inbox`](crate::inbox::Inbox) in one
//! direction and a `Waker` in the other. No borrow outlives a method, so applications may re-enter freely (EMB-2).
//!
//! The methods are filed by who calls them: `send` and `receive` for the application side, `connection` for the
//! connection's, `websocket` for both sides of an accepted WebSocket, `outgoing` for what the server makes of a response before it is encoded, `task` for a native service that takes the
//! application's place.

mod connection;
mod outgoing;
mod receive;
mod send;
mod task;
mod websocket;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::outbound::Outbound;
use crate::reason::Reason;
use crate::scope::{BodyFraming, Peer, RequestHead, ScopeKind};
use crate::sequence::{Response, Sequence, WebSocket};
use crate::websocket::channel::Channel;
use crate::wire::Wire;
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

/// What a request became that is no plain request any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    WebSocket,
    EventStream,
}

/// See the module documentation.
pub struct Exchange {
    head: RequestHead,
    peer: Rc<Peer>,
    worker: Rc<Worker>,
    token: Cell<usize>,
    queued: Cell<bool>,
    interest: Cell<Interest>,
    task: RefCell<task::Attendance>,
    inner: RefCell<Inner>,
}

struct Inner {
    sequence: Sequence,
    wire: Wire,
    out: Outbound,
    filter: outgoing::Filter,
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
    /// Counted among those that are open.
    opened: Option<Opened>,
    status: u16,
    body_bytes: u64,
    started: Instant,
    last_activity: Instant,
    connection: Option<Waker>,
}

impl Inner {
    /// Whether nothing is left to write.
    fn is_written(&self) -> bool {
        self.out.is_empty() && !self.wire.is_pending()
    }
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
    pub(crate) opened: Option<Opened>,
}

impl Exchange {
    /// An exchange that has begun now, for a head that was checked.
    pub fn new(head: RequestHead, peer: Rc<Peer>, worker: Rc<Worker>, now: Instant) -> Rc<Self> {
        let sequence = match head.kind {
            ScopeKind::Http => Sequence::Http(Response::Unstarted),
            ScopeKind::Sse => Sequence::SseUndecided,
            ScopeKind::WebSocket => Sequence::WebSocket(WebSocket::Connecting),
        };
        let wire = Wire::new(&head);
        let inbound_end = head.framing == BodyFraming::Length(0);
        let inner = Inner {
            sequence,
            wire,
            out: Outbound::counted(Rc::clone(&worker)),
            filter: outgoing::Filter::default(),
            held: false,
            handle: None,
            inbound: VecDeque::new(),
            inbound_bytes: 0,
            inbound_end,
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
            opened: None,
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
            task: RefCell::default(),
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

    /// Says what to be woken for; replaces what was said before. A task that serves the exchange is woken for everything.
    pub fn set_interest(&self, interest: Interest) {
        if !self.is_served_by_task() {
            self.interest.set(interest);
        }
    }

    /// To be called when the exchange was taken from the inbox, before its marks are looked at.
    pub fn taken(&self) {
        self.queued.set(false);
    }

    /// Puts the exchange in the inbox unless it is there; a task that serves it is woken.
    pub fn notify(self: &Rc<Self>) {
        if self.wake_task() && self.token().is_none() {
            return;
        }
        if !self.queued.replace(true) {
            self.worker.inbox.push(Rc::clone(self));
        }
    }

    fn wake_connection(&self, inner: &mut Inner) {
        if let Some(waker) = inner.connection.take() {
            self.worker.wakes.wake(waker);
        }
    }
}
