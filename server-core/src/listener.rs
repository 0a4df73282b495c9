//! A listening socket as the worker receives it: bound, listening and non-blocking, made by whoever started it.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// One accept queue.
#[derive(Debug)]
pub enum Listener {
    /// A TCP queue (possibly one of a SO_REUSEPORT group).
    Tcp(TcpListener),
    /// A Unix socket and the path it was bound to, as shown in `scope.server` (SCOPE-7).
    Unix(UnixListener, PathBuf),
    /// The queue of a pool process: requests that workers hand over, one at a time.
    Pool(OwnedFd),
}

impl Listener {
    /// A second handle of the same queue, for a process that serves without giving up the original.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket, path) => Self::Unix(socket.try_clone()?, path.clone()),
            Self::Pool(queue) => Self::Pool(queue.try_clone()?),
        })
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(socket) => socket.as_raw_fd(),
            Self::Unix(socket, _) => socket.as_raw_fd(),
            Self::Pool(queue) => queue.as_raw_fd(),
        }
    }
}
