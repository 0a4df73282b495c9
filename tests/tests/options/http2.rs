use super::row::{Form, ON_OFF, POSITIVE, Row, SWITCH, WHOLE, form, row};

pub const ROWS: &[Row] = &[
    row("--http2", "false", SWITCH, &[("static_files.rs", "http2_gets_files_too")]),
    row("--no-http2", "false", SWITCH, &[("http2_tls.rs", "h2_7_h2_8_alpn_chooses")]),
    row("--h2-max-concurrent-streams", "100", NUMBER, &[("http2_defence.rs", "concurrent_streams_have_a_limit")]),
    row("--h2-initial-window-size", "65535", NUMBER, SIZES),
    row("--h2-connection-window-size", "1048576", CONNECTION, SIZES),
    row("--h2-max-frame-size", "16384", FRAME, SIZES),
    row("--h2-max-header-list-size", "65536", NUMBER, &[("http2_defence.rs", "header_lists_have_a_limit")]),
    row("--h2-enable-connect-protocol", "on", ON_OFF, &[("http2_websocket.rs", "ws_44_the_option_switches_it_off")]),
    row("--h2-rst-rate-limit", "1000/33", RATE, &[("http2_defence.rs", "rapid_reset_cve_2023_44487")]),
    row(
        "--h2-control-rate-limit",
        "1000/100",
        RATE,
        &[("http2_defence.rs", "a_window_opened_byte_by_byte_cve_2019_9511")],
    ),
    row("--h2-max-stream-errors", "100", POSITIVE, &[("http2_defence.rs", "broken_streams_have_a_limit")]),
    row("--h2-max-requests", "100000", WHOLE, &[("http2_defence.rs", "requests_per_connection_have_a_limit")]),
];

const SIZES: &[(&str, &str)] = &[("http2_defence.rs", "windows_and_frame_sizes_are_kept")];
const NUMBER: Form = form(&["1", "2147483647"], &["0", "2147483648", "-1", "x"], "takes a number from 1 to 2147483647");
const CONNECTION: Form =
    form(&["65535", "2147483647"], &["65534", "2147483648"], "takes a number from 65535 to 2147483647");
const FRAME: Form = form(&["16384", "16777215"], &["16383", "16777216"], "takes a number from 16384 to 16777215");
const RATE: Form =
    form(&["7/3", "0/0"], &["7", "7/", "7/x", "7/-1", "1/2/3"], "takes two whole numbers, such as 1000/33");
