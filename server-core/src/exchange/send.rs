//! Application side: sending.

use std::time::Duration;

use super::outgoing::Filter;
use super::{Exchange, HandleProgress, Inner, Keepalive, Opened, Sent};
use crate::event::{Content, SendEvent};
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::scope::ScopeKind;
use crate::sequence::{Sequence, Step, Violation, WebSocket};
use crate::stats::Stats;
use crate::websocket::close;

impl Exchange {
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

    /// Whether body bytes are accepted and thrown away: HEAD, a status without content (HEAD-6, STAT-2), or a file in the
    /// body's place.
    #[must_use]
    pub fn discards_body(&self) -> bool {
        let inner = self.inner.borrow();
        inner.wire.discards() || matches!(inner.filter, Filter::Replaced)
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
            self.wake_connection(inner);
        }
        // FLOW-15: an event is accepted while the buffer is below the mark, however large it is.
        Ok(if was_high { Sent::Behind } else { Sent::Done })
    }

    fn take(&self, inner: &mut Inner, event: SendEvent<'_>) -> Result<(), String> {
        let kind = self.head.kind;
        let step = step_of(&event, kind);
        let next = inner.sequence.after(step).map_err(|violation| violation.to_string())?;
        match event {
            SendEvent::ResponseStart { status, headers, trailers: _ } => self.start(inner, status, headers)?,
            SendEvent::ResponseBody { content, more } => self.take_body(inner, content, more, next)?,
            SendEvent::ResponseTrailers { headers } => {
                if matches!(inner.filter, Filter::Replaced) {
                    inner.wire.end(&mut inner.out);
                } else {
                    inner.wire.trailers(&mut inner.out, &headers)?;
                }
                inner.held = false;
            }
            SendEvent::FullFlush => {
                self.flush(inner)?;
                inner.held = false;
            }
            SendEvent::SseStart { status, headers } => {
                self.start_stream(inner, status, headers)?;
                inner.opened = Some(Opened::EventStream);
                Stats::add(&self.worker.stats.event_streams, 1);
            }
            SendEvent::SseSend(bytes) | SendEvent::SseComment(bytes) => {
                inner.body_bytes += bytes.len() as u64;
                inner.wire.body(&mut inner.out, bytes)?;
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
                    inner.wire.end(&mut inner.out);
                    inner.sse_close_reason = Some(reason);
                    inner.keepalive = None;
                }
            }
            SendEvent::WsAccept { subprotocol, headers } => self.accept(inner, subprotocol.as_deref(), headers)?,
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

    fn take_body(&self, inner: &mut Inner, content: Content<'_>, more: bool, next: Sequence) -> Result<(), String> {
        let terminal = next.is_complete();
        match content {
            Content::Inline(bytes) => self.take_bytes(inner, bytes, more)?,
            Content::Handle => {
                self.commit(inner)?;
                inner.handle = Some(HandleProgress { before: inner.sequence, any: false });
                return Ok(());
            }
            Content::File(_) | Content::Parts(_) if matches!(inner.filter, Filter::Replaced) => {}
            content => self.take_content(inner, content)?,
        }
        if !more {
            Self::finish_body(inner, terminal);
        }
        Ok(())
    }

    /// The last body event: end marker, or truncation when fewer bytes came than were declared (BODY-12, RESP-5).
    pub(super) fn finish_body(inner: &mut Inner, terminal: bool) {
        if inner.cut {
            return;
        }
        if inner.wire.is_short() {
            inner.reason = Some(Reason::ServerError);
            inner.cut = true;
        } else if terminal {
            inner.wire.end(&mut inner.out);
        }
    }

    /// Content of a `fh` body event, in pieces. The error is the sentence that fails the send.
    pub fn push_handle_bytes(&self, bytes: &[u8]) -> Result<Sent, String> {
        let inner = &mut *self.inner.borrow_mut();
        if inner.gone {
            return Ok(Sent::Done);
        }
        inner.wire.body(&mut inner.out, bytes)?;
        inner.body_bytes += bytes.len() as u64;
        inner.held = false;
        if let Some(handle) = &mut inner.handle {
            handle.any = true;
        }
        inner.last_activity = self.worker.now();
        self.wake_connection(inner);
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
            self.wake_connection(inner);
        }
    }

    /// Reading the `fh` failed. Before any byte the response goes back to where it was; afterwards it is cut (BODY-10).
    pub fn fail_handle(&self) {
        let inner = &mut *self.inner.borrow_mut();
        let Some(handle) = inner.handle.take() else { return };
        if handle.any {
            inner.reason.get_or_insert(Reason::ServerError);
            inner.cut = true;
            self.wake_connection(inner);
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
    pub(super) fn is_low(&self, inner: &Inner) -> bool {
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
