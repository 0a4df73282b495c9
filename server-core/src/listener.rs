//! A listening socket as the worker receives it: bound, listening and non-blocking, made by whoever started it.

use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// One accept queue.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: Socket,
    /// Whether clients speak TLS here.
    pub tls: bool,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub proxy: bool,
}

/// A listening socket of either kind.
#[derive(Debug)]
pub enum Socket {
    /// A TCP queue (possibly one of a SO_REUSEPORT group).
    Tcp(TcpListener),
    /// A Unix socket and the path it was bound to, as shown in `scope.server` (SCOPE-7).
    Unix(UnixListener, PathBuf),
    /// The queue of a pool process: requests that workers hand over, one at a time.
    Pool(OwnedFd),
}

impl From<Socket> for Listener {
    /// A queue in the clear.
    fn from(socket: Socket) -> Self {
        Self { socket, tls: false, proxy: false }
    }
}

impl Listener {
    /// A second handle of the same queue, for a process that serves without giving up the original.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        let socket = match &self.socket {
            Socket::Tcp(socket) => Socket::Tcp(socket.try_clone()?),
            Socket::Unix(socket, path) => Socket::Unix(socket.try_clone()?, path.clone()),
            Socket::Pool(queue) => Socket::Pool(queue.try_clone()?),
        };
        Ok(Self { socket, tls: self.tls, proxy: self.proxy })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket, _) => socket.as_fd(),
            Socket::Pool(queue) => queue.as_fd(),
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
