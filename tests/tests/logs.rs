//! The access log and the server log, as files and on standard error (reference-server.md 4.2 and 4.3).

use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::load::{self, Load, Reuse};
use pagi_tests::patience::await_that;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

/// `/empty` has no content, `/missing` is a 404, `/slow` takes a while; everything else is five bytes.
fn application() -> String {
    app::handler(
        "await Future::IO->sleep(0.3) if $path eq '/slow';
        return await answer($send, '') if $path eq '/empty';
        return await answer($send, 'none', 404) if $path eq '/missing';
        die 'broken' if $path eq '/broken';
        await answer($send, 'hello');",
    )
}

/// A server whose access log is the file `access.log`.
fn logging(format: &str) -> Server {
    Setup::perl(&application()).args(["--access-log", "access.log", "--access-log-format", format]).start()
}

/// Waits for so many lines of the access log.
fn lines(server: &Server, number: usize) -> Vec<String> {
    await_that(&format!("{number} lines of access log"), || server.output("access.log").lines().count() >= number);
    server.output("access.log").lines().map(str::to_owned).collect()
}

/// The line without the parts that nobody can know: `[TIME]` and a duration with its unit.
fn without_times(line: &str) -> String {
    let time = line.find('[').zip(line.find(']')).map(|(start, end)| &line[start..=end]);
    let line = time.map_or_else(|| line.to_owned(), |time| line.replacen(time, "[]", 1));
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    match line.rsplit_once(' ') {
        Some((head, tail)) if tail.starts_with(digits) && tail.ends_with('s') => format!("{head} TIME"),
        _ => line,
    }
}

#[test]
fn the_presets() {
    let agent = "-Atester/1.0";
    let cases = [
        ("clf", "127.0.0.1 - - [] \"GET /a%20b?x=1\" 200 TIME"),
        ("common", "127.0.0.1 - - [] \"GET /a%20b?x=1 HTTP/1.1\" 200 5"),
        ("combined", "127.0.0.1 - - [] \"GET /a%20b?x=1 HTTP/1.1\" 200 5 \"http://from/\" \"tester/1.0\""),
        ("tiny", "GET /a%20b?x=1 200 TIME"),
    ];
    for (format, expected) in cases {
        let server = logging(format);
        curl([agent, "--referer", "http://from/", &server.url("/a%20b?x=1")]);
        assert_eq!(without_times(&lines(&server, 1)[0]), expected, "{format}");
    }
}

#[test]
fn the_tokens() {
    let server = logging("%h %l %u %m %U|%q|%H %s %b %B %{X-Thing}i %{absent}i %%");
    curl(["--header", "X-Thing: a thing", &server.url("/path?q=1")]);
    curl(["--http1.0", &server.url("/empty")]);
    curl(["--head", &server.url("/missing")]);
    let lines = lines(&server, 3);
    assert_eq!(lines[0], "127.0.0.1 - - GET /path|?q=1|HTTP/1.1 200 5 5 a thing - %");
    assert_eq!(lines[1], "127.0.0.1 - - GET /empty||HTTP/1.0 200 - 0 - - %");
    assert_eq!(lines[2], "127.0.0.1 - - HEAD /missing||HTTP/1.1 404 - 0 - - %");
}

#[test]
fn times_are_those_of_the_whole_exchange() {
    let server = logging("%t|%d|%D|%T");
    let before = std::time::SystemTime::now();
    load::get(server.address(), "/slow").expect("an answer");
    let elapsed = before.elapsed().expect("time goes on").as_secs_f64();
    let lines = lines(&server, 1);
    let fields: Vec<&str> = lines[0].split('|').collect();
    let shape: String = fields[0].chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape.replace(|c: char| c.is_ascii_alphabetic(), "a"), "00/aaa/0000:00:00:00 +0000", "{}", fields[0]);
    let seconds: f64 = fields[1].parse().expect("a number");
    assert!((0.3..=elapsed + 0.1).contains(&seconds), "{}, not {elapsed}", lines[0]);
    assert_eq!(fields[1].split_once('.').expect("a point").1.len(), 3);
    let microseconds: f64 = fields[2].parse().expect("a number");
    assert!((microseconds / 1e6 - seconds).abs() < 0.002, "{}", lines[0]);
    assert_eq!(fields[3], "0");
}

#[test]
fn what_clients_send_cannot_forge_lines() {
    let server = logging("%r \"%{X-Evil}i\" end");
    let mut client = Raw::connect(server.address());
    client.send(b"GET /a\"b HTTP/1.1\r\nHost: x\r\nX-Evil: a\" \\ \tb\r\nConnection: close\r\n\r\n");
    client.read_to_end();
    let lines = lines(&server, 1);
    assert_eq!(lines, ["GET /a\\x22b HTTP/1.1 \"a\\x22 \\x5C \\x09b\" end"]);
}

#[test]
fn refused_and_failed_requests_are_logged_too() {
    let server = logging("%s %m %U");
    let mut client = Raw::connect(server.address());
    client.send("GET / HTTP/1.1\r\n\r\n");
    client.read_to_end();
    let refused = lines(&server, 1);
    assert!(refused[0].starts_with("400 "), "{refused:?}");
    assert_eq!(curl([server.url("/broken")]).status, 500);
    assert_eq!(lines(&server, 2)[1], "500 GET /broken");
}

#[test]
fn a_client_on_a_unix_socket() {
    let setup = Setup::perl(&application()).listens_elsewhere();
    let socket = setup.path("app.sock").to_str().expect("UTF-8").to_owned();
    let server =
        setup.args(["--socket", &socket, "--access-log", "access.log", "--access-log-format", "%h %s"]).start();
    curl(["--unix-socket", &socket, "http://x/"]);
    assert_eq!(lines(&server, 1), ["unix 200"]);
}

#[test]
fn events_are_one_line_when_the_stream_ends() {
    let text = app::handler(
        "await $send->({ type => 'sse.start' });
        await $send->({ type => 'sse.send', data => 'x' });
        await Future::IO->sleep(0.2);
        await $send->({ type => 'sse.send', data => 'y' });",
    );
    let setup = Setup::perl(&text).args(["--access-log", "access.log", "--access-log-format", "%m %U %s %B %d"]);
    let server = setup.start();
    curl(["--header", "Accept: text/event-stream", &server.url("/events")]);
    let lines = lines(&server, 1);
    let fields: Vec<&str> = lines[0].split(' ').collect();
    assert_eq!(fields[..4], ["GET", "/events", "200", "18"], "{lines:?}");
    assert!(fields[4].parse::<f64>().expect("a number") >= 0.2, "{lines:?}");
}

#[test]
fn where_the_access_log_goes() {
    let said = |setup: Setup| {
        let server = setup.args(["--access-log-format", "ACCESS %U %s"]).start();
        load::get(server.address(), "/somewhere").expect("an answer");
        load::get(server.address(), "/again").expect("an answer");
        let mut server = server;
        server.stop();
        server.has_said("ACCESS /somewhere 200")
    };
    // Production mode is silent unless a file is named; other modes write to standard error.
    assert!(!said(Setup::perl(&application())));
    assert!(said(Setup::perl(&application()).args(["-E", "none"])));
    assert!(said(Setup::perl(&application()).args(["-E", "development"])));
    assert!(said(Setup::perl(&application()).args(["-E", "none", "--workers", "2"])));
    assert!(!said(Setup::perl(&application()).args(["-E", "none", "--no-access-log"])));
    assert!(!said(Setup::perl(&application()).args(["-E", "none", "--access-log", "access.log"])));
    assert!(!said(Setup::perl(&application()).args(["-E", "none", "--access-log", "access.log", "--no-access-log"])));
}

#[test]
fn lines_appear_while_the_server_runs_and_the_file_is_appended_to() {
    let setup = Setup::perl(&application()).file("access.log", "earlier\n");
    let server = setup.args(["--access-log", "access.log", "--access-log-format", "%U"]).start();
    load::get(server.address(), "/one").expect("an answer");
    assert_eq!(lines(&server, 2), ["earlier", "/one"]);
}

#[test]
fn rotation_under_load_loses_no_line() {
    for workers in [0, 2] {
        let setup = Setup::perl(&application()).workers(workers);
        let mut server = setup.args(["--access-log", "access.log", "--access-log-format", "%U %s line"]).start();
        (1..=workers).for_each(|number| server.wait_for_log(&format!("Worker {number} (")));
        let load = Load::start(server.address(), "/x", 4, Reuse::KeepAlive);
        for number in 1..=3 {
            thread::sleep(Duration::from_millis(100));
            fs::rename(server.path("access.log"), server.path(&format!("access.{number}"))).expect("it can be renamed");
            server.signal(Signal::SIGUSR1);
            await_that("a new file", || server.path("access.log").exists());
        }
        thread::sleep(Duration::from_millis(100));
        let tally = load.finish();
        assert_eq!(tally.lost(), 0, "{tally:?}");
        assert!(server.stop().success());
        let files = ["access.1", "access.2", "access.3", "access.log"].map(|name| server.output(name));
        assert!(files.iter().all(|text| !text.is_empty()), "{:?}", files.each_ref().map(String::len));
        let all = files.concat();
        assert!(all.lines().all(|line| line == "/x 200 line"), "no line is torn");
        assert_eq!(all.lines().count(), tally.answered);
    }
}

#[test]
fn lines_of_several_workers_are_not_torn() {
    let format = format!("%U {} end", "x".repeat(500));
    let setup = Setup::perl(&application()).workers(3);
    let mut server = setup.args(["--access-log", "access.log", "--access-log-format", &format]).start();
    let load = Load::start(server.address(), "/x", 6, Reuse::KeepAlive);
    thread::sleep(Duration::from_millis(500));
    let tally = load.finish();
    assert!(server.stop().success());
    let log = server.output("access.log");
    let expected = format.replace("%U", "/x");
    assert!(log.lines().all(|line| line == expected));
    assert_eq!(log.lines().count(), tally.answered + tally.lost());
}

#[test]
fn the_level_and_quiet() {
    let said = |arguments: &[&str]| {
        let setup = Setup::perl(&application()).listens_elsewhere();
        let socket = setup.path("app.sock").to_str().expect("UTF-8").to_owned();
        let mut server = setup.args(arguments).args(["--socket", &socket]).launch();
        await_that("an answer", || curl(["--unix-socket", &socket, "http://x/"]).status == 200);
        assert_eq!(curl(["--unix-socket", &socket, "http://x/broken"]).status, 500);
        server.wait_for_log("PAGI application error: broken at ");
        server.stop();
        (server.has_said("listening on"), server.has_said(" WARN "), server.has_said(" INFO "))
    };
    for workers in ["0", "2"] {
        assert_eq!(said(&["-w", workers]), (true, true, true));
        assert_eq!(said(&["-w", workers, "--log-level", "warn"]), (false, true, false));
        assert_eq!(said(&["-w", workers, "--log-level", "error"]), (false, false, false));
        assert_eq!(said(&["-w", workers, "--quiet"]), (false, false, false));
        assert_eq!(said(&["-w", workers, "-q"]), (false, false, false));
    }
}

#[test]
fn each_line_says_which_process_speaks() {
    let mut server = Setup::perl(&application()).workers(2).start();
    (1..=2).for_each(|number| server.wait_for_log(&format!("Worker {number} (")));
    assert_eq!(curl([server.url("/broken")]).status, 500);
    server.wait_for_log("PAGI application error: broken at ");
    assert!(server.stop().success());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("broken at")).expect("just seen");
    assert!(line.contains(" ERROR worker 1: ") || line.contains(" ERROR worker 2: "), "{line}");
    let banner = log.lines().find(|line| line.contains("listening on")).expect("a banner");
    assert!(banner.contains(" INFO master: PAGI Server (multi-worker, reuseport) listening on http://"), "{banner}");
    assert!(banner.contains(" with 2 workers (") && banner.contains("max_conn: 1000/worker"), "{banner}");
}

#[test]
fn what_the_application_warns_reaches_standard_error() {
    let text = app::handler("warn qq{a warning\\n}; print STDERR qq{a line\\n}; await answer($send, 'hello');");
    for workers in [0, 2] {
        let server = Setup::perl(&text).workers(workers).arg("--quiet");
        let setup = server.listens_elsewhere();
        let socket = setup.path("app.sock").to_str().expect("UTF-8").to_owned();
        let server = setup.args(["--socket", &socket]).launch();
        await_that("an answer", || curl(["--unix-socket", &socket, "http://x/"]).status == 200);
        server.wait_for_log("a warning\n");
        server.wait_for_log("a line\n");
    }
}
