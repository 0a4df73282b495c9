//! The life of one stream: an exchange, and its bytes both ways.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason as Code, RecvStream, SendStream};

use super::link::Link;
use super::{request, response};
use crate::account::{self, Refused};
use crate::exchange::{Exchange, Progress};
use crate::header::HeaderList;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::scope::{Peer, ScopeKind};
use crate::service;
use crate::timer::{Timer, earliest};
use crate::worker::Worker;

/// Most bytes handed over in one DATA frame's worth.
const MOST: usize = 64 * 1024;

/// Serves one request.
pub(super) async fn serve(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    peer: Rc<Peer>,
    worker: Rc<Worker>,
    link: Rc<Link>,
) {
    // No application is called for a request that was withdrawn at once.
    if poll_fn(|cx| Poll::Ready(respond.poll_reset(cx).is_ready())).await {
        return;
    }
    let (parts, body) = request.into_parts();
    let bodiless = body.is_end_stream();
    let mut head = match request::head(&parts, bodiless, &worker.config) {
        Ok(head) => head,
        Err(refusal) => {
            let is_head = parts.method == http::Method::HEAD;
            let field = worker.request_id_field().unwrap_or_default();
            let given = parts.headers.get_all(field).iter().map(http::HeaderValue::as_bytes);
            let name = worker.name_refused(&peer, given);
            let fields = refusal.fields(worker.outgoing(), name.as_deref(), peer.secure);
            refuse(&mut respond, refusal, &fields, is_head, &worker);
            let target = parts.uri.path_and_query().map_or("-", |target| target.as_str());
            let request = Refused {
                method: parts.method.as_str().as_bytes(),
                target: target.as_bytes(),
                version: "2",
                name: name.as_deref(),
            };
            return account::refused(&worker, &peer, refusal, &request);
        }
    };
    drop(parts);
    let peer = worker.admit(&peer, &mut head);
    let exchange = Exchange::new(head, peer, Rc::clone(&worker), worker.now());
    if bodiless {
        exchange.push_inbound(Bytes::new(), true);
    }
    service::begin(&exchange);
    let mut stream = Stream::new(exchange, worker, link, respond, body, bodiless);
    let ending = match poll_fn(|cx| stream.poll(cx)).await {
        Ending::Upgrade => stream.tunnel().await,
        ending => ending,
    };
    stream.finish(ending);
}

/// Answers in the application's place. What the client still sends is refused with NO_ERROR by the crate.
fn refuse(respond: &mut SendResponse<Bytes>, refusal: Refusal, fields: &HeaderList, is_head: bool, worker: &Worker) {
    let head = response::refusal_head(refusal, fields, &worker.config);
    let sent = respond.send_response(head, is_head).and_then(|mut stream| {
        if is_head { Ok(()) } else { stream.send_data(Bytes::from_static(refusal.text.as_bytes()), true) }
    });
    if let Err(error) = sent {
        tracing::debug!(%error, "a refusal could not be sent");
    }
}

/// How a stream ended.
pub(super) enum Ending {
    /// The response is handed over in full.
    Done,
    /// The handshake was accepted.
    Upgrade,
    /// The client or the connection has gone.
    Lost(Reason),
    /// We give the stream up.
    Reset(Reason, Code),
    /// The response is cut off after what there was of it (RESP-7).
    Truncated,
    /// The server answers, since the application has not.
    Refuse(Refusal, Reason),
}

pub(super) struct Stream {
    pub(super) exchange: Rc<Exchange>,
    pub(super) worker: Rc<Worker>,
    link: Rc<Link>,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    pub(super) body: RecvStream,
    body_done: bool,
    /// Body bytes that came, and those of them that the client may send again.
    received: u64,
    released: u64,
    pub(super) timer: Timer,
    /// Since when output has been waiting for the client.
    pub(super) stalled: Option<Instant>,
    /// When the last byte came in.
    pub(super) quiet_since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Body bytes are expected.
    Expecting,
    /// The body is complete, or the application is behind.
    Paused,
}

impl Stream {
    fn new(
        exchange: Rc<Exchange>,
        worker: Rc<Worker>,
        link: Rc<Link>,
        respond: SendResponse<Bytes>,
        body: RecvStream,
        body_done: bool,
    ) -> Self {
        let quiet_since = worker.now();
        Self {
            exchange,
            worker,
            link,
            respond,
            send: None,
            body,
            body_done,
            received: 0,
            released: 0,
            timer: Timer::default(),
            stalled: None,
            quiet_since,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.exchange.register(cx);
        let now = self.worker.now();
        if let Poll::Ready(reason) = self.poll_lost(cx) {
            return Poll::Ready(Ending::Lost(reason));
        }
        let keepalive = self.exchange.keepalive(now);
        match self.write(cx, now) {
            Ok(true) => return Poll::Ready(Ending::Done),
            Ok(false) => {}
            Err(ending) => return Poll::Ready(ending),
        }
        match self.exchange.progress() {
            Progress::Active | Progress::Finished(_) => {}
            Progress::Upgraded => return Poll::Ready(Ending::Upgrade),
            Progress::Cut(_) => return Poll::Ready(Ending::Truncated),
        }
        match self.read(cx, now) {
            Ok(reading) => self.poll_deadlines(cx, keepalive, reading),
            Err(ending) => Poll::Ready(ending),
        }
    }

    /// Whether the stream or its connection is no more (H2-4, CONN-9).
    pub(super) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        let reset = match &mut self.send {
            Some(send) => send.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        };
        let reason = match ready!(reset) {
            // The crate resets a stream that breaks the rules, and tells who it was only to those who read.
            Ok(_) => match self.body.poll_data(cx) {
                Poll::Ready(Some(Err(error))) if error.is_library() => Reason::ProtocolError,
                _ => Reason::ClientClosed,
            },
            Err(_) => Reason::ClientClosed,
        };
        Poll::Ready(self.link.end().unwrap_or(reason))
    }

    /// Hands over what the application has sent, as far as the socket and the client's windows allow (H2-5). `true` once
    /// END_STREAM is among it.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, Ending> {
        let (respond, send, link, stalled) = (&mut self.respond, &mut self.send, &self.link, &mut self.stalled);
        let mut any = false;
        let outcome = self.exchange.with_response(|response, out| -> Result<bool, Ending> {
            if let Some(head) = response.take_head() {
                any = true;
                let ends = response.ends_with_queue() && out.is_empty();
                *send = Some(respond.send_response(head, ends).map_err(lost)?);
                if ends {
                    response.set_finished();
                    return Ok(true);
                }
            }
            let Some(send) = send else { return Ok(false) };
            loop {
                let ready = match out.poll_ready(cx) {
                    // A disk is waited for, not the client.
                    Poll::Pending => return Ok(false),
                    Poll::Ready(Err(error)) => return Err(unreadable(&error)),
                    Poll::Ready(Ok(ready)) => ready,
                };
                if ready == 0 {
                    *stalled = None;
                    if !response.is_ended() {
                        return Ok(false);
                    }
                    any = true;
                    response.set_finished();
                    match response.take_trailers() {
                        Some(trailers) => send.send_trailers(trailers),
                        None => send.send_data(Bytes::new(), true),
                    }
                    .map_err(lost)?;
                    return Ok(true);
                }
                let granted = if link.is_blocked(cx) { None } else { poll_capacity(send, ready.min(MOST), cx)? };
                let Some(granted) = granted else {
                    stalled.get_or_insert(now);
                    return Ok(false);
                };
                let bytes = out.take(granted);
                any = true;
                *stalled = None;
                link.sent(bytes.len(), out.is_empty());
                let ends = response.ends_with_queue() && out.is_empty();
                send.send_data(bytes, ends).map_err(lost)?;
                if ends {
                    response.set_finished();
                    return Ok(true);
                }
            }
        });
        if any {
            self.exchange.written();
        }
        outcome.unwrap_or(Ok(false))
    }

    /// Reads what there is room for. The client may send more only as the application takes what there is (RECV-8).
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<Reading, Ending> {
        if self.exchange.head().kind == ScopeKind::WebSocket {
            // Frames; nobody looks at them before the handshake is accepted.
            return Ok(Reading::Paused);
        }
        let limit = self.worker.config.max_body_size;
        loop {
            self.release();
            if self.body_done || self.exchange.inbound_room() == 0 {
                return Ok(Reading::Paused);
            }
            match self.body.poll_data(cx) {
                Poll::Pending => return Ok(Reading::Expecting),
                Poll::Ready(Some(Ok(bytes))) => {
                    self.quiet_since = now;
                    self.received += bytes.len() as u64;
                    if limit > 0 && self.received > limit {
                        return Err(if self.exchange.is_unanswered() {
                            Ending::Refuse(Refusal::BODY_TOO_LARGE, Reason::BodyTooLarge)
                        } else {
                            Ending::Reset(Reason::BodyTooLarge, Code::CANCEL)
                        });
                    }
                    self.body_done = self.body.is_end_stream();
                    self.exchange.push_inbound(bytes, self.body_done);
                }
                // Trailers, if there are any, are not for the application (HTTP-8).
                Poll::Ready(None) => {
                    self.body_done = true;
                    self.exchange.push_inbound(Bytes::new(), true);
                }
                Poll::Ready(Some(Err(error))) => {
                    let reason = if error.is_library() { Reason::ProtocolError } else { Reason::ClientClosed };
                    return Err(Ending::Lost(self.link.end().unwrap_or(reason)));
                }
            }
        }
    }

    /// Opens the window again by what the application has taken.
    fn release(&mut self) {
        let taken = self.received - self.exchange.inbound_bytes() as u64;
        let release = usize::try_from(taken - self.released).unwrap_or(usize::MAX);
        if release > 0 {
            self.released = taken;
            // Fails only for more than was received.
            let _ = self.body.flow_control().release_capacity(release);
        }
    }

    fn poll_deadlines(&mut self, cx: &mut Context<'_>, keepalive: Option<Instant>, reading: Reading) -> Poll<Ending> {
        let config = &self.worker.config;
        let exchange = &self.exchange;
        let after = |since: Option<Instant>, limit: Option<Duration>| Some(since? + limit?);
        let write = after(self.stalled, config.write_timeout);
        let body = after((reading == Reading::Expecting).then_some(self.quiet_since), config.idle_timeout);
        let request = after(Some(exchange.last_activity().max(self.quiet_since)), config.request_timeout);
        let stream = exchange.is_event_stream().then(|| exchange.last_activity());
        let idle = after(stream, config.sse_idle_timeout);
        let deadline = [body, request, idle, keepalive].into_iter().fold(write, earliest);
        ready!(self.timer.poll_until(cx, deadline));
        let now = self.worker.now();
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(write) {
            return Poll::Ready(Ending::Reset(Reason::WriteTimeout, Code::CANCEL));
        }
        if passed(idle) {
            tracing::warn!("event stream idle; closing the stream");
            return Poll::Ready(Ending::Reset(Reason::IdleTimeout, Code::CANCEL));
        }
        if passed(body) || passed(request) {
            let limit = if passed(body) { config.idle_timeout } else { config.request_timeout };
            let seconds = limit.unwrap_or_default().as_secs_f64();
            tracing::warn!("Request stall timeout ({seconds}s) - closing the stream");
            let answer = reading == Reading::Expecting && exchange.is_unanswered();
            return Poll::Ready(if answer {
                Ending::Refuse(Refusal::TIMEOUT, Reason::ClientTimeout)
            } else {
                Ending::Reset(Reason::ClientTimeout, Code::CANCEL)
            });
        }
        // A keepalive is due: go round again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn finish(mut self, ending: Ending) {
        let mut refused = false;
        match ending {
            Ending::Done | Ending::Upgrade => {}
            Ending::Lost(reason) => self.exchange.disconnected(reason),
            Ending::Truncated => {
                self.exchange.disconnected(Reason::ServerError);
                if let Some(send) = self.send.take() {
                    self.link.reset_when_written(send, Code::INTERNAL_ERROR);
                }
            }
            Ending::Reset(reason, code) => {
                self.exchange.disconnected(reason);
                match &mut self.send {
                    Some(send) => send.send_reset(code),
                    None => self.respond.send_reset(code),
                }
            }
            Ending::Refuse(refusal, reason) => {
                self.exchange.disconnected(reason);
                self.exchange.override_status(refusal.status);
                let fields = self.exchange.refusal_fields(refusal);
                refuse(&mut self.respond, refusal, &fields, self.exchange.head().is_head(), &self.worker);
                refused = true;
            }
        }
        account::finished(&self.exchange, refused);
    }
}

/// How much of `wanted` may be sent now; `None` when nothing, and the task is woken when that changes.
fn poll_capacity(send: &mut SendStream<Bytes>, wanted: usize, cx: &mut Context<'_>) -> Result<Option<usize>, Ending> {
    send.reserve_capacity(wanted);
    loop {
        let granted = send.capacity().min(wanted);
        if granted > 0 {
            return Ok(Some(granted));
        }
        match send.poll_capacity(cx) {
            Poll::Pending => return Ok(None),
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => return Err(lost(error)),
            Poll::Ready(None) => return Err(Ending::Lost(Reason::ClientClosed)),
        }
    }
}

/// The crate does not take what it is given: the stream is gone, or its response is one that HTTP/2 cannot carry.
fn lost(error: h2::Error) -> Ending {
    if error.is_reset() || error.is_go_away() || error.is_io() {
        return Ending::Lost(Reason::ClientClosed);
    }
    tracing::error!(%error, "a response cannot be sent over HTTP/2");
    Ending::Reset(Reason::ServerError, Code::INTERNAL_ERROR)
}

/// A file that cannot be read to the end that was promised.
fn unreadable(error: &io::Error) -> Ending {
    tracing::debug!(%error, "a file of a response cannot be read");
    Ending::Truncated
}
