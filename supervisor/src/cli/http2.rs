//! HTTP/2.

use std::fmt;

use clap::{ArgAction, Args};
use pagi_server_core::http2::options;
use serde::{Deserialize, Serialize};

use super::value;

/// Settings and limits of HTTP/2: the fields of [`options::Http2Options`].
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "HTTP/2")]
pub struct Http2Options {
    /// Also speak HTTP/2 on cleartext connections, with clients that start with it (prior knowledge)
    #[arg(long, overrides_with = "no_http2")]
    pub http2: bool,
    /// Speak no HTTP/2, not even with TLS clients that ask for it
    #[arg(long, overrides_with = "http2")]
    pub no_http2: bool,
    /// Streams a client may have open at once
    #[arg(long, default_value = "100", value_parser = value::between::<1, 0x7fff_ffff>, value_name = "N")]
    pub h2_max_concurrent_streams: u32,
    /// Request body bytes a client may send on a stream before the application reads
    #[arg(long, default_value = "65535", value_parser = value::between::<1, 0x7fff_ffff>, value_name = "BYTES")]
    pub h2_initial_window_size: u32,
    /// The same for all streams of a connection together
    #[arg(long, default_value = "1048576", value_parser = value::between::<65535, 0x7fff_ffff>, value_name = "BYTES")]
    pub h2_connection_window_size: u32,
    /// Largest frame a client may send, in bytes
    #[arg(long, default_value = "16384", value_parser = value::between::<16384, 0x00ff_ffff>, value_name = "BYTES")]
    pub h2_max_frame_size: u32,
    /// Largest header list in bytes, beside --max-header-size
    #[arg(long, default_value = "65536", value_parser = value::between::<1, 0x7fff_ffff>, value_name = "BYTES")]
    pub h2_max_header_list_size: u32,
    /// Offer WebSocket over HTTP/2 (RFC 8441)
    #[arg(long, default_value = "on", value_parser = value::switch, action = ArgAction::Set, value_name = "on|off")]
    pub h2_enable_connect_protocol: bool,
    /// Streams a client may reset: so many at once, so many per second on top; a client beyond it is cut
    #[arg(long, default_value = "1000/33", value_parser = Rate::parse, value_name = "BURST/RATE")]
    pub h2_rst_rate_limit: Rate,
    /// PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty and unknown frames beyond what requests and responses call for
    #[arg(long, default_value = "1000/100", value_parser = Rate::parse, value_name = "BURST/RATE")]
    pub h2_control_rate_limit: Rate,
    /// Streams of a connection that a client may break by protocol errors before it is cut
    #[arg(long, default_value = "100", value_parser = value::positive, value_name = "N")]
    pub h2_max_stream_errors: usize,
    /// Requests on one connection before the client is asked to open another; 0 = no limit
    #[arg(long, default_value = "100000", value_parser = value::count::<u64>, value_name = "N")]
    pub h2_max_requests: u64,
}

impl Http2Options {
    /// As the protocol core wants them.
    #[must_use]
    pub fn core(&self) -> options::Http2Options {
        options::Http2Options {
            cleartext: self.http2,
            over_tls: !self.no_http2,
            max_concurrent_streams: self.h2_max_concurrent_streams,
            initial_window_size: self.h2_initial_window_size,
            connection_window_size: self.h2_connection_window_size,
            max_frame_size: self.h2_max_frame_size,
            max_header_list_size: self.h2_max_header_list_size,
            enable_connect_protocol: self.h2_enable_connect_protocol,
            rst_rate_limit: self.h2_rst_rate_limit.into(),
            control_rate_limit: self.h2_control_rate_limit.into(),
            max_stream_errors: self.h2_max_stream_errors,
            max_requests: self.h2_max_requests,
        }
    }
}

/// A rate limit, in a form that can be handed to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// So many at once.
    pub burst: u32,
    /// So many per second on top.
    pub per_second: u32,
}

impl Rate {
    fn parse(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(burst, rate)| Some((burst.parse().ok()?, rate.parse().ok()?)));
        let (burst, per_second) = numbers.ok_or("takes two whole numbers, such as 1000/33")?;
        Ok(Self { burst, per_second })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.burst, self.per_second)
    }
}

impl From<Rate> for options::RateLimit {
    fn from(rate: Rate) -> Self {
        Self { burst: rate.burst, per_second: rate.per_second }
    }
}
