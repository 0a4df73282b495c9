//! The byte stream under the `h2` crate: counts bytes and frames, tells when the socket takes nothing, and lingers when
//! it is closed.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::PREFACE;
use super::frames::FrameScanner;
use super::link::Link;
use crate::stats::Stats;
use crate::timer::Timer;
use crate::transport::Transport;
use crate::worker::Worker;

/// How long we read and discard after our last frame, so that the close does not destroy it on its way.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it.
const LINGER_BYTES: usize = 1 << 20;

/// How long the answer to the PING that follows our first GOAWAY is held back. Clients answer a PING before all else (RFC
/// 9113 §6.7), so requests that were queued behind it would come after the second GOAWAY, which names the last stream.
const PONG_HOLD: Duration = Duration::from_secs(1);
/// The answer to the PING of the `h2` crate's graceful shutdown.
const SHUTDOWN_PONG: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0\x0b\x7b\xa2\xf0\x8b\x9b\xfe\x54";

/// Copies what fits, and says how much that is.
fn gather(slices: &[io::IoSlice<'_>], target: &mut [u8]) -> usize {
    let mut length = 0;
    for slice in slices {
        let taken = slice.len().min(target.len() - length);
        target[length..length + taken].copy_from_slice(&slice[..taken]);
        length += taken;
    }
    length
}

/// See the module documentation.
pub(super) struct Guard<T> {
    io: T,
    /// Read before the protocol was known.
    received: BytesMut,
    scanner: FrameScanner,
    link: Rc<Link>,
    worker: Rc<Worker>,
    timer: Timer,
    pong: Pong,
    closing: Option<Closing>,
}

/// The answer to the PING of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pong {
    Awaited,
    /// It came; the crate hears of it then.
    Held(Instant),
    Released,
}

struct Closing {
    until: Instant,
    shut: bool,
    discarded: usize,
}

impl<T: Transport> Guard<T> {
    pub(super) fn new(io: T, received: BytesMut, link: Rc<Link>, worker: Rc<Worker>) -> Self {
        let scanner = FrameScanner::new(PREFACE.len());
        Self { io, received, scanner, link, worker, timer: Timer::default(), pong: Pong::Awaited, closing: None }
    }

    fn scan(&mut self, bytes: &mut [u8]) {
        let now = self.worker.now();
        let pong_end = self.scanner.scan(bytes, |frame| self.link.count(frame, now));
        self.link.set_in_header_block(self.scanner.in_header_block(), now);
        if let Some(end) = pong_end
            && self.pong == Pong::Awaited
            && self.link.is_leaving()
        {
            // With another payload it answers nothing that the crate has asked.
            bytes[end - 1] ^= 0xff;
            self.pong = Pong::Held(now + PONG_HOLD);
        }
    }

    /// Gives the crate the pong that was held back, once its time has come, between two frames.
    fn poll_pong(&mut self, cx: &mut Context<'_>) {
        if let Pong::Held(until) = self.pong
            && self.timer.poll_until(cx, Some(until)).is_ready()
            && self.scanner.between_frames()
            && self.received.is_empty()
        {
            self.received = BytesMut::from(SHUTDOWN_PONG);
            self.pong = Pong::Released;
        }
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        self.link.set_blocked(result.is_pending());
        if let Poll::Ready(Ok(written)) = result {
            Stats::add(&self.worker.stats.bytes_out, *written as u64);
        }
    }

    /// Shuts down our side; then reads until the client has closed, or for a while.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.worker.now();
        let closing = self.closing.get_or_insert(Closing { until: now + LINGER, shut: false, discarded: 0 });
        let out_of_time = self.timer.poll_until(cx, Some(closing.until)).is_ready();
        if !closing.shut {
            match Pin::new(&mut self.io).poll_shutdown(cx) {
                Poll::Ready(result) => result?,
                Poll::Pending if out_of_time => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
            closing.shut = true;
        }
        let mut scratch = self.worker.scratch.borrow_mut();
        loop {
            let mut target = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut target) {
                Poll::Pending if out_of_time => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    closing.discarded += target.filled().len();
                    if target.filled().is_empty() || closing.discarded > LINGER_BYTES {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<T: Transport> AsyncRead for Guard<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, target: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.link.flood().is_some() {
            // Nothing more of this client is looked at; the connection is about to end.
            return Poll::Pending;
        }
        this.poll_pong(cx);
        let before = target.filled().len();
        if this.received.is_empty() {
            ready!(Pin::new(&mut this.io).poll_read(cx, target))?;
            Stats::add(&this.worker.stats.bytes_in, (target.filled().len() - before) as u64);
        } else {
            let length = this.received.len().min(target.remaining());
            target.put_slice(&this.received[..length]);
            this.received.advance(length);
            if this.received.is_empty() {
                this.received = BytesMut::new();
            }
        }
        this.scan(&mut target.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> AsyncWrite for Guard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = if this.io.is_write_vectored() {
            Pin::new(&mut this.io).poll_write_vectored(cx, slices)
        } else {
            // An encrypted stream: a frame's header would become a record and a system call of its own.
            let mut scratch = this.worker.scratch.borrow_mut();
            let length = gather(slices, &mut scratch);
            Pin::new(&mut this.io).poll_write(cx, &scratch[..length])
        };
        this.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        // A stream that encrypts takes bytes before the socket does.
        self.link.set_blocked(result.is_pending());
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_linger(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_what_fits() {
        let slices = [&b"head"[..], b"", b"payload"].map(io::IoSlice::new);
        let mut target = [0; 8];
        assert_eq!(gather(&slices, &mut target), 8);
        assert_eq!(&target, b"headpayl");
        assert_eq!(gather(&slices, &mut [0; 64]), 11);
    }
}
