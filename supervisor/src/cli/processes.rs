//! Workers and their supervision.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::value;

/// Workers and their supervision.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Processes")]
pub struct ProcessOptions {
    /// Worker processes; 0 or 1 = serve in the foreground process
    #[arg(short = 'w', long, default_value = "0", value_parser = value::workers, value_name = "N")]
    pub workers: u32,
    /// Load the application in every worker instead of once for all
    #[arg(long)]
    pub no_preload: bool,
    /// Watch the application's files, and load it anew and replace the workers when one is saved; code that cannot be loaded
    /// changes nothing. There is always at least one worker process then
    #[arg(long)]
    pub reload: bool,
    /// Replace a worker after so many requests; 0 = never
    #[arg(long, default_value = "0", value_parser = value::count::<u64>, value_name = "N")]
    pub max_requests: u64,
    /// Up to so many requests more, by chance, so that workers do not all reach --max-requests at once
    #[arg(long, default_value = "0", value_parser = value::count::<u64>, value_name = "N")]
    pub max_requests_jitter: u64,
    /// Replace a worker after so many seconds; 0 = never
    #[arg(long, default_value = "0", value_parser = value::seconds, value_name = "SECONDS")]
    pub max_worker_age: Duration,
    /// Replace a worker whose resident memory, shared pages included, exceeds so many bytes; 0 = never
    #[arg(long, default_value = "0", value_parser = value::count::<u64>, value_name = "BYTES")]
    pub max_worker_rss: u64,
    /// Seconds without a sign of life after which a worker is killed and replaced; 0 = never
    #[arg(long, default_value = "50", value_parser = value::seconds, value_name = "SECONDS")]
    pub heartbeat_timeout: Duration,
    /// Let a worker become the mold of all others once it has served so many requests, so that they share what it has in
    /// memory; 0 = never
    #[arg(long, default_value = "0", value_parser = value::count::<u64>, value_name = "N")]
    pub refork_after: u64,
    /// Workers replaced at a time in a reload or restart
    #[arg(long, default_value = "1", value_parser = value::positive, value_name = "N")]
    pub reload_batch: usize,
    /// Seconds new code may take to load in a reload before the old code is kept; 0 = no limit
    #[arg(long, default_value = "300", value_parser = value::seconds, value_name = "SECONDS")]
    pub reload_timeout: Duration,
    /// Seconds that a graceful stop may take
    #[arg(long, default_value = "30", value_parser = value::seconds, value_name = "SECONDS")]
    pub shutdown_timeout: Duration,
}
