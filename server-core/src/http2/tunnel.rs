//! A stream after its WebSocket handshake: frames in DATA, both ways, until the session is over (WS-45).

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use h2::Reason as Code;

use super::stream::{Ending, Stream};
use crate::reason::Reason;
use crate::timer::earliest;
use crate::websocket::channel::Fed;

/// How long the client's end of the stream is waited for after ours.
const LINGER: Duration = Duration::from_secs(2);

impl Stream {
    /// Carries a WebSocket to its end.
    pub(super) async fn tunnel(&mut self) -> Ending {
        let mut input = BytesMut::new();
        let ending = poll_fn(|cx| self.poll_tunnel(cx, &mut input)).await;
        match ending {
            Ending::Lost(reason) | Ending::Reset(reason, _) => self.exchange.websocket_lost(reason),
            _ => {
                drop(input);
                let until = self.worker.now() + LINGER;
                poll_fn(|cx| self.poll_linger(cx, until)).await;
            }
        }
        ending
    }

    fn poll_tunnel(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<Ending> {
        self.exchange.register(cx);
        if let Poll::Ready(reason) = self.poll_lost(cx) {
            return Poll::Ready(Ending::Lost(reason));
        }
        let now = self.worker.now();
        let due = self.exchange.tick_websocket(now);
        if let Err(ending) = self.read_frames(cx, input, now) {
            return Poll::Ready(ending);
        }
        match self.write(cx, now) {
            Ok(true) => return Poll::Ready(Ending::Done),
            Ok(false) => {}
            Err(ending) => return Poll::Ready(ending),
        }
        if self.exchange.end_written_websocket() {
            // The session's last frame has left; END_STREAM is what remains.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.poll_tunnel_deadlines(cx, due)
    }

    fn read_frames(&mut self, cx: &mut Context<'_>, input: &mut BytesMut, now: Instant) -> Result<(), Ending> {
        loop {
            if self.exchange.feed_websocket(input) != Fed::Hungry {
                return Ok(());
            }
            match self.body.poll_data(cx) {
                Poll::Pending => {
                    if input.is_empty() {
                        *input = BytesMut::new();
                    }
                    return Ok(());
                }
                Poll::Ready(Some(Ok(bytes))) => {
                    self.quiet_since = now;
                    input.extend_from_slice(&bytes);
                    // The session holds little of it, and is not fed while the application is behind.
                    let _ = self.body.flow_control().release_capacity(bytes.len());
                }
                // END_STREAM without a Close frame is as good as a reset.
                Poll::Ready(None) => return Err(Ending::Reset(Reason::ClientClosed, Code::CANCEL)),
                Poll::Ready(Some(Err(_))) => return Err(Ending::Lost(Reason::ClientClosed)),
            }
        }
    }

    fn poll_tunnel_deadlines(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<Ending> {
        let config = &self.worker.config;
        let write = self.stalled.and_then(|since| Some(since + config.write_timeout?));
        let active = self.exchange.last_activity().max(self.quiet_since);
        let idle = config.ws_idle_timeout.map(|limit| active + limit);
        let deadline = [write, idle].into_iter().fold(due, earliest);
        ready!(self.timer.poll_until(cx, deadline));
        let now = self.worker.now();
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(write) {
            return Poll::Ready(Ending::Reset(Reason::WriteTimeout, Code::CANCEL));
        }
        if passed(idle) {
            return Poll::Ready(Ending::Reset(Reason::IdleTimeout, Code::CANCEL));
        }
        // A ping or a missing answer is due: go round again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Our side has ended; leaving before the client's has would reset a stream that ended well.
    fn poll_linger(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        loop {
            match self.body.poll_data(cx) {
                Poll::Ready(Some(Ok(bytes))) => {
                    let _ = self.body.flow_control().release_capacity(bytes.len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.timer.poll_until(cx, Some(until)),
            }
        }
    }
}
