//! Settings and limits of HTTP/2, with their defaults beside them. Names and defaults are those of the reference server
//! where it has the option.

/// So many at once, and so many per second on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Taken at once from a full bucket.
    pub burst: u32,
    /// Refilled per second.
    pub per_second: u32,
}

/// HTTP/2 settings of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2Options {
    /// HTTP/2 by prior knowledge on cleartext connections (RFC 9113 §3.3). `http2`, off by default.
    pub cleartext: bool,
    /// HTTP/2 is offered to TLS clients. On by default.
    pub over_tls: bool,
    /// Streams a client may have open at once. Crossed: REFUSED_STREAM. `h2_max_concurrent_streams`, default 100.
    pub max_concurrent_streams: u32,
    /// Request body bytes a client may send on a stream ahead of what the application has read.
    /// `h2_initial_window_size`, default 65535.
    pub initial_window_size: u32,
    /// The same for all streams of a connection together; one stream that is not read must not stop the others, so it is
    /// larger. `h2_connection_window_size`, default 1 MiB.
    pub connection_window_size: u32,
    /// Largest frame a client may send. Crossed: FRAME_SIZE_ERROR. `h2_max_frame_size`, default 16384.
    pub max_frame_size: u32,
    /// Largest header list a client may send, as RFC 9113 §6.5.2 counts it. Crossed: 431. The limits that HTTP/1 has
    /// (`max_header_size`, `max_header_count`, `max_request_line`) apply too. `h2_max_header_list_size`, default 65536.
    pub max_header_list_size: u32,
    /// WebSocket over HTTP/2 (RFC 8441). `h2_enable_connect_protocol`, on by default.
    pub enable_connect_protocol: bool,
    /// Streams a client may reset. Crossed: GOAWAY with ENHANCE_YOUR_CALM. `h2_rst_rate_limit`, default 1000 and 33 per
    /// second.
    pub rst_rate_limit: RateLimit,
    /// Frames that carry nothing (SETTINGS, PING, PRIORITY, WINDOW_UPDATE, CONTINUATION, empty DATA and unknown ones)
    /// beyond those that requests and responses call for. Crossed: GOAWAY with ENHANCE_YOUR_CALM.
    /// `h2_control_rate_limit`, default 1000 and 100 per second.
    pub control_rate_limit: RateLimit,
    /// Streams of one connection that a client may break by protocol errors. Crossed: GOAWAY with ENHANCE_YOUR_CALM.
    /// `h2_max_stream_errors`, default 100.
    pub max_stream_errors: usize,
    /// Requests on one connection before the client is asked to open another. Crossed: GOAWAY without error, open streams
    /// finish. 0 is unlimited. `h2_max_requests`, default 100,000.
    pub max_requests: u64,
}

impl Default for Http2Options {
    fn default() -> Self {
        Self {
            cleartext: false,
            over_tls: true,
            max_concurrent_streams: 100,
            initial_window_size: 65535,
            connection_window_size: 1 << 20,
            max_frame_size: 16384,
            max_header_list_size: 65536,
            enable_connect_protocol: true,
            rst_rate_limit: RateLimit { burst: 1000, per_second: 33 },
            control_rate_limit: RateLimit { burst: 1000, per_second: 100 },
            max_stream_errors: 100,
            max_requests: 100_000,
        }
    }
}
