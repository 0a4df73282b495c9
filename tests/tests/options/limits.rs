use super::row::{Form, LEVEL, ON_OFF, POSITIVE, Row, SECONDS, SWITCH, WHOLE, form, row};

const SERVER_HEADER: &str = concat!("PAGI::Server/", env!("CARGO_PKG_VERSION"));

pub const ROWS: &[Row] = &[
    row("--max-connections", "1000", POSITIVE, &[("limits.rs", "max_connections_limits_what_is_served_at_once")]),
    row("--max-body-size", "10000000", WHOLE, &[("limits.rs", "srv_8_max_body_size_declared_and_chunked")]),
    row("--max-header-size", "8192", POSITIVE, &[("limits.rs", "srv_9_max_header_size")]),
    row("--max-header-count", "100", POSITIVE, &[("limits.rs", "srv_9_max_header_count")]),
    row("--max-request-line", "8192", POSITIVE, &[("limits.rs", "srv_9_max_request_line_as_asked_for")]),
    row("--receive-window", "65536", POSITIVE, &[("limits.rs", "recv_8_receive_window_as_asked_for")]),
    row("--drain-limit", "65536", WHOLE, &[("limits.rs", "http_7_drain_limit_as_asked_for")]),
    row("--server-header", SERVER_HEADER, HEADER, &[("limits.rs", "hdr_13_server_header_as_asked_for")]),
    row("--timeout", "60", SECONDS, &[("limits.rs", "timeout_closes_idle_connections")]),
    row("--header-timeout", "10", SECONDS, &[("limits.rs", "header_timeout_answers_408")]),
    row("--request-timeout", "0", SECONDS, &[("limits.rs", "request_timeout_ends_stalled_requests_rsn_1")]),
    row("--write-timeout", "60", SECONDS, &[("limits.rs", "write_timeout_ends_clients_that_do_not_read_rsn_1")]),
    row("--write-high-watermark", "65536", POSITIVE, MARKS),
    row("--write-low-watermark", "16384", WHOLE, MARKS).refuses(&[(
        &["--write-low-watermark", "65536"],
        "--write-low-watermark (65536) must be below --write-high-watermark (65536)",
    )]),
    // Without effect: that command lines with it serve is all there is to see.
    row("--sync-file-threshold", "65536", WHOLE, &[("migrating.rs", "every_command_line_serves")]),
    row("--max-ws-frame-size", "65536", POSITIVE, &[("limits_websocket.rs", "ws_31_max_ws_frame_size")]),
    row(
        "--max-ws-message-size",
        "16777216",
        POSITIVE,
        &[("limits_websocket.rs", "ws_31_max_ws_message_size_of_fragments")],
    ),
    row("--max-ws-send-size", "67108864", POSITIVE, &[("limits_websocket.rs", "max_ws_send_size_fails_the_send_only")]),
    row(
        "--max-receive-queue",
        "1000",
        POSITIVE,
        &[("limits_websocket.rs", "ws_30_max_receive_queue_closes_with_1008_rsn_1")],
    ),
    row("--ws-idle-timeout", "0", SECONDS, &[("limits_websocket.rs", "ws_idle_timeout_rsn_1")]),
    row("--sse-idle-timeout", "0", SECONDS, &[("limits_websocket.rs", "sse_28_sse_idle_timeout_rsn_1")]),
    row("--ws-compression", "on", ON_OFF, COMPRESSION),
    row("--ws-compression-level", "6", LEVEL, COMPRESSION),
    row("--ws-compression-min-size", "128", WHOLE, COMPRESSION),
    row(
        "--tolerate-half-close",
        "false",
        SWITCH,
        &[("http_response.rs", "amb_12_half_close_is_a_disconnect_unless_tolerated")],
    ),
    row(
        "--no-fullflush",
        "false",
        SWITCH,
        &[("http_response.rs", "scope_5_ext_1_ext_2_ext_3_ext_4_ext_5_fullflush_only_when_advertised")],
    ),
];

const MARKS: &[(&str, &str)] = &[("flow.rs", "flow_12_marks_are_configured_and_checked")];
const COMPRESSION: &[(&str, &str)] =
    &[("limits_websocket.rs", "ws_compression_options_are_what_the_middleware_of_old_had")];
const HEADER: Form =
    form(&["", "mine/1 (x)"], &[" x", "a\tb", "ü"], "takes printable ASCII text without spaces around it");
