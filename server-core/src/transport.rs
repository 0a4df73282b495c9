//! What a connection needs of its byte stream besides reading and writing.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A client's byte stream.
pub trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Whether the peer has closed or reset, asked without reading: used while body reading is paused (CONN-9).
    fn hung_up(&self) -> bool;

    /// Makes the coming close a reset, so that a truncated close-delimited body is visibly truncated (RESP-5).
    fn reset_on_close(&self);

    /// Tells the peer that nothing more comes, where the stream has words for it, and waits for nothing.
    fn say_goodbye(&mut self) {}
}

impl Transport for TcpStream {
    fn hung_up(&self) -> bool {
        has_hung_up(self)
    }

    fn reset_on_close(&self) {
        if let Err(error) = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "cannot make the close a reset");
        }
    }
}

impl Transport for UnixStream {
    fn hung_up(&self) -> bool {
        has_hung_up(self)
    }

    /// Unix sockets have no reset: the peer sees an end of file, as it would from a crashed server.
    fn reset_on_close(&self) {}
}

fn has_hung_up(socket: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::RDHUP)];
    poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok()
        && fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}
