//! Pool processes: whole requests of blocking code, handed from a worker's native core to a process of their own.
//!
//! The kernel is the queue: workers put a [`ticket::Ticket`] and one end of a stream into a shared [`queue`], and
//! whichever pool process is idle takes it. On the stream the worker speaks HTTP/1.1 ([`gate`]) to the same connection
//! code that serves clients ([`taker`]), so that everything an application can do works there too. The worker keeps the
//! client: slow readers, keep-alive, TLS and timeouts never reach the pool process.

pub mod gate;
pub mod jobs;
mod lane;
pub mod queue;
mod request;
mod response;
pub(crate) mod taker;
pub mod ticket;
