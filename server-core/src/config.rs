//! Every limit and timer of the protocol core, with its default beside it.
//!
//! Names and defaults are those of the reference server (its section 8) where it has the limit; what each one means
//! when crossed is written here, and there is a test that crosses it.

use std::time::Duration;

use crate::http2::options::Http2Options;
use crate::websocket::extension::DeflateOptions;

/// Limits and timers of one worker. Sizes are bytes; a duration of `None` means the timer is off.
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest request line. Crossed: 414. `max_request_line`, default 8192.
    pub max_request_line: usize,
    /// Longest header section including the request line. Crossed: 431. `max_header_size`, default 8192.
    pub max_header_size: usize,
    /// Most header fields in one request. Crossed: 431. `max_header_count`, default 100.
    pub max_header_count: usize,
    /// Whether an HTTP/1.1 request needs a Host field (RFC 9112 §3.2). Always, except between our own processes: they pass
    /// HTTP/1.0 requests on in HTTP/1.1. No option.
    pub needs_host: bool,
    /// Largest request body; 0 is unlimited. Crossed: 413 and, once the application runs, `body_too_large`.
    /// `max_body_size`, default 10,000,000.
    pub max_body_size: u64,
    /// Most connections of one worker. Crossed: the worker stops accepting, its queue is left to a neighbour, and a
    /// connection that no worker can take is answered 503. `max_connections`, default 1000.
    pub max_connections: usize,
    /// How long a connection may stay silent between requests (reason `keepalive_timeout` or `idle_timeout`).
    /// `timeout`, default 60 s.
    pub idle_timeout: Option<Duration>,
    /// How long a request head may take from its first byte to its last. Crossed: 408. `header_timeout`, default 10 s.
    pub header_timeout: Option<Duration>,
    /// How long a TLS handshake may take. Crossed: closed. `ssl_handshake_timeout`, default 10 s.
    pub tls_handshake_timeout: Option<Duration>,
    /// Most TLS handshakes of one worker at a time. Crossed: accepting on TLS listeners waits. `max_ssl_handshakes`,
    /// default 256.
    pub max_tls_handshakes: usize,
    /// How long an exchange may go without a byte in or out while the client owes us something. Crossed: 408 or a
    /// closed connection, reason `client_timeout`. `request_timeout`, off by default.
    pub request_timeout: Option<Duration>,
    /// How long queued output may make no progress. Crossed: closed, reason `write_timeout`.
    /// `write_timeout`, default 60 s.
    pub write_timeout: Option<Duration>,
    /// Output queued for one exchange at which `$send` stays pending (FLOW-4). `write_high_watermark`, default 65536.
    pub write_high_watermark: usize,
    /// Level below which waiting sends go on. `write_low_watermark`, default 16384; must be below the high mark.
    pub write_low_watermark: usize,
    /// Unread body bytes held per exchange before the socket is no longer read (RECV-8).
    /// `receive_window`, default 65536.
    pub receive_window: usize,
    /// Unread body bytes that are read and thrown away so that a connection can be kept after an application answered
    /// without reading (HTTP-7); beyond it the connection is closed. `drain_limit`, default 65536.
    pub drain_limit: u64,
    /// Largest payload of one received WebSocket frame. Crossed: Close 1009. `max_ws_frame_size`, default 65536.
    pub max_ws_frame_size: u64,
    /// Largest received WebSocket message, fragments together and inflated. Crossed: Close 1009.
    /// `max_ws_message_size`, default 16 MiB.
    pub max_ws_message_size: usize,
    /// Largest WebSocket message an application may send. Crossed: the send fails. `max_ws_send_size`, default 64 MiB.
    pub max_ws_send_size: usize,
    /// Received WebSocket messages held for an application that does not take them. Crossed: Close 1008 (WS-30).
    /// `max_receive_queue`, default 1000.
    pub max_receive_queue: usize,
    /// How long a WebSocket may be without a frame in or a message out. Crossed: closed, reason `idle_timeout`.
    /// `ws_idle_timeout`, off by default.
    pub ws_idle_timeout: Option<Duration>,
    /// How long an event stream may be without an event or a keepalive comment. Crossed: closed, reason `idle_timeout`.
    /// `sse_idle_timeout`, off by default.
    pub sse_idle_timeout: Option<Duration>,
    /// Compression of WebSocket messages (RFC 7692). `ws_compression`, on by default.
    pub ws_compression: DeflateOptions,
    /// HTTP/2.
    pub http2: Http2Options,
    /// A client that shuts down its write side and waits is answered instead of counted as gone (AMB-12).
    /// Off by default.
    pub tolerate_half_close: bool,
    /// Whether `extensions.fullflush` is advertised and `http.fullflush` accepted (EXT-5). Default on.
    pub fullflush: bool,
    /// Mount point (`root_path`, PATH-6): `''` or a path that starts with `/` and does not end in one.
    pub root_path: String,
    /// Value of the `server` header when the application gives none; empty sends none (SRV-12).
    /// `server_header`, default `PAGI::Server/VERSION`.
    pub server_header: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_request_line: 8192,
            max_header_size: 8192,
            max_header_count: 100,
            needs_host: true,
            max_body_size: 10_000_000,
            max_connections: 1000,
            idle_timeout: Some(Duration::from_secs(60)),
            header_timeout: Some(Duration::from_secs(10)),
            tls_handshake_timeout: Some(Duration::from_secs(10)),
            max_tls_handshakes: 256,
            request_timeout: None,
            write_timeout: Some(Duration::from_secs(60)),
            write_high_watermark: 65536,
            write_low_watermark: 16384,
            receive_window: 65536,
            drain_limit: 65536,
            max_ws_frame_size: 65536,
            max_ws_message_size: 16 << 20,
            max_ws_send_size: 64 << 20,
            max_receive_queue: 1000,
            ws_idle_timeout: None,
            sse_idle_timeout: None,
            ws_compression: DeflateOptions::default(),
            http2: Http2Options::default(),
            tolerate_half_close: false,
            fullflush: true,
            root_path: String::new(),
            server_header: concat!("PAGI::Server/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
