//! TLS of client connections.

pub mod info;

pub use info::{Protocol, TlsInfo};
