//! WebSocket over HTTP/2 (RFC 8441, protocol section 11.7).

use pagi_tests::http2::python;
use pagi_tests::lab::Lab;

const ECHO: &str = r#"
route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
route '/echo' => async sub ($scope, $receive, $send) {
    note(join ' ', @$scope{qw(type http_version scheme path query_string)}, "[@{$scope->{subprotocols}}]",
        exists $scope->{'pagi.connection'} ? 'connection' : 'none', exists $scope->{'pagi.transport'} ? 'transport' : 'none');
    my $event = await $receive->();
    note($event->{type});
    await $send->({ type => 'websocket.accept', subprotocol => 'chat', headers => [ [ 'X-Extra', '1' ] ] });
    while (1) {
        $event = await $receive->();
        last if $event->{type} eq 'websocket.disconnect';
        if (($event->{text} // '') eq 'close') {
            await $send->({ type => 'websocket.close', code => 4001, reason => 'asked' });
            next;
        }
        await $send->({ type => 'websocket.send', exists $event->{text} && defined $event->{text}
            ? (text => "echo $event->{text}") : (bytes => $event->{bytes}) });
    }
    note("$event->{type} $event->{code} $event->{reason}");
};
"#;

fn lab(handlers: &str) -> Lab {
    Lab::with(handlers, &["--http2"])
}

#[test]
fn ws_43_ws_44_ws_45_the_same_scope_and_events() {
    let lab = lab(ECHO);
    python(
        &lab,
        r#"
        client = Client()
        client.until(lambda: client.h2.remote_settings.get(8) == 1)
        stream = client.connect("/echo?q", [("sec-websocket-protocol", "chat, other")])
        client.until(lambda: stream in client.headers)
        same(client.status(stream), 200)
        same(client.header(stream, "sec-websocket-protocol"), "chat")
        same(client.header(stream, "x-extra"), "1")
        for name in ("upgrade", "connection", "sec-websocket-accept", "content-length", "transfer-encoding"):
            same(client.header(stream, name), None)
        client.data(stream, websocket_frame(1, b"h\xc3\xa9"))
        client.data(stream, websocket_frame(2, b"\0\xff" * 20_000))
        # A ping between the fragments of a message, and the fragments in pieces.
        for byte in websocket_frame(1, b"two ", 0) + websocket_frame(9, b"ping") + websocket_frame(0, b"parts"):
            client.data(stream, bytes([byte]))
        frames = lambda: websocket_frames(client.bodies.get(stream, b""))
        client.until(lambda: len(frames()) == 4)
        # The answer to a ping does not wait for the application.
        messages = [frame for frame in frames() if frame[0] != 0x8a]
        same(messages, [(0x81, b"echo h\xc3\xa9"), (0x82, b"\0\xff" * 20_000), (0x81, b"echo two parts")])
        assert (0x8a, b"ping") in frames()
        # Ordinary requests go on beside it.
        same(client.get("/ok"), (200, "ok"))
        client.data(stream, websocket_frame(8, b"\x0f\xa0bye"))
        client.until(lambda: len(frames()) == 5)
        same(frames()[4], (0x88, b"\x0f\xa0"))
        client.until(lambda: stream in client.ended)
        client.h2.end_stream(stream)
        client.flush()
        client.until_noted("websocket.disconnect")
        same(client.get("/ok"), (200, "ok"))
        assert stream not in client.resets
        "#,
    );
    lab.assert_only_notes(&[
        "websocket 2 ws /echo q [chat other] none transport",
        "websocket.connect",
        "websocket.disconnect 4000 bye",
    ]);
}

#[test]
fn ws_20_ws_45_how_sessions_end() {
    let lab = lab(ECHO);
    python(
        &lab,
        r#"
        client = Client()
        def session():
            stream = client.connect("/echo")
            client.until(lambda: stream in client.headers)
            return stream
        def noted(text, count):
            while notes().count(text) < count:
                client.step(0.02)
        # The application closes.
        stream = session()
        client.data(stream, websocket_frame(1, b"close"))
        client.until(lambda: websocket_frames(client.bodies.get(stream, b"")) == [(0x88, b"\x0f\xa1asked")])
        client.data(stream, websocket_frame(8, b"\x0f\xa1"), end=True)
        client.wait(stream)
        noted("websocket.disconnect 4001", 1)
        # RST_STREAM and a bare END_STREAM: 1006.
        stream = session()
        client.reset(stream)
        noted("websocket.disconnect 1006 client_closed", 1)
        stream = session()
        client.data(stream, b"", end=True)
        noted("websocket.disconnect 1006 client_closed", 2)
        client.wait(stream)
        # The checks of frames are the same as over HTTP/1: WS-32 and reserved bits.
        stream = session()
        client.data(stream, websocket_frame(1, b"\xff"))
        client.until(lambda: websocket_frames(client.bodies.get(stream, b"")))
        same(websocket_frames(client.bodies[stream])[0][1][:2], b"\x03\xef")
        noted("websocket.disconnect 1007", 1)
        stream = session()
        client.data(stream, websocket_frame(3, b""))
        client.until(lambda: websocket_frames(client.bodies.get(stream, b"")))
        same(websocket_frames(client.bodies[stream])[0][1][:2], b"\x03\xea")
        noted("websocket.disconnect 1002", 1)
        # The connection is lost.
        stream = session()
        client.close()
        client = Client()
        noted("websocket.disconnect 1006 client_closed", 3)
        others_are_served()
        "#,
    );
}

#[test]
fn ws_9_ws_39_ws_40_ws_27_refusals_on_the_stream() {
    let lab = lab(r#"route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
        route '/reject' => async sub ($scope, $receive, $send) { await $send->({ type => 'websocket.close' }) };
        route '/deny' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'websocket.http.response.start', status => 401, headers => [ [ 'x-why', 'no' ] ] });
            await $send->({ type => 'websocket.http.response.body', body => 'not ', more => 1 });
            await $send->({ type => 'websocket.http.response.body', body => 'you' });
        };
        route '/dies' => async sub ($scope, $receive, $send) { die "no\n" };
        route '/returns' => async sub ($scope, $receive, $send) { await $send->({ type => 'websocket.accept' }) };
        route '/bad' => async sub ($scope, $receive, $send) {
            my $result = await outcome($send->({ type => 'websocket.accept', headers => [ [ 'upgrade', 'x' ] ] }));
            note($result =~ s/ at handlers .*//sr);
            await $send->({ type => 'websocket.close' });
        };"#);
    python(
        &lab,
        r#"
        client = Client()
        for path, status, body in (("/reject", 403, "Forbidden"), ("/deny", 401, "not you"), ("/dies", 500, "Internal Server Error"),
            ("/bad", 403, "Forbidden")):
            stream = client.connect(path)
            client.until(lambda: stream in client.ended)
            same((client.status(stream), client.body(stream)), (status, body))
        stream = client.connect("/returns")
        client.until(lambda: websocket_frames(client.bodies.get(stream, b"")) == [(0x88, b"\x03\xe8")])
        stream = client.connect("/reject", [("sec-websocket-version", "8")])
        client.wait(stream)
        same((client.status(stream), client.header(stream, "sec-websocket-version")), (400, "13"))
        same(client.get("/ok"), (200, "ok"))
        "#,
    );
    lab.assert_only_notes(&["failed: websocket.accept 'headers': 'upgrade' is written by the server"]);
}

#[test]
fn ws_31_ws_34_flow_1_compression_keepalive_and_backpressure() {
    let lab = Lab::with(
        r#"route '/compressed' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'websocket.accept' });
            await $send->({ type => 'websocket.send', text => 'a' x 10_000 });
            await $receive->(); await $receive->();
        };
        route '/kept' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'websocket.accept' });
            await $send->({ type => 'websocket.keepalive', interval => 0.05, timeout => 0.2 });
            my $event = await $receive->();
            $event = await $receive->() while $event->{type} ne 'websocket.disconnect';
            note("$event->{code} $event->{reason}");
        };
        route '/slow' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'websocket.accept' });
            my $message = 'x' x 50_000;
            my $blocked = await send_until_blocked(sub { $send->({ type => 'websocket.send', bytes => $message }) });
            note('blocked', $scope->{'pagi.transport'}->buffered_amount >= 65536 ? 'full' : 'empty');
            await $blocked;
            note('released');
            await $send->({ type => 'websocket.close' });
        };
        route '/idle' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'websocket.accept' });
            await $receive->();
            my $event = await $receive->();
            note("$event->{code} $event->{reason}");
        };"#,
        &["--http2", "--ws-idle-timeout", "1.5"],
    );
    python(
        &lab,
        r#"
        client = Client()
        stream = client.connect("/compressed", [("sec-websocket-extensions", "permessage-deflate")])
        client.until(lambda: websocket_frames(client.bodies.get(stream, b"")))
        assert client.header(stream, "sec-websocket-extensions").startswith("permessage-deflate")
        first, payload = websocket_frames(client.bodies[stream])[0]
        same((first, len(payload) < 100), (0xC1, True))

        stream = client.connect("/kept")
        client.until(lambda: websocket_frames(client.bodies.get(stream, b""))[:1] == [(0x89, b"")])
        client.until_noted("1006 keepalive_timeout")

        stream = client.connect("/slow")
        client.auto_ack = False
        client.until_noted("blocked full")
        client.auto_ack = True
        client.acknowledge(len(client.bodies[stream]), stream)
        client.flush()
        client.until_noted("released")

        stream = client.connect("/idle")
        client.until_noted("1006 idle_timeout")
        client.wait(stream)
        "#,
    );
}

#[test]
fn ws_44_the_option_switches_it_off() {
    let lab = Lab::with(ECHO, &["--http2", "--h2-enable-connect-protocol", "off"]);
    python(
        &lab,
        r#"
        client = Client()
        same(client.get("/ok"), (200, "ok"))
        same(client.h2.remote_settings.get(8), 0)
        stream = client.connect("/echo")
        client.wait(stream)
        same(client.resets[stream], 1)
        same(client.get("/ok"), (200, "ok"))
        "#,
    );
}
