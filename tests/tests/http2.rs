//! HTTP/2 (protocol section 8.9), over cleartext by prior knowledge.

use std::process::Command;

use pagi_tests::curl::curl;
use pagi_tests::http2::python;
use pagi_tests::lab::Lab;
use pagi_tests::patience::await_that;

const ECHO: &str = r#"
route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
route '/echo' => async sub ($scope, $receive, $send) {
    my $body = await drain_body($receive);
    my @lines = map { "$_->[0]=$_->[1]" } $scope->{headers}->@*;
    await answer($send, 200, join "\n", @$scope{qw(type http_version method scheme path raw_path query_string)}, @lines, $body);
};
"#;

fn lab(handlers: &str) -> Lab {
    Lab::with(handlers, &["--http2"])
}

#[test]
fn h2_7_curl_nghttp_and_h2load_by_prior_knowledge() {
    let lab = lab(ECHO);
    let url = lab.server.url("/echo?x=1");
    let answer = curl(["--http2-prior-knowledge", "--data", "hello", "-H", "accept: */*", url.as_str()]);
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert!(answer.head.starts_with("HTTP/2 200"), "{}", answer.head);
    let text = answer.text();
    assert!(text.starts_with("http\n2\nPOST\nhttp\n/echo\n/echo\nx=1\nhost=127.0.0.1:"), "{text}");
    assert!(text.ends_with("\nhello"), "{text}");
    let plain = curl([url.as_str()]);
    assert!(plain.head.starts_with("HTTP/1.1 200"), "HTTP/1 goes on beside it: {}", plain.head);

    let nghttp = Command::new("nghttp").arg(lab.server.url("/ok")).output().expect("nghttp is installed");
    assert_eq!(String::from_utf8_lossy(&nghttp.stdout), "ok");

    let load = Command::new("h2load").args(["-n", "500", "-c", "3", "-m", "20"]).arg(lab.server.url("/ok")).output();
    let said = String::from_utf8_lossy(&load.expect("h2load is installed").stdout).into_owned();
    assert!(said.contains("500 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
}

#[test]
fn h2_7_without_the_option_the_preface_is_refused() {
    let lab = Lab::new(ECHO);
    let answer = curl(["--http2-prior-knowledge", &lab.server.url("/ok")]);
    assert_ne!(answer.exit, 0);
    let reply = lab.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(reply.response.status, 505);
}

#[test]
fn h2_7_a_short_http_1_request_does_not_wait_for_a_preface() {
    let lab = lab(ECHO);
    for request in ["GET /ok HTTP/1.0\r\n\r\n", "P /ok HTTP/1.0\r\n\r\n", "PRI /ok HTTP/1.0\r\n\r\n"] {
        assert_eq!(lab.exchange(request).response.text(), "ok", "{request:?}");
    }
}

#[test]
fn h2_8_hdr_6_hdr_7_hdr_1_hdr_4_scope() {
    let lab = lab(ECHO);
    let text = python(
        &lab,
        r#"
        client = Client(check=False)
        stream = client.request("/ec%68o?a=%20b?c", "PUT", [("x-b", "2"), ("cookie", "a=1"), ("host", "b"), ("x-a", "1"),
            ("cookie", "b=2"), ("x-b", "3"), ("cookie", "c=3")], body=b"content", authority="a")
        client.wait(stream)
        print(client.body(stream), end="")
        "#,
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..7], ["http", "2", "PUT", "http", "/echo", "/ec%68o", "a=%20b?c"]);
    let mut fields = lines[7..lines.len() - 1].to_vec();
    assert_eq!(fields[0], "host=a");
    fields.sort_unstable();
    assert_eq!(fields, ["cookie=a=1; b=2; c=3", "host=a", "x-a=1", "x-b=2", "x-b=3"]);
    assert_eq!(lines.last(), Some(&"content"));
}

#[test]
fn h2_1_conn_12_app_2_streams_have_scopes_of_their_own() {
    let lab = lab(r#"my ($open, $calls) = (0, 0);
        my $all = Future->new;
        route '/' => async sub ($scope, $receive, $send) {
            $calls++;
            $all->done if ++$open == 10;
            my ($connection, $transport) = @$scope{qw(pagi.connection pagi.transport)};
            my $started = $connection->response_started;
            # Every second stream answers before the others may.
            await $all->without_cancel if $scope->{query_string} % 2;
            await start($send, 220 + $scope->{query_string}, [ 'x-started', "$started" ]);
            await Future::IO->sleep(0.01);
            await body($send, "$scope->{query_string} " . $connection->response_started . ' ' . ref $transport);
        };
        route '/calls' => async sub ($scope, $receive, $send) { await answer($send, 200, $calls) };"#);
    python(
        &lab,
        r#"
        client = Client()
        streams = [client.request(f"/?{number}") for number in range(10)]
        client.wait(*streams)
        for number, stream in enumerate(streams):
            same(client.status(stream), 220 + number)
            same(client.header(stream, "x-started"), "0")
            assert client.body(stream).startswith(f"{number} 1 PAGI"), client.body(stream)
        same(client.get("/calls"), (200, "10"))
        "#,
    );
}

const EVENTS: &str = r#"
route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
route '/events' => async sub ($scope, $receive, $send) {
    my $more = 1;
    while ($more) {
        my $event = await $receive->();
        note("$event->{type} " . ($event->{body} // 'none') . ' ' . ($event->{more} // 'none'));
        $more = $event->{more};
    }
    await answer($send, 200, 'read');
    my $event = await $receive->();
    note($event->{type});
};
"#;

#[test]
fn h2_2_http_2_a_request_without_data_is_one_event() {
    let lab = lab(EVENTS);
    python(&lab, r#"same(Client().get("/events"), (200, "read"))"#);
    lab.assert_only_notes(&["http.request  0", "http.disconnect"]);
}

#[test]
fn h2_3_http_3_http_8_data_frames_are_events() {
    let lab = lab(EVENTS);
    python(
        &lab,
        r#"
        client = Client()
        stream = client.request("/events", "POST", end=False)
        client.data(stream, b"one")
        client.get("/ok")
        client.data(stream, b"two")
        client.get("/ok")
        client.data(stream, b"", end=True)
        client.wait(stream)

        stream = client.request("/events", "POST", body=b"whole", end=True)
        client.wait(stream)

        stream = client.request("/events", "POST", body=b"trailed", end=False)
        client.get("/ok")
        client.h2.send_headers(stream, [("x-trailer", "1")], end_stream=True)
        client.flush()
        client.wait(stream)
        same(client.body(stream), "read")
        "#,
    );
    lab.assert_only_notes(&[
        "http.request one 1",
        "http.request two 1",
        "http.request  0",
        "http.disconnect",
        "http.request whole 0",
        "http.disconnect",
        "http.request trailed 1",
        "http.request  0",
        "http.disconnect",
    ]);
}

#[test]
fn h2_6_push_is_refused() {
    let lab = lab(ECHO);
    python(
        &lab,
        r#"
        client = Client()
        client.get("/ok")
        stream = client.request("/echo", "POST", end=False)
        # PUSH_PROMISE of stream 2.
        client.frame(5, 4, stream, b"\0\0\0\2\x82")
        same(client.until_gone()[0][0], 1)
        others_are_served()
        "#,
    );
}

#[test]
fn hdr_9_srv_7_srv_8_srv_9_srv_11_refusals() {
    let lab = Lab::with(ECHO, &["--http2", "--max-body-size", "1000"]);
    python(
        &lab,
        r#"
        client = Client(check=False)
        def refused(*arguments, **options):
            stream = client.request(*arguments, **options)
            client.wait(stream)
            return client.status(stream) or client.resets[stream]
        same(refused("/ok"), 200)
        same(refused("/x", "POST", [("content-length", "1001")], end=False), 413)
        same(refused("/" + "x" * 8200), 414)
        same(refused("/", headers=[("x", "y" * 8200)]), 431)
        same(refused("/", headers=[(f"x-{n}", "y") for n in range(100)]), 431)
        same(refused("/", headers=[(f"x-{n}", "y" * 100) for n in range(700)]), 431)
        same(refused("/", authority=None), 400)
        same(refused("/", authority="a b"), 1)
        same(refused("*"), 400)
        # Malformed requests are stream errors (RFC 9113 8.1.1).
        same(refused("x"), 1)
        for name, value in (("connection", "close"), ("transfer-encoding", "chunked"), ("keep-alive", "1"), ("upgrade", "h2c"),
            ("proxy-connection", "x"), ("te", "gzip")):
            same(refused("/", headers=[(name, value)]), 1)
        same(refused("/ok", headers=[("te", "trailers")]), 200)
        # The library takes upper case for an error of the connection (RFC 9113 5.4.2 allows it).
        other = Client(check=False)
        other.request("/", headers=[("X-Upper", "1")])
        same(int(other.until_gone()[-1][0]), 1)
        # The actual body, while the application reads.
        stream = client.request("/echo", "POST", body=b"x" * 1001, end=False)
        client.wait(stream)
        same(client.status(stream), 413)
        same(refused("/ok"), 200)
        "#,
    );
    // CONNECT has no :path and no :scheme, which the client's library does not make.
    python(
        &lab,
        r#"
        client = Client(check=False)
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", "a:1")])
        client.flush()
        client.wait(stream)
        same((client.status(stream), client.body(stream)), (501, "CONNECT method not supported"))
        stream = client.connect("/", protocol="masque")
        client.wait(stream)
        same(client.status(stream), 501)
        "#,
    );
}

#[test]
fn h2_4_reasons_of_protocol_errors_and_lost_connections() {
    let lab = lab(r#"route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
        route '*' => async sub ($scope, $receive, $send) {
            note('called', $scope->{path});
            my $reason = await $scope->{'pagi.connection'}->disconnect_future;
            note($scope->{path}, $reason);
            my $event = await $receive->();
            $event = await $receive->() while $event->{type} ne 'http.disconnect';
        };"#);
    python(
        &lab,
        r#"
        client = Client(check=False)
        stream = client.request("/mismatch", "POST", [("content-length", "5")], end=False)
        client.until_noted("called /mismatch")
        client.frame(0, 1, stream, b"shrt")
        client.until_noted("/mismatch protocol_error")
        client.wait(stream)
        same(client.resets[stream], 1)

        client.request("/closed", "POST", end=False)
        client.until_noted("called /closed")
        client.close()
        client = Client()
        client.request("/wrecked", "POST", end=False)
        client.until_noted("called /wrecked")
        # SETTINGS on a stream: a connection error.
        client.frame(4, 0, 1, b"")
        same(client.until_gone()[-1][0], 1)
        client = Client()
        client.until_noted("/closed client_closed")
        client.until_noted("/wrecked protocol_error")
        others_are_served()
        "#,
    );
}

#[test]
fn http_6_no_interim_response() {
    let lab = lab(ECHO);
    python(
        &lab,
        r#"
        client = Client()
        stream = client.request("/echo", "POST", [("expect", "100-continue")], end=False)
        client.quiet(0.1)
        client.data(stream, b"body", end=True)
        client.wait(stream)
        same(client.status(stream), 200)
        assert client.body(stream).endswith("\nbody")
        "#,
    );
}

#[test]
fn recv_8_uploads_wait_for_the_application() {
    let lab = Lab::with(
        r#"my $go = Future->new;
        route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
        route '/go' => async sub ($scope, $receive, $send) { $go->done; await answer($send, 200, 'gone') };
        route '/upload' => async sub ($scope, $receive, $send) {
            await $go->without_cancel;
            my $body = await drain_body($receive);
            await answer($send, 200, length $body);
        };"#,
        &["--http2", "--max-body-size", "0"],
    );
    python(
        &lab,
        r#"
        client = Client()
        upload = client.request("/upload", "POST", end=False)
        window = client.h2.local_flow_control_window(upload)
        same(window, 65535)
        client.data(upload, b"x" * window)
        client.quiet(0.3)
        same(client.h2.local_flow_control_window(upload), 0)
        # An unread stream does not stop its siblings.
        same(client.get("/ok"), (200, "ok"))
        other = client.request("/upload", "POST", body=b"y" * 50_000, end=True)
        same(client.get("/go"), (200, "gone"))
        client.data(upload, b"x" * 1_000_000, end=True)
        client.wait(upload, other)
        same((client.body(upload), client.body(other)), (str(65535 + 1_000_000), "50000"))
        "#,
    );
}

#[test]
fn connections_and_streams_are_in_the_metrics() {
    let lab = Lab::with(ECHO, &["--http2", "--h2-rst-rate-limit", "5/1", "--admin-listen", "./admin.sock"]);
    python(
        &lab,
        r#"
        for _ in range(2):
            client = Client()
            for _ in range(3):
                same(client.get("/ok"), (200, "ok"))
        attacker = Client()
        for _ in range(20):
            attacker.frame(3, 0, attacker.request("/ok"), bytes(4))
        attacker.until_gone()
        "#,
    );
    let socket = lab.server.path("admin.sock");
    let metrics = || curl(["--unix-socket", socket.to_str().unwrap(), "http://admin/metrics"]).text().to_owned();
    await_that("the counters are there", || metrics().contains("\npagi_http2_cut_total 1\n"));
    let text = metrics();
    assert!(text.contains("\npagi_http2_connections_total 3\n"), "{text}");
    let streams = text.lines().find_map(|line| line.strip_prefix("pagi_http2_streams_total ")).unwrap();
    assert!((6..=26).contains(&streams.parse::<u32>().unwrap()), "{text}");
}
