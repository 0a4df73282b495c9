//! Logs.

use std::path::PathBuf;

use clap::Args;
use pagi_server_core::access_log::DEFAULT_FORMAT;

use super::value;
use crate::log::Level;

/// Logs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogOptions {
    /// Access log file [default: standard error; in production mode no access log]
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    /// No access log; wins over --access-log
    #[arg(long)]
    pub no_access_log: bool,
    /// clf, combined, common, tiny, or a format such as '%h "%r" %s'
    #[arg(long, default_value = DEFAULT_FORMAT, value_parser = value::log_format, value_name = "FORMAT")]
    pub access_log_format: String,
    /// Least severe messages to log: debug, info, warn or error
    #[arg(long, default_value = "info", value_parser = Level::parse, value_name = "LEVEL")]
    pub log_level: Level,
    /// Log errors only, and no banner
    #[arg(short = 'q', long)]
    pub quiet: bool,
}
