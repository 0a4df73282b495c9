//! The queue between workers and pool processes: one `SOCK_SEQPACKET` pair. Every message is a ticket with one end of a
//! stream attached, and goes to exactly one of the processes that read.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::ticket::Ticket;

/// Longest ticket: addresses are short, a client's certificates need room.
const TICKET_LIMIT: usize = 64 * 1024;

/// Makes a queue: the end that workers send to and the end that pool processes take from.
///
/// # Errors
/// When the kernel refuses a socket.
pub fn make() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Puts a ticket and a stream into the queue; `false` when the kernel has no room for more.
///
/// # Errors
/// When nobody can ever take it.
pub fn put(queue: BorrowedFd<'_>, ticket: &Ticket, stream: BorrowedFd<'_>) -> io::Result<bool> {
    let text = serde_json::to_vec(ticket).map_err(io::Error::other)?;
    if text.len() > TICKET_LIMIT {
        return Err(io::Error::other("the addresses and certificates of the connection are too long"));
    }
    let streams = [stream];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    attached.push(SendAncillaryMessage::ScmRights(&streams));
    match sendmsg(queue, &[IoSlice::new(&text)], &mut attached, SendFlags::NOSIGNAL) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN | Errno::NOBUFS | Errno::TOOMANYREFS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes the next ticket, by way of `space`.
///
/// # Errors
/// `WouldBlock` when there is none; anything else is a broken queue or ticket.
pub fn take(queue: BorrowedFd<'_>, space: &mut Vec<u8>) -> io::Result<(Ticket, OwnedFd)> {
    space.resize(TICKET_LIMIT, 0);
    let mut attachment = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut attached = RecvAncillaryBuffer::new(&mut attachment);
    let received = recvmsg(queue, &mut [IoSliceMut::new(space)], &mut attached, RecvFlags::CMSG_CLOEXEC)?;
    let stream = attached.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut streams) => streams.next(),
        _ => None,
    });
    let stream = stream.ok_or_else(|| io::Error::other("a ticket without a stream"))?;
    let ticket = serde_json::from_slice(&space[..received.bytes]).map_err(io::Error::other)?;
    Ok((ticket, stream))
}

/// A second handle of one end.
///
/// # Errors
/// Those of dup(2).
pub fn clone(end: &impl AsFd) -> io::Result<OwnedFd> {
    end.as_fd().try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_ticket_goes_to_one_taker_with_its_stream() {
        let (put_end, take_end) = make().unwrap();
        let space = &mut Vec::new();
        assert_eq!(take(take_end.as_fd(), space).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert!(put(put_end.as_fd(), &Ticket::Job, theirs.as_fd()).unwrap());
        drop(theirs);
        let (ticket, stream) = take(take_end.as_fd(), space).unwrap();
        assert_eq!(ticket, Ticket::Job);
        assert_eq!(take(take_end.as_fd(), space).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut ours = ours;
        drop(stream);
        assert_eq!(ours.read(&mut [0; 1]).unwrap(), 0, "the only other end is closed");
    }

    #[test]
    fn a_full_queue_says_so() {
        let (put_end, _take_end) = make().unwrap();
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let room = (0..100_000).position(|_| !put(put_end.as_fd(), &Ticket::Job, theirs.as_fd()).unwrap());
        assert!(room.is_some_and(|room| room >= 100), "{room:?}");
    }
}
