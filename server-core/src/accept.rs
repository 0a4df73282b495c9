//! Taking connections from the accept queues.
//!
//! A worker accepts from the queues it is told to, stops when it is full (the queue is then left to a neighbour that
//! shares it), and pauses instead of spinning when descriptors run out.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::drain::Phase;
use crate::http1::connection;
use crate::http2;
use crate::listener::{Listener, Socket};
use crate::pool::taker;
use crate::pool::ticket::Origin;
use crate::proxy::reader;
use crate::scope::Peer;
use crate::stats::Stats;
use crate::tls::Protocol;
use crate::tls::handshake::{self, Handshake};
use crate::tls::stream::TlsStream;
use crate::transport::Transport;
use crate::worker::Worker;

/// Connections being answered 503 at a time.
const MAX_TURNED_AWAY: u32 = 32;
/// How often a full worker looks whether the others still have room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long accepting pauses when the process or the system is out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What comes before the first request on the connections of a listener.
#[derive(Debug, Clone, Copy)]
struct Prelude {
    /// A header of the PROXY protocol.
    proxy: bool,
    /// A TLS handshake.
    tls: bool,
}

/// A socket that was accepted.
pub(crate) trait Client: Transport + AsRawFd + AsFd + 'static {}

impl<T: Transport + AsRawFd + AsFd + 'static> Client for T {}

/// The accept tasks of one worker.
pub struct Acceptor {
    worker: Rc<Worker>,
    listeners: Vec<Listener>,
    tasks: Vec<Option<JoinHandle<()>>>,
}

impl Acceptor {
    /// An acceptor that accepts nothing yet.
    #[must_use]
    pub fn new(worker: Rc<Worker>, listeners: Vec<Listener>) -> Self {
        let tasks = listeners.iter().map(|_| None).collect();
        for listener in &listeners {
            worker.descriptors.opened(listener.as_raw_fd());
        }
        Self { worker, listeners, tasks }
    }

    /// Gives the listeners back when nothing is accepted any more.
    #[must_use]
    pub fn into_listeners(self) -> Vec<Listener> {
        for listener in &self.listeners {
            self.worker.descriptors.closing(listener.as_raw_fd());
        }
        self.listeners
    }

    /// How many queues there are.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.listeners.len()
    }

    /// Accepts from exactly these queues. Must be called inside the worker's `LocalSet`.
    pub fn accept_from(&mut self, queues: &[usize]) -> io::Result<()> {
        for (index, listener) in self.listeners.iter().enumerate() {
            match (queues.contains(&index), &self.tasks[index]) {
                (true, None) => self.tasks[index] = Some(spawn(&self.worker, listener)?),
                (false, Some(task)) => {
                    task.abort();
                    self.tasks[index] = None;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn spawn(worker: &Rc<Worker>, listener: &Listener) -> io::Result<JoinHandle<()>> {
    let worker = Rc::clone(worker);
    let listener = listener.try_clone()?;
    let queue = Opened::new(&worker, listener.as_raw_fd());
    let prelude = Prelude { proxy: listener.proxy, tls: listener.tls };
    Ok(match listener.socket {
        Socket::Tcp(socket) => {
            socket.set_nonblocking(true)?;
            let listener = TcpListener::from_std(socket)?;
            tokio::task::spawn_local(accept_tcp(worker, listener, prelude, queue))
        }
        Socket::Unix(socket, path) => {
            socket.set_nonblocking(true)?;
            let listener = UnixListener::from_std(socket)?;
            let peer = Peer { client: None, server: (path.display().to_string(), None), tls: None, secure: false };
            tokio::task::spawn_local(accept_unix(worker, listener, prelude, Rc::new(peer), queue))
        }
        Socket::Pool(tickets) => tokio::task::spawn_local(taker::take_from(worker, tickets)),
    })
}

async fn accept_tcp(worker: Rc<Worker>, listener: TcpListener, prelude: Prelude, _queue: Opened) {
    loop {
        let room = wait_for_room(&worker, prelude.tls).await;
        match listener.accept().await {
            Ok((stream, client)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                match stream.local_addr() {
                    Ok(server) => take(&worker, room, stream, Rc::new(tcp_peer(client, server)), prelude),
                    Err(error) => tracing::debug!(%error, "connection was gone before it was served"),
                }
            }
            Err(error) => pause(&error).await,
        }
    }
}

async fn accept_unix(worker: Rc<Worker>, listener: UnixListener, prelude: Prelude, peer: Rc<Peer>, _queue: Opened) {
    loop {
        let room = wait_for_room(&worker, prelude.tls).await;
        match listener.accept().await {
            Ok((stream, _)) => take(&worker, room, stream, Rc::clone(&peer), prelude),
            Err(error) => pause(&error).await,
        }
    }
}

fn tcp_peer(client: SocketAddr, server: SocketAddr) -> Peer {
    let show = |address: SocketAddr| (address.ip().to_canonical().to_string(), address.port());
    let (host, port) = show(server);
    Peer { client: Some(show(client)), server: (host, Some(port)), tls: None, secure: false }
}

/// Whether a connection can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Here,
    /// Neither here nor in any other worker: whoever connects now is told so.
    NoneAnywhere,
}

/// A full worker leaves its queue to a neighbour that shares it; only when all are full it answers 503.
async fn wait_for_room(worker: &Worker, tls: bool) -> Room {
    if tls {
        // Nothing is held while waiting for a client: a queue that is never used must not take a place from another.
        drop(worker.handshakes.acquire().await);
    }
    if worker.is_full() && !worker.was_full.replace(true) {
        tracing::warn!(
            "Connection rejected: at capacity ({}/{})",
            worker.stats.connections.get(),
            worker.config.max_connections
        );
    }
    while worker.is_full() {
        if worker.others_are_full.get() && worker.turned_away.get() < MAX_TURNED_AWAY {
            return Room::NoneAnywhere;
        }
        // Whether the others are full is looked at once a second; room here is told at once.
        let _ = tokio::time::timeout(LOOK_AGAIN, worker.room.notified()).await;
    }
    worker.was_full.set(false);
    Room::Here
}

/// Answers 503 to a connection that nobody has room for. Few of these are under way at a time, so that they cannot
/// become a second, unlimited kind of connection.
fn turn_away<T: Client>(worker: &Rc<Worker>, stream: T, peer: Rc<Peer>, prelude: Prelude) {
    let guard = Opened::new(worker, stream.as_raw_fd());
    worker.turned_away.set(worker.turned_away.get() + 1);
    tokio::task::spawn_local(async move {
        let worker = &guard.worker;
        if let Some((stream, peer)) = introduced(stream, peer, worker, prelude).await {
            if !prelude.tls {
                connection::turn_away(stream, peer, Rc::clone(worker)).await;
            } else if let Some((stream, peer)) = encrypt(stream, peer, worker).await {
                connection::turn_away(stream, peer, Rc::clone(worker)).await;
            }
        }
        worker.turned_away.set(worker.turned_away.get() - 1);
        worker.room.notify_waiters();
    });
}

/// A failed accept: only exhaustion needs a pause, the rest are connections that died in the queue.
async fn pause(error: &io::Error) {
    let exhausted = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOBUFS]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if exhausted || error.kind() == io::ErrorKind::OutOfMemory {
        tracing::error!(%error, "cannot accept; trying again in 100 ms");
        tokio::time::sleep(EXHAUSTED_PAUSE).await;
    } else {
        tracing::debug!(%error, "accept failed");
    }
}

fn take<T: Client>(worker: &Rc<Worker>, room: Room, stream: T, peer: Rc<Peer>, prelude: Prelude) {
    if room == Room::NoneAnywhere && worker.is_full() {
        turn_away(worker, stream, peer, prelude);
    } else {
        open(worker, stream, peer, prelude);
    }
}

fn open<T: Client>(worker: &Rc<Worker>, stream: T, peer: Rc<Peer>, prelude: Prelude) {
    let guard = Counted::new(worker, stream.as_raw_fd());
    tokio::task::spawn_local(async move {
        let worker = &guard.0.worker;
        let Some((stream, peer)) = introduced(stream, peer, worker, prelude).await else { return };
        if !prelude.tls {
            speak(stream, peer, worker).await;
        } else if let Some((stream, peer)) = encrypt(stream, peer, worker).await {
            speak(stream, peer, worker).await;
        }
    });
}

/// Serves the request of a ticket.
pub(crate) fn take_over(worker: &Rc<Worker>, stream: UnixStream, origin: Origin, received: BytesMut) {
    let guard = Counted::new(worker, stream.as_raw_fd());
    tokio::task::spawn_local(async move {
        connection::serve_handed_over(stream, received, origin, Rc::clone(&guard.0.worker)).await;
    });
}

/// Reads what a proxy says about the connection, where one does. Nothing comes back when there is nobody to serve.
async fn introduced<T: Client>(
    mut stream: T,
    peer: Rc<Peer>,
    worker: &Rc<Worker>,
    prelude: Prelude,
) -> Option<(T, Rc<Peer>)> {
    if !prelude.proxy {
        return Some((stream, peer));
    }
    // Boxed, so that the task of other connections does not grow by it.
    match Box::pin(reader::read(&mut stream, &peer, worker)).await {
        Ok(peer) => Some((stream, peer)),
        Err(reason) => {
            let proxy = peer.client.as_ref().map_or("a local client", |(address, _)| address.as_str());
            tracing::info!("Connection from {proxy} is closed: {reason}");
            None
        }
    }
}

/// Makes the TLS handshake. What comes back has the facts of the session in its peer; nothing comes back when there is
/// nobody to serve, and the log and the totals know why.
async fn encrypt<T: Transport>(stream: T, peer: Rc<Peer>, worker: &Rc<Worker>) -> Option<(TlsStream<T>, Rc<Peer>)> {
    let terminator = worker.tls.as_ref()?;
    // The semaphore is never closed.
    let place = worker.handshakes.acquire().await.ok()?;
    let outcome = handshake::accept(stream, terminator.context(), worker).await;
    drop(place);
    let client = peer.client.as_ref().map_or("a local client", |(address, _)| address.as_str());
    match outcome {
        Handshake::Done(stream, info) => {
            Stats::add(&worker.stats.tls_handshakes, 1);
            Stats::add(&worker.stats.tls_resumed, info.resumed.into());
            let tls = Some(Rc::new(info));
            let (client, server) = (peer.client.clone(), peer.server.clone());
            Some((*stream, Rc::new(Peer { client, server, tls, secure: true })))
        }
        Handshake::PlainHttp(stream, received) => {
            Stats::add(&worker.stats.tls_failed, 1);
            tracing::info!("Plain HTTP request from {client} on an HTTPS port: answered 400");
            connection::refuse_cleartext(stream, &received, peer, Rc::clone(worker)).await;
            None
        }
        Handshake::Failed(reason) => {
            Stats::add(&worker.stats.tls_failed, 1);
            tracing::debug!("TLS handshake with {client} failed: {reason}");
            None
        }
    }
}

/// Serves a connection in the protocol that was negotiated.
async fn speak<T: Transport>(stream: T, peer: Rc<Peer>, worker: &Rc<Worker>) {
    if peer.tls.as_ref().is_some_and(|tls| tls.protocol == Protocol::Http2) {
        // Boxed, so that the task of an HTTP/1 connection does not grow by it.
        Box::pin(http2::connection::serve(stream, BytesMut::new(), peer, Rc::clone(worker))).await;
    } else {
        connection::serve(stream, peer, Rc::clone(worker)).await;
    }
}

/// A socket among the worker's descriptors for as long as its task lives.
struct Opened {
    worker: Rc<Worker>,
    fd: RawFd,
}

impl Opened {
    fn new(worker: &Rc<Worker>, fd: RawFd) -> Self {
        worker.descriptors.opened(fd);
        Self { worker: Rc::clone(worker), fd }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.worker.descriptors.closing(self.fd);
    }
}

/// Counts a connection for as long as its task lives.
struct Counted(Opened);

impl Counted {
    fn new(worker: &Rc<Worker>, fd: RawFd) -> Self {
        Stats::add(&worker.stats.accepted, 1);
        Stats::add(&worker.stats.connections, 1);
        Self(Opened::new(worker, fd))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let worker = &self.0.worker;
        Stats::sub(&worker.stats.connections, 1);
        worker.room.notify_waiters();
        if worker.drain.phase() != Phase::Running {
            // Whoever drains counts connections.
            worker.inbox.rouse();
        }
    }
}
