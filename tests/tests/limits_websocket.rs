//! Limits and timers of WebSockets and event streams, crossed from outside.

use std::time::Duration;

use pagi_tests::lab::{Lab, request};
use pagi_tests::raw::{End, Raw};
use pagi_tests::websocket::{HANDSHAKE, Socket, frame};

/// Tells of every event; `/idle` takes none after the first, `/large` sends a message of the size in the query.
const HANDLERS: &str = r#"
route '/echo' => async sub ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'websocket.accept' });
    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'websocket.disconnect') { note("disconnect $event->{code} $event->{reason}"); last }
        await $send->({ type => 'websocket.send', text => length($event->{text} // $event->{bytes}) });
    }
};
route '/idle' => async sub ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'websocket.accept' });
    note('idle');
    await Future::IO->sleep(0.05) until -e "$ENV{LAB_NOTES}.go";
    my ($messages, $event) = (0);
    $messages++ while ($event = await $receive->())->{type} eq 'websocket.receive';
    note("messages $messages disconnect $event->{code} $event->{reason}");
};
route '/large' => async sub ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'websocket.accept' });
    my $text = 'x' x $scope->{query_string};
    note((await outcome($send->({ type => 'websocket.send', text => $text }))) =~ s/:.*//sr);
    await $send->({ type => 'websocket.send', text => 'after' });
};
"#;

/// A connection after its handshake.
fn open(lab: &Lab, path: &str) -> Raw {
    Socket::open(lab.address(), path).expect("the application accepts").raw
}

const TEXT: u8 = 0x81;
const TEXT_BEGIN: u8 = 0x01;
const CONTINUATION: u8 = 0x00;
const CONTINUATION_END: u8 = 0x80;

/// Waits for a Close frame with this code.
fn expect_close(raw: &mut Raw, code: u16) {
    let [high, low] = code.to_be_bytes();
    raw.read_until(&format!("a Close frame with {code}"), |bytes| {
        bytes.windows(4).any(|window| window[0] == 0x88 && window[1] & 0x80 == 0 && window[2..] == [high, low])
    });
}

#[test]
fn ws_31_max_ws_frame_size() {
    let lab = Lab::with(HANDLERS, &["--max-ws-frame-size", "1000"]);
    let mut raw = open(&lab, "/echo");
    raw.send(frame(TEXT, &[b'x'; 1000]));
    raw.read_until_contains("1000");
    raw.send(frame(TEXT, &[b'x'; 1001]));
    expect_close(&mut raw, 1009);
    pagi_tests::patience::await_that("the application hears of it", || lab.notes().len() == 1);
    assert!(lab.notes()[0].starts_with("disconnect 10"), "{:?}", lab.notes());
}

#[test]
fn ws_31_max_ws_message_size_of_fragments() {
    let lab = Lab::with(HANDLERS, &["--max-ws-message-size", "1000"]);
    let mut raw = open(&lab, "/echo");
    raw.send([frame(TEXT_BEGIN, &[b'x'; 500]), frame(CONTINUATION_END, &[b'x'; 500])].concat());
    raw.read_until_contains("1000");
    raw.send(
        [frame(TEXT_BEGIN, &[b'x'; 500]), frame(CONTINUATION, &[b'x'; 500]), frame(CONTINUATION_END, b"x")].concat(),
    );
    expect_close(&mut raw, 1009);
}

#[test]
fn max_ws_send_size_fails_the_send_only() {
    let lab = Lab::with(HANDLERS, &["--max-ws-send-size", "1000"]);
    let mut raw = open(&lab, "/large?1000");
    raw.read_until_contains("after");
    let mut raw = open(&lab, "/large?1001");
    raw.read_until_contains("after");
    assert!(!raw.received.contains(&b'x'), "{}", raw.shown());
    lab.assert_notes(&["ok", "failed"]);
}

#[test]
fn ws_30_max_receive_queue_closes_with_1008_rsn_1() {
    let lab = Lab::with(HANDLERS, &["--max-receive-queue", "10"]);
    let mut raw = open(&lab, "/idle");
    lab.wait_for_note("idle");
    for _ in 0..30 {
        raw.offer(frame(TEXT, b"flood"));
    }
    expect_close(&mut raw, 1008);
    std::fs::write(lab.server.path("notes.go"), "").expect("a file can be written");
    pagi_tests::patience::await_that("the application hears of it", || lab.notes().len() == 2);
    assert!(lab.notes()[1].ends_with("disconnect 1008 queue_overflow"), "{:?}", lab.notes());
}

#[test]
fn ws_idle_timeout_rsn_1() {
    let lab = Lab::with(HANDLERS, &["--ws-idle-timeout", "1.5"]);
    let mut raw = open(&lab, "/echo");
    // Traffic holds it off.
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(500));
        raw.send(frame(TEXT, b"x"));
    }
    assert_eq!(lab.notes(), [""; 0]);
    lab.wait_for_note("disconnect 1006 idle_timeout");
    raw.read_to_end();
}

#[test]
fn sse_28_sse_idle_timeout_rsn_1() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $receive->();
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.keepalive', interval => 0.2 }) if $scope->{query_string};
            my $event = await $receive->();
            note("$scope->{query_string} $event->{reason}");
        };"#,
        &["--sse-idle-timeout", "1.5"],
    );
    let mut alive = lab.connect();
    alive.send(request("GET", "/?alive", "Accept: text/event-stream\r\n"));
    let mut quiet = lab.connect();
    quiet.send(request("GET", "/", "Accept: text/event-stream\r\n"));
    lab.wait_for_note(" idle_timeout");
    assert!(matches!(quiet.read_to_end(), End::Eof | End::Reset));
    // Keepalive comments are traffic.
    assert!(!alive.is_silent_for(Duration::from_millis(700)));
    assert_eq!(lab.notes(), [" idle_timeout"]);
}

/// The extension that was agreed on, and the first byte and length of the frame that brings a message back.
fn compressed_echo(options: &[&str], text: &str) -> (Option<String>, u8, usize) {
    let handlers = r#"route '/' => async sub ($scope, $receive, $send) {
        await $receive->();
        await $send->({ type => 'websocket.accept' });
        my $event = await $receive->();
        await $send->({ type => 'websocket.send', text => $event->{text} });
    };"#;
    let lab = Lab::with(handlers, options);
    let mut raw = lab.connect();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    raw.send(request("GET", "/", &format!("{HANDSHAKE}{offer}")));
    raw.read_until_contains("\r\n\r\n");
    let head = String::from_utf8_lossy(&raw.received).to_lowercase();
    let agreed = head.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions: ")).map(str::to_owned);
    raw.received.clear();
    raw.send(frame(TEXT, text.as_bytes()));
    raw.read_until("a frame", |bytes| bytes.len() > 2);
    let length = match raw.received[1] {
        126 => usize::from(u16::from_be_bytes([raw.received[2], raw.received[3]])),
        length => length.into(),
    };
    (agreed, raw.received[0], length)
}

fn letters(number: usize) -> String {
    ('a'..='z').cycle().take(number).collect()
}

#[test]
fn ws_compression_options_are_what_the_middleware_of_old_had() {
    const COMPRESSED: u8 = 0xc1;
    let (agreed, first, length) = compressed_echo(&[], &letters(1000));
    assert!(agreed.is_some_and(|agreed| agreed.starts_with("permessage-deflate")));
    assert!(first == COMPRESSED && length < 100, "{first:#x} {length}");
    // Messages below the smallest size are not worth it: 128 bytes, or what is configured.
    assert_eq!(compressed_echo(&[], &letters(127)).1, TEXT);
    assert_eq!(compressed_echo(&[], &letters(128)).1, COMPRESSED);
    assert_eq!(compressed_echo(&["--ws-compression-min-size", "1000"], &letters(999)).1, TEXT);
    assert_eq!(compressed_echo(&["--ws-compression-min-size", "1000"], &letters(1000)).1, COMPRESSED);
    assert_eq!(compressed_echo(&["--ws-compression", "off"], &letters(1000)), (None, TEXT, 1000));
    let numbers: String = (1..4000).map(|number| format!("{number} ")).collect();
    let [fast, small] = ["1", "9"].map(|level| compressed_echo(&["--ws-compression-level", level], &numbers).2);
    assert!(small < fast && fast < numbers.len(), "{small} {fast}");
}
