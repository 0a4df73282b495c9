//! Application side: receiving, the state of the exchange, and the end of the application call.

use std::rc::Rc;

use bytes::Bytes;

use super::{CallEnd, Exchange, Inner, Verdict};
use crate::event::ReceiveEvent;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::scope::ScopeKind;
use crate::sequence::{Response, Sequence, WebSocket};

impl Exchange {
    /// The next event, or `None` when the receive has to wait (RECV-2).
    pub fn receive(&self) -> Option<ReceiveEvent> {
        let inner = &mut *self.inner.borrow_mut();
        if self.head.kind == ScopeKind::WebSocket {
            return self.receive_websocket(inner);
        }
        if let Some(reason) = Self::end_of_scope(inner) {
            return Some(ReceiveEvent::Disconnect { reason });
        }
        if let Some(body) = inner.inbound.pop_front() {
            inner.inbound_bytes -= body.len();
            inner.body_wanted = true;
            let more = !(inner.inbound_end && inner.inbound.is_empty());
            inner.final_delivered = !more;
            self.wake_connection(inner);
            return Some(ReceiveEvent::Request { body, more });
        }
        if inner.inbound_end && !inner.final_delivered {
            inner.final_delivered = true;
            return Some(ReceiveEvent::Request { body: Bytes::new(), more: false });
        }
        if !inner.inbound_end && !inner.body_wanted {
            inner.body_wanted = true;
            if self.head.expects_continue && !inner.sequence.is_started() {
                inner.wire.interim_continue(&mut inner.out);
            }
            self.wake_connection(inner);
        }
        None
    }

    /// `Some` once receive only ever resolves with the disconnect event (RECV-3, SSE-28, SSE-29). A completed decline
    /// delivers none (SSE-33).
    pub(super) fn end_of_scope(inner: &Inner) -> Option<String> {
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
        inner.sequence.is_complete() && inner.reason.is_none() && inner.handle.is_none() && inner.is_written()
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
            self.wake_connection(inner);
            return Verdict::Complete;
        }
        if inner.sequence == Sequence::SseStreaming && end == CallEnd::Resolved {
            inner.wire.end(&mut inner.out);
            inner.sequence = Sequence::SseClosed;
            inner.sse_close_reason = Some(String::new());
            inner.keepalive = None;
            self.wake_connection(inner);
            return Verdict::Complete;
        }
        inner.reason = Some(Reason::ServerError);
        inner.held = false;
        inner.keepalive = None;
        self.wake_connection(inner);
        if inner.sequence.is_started() {
            // The client gets to see the head, as it would of any response that breaks off.
            let _ = self.commit(inner);
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
                self.wake_connection(inner);
                return;
            }
            if inner.gone || inner.sequence != Sequence::SseStreaming {
                return;
            }
            inner.wire.end(&mut inner.out);
            inner.sequence = Sequence::SseClosed;
            inner.sse_close_reason = Some(reason.token().to_owned());
            inner.keepalive = None;
            inner.ended_by_server = true;
            self.wake_connection(inner);
        }
        self.notify();
    }

    /// A response of the server's own in place of the application's.
    pub(super) fn refuse(&self, inner: &mut Inner, refusal: Refusal) {
        let fields = self.refusal_fields(refusal);
        inner.wire.refusal(&mut inner.out, refusal, &fields, &self.worker.config);
        inner.status = refusal.status;
        inner.body_bytes = refusal.text.len() as u64;
    }
}
