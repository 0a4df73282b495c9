//! Processes for blocking code.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::value;

/// Processes for blocking code.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Pool for blocking code")]
pub struct PoolOptions {
    /// Processes for blocking code: whole requests of PSGI applications, and jobs; 0 = none
    #[arg(long, default_value = "0", value_parser = value::workers, value_name = "N")]
    pub pool: u32,
    /// Seconds a pool process may work without a sign of life (504, and the process is replaced); 0 = no limit
    #[arg(long, default_value = "30", value_parser = value::seconds, value_name = "SECONDS")]
    pub pool_timeout: Duration,
    /// Requests and jobs of all workers that may wait for a pool process; more are answered 503
    #[arg(long, default_value = "100", value_parser = value::count::<u64>, value_name = "N")]
    pub pool_queue_limit: u64,
    /// Seconds a request may wait for a pool process before it is answered 503; 0 = no limit
    #[arg(long, default_value = "30", value_parser = value::seconds, value_name = "SECONDS")]
    pub pool_queue_timeout: Duration,
    /// Bytes of a response taken off a pool process before it has to wait for a slow client
    #[arg(long, default_value = "1048576", value_parser = value::count::<usize>, value_name = "BYTES")]
    pub pool_buffer: usize,
}
