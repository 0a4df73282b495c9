//! How HTTP/2 connections end when the server stops.

use pagi_tests::http2::python;
use pagi_tests::lab::Lab;

const HANDLERS: &str = r#"
route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
my $go = Future->new;
$SIG{USR2} = sub { $go->done unless $go->is_ready };
route '/slow' => async sub ($scope, $receive, $send) {
    note('slow');
    await Future::IO->sleep(1.5);
    await answer($send, 200, 'finished');
};
route '/stuck' => async sub ($scope, $receive, $send) {
    $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note("stuck $reason") });
    note('stuck');
    await Future->new;
};
route '/socket' => async sub ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'websocket.accept' });
    note('socket');
    my $event = await $receive->();
    note("socket $event->{code} $event->{reason}");
};
route '/events' => async sub ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'sse.start' });
    note('events');
    my $event = await $receive->();
    note("events $event->{reason}");
};
"#;

#[test]
fn shut_1_shut_3_goaway_in_two_steps_and_open_streams_finish() {
    let mut lab = Lab::with(HANDLERS, &["--http2"]);
    let pid = lab.server.pid();
    let script = r#"
        import signal
        client = Client()
        slow = client.request("/slow")
        socket_stream = client.connect("/socket")
        events = client.request("/events", headers=[("accept", "text/event-stream")])
        idle = Client()
        same(idle.get("/ok"), (200, "ok"))
        for name in ("slow", "socket", "events"):
            client.until_noted(name)
        os.kill(PID, signal.SIGTERM)
        client.until(lambda: client.goaways)
        same(client.goaways[0], (0, 2**31 - 1))
        idle.until(lambda: idle.goaways)
        client.until(lambda: websocket_frames(client.bodies.get(socket_stream, b"")))
        same(websocket_frames(client.bodies[socket_stream])[0][1][:2], b"\x03\xf4")
        client.data(socket_stream, websocket_frame(8, b"\x03\xf4"), end=True)
        client.wait(slow, events)
        same((client.status(slow), client.body(slow)), (200, "finished"))
        assert events in client.ended
        same(client.until_gone()[-1], (0, events))
        same(idle.until_gone()[-1], (0, 1))
    "#;
    python(&lab, &script.replace("PID", &pid.to_string()));
    let status = lab.server.wait_for_exit();
    assert!(status.success(), "{status}");
    let mut notes = lab.notes();
    notes.sort();
    assert_eq!(notes, ["events", "events server_shutdown", "slow", "socket", "socket 1012 server_shutdown"]);
}

#[test]
fn shut_1_a_request_behind_the_answer_to_the_ping_is_served() {
    let mut lab = Lab::with(HANDLERS, &["--http2"]);
    let pid = lab.server.pid();
    // A client answers a PING before all else (RFC 9113 §6.7); its next request may have been queued before that.
    let script = r#"
        import signal
        client = Client()
        same(client.get("/ok"), (200, "ok"))
        os.kill(PID, signal.SIGTERM)
        client.until(lambda: client.goaways)
        client.quiet(0.2)
        same(client.get("/ok"), (200, "ok"))
        same(client.until_gone(), [(0, 2**31 - 1), (0, 3)])
    "#;
    python(&lab, &script.replace("PID", &pid.to_string()));
    assert!(lab.server.wait_for_exit().success());
}

#[test]
fn shut_1_a_client_that_keeps_asking_cannot_hold_the_server() {
    let mut lab = Lab::with(HANDLERS, &["--http2", "--shutdown-timeout", "15"]);
    let pid = lab.server.pid();
    let script = r#"
        import signal
        # Never answers a PING, so that the second GOAWAY has nothing to wait for, and asks again and again.
        client = Client()
        same(client.get("/ok"), (200, "ok"))
        os.kill(PID, signal.SIGTERM)
        started = time.monotonic()
        number = 3
        try:
            while time.monotonic() < started + PATIENCE:
                client.socket.settimeout(0.05)
                client.frame(1, 5, number, b"\x82\x86\x44\x03/ok\x41\x03lab")
                number += 2
                try:
                    if not client.socket.recv(65536):
                        break
                except socket.timeout:
                    pass
        except ConnectionResetError:
            pass
        took = time.monotonic() - started
        assert took < 10, took
    "#;
    python(&lab, &script.replace("PID", &pid.to_string()));
    assert!(lab.server.wait_for_exit().success());
}

#[test]
fn shut_1_what_does_not_end_is_cut() {
    let mut lab = Lab::with(HANDLERS, &["--http2", "--shutdown-timeout", "1"]);
    let pid = lab.server.pid();
    let script = r#"
        import signal
        client = Client()
        client.request("/stuck")
        client.until_noted("stuck")
        os.kill(PID, signal.SIGTERM)
        client.until_gone()
    "#;
    python(&lab, &script.replace("PID", &pid.to_string()));
    lab.server.wait_for_exit();
    lab.assert_only_notes(&["stuck", "stuck server_shutdown"]);
}

#[test]
fn shut_1_no_request_fails_in_a_reload() {
    let lab = Lab { server: Lab::setup(HANDLERS).arg("--http2").workers(2).start() };
    let script = r#"
        import signal
        client = Client()
        reconnected = asked = 0
        deadline = time.monotonic() + PATIENCE
        while reconnected < 2 and time.monotonic() < deadline:
            if asked == 50 * (reconnected + 1):
                os.kill(PID, signal.SIGHUP)
            asked += 1
            streams = [client.request("/ok") for _ in range(5)]
            try:
                client.wait(*streams)
            except Gone:
                pass
            last = client.goaways[-1][1] if client.goaways else 2**31
            for stream in streams:
                # Beyond the last stream that GOAWAY names nothing was done; up to it everything is.
                assert stream > last or client.status(stream) == 200, client.shown()
            if client.goaways:
                client, asked, reconnected = Client(), 50 * (reconnected + 1), reconnected + 1
        same(reconnected, 2)
    "#;
    python(&lab, &script.replace("PID", &lab.server.pid().to_string()));
}
