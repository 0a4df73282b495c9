//! Proxies in front of the server: who may speak for a client, and what they say about it.
//!
//! [`networks`] says whom to believe. What they say comes before the first request of a connection ([`preamble`], read by
//! [`reader`]: HAProxy's PROXY protocol) or with each request ([`forwarded`]). The result is always a
//! [`Peer`](crate::scope::Peer): nothing behind it knows that there is a proxy.

pub mod forwarded;
pub mod networks;
pub mod preamble;
pub(crate) mod reader;
