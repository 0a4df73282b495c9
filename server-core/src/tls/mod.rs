//! TLS of client connections (protocol.md section 16).
//!
//! An operator's [`settings`] name files; their contents at one moment are the [`material`]; a [`context`] is what comes
//! of it: checked [`certificate`]s behind a [`resolver`] that chooses by name, a policy for the certificates of
//! [`client`]s, and the [`tickets`] by which sessions are resumed. A worker's [`terminator`] holds the current context
//! and replaces it when the files change ([`watch`] decides when). A connection makes its [`handshake`] with the context
//! of that moment and goes on as a [`stream`] over a [`session`]; what the handshake found out is its [`info`].

pub mod certificate;
pub mod cipher;
pub mod client;
pub mod context;
pub(crate) mod handshake;
pub mod info;
pub mod material;
pub mod name;
pub mod pem;
pub mod resolver;
mod session;
pub mod settings;
pub mod stream;
pub mod terminator;
pub mod tickets;
pub mod watch;

pub use info::{Protocol, TlsInfo};
pub use material::Material;
pub use settings::TlsSettings;
pub use terminator::Terminator;
pub use tickets::Seed;
