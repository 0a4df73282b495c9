//! Limits and timers of the protocol.

use std::time::Duration;

use clap::{ArgAction, Args};
use serde::{Deserialize, Serialize};

use super::value;

/// What the server calls itself.
const SERVER_HEADER: &str = concat!("PAGI::Server/", env!("CARGO_PKG_VERSION"));

/// Limits and timers of the protocol: the fields of [`pagi_server_core::Config`] that the command line reaches.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Limits and timers")]
pub struct HttpOptions {
    /// Connections per worker
    #[arg(long, default_value = "1000", value_parser = value::positive, value_name = "N")]
    pub max_connections: usize,
    /// Largest request body in bytes; 0 = unlimited
    #[arg(long, default_value = "10000000", value_parser = value::count::<u64>, value_name = "BYTES")]
    pub max_body_size: u64,
    /// Largest header section in bytes
    #[arg(long, default_value = "8192", value_parser = value::positive, value_name = "BYTES")]
    pub max_header_size: usize,
    /// Most header fields in a request
    #[arg(long, default_value = "100", value_parser = value::positive, value_name = "N")]
    pub max_header_count: usize,
    /// Longest request line in bytes
    #[arg(long, default_value = "8192", value_parser = value::positive, value_name = "BYTES")]
    pub max_request_line: usize,
    /// Unread request body in bytes at which a client is not read from any more until the application has read
    #[arg(long, default_value = "65536", value_parser = value::positive, value_name = "BYTES")]
    pub receive_window: usize,
    /// Request body in bytes that is read and dropped, to keep the connection, when an application answers without
    /// reading it; beyond it the connection is closed
    #[arg(long, default_value = "65536", value_parser = value::count::<u64>, value_name = "BYTES")]
    pub drain_limit: u64,
    /// Value of the Server header of responses that have none; empty sends none
    #[arg(long, default_value = SERVER_HEADER, value_parser = value::header, value_name = "TEXT")]
    pub server_header: String,
    /// Seconds a connection may stay silent between requests; 0 = no limit
    #[arg(long, default_value = "60", value_parser = value::seconds, value_name = "SECONDS")]
    pub timeout: Duration,
    /// Seconds a request head may take to arrive; 0 = no limit
    #[arg(long, default_value = "10", value_parser = value::seconds, value_name = "SECONDS")]
    pub header_timeout: Duration,
    /// Seconds a request may stall; 0 = no limit
    #[arg(long, default_value = "0", value_parser = value::seconds, value_name = "SECONDS")]
    pub request_timeout: Duration,
    /// Seconds queued output may make no progress; 0 = no limit
    #[arg(long, default_value = "60", value_parser = value::seconds, value_name = "SECONDS")]
    pub write_timeout: Duration,
    /// Queued output in bytes at which sending pauses
    #[arg(long, default_value = "65536", value_parser = value::positive, value_name = "BYTES")]
    pub write_high_watermark: usize,
    /// Queued output in bytes below which sending goes on
    #[arg(long, default_value = "16384", value_parser = value::count::<usize>, value_name = "BYTES")]
    pub write_low_watermark: usize,
    /// Accepted for command lines of the reference server, without effect: cached files never wait, others never block
    #[arg(long, default_value = "65536", value_parser = value::count::<u64>, value_name = "BYTES")]
    pub sync_file_threshold: u64,
    /// Largest payload of a received WebSocket frame in bytes
    #[arg(long, default_value = "65536", value_parser = value::positive, value_name = "BYTES")]
    pub max_ws_frame_size: usize,
    /// Largest received WebSocket message in bytes, inflated
    #[arg(long, default_value = "16777216", value_parser = value::positive, value_name = "BYTES")]
    pub max_ws_message_size: usize,
    /// Largest WebSocket message in bytes that an application may send
    #[arg(long, default_value = "67108864", value_parser = value::positive, value_name = "BYTES")]
    pub max_ws_send_size: usize,
    /// Received WebSocket messages that may wait for the application
    #[arg(long, default_value = "1000", value_parser = value::positive, value_name = "MESSAGES")]
    pub max_receive_queue: usize,
    /// Seconds a WebSocket may be without traffic; 0 = no limit
    #[arg(long, default_value = "0", value_parser = value::seconds, value_name = "SECONDS")]
    pub ws_idle_timeout: Duration,
    /// Seconds an event stream may be without an event or keepalive comment; 0 = no limit
    #[arg(long, default_value = "0", value_parser = value::seconds, value_name = "SECONDS")]
    pub sse_idle_timeout: Duration,
    /// Compress WebSocket messages for clients that offer it (permessage-deflate)
    #[arg(long, default_value = "on", value_parser = value::switch, action = ArgAction::Set, value_name = "on|off")]
    pub ws_compression: bool,
    /// Compression level of WebSocket messages, 1 (fast) to 9 (small)
    #[arg(long, default_value = "6", value_parser = value::level, value_name = "LEVEL")]
    pub ws_compression_level: u32,
    /// Smallest WebSocket message in bytes that is compressed
    #[arg(long, default_value = "128", value_parser = value::count::<usize>, value_name = "BYTES")]
    pub ws_compression_min_size: usize,
    /// Answer clients that shut down their sending side early
    #[arg(long)]
    pub tolerate_half_close: bool,
    /// Do not offer the fullflush extension
    #[arg(long)]
    pub no_fullflush: bool,
}
