//! Responses over HTTP/2: what reaches the client, and what the application is told of it.

use pagi_tests::curl::curl;
use pagi_tests::http2::python;
use pagi_tests::lab::Lab;

fn lab(handlers: &str) -> Lab {
    Lab::with(handlers, &["--http2"])
}

#[test]
fn h2_4_conn_15_send_5_recv_5_a_reset_resolves_what_is_parked() {
    let lab = lab(r#"route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            $connection->on_disconnect(sub ($reason) { note("callback $reason") });
            $connection->on_complete(sub { note('complete') });
            my $future = $connection->disconnect_future;
            await $receive->();
            my $parked = $receive->();
            await start($send, 200);
            my $blocked = await send_until_blocked(sub { body($send, 'x' x 50_000, 1) });
            note('blocked', $connection->is_connected, $scope->{'pagi.transport'}->buffered_amount > 0 ? 'full' : 'empty');
            await $blocked;
            note('send resolved', $connection->is_connected, $connection->disconnect_reason);
            my $event = await $parked;
            note("receive $event->{type}");
            note('future', await $future);
            note('late', await outcome(body($send, 'x', 1)), $scope->{'pagi.transport'}->buffered_amount);
        };
        route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };"#);
    python(
        &lab,
        r#"
        client = Client(window=10, auto_ack=False)
        stream = client.request("/", "POST", body=b"first", end=True)
        client.until_noted("blocked")
        client.reset(stream)
        same(client.get("/ok"), (200, "ok"))
        "#,
    );
    lab.assert_only_notes(&[
        "blocked 1 full",
        "send resolved 0 client_closed",
        "callback client_closed",
        "receive http.disconnect",
        "future client_closed",
        "late ok 0",
    ]);
}

#[test]
fn h2_5_flow_3_a_closed_window_blocks_its_own_stream_only() {
    let lab = lab(r#"my ($slow, $fast);
        route '/slow' => async sub ($scope, $receive, $send) {
            $slow = $scope->{'pagi.transport'};
            await start($send, 200);
            await body($send, 'x' x 100_000, 1);
            await body($send, 'y' x 100_000);
            note('slow is done');
        };
        route '/fast' => async sub ($scope, $receive, $send) {
            my $mine = $scope->{'pagi.transport'}->buffered_amount;
            await answer($send, 200, "$mine " . $slow->buffered_amount);
        };"#);
    python(
        &lab,
        r#"
        client = Client(window=1000, auto_ack=False)
        slow = client.request("/slow")
        client.until(lambda: len(client.bodies.get(slow, b"")) == 1000)
        status, text = client.get("/fast")
        mine, theirs = map(int, text.split())
        same(mine, 0)
        assert theirs >= 99_000, text
        client.quiet(0.1)
        same(len(client.bodies[slow]), 1000)
        client.auto_ack = True
        client.acknowledge(1000, slow)
        client.flush()
        client.wait(slow)
        same(client.body(slow), "x" * 100_000 + "y" * 100_000)
        "#,
    );
    lab.assert_only_notes(&["slow is done"]);
}

#[test]
fn h2_9_hdr_14_hdr_15_hdr_20_hdr_22_srv_1_response_fields() {
    let lab = lab(r#"route '/' => async sub ($scope, $receive, $send) {
            await answer($send, 200, 'ok', [ 'X-Upper', 'Yes' ], [ 'set-cookie', 'a=1' ], [ 'set-cookie', 'b=2' ],
                [ 'Connection', 'close' ], [ 'transfer-encoding', 'chunked' ], [ 'keep-alive', '1' ], [ 'upgrade', 'h2c' ],
                [ 'proxy-connection', 'x' ], [ 'te', 'gzip, trailers' ]);
        };
        route '/dated' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok', [ 'Date', 'now' ]) };
        route '/bad' => async sub ($scope, $receive, $send) {
            for my $value ("a\nb", "a\rb", "a\0b", "a\x01b") {
                my $result = await outcome(start($send, 200, [ 'x-bad', $value ]));
                note($result =~ /\Afailed/ ? 'failed' : 'sent');
            }
            await answer($send, 200, 'ok');
        };"#);
    python(
        &lab,
        r#"
        client = Client()
        stream = client.request("/")
        client.wait(stream)
        names = [name for name, _ in client.headers[stream]]
        same(sorted(names), sorted([":status", "content-type", "content-length", "x-upper", "set-cookie", "set-cookie", "te",
            "date", "server"]))
        same(client.values(stream, "set-cookie"), ["a=1", "b=2"])
        same(client.header(stream, "te"), "trailers")
        assert client.header(stream, "date").endswith(" GMT")
        stream = client.request("/dated")
        client.wait(stream)
        same(client.values(stream, "date"), ["now"])
        same(client.get("/bad"), (200, "ok"))
        "#,
    );
    lab.assert_only_notes(&["failed"; 4]);
}

#[test]
fn resp_1_resp_5_resp_6_resp_7_resp_8_body_12_unfinished_responses_are_reset_and_others_go_on() {
    let lab = lab(r#"route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
        my $hold = Future->new;
        route '/sibling' => async sub ($scope, $receive, $send) { await start($send, 200); await $hold; await body($send, 'whole') };
        route '/release' => async sub ($scope, $receive, $send) { $hold->done; await answer($send, 200, 'released') };
        my $watch = sub ($scope) {
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($scope->{path}, $reason) });
            $scope->{'pagi.connection'}->on_complete(sub { note($scope->{path}, 'complete') });
        };
        route '/nothing' => async sub ($scope, $receive, $send) { $watch->($scope); return };
        route '/dies' => async sub ($scope, $receive, $send) { $watch->($scope); die "early\n" };
        route '/cut' => async sub ($scope, $receive, $send) {
            $watch->($scope);
            await start($send, 200);
            await body($send, 'half', 1);
            die "late\n";
        };
        route '/headless' => async sub ($scope, $receive, $send) { $watch->($scope); await start($send, 203); return };
        route '/short' => async sub ($scope, $receive, $send) {
            $watch->($scope);
            await start($send, 200, [ 'content-length', 10 ]);
            await body($send, 'half');
        };
        route '/long' => async sub ($scope, $receive, $send) {
            $watch->($scope);
            await start($send, 200, [ 'content-length', 4 ]);
            my $result = await outcome(body($send, 'too long'));
            note($result =~ /\Afailed/ ? 'failed' : 'sent');
            await body($send, 'fits');
        };"#);
    python(
        &lab,
        r#"
        client = Client()
        sibling = client.request("/sibling")
        for path in ("/nothing", "/dies"):
            same(client.get(path), (500, "Internal Server Error"))
        for path, status, body in (("/cut", 200, "half"), ("/headless", 203, ""), ("/short", 200, "half")):
            stream = client.request(path)
            client.wait(stream)
            same((client.status(stream), client.body(stream), client.resets.get(stream)), (status, body, 2))
            assert stream not in client.ended
        same(client.get("/long"), (200, "fits"))
        same(client.get("/release"), (200, "released"))
        client.wait(sibling)
        same((client.body(sibling), sibling in client.ended), ("whole", True))
        "#,
    );
    let notes = lab.notes();
    let expected = [
        "/nothing server_error",
        "/dies server_error",
        "/cut server_error",
        "/headless server_error",
        "/short server_error",
        "failed",
        "/long complete",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn head_1_to_head_7_stat_1_trlr_5_trlr_6_what_has_no_content() {
    let lab = lab(r#"route '*' => async sub ($scope, $receive, $send) {
            my ($status) = $scope->{path} =~ /(\d+)/;
            $scope->{'pagi.connection'}->on_complete(sub { note("$scope->{method} $scope->{path} complete") });
            my $trailers = $scope->{query_string} eq 'trailers';
            await $send->({ type => 'http.response.start', status => $status || 200, trailers => $trailers ? 1 : 0,
                headers => [ [ 'content-length', 7 ] ] });
            await body($send, 'content');
            await $send->({ type => 'http.response.trailers', headers => [ [ 'X-Sum', '42' ] ] }) if $trailers;
        };
        route '/file' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            await $send->({ type => 'http.response.body', file => '/does/not/exist' });
        };"#);
    python(
        &lab,
        r#"
        client = Client()
        for method, path, status, length, body in (
            ("HEAD", "/", 200, "7", ""),
            ("HEAD", "/?trailers", 200, "7", ""),
            ("GET", "/204", 204, None, ""),
            ("GET", "/205", 205, None, ""),
            ("GET", "/304", 304, "7", ""),
            ("GET", "/?trailers", 200, "7", "content"),
        ):
            stream = client.request(path, method)
            client.wait(stream)
            same((client.status(stream), client.header(stream, "content-length"), client.body(stream)), (status, length, body))
            assert stream in client.ended and stream not in client.resets, client.shown()
            same(client.trailers.get(stream), [("x-sum", "42")] if body and "trailers" in path else None)
            client.until_noted(f"{method} {path.split('?')[0]} complete")
        same(client.get("/file", method="HEAD"), (200, ""))
        "#,
    );
}

#[test]
fn body_4_body_5_files_and_handles() {
    let big: Vec<u8> = (0..700_000u32).map(|number| b'a' + (number % 23) as u8).collect();
    let setup = Lab::setup(
        r#"my $dir = $ENV{LAB_NOTES} =~ s{/notes\z}{}r;
        route '/file' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            await $send->({ type => 'http.response.body', file => "$dir/big" });
        };
        route '/range' => async sub ($scope, $receive, $send) {
            await start($send, 206, [ 'content-length', 300_000 ]);
            await $send->({ type => 'http.response.body', file => "$dir/big", offset => 123, length => 300_000 });
        };
        route '/fh' => async sub ($scope, $receive, $send) {
            open my $fh, '<', "$dir/big" or die;
            await start($send, 200);
            await $send->({ type => 'http.response.body', fh => $fh, offset => 7 });
            close $fh;
        };
        route '/missing' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            my $result = await outcome($send->({ type => 'http.response.body', file => "$dir/none" }));
            note($result =~ /\Afailed: Cannot open/ ? 1 : 0);
            await body($send, 'inline');
        };"#,
    );
    let lab = Lab { server: setup.arg("--http2").file("big", &big).start() };
    for (path, wanted) in
        [("/file", &big[..]), ("/range", &big[123..300_123]), ("/fh", &big[7..]), ("/missing", b"inline")]
    {
        let answer = curl(["--http2-prior-knowledge", &lab.server.url(path)]);
        assert_eq!(answer.exit, 0, "{path}");
        assert!(answer.body == wanted, "{path}: {} bytes", answer.body.len());
    }
    lab.assert_only_notes(&["1"]);
}

#[test]
fn sse_4_sse_11_sse_23_sse_32_event_streams() {
    let lab = lab(r#"route '/events' => async sub ($scope, $receive, $send) {
            note($scope->{type}, $scope->{method}, exists $scope->{'pagi.connection'} ? 'connection' : 'none');
            my $body = await drain_body($receive);
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.keepalive', interval => 0.05, comment => 'still here' });
            await $send->({ type => 'sse.send', event => 'first', data => "body $body\nline" });
            await Future::IO->sleep(0.3);
            await $send->({ type => 'sse.close' });
            my $event = await $receive->();
            note($event->{type});
        };
        route '/decline' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.http.response.start', status => 404, headers => [ [ 'x-no', 1 ] ] });
            await $send->({ type => 'sse.http.response.body', body => 'no ', more => 1 });
            await $send->({ type => 'sse.http.response.body', body => 'events' });
        };
        route '/left' => async sub ($scope, $receive, $send) {
            await $receive->();
            await $send->({ type => 'sse.start' });
            note('streaming');
            my $event = await $receive->();
            note("$event->{type} $event->{reason}");
        };"#);
    python(
        &lab,
        r#"
        client = Client()
        events = [("accept", "text/event-stream")]
        for method, body in (("GET", None), ("POST", b"posted")):
            stream = client.request("/events", method, events, body=body)
            client.wait(stream)
            same(client.header(stream, "content-type"), "text/event-stream")
            same(client.header(stream, "cache-control"), "no-cache")
            same(client.header(stream, "connection"), None)
            text = client.body(stream)
            assert text.startswith(f"event: first\ndata: body {(body or b'').decode()}\ndata: line\n\n"), text
            assert text.count(":still here\n\n") >= 2, text
            assert stream in client.ended
        stream = client.request("/decline", headers=events)
        client.wait(stream)
        same((client.status(stream), client.header(stream, "x-no"), client.body(stream)), (404, "1", "no events"))
        stream = client.request("/left", headers=events)
        client.until_noted("streaming")
        client.reset(stream)
        client.until_noted("sse.disconnect client_closed")
        "#,
    );
    let notes = lab.notes();
    assert_eq!(notes[..4], ["sse GET none", "sse.disconnect", "sse POST none", "sse.disconnect"]);
}

#[test]
fn sse_28_rsn_1_idle_and_stalled_streams_end_alone() {
    let lab = Lab::with(
        r#"route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
        route '/idle' => async sub ($scope, $receive, $send) {
            await $receive->();
            await $send->({ type => 'sse.start' });
            my $event = await $receive->();
            note("idle $event->{reason}");
        };
        route '/stalls' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note("stalls $reason") });
            await start($send, 200);
            await body($send, 'begun', 1);
            await $scope->{'pagi.connection'}->disconnect_future;
        };"#,
        &["--http2", "--sse-idle-timeout", "0.4", "--request-timeout", "0.8"],
    );
    python(
        &lab,
        r#"
        client = Client()
        idle = client.request("/idle", headers=[("accept", "text/event-stream")])
        stalls = client.request("/stalls")
        client.wait(idle, stalls)
        same((int(client.resets[idle]), int(client.resets[stalls])), (8, 8))
        same(client.body(stalls), "begun")
        client.until_noted("idle idle_timeout")
        client.until_noted("stalls client_timeout")
        same(client.get("/ok"), (200, "ok"))
        "#,
    );
}

#[test]
fn srv_12_each_stream_is_in_the_access_log() {
    let options = ["--http2", "--access-log-format", r#"LINE "%r" %s %B"#];
    let lab = Lab::with(
        r#"route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
        route '/cut' => async sub ($scope, $receive, $send) { await start($send, 200); await body($send, 'half', 1) };"#,
        &options,
    );
    python(
        &lab,
        r#"
        client = Client()
        client.get("/ok?a=b")
        client.get("/cut", method="POST")
        stream = client.request("/" + "x" * 8200)
        client.wait(stream)
        "#,
    );
    lab.server.wait_for_log(r#"LINE "GET /ok?a=b HTTP/2" 200 2"#);
    lab.server.wait_for_log(r#"LINE "POST /cut HTTP/2" 200 4"#);
    lab.server.wait_for_log(r#"HTTP/2" 414 12"#);
}
