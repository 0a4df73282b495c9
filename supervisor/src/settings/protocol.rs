//! Limits and timers as the protocol core wants them, in workers and in processes of the pool.

use pagi_server_core::Config;
use pagi_server_core::pool::gate::GateOptions;
use pagi_server_core::websocket::extension::DeflateOptions;

use super::{Settings, optional};

impl Settings {
    /// Limits and timers as the protocol core wants them.
    #[must_use]
    pub fn http_config(&self) -> Config {
        let http = &self.http;
        let defaults = Config::default();
        let (tls_handshake_timeout, max_tls_handshakes) = match &self.tls {
            Some(tls) => (optional(tls.handshake_timeout), tls.max_handshakes),
            None => (defaults.tls_handshake_timeout, defaults.max_tls_handshakes),
        };
        Config {
            tls_handshake_timeout,
            max_tls_handshakes,
            max_header_size: http.max_header_size,
            max_header_count: http.max_header_count,
            needs_host: true,
            max_body_size: http.max_body_size,
            max_connections: http.max_connections,
            idle_timeout: optional(http.timeout),
            header_timeout: optional(http.header_timeout),
            request_timeout: optional(http.request_timeout),
            write_timeout: optional(http.write_timeout),
            write_high_watermark: http.write_high_watermark,
            write_low_watermark: http.write_low_watermark,
            max_request_line: http.max_request_line,
            receive_window: http.receive_window,
            drain_limit: http.drain_limit,
            server_header: http.server_header.clone(),
            max_ws_frame_size: http.max_ws_frame_size as u64,
            max_ws_message_size: http.max_ws_message_size,
            max_ws_send_size: http.max_ws_send_size,
            max_receive_queue: http.max_receive_queue,
            ws_idle_timeout: optional(http.ws_idle_timeout),
            sse_idle_timeout: optional(http.sse_idle_timeout),
            ws_compression: DeflateOptions {
                enabled: http.ws_compression,
                level: http.ws_compression_level,
                min_size: http.ws_compression_min_size,
                ..DeflateOptions::default()
            },
            http2: self.http2.core(),
            tolerate_half_close: http.tolerate_half_close,
            fullflush: !http.no_fullflush,
            root_path: self.root_path.clone(),
        }
    }

    /// Limits of the pool, as the workers keep them.
    #[must_use]
    pub fn gate_options(&self) -> GateOptions {
        let pool = &self.pool;
        GateOptions {
            processes: pool.pool,
            queue_limit: pool.pool_queue_limit,
            queue_timeout: optional(pool.pool_queue_timeout),
            timeout: optional(pool.pool_timeout),
            buffer: pool.pool_buffer,
        }
    }

    /// The protocol as a pool process speaks it with our workers, which have kept every limit and every timer already.
    #[must_use]
    pub fn pool_config(&self) -> Config {
        let http = self.http_config();
        Config {
            // Cookies were joined, so a head can have grown.
            max_request_line: http.max_request_line * 2,
            max_header_size: http.max_header_size * 2 + 1024,
            max_header_count: http.max_header_count + 8,
            needs_host: false,
            max_body_size: 0,
            idle_timeout: None,
            header_timeout: None,
            request_timeout: None,
            write_timeout: None,
            ..http
        }
    }
}
