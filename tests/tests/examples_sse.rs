//! The event stream examples do what their READMEs say.

use pagi_tests::app::example;
use pagi_tests::browser::browse;
use pagi_tests::curl::curl;
use pagi_tests::lab::request;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

fn start(name: &str, environment: &[(&str, &str)]) -> Server {
    let setup = Setup::new().app(example(name));
    environment.iter().fold(setup, |setup, (variable, value)| setup.env(variable, value)).start()
}

/// Stops the server, which must have nothing to complain of.
fn stop(mut server: Server) {
    assert!(server.stop().success(), "{}", server.log());
    let log = server.log();
    for word in [" ERROR ", "Use of uninitialized", "Useless use", "Wide character", "lost its returning future"] {
        assert!(!log.contains(word), "{log}");
    }
}

/// A GET that accepts events, with more header lines, after its response head.
fn listen(server: &Server, headers: &str) -> Raw {
    let mut raw = Raw::connect(server.address());
    raw.send(request("GET", "/", &format!("Accept: text/event-stream\r\n{headers}")));
    raw.read_until_contains("\r\n\r\n");
    assert!(raw.received.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", raw.shown());
    raw
}

#[test]
fn sse_broadcaster() {
    let server = start("sse-broadcaster", &[]);
    let mut listeners = [listen(&server, ""), listen(&server, "")];
    listeners.iter_mut().for_each(|listener| listener.read_until_contains(":you are listening\n\n"));
    let told = curl(["--data", "zwei\nZeilen: größer", &server.url("/")]);
    assert_eq!((told.status, told.text()), (202, "told 2\n"));
    let event = "event: news\ndata: zwei\ndata: Zeilen: größer\nid: 1\n\n";
    listeners.iter_mut().for_each(|listener| listener.read_until_contains(event));
    let [mut first, second] = listeners;
    drop(second);
    pagi_tests::patience::await_that("one listener is left", || {
        curl(["--data", "x", &server.url("/")]).text() == "told 1\n"
    });
    assert_eq!(curl(["--data-binary", "\u{1}\u{80}", &server.url("/")]).status, 202);
    assert_eq!(curl([server.url("/")]).status, 405);
    let long = "x".repeat(10_001);
    assert_eq!(curl(["--data", &long, &server.url("/")]).status, 422);
    let invalid = server.path("invalid");
    std::fs::write(&invalid, b"\xff").expect("a file can be written");
    assert_eq!(curl(["--data-binary", &format!("@{}", invalid.display()), &server.url("/")]).status, 422);
    first.read_until_contains("id: 2\n\n");
    drop(first);
    stop(server);
}

#[test]
fn sse_broadcaster_puts_slow_listeners_out() {
    let server = start("sse-broadcaster", &[]);
    let mut slow = Raw::connect_narrow(server.address());
    slow.send(request("GET", "/", "Accept: text/event-stream\r\n"));
    slow.read_until_contains(":you are listening\n\n");
    let mut poster = Raw::connect(server.address());
    let line = "y".repeat(10_000);
    let mut posted = 0;
    loop {
        poster.send(request("POST", "/", "Content-Length: 10000\r\n") + &line);
        posted += 1;
        if poster.response("POST").text() == "told 0\n" {
            break;
        }
        assert!(posted < 10_000, "everything is buffered");
    }
    // What was sent before still comes, and then the end of the stream.
    slow.read_until("the end of the stream", |bytes| bytes.ends_with(b"\n\r\n0\r\n\r\n"));
}

#[test]
fn sse_dashboard() {
    let server = start("sse-dashboard", &[("DASHBOARD_INTERVAL", "0.05")]);
    let mut listener = listen(&server, "");
    listener.read_until_contains("id: 3\n\n");
    let first = listener.shown();
    assert!(first.contains(r#"event: metrics\ndata: {\"listeners\":1,\"load\":"#), "{first}");
    drop(listener);
    stop(server);
}

#[test]
fn sse_dashboard_in_a_browser() {
    let server = start("sse-dashboard", &[("DASHBOARD_INTERVAL", "0.1")]);
    browse("sse_dashboard", &server.url("/"), &[]);
    stop(server);
}

#[test]
fn sse_post() {
    for workers in ["1", "4"] {
        let server =
            Setup::new().app(example("sse-post")).args(["--workers", workers]).env("SSE_POST_INTERVAL", "0.01").start();
        let ask = |json: &str| curl(["--header", "Accept: text/event-stream", "--data", json, &server.url("/")]);
        let answer = ask(r#"{"question":"eins größer"}"#);
        let words = ["Backwards,", "that", "is:", "größer", "eins"];
        let events =
            (1..).zip(words).map(|(id, word)| format!("event: word\ndata: {{\"word\":\"{word}\"}}\nid: {id}\n\n"));
        let expected: String = events.chain(["event: done\ndata: {\"words\":5}\n\n".to_owned()]).collect();
        assert_eq!((answer.exit, answer.status, answer.text()), (0, 200, expected.as_str()));
        for bad in ["{}", "[]", "not JSON", r#"{"question":"  "}"#, r#"{"question":["x"]}"#, &"x".repeat(20_000)] {
            let refused = ask(bad);
            assert_eq!((refused.status, refused.header("content-type")), (422, Some("text/plain")), "{bad}");
        }
        let got = curl(["--header", "Accept: text/event-stream", &server.url("/")]);
        assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
        stop(server);
    }
    // An asker who leaves.
    let server = start("sse-post", &[("SSE_POST_INTERVAL", "3600")]);
    let mut asker = Raw::connect(server.address());
    let body = r#"{"question":"x"}"#;
    asker
        .send(request("POST", "/", &format!("Accept: text/event-stream\r\nContent-Length: {}\r\n", body.len())) + body);
    asker.read_until_contains("id: 1\n\n");
    asker.half_close();
    server.wait_for_log("asker left after word 1: client_closed");
}

#[test]
fn sse_post_in_a_browser() {
    let server = start("sse-post", &[("SSE_POST_INTERVAL", "0.3")]);
    browse("sse_post", &server.url("/"), &[]);
    server.wait_for_log("asker left after word");
    stop(server);
}

#[test]
fn sse_resume() {
    let server = start("sse-resume", &[("SSE_RESUME_INTERVAL", "0.05"), ("SSE_RESUME_KEPT", "20")]);
    let ids = |raw: &Raw| -> Vec<u64> {
        let text = String::from_utf8_lossy(&raw.received).into_owned();
        text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect()
    };
    let mut listener = listen(&server, "");
    listener.read_until("three events", |bytes| bytes.windows(4).filter(|window| window == b"id: ").count() >= 3);
    let seen = ids(&listener);
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seen:?}");
    assert!(listener.shown().contains(&format!("event: resume\\ndata: {}\\nretry: 200\\n\\n", seen[0])));

    let mut back = listen(&server, &format!("Last-Event-ID: {}\r\n", seen[0]));
    back.read_until_contains(&format!("event: resume\ndata: {}\n", seen[1]));
    back.read_until("two events", |bytes| bytes.windows(4).filter(|window| window == b"id: ").count() >= 2);
    assert_eq!(ids(&back)[..2], seen[1..3]);

    // Away for too long, from before a restart, from the future, and no ID at all.
    listener.read_until("events that push out the first", |bytes| {
        bytes.windows(4).filter(|window| window == b"id: ").count() > 25
    });
    for last in [seen[0].to_string(), "12".to_owned(), "999999999999999".to_owned()] {
        let mut late = listen(&server, &format!("Last-Event-ID: {last}\r\n"));
        late.read_until_contains("event: gap\n");
    }
    let mut odd = listen(&server, "Last-Event-ID: one\r\n");
    odd.read_until_contains("event: resume\n");
    drop((listener, back, odd));
    stop(server);
}

#[test]
fn sse_resume_in_browser_and_node_over_connections_that_break() {
    let server = start("sse-resume", &[("SSE_RESUME_INTERVAL", "0.05")]);
    browse("sse_resume", &server.url("/"), &[]);
    stop(server);
}
