//! Every limit and timer, crossed from outside.

use std::time::{Duration, Instant};

use pagi_tests::lab::{Lab, get, get_and_close, request};
use pagi_tests::raw::{End, Raw, contains};

const READER: &str = r#"
route '/' => async sub ($scope, $receive, $send) {
    $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
    my $length = 0;
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'http.disconnect';
        $length += length $event->{body};
        last unless $event->{more};
    }
    await answer($send, 200, $length);
};
route '/stall' => async sub ($scope, $receive, $send) {
    $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
    note('stalling');
    await Future::IO->sleep(30);
};
"#;

fn resident(lab: &Lab) -> u64 {
    pagi_tests::process::Process::find(lab.server.pid()).expect("the server lives").resident_kib()
}

#[test]
fn srv_9_max_request_line() {
    // The header section has room for more than the request line.
    let lab = Lab::with(READER, &["--max-header-size", "20000"]);
    let line = |length: usize| format!("GET /?{} HTTP/1.1", "q".repeat(length - "GET /? HTTP/1.1".len()));
    for (length, status) in [(8192, 200), (8193, 414), (9000, 414)] {
        let reply = lab.exchange(format!("{}\r\nHost: lab\r\nConnection: close\r\n\r\n", line(length)));
        assert_eq!(reply.response.status, status, "{length}");
    }
}

#[test]
fn srv_9_max_request_line_as_asked_for() {
    let lab = Lab::with(READER, &["--max-request-line", "40"]);
    let line = |length: usize| format!("GET /?{} HTTP/1.1", "q".repeat(length - "GET /? HTTP/1.1".len()));
    for (length, status) in [(40, 200), (41, 414)] {
        let reply = lab.exchange(format!("{}\r\nHost: lab\r\nConnection: close\r\n\r\n", line(length)));
        assert_eq!(reply.response.status, status, "{length}");
    }
}

#[test]
fn recv_8_receive_window_as_asked_for() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my ($longest, $sum) = (0, 0);
            while (1) {
                # So long that all of the body has arrived, if anybody takes it.
                await Future::IO->sleep(0.1) if !$sum;
                my $event = await $receive->();
                my $length = length $event->{body};
                $longest = $length if $length > $longest;
                $sum += $length;
                last unless $event->{more};
            }
            await answer($send, 200, "$longest $sum");
        };"#,
        &["--receive-window", "1000"],
    );
    let text = |reply: pagi_tests::http::Response| String::from_utf8(reply.body).expect("it is text");
    assert_eq!(text(lab.post("/", &"x".repeat(900))), "900 900");
    let answer = text(lab.post("/", &"x".repeat(20_000)));
    let (longest, sum) = answer.split_once(' ').expect("two numbers");
    assert_eq!(sum, "20000");
    assert!(longest.parse::<usize>().expect("a number") <= 1000, "{answer}");
}

#[test]
fn http_7_drain_limit_as_asked_for() {
    let handlers = "route '/' => async sub ($scope, $receive, $send) { await answer($send, 200, 'x') };";
    let lab = Lab::with(handlers, &["--drain-limit", "100"]);
    for (length, answers) in [(100, 2), (101, 1), (50_000, 1)] {
        let mut raw = lab.connect();
        raw.send(request("POST", "/", &format!("Content-Length: {length}\r\n")));
        // What comes before the answer is the application's, read or not.
        raw.read_until_contains("\r\n\r\nx");
        raw.offer("y".repeat(length) + &get_and_close("/"));
        raw.read_to_end();
        let found = raw.received.windows(12).filter(|bytes| *bytes == b"HTTP/1.1 200").count();
        assert_eq!(found, answers, "{length}: {}", raw.shown());
    }
}

#[test]
fn hdr_13_server_header_as_asked_for() {
    let handlers = "route '/' => async sub ($scope, $receive, $send) { await answer($send, 200, 'x') };";
    for (value, sent) in [("lab/1", Some("lab/1")), ("", None)] {
        let lab = Lab::with(handlers, &["--server-header", value]);
        assert_eq!(lab.get("/").header("server"), sent);
        // What is refused before the application sees it is no exception.
        assert_eq!(lab.exchange("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").response.header("server"), sent);
    }
}

#[test]
fn srv_9_max_header_size() {
    let lab = Lab::with(READER, &["--max-header-size", "300"]);
    let head = |length: usize| {
        let empty = request("GET", "/", "Connection: close\r\nX: \r\n").len();
        request("GET", "/", &format!("Connection: close\r\nX: {}\r\n", "y".repeat(length - empty)))
    };
    for (length, status) in [(300, 200), (301, 431), (9000, 431)] {
        assert_eq!(lab.exchange(head(length)).response.status, status, "{length}");
    }
}

#[test]
fn srv_9_max_header_count() {
    for limit in [3, 100, 200] {
        let lab = Lab::with(READER, &["--max-header-count", &limit.to_string(), "--max-header-size", "20000"]);
        let head =
            |fields: usize| request("GET", "/", &("Connection: close\r\n".to_owned() + &"X: 1\r\n".repeat(fields - 2)));
        assert_eq!(lab.exchange(head(limit)).response.status, 200, "{limit}");
        assert_eq!(lab.exchange(head(limit + 1)).response.status, 431, "{limit}");
    }
}

#[test]
fn srv_8_max_body_size_declared_and_chunked() {
    let lab = Lab::with(READER, &["--max-body-size", "10"]);
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Content-Length: 10\r\n") + "0123456789");
    assert_eq!(raw.response("POST").text(), "10");
    raw.send(request("POST", "/", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n");
    assert_eq!(raw.response("POST").text(), "10");
    let declared = lab.exchange(request("POST", "/", "Content-Length: 11\r\n"));
    assert_eq!((declared.response.status, declared.response.text()), (413, "Payload Too Large"));
    assert_eq!(lab.notes(), [""; 0], "the application was called");
    let mut raw = lab.connect();
    raw.send(request("POST", "/stall", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n");
    lab.wait_for_note("stalling");
    raw.send("6\r\nworld!\r\n");
    assert_eq!(raw.response("POST").status, 413);
    assert_eq!(raw.read_to_end(), End::Eof);
    lab.wait_for_note("body_too_large");
    let unlimited = Lab::with(READER, &["--max-body-size", "0"]);
    assert_eq!(unlimited.post("/", &"x".repeat(11_000_000)).text(), "11000000");
}

#[test]
fn srv_8_resp_7_a_body_that_grows_too_large_after_the_response_began() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
            await start($send, 200);
            await body($send, 'begun', 1);
            while ((await $receive->())->{type} ne 'http.disconnect') { }
        };"#,
        &["--max-body-size", "10"],
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n");
    raw.read_until_contains("begun");
    raw.send("6\r\nworld!\r\n");
    raw.read_to_end();
    assert!(!contains(&raw.received, b"413") && !raw.received.ends_with(b"0\r\n\r\n"), "{}", raw.shown());
    lab.wait_for_note("body_too_large");
}

#[test]
fn max_connections_limits_what_is_served_at_once() {
    let lab = Lab::with(READER, &["--max-connections", "3"]);
    let mut held: Vec<Raw> = (0..3)
        .map(|_| {
            let mut raw = lab.connect();
            raw.send(get("/"));
            assert_eq!(raw.response("GET").status, 200);
            raw
        })
        .collect();
    // One more is answered 503, or waits until there is room; it is not served beside the others.
    let mut fourth = lab.connect();
    fourth.offer(get_and_close("/"));
    let silent = fourth.is_silent_for(Duration::from_millis(300));
    if !silent {
        fourth.read_to_end();
        assert!(fourth.received.starts_with(b"HTTP/1.1 503"), "{}", fourth.shown());
        assert!(contains(&fourth.received.to_ascii_lowercase(), b"retry-after: "), "{}", fourth.shown());
    }
    held[0].send(get("/"));
    assert_eq!(held[0].response("GET").status, 200);
    held.clear();
    pagi_tests::patience::await_that("there is room again", || {
        let mut raw = lab.connect();
        raw.offer(get_and_close("/"));
        raw.try_response("GET").is_ok_and(|response| response.status == 200)
    });
}

#[test]
fn timeout_closes_idle_connections() {
    let lab = Lab::with(READER, &["--timeout", "0.3"]);
    let mut fresh = lab.connect();
    assert_eq!(fresh.read_to_end(), End::Eof);
    assert_eq!(fresh.received, b"");
    let mut kept = lab.connect();
    kept.send(get("/"));
    assert_eq!(kept.response("GET").status, 200);
    assert_eq!(kept.read_to_end(), End::Eof);
    // It does not run while an application is at work (the client owes nothing).
    let mut busy = lab.connect();
    busy.send(get("/stall"));
    assert!(busy.is_silent_for(Duration::from_millis(900)));
}

#[test]
fn header_timeout_answers_408() {
    let lab = Lab::with(READER, &["--header-timeout", "0.3"]);
    for part in ["G", "GET / HTTP/1.1\r\nHost: lab\r\nX: "] {
        let mut raw = lab.connect();
        raw.send(part);
        // Bytes that trickle in do not hold it off.
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) && raw.is_silent_for(Duration::from_millis(50)) {
            raw.offer("x");
        }
        assert_eq!(raw.read_to_end(), End::Eof);
        assert!(raw.received.starts_with(b"HTTP/1.1 408"), "{}", raw.shown());
        assert!(started.elapsed() < Duration::from_secs(10), "sooner than by default");
    }
}

#[test]
fn request_timeout_ends_stalled_requests_rsn_1() {
    let lab = Lab::with(READER, &["--request-timeout", "0.3"]);
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Content-Length: 10\r\n") + "half");
    raw.read_to_end();
    assert!(raw.received.starts_with(b"HTTP/1.1 408"), "{}", raw.shown());
    lab.wait_for_note("client_timeout");
    let mut stalled = lab.connect();
    stalled.send(get("/stall"));
    stalled.read_to_end();
    pagi_tests::patience::await_that("the reason", || {
        lab.notes().iter().filter(|note| *note == "client_timeout").count() == 2
    });
    // Off by default.
    let default = Lab::new(READER);
    let mut raw = default.connect();
    raw.send(get("/stall"));
    assert!(raw.is_silent_for(Duration::from_millis(600)));
}

#[test]
fn write_timeout_ends_clients_that_do_not_read_rsn_1() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
            await start($send, 200);
            my $block = 'x' x 1_000_000;
            while ($scope->{'pagi.connection'}->is_connected) { await body($send, $block, 1) }
        };"#,
        &["--write-timeout", "0.5"],
    );
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/"));
    lab.assert_notes(&["write_timeout"]);
}

#[test]
fn body_4_a_file_from_an_offset() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            await $send->({ type => 'http.response.body', file => "$ENV{LAB_NOTES}.file", offset => 7 });
        };"#,
    );
    let content: Vec<u8> = (0..300_000u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    std::fs::write(lab.server.path("notes.file"), &content).unwrap();
    assert!(lab.exchange(get_and_close("/")).response.body == content[7..]);
}

#[test]
fn srv_9_a_flood_of_header_bytes_stays_in_bounded_memory() {
    let lab = Lab::new(READER);
    let before = resident(&lab);
    let mut raws: Vec<Raw> = (0..20).map(|_| lab.connect()).collect();
    let block = vec![b'x'; 100_000];
    for raw in &mut raws {
        raw.send("GET / HTTP/1.1\r\nX: ");
    }
    let mut accepted = 0;
    for _ in 0..20 {
        for raw in &mut raws {
            if let Ok(sent) = raw.offer_some(&block, Duration::from_millis(5)) {
                accepted += sent;
            }
        }
        assert!(resident(&lab) < before + 8192, "{before} KiB, then {} KiB", resident(&lab));
    }
    assert!(accepted > 0);
    for raw in &mut raws {
        let _ = raw.try_read_to_end();
        assert!(raw.received.is_empty() || raw.received.starts_with(b"HTTP/1.1 431"), "{}", raw.shown());
    }
    assert_eq!(lab.get("/").status, 200);
}

#[test]
fn recv_8_http_7_an_endless_chunked_body_stays_in_bounded_memory() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $length = 0;
            while (1) {
                my $event = await $receive->();
                last if $event->{type} eq 'http.disconnect';
                $length += length $event->{body};
                last unless $event->{more};
            }
            note('read', $length);
        };
        route '/unread' => async sub ($scope, $receive, $send) {
            note('unread');
            await $scope->{'pagi.connection'}->disconnect_future;
        };"#,
        &["--max-body-size", "0"],
    );
    let before = resident(&lab);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65536));
    for path in ["/", "/unread"] {
        let mut raw = lab.connect();
        raw.send(request("POST", path, "Transfer-Encoding: chunked\r\n"));
        let mut rest: Vec<u8> = Vec::new();
        let mut sent = 0;
        // Until 64 MiB are taken, or nothing more is.
        while sent < 64 << 20 {
            if rest.is_empty() {
                rest.extend_from_slice(chunk.as_bytes());
            }
            match raw.offer_some(&rest, Duration::from_millis(300)) {
                Ok(taken @ 1..) => {
                    rest.drain(..taken);
                    sent += taken;
                }
                _ => break,
            }
        }
        assert_eq!(sent >= 64 << 20, path == "/", "{path}: {sent} bytes were taken");
        assert!(resident(&lab) < before + 8192, "{path}: {before} KiB, then {} KiB", resident(&lab));
    }
    // Trailers and chunk extensions without end are refused, not stored.
    for endless in ["5;".to_owned() + &"x".repeat(100_000), "0\r\nX: ".to_owned() + &"y".repeat(100_000)] {
        let mut raw = lab.connect();
        raw.offer(request("POST", "/unread", "Transfer-Encoding: chunked\r\n") + &endless);
        raw.read_to_end();
        assert!(raw.received.starts_with(b"HTTP/1.1 400"), "{}", raw.shown());
    }
}

#[test]
fn recv_8_pipelined_bytes_behind_a_busy_request_stay_outside() {
    let lab = Lab::new(READER);
    let before = resident(&lab);
    let mut raw = lab.connect();
    raw.send(get("/stall"));
    lab.wait_for_note("stalling");
    let block = get("/").repeat(20_000);
    let mut taken = 0;
    while let Ok(sent @ 1..) = raw.offer_some(block.as_bytes(), Duration::from_millis(300)) {
        taken += sent;
        assert!(taken < 64 << 20, "the server reads on and on");
    }
    assert!(resident(&lab) < before + 4096, "{before} KiB, then {} KiB", resident(&lab));
}

#[test]
fn emb_4_many_requests_leave_memory_flat() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) { await answer($send, 200, 'x') };
        route '/die' => async sub { die "x\n" };
        route '/suspend' => async sub ($scope, $receive, $send) {
            await $receive->();
            await Future::IO->sleep(0.0001);
            await answer($send, 200, 'x');
        };"#,
    );
    let run = |rounds: usize| {
        for _ in 0..rounds {
            let mut raw = lab.connect();
            raw.send(get("/").repeat(40) + &get("/suspend").repeat(20) + &get("/die"));
            raw.read_to_end();
            assert!(contains(&raw.received, b"HTTP/1.1 500"), "{}", raw.shown());
        }
    };
    run(20);
    let before = resident(&lab);
    run(60);
    // A kilobyte for each request would be 3,600.
    assert!(resident(&lab) < before + 1024, "{before} KiB, then {} KiB", resident(&lab));
}
