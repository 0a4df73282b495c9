//! Every example runs, without and with workers, and does what its README says, as curl sees it.

use pagi_tests::app::example;
use pagi_tests::curl::{Answer, curl};
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

const WORKERS: [u32; 2] = [1, 4];

/// Runs a check against an example in each process mode. The server ends well and has logged no error.
fn try_example(name: &str, environment: &[(&str, &str)], check: impl Fn(&Server)) {
    for workers in WORKERS {
        let mut setup = Setup::new().app(example(name)).workers(workers);
        for (variable, value) in environment {
            setup = setup.env(variable, value);
        }
        let mut server = setup.start();
        wait_for_workers(&server, workers);
        check(&server);
        assert!(server.stop().success(), "{name} with {workers} workers");
        let log = server.log();
        for word in [" ERROR ", "Use of uninitialized", "lost its returning future"] {
            assert!(!log.contains(word), "{name} with {workers} workers:\n{log}");
        }
    }
}

fn wait_for_workers(server: &Server, workers: u32) {
    if workers > 1 {
        (1..=workers).for_each(|number| server.wait_for_log(&format!("Worker {number} (")));
    }
}

fn get(server: &Server, path: &str) -> Answer {
    let answer = curl([server.url(path)]);
    assert_eq!(answer.exit, 0, "{}", server.log());
    answer
}

/// `GET path` is answered 200 with this text.
#[track_caller]
fn expect(server: &Server, path: &str, text: &str) {
    let answer = get(server, path);
    assert_eq!((answer.status, answer.text()), (200, text), "{}", server.log());
}

#[test]
fn hello() {
    try_example("hello", &[], |server| {
        expect(server, "/", "Hello from PAGI!\n");
        assert_eq!(get(server, "/").header("content-type"), Some("text/plain"));
    });
}

#[test]
fn app_pl() {
    try_example("app-pl", &[], |server| {
        expect(server, "/some/where", "Hello from app.pl, you asked for /some/where\n");
        let head = curl(["--head", &server.url("/")]);
        // curl shows the head as if it were the body.
        assert_eq!((head.status, head.text()), (200, head.head.as_str()));
    });
}

#[test]
fn streaming() {
    try_example("streaming", &[("STREAMING_INTERVAL", "0.02")], |server| {
        let pieces: String = (1..=5).map(|number| format!("piece {number} of 5\n")).collect();
        expect(server, "/", &format!("{pieces}done\n"));
        let old = curl(["--http1.0", &server.url("/")]);
        assert_eq!(old.text(), format!("{pieces}done\n"));
    });
    // A client that leaves early.
    try_example("streaming", &[("STREAMING_INTERVAL", "10")], |server| {
        let mut client = Raw::connect(server.address());
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client.read_until_contains("piece 1 of 5");
        drop(client);
        server.wait_for_log("client left after piece 1: client_closed");
    });
}

#[test]
fn lifespan_state() {
    for workers in WORKERS {
        let mut server = Setup::new().app(example("lifespan-state")).workers(workers).start();
        for number in 1..=3 {
            let answer = get(&server, "/");
            let expected = if workers == 1 { format!("request {number} of worker ") } else { "request ".to_owned() };
            assert!(answer.text().starts_with(&expected), "{answer:?}");
        }
        wait_for_workers(&server, workers);
        assert!(server.stop().success());
        let log = server.log();
        let served =
            log.lines().filter_map(|line| line.split(" served ").nth(1)?.split(' ').next()?.parse::<u32>().ok());
        assert_eq!(served.clone().count(), workers as usize, "{log}");
        assert_eq!(served.sum::<u32>(), 3, "{log}");
    }
}

#[test]
fn timer() {
    try_example("timer", &[("TIMER_SECONDS", "0.1")], |server| {
        expect(server, "/", "after 0.1 s\n");
        expect(server, "/now", "at once\n");
    });
}

#[test]
fn request_body() {
    try_example("request-body", &[], |server| {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        expect(server, "/", &format!("GET: 0 bytes, sha256 {empty}\n"));
        let upload = server.path("upload");
        std::fs::write(&upload, vec![b'x'; 3_000_000]).expect("a file can be written");
        let data = format!("@{}", upload.display());
        let expected = "POST: 3000000 bytes, sha256 ";
        let sized = curl(["--data-binary", &data, &server.url("/")]);
        assert!(sized.text().starts_with(expected), "{sized:?}");
        let chunked = curl(["--data-binary", &data, "--header", "Transfer-Encoding: chunked", &server.url("/")]);
        assert_eq!(chunked.text(), sized.text());
        let pieces: u32 = sized.header("x-pieces").expect("it is there").parse().expect("a number");
        assert!(pieces > 1, "{sized:?}");
    });
}

#[test]
fn fullflush() {
    try_example("fullflush", &[("FULLFLUSH_SECONDS", "0.1")], |server| {
        expect(server, "/", "please wait ...\nready\n");
    });
    // The first line is there long before the second.
    let server = Setup::new().app(example("fullflush")).env("FULLFLUSH_SECONDS", "3600").start();
    let mut client = Raw::connect(server.address());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read_until_contains("please wait ...");
    // And without the extension the application does not send its event.
    let plain = Setup::new().app(example("fullflush")).arg("--no-fullflush").env("FULLFLUSH_SECONDS", "0").start();
    expect(&plain, "/", "please wait ...\nready\n");
}

#[test]
fn utf8() {
    try_example("utf8", &[], |server| {
        expect(server, "/", "Hello, world! (5 characters, path /)\n");
        expect(server, "/ja?name=%E4%B8%96%E7%95%8C", "こんにちは, 世界! (2 characters, path /ja)\n");
        expect(server, "/%C3%A9t%C3%A9?x=1&name=J%C3%BCrgen+M", "Hello, Jürgen M! (8 characters, path /été)\n");
    });
}

#[test]
fn flow_control() {
    try_example("flow-control", &[], |server| {
        let answer = get(server, "/?blocks=300");
        assert_eq!(answer.body.len(), 300 * 16384);
        assert!(answer.body.starts_with(b"BCDEF"), "{:?}", &answer.body[..10]);
        server.wait_for_log("300 blocks, ");
    });
    // A client that reads nothing for a while makes the application wait.
    let server = Setup::new().app(example("flow-control")).start();
    let mut client = Raw::connect_narrow(server.address());
    client.send("GET /?blocks=3000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.read_until_contains("\r\n\r\n");
    client.skip(3000 * 16384 - 200_000);
    client.read_to_end();
    server.wait_for_log("3000 blocks, ");
    let log = server.log();
    let summary = log.lines().find(|line| line.contains("3000 blocks, ")).expect("just seen");
    let numbers: Vec<u32> = summary.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [blocks, pauses, most] = numbers[..] else { panic!("{summary}") };
    assert!(blocks == 3000 && pauses > 0, "{summary}");
    assert!(most <= 65536 + 16384 + 64, "{summary}");
}

#[test]
fn periodic_events() {
    try_example("periodic-events", &[("PERIODIC_EVENTS_INTERVAL", "0.02")], |server| {
        let page = get(server, "/");
        assert!(page.text().contains("new EventSource"), "{page:?}");
        let mut listener = Raw::connect(server.address());
        listener.send("GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: 41\r\n\r\n");
        listener.read_until_contains("event: tick\ndata: tick 44\nid: 44\n\n");
        assert!(listener.shown().contains("event: tick\\ndata: tick 42\\nid: 42\\n\\n"), "{}", listener.shown());
        assert!(listener.shown().contains("cache-control: no-store"), "{}", listener.shown());
        drop(listener);
        server.wait_for_log("listener left: client_closed");
        // curl too, for as long as it listens.
        let stream = curl(["--max-time", "1", "--header", "Accept: text/event-stream", &server.url("/")]);
        assert_eq!(stream.exit, 28, "curl gives up by itself: {stream:?}");
        assert!(stream.text().starts_with("event: tick\ndata: tick 1\nid: 1\n\n"), "{stream:?}");
    });
}

#[test]
fn contact_form() {
    try_example("contact-form", &[], |server| {
        let url = server.url("/");
        assert!(get(server, "/").text().contains("<form method=\"post\""));
        assert!(get(server, "/thanks").text().contains("Thank you!"));
        assert_eq!(get(server, "/nowhere").status, 404);
        let wrong = curl(["--data", "name=%3Cb%3E+J%C3%BCrgen&email=nobody", &url]);
        assert_eq!(wrong.status, 422);
        assert!(wrong.text().contains("Please give an address with an @."), "{wrong:?}");
        assert!(wrong.text().contains("value=\"&lt;b&gt; Jürgen\""), "{wrong:?}");
        let right = curl(["--data", "name=Ada&email=ada@example.org&message=Hello", &url]);
        assert_eq!((right.status, right.header("location")), (303, Some("/thanks")));
        server.wait_for_log("message from Ada <ada@example.org>");
        let followed = curl(["--location", "--data", "name=Ada&email=ada@example.org&message=Hello", &url]);
        assert!(followed.text().contains("Thank you!"), "{followed:?}");
        let long = format!("message={}", "x".repeat(20_000));
        assert_eq!(curl(["--data", &long, &url]).status, 413);
        let method = curl(["--request", "DELETE", &url]);
        assert_eq!((method.status, method.header("allow")), (405, Some("GET, HEAD, POST")));
    });
}

#[test]
fn mini_framework() {
    try_example("mini-framework", &[], |server| {
        expect(server, "/", "Mini framework\n");
        expect(server, "/hello/Ada", "{\"hello\":\"Ada\"}");
        expect(server, "/slow", "slow, but not blocking\n");
        let hello = get(server, "/hello/Ada");
        assert_eq!(hello.header("content-type"), Some("application/json"));
        assert!(hello.header("x-runtime").is_some(), "{hello:?}");
        let created = curl(["--data", "", &server.url("/items")]);
        assert_eq!((created.status, created.header("location")), (201, Some("/items/1")));
        assert_eq!(get(server, "/items").header("allow"), Some("POST"));
        assert_eq!(get(server, "/hello/").status, 404);
    });
}
