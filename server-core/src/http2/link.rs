//! What a connection and its streams tell each other.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use h2::SendStream;

use super::flood::{Flood, FloodGauge};
use super::frames::Frame;
use super::options::Http2Options;
use crate::reason::Reason;

/// Shared by the tasks of one connection.
pub(super) struct Link {
    gauge: RefCell<FloodGauge>,
    flood: Cell<Option<Flood>>,
    /// Since when the client owes us the rest of a header block.
    header_since: Cell<Option<Instant>>,
    /// The socket takes nothing now.
    blocked: Cell<bool>,
    /// Streams that have output and wait for the socket.
    waiting: RefCell<Vec<Waker>>,
    /// Streams to be cut once what they have sent has left: a reset overtakes whatever is still queued.
    resets: RefCell<Vec<(SendStream<Bytes>, h2::Reason)>>,
    connection: RefCell<Option<Waker>>,
    open: Cell<usize>,
    quiet_since: Cell<Instant>,
    leaving: Cell<bool>,
    end: Cell<Option<Reason>>,
}

impl Link {
    pub(super) fn new(options: &Http2Options, now: Instant) -> Rc<Self> {
        Rc::new(Self {
            gauge: RefCell::new(FloodGauge::new(options, now)),
            flood: Cell::new(None),
            header_since: Cell::new(None),
            blocked: Cell::new(false),
            waiting: RefCell::default(),
            resets: RefCell::default(),
            connection: RefCell::default(),
            open: Cell::new(0),
            quiet_since: Cell::new(now),
            leaving: Cell::new(false),
            end: Cell::new(None),
        })
    }

    // ---- the socket ----------------------------------------------------------------------------------------------------

    /// A frame has arrived.
    pub(super) fn count(&self, frame: Frame, now: Instant) {
        if let Err(flood) = self.gauge.borrow_mut().count(frame, now) {
            self.flood.set(self.flood.get().or(Some(flood)));
        }
    }

    /// Why the client has to go.
    pub(super) fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }

    /// A header block is incomplete, or is not.
    pub(super) fn set_in_header_block(&self, incomplete: bool, now: Instant) {
        self.header_since.set(incomplete.then(|| self.header_since.get().unwrap_or(now)));
    }

    pub(super) fn header_since(&self) -> Option<Instant> {
        self.header_since.get()
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.set(blocked);
    }

    /// Whether the socket takes nothing now.
    pub(super) fn is_stuck(&self) -> bool {
        self.blocked.get()
    }

    /// Whether the client was told to go.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    pub(super) fn leaves(&self) {
        self.leaving.set(true);
    }

    // ---- for streams ---------------------------------------------------------------------------------------------------

    /// Whether output has to wait for the socket; the stream is woken when it no longer has to. What waits here stays in
    /// the exchange, where it is counted (FLOW-3).
    pub(super) fn is_blocked(&self, cx: &Context<'_>) -> bool {
        let blocked = self.blocked.get();
        if blocked {
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|known| known.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
        }
        blocked
    }

    /// A stream has handed over DATA.
    pub(super) fn sent(&self, bytes: usize, emptied: bool) {
        self.gauge.borrow_mut().sent(bytes, emptied);
    }

    /// Cuts a stream after what it has sent.
    pub(super) fn reset_when_written(&self, stream: SendStream<Bytes>, reason: h2::Reason) {
        self.resets.borrow_mut().push((stream, reason));
        self.wake_connection();
    }

    /// What a stream is told when the connection is no more.
    pub(super) fn end(&self) -> Option<Reason> {
        self.end.get()
    }

    /// Counts a stream until the value is dropped.
    pub(super) fn open_stream(self: &Rc<Self>) -> OpenStream {
        self.open.set(self.open.get() + 1);
        OpenStream(Rc::clone(self))
    }

    // ---- for the connection --------------------------------------------------------------------------------------------

    /// Remembers whom to wake.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut connection = self.connection.borrow_mut();
        if !connection.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *connection = Some(cx.waker().clone());
        }
    }

    fn wake_connection(&self) {
        if let Some(waker) = &*self.connection.borrow() {
            waker.wake_by_ref();
        }
    }

    /// After the connection has written what it could: lets waiting streams go on and cuts those that are to be cut.
    /// `true` when there is something to write again.
    pub(super) fn written(&self) -> bool {
        if self.blocked.get() {
            return false;
        }
        self.waiting.take().into_iter().for_each(Waker::wake);
        let resets = self.resets.take();
        let any = !resets.is_empty();
        for (mut stream, reason) in resets {
            stream.send_reset(reason);
        }
        any
    }

    /// Since when no stream has been open; `None` while one is.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        (self.open.get() == 0).then(|| self.quiet_since.get())
    }

    /// Says what streams are told when the connection ends; the first reason stands.
    pub(super) fn ends(&self, reason: Reason) {
        self.end.set(self.end.get().or(Some(reason)));
    }
}

/// A stream that is being served.
pub(super) struct OpenStream(Rc<Link>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        let link = &self.0;
        link.open.set(link.open.get() - 1);
        if link.open.get() == 0 {
            link.quiet_since.set(Instant::now());
            link.wake_connection();
        }
    }
}
