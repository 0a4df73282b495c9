//! An encrypted byte stream over a client's socket.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session::Session;
use crate::transport::{Sink, Transport};
use crate::worker::Worker;

/// Plaintext that one write takes: a run of full records for one system call.
const WRITE_RUN: usize = 64 * 1024;
/// Least and most ciphertext that one read takes. What is read must find room once it is decrypted, so that it is never
/// much more than was asked for.
const READ_RUN: (usize, usize) = (4 * 1024, 64 * 1024);

/// The stream, after its handshake.
///
/// A write takes plaintext only when all that went before has left: at most one run is on its way, and a flush waits for
/// it.
pub struct TlsStream<T> {
    io: T,
    session: Session,
    worker: Rc<Worker>,
}

impl<T: Transport> TlsStream<T> {
    pub(super) fn new(io: T, session: Session, worker: Rc<Worker>) -> Self {
        Self { io, session, worker }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        send(&mut self.io, &mut self.session, cx)
    }
}

/// Sends what waits.
pub(super) fn send<T: Transport>(io: &mut T, session: &mut Session, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    while !session.unsent().is_empty() {
        match ready!(Pin::new(&mut *io).poll_write(cx, session.unsent()))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => session.sent(written),
        }
    }
    Poll::Ready(Ok(()))
}

impl<T: Transport> AsyncRead for TlsStream<T> {
    /// The end of the stream is the client's notice of it; a socket that ends without one is an error, because anybody on
    /// the way can end a socket (RFC 8446 §6.1).
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, target: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.session.give(target) {
            return Poll::Ready(Ok(()));
        }
        let before = target.filled().len();
        while !this.session.peer_closed && target.remaining() > 0 {
            let mut scratch = this.worker.ciphertext.borrow_mut();
            let room = target.remaining().clamp(READ_RUN.0, READ_RUN.1);
            let kept = this.session.lay_out(&mut scratch, room);
            let mut read = ReadBuf::new(&mut scratch[kept..kept + room]);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut read))?;
            let length = read.filled().len();
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let taken = this.session.take_in(&mut scratch[..kept + length], Some(target));
            drop(scratch);
            // Alerts, key updates and session tickets. When the socket is full they leave with the next write.
            if let Poll::Ready(Err(error)) = this.poll_send(cx) {
                taken?;
                return Poll::Ready(Err(error));
            }
            taken?;
            if target.filled().len() > before {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> AsyncWrite for TlsStream<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        let run = &bytes[..bytes.len().min(WRITE_RUN)];
        let mut scratch = this.worker.ciphertext.borrow_mut();
        let length = this.session.encrypt(run, &mut scratch)?;
        // An answer to the client that came up meanwhile goes first: it was encrypted first.
        let mut full = send(&mut this.io, &mut this.session, cx)?.is_pending();
        let mut sent = 0;
        while sent < length && !full {
            match Pin::new(&mut this.io).poll_write(cx, &scratch[sent..length])? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => sent += written,
                Poll::Pending => full = true,
            }
        }
        this.session.keep_unsent(&scratch[sent..length]);
        Poll::Ready(Ok(run.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.say_goodbye();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl<T: Transport> Sink for TlsStream<T> {}

impl<T: Transport> Transport for TlsStream<T> {
    fn hung_up(&self) -> bool {
        self.io.hung_up()
    }

    fn reset_on_close(&self) {
        self.io.reset_on_close();
    }

    fn say_goodbye(&mut self) {
        self.session.say_goodbye();
        // As far as the socket takes it: nobody waits for a connection that has nothing more to say.
        let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
    }
}
