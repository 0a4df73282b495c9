//! Logs.

use std::path::PathBuf;

use clap::Args;
use pagi_server_core::access_log::DEFAULT_FORMAT;

use super::value;
use crate::log::{Destination, Format, Level};

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
    /// Log one of so many requests; errors are always logged
    #[arg(long, default_value = "1", value_parser = value::one_of, value_name = "N")]
    pub access_log_sample: u64,
    /// clf, combined, common, tiny, json, or a format such as '%h "%r" %s'
    #[arg(long, default_value = DEFAULT_FORMAT, value_parser = value::log_format, value_name = "FORMAT")]
    pub access_log_format: String,
    /// Where the server log goes: stderr, syslog, journald or a file; what the application writes to standard error goes
    /// along, except from a single process that logs text to standard error
    #[arg(long, default_value = "stderr", value_parser = Destination::parse, value_name = "DESTINATION")]
    pub log: Destination,
    /// Lines of the server log: text, or json with an object per line
    #[arg(long, default_value = "text", value_parser = Format::parse, value_name = "FORMAT")]
    pub log_format: Format,
    /// Least severe messages to log: debug, info, warn or error
    #[arg(long, default_value = "info", value_parser = Level::parse, value_name = "LEVEL")]
    pub log_level: Level,
    /// Log errors only, and no banner
    #[arg(short = 'q', long)]
    pub quiet: bool,
}
