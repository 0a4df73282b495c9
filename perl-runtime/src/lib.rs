//! Typed PAGI scopes and events to Perl values and Futures, and back.
//!
//! * `perl/` is the libperl binding, the only place with unsafe code;
//! * `call.rs` holds one application call, `lifespan.rs` the lifespan exchange;
//! * `decode.rs` reads the application's events;
//! * `worker.rs` is the loop: park, drain, flush;
//! * `reactor.rs` and `native.rs` are what Perl's event loop adapters (`lib/PAGI/Native/*`) stand on;
//! * `lag.rs` measures how long Perl holds the loop, `foreign.rs` lets another loop drive it;
//! * `serve.rs` is the life of a worker from lifespan start-up to its last connection.
#![deny(unsafe_code)]

mod call;
mod decode;
mod foreign;
mod interpreter;
mod lag;
mod lifespan;
mod native;
mod perl;
mod pool;
mod reactor;
mod serve;
mod worker;
mod worker_api;

pub use interpreter::{Application, Interpreter, Sources};
pub use perl::stack::install as install_stack_signal;
pub use serve::serve;
pub use worker_api::{
    AppSource, AppSpec, Command, Host, LifespanMode, MountSpec, Pool, Warm, WorkerExit, WorkerOptions,
};
