//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692): bytes in, messages and bytes out.
//!
//! Nothing here knows sockets, tasks or the application. [`handshake`] decides whether a request asks for a WebSocket
//! and writes the 101 response; [`extension`] negotiates compression. From then on a [`session::Session`] is all a
//! connection needs: it feeds the peer's bytes to the [`receiver`] (built on [`frame`], [`text`], [`close`] and
//! [`deflate`]), answers pings and Close frames through the [`sender`], and keeps the times of [`keepalive`]. What
//! makes a connection fail is a [`failure::Failure`].
//!
//! The frame headers and the accept key are tungstenite's; its message layer is not used, because it has no
//! compression, validates text late and answers on its own.

pub(crate) mod channel;
pub mod close;
pub mod deflate;
pub mod extension;
pub mod failure;
pub mod frame;
pub mod handshake;
pub mod keepalive;
pub mod receiver;
pub mod sender;
pub mod session;
pub mod text;

#[cfg(test)]
mod client;
