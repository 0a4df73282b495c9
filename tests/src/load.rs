//! Many requests from several threads, and what became of each.

mod http2;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::http::Response;
use crate::raw::PATIENCE;

/// What became of requests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Answered 200, complete.
    pub answered: usize,
    /// Answered with another status.
    pub failed: usize,
    /// The connection was refused.
    pub refused: usize,
    /// The connection was reset or closed before the first byte of a response, on its first request.
    pub reset: usize,
    /// The same on a connection that had already answered: a client may repeat such a request.
    pub closed: usize,
    /// The response broke off.
    pub truncated: usize,
    /// Nothing came.
    pub timed_out: usize,
}

impl Tally {
    /// Requests that got no complete answer.
    pub fn lost(&self) -> usize {
        self.failed + self.refused + self.reset + self.closed + self.truncated + self.timed_out
    }

    /// Adds what other clients counted.
    pub fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.refused += other.refused;
        self.reset += other.reset;
        self.closed += other.closed;
        self.truncated += other.truncated;
        self.timed_out += other.timed_out;
    }

    fn count(&mut self, fate: Fate) {
        *match fate {
            Fate::Answered => &mut self.answered,
            Fate::Failed => &mut self.failed,
            Fate::Refused => &mut self.refused,
            Fate::Reset => &mut self.reset,
            Fate::Closed => &mut self.closed,
            Fate::Truncated => &mut self.truncated,
            Fate::TimedOut => &mut self.timed_out,
        } += 1;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    Failed,
    Refused,
    Reset,
    Closed,
    Truncated,
    TimedOut,
}

/// Whether connections are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// A connection for each request.
    Never,
    /// As many requests on a connection as the server allows.
    KeepAlive,
}

/// Clients at work. They go on until [`Load::finish`].
#[derive(Debug)]
pub struct Load {
    progress: Arc<Progress>,
    clients: Vec<JoinHandle<Tally>>,
}

/// What the clients of a load and their owner tell each other.
#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    answered: AtomicUsize,
}

impl Progress {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts what became of a request.
    fn count(&self, tally: &mut Tally, fate: Fate) {
        if fate == Fate::Answered {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        tally.count(fate);
    }
}

impl Load {
    /// Starts `clients` threads that GET `path` again and again.
    pub fn start(address: SocketAddr, path: &str, clients: usize, reuse: Reuse) -> Self {
        let path = path.to_owned();
        Self::spawn(clients, move |progress| work(address, &path, reuse, progress))
    }

    /// Starts `clients` threads, each with one HTTP/2 connection at a time by prior knowledge, that GET `path` again and
    /// again on `streams` streams at once.
    pub fn start_http2(address: SocketAddr, path: &str, clients: usize, streams: usize) -> Self {
        let path = path.to_owned();
        Self::spawn(clients, move |progress| http2::work(address, &path, streams, progress))
    }

    fn spawn(clients: usize, work: impl Fn(&Progress) -> Tally + Clone + Send + 'static) -> Self {
        let progress = Arc::new(Progress::default());
        let client = |_| {
            let (progress, work) = (Arc::clone(&progress), work.clone());
            std::thread::spawn(move || work(&progress))
        };
        let clients = (0..clients).map(client).collect();
        Self { progress, clients }
    }

    /// How many requests have been answered 200 so far.
    pub fn answered(&self) -> usize {
        self.progress.answered.load(Ordering::Relaxed)
    }

    /// Lets every client finish its current request, and counts.
    pub fn finish(self) -> Tally {
        self.progress.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for client in self.clients {
            sum.add(client.join().expect("a client does not panic"));
        }
        sum
    }
}

/// GETs a path once on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Result<Response, String> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| error.to_string())?;
    exchange(&mut connection, path, Reuse::Never).map_err(|fate| format!("{fate:?}"))
}

fn work(address: SocketAddr, path: &str, reuse: Reuse, progress: &Progress) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    while !progress.is_over() {
        let used_before = kept.is_some();
        let connection = kept.take().or_else(|| TcpStream::connect_timeout(&address, PATIENCE).ok());
        let Some(mut connection) = connection else {
            progress.count(&mut tally, Fate::Refused);
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        match exchange(&mut connection, path, reuse) {
            Ok(response) => {
                progress.count(&mut tally, if response.status == 200 { Fate::Answered } else { Fate::Failed });
                let closing = response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                if reuse == Reuse::KeepAlive && !closing {
                    kept = Some(connection);
                }
            }
            Err(Fate::Reset) if used_before => progress.count(&mut tally, Fate::Closed),
            Err(fate) => progress.count(&mut tally, fate),
        }
    }
    tally
}

fn exchange(connection: &mut TcpStream, path: &str, reuse: Reuse) -> Result<Response, Fate> {
    let close = if reuse == Reuse::Never { "Connection: close\r\n" } else { "" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{close}\r\n");
    connection.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    connection.set_nodelay(true).expect("TCP_NODELAY can be set");
    connection.write_all(request.as_bytes()).map_err(|_| Fate::Reset)?;
    let mut received = Vec::new();
    let mut block = [0; 16384];
    loop {
        let broken = if received.is_empty() { Fate::Reset } else { Fate::Truncated };
        match connection.read(&mut block) {
            Ok(0) => return Err(broken),
            Ok(read) => received.extend_from_slice(&block[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(Fate::TimedOut);
            }
            Err(_) => return Err(broken),
        }
        match Response::parse(&received, "GET") {
            Ok(Some((response, _))) if response.complete => return Ok(response),
            Ok(_) => {}
            Err(_) => return Err(Fate::Truncated),
        }
    }
}
