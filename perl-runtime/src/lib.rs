//! Typed PAGI scopes and events to Perl values and Futures, and back.
mod worker_api;
pub use worker_api::*;
