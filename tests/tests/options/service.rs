use super::row::{COMMAND, Form, Row, SWITCH, TEXT, form, row};

pub const ROWS: &[Row] = &[
    row("--config", "", COMMAND, &[("configuration.rs", "a_file_configures_the_server")]).by_default("none").refuses(
        &[(
            &["--config", "/no/such/file"],
            "Cannot read configuration file /no/such/file: No such file or directory (os error 2)",
        )],
    ),
    row("--daemonize", "false", SWITCH, DAEMON),
    row("--pid", "", TEXT, DAEMON),
    row("--user", "", TEXT, &[("supervisor/surroundings.rs", "privileges_are_dropped_after_binding")]),
    row("--group", "", TEXT, &[("processes.rs", "a_group_can_be_had_without_a_user")]).by_default("the user's"),
    row("--allow-root", "false", SWITCH, &[("server_log.rs", "root_is_refused_in_production_unless_it_is_wanted")]),
    row("--control-socket", "", TEXT, &[("supervisor/control.rs", "the_socket_is_private_and_removed")])
        .by_default("control.sock in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/pagi, /run/pagi or /tmp/pagi-UID")
        .refuses(&[(
            &["--control-socket", "unix:@a"],
            "--control-socket takes the path of a file: through an abstract socket everybody could control the server, \
             got 'unix:@a'",
        )]),
    row("--control-group", "", TEXT, &[("supervisor/pagictl.rs", "the_control_socket_can_belong_to_a_group")])
        .by_default("the server's"),
    row("--admin-listen", "", PLACE, &[("supervisor/admin.rs", "health_and_readiness")]).by_default("nowhere").refuses(
        &[
            (&["--admin-listen", "fd:web"], "--admin-listen takes neither ,ssl nor ,proxy nor fd:NAME, got 'fd:web'"),
            (&["--admin-listen", "h:70000"], "--admin-listen takes a port number from 0 to 65535, got 'h:70000'"),
        ],
    ),
];

const DAEMON: &[(&str, &str)] = &[("processes.rs", "a_daemon_serves_and_stops_by_its_pid_file")];
const PLACE: Form = form(
    &["127.0.0.1:9000", "[::1]:0", "/a", "a", "unix:a", "unix:@a"],
    &[""],
    "takes HOST:PORT, [IPV6]:PORT, the path of a Unix socket, unix:PATH, unix:@NAME or fd:NAME",
);
