//! An HTTP/1.1 connection after its upgrade: frames both ways until the session is over.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::connection::{Connection, Flow, HANGUP_CHECK, lost};
use crate::drain::Phase;
use crate::exchange::Exchange;
use crate::reason::Reason;
use crate::timer::earliest;
use crate::transport::Transport;
use crate::websocket::channel::Fed;

impl<T: Transport> Connection<'_, T> {
    /// Carries a WebSocket to its end. `true` when the closing handshake was made, so that the close may linger.
    pub(super) async fn websocket(&mut self, exchange: &Rc<Exchange>) -> bool {
        let mut flow = Flow::new(self.worker.now());
        let lost = poll_fn(|cx| self.poll_websocket(cx, exchange, &mut flow)).await;
        if let Some(reason) = lost {
            exchange.websocket_lost(reason);
        }
        lost.is_none()
    }

    fn poll_websocket(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &Rc<Exchange>,
        flow: &mut Flow,
    ) -> Poll<Option<Reason>> {
        exchange.register(cx);
        if self.seat.watch(cx) == Phase::Aborting {
            return Poll::Ready(Some(Reason::ServerShutdown));
        }
        let now = self.worker.now();
        let due = exchange.tick_websocket(now);
        let fed = match self.read_frames(cx, exchange, flow, now) {
            Ok(fed) => fed,
            Err(reason) => return Poll::Ready(Some(reason)),
        };
        if let Err(reason) = self.write(cx, exchange, flow, now) {
            return Poll::Ready(Some(reason));
        }
        if exchange.is_websocket_done() {
            return Poll::Ready(None);
        }
        // A session that ended in the tick or while reading has its last frames to write.
        self.poll_websocket_deadlines(cx, exchange, flow, due, fed, now)
    }

    fn read_frames(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &Rc<Exchange>,
        flow: &mut Flow,
        now: Instant,
    ) -> Result<Fed, Reason> {
        loop {
            match exchange.feed_websocket(&mut self.buffer) {
                Fed::Hungry => {}
                Fed::Full if self.io.hung_up() => return Err(Reason::ClientClosed),
                fed => return Ok(fed),
            }
            match self.poll_fill(cx, usize::MAX) {
                Poll::Pending => {
                    if self.buffer.is_empty() {
                        // An idle WebSocket holds no buffer.
                        self.buffer = bytes::BytesMut::new();
                    }
                    return Ok(Fed::Hungry);
                }
                Poll::Ready(Ok(0)) => return Err(Reason::ClientClosed),
                Poll::Ready(Ok(_)) => flow.quiet_since = now,
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "read failed");
                    return Err(lost(&error));
                }
            }
        }
    }

    fn poll_websocket_deadlines(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &Rc<Exchange>,
        flow: &Flow,
        due: Option<Instant>,
        fed: Fed,
        now: Instant,
    ) -> Poll<Option<Reason>> {
        let config = &self.worker.config;
        let write = flow.stalled.and_then(|since| Some(since + config.write_timeout?));
        let idle = config.ws_idle_timeout.map(|limit| exchange.last_activity().max(flow.quiet_since) + limit);
        let hangup = (fed == Fed::Full).then(|| now + HANGUP_CHECK);
        let deadline = [write, idle, hangup].into_iter().fold(due, earliest);
        ready!(self.timer.poll_until(cx, deadline));
        let now = self.worker.now();
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(write) {
            return Poll::Ready(Some(Reason::WriteTimeout));
        }
        if passed(idle) {
            return Poll::Ready(Some(Reason::IdleTimeout));
        }
        // A ping, a missing answer or a hang-up check is due: go round again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
