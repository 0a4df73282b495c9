//! Attacks on HTTP/2: each shows the attacker cut, and another client served.

use std::fs;

use pagi_tests::http2::python;
use pagi_tests::lab::Lab;

const OK: &str = r#"
my $calls = 0;
route '/ok' => async sub ($scope, $receive, $send) { $calls++; await answer($send, 200, 'ok') };
route '/calls' => async sub ($scope, $receive, $send) { await answer($send, 200, $calls) };
route '/big' => async sub ($scope, $receive, $send) {
    my $connection = $scope->{'pagi.connection'};
    $connection->on_disconnect(sub ($reason) { note("big $reason") });
    await start($send, 200);
    my $block = 'x' x 100_000;
    for my $number (1 .. 100) {
        await body($send, $block, 1);
        last unless $connection->is_connected;
    }
    await body($send, 'end');
};
route '/medium' => async sub ($scope, $receive, $send) {
    await start($send, 200);
    await body($send, 'x' x 1_000_000);
};
route '/wait' => async sub ($scope, $receive, $send) {
    note('waiting');
    my $reason = await $scope->{'pagi.connection'}->disconnect_future;
    note("wait $reason");
};
"#;

/// ENHANCE_YOUR_CALM in GOAWAY, then the end of the connection.
const CUT: &str = "
def cut(client):
    goaways = client.until_gone()
    same(int(goaways[-1][0]), 11)
    others_are_served()
";

fn attack(options: &[&str], script: &str) -> Lab {
    let lab = Lab::with(OK, &[&["--http2"], options].concat());
    python(&lab, &(CUT.to_owned() + &unindent(script)));
    lab
}

/// The prelude is flush, so the script has to be.
fn unindent(script: &str) -> String {
    script.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn was_told(lab: &Lab, why: &str) {
    lab.server.wait_for_log(why);
}

#[test]
fn rapid_reset_cve_2023_44487() {
    let lab = attack(
        &["--h2-rst-rate-limit", "50/5"],
        r#"
        client = Client()
        block = b""
        for _ in range(1000):
            stream = client.h2.get_next_available_stream_id()
            client.h2.send_headers(stream, [(":method", "GET"), (":scheme", "http"), (":path", "/ok"), (":authority", "lab")], end_stream=True)
            client.h2.reset_stream(stream)
            block += client.h2.data_to_send()
        client.send(block)
        cut(client)
        calls = int(Client().get("/calls")[1])
        assert calls < 200, calls
        "#,
    );
    was_told(&lab, "too many RST_STREAM frames (--h2-rst-rate-limit)");
}

#[test]
fn rapid_reset_below_the_rate_is_no_attack() {
    attack(
        &["--h2-rst-rate-limit", "50/1000"],
        r#"
        client = Client()
        for _ in range(45):
            client.reset(client.request("/wait"))
        same(client.get("/ok"), (200, "ok"))
        "#,
    );
}

#[test]
fn floods_of_frames_that_carry_nothing() {
    for (name, frames) in [
        ("SETTINGS", r#"frame(4)"#),
        ("PING", r#"frame(6, 0, 0, bytes(8))"#),
        ("PRIORITY", r#"frame(2, 0, 1, bytes(5))"#),
        ("WINDOW_UPDATE", r#"frame(8, 0, 0, b"\0\0\0\1")"#),
        ("empty DATA", r#"frame(0, 0, upload, b"")"#),
        ("unknown frames", r#"frame(0xbe, 0, 0, b"")"#),
    ] {
        let script = r#"
        client = Client()
        upload = client.request("/wait", "POST", end=False)
        client.until_noted("waiting")
        client.send(FRAME * 3000)
        cut(client)
        "#;
        let lab = attack(&["--h2-control-rate-limit", "90/50"], &script.replace("FRAME", frames));
        // The crate has bounds of its own for some of them.
        lab.server.wait_for_log("HTTP/2 connection cut");
        lab.wait_for_note("wait protocol_error");
        eprintln!("{name}: cut");
    }
}

#[test]
fn a_window_opened_byte_by_byte_cve_2019_9511() {
    let lab = attack(
        &["--h2-control-rate-limit", "90/10"],
        r#"
        client = Client(window=1, auto_ack=False)
        stream = client.request("/big")
        client.until(lambda: client.bodies.get(stream))
        try:
            for _ in range(800):
                client.h2.increment_flow_control_window(1, stream)
                client.flush()
                client.step(0.001)
        except Gone:
            pass
        else:
            client.until_gone()
        same(int(client.goaways[-1][0]), 11)
        others_are_served()
        "#,
    );
    was_told(&lab, "too many control or empty frames (--h2-control-rate-limit)");
    lab.wait_for_note("big protocol_error");
}

#[test]
fn window_updates_that_responses_call_for_are_no_attack() {
    attack(
        &["--h2-control-rate-limit", "90/0"],
        r#"
        client = Client(window=4_000)
        stream = client.request("/medium")
        client.wait(stream)
        same(len(client.bodies[stream]), 1_000_000)
        "#,
    );
}

#[test]
fn continuation_flood() {
    attack(
        &[],
        r#"
        client = Client()
        client.frame(1, 0, 1, b"\x82\x86\x84")
        try:
            for number in range(20_000):
                # A literal field, never indexed, in each.
                client.frame(9, 0, 1, b"\x10\x03x-a\x7f\x01" + b"y" * 128)
                if number % 100 == 0:
                    client.step(0.001)
        except Gone:
            pass
        else:
            client.until_gone()
        others_are_served()
        "#,
    );
}

#[test]
fn empty_continuation_flood() {
    attack(
        &["--h2-control-rate-limit", "90/10"],
        r#"
        client = Client()
        client.frame(1, 0, 1, b"\x82\x86\x84")
        client.send(frame(9, 0, 1, b"") * 3000)
        cut(client)
        "#,
    );
}

#[test]
fn a_header_block_that_never_ends_is_cut_in_time() {
    let lab = attack(
        &["--header-timeout", "0.5"],
        r#"
        client = Client()
        same(client.get("/ok"), (200, "ok"))
        # A stream that is open does not excuse it.
        client.request("/wait")
        client.frame(1, 0, 5, b"\x82\x86\x84")
        cut(client)
        "#,
    );
    was_told(&lab, "a header block did not arrive in time (--header-timeout)");
}

#[test]
fn a_preface_that_never_ends_is_cut_in_time() {
    attack(
        &["--header-timeout", "0.5"],
        r#"
        import socket
        raw = socket.create_connection(("127.0.0.1", PORT))
        raw.sendall(PREFACE[:10])
        raw.settimeout(PATIENCE)
        assert raw.recv(1000).startswith(b"HTTP/1.1 408")
        others_are_served()
        "#,
    );
}

/// Resident memory of the server in KiB.
fn resident(lab: &Lab) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", lab.server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hpack_bombs_are_refused_and_cost_no_memory() {
    let lab = Lab::with(OK, &["--http2"]);
    python(&lab, "others_are_served()");
    let before = resident(&lab);
    python(
        &lab,
        r#"
        # One field of 4,000 bytes in the dynamic table, named 16,000 times by one byte each.
        client = Client()
        pseudo = b"\x82\x86\x84\x01\x03lab"
        client.frame(1, 5, 1, pseudo + b"\x40\x01x" + b"\x7f\xa1\x1e" + b"y" * 4000)
        # Named 20 times it is too long, named 16,000 times an attack.
        client.frame(1, 5, 3, pseudo + b"\xbe" * 20)
        client.until(lambda: 3 in client.headers)
        same(client.status(3), 431)
        client.frame(1, 5, 5, pseudo + b"\xbe" * 16_000)
        same(int(client.until_gone()[-1][0]), 11)
        others_are_served()
        "#,
    );
    let grown = resident(&lab).saturating_sub(before);
    assert!(grown < 20_000, "grew by {grown} KiB");
}

#[test]
fn header_lists_have_a_limit() {
    attack(
        &["--h2-max-header-list-size", "500"],
        r#"
        client = Client()
        client.until(lambda: client.h2.remote_settings.max_header_list_size == 500)
        stream = client.request("/ok", headers=[("x", "y" * 600)])
        client.wait(stream)
        same(client.status(stream), 431)
        same(client.get("/ok"), (200, "ok"))
        "#,
    );
}

#[test]
fn concurrent_streams_have_a_limit() {
    attack(
        &["--h2-max-concurrent-streams", "3"],
        r#"
        client = Client()
        client.until(lambda: client.h2.remote_settings.max_concurrent_streams == 3)
        waiting = [client.request("/wait") for _ in range(3)]
        client.until_noted("waiting\nwaiting\nwaiting")
        client.h2.remote_settings._settings[3].clear()
        client.h2.remote_settings._settings[3].append(1000)
        stream = client.request("/ok")
        client.wait(stream)
        # REFUSED_STREAM: it may be tried again.
        same(int(client.resets[stream]), 7)
        client.reset(waiting[0])
        client.until_noted("wait client_closed")
        same(client.get("/ok"), (200, "ok"))
        "#,
    );
}

#[test]
fn windows_and_frame_sizes_are_kept() {
    let options =
        ["--h2-initial-window-size", "1000", "--h2-connection-window-size", "200000", "--h2-max-frame-size", "20000"];
    attack(
        &options,
        r#"
        client = Client()
        client.until(lambda: client.h2.remote_settings.initial_window_size == 1000)
        client.until(lambda: client.h2.outbound_flow_control_window == 200_000)
        same(client.h2.max_outbound_frame_size, 20_000)
        stream = client.request("/wait", "POST", body=b"x" * 1000, end=False)
        client.until_noted("waiting")
        # One byte too many: FLOW_CONTROL_ERROR, on the stream or for all.
        client.frame(0, 0, stream, b"y")
        try:
            client.until(lambda: stream in client.resets)
            same(int(client.resets[stream]), 3)
        except Gone:
            same(int(client.goaways[-1][0]), 3)
        client = Client()
        client.frame(0xbe, 0, 0, bytes(20_001))
        same(int(client.until_gone()[-1][0]), 6)
        others_are_served()
        "#,
    );
}

#[test]
fn write_timeout_slow_readers_lose_their_stream_only() {
    let lab = attack(
        &["--write-timeout", "0.7"],
        r#"
        client = Client(window=1000, auto_ack=False)
        slow = client.request("/big")
        client.wait(slow)
        same(int(client.resets[slow]), 8)
        client.until_noted("big write_timeout")
        client.auto_ack = True
        same(client.get("/ok"), (200, "ok"))
        "#,
    );
    lab.assert_only_notes(&["big write_timeout"]);
}

#[test]
fn write_timeout_a_client_that_reads_nothing_at_all() {
    let lab = attack(
        &["--write-timeout", "0.7", "--timeout", "1"],
        r#"
        client = Client(window=2**30, receive_buffer=4096)
        client.h2.increment_flow_control_window(2**30)
        for _ in range(3):
            client.request("/big")
        while notes().count("big write_timeout") < 3:
            time.sleep(0.02)
        others_are_served()
        "#,
    );
    // Nothing can be told to it: the connection just goes.
    python(&lab, "others_are_served()");
}

#[test]
fn broken_streams_have_a_limit() {
    attack(
        &["--h2-max-stream-errors", "20"],
        r#"
        client = Client(check=False)
        try:
            # More than that, and fewer than the default.
            for _ in range(60):
                client.request("/ok", headers=[("connection", "close")])
                client.step(0.001)
        except Gone:
            pass
        else:
            client.until_gone()
        same(int(client.goaways[-1][0]), 11), client.shown()
        others_are_served()
        "#,
    );
}

#[test]
fn requests_per_connection_have_a_limit() {
    attack(
        &["--h2-max-requests", "5"],
        r#"
        client = Client()
        waiting = client.request("/wait", "POST", end=False)
        for _ in range(4):
            same(client.get("/ok"), (200, "ok"))
        # The second GOAWAY, which names the last stream, comes when the PING between them was answered.
        client.until(lambda: len(client.goaways) >= 2)
        same([int(code) for code, _ in client.goaways[:2]], [0, 0])
        same([last for _, last in client.goaways[:2]], [2**31 - 1, 9])
        # What is open goes on.
        client.reset(waiting)
        client.until_gone()
        others_are_served()
        "#,
    );
}

#[test]
fn request_timeout_idle_timeout_silent_clients() {
    let lab = attack(
        &["--timeout", "0.5"],
        r#"
        # Between requests: GOAWAY, not an error.
        client = Client()
        same(client.get("/ok"), (200, "ok"))
        same(int(client.until_gone()[0][0]), 0)
        # A body that does not come: 408 on the stream while nothing was answered.
        client = Client()
        stream = client.request("/wait", "POST", [("content-length", "5")], end=False)
        client.wait(stream)
        same(client.status(stream), 408)
        client.until_noted("wait client_timeout")
        others_are_served()
        "#,
    );
    lab.assert_only_notes(&["waiting", "wait client_timeout"]);
}

#[test]
fn max_connections_whom_there_is_no_room_for_is_told_so() {
    attack(
        &["--max-connections", "1"],
        r#"
        client = Client()
        same(client.get("/ok"), (200, "ok"))
        second = Client()
        # NO_ERROR, and no stream was looked at.
        same(second.until_gone(), [(0, 0)])
        import http.client
        plain = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
        plain.request("GET", "/ok")
        same(plain.getresponse().status, 503)
        same(client.get("/ok"), (200, "ok"))
        client.close()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                others_are_served()
                break
            except Gone:
                assert time.monotonic() < deadline
        "#,
    );
}

#[test]
fn garbage_after_the_preface() {
    attack(
        &[],
        r#"
        import random, socket
        random.seed(7)
        for _ in range(30):
            raw = socket.create_connection(("127.0.0.1", PORT))
            raw.settimeout(PATIENCE)
            raw.sendall(PREFACE + bytes(random.getrandbits(8) for _ in range(2000)))
            try:
                while raw.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            raw.close()
        others_are_served()
        "#,
    );
}
