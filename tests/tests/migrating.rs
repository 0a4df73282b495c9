//! Command lines of the reference server and of Starman, as docs/migrating.md translates them.

use std::os::unix::net::UnixStream;

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::server::Setup;

fn application() -> String {
    app::handler("await answer($send, 'served');")
}

/// Each is everything that stands before the application.
const COMMAND_LINES: [&[&str]; 8] = [
    // The reference server's.
    &["-s", "PAGI::Server", "-E", "none", "--no-default-middleware", "--access-log-format", "combined"],
    &["-w", "2", "--reuseport", "-b", "100", "--max-requests", "1000", "--max-connections", "50", "--lifespan", "auto"],
    &["--timeout", "5", "--request-timeout", "5", "--ws-idle-timeout", "5", "--sse-idle-timeout=5", "-q=off"],
    &["--max-body-size", "0", "--max-header-size", "16384", "--max-header-count", "50", "--sync-file-threshold", "0"],
    &["--write-high-watermark", "131072", "--write-low-watermark", "32768", "--heartbeat-timeout", "0"],
    // Starman's, translated.
    &["--workers", "2", "--max-requests", "500", "--listener-backlog", "64", "--host", "127.0.0.1"],
    &["--workers", "2", "--no-preload", "--pid", "server.pid", "--header-timeout", "5", "--access-log", "access.log"],
    &["-Ilib", "-MList::Util=sum", "-E", "deployment", "--log-level", "info"],
];

#[test]
fn every_command_line_serves() {
    for arguments in COMMAND_LINES {
        let server = Setup::perl(&application()).args(arguments).start();
        assert_eq!(curl([server.url("/")]).text(), "served", "{arguments:?}");
    }
}

#[test]
fn several_addresses_and_a_socket_with_its_mode() {
    let server = Setup::perl(&application())
        .listens_elsewhere()
        .args(["--listen", "127.0.0.1:0", "--listen", "./app.sock", "--socket-mode", "0660"])
        .start();
    assert_eq!(curl([server.url("/")]).text(), "served");
    UnixStream::connect(server.path("app.sock")).expect("the socket is served");
}

#[test]
fn what_is_refused_is_refused_by_name() {
    for (arguments, sentence) in [
        (&["-s", "Other"][..], "Cannot load server 'Other'"),
        (&["--prot", "80"], "Unknown option --prot; did you mean --port?"),
        (&["--port", "abc"], "--port takes a port number from 0 to 65535, got 'abc'"),
    ] {
        let outcome = Setup::perl(&application()).args(arguments).run();
        assert_eq!(outcome.code(), 2, "{arguments:?}");
        outcome.assert_says(sentence);
    }
}
