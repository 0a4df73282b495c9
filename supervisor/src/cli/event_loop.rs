//! The event loop of workers.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::value;

/// The event loop of workers.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Event loop")]
pub struct LoopOptions {
    // Not a doc comment: the words are long for a help text.
    #[arg(
        short = 'l',
        long = "loop",
        id = "loop",
        help = "Loop that turns: auto (the native one), or EPoll, EV, UV, Poll, Select or another class below \
                IO::Async::Loop, which then drives the worker; Future::IO, IO::Async, Mojolicious and AnyEvent work on all",
        default_value = "auto",
        value_parser = value::loop_type,
        value_name = "NAME"
    )]
    /// Name of the loop.
    pub name: String,
    /// Seconds after which a handler that holds the event loop is named in the log, with file and line; 0 = never
    #[arg(long, default_value = "0.2", value_parser = value::seconds, value_name = "SECONDS")]
    pub slow_handler: Duration,
}

impl LoopOptions {
    /// The loop that drives workers instead of the native one.
    #[must_use]
    pub fn foreign(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|&name| name != "auto" && name != "native")
    }
}
