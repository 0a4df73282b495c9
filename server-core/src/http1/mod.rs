//! HTTP/1.1 and 1.0.
//!
//! [`head`] turns bytes into a checked [`RequestHead`](crate::scope::RequestHead), [`body`] undoes chunked coding,
//! [`encode`] frames responses, and [`connection`] is the life of one connection from accept to close; how it closes is in
//! `ending`.
//!
//! The request line and fields are tokenised by `httparse`; what it is kinder about than an edge server may be is
//! checked on top of it in [`head`]. hyper is not used on this path: its parser would have to be guarded by a second
//! parser in front of it, and the protocol needs control of when bytes are read, held back and cut that hyper's body
//! traits do not give. `docs/architecture.md` has the long version.

pub mod body;
pub(crate) mod connection;
pub(crate) mod encode;
mod ending;
pub mod head;
mod websocket;
