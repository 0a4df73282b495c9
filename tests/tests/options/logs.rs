use super::row::{Form, POSITIVE, Row, SWITCH, TEXT, form, row};

pub const ROWS: &[Row] = &[
    row("--access-log", "", TEXT, PLACES).by_default("standard error; in production mode no access log"),
    row("--no-access-log", "false", SWITCH, PLACES),
    row("--access-log-sample", "1", POSITIVE, &[("server_log.rs", "access_log_for_programs_and_samples")]),
    row("--access-log-format", "clf", FORMAT, &[("logs.rs", "the_presets"), ("logs.rs", "the_tokens")]).refuses(&[
        (&["--access-log-format", "%z"], "Unknown access log format atom '%z'"),
        (&["--access-log-format", "%{x"], "Unterminated %{...} in access log format"),
        (&["--access-log-format", "%{x}o"], "Expected 'i' after %{x} in access log format"),
        (
            &["--access-log-format", "%{nothing}x"],
            "Unknown access log format atom '%{nothing}x'; there are tls, time, ms, pid and request_id",
        ),
    ]),
    row(
        "--log",
        "stderr",
        TEXT,
        &[("server_log.rs", "the_last_words_of_a_process_are_logged"), ("server_log.rs", "syslog_and_journald")],
    ),
    row(
        "--log-format",
        "text",
        form(&["text", "json"], &["xml", ""], "takes text or json"),
        &[("server_log.rs", "lines_for_programs")],
    ),
    row("--log-level", "info", form(&["debug", "info", "warn", "error"], &[], ""), LEVEL)
        .refuses(&[(&["--log-level", "loud"], "Invalid log_level 'loud': must be debug, info, warn or error")]),
    row("--quiet", "false", SWITCH, LEVEL),
];

const PLACES: &[(&str, &str)] = &[("logs.rs", "where_the_access_log_goes")];
const LEVEL: &[(&str, &str)] = &[("logs.rs", "the_level_and_quiet")];
const FORMAT: Form = form(&["clf", "combined", "common", "tiny", "json", "%h \"%r\" %s"], &[], "");
