//! Connection side: moving bytes, and what the connection has to know to do so.

use std::rc::Rc;
use std::task::Context;
use std::time::Instant;

use bytes::Bytes;

use super::{Exchange, Outcome, Progress};
use crate::drain::Phase;
use crate::http2::response::Response;
use crate::outbound::Outbound;
use crate::reason::Reason;
use crate::sequence::Sequence;
use crate::wire::Wire;

impl Exchange {
    /// Whether this response has to be the connection's last.
    pub(super) fn closes(&self) -> bool {
        !self.head.keep_alive || self.worker.drain.phase() != Phase::Running
    }

    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut inner = self.inner.borrow_mut();
        if !inner.connection.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            inner.connection = Some(cx.waker().clone());
        }
    }

    /// Gives the output queue to the connection while it may be written.
    pub fn with_output<T>(&self, write: impl FnOnce(&mut Outbound) -> T) -> Option<T> {
        let inner = &mut *self.inner.borrow_mut();
        if inner.held && !inner.cut || inner.out.is_empty() {
            return None;
        }
        Some(write(&mut inner.out))
    }

    /// The same for an HTTP/2 stream: head, trailers and end are kept apart from the queue.
    pub(crate) fn with_response<T>(&self, write: impl FnOnce(&mut Response, &mut Outbound) -> T) -> Option<T> {
        let inner = &mut *self.inner.borrow_mut();
        match &mut inner.wire {
            Wire::Http2(response) if inner.cut || !inner.held => Some(write(response, &mut inner.out)),
            _ => None,
        }
    }

    /// Output was written: time for the watermarks, and for whoever waits for the end.
    pub(crate) fn written(self: &Rc<Self>) {
        let wake = {
            let mut inner = self.inner.borrow_mut();
            inner.last_activity = self.worker.now();
            let interest = self.interest.get();
            (interest.drain && self.is_low(&inner))
                || (interest.end && inner.sequence.is_complete() && inner.is_written())
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
        if inner.held && !inner.cut || !inner.is_written() {
            return Progress::Active;
        }
        if inner.cut {
            // Only a body that ends where the connection ends needs a reset to be seen as cut.
            return Progress::Cut(inner.wire.is_until_close());
        }
        if inner.sequence.is_complete() && inner.handle.is_none() {
            return Progress::Finished(!inner.wire.closes());
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

    /// Body bytes that the application has not taken yet.
    pub(crate) fn inbound_bytes(&self) -> usize {
        self.inner.borrow().inbound_bytes
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
            let handed_over = inner.sequence.is_complete() && inner.handle.is_none() && inner.is_written();
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

    /// A comment that is due (SSE-23); also when the next one is.
    pub(crate) fn keepalive(&self, now: Instant) -> Option<Instant> {
        let inner = &mut *self.inner.borrow_mut();
        let keepalive = inner.keepalive.as_mut()?;
        if keepalive.due <= now {
            keepalive.due = now + keepalive.interval;
            inner.last_activity = now;
            inner.body_bytes += keepalive.comment.len() as u64;
            // An encoder without declared length takes any number of bytes.
            let _ = inner.wire.body(&mut inner.out, &keepalive.comment);
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
            opened: inner.opened,
        }
    }
}
