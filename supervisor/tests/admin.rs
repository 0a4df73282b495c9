//! The admin listener, from outside.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{APP, PATIENCE, Server, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn admin_port(server: &Server) -> u16 {
    let line = server.wait_for("Admin listener on http://127.0.0.1:");
    line.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
}

/// Status code, head and body.
fn ask(port: u16, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

fn metric(port: u16, name: &str) -> Option<f64> {
    let (code, _, body) = ask(port, "GET /metrics");
    assert_eq!(code, 200);
    body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn metrics_count_workers_that_are_gone_too() {
    let server = Server::start(&["-w", "2", "--admin-listen", "127.0.0.1:0", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let port = admin_port(&server);
    for _ in 0..10 {
        server.get("/").unwrap();
    }
    eventually("ten requests are counted", PATIENCE, || metric(port, "pagi_requests_total") == Some(10.0));
    assert_eq!(server.pagictl(&["restart"]).0, 0);
    eventually("the old ones have gone", PATIENCE, || server.workers().len() == 2);
    assert_eq!(metric(port, "pagi_requests_total"), Some(10.0), "a counter never goes back");
    assert_eq!(metric(port, "pagi_responses_total{class=\"2xx\"}"), Some(10.0));
    assert_eq!(metric(port, "pagi_worker_replacements_total{cause=\"restart\"}"), Some(2.0));
    assert_eq!(metric(port, "pagi_workers{state=\"ready\"}"), Some(2.0));
    assert_eq!((metric(port, "pagi_workers_wanted"), metric(port, "pagi_generation")), (Some(2.0), Some(1.0)));
    let pid = server.workers()[0].pid;
    let (_, head, body) = ask(port, "GET /metrics");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let memory = body
        .lines()
        .find(|line| line.starts_with("pagi_worker_resident_bytes{") && line.contains(&format!("pid=\"{pid}\"")));
    assert!(memory.unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap() > 1_000_000, "{body}");
}

#[test]
fn health_and_readiness() {
    let server = Server::start(&["-w", "2", "--admin-listen", "127.0.0.1:0", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let port = admin_port(&server);
    let code = |request: &str| ask(port, request).0;
    assert_eq!((code("GET /healthz"), code("GET /readyz"), code("HEAD /readyz")), (200, 200, 200));
    assert_eq!((code("GET /"), code("POST /metrics")), (404, 405));
    let (_, _, body) = ask(port, "GET /status.json");
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status["pid"], server.pid().as_raw());
    // Nobody is left to take a connection, and nobody can come: the mold is held.
    for process in server.family() {
        let signal = if process.title.contains("mold") { Signal::SIGSTOP } else { Signal::SIGKILL };
        kill(Pid::from_raw(process.pid), signal).unwrap();
    }
    eventually("not ready any more", PATIENCE, || code("GET /readyz") == 503);
    assert_eq!(code("GET /healthz"), 200);
}

#[test]
fn a_server_without_workers_has_one_too() {
    let mut server = Server::start(&["--admin-listen", "./admin.sock", "-e", APP]);
    server.get("/").unwrap();
    let path = server.directory.path().join("admin.sock");
    let ask = |path: &std::path::Path| {
        let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    eventually("the request is counted", PATIENCE, || ask(&path).contains("\npagi_requests_total 1\n"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait(PATIENCE), Some(0));
    assert!(!path.exists());
}
