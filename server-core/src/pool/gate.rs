//! The worker's side: hands a request to the pool and brings the answer back, without the application.

use std::cell::Cell;
use std::future::{Future, pending};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};

use super::queue;
use super::request::{write_body, write_head};
use super::response::{read_body, read_head};
use super::ticket::{Origin, Ticket};
use crate::event::{Content, ReceiveEvent, SendEvent};
use crate::exchange::{CallEnd, Exchange};
use crate::header::HeaderList;

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

/// How the length of the queue gets around between workers: each counts what it has put in and nobody has taken.
pub trait QueueDepth {
    /// Requests of all other workers that wait.
    fn waiting_elsewhere(&self) -> u64;
    /// Shows the others how many requests of this worker wait.
    fn publish_waiting(&self, waiting: u64);
}

struct Waiting {
    requests: Cell<u64>,
    /// Jobs of the application, as it counts them (WP-7: one limit for all).
    jobs: Cell<u64>,
    depth: Box<dyn QueueDepth>,
}

impl Waiting {
    fn set(&self, requests: u64, jobs: u64) {
        self.requests.set(requests);
        self.jobs.set(jobs);
        self.depth.publish_waiting(requests + jobs);
    }

    fn everywhere(&self) -> u64 {
        self.requests.get() + self.jobs.get() + self.depth.waiting_elsewhere()
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
    pub fn new(queue: OwnedFd, options: GateOptions, depth: Box<dyn QueueDepth>) -> Self {
        Self { queue, options, waiting: Waiting { requests: Cell::new(0), jobs: Cell::new(0), depth } }
    }

    /// The limits of this gate.
    #[must_use]
    pub fn options(&self) -> &GateOptions {
        &self.options
    }

    /// Counts jobs of this worker that began or ceased to wait; returns how much waits in all workers.
    pub fn jobs_wait(&self, change: i64) -> u64 {
        if change != 0 {
            self.waiting.set(self.waiting.requests.get(), self.waiting.jobs.get().saturating_add_signed(change));
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
        self.waiting.everywhere() >= self.options.queue_limit
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
        let body = collect(exchange).await?;
        let mut stream = self.queue_up(exchange).await?;
        let (reader, writer) = stream.split();
        tokio::select! {
            biased;
            answered = self.answer(exchange, reader) => answered,
            failure = upload(exchange, writer, body) => Err(failure),
        }
    }

    /// Waits until a pool process has taken the request.
    async fn queue_up(&self, exchange: &Rc<Exchange>) -> Result<UnixStream, Failure> {
        if self.is_full() {
            return Err(Failure::Full);
        }
        let broken = |error: io::Error| Failure::Broken(error.to_string());
        let (mut ours, theirs) = UnixStream::pair().map_err(broken)?;
        let ticket = Ticket::Request(Origin::from(exchange.peer()));
        if !queue::put(self.queue.as_fd(), &ticket, theirs.as_fd()).map_err(broken)? {
            return Err(Failure::Full);
        }
        drop(theirs);
        let _waits = Waits::new(&self.waiting);
        let limit = self.options.queue_timeout;
        tokio::select! {
            taken = within(limit, ours.read_u8()) => match taken {
                Some(Ok(_)) => Ok(ours),
                Some(Err(error)) => Err(broken(error)),
                None => Err(Failure::NotTaken(limit.unwrap_or_default())),
            },
            _ = exchange.gone() => Err(Failure::Gone),
        }
    }

    /// Brings the answer to the client.
    async fn answer(&self, exchange: &Exchange, mut reader: ReadHalf<'_>) -> Result<(), Failure> {
        let mut buffer = BytesMut::with_capacity(16 * 1024);
        let mut head = loop {
            if let Some(head) = read_head(&mut buffer, exchange.head().is_head()).map_err(Failure::Broken)? {
                break head;
            }
            self.read(&mut reader, &mut buffer).await?;
        };
        let headers = std::mem::take(&mut head.headers);
        let start = SendEvent::ResponseStart { status: head.status, headers, trailers: false };
        self.deliver(exchange, start).await?;
        loop {
            match read_body(&mut head.body, &mut buffer).map_err(Failure::Broken)? {
                Some((bytes, more)) => {
                    let event = SendEvent::ResponseBody { content: Content::Inline(&bytes), more };
                    self.deliver(exchange, event).await?;
                    if !more {
                        return Ok(());
                    }
                }
                None => self.read(&mut reader, &mut buffer).await?,
            }
        }
    }

    async fn deliver(&self, exchange: &Exchange, event: SendEvent<'_>) -> Result<(), Failure> {
        exchange.deliver(event, self.options.buffer).await.map_err(Failure::Broken)
    }

    async fn read(&self, reader: &mut ReadHalf<'_>, buffer: &mut BytesMut) -> Result<(), Failure> {
        match within(self.options.timeout, reader.read_buf(buffer)).await {
            Some(Ok(0)) => Err(Failure::Broken("it ended before its response was complete".to_owned())),
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(Failure::Broken(error.to_string())),
            None => Err(Failure::Silent(self.options.timeout.unwrap_or_default())),
        }
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

/// Sends head and body, then waits for the client to go. Returns only when it has gone: how the request went is for the
/// answer to tell.
async fn upload(exchange: &Exchange, mut writer: WriteHalf<'_>, (body, mut more): (Bytes, bool)) -> Failure {
    let mut out = Vec::with_capacity(1024 + body.len());
    write_head(exchange.head(), &mut out);
    write_body(exchange, &body, more, &mut out);
    loop {
        if writer.write_all(&out).await.is_err() {
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
struct Waits<'w>(&'w Waiting);

impl<'w> Waits<'w> {
    fn new(waiting: &'w Waiting) -> Self {
        waiting.set(waiting.requests.get() + 1, waiting.jobs.get());
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.requests.get() - 1, self.0.jobs.get());
    }
}
