//! The life of one HTTP/1 connection, top to bottom: read a head, open an exchange, move bytes both ways until it is
//! finished, go on or close.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{cmp, io};

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use crate::account;
use crate::drain::{Phase, Seat};
use crate::exchange::{Exchange, Progress};
use crate::http1::body::{BodyDecoder, Decoded};
use crate::http1::ending::LINGER;
use crate::http1::head::{self, HeadScanner};
use crate::http2;
use crate::pool::ticket::Origin;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::scope::{Peer, RequestHead, Version};
use crate::service;
use crate::stats::Stats;
use crate::timer::{Timer, earliest};
use crate::transport::Transport;
use crate::worker::Worker;

/// How long an idle connection may still send one more request once a drain has begun: closing at once would race with
/// a request already on its way.
const DRAIN_GRACE: Duration = Duration::from_secs(2);
/// How often a connection that is not being read is asked whether its peer is still there (CONN-9).
pub(super) const HANGUP_CHECK: Duration = Duration::from_secs(1);
/// Bytes of a next, pipelined request that are read while an exchange is under way.
const PIPELINE_ROOM: usize = 16 * 1024;

/// Serves one connection until it closes.
pub(crate) async fn serve<T: Transport>(io: T, peer: Rc<Peer>, worker: Rc<Worker>) {
    let connection = Connection::new(io, peer, &worker);
    connection.live().await;
}

/// Answers the one request that a worker hands over on a stream of its own. What of it was received comes along.
pub(crate) async fn serve_handed_over<T: Transport>(io: T, received: BytesMut, origin: Origin, worker: Rc<Worker>) {
    let client_version = origin.version();
    let mut connection = Connection::new(io, Rc::new(Peer::from(origin)), &worker);
    connection.buffer = received;
    connection.handed_over = Some(client_version);
    connection.live().await;
}

/// Answers 503 and closes: there is no room for this connection in any worker.
pub(crate) async fn turn_away<T: Transport>(io: T, peer: Rc<Peer>, worker: Rc<Worker>) {
    let mut connection = Connection::new(io, peer, &worker);
    if connection.begins_with_preface().await {
        if connection.send_last(http2::NO_ROOM).await {
            connection.linger().await;
        }
        return;
    }
    connection.refuse(Refusal::AT_CAPACITY).await;
}

/// Answers a client that has sent these bytes in the clear to a TLS listener: in the clear, for it would not understand
/// anything else.
pub(crate) async fn refuse_cleartext<T: Transport>(io: T, received: &[u8], peer: Rc<Peer>, worker: Rc<Worker>) {
    let mut connection = Connection::new(io, peer, &worker);
    connection.buffer.extend_from_slice(received);
    connection.refuse(Refusal::CLEARTEXT).await;
}

pub(super) struct Connection<'w, T> {
    pub(super) io: T,
    pub(super) peer: Rc<Peer>,
    pub(super) worker: Rc<Worker>,
    pub(super) seat: Seat<'w>,
    pub(super) buffer: BytesMut,
    pub(super) timer: Timer,
    quiet_since: Instant,
    drain_since: Option<Instant>,
    last: Last,
    /// The first bytes may be HTTP/2's preface (RFC 9113 §3.3).
    pub(super) may_be_http2: bool,
    /// Another process of ours hands a request over here: the version that its client speaks.
    handed_over: Option<Version>,
}

/// The last exchange, if its application still holds on to it when the connection ends.
struct Last(Weak<Exchange>);

impl Drop for Last {
    /// From now on sends of a finished exchange are no-ops, not out of sequence (SEND-8, AMB-10).
    fn drop(&mut self) {
        if let Some(exchange) = self.0.upgrade() {
            exchange.disconnected(Reason::ClientClosed);
        }
    }
}

enum Next {
    Request(Box<RequestHead>),
    Http2,
    Refuse(Refusal),
    Close,
}

enum After {
    NextRequest,
    Upgrade,
    Close,
    Cut,
    Refuse(Refusal),
}

impl<'w, T: Transport> Connection<'w, T> {
    fn new(io: T, peer: Rc<Peer>, worker: &'w Rc<Worker>) -> Self {
        let may_be_http2 = worker.config.http2.cleartext && peer.tls.is_none();
        Self {
            io,
            peer,
            worker: Rc::clone(worker),
            seat: worker.drain.seat(),
            buffer: BytesMut::new(),
            timer: Timer::default(),
            quiet_since: worker.now(),
            drain_since: None,
            last: Last(Weak::new()),
            may_be_http2,
            handed_over: None,
        }
    }

    async fn live(mut self) {
        loop {
            match self.next_request().await {
                Next::Request(head) => match self.exchange(*head).await {
                    // A stream between our own processes has one request, and loses nothing when it is closed.
                    After::NextRequest | After::Close if self.handed_over.is_some() => return,
                    After::NextRequest => {}
                    After::Close => return self.linger().await,
                    // What was refused has been answered.
                    After::Cut | After::Upgrade | After::Refuse(_) => return,
                },
                Next::Http2 => {
                    let Connection { io, peer, buffer, worker, .. } = self;
                    // Boxed, so that the task of an HTTP/1 connection does not grow by it.
                    return Box::pin(http2::connection::serve(io, buffer, peer, worker)).await;
                }
                Next::Refuse(refusal) => return self.refuse(refusal).await,
                Next::Close => return self.io.say_goodbye(),
            }
        }
    }

    // ---- between requests -----------------------------------------------------------------------------------------------

    async fn next_request(&mut self) -> Next {
        let mut scanner = HeadScanner::default();
        let mut blank_allowed = true;
        let mut first_byte = None;
        self.quiet_since = self.worker.now();
        poll_fn(|cx| self.poll_request(cx, &mut scanner, &mut blank_allowed, &mut first_byte)).await
    }

    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        scanner: &mut HeadScanner,
        blank_allowed: &mut bool,
        first_byte: &mut Option<Instant>,
    ) -> Poll<Next> {
        loop {
            if *blank_allowed && self.buffer.starts_with(b"\r\n") {
                // RFC 9112 §2.2: one empty line before the request line is ignored.
                self.buffer.advance(2);
                *blank_allowed = false;
            }
            *blank_allowed &= self.buffer.is_empty() || self.buffer[..] == b"\r"[..];
            self.may_be_http2 &= http2::may_be_preface(&self.buffer);
            match scanner.scan(&self.buffer, &self.worker.config) {
                // A preface looks like a head of its own; what differs from it at any byte is HTTP/1.
                _ if self.may_be_http2 && self.buffer.len() >= http2::PREFACE.len() => return Poll::Ready(Next::Http2),
                _ if self.may_be_http2 => {}
                Err(refusal) => return Poll::Ready(Next::Refuse(refusal)),
                Ok(Some(length)) => {
                    let parsed = head::parse(&self.buffer[..length], &self.worker.config);
                    return Poll::Ready(match parsed {
                        Ok(head) => {
                            self.buffer.advance(length);
                            Next::Request(Box::new(head))
                        }
                        Err(refusal) => Next::Refuse(refusal),
                    });
                }
                Ok(None) => {}
            }
            if !self.buffer.is_empty() && first_byte.is_none() {
                *first_byte = Some(self.worker.now());
            }
            match self.poll_fill(cx, usize::MAX) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Close),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return self.poll_idle(cx, *first_byte),
            }
        }
    }

    /// Nothing to read: an idle connection holds no buffer, and waits for its timer or the drain.
    fn poll_idle(&mut self, cx: &mut Context<'_>, first_byte: Option<Instant>) -> Poll<Next> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        let config = &self.worker.config;
        let after = |since: Instant, limit: Option<Duration>| limit.map(|limit| since + limit);
        let grace = match self.seat.watch(cx) {
            Phase::Running => None,
            Phase::Draining => {
                let since = *self.drain_since.get_or_insert_with(|| self.worker.now());
                Some(since + DRAIN_GRACE)
            }
            Phase::Aborting => return Poll::Ready(Next::Close),
        };
        let deadline = match first_byte {
            Some(first) => after(first, config.header_timeout),
            None => earliest(after(self.quiet_since, config.idle_timeout), grace),
        };
        ready!(self.timer.poll_until(cx, deadline));
        Poll::Ready(if first_byte.is_some() { Next::Refuse(Refusal::TIMEOUT) } else { Next::Close })
    }

    // ---- one exchange ---------------------------------------------------------------------------------------------------

    async fn exchange(&mut self, mut head: RequestHead) -> After {
        let framing = head.framing;
        let waits_for_continue = head.expects_continue;
        if let Some(client_version) = self.handed_over {
            head.client_version = client_version;
            if client_version == Version::Http2 {
                head.headers.remove(b"transfer-encoding");
            }
        }
        let now = self.worker.now();
        let peer = self.worker.admit(&self.peer, &mut head);
        let exchange = Exchange::new(head, peer, Rc::clone(&self.worker), now);
        let mut body = BodyDecoder::new(framing, self.worker.config.max_body_size);
        service::begin(&exchange);
        let mut flow = Flow::new(now);
        let after = poll_fn(|cx| self.poll_exchange(cx, &exchange, &mut body, &mut flow)).await;
        let after = match after {
            After::Upgrade if self.websocket(&exchange).await => After::Close,
            After::Upgrade => After::Cut,
            other => other,
        };
        let refused = match &after {
            After::Refuse(refusal) => {
                exchange.override_status(refusal.status);
                true
            }
            _ => false,
        };
        account::finished(&exchange, refused);
        self.last.0 = Rc::downgrade(&exchange);
        match after {
            After::NextRequest if body.is_done() || self.handed_over.is_some() => After::NextRequest,
            // A client that was never told to continue may or may not send its body: nobody can tell (HTTP-6).
            After::NextRequest if waits_for_continue => After::Close,
            After::NextRequest => self.discard_body(&mut body).await,
            After::Refuse(refusal) => {
                let (fields, is_head) = (exchange.refusal_fields(refusal), exchange.head().is_head());
                drop(exchange);
                // Boxed, so that the task of a connection does not grow by what few of them need.
                Box::pin(self.refuse_exchange(refusal, fields, is_head)).await;
                after
            }
            other => other,
        }
    }

    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &Rc<Exchange>,
        body: &mut BodyDecoder,
        flow: &mut Flow,
    ) -> Poll<After> {
        exchange.register(cx);
        let now = self.worker.now();
        if self.seat.watch(cx) == Phase::Aborting {
            exchange.disconnected(Reason::ServerShutdown);
            return Poll::Ready(After::Cut);
        }
        let keepalive = exchange.keepalive(now);
        if let Err(reason) = self.write(cx, exchange, flow, now) {
            exchange.disconnected(reason);
            return Poll::Ready(After::Cut);
        }
        match exchange.progress() {
            Progress::Active => {}
            Progress::Upgraded => return Poll::Ready(After::Upgrade),
            Progress::Finished(true) if !flow.eof => return Poll::Ready(After::NextRequest),
            Progress::Finished(_) => return Poll::Ready(After::Close),
            Progress::Cut(reset) => {
                if reset {
                    self.io.reset_on_close();
                }
                exchange.disconnected(Reason::ServerError);
                return Poll::Ready(After::Cut);
            }
        }
        let reading = match self.read(cx, exchange, body, flow, now) {
            Ok(reading) => reading,
            Err(Failure::Refused(refusal)) => {
                let reason = match refusal.status {
                    413 => Reason::BodyTooLarge,
                    _ => Reason::ProtocolError,
                };
                let answer = exchange.is_unanswered();
                exchange.disconnected(reason);
                return Poll::Ready(if answer { After::Refuse(refusal) } else { After::Cut });
            }
            Err(Failure::Lost(reason)) => {
                exchange.disconnected(reason);
                return Poll::Ready(After::Cut);
            }
        };
        self.poll_deadlines(cx, exchange, flow, keepalive, reading, now)
    }

    pub(super) fn write(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &Rc<Exchange>,
        flow: &mut Flow,
        now: Instant,
    ) -> Result<(), Reason> {
        let mut written = 0;
        let io = &mut self.io;
        let Some(poll) = exchange.with_output(|out| out.poll_write(io, cx, |bytes| written += bytes)) else {
            return Ok(());
        };
        if written > 0 {
            Stats::add(&self.worker.stats.bytes_out, written as u64);
            flow.stalled = None;
        }
        match poll {
            Poll::Pending => {
                flow.stalled.get_or_insert(now);
            }
            Poll::Ready(Ok(())) => flow.stalled = None,
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "write failed");
                let ours = error.kind() == io::ErrorKind::UnexpectedEof;
                return Err(if ours { Reason::ServerError } else { Reason::WriteError });
            }
        }
        if written > 0 {
            exchange.written();
        }
        Ok(())
    }

    /// Reads what there is room for. Even when the application reads nothing the socket is watched for its end.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &Rc<Exchange>,
        body: &mut BodyDecoder,
        flow: &mut Flow,
        now: Instant,
    ) -> Result<Reading, Failure> {
        loop {
            let mut room = PIPELINE_ROOM.saturating_sub(self.buffer.len());
            if !body.is_done() {
                room = exchange.inbound_room();
                while room > 0 {
                    match body.decode(&mut self.buffer, room).map_err(Failure::Refused)? {
                        Decoded::NeedMore => break,
                        Decoded::Data { bytes, last } => {
                            exchange.push_inbound(bytes, last);
                            room = exchange.inbound_room();
                        }
                    }
                }
                if body.is_done() {
                    continue;
                }
            }
            if flow.eof {
                return Ok(Reading::Ended);
            }
            if room == 0 {
                if self.io.hung_up() {
                    return Err(Failure::Lost(Reason::ClientClosed));
                }
                return Ok(Reading::Paused);
            }
            match self.poll_fill(cx, room) {
                Poll::Pending => {
                    return Ok(if body.is_done() { Reading::Watching } else { Reading::Expecting });
                }
                Poll::Ready(Ok(0)) if self.worker.config.tolerate_half_close && body.is_done() => flow.eof = true,
                Poll::Ready(Ok(0)) => return Err(Failure::Lost(Reason::ClientClosed)),
                Poll::Ready(Ok(_)) => flow.quiet_since = now,
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "read failed");
                    return Err(Failure::Lost(lost(&error)));
                }
            }
        }
    }

    fn poll_deadlines(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &Rc<Exchange>,
        flow: &Flow,
        keepalive: Option<Instant>,
        reading: Reading,
        now: Instant,
    ) -> Poll<After> {
        let config = &self.worker.config;
        let after = |since: Option<Instant>, limit: Option<Duration>| Some(since? + limit?);
        let write = after(flow.stalled, config.write_timeout);
        let body = after((reading == Reading::Expecting).then_some(flow.quiet_since), config.idle_timeout);
        let request = after(Some(exchange.last_activity().max(flow.quiet_since)), config.request_timeout);
        let stream = exchange.is_event_stream().then(|| exchange.last_activity());
        let idle = after(stream, config.sse_idle_timeout);
        let hangup = after((reading == Reading::Paused).then_some(now), Some(HANGUP_CHECK));
        let deadline = [body, request, idle, hangup, keepalive].into_iter().fold(write, earliest);
        ready!(self.timer.poll_until(cx, deadline));
        let now = self.worker.now();
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(write) {
            exchange.disconnected(Reason::WriteTimeout);
            return Poll::Ready(After::Cut);
        }
        if passed(idle) {
            tracing::warn!("event stream idle; closing the connection");
            exchange.disconnected(Reason::IdleTimeout);
            return Poll::Ready(After::Cut);
        }
        if passed(body) || passed(request) {
            let limit = if passed(body) { config.idle_timeout } else { config.request_timeout };
            let seconds = limit.unwrap_or_default().as_secs_f64();
            tracing::warn!("Request stall timeout ({seconds}s) - closing connection");
            let answer = reading == Reading::Expecting && exchange.is_unanswered();
            exchange.disconnected(Reason::ClientTimeout);
            return Poll::Ready(if answer { After::Refuse(Refusal::TIMEOUT) } else { After::Cut });
        }
        // A keepalive or a hang-up check is due: go round again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// HTTP-7: the rest of an unread body is thrown away, within bounds, before the next request is looked for.
    async fn discard_body(&mut self, body: &mut BodyDecoder) -> After {
        let limit = usize::try_from(self.worker.config.drain_limit).unwrap_or(usize::MAX);
        let mut discarded = 0;
        let deadline = self.worker.now() + LINGER;
        poll_fn(|cx| {
            loop {
                loop {
                    match body.decode(&mut self.buffer, usize::MAX) {
                        Ok(Decoded::NeedMore) => break,
                        Ok(Decoded::Data { bytes, .. }) => discarded += bytes.len(),
                        Err(_) => return Poll::Ready(After::Close),
                    }
                }
                if discarded > limit {
                    return Poll::Ready(After::Close);
                }
                if body.is_done() {
                    return Poll::Ready(After::NextRequest);
                }
                match self.poll_fill(cx, usize::MAX) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(After::Cut),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => {
                        ready!(self.timer.poll_until(cx, Some(deadline)));
                        return Poll::Ready(After::Close);
                    }
                }
            }
        })
        .await
    }

    /// One read, through the worker's shared buffer.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let mut scratch = self.worker.scratch.borrow_mut();
        let size = cmp::min(room, scratch.len());
        let mut target = ReadBuf::new(&mut scratch[..size]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut target))?;
        let read = target.filled();
        self.buffer.extend_from_slice(read);
        Stats::add(&self.worker.stats.bytes_in, read.len() as u64);
        Poll::Ready(Ok(read.len()))
    }
}

/// Progress of one exchange on the wire.
pub(super) struct Flow {
    /// The client has closed its write side and we go on (AMB-12).
    eof: bool,
    /// Since when output has been waiting for the client.
    pub(super) stalled: Option<Instant>,
    /// When the last byte came in.
    pub(super) quiet_since: Instant,
}

impl Flow {
    pub(super) fn new(now: Instant) -> Self {
        Self { eof: false, stalled: None, quiet_since: now }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Body bytes are expected.
    Expecting,
    /// The body is complete; the socket is watched for its end.
    Watching,
    /// Not read for now: the application is behind.
    Paused,
    /// The client has closed its side.
    Ended,
}

/// An encrypted stream that ends without a notice is no end of a message, but the client is as gone as any other.
pub(super) fn lost(error: &io::Error) -> Reason {
    if error.kind() == io::ErrorKind::UnexpectedEof { Reason::ClientClosed } else { Reason::ReadError }
}

enum Failure {
    Refused(Refusal),
    Lost(Reason),
}
