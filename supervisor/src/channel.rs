//! A channel between two processes: typed messages over a SOCK_SEQPACKET pair, so that a message arrives whole or not
//! at all, with descriptors attached where needed. The end of the stream means that the other process is gone.

use std::io::{self, ErrorKind, IoSlice};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::process::descriptors;

/// Longest message. Texts are cut to [`fitting`](crate::messages::fitting) lengths, everything else is short; JSON
/// escapes at worst six bytes for one.
const MESSAGE_LIMIT: usize = 256 * 1024;

/// Makes the two ends of a channel; both close on exec.
///
/// # Errors
/// Those of socketpair(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends a message, with a descriptor if the message says so.
///
/// # Errors
/// `BrokenPipe` when the other process is gone; `WouldBlock` when it has not read for so long that the channel is full.
pub fn send(socket: BorrowedFd<'_>, message: &impl Serialize, attachment: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let numbers: Vec<_> = attachment.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() { &rights[..0] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&bytes)], control, flags, None)?;
    Ok(())
}

/// Waits for a message; `None` is the end of the stream. For processes that have nothing else to do.
///
/// # Errors
/// Those of recvmsg(2), and a message that is not understood.
pub fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut buffer = vec![0; MESSAGE_LIMIT];
    loop {
        match descriptors::receive(socket, &mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_end(&error) => return Ok(None),
            Err(error) => return Err(error),
            Ok((0, _)) => return Ok(None),
            Ok((length, attached)) => return Ok(Some((serde_json::from_slice(&buffer[..length])?, attached))),
        }
    }
}

/// A peer that died with unread messages resets the stream instead of ending it.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// The receiving side inside a tokio runtime.
pub struct Receiver<T> {
    socket: AsyncFd<OwnedFd>,
    message: PhantomData<T>,
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Registers the socket with the runtime.
    ///
    /// # Errors
    /// When it cannot be made non-blocking or watched.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        fcntl(socket.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { socket: descriptors::watch(socket)?, message: PhantomData })
    }

    /// Waits for a message; `None` is the end of the stream. A message that is not understood ends it too: the two
    /// sides come from the same binary, so it can only be a broken process.
    pub async fn receive(&mut self) -> Option<T> {
        self.receive_all().await.map(|(message, _)| message)
    }

    /// The same, with the descriptors attached to the message.
    pub async fn receive_all(&mut self) -> Option<(T, Vec<OwnedFd>)> {
        let received = self.socket.async_io(Interest::READABLE, |socket| receive(socket.as_fd()));
        match received.await {
            Ok(message) => message,
            Err(error) => {
                tracing::error!("A message from another process of this server is unreadable: {error}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{FromMold, ToWorker, fitting};

    #[test]
    fn messages_keep_their_bounds_and_descriptors() {
        let (left, right) = pair().unwrap();
        send(left.as_fd(), &ToWorker::Stop, None).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        send(left.as_fd(), &ToWorker::Accept(vec![1, 2]), Some(writer.as_fd())).unwrap();
        drop(writer);
        drop(left);
        let (first, none) = receive::<ToWorker>(right.as_fd()).unwrap().unwrap();
        assert_eq!((first, none.len()), (ToWorker::Stop, 0));
        let (second, mut attached) = receive::<ToWorker>(right.as_fd()).unwrap().unwrap();
        assert_eq!((second, attached.len()), (ToWorker::Accept(vec![1, 2]), 1));
        io::Write::write_all(&mut std::fs::File::from(attached.remove(0)), b"through").unwrap();
        assert_eq!(io::read_to_string(reader).unwrap(), "through");
        assert!(receive::<ToWorker>(right.as_fd()).unwrap().is_none(), "end of the stream");
    }

    #[test]
    fn the_longest_text_fits() {
        let (left, right) = pair().unwrap();
        let message = fitting("\u{1}é".repeat(100_000));
        assert!(message.ends_with("..."));
        send(left.as_fd(), &FromMold::Failed { message: message.clone() }, None).unwrap();
        let (received, _) = receive::<FromMold>(right.as_fd()).unwrap().unwrap();
        assert_eq!(received, FromMold::Failed { message });
    }

    #[test]
    fn a_dead_peer_is_an_error_for_the_sender() {
        let (left, right) = pair().unwrap();
        drop(right);
        let error = send(left.as_fd(), &ToWorker::Stop, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_async_side_waits_and_ends() {
        let (left, right) = pair().unwrap();
        let mut receiver = Receiver::<ToWorker>::new(right).unwrap();
        let sender = async {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            send(left.as_fd(), &ToWorker::Hurry, None).unwrap();
            drop(left);
        };
        let (first, ()) = tokio::join!(receiver.receive(), sender);
        assert_eq!(first, Some(ToWorker::Hurry));
        assert_eq!(receiver.receive().await, None);
    }
}
