use super::row::{Form, Row, SWITCH, TEXT, form, row};

pub const ROWS: &[Row] = &[
    row(
        "--host",
        "127.0.0.1",
        form(&["0.0.0.0", "::1", "[::1]", "localhost"], &[], ""),
        &[("processes.rs", "the_host_says_which_address_is_served")],
    ),
    row("--port", "5000", PORT, &[("loading.rs", "a_port_that_is_taken")])
        .refuses(&[(&["--port"], "--port needs a value")]),
    row("--socket", "", TEXT, UNIX)
        .refuses(&[(&["--socket", "a", "--listen", "b"], "Cannot specify both 'listen' and 'socket' options")]),
    row("--socket-mode", "", form(&["0600", "0777"], &[], ""), UNIX).by_default("0600").refuses(&[
        (&["--socket-mode", "660"], "--socket-mode must be an octal value like 0660, got: 660"),
        (&["--socket-mode", "0668"], "--socket-mode must be an octal value like 0660, got: 0668"),
        (&["--socket-mode", "0+66"], "--socket-mode must be an octal value like 0660, got: 0+66"),
    ]),
    row("--listen", "", LISTEN, &[("processes.rs", "several_addresses_are_served_at_once")]).refuses(&[
        (&["--listen", ":80"], "--listen takes an address before the colon, such as 0.0.0.0, got ':80'"),
        (&["--listen", "::1:80"], "--listen takes an IPv6 address in brackets, like [::1]:5000, got '::1:80'"),
        (&["--listen", "[x]:80"], "--listen takes an IPv6 address between the brackets, got '[x]:80'"),
        (&["--listen", "h:1,proxy"], "An address with ,proxy needs --trusted-proxies, which says whom to believe"),
        (
            &["--listen", "unix:a,mod=1"],
            "--listen takes ssl, proxy, mode=, owner= and group= behind the commas, got 'unix:a,mod=1'",
        ),
        (&["--listen", "h:1,ssl"], "--listen h:1,ssl needs --ssl-cert and --ssl-key"),
    ]),
    row("--listener-backlog", "2048", BACKLOG, &[("metrics.rs", "waiting_connections_are_seen_queue_by_queue")]),
    row("--queues", "", QUEUES, ACCEPT)
        .by_default("one per worker")
        .refuses(&[(&["--queues", "2", "--reuseport"], "Cannot specify both --queues and --reuseport")]),
    row("--reuseport", "false", SWITCH, ACCEPT),
];

const UNIX: &[(&str, &str)] = &[("processes.rs", "scope_of_a_unix_socket")];
const ACCEPT: &[(&str, &str)] = &[("metrics.rs", "there_are_as_many_accept_queues_as_asked_for")];
const PORT: Form = form(&["0", "65535"], &["abc", "65536", "-1", ""], "takes a port number from 0 to 65535");
const LISTEN: Form = form(
    &[
        "127.0.0.1:0",
        "[::1]:0",
        "h:65535",
        "/a.sock",
        "./a.sock",
        "a.sock",
        "h:1,ssl",
        "/a.sock,proxy,ssl",
        "unix:a.sock,mode=0660",
        "unix:@a",
        "fd:web",
        "fd:3,ssl",
    ],
    &["h:99999"],
    "takes a port number from 0 to 65535",
);
const BACKLOG: Form = form(&["1", "2147483647"], &["0", "-1", "2147483648", "x"], "takes a whole number from 1");
const QUEUES: Form = form(&["1", "1024"], &["0", "1025", "x"], "takes a number from 1 to 1024");
