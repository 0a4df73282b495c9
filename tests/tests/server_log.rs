//! The server log: its forms, where it goes, and what the application writes to standard error.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;
use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::patience::await_that;
use pagi_tests::server::{Server, Setup};

/// Says something on standard error in every way there is, and answers.
fn talkative() -> String {
    app::handler(
        r#"warn "warned\n";
        print STDERR "printed\nand more\n";
        system 'echo from a program >&2';
        await answer($send, "$$");"#,
    )
}

fn is_said(server: &Server, file: &str, end: &str) -> bool {
    server.output(file).lines().any(|line| line.ends_with(end))
}

#[test]
fn what_applications_say_is_logged_with_the_worker() {
    let server = Setup::perl(&talkative()).workers(2).start();
    curl([server.url("/")]);
    for text in ["warned", "printed", "and more", "from a program"] {
        await_that(text, || is_said(&server, "stderr", text));
        let log = server.log();
        let line = log.lines().find(|line| line.ends_with(text)).unwrap();
        assert!(line.contains(" WARN worker 1: ") || line.contains(" WARN worker 2: "), "{line}");
    }
}

#[test]
fn a_single_process_leaves_standard_error_alone() {
    let server = Setup::perl(&talkative()).start();
    curl([server.url("/")]);
    await_that("the line", || server.log().lines().any(|line| line == "warned"));
}

/// What takes the number of a closed handle would be written to by everybody who complains.
#[test]
fn an_application_may_close_its_standard_handles() {
    let text = format!("close STDIN; close STDOUT; close STDERR;\n{}", app::handler("await answer($send, $$);"));
    for workers in [0, 2] {
        let setup = Setup::perl(&text).workers(workers).args(["--log", "server.log", "--port", "0"]);
        let mut server = setup.launch();
        await_that("the banner", || server.output("server.log").contains("listening on"));
        let log = server.output("server.log");
        let url = log.split_whitespace().find(|word| word.starts_with("http://")).expect("the banner has the address");
        for _ in 0..3 {
            let process = curl([url]).text().to_owned();
            for number in 0..=2 {
                let open = std::fs::read_link(format!("/proc/{process}/fd/{number}")).expect("it is open");
                let name = open.to_string_lossy();
                assert!(name == "/dev/null" || number == 2 && name.starts_with("pipe:"), "{number}: {name}");
            }
        }
        assert!(server.stop().success(), "{workers}: {}", server.output("server.log"));
    }
}

#[test]
fn the_last_words_of_a_process_are_logged() {
    let text = app::perl(
        r#"END { print STDERR "last words\n" }
        async sub app ($scope, $receive, $send) { die "no lifespan\n" }
        \&app"#,
    );
    for workers in ["0", "2"] {
        let mut server = Setup::perl(&text).args(["--workers", workers, "--log", "server.log"]).launch();
        await_that("the banner", || server.output("server.log").contains("listening on"));
        server.stop();
        assert!(is_said(&server, "server.log", "last words"), "{}", server.output("server.log"));
    }
}

#[test]
fn lines_for_programs() {
    let server = Setup::perl(&talkative()).workers(2).args(["--log-format", "json"]).start();
    curl([server.url("/")]);
    await_that("the line", || server.log().contains("from a program"));
    let lines: Vec<serde_json::Value> = server
        .log()
        .lines()
        .filter(|line| !line.starts_with("127.0.0.1"))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let find = |message: &str| lines.iter().find(|line| line["message"].as_str() == Some(message)).unwrap();
    let warned = find("warned");
    assert_eq!((&warned["level"], &warned["source"]), (&"WARN".into(), &"application".into()));
    assert!(warned["process"].as_str().unwrap().starts_with("worker "), "{warned}");
    assert_eq!(warned["generation"], 1);
    assert!(warned["pid"].is_u64() && warned["time"].as_str().unwrap().ends_with('Z'), "{warned}");
    assert!(lines.iter().any(|line| line["process"] == "master" && line["source"] == "server"));
}

#[test]
fn a_log_file_is_reopened() {
    for workers in ["0", "2"] {
        let server =
            Setup::perl(&talkative()).args(["--workers", workers, "--port", "0", "--log", "server.log"]).launch();
        await_that("the banner", || server.output("server.log").contains("listening on"));
        assert_eq!(server.log(), "", "nothing but the file is written to");
        std::fs::rename(server.path("server.log"), server.path("server.log.1")).expect("it can be renamed");
        server.signal(Signal::SIGUSR1);
        await_that("the new file", || server.path("server.log").exists());
        let log = server.output("server.log.1");
        let url = log.split_whitespace().find(|word| word.starts_with("http://")).expect("the banner has the address");
        await_that("what the application says", || {
            curl([url]);
            is_said(&server, "server.log", "printed")
        });
    }
}

fn datagrams(socket: &UnixDatagram, wanted: &str) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    let mut buffer = [0; 65536];
    loop {
        let length = socket.recv(&mut buffer).expect("a datagram comes");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.contains(wanted) {
            return text;
        }
    }
}

#[test]
fn syslog_and_journald() {
    for daemon in ["syslog", "journald"] {
        let setup = Setup::perl(&talkative());
        let path = setup.path("daemon.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket can be bound");
        let destination = format!("{daemon}:{}", path.display());
        let server = setup.workers(2).args(["--log", &destination]).launch();
        let banner = datagrams(&socket, "listening on");
        let url =
            banner.split_whitespace().find(|word| word.starts_with("http://")).expect("the banner has the address");
        curl([url]);
        let warned = datagrams(&socket, "warned");
        if daemon == "syslog" {
            assert!(banner.starts_with("<30>pagi-server["), "{banner}");
            assert!(warned.starts_with("<28>pagi-server[") && warned.contains("]: worker "), "{warned}");
        } else {
            assert!(banner.contains("PRIORITY=6\n") && banner.contains("PAGI_PROCESS=master\n"), "{banner}");
            assert!(warned.contains("PRIORITY=4\nSYSLOG_IDENTIFIER=pagi-server\n"), "{warned}");
            assert!(warned.contains("PAGI_PROCESS=worker ") && warned.contains("PAGI_GENERATION=1\n"), "{warned}");
        }
        drop(server);
    }
}

#[test]
fn a_log_that_cannot_be_opened_is_said_at_once() {
    for (destination, place) in [("/nonexistent/x.log", "/nonexistent/x.log"), ("syslog:/nonexistent", "/nonexistent")]
    {
        let outcome = Setup::perl(&talkative()).args(["--log", destination]).run();
        assert_eq!(outcome.code(), 1);
        outcome.assert_says(&format!("Cannot open log {place}: No such file or directory"));
    }
}

#[test]
fn access_log_for_programs_and_samples() {
    let server = Setup::perl(&talkative())
        .workers(2)
        .args(["--access-log", "access.log", "--access-log-format", "json", "--access-log-sample", "1000"])
        .start();
    curl(["-H", "X-Request-ID: abc", &server.url("/a?b=c")]);
    for _ in 0..10 {
        curl([server.url("/other")]);
    }
    curl(["-H", "Content-Length: nonsense", &server.url("/bad")]);
    await_that("the refused request", || server.output("access.log").contains("/bad"));
    let log = server.output("access.log");
    // Each worker logs its first.
    assert!((2..=3).contains(&log.lines().count()), "{log}");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().any(|line| line["status"] == 400 && line["path"] == "/bad"), "{log}");
    let first = &lines[0];
    assert_eq!((&first["path"], &first["query"], &first["request_id"]), (&"/a".into(), &"b=c".into(), &"abc".into()));
}

#[test]
fn root_is_refused_in_production_unless_it_is_wanted() {
    if !nix::unistd::geteuid().is_root()
        || ["/run/.containerenv", "/.dockerenv"].iter().any(|mark| std::path::Path::new(mark).exists())
    {
        let server = Setup::perl(&talkative()).env("PAGI_ALLOW_ROOT", "0").args(["-E", "production"]).start();
        assert!(!server.log().contains("as root"), "{}", server.log());
        return;
    }
    let setup = || Setup::perl(&talkative()).env("PAGI_ALLOW_ROOT", "0");
    let outcome = setup().args(["-E", "production"]).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("Refusing to serve as root: name another user with --user, or allow it with --allow-root");
    setup().args(["-E", "production", "--allow-root"]).start();
    let server = setup().args(["-E", "none"]).start();
    assert!(server.log().contains("The application runs as root; --user NAME changes that"), "{}", server.log());
}
