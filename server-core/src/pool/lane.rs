//! The worker's end of a stream to whichever pool process takes a request.
//!
//! To wake a process costs more than anything else on the way, so a request that is there as a whole wakes each side once.
//! It is on the stream before its ticket is in the queue, the worker does not ask to be told when it could send more, and
//! nobody says that it was taken: the kernel knows whether what was sent has been read.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use bytes::BytesMut;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::gate::Surroundings;
use super::queue;
use super::ticket::Ticket;

pub(super) struct Lane {
    stream: AsyncFd<OwnedFd>,
    /// What the kernel held unread when the ticket was put into the queue.
    unread: usize,
    taken: Cell<bool>,
    surroundings: Rc<dyn Surroundings>,
}

impl Lane {
    /// Puts a request into the queue. What of its first bytes did not fit on the stream comes back with the lane; `more` is
    /// whether there is more beyond them. Nothing comes back when the kernel has no room for another ticket.
    pub(super) fn open(
        queue: BorrowedFd<'_>,
        ticket: &Ticket,
        mut first: Vec<u8>,
        more: bool,
        surroundings: &Rc<dyn Surroundings>,
    ) -> io::Result<Option<(Self, Vec<u8>)>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let sent = send(&ours, &first, SendFlags::NOSIGNAL)?;
        first.drain(..sent);
        let unread = surroundings.unread(ours.as_fd())?;
        if !queue::put(queue, ticket, theirs.as_fd())? {
            return Ok(None);
        }
        drop(theirs);
        let is_whole = first.is_empty() && !more;
        let interest = if is_whole { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        let stream = surroundings.watch(ours, interest)?;
        let lane = Self { stream, unread, taken: Cell::new(false), surroundings: Rc::clone(surroundings) };
        Ok(Some((lane, first)))
    }

    /// Whether a process has taken the request: it has read of what was sent first.
    pub(super) fn is_taken(&self) -> bool {
        if !self.taken.get() {
            let unread = self.surroundings.unread(self.stream.as_fd());
            self.taken.set(unread.is_ok_and(|unread| unread < self.unread));
        }
        self.taken.get()
    }

    /// Waits for that, on a lane on which there is more to send: only then is nothing sent that would hide it.
    pub(super) async fn taken(&self) -> io::Result<()> {
        loop {
            let mut writable = self.stream.writable().await?;
            if self.is_taken() {
                return Ok(());
            }
            writable.clear_ready();
        }
    }

    /// Sends more, once the request was taken.
    pub(super) async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut writable = self.stream.writable().await?;
            match writable.try_io(|stream| Ok(send(stream, bytes, SendFlags::NOSIGNAL)?)) {
                Ok(sent) => bytes = &bytes[sent?..],
                Err(_not_now) => {}
            }
        }
        Ok(())
    }

    /// Appends what the process has sent; 0 bytes when it has ended. `scratch` is only used during the read.
    pub(super) async fn receive(&self, scratch: &RefCell<Vec<u8>>, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            let mut readable = self.stream.readable().await?;
            let received = readable.try_io(|stream| {
                let mut scratch = scratch.borrow_mut();
                let (received, _) = recv(stream, &mut scratch[..], RecvFlags::empty())?;
                buffer.extend_from_slice(&scratch[..received]);
                Ok(received)
            });
            if let Ok(received) = received {
                return received;
            }
        }
    }
}
