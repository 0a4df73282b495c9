//! The control socket and `pagictl`, from outside.

mod common;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use common::{APP, PATIENCE, Server, command, eventually, run};
use nix::sys::signal::Signal;

fn status(server: &Server) -> serde_json::Value {
    let (code, text) = server.pagictl(&["status", "--json"]);
    assert_eq!(code, 0, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn status_of_a_server_with_workers() {
    let server = Server::start(&["-w", "2", "-e", APP]);
    server.wait_for_several("is ready", 2);
    for _ in 0..6 {
        server.get("/").unwrap();
    }
    let total = |field: &str| -> u64 {
        let status = status(&server);
        status["workers"].as_array().unwrap().iter().map(|worker| worker[field].as_u64().unwrap()).sum()
    };
    // A worker publishes its totals once per turn of its loop, at least once a second.
    eventually("six requests are counted", PATIENCE, || total("requests") == 6);
    let status = status(&server);
    assert_eq!(status["pid"], server.pid().as_raw());
    assert_eq!((&status["generation"], &status["workers_wanted"]), (&1.into(), &2.into()));
    assert_eq!(status["listening"][0], format!("http://127.0.0.1:{}/", server.port()));
    let processes = server.workers();
    for (index, worker) in status["workers"].as_array().unwrap().iter().enumerate() {
        assert_eq!(worker["num"], index + 1);
        assert_eq!((&worker["state"], &worker["generation"]), (&"ready".into(), &1.into()));
        assert!(processes.iter().any(|process| worker["pid"] == process.pid));
        assert!(worker["heartbeat_age_ms"].as_u64().unwrap() < 5000);
    }
    let (code, table) = server.pagictl(&["status"]);
    assert_eq!(code, 0);
    let first = format!("pagi-server {}, pid {}, up ", env!("CARGO_PKG_VERSION"), server.pid());
    assert!(table.starts_with(&first) && table.contains("2 workers"), "{table}");
    assert_eq!(table.lines().filter(|line| line.contains("  ready  ")).count(), 2, "{table}");
}

#[test]
fn status_of_a_server_without_workers() {
    let server = Server::start(&["-e", APP]);
    let status = status(&server);
    assert_eq!(status["workers_wanted"], 0);
    assert_eq!((&status["workers"][0]["num"], &status["workers"][0]["state"]), (&0.into(), &"ready".into()));
    assert_eq!(status["workers"][0]["pid"], server.pid().as_raw());
}

#[test]
fn the_socket_is_private_and_removed() {
    for workers in ["1", "2"] {
        let mut server = Server::start(&["-w", workers, "--control-socket", "c.sock", "-e", APP]);
        let path = server.directory.path().join("c.sock");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert_eq!(server.pagictl(&["--socket", "c.sock", "status"]).0, 0);
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait(PATIENCE), Some(0));
        assert!(!path.exists(), "with {workers} workers");
    }
}

#[test]
fn other_requests_are_answered_too() {
    let server = Server::start(&["-w", "2", "--control-socket", "c.sock", "-e", APP]);
    let ask = |request: &str| {
        let mut stream = UnixStream::connect(server.directory.path().join("c.sock")).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("GET /v1/status").starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"));
    assert!(ask("GET /").starts_with("HTTP/1.1 404 "));
    assert!(ask("POST /v1/status").starts_with("HTTP/1.1 405 "));
    assert!(ask("nonsense").starts_with("HTTP/1.1 400 "));
    assert!(ask("GET /v1/status").contains("\"workers\":["), "one bad client does not end the service");
}

fn pagictl(directory: &Path, arguments: &[&str]) -> (i32, String) {
    run(command(env!("CARGO_BIN_EXE_pagictl"), directory).args(arguments))
}

#[test]
fn exit_statuses() {
    let directory = tempfile::tempdir().unwrap();
    let (code, text) = pagictl(directory.path(), &["status"]);
    let expected = format!("No running server has a control socket in {}", directory.path().join("pagi").display());
    assert_eq!(code, 3);
    assert!(text.starts_with(&expected), "{text}");
    let (code, text) = pagictl(directory.path(), &["status", "--socket", "/nonexistent"]);
    assert_eq!(code, 3);
    assert!(text.starts_with("Cannot connect to /nonexistent: "), "{text}");
    assert_eq!(pagictl(directory.path(), &["dance"]).0, 2);
    assert_eq!(pagictl(directory.path(), &["--help"]).0, 0);
}

#[test]
fn several_servers_are_told_apart() {
    let first = Server::start(&["-e", APP]);
    let mut second = common::server_command(first.directory.path(), &["-p", "0", "-e", APP])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let own = format!("control-{}.sock", second.id());
    let path = first.directory.path().join("pagi").join(&own);
    eventually("the second has a socket beside the first", PATIENCE, || path.exists());
    let (code, text) = first.pagictl(&["status"]);
    let _ = second.kill();
    let _ = second.wait();
    assert_eq!(code, 2);
    assert!(text.starts_with("Several servers run; say which one is meant:"), "{text}");
    assert!(text.contains("/control.sock") && text.contains(&own), "{text}");
    assert_eq!(first.pagictl(&["status"]).0, 0, "a dead server's socket does not count");
}
