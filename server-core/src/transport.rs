//! What a connection needs of its byte stream besides reading and writing.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::SendFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

use crate::sendfile;

/// Where output goes.
pub trait Sink: AsyncWrite + Unpin {
    /// Whether [`Self::poll_send_file`] does anything.
    fn sends_files(&self) -> bool {
        false
    }

    /// Sends part of a file without reading it; how many bytes were taken, 0 at the end of the file.
    fn poll_send_file(
        &mut self,
        _cx: &mut Context<'_>,
        _file: &File,
        _offset: u64,
        _length: u64,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// Writes bytes that part of a file will follow at once.
    fn poll_write_before_file(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }
}

impl Sink for TcpStream {
    fn sends_files(&self) -> bool {
        true
    }

    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &File,
        offset: u64,
        length: u64,
    ) -> Poll<io::Result<usize>> {
        poll_io(self, cx, |socket| sendfile::send(socket, file, offset, length))
    }

    /// One packet for head and beginning.
    fn poll_write_before_file(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        poll_io(self, cx, |socket| Ok(rustix::net::send(socket, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?))
    }
}

impl Sink for UnixStream {}

/// Memory, for tests.
impl Sink for Vec<u8> {}

fn poll_io(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    mut work: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match stream.try_io(Interest::WRITABLE, || work(stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return Poll::Ready(outcome),
        }
    }
}

/// A client's byte stream.
pub trait Transport: AsyncRead + Sink {
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

pub(crate) fn has_hung_up(socket: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::RDHUP)];
    poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok()
        && fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}
