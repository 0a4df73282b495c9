//! The worker's side: hands a request to the pool and brings the answer back, without the application.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::lane::Lane;
use super::queue;
use super::request::{write_body, write_head};
use super::response::{read_body, read_head};
use super::ticket::{Origin, Ticket};
use crate::event::{Content, ReceiveEvent, SendEvent};
use crate::exchange::{CallEnd, Exchange};
use crate::header::HeaderList;
use crate::scope::{ScopeKind, Version};

/// How often a request that waits is asked whether a process has taken it. Most are answered before the first time.
const LOOK: Duration = Duration::from_millis(50);

/// Limits of the pool as a worker sees it.
#[derive(Debug, Clone)]
pub struct GateOptions {
    /// How many processes there are, for those who ask. `pool`.
    pub processes: u32,
    /// Most requests of all workers that wait for a pool process. Crossed: 503. `pool_queue_limit`, default 100.
    pub queue_limit: u64,
    /// How long a request may wait for a pool process. Crossed: 503. `pool_queue_timeout`, default 30 s.
    pub queue_timeout: Option<Duration>,
    /// How long a pool process may work without a sign of life. Crossed: 504, and the process is replaced.
    /// `pool_timeout`, default 30 s.
    pub timeout: Option<Duration>,
    /// How much of a response is taken off a pool process before its client's pace counts. `pool_buffer`, default 1 MiB.
    pub buffer: usize,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self {
            processes: 1,
            queue_limit: 100,
            queue_timeout: Some(Duration::from_secs(30)),
            timeout: Some(Duration::from_secs(30)),
            buffer: 1 << 20,
        }
    }
}

/// The way into the pool.
pub struct Gate {
    queue: OwnedFd,
    options: GateOptions,
    waiting: Waiting,
}

/// What a gate needs of its process.
pub trait Surroundings {
    /// Requests of all other workers that wait: the length of the queue gets around by each counting what it has put in and
    /// nobody has taken.
    fn waiting_elsewhere(&self) -> u64;
    /// Shows the others how many requests of this worker wait.
    fn publish_waiting(&self, waiting: u64);
    /// Has the runtime watch a stream.
    ///
    /// # Errors
    /// When the kernel refuses it.
    fn watch(&self, stream: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>>;
    /// Memory that the kernel holds for what was sent on a stream and not read at its other end.
    ///
    /// # Errors
    /// When it is no stream.
    fn unread(&self, stream: BorrowedFd<'_>) -> io::Result<usize>;
}

/// What of this worker waits for a pool process.
struct Waiting {
    /// Those taken since the last look still among them.
    requests: RefCell<Slab<Rc<Lane>>>,
    /// Jobs of the application, as it counts them (WP-7: one limit for all).
    jobs: Cell<u64>,
    surroundings: Rc<dyn Surroundings>,
}

impl Waiting {
    fn here(&self) -> u64 {
        self.requests.borrow().len() as u64 + self.jobs.get()
    }

    fn everywhere(&self) -> u64 {
        self.here() + self.surroundings.waiting_elsewhere()
    }

    /// Whether the limit is reached, after a look when it seems so. Others may not have looked for [`LOOK`]: at most as many
    /// as there are pool processes are then counted too many.
    fn reaches(&self, limit: u64) -> bool {
        if self.everywhere() < limit {
            return false;
        }
        self.requests.borrow_mut().retain(|_, lane| !lane.is_taken());
        self.publish();
        self.everywhere() >= limit
    }

    fn publish(&self) {
        self.surroundings.publish_waiting(self.here());
    }
}

/// Why a request got no answer from the pool.
enum Failure {
    /// The client has gone: nobody needs one.
    Gone,
    /// No pool process can take it.
    Full,
    /// Pool processes are there, and none took it in time.
    NotTaken(Duration),
    /// The process has gone quiet.
    Silent(Duration),
    /// It ended, or sent something unreadable.
    Broken(String),
}

impl Gate {
    /// A gate to the queue.
    #[must_use]
    pub fn new(queue: OwnedFd, options: GateOptions, surroundings: Rc<dyn Surroundings>) -> Self {
        Self { queue, options, waiting: Waiting { requests: RefCell::default(), jobs: Cell::new(0), surroundings } }
    }

    /// The limits of this gate.
    #[must_use]
    pub fn options(&self) -> &GateOptions {
        &self.options
    }

    /// Counts jobs of this worker that began or ceased to wait; returns how much waits in all workers.
    pub fn jobs_wait(&self, change: i64) -> u64 {
        if change != 0 {
            self.waiting.jobs.set(self.waiting.jobs.get().saturating_add_signed(change));
            self.waiting.publish();
        }
        self.waiting.everywhere()
    }

    /// How many jobs of this worker wait for a process.
    #[must_use]
    pub fn jobs_waiting(&self) -> u64 {
        self.waiting.jobs.get()
    }

    /// Whether the queue is at its limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting.reaches(self.options.queue_limit)
    }

    /// Puts a job of the application into the queue, with the stream its code speaks on. `false` when the queue is full.
    ///
    /// # Errors
    /// When there is no pool any more.
    pub fn put_job(&self, stream: &impl AsFd) -> io::Result<bool> {
        if self.is_full() { Ok(false) } else { queue::put(self.queue.as_fd(), &Ticket::Job, stream.as_fd()) }
    }

    /// Has the pool answer an exchange that nobody has begun to answer.
    pub async fn hand_over(self: Rc<Self>, exchange: Rc<Exchange>) -> CallEnd {
        match self.relay(&exchange).await {
            Ok(()) | Err(Failure::Gone) => CallEnd::Resolved,
            Err(failure) => report(&exchange, &failure).await,
        }
    }

    async fn relay(&self, exchange: &Rc<Exchange>) -> Result<(), Failure> {
        let (body, more) = collect(exchange).await?;
        if self.is_full() {
            return Err(Failure::Full);
        }
        let mut first = Vec::with_capacity(1024 + body.len());
        write_head(exchange.head(), &mut first);
        write_body(exchange, &body, more, &mut first);
        let ticket = Ticket::Request(Origin::new(exchange.peer(), exchange.head().version));
        let (queue, surroundings) = (self.queue.as_fd(), &self.waiting.surroundings);
        let opened = Lane::open(queue, &ticket, first, more, surroundings);
        let (lane, rest) = opened.map_err(|error| Failure::Broken(error.to_string()))?.ok_or(Failure::Full)?;
        let lane = Rc::new(lane);
        tokio::select! {
            biased;
            answered = self.answer(exchange, &lane) => answered,
            failure = upload(exchange, &lane, rest, more) => Err(failure),
        }
    }

    /// Brings the answer to the client.
    async fn answer(&self, exchange: &Exchange, lane: &Rc<Lane>) -> Result<(), Failure> {
        let mut buffer = BytesMut::new();
        self.await_answer(exchange, lane, &mut buffer).await?;
        let mut head = loop {
            if let Some(head) = read_head(&mut buffer, exchange.head().is_head()).map_err(Failure::Broken)? {
                break head;
            }
            self.receive(exchange, lane, &mut buffer).await?;
        };
        let headers = std::mem::take(&mut head.headers);
        // TRLR-1: whether the application has promised any is not on the stream; none are sent where none come.
        let bears_them = exchange.head().kind == ScopeKind::Http && exchange.head().version != Version::Http10;
        let trailers = bears_them && head.body.keeps_trailers();
        let start = SendEvent::ResponseStart { status: head.status, headers, trailers };
        self.deliver(exchange, start).await?;
        loop {
            match read_body(&mut head.body, &mut buffer).map_err(Failure::Broken)? {
                Some((bytes, more)) => {
                    let event = SendEvent::ResponseBody { content: Content::Inline(&bytes), more };
                    self.deliver(exchange, event).await?;
                    if !more {
                        break;
                    }
                }
                None => self.receive(exchange, lane, &mut buffer).await?,
            }
        }
        match head.body.take_trailers() {
            Some(headers) if trailers => self.deliver(exchange, SendEvent::ResponseTrailers { headers }).await,
            _ => Ok(()),
        }
    }

    async fn deliver(&self, exchange: &Exchange, event: SendEvent<'_>) -> Result<(), Failure> {
        exchange.deliver(event, self.options.buffer).await.map_err(Failure::Broken)
    }

    /// The first bytes of the answer: until the request is taken the limit is that of the queue.
    async fn await_answer(&self, exchange: &Exchange, lane: &Rc<Lane>, buffer: &mut BytesMut) -> Result<(), Failure> {
        let waits = Waits::new(&self.waiting, lane);
        let since = Instant::now();
        loop {
            let left = self.options.queue_timeout.map(|limit| limit.saturating_sub(since.elapsed()));
            let look = left.map_or(LOOK, |left| left.min(LOOK));
            match tokio::time::timeout(look, lane.receive(&exchange.worker().scratch, buffer)).await {
                Ok(received) => return something(received),
                Err(_) if lane.is_taken() => break,
                Err(_) if left.is_some_and(|left| left <= look) => {
                    return Err(Failure::NotTaken(self.options.queue_timeout.unwrap_or_default()));
                }
                Err(_) => {}
            }
        }
        drop(waits);
        self.receive(exchange, lane, buffer).await
    }

    async fn receive(&self, exchange: &Exchange, lane: &Lane, buffer: &mut BytesMut) -> Result<(), Failure> {
        match within(self.options.timeout, lane.receive(&exchange.worker().scratch, buffer)).await {
            Some(received) => something(received),
            None => Err(Failure::Silent(self.options.timeout.unwrap_or_default())),
        }
    }
}

fn something(received: io::Result<usize>) -> Result<(), Failure> {
    match received {
        Ok(0) => Err(Failure::Broken("it ended before its response was complete".to_owned())),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Broken(error.to_string())),
    }
}

/// Takes as much of the body as a worker holds anyway, so that a slow upload of a small body occupies no pool process.
async fn collect(exchange: &Exchange) -> Result<(Bytes, bool), Failure> {
    let mut body = BytesMut::new();
    loop {
        match exchange.next_event().await {
            ReceiveEvent::Request { body: piece, more } => {
                body.extend_from_slice(&piece);
                if !more || body.len() >= exchange.worker().config.receive_window {
                    return Ok((body.freeze(), more));
                }
            }
            _ => return Err(Failure::Gone),
        }
    }
}

/// Sends what is left of the request, then waits for the client to go. Returns only when it has gone: how the request went
/// is for the answer to tell.
async fn upload(exchange: &Exchange, lane: &Lane, mut out: Vec<u8>, mut more: bool) -> Failure {
    if (more || !out.is_empty()) && lane.taken().await.is_err() {
        return pending().await;
    }
    loop {
        if lane.send(&out).await.is_err() {
            // It answers without reading on, or it died: the other direction knows.
            return pending().await;
        }
        if !more {
            exchange.gone().await;
            return Failure::Gone;
        }
        match exchange.next_event().await {
            ReceiveEvent::Request { body, more: rest } => {
                out.clear();
                more = rest;
                write_body(exchange, &body, more, &mut out);
            }
            _ => return Failure::Gone,
        }
    }
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, work).await.ok(),
        None => Some(work.await),
    }
}

/// Answers in the pool's place, if nothing was answered yet, and tells the log.
async fn report(exchange: &Rc<Exchange>, failure: &Failure) -> CallEnd {
    let method = String::from_utf8_lossy(exchange.head().method());
    let path = String::from_utf8_lossy(exchange.head().raw_path());
    let (status, text) = match failure {
        Failure::Full => {
            tracing::warn!(%method, %path, "The queue of the pool is full: answered 503");
            (503, "503 Service Unavailable - All pool processes are busy\r\n")
        }
        Failure::NotTaken(limit) => {
            let seconds = limit.as_secs_f64();
            tracing::warn!(%method, %path, "No pool process took the request within {seconds} s: answered 503");
            (503, "503 Service Unavailable - All pool processes are busy\r\n")
        }
        Failure::Silent(limit) => {
            tracing::error!(%method, %path, "The pool process did not answer within {} s", limit.as_secs_f64());
            (504, "504 Gateway Timeout\r\n")
        }
        Failure::Broken(reason) => {
            tracing::error!(%method, %path, "The pool process failed: {reason}");
            return CallEnd::Failed;
        }
        Failure::Gone => return CallEnd::Resolved,
    };
    if exchange.is_started() {
        return CallEnd::Failed;
    }
    let mut headers = HeaderList::new();
    headers.push(b"content-type", b"text/plain");
    headers.push(b"content-length", text.len().to_string().as_bytes());
    if status == 503 {
        headers.push(b"retry-after", b"5");
    }
    let start = SendEvent::ResponseStart { status, headers, trailers: false };
    let body = SendEvent::ResponseBody { content: Content::Inline(text.as_bytes()), more: false };
    let answered = async {
        exchange.deliver(start, usize::MAX).await?;
        exchange.deliver(body, usize::MAX).await
    };
    if answered.await.is_ok() { CallEnd::Resolved } else { CallEnd::Failed }
}

/// Counts a request that waits, however its wait ends.
struct Waits<'w> {
    waiting: &'w Waiting,
    lane: &'w Rc<Lane>,
    key: usize,
}

impl<'w> Waits<'w> {
    fn new(waiting: &'w Waiting, lane: &'w Rc<Lane>) -> Self {
        let key = waiting.requests.borrow_mut().insert(Rc::clone(lane));
        waiting.publish();
        Self { waiting, lane, key }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut requests = self.waiting.requests.borrow_mut();
        // A look may have taken it out, and the place may be another's by now.
        if requests.get(self.key).is_some_and(|lane| Rc::ptr_eq(lane, self.lane)) {
            requests.remove(self.key);
            drop(requests);
            self.waiting.publish();
        }
    }
}
