//! The end of an HTTP/1 connection: the last response, if the server makes it itself, and a close that does not destroy
//! it on its way.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use super::connection::Connection;
use super::{encode, head};
use crate::account::{self, Refused};
use crate::header::HeaderList;
use crate::http2;
use crate::refusal::Refusal;
use crate::transport::Transport;

/// How long we read and discard after our last response, so that the close does not destroy it on its way.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// What is at least read after our last response, whatever the drain limit.
const SMALLEST_LINGER: usize = 16 * 1024;

impl<T: Transport> Connection<'_, T> {
    /// Answers a request that never became an exchange, and closes.
    pub(super) async fn refuse(&mut self, refusal: Refusal) {
        let field = self.worker.request_id_field();
        let given = field.map_or_else(Vec::new, |field| head::values_in(&self.buffer, field));
        let name = self.worker.name_refused(&self.peer, given.iter().map(Vec::as_slice));
        let fields = refusal.fields(self.worker.outgoing(), name.as_deref(), self.peer.secure);
        let answered = self.answer(refusal, &fields, self.buffer.starts_with(b"HEAD ")).await;
        self.count_refusal(refusal, name.as_deref());
        if answered {
            self.linger().await;
        }
    }

    /// Answers a request in its application's place, and closes.
    pub(super) async fn refuse_exchange(&mut self, refusal: Refusal, fields: HeaderList, is_head: bool) {
        if self.answer(refusal, &fields, is_head).await {
            self.linger().await;
        }
    }

    async fn answer(&mut self, refusal: Refusal, fields: &HeaderList, is_head: bool) -> bool {
        let mut bytes = Vec::with_capacity(512);
        encode::write_refusal(&mut bytes, refusal, fields, is_head, &self.worker.config);
        self.send_last(&bytes).await
    }

    /// Whether a client that may speak HTTP/2 does: what it is told depends on that.
    pub(super) async fn begins_with_preface(&mut self) -> bool {
        let deadline = self.worker.now() + LINGER;
        poll_fn(|cx| {
            loop {
                if !self.may_be_http2 || !http2::may_be_preface(&self.buffer) {
                    return Poll::Ready(false);
                }
                if self.buffer.len() >= http2::PREFACE.len() {
                    return Poll::Ready(true);
                }
                match self.poll_fill(cx, http2::PREFACE.len()) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending => return self.timer.poll_until(cx, Some(deadline)).map(|()| false),
                }
            }
        })
        .await
    }

    /// Writes the last bytes of a connection; `false` when they do not go out.
    pub(super) async fn send_last(&mut self, bytes: &[u8]) -> bool {
        let deadline = self.worker.now() + LINGER;
        let mut sent = 0;
        poll_fn(|cx| {
            while sent < bytes.len() {
                match Pin::new(&mut self.io).poll_write(cx, &bytes[sent..]) {
                    Poll::Ready(Ok(written @ 1..)) => sent += written,
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending => {
                        ready!(self.timer.poll_until(cx, Some(deadline)));
                        return Poll::Ready(false);
                    }
                }
            }
            Poll::Ready(true)
        })
        .await
    }

    /// Closes our side, then reads and discards for a moment: unread input would turn the close into a reset that can
    /// destroy the response before the client has read it (RFC 9112 §9.6).
    pub(super) async fn linger(&mut self) {
        let deadline = self.worker.now() + LINGER;
        let limit = usize::try_from(self.worker.config.drain_limit).unwrap_or(usize::MAX).max(SMALLEST_LINGER);
        let mut discarded = 0;
        let mut shut = false;
        poll_fn(|cx| {
            if !shut {
                match Pin::new(&mut self.io).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            loop {
                self.buffer.clear();
                match self.poll_fill(cx, usize::MAX) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(read)) => {
                        discarded += read;
                        if discarded > limit {
                            return Poll::Ready(());
                        }
                    }
                    Poll::Pending => return self.timer.poll_until(cx, Some(deadline)),
                }
            }
        })
        .await;
    }

    /// Refused requests are in the access log too, with as much of the request line as can be made out.
    fn count_refusal(&self, refusal: Refusal, name: Option<&[u8]>) {
        let line = self.buffer[..].split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let mut words = line[..line.len().min(1024)].split(|&byte| byte == b' ');
        let method = words.next().filter(|word| !word.is_empty()).unwrap_or(b"-");
        let target = words.next().unwrap_or(b"-");
        let request = Refused { method, target, version: "1.1", name };
        account::refused(&self.worker, &self.peer, refusal, &request);
    }
}
