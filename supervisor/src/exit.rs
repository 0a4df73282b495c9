//! Exit statuses of `pagi-server`, and what a worker's status means to the master.

/// Stopped as asked.
pub const STOPPED: i32 = 0;
/// Could not start, or no worker was left.
pub const FAILED: i32 = 1;
/// The command line is wrong.
pub const USAGE: i32 = 2;
/// Of a worker: start-up failed and would fail again, so it is not repeated before anybody has become ready.
pub const WORKER_STARTUP_FAILED: i32 = 2;
