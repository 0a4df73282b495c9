//! The life of one HTTP/2 connection, top to bottom: settings, streams as they come, the end.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason as Code, RecvStream};

use super::guard::Guard;
use super::link::Link;
use super::options::Http2Options;
use super::stream;
use crate::drain::{Phase, Seat};
use crate::reason::Reason;
use crate::scope::Peer;
use crate::stats::{Raised, Stats};
use crate::timer::{Timer, earliest};
use crate::transport::Transport;
use crate::worker::Worker;

/// How long a client that was told to go may still open streams: those on their way are answered, and a client that
/// does not listen cannot hold the connection.
const GOAWAY_GRACE: Duration = Duration::from_secs(2);
/// DATA that one stream may have waiting in the crate. The rest waits in the exchange, where it is counted (FLOW-3).
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that may be reset between two of our looks, however low the rate limit is.
const LEAST_RESETS: u32 = 20;

/// Serves one connection until it closes. `received` was read already, the preface included.
pub(crate) async fn serve<T: Transport>(io: T, received: BytesMut, peer: Rc<Peer>, worker: Rc<Worker>) {
    Stats::add(&worker.stats.http2_connections, 1);
    let _open = Raised::by_one(&worker.stats.http2_open);
    let now = worker.now();
    let link = Link::new(&worker.config.http2, now);
    let guard = Guard::new(io, received, Rc::clone(&link), Rc::clone(&worker));
    let mut timer = Timer::default();
    let seat = worker.drain.seat();
    let mut handshake = builder(&worker.config.http2).handshake::<_, Bytes>(guard);
    let deadline = worker.config.header_timeout.map(|limit| now + limit);
    let shaken = poll_fn(|cx| {
        if seat.watch(cx) == Phase::Aborting {
            return Poll::Ready(None);
        }
        match std::pin::Pin::new(&mut handshake).poll(cx) {
            Poll::Ready(shaken) => Poll::Ready(Some(shaken)),
            Poll::Pending => timer.poll_until(cx, deadline).map(|()| None),
        }
    })
    .await;
    drop(handshake);
    let h2 = match shaken {
        Some(Ok(h2)) => h2,
        Some(Err(error)) => return tracing::debug!(%error, "HTTP/2 connection failed before it began"),
        None => return,
    };
    let mut served = Served { h2, link, peer, worker: &worker, seat, timer, accepted: 0, leaving: None, cut: false };
    poll_fn(|cx| served.poll(cx)).await;
}

fn builder(options: &Http2Options) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(options.max_concurrent_streams)
        .initial_window_size(options.initial_window_size)
        .initial_connection_window_size(options.connection_window_size)
        .max_frame_size(options.max_frame_size)
        .max_header_list_size(options.max_header_list_size)
        .max_send_buffer_size(SEND_BUFFER)
        // Streams that are reset before we have seen them; how many of those are too many, the rate says.
        .max_pending_accept_reset_streams(options.rst_rate_limit.burst.max(LEAST_RESETS) as usize)
        .max_local_error_reset_streams(Some(options.max_stream_errors));
    if options.enable_connect_protocol {
        builder.enable_connect_protocol();
    }
    builder
}

struct Served<'w, T: Transport> {
    h2: Connection<Guard<T>, Bytes>,
    link: Rc<Link>,
    peer: Rc<Peer>,
    worker: &'w Rc<Worker>,
    seat: Seat<'w>,
    timer: Timer,
    accepted: u64,
    /// When the client was told to go.
    leaving: Option<Instant>,
    /// The client is being cut.
    cut: bool,
}

impl<T: Transport> Served<'_, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.register(cx);
        match self.seat.watch(cx) {
            Phase::Running => {}
            Phase::Draining => self.leave(),
            Phase::Aborting => {
                self.link.ends(Reason::ServerShutdown);
                return Poll::Ready(());
            }
        }
        loop {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.accept(request, respond),
                Poll::Ready(Some(Err(error))) => {
                    self.failed(&error);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    if !self.cut_flood() && !self.link.written() {
                        return self.poll_deadlines(cx);
                    }
                }
            }
        }
    }

    fn accept(&mut self, request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let now = self.worker.now();
        if self.leaving.is_some_and(|since| now >= since + GOAWAY_GRACE) {
            respond.send_reset(Code::REFUSED_STREAM);
            return;
        }
        self.accepted += 1;
        Stats::add(&self.worker.stats.http2_streams, 1);
        let open = self.link.open_stream();
        let (peer, worker, link) = (Rc::clone(&self.peer), Rc::clone(self.worker), Rc::clone(&self.link));
        tokio::task::spawn_local(async move {
            stream::serve(request, respond, peer, worker, link).await;
            drop(open);
        });
        let limit = self.worker.config.http2.max_requests;
        if limit > 0 && self.accepted >= limit {
            self.leave();
        }
    }

    /// GOAWAY in two steps (RFC 9113 §6.8): first one that names no stream and a PING, so that streams on their way are
    /// served; a second after the PING is answered, one that names the last of them.
    fn leave(&mut self) {
        if self.leaving.is_none() {
            self.leaving = Some(self.worker.now());
            self.link.leaves();
            self.h2.graceful_shutdown();
        }
    }

    /// Cuts a client that sends too much of what carries nothing. `true` when that was just done.
    fn cut_flood(&mut self) -> bool {
        let Some(flood) = self.link.flood().filter(|_| !self.cut) else { return false };
        self.cut(Code::ENHANCE_YOUR_CALM, flood.text());
        true
    }

    fn cut(&mut self, code: Code, why: &str) {
        let client = self.peer.client.as_ref().map_or("unix", |(address, _)| address.as_str());
        tracing::warn!(client, "HTTP/2 connection cut: {why}");
        Stats::add(&self.worker.stats.http2_cut, 1);
        self.link.ends(Reason::ProtocolError);
        self.cut = true;
        self.leaving.get_or_insert_with(|| self.worker.now());
        self.h2.abrupt_shutdown(code);
    }

    fn failed(&self, error: &h2::Error) {
        if error.is_io() {
            tracing::debug!(%error, "HTTP/2 connection lost");
            self.link.ends(Reason::ReadError);
            return;
        }
        if error.is_library() && error.reason() == Some(Code::ENHANCE_YOUR_CALM) {
            let client = self.peer.client.as_ref().map_or("unix", |(address, _)| address.as_str());
            tracing::warn!(client, "HTTP/2 connection cut: {error}");
            Stats::add(&self.worker.stats.http2_cut, 1);
        } else {
            tracing::debug!(%error, "HTTP/2 connection failed");
        }
        self.link.ends(if error.is_remote() { Reason::ClientClosed } else { Reason::ProtocolError });
    }

    /// From when on a client that was told to go is no longer waited for: it has no stream open, or is being cut.
    fn leaving_since(&self, quiet: Option<Instant>) -> Option<Instant> {
        let leaving = self.leaving?;
        if self.cut { Some(leaving) } else { quiet.map(|quiet| quiet.max(leaving)) }
    }

    /// The end of a last response may still be on its way to a slow reader.
    fn grace(&self) -> Duration {
        let patient = self.link.is_stuck() && !self.cut;
        self.worker.config.write_timeout.filter(|_| patient).unwrap_or(GOAWAY_GRACE)
    }

    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let config = &self.worker.config;
        let after = |since: Option<Instant>, limit: Option<Duration>| Some(since? + limit?);
        let quiet = self.link.quiet_since();
        let header = after(self.link.header_since().filter(|_| !self.cut), config.header_timeout);
        let idle = after(quiet.filter(|_| self.leaving.is_none()), config.idle_timeout);
        let gone = after(self.leaving_since(quiet), Some(self.grace()));
        let deadline = [header, idle, gone].into_iter().fold(None, earliest);
        ready!(self.timer.poll_until(cx, deadline));
        let now = self.worker.now();
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(gone) {
            // It does not close, or does not even read: it has been told.
            self.link.ends(Reason::ServerShutdown);
            return Poll::Ready(());
        }
        if passed(header) {
            self.cut(Code::ENHANCE_YOUR_CALM, "a header block did not arrive in time (--header-timeout)");
        } else if passed(idle) {
            self.leave();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
