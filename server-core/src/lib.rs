//! Bytes to typed PAGI scopes and events, and back.
//!
//! This crate knows HTTP and the PAGI protocol; it knows neither Perl nor processes. A newcomer reads it in the
//! direction data flows:
//!
//! 1. [`accept`] takes connections from [`listener`]s and spawns one task per connection;
//! 2. [`http1`] parses a [`scope::RequestHead`] and opens an [`exchange::Exchange`];
//! 3. the exchange is put in the [`inbox`], from where whoever runs applications takes it;
//! 4. the application's [`event::SendEvent`]s go through [`sequence`] (is this event legal now?) into the
//!    exchange's [`outbound`] queue as wire bytes;
//! 5. the connection task writes the queue to the socket.
//!
//! A native [`service`] can take the application's place in steps 3 and 4; the [`pool`] of processes for blocking code is
//! reached that way.
//!
//! Everything lives on one thread: an exchange is an `Rc`, and no borrow of it is held while application code runs.

pub mod accept;
pub mod access_log;
mod account;
pub mod coding;
pub mod compress;
pub mod config;
pub mod date;
pub mod descriptors;
pub mod drain;
pub mod event;
pub mod exchange;
pub mod files;
mod framing;
pub mod header;
pub mod histogram;
pub mod http1;
pub mod http2;
pub mod inbox;
pub mod listener;
pub mod media;
pub mod offload;
pub mod outbound;
pub mod path;
pub mod pool;
pub mod proxy;
pub mod reason;
pub mod refusal;
pub mod scope;
mod sendfile;
pub mod sequence;
pub mod service;
pub mod sse;
pub mod stats;
pub mod status;
pub mod timer;
pub mod tls;
pub mod transport;
pub mod wakes;
pub mod websocket;
mod wire;
pub mod worker;

pub use config::Config;
pub use stats::Stats;
