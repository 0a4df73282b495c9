//! Drives the real `pagi-server` binary from outside.
//!
//! A test makes a [`server::Setup`], starts it, and talks to it with a client: [`raw`] sends exact bytes, [`http`]
//! understands what came back, [`curl`] and [`browser`] are real ones, [`tls`] encrypts, [`load`] counts what many requests come to.

pub mod app;
pub mod browser;
pub mod corpus;
pub mod curl;
pub mod http;
pub mod http2;
pub mod lab;
pub mod load;
pub mod metrics;
pub mod patience;
pub mod process;
pub mod raw;
pub mod server;
pub mod tls;
pub mod websocket;
