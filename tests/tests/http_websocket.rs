//! What the rules for scopes and responses say of WebSocket requests. The protocol itself is tested elsewhere.

use std::time::Duration;

use pagi_tests::lab::{Lab, get_and_close, request};
use pagi_tests::websocket::frame;

/// First bytes of frames that are whole messages.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

const HANDSHAKE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, b\r\nX: \x01\r\n";

/// Denies with everything it knows.
const DUMP: &str = r#"
route '/caf' . "\xe9" => async sub ($scope, $receive, $send) {
    my $event = await $receive->();
    my @lines = ("event $event->{type}", "keys " . join(' ', sort keys %$scope), "path " . length $scope->{path});
    push @lines, "$_ $scope->{$_}" for qw(type http_version scheme raw_path query_string root_path);
    push @lines, "pagi $scope->{pagi}{version} $scope->{pagi}{spec_version}", "subprotocols @{ $scope->{subprotocols} }",
        "client @{ $scope->{client} }", "extensions " . join ' ', map { "$_=" . ref $scope->{extensions}{$_} } sort keys %{ $scope->{extensions} };
    push @lines, map { "header $_->[0]: " . $_->[1] =~ s/[^ -~]/?/gr } @{ $scope->{headers} };
    await $send->({ type => 'websocket.http.response.start', status => 418 });
    await $send->({ type => 'websocket.http.response.body', body => join "\n", @lines });
};
route '/silent' => async sub ($scope, $receive, $send) { await $receive->() };
route '/die' => async sub { die "no sockets here\n" };
route '/close' => async sub ($scope, $receive, $send) { await $send->({ type => 'websocket.close' }) };
"#;

fn handshake(path: &str, more: &str) -> Vec<u8> {
    // The marker stands for a byte that is no UTF-8.
    let text = request("GET", path, &format!("{HANDSHAKE}{more}"));
    text.bytes().map(|byte| if byte == 1 { 0xe9 } else { byte }).collect()
}

#[test]
fn ws_3_ws_5_ws_38_hdr_8_scope_5_scope_7_scope_12_ver_5_path_9_the_scope_of_a_handshake() {
    let lab = Lab::new(DUMP);
    let mut raw = lab.connect();
    let port = raw.local_port();
    raw.send(handshake("/caf%C3%A9?q=%20", "Accept: text/event-stream\r\nCookie: a=1\r\nCookie: b=2\r\n"));
    let response = raw.response("GET");
    assert_eq!(response.status, 418);
    assert_eq!(raw.read_to_end(), pagi_tests::raw::End::Eof);
    let keys = "keys client extensions headers http_version pagi pagi.transport path query_string raw_path root_path \
                scheme server state subprotocols type";
    let client = format!("client 127.0.0.1 {port}");
    for expected in [
        "event websocket.connect",
        keys,
        "path 5",
        "type websocket",
        "http_version 1.1",
        "scheme ws",
        "raw_path /caf%C3%A9",
        "query_string q=%20",
        "root_path ",
        "pagi 0.5 0.4",
        "subprotocols a b",
        &client,
        "extensions websocket.http.response=HASH",
        "header host: lab",
        "header connection: keep-alive, Upgrade",
        "header upgrade: WebSocket",
        "header sec-websocket-version: 13",
        "header sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "header sec-websocket-protocol: a, b",
        "header x: ?",
        "header cookie: a=1; b=2",
    ] {
        assert!(response.lines().contains(&expected), "{expected:?} is not in {:#?}", response.lines());
    }
}

#[test]
fn ws_12_amb_5_app_4_resp_1_handshakes_that_nobody_answers() {
    let lab = Lab::new(DUMP);
    for (path, status) in [("/silent", 500), ("/die", 500), ("/close", 403)] {
        let mut raw = lab.connect();
        // A request behind it is not answered.
        raw.send([handshake(path, ""), get_and_close("/nowhere").into_bytes()].concat());
        raw.read_to_end();
        let text = String::from_utf8_lossy(&raw.received).into_owned();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{path}: {text}");
    }
    lab.server.wait_for_log("no sockets here");
    assert_eq!(lab.get("/nowhere").status, 404);
}

#[test]
fn evt_3_evt_6_send_10_events_of_other_scopes_fail() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @r = await try_events($send, map({ $_ => { type => $_, status => 200, body => 'x', data => 'x' } } qw(http.response.start
                http.response.body http.fullflush sse.start sse.send sse.http.response.start lifespan.startup.complete
                websocket.receive websocket.connect websocket.send bogus)),
                header => { type => 'websocket.accept', headers => [ [ 'x', "a\r\nb: c" ] ] },
                subprotocol => { type => 'websocket.accept', subprotocol => "a\r\nb" });
            await $send->({ type => 'websocket.http.response.start', status => 200 });
            await $send->({ type => 'websocket.http.response.body', body => join ' ', 'accepted:', grep { !/failed/ } @r });
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(handshake("/", ""));
    assert_eq!(raw.response("GET").text(), "accepted:");
}

#[test]
fn ws_2_nothing_is_answered_before_the_application_accepts() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $receive->();
            note('asked');
            await Future::IO->sleep(0.02) until -e "$ENV{LAB_NOTES}.go";
            await $send->({ type => 'websocket.accept' });
            await $receive->();
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(handshake("/", ""));
    lab.wait_for_note("asked");
    assert!(raw.is_silent_for(Duration::from_millis(300)), "{}", raw.shown());
    std::fs::write(lab.server.path("notes.go"), "").expect("a file can be written");
    raw.read_until_contains("HTTP/1.1 101 ");
}

#[test]
fn ws_6_ws_10_ws_18_accepting_blindly_and_talking_early() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'websocket.accept' });
            for my $number (1 .. 3) {
                my $event = await $receive->();
                note(join ' ', map { $_ eq 'type' ? $event->{type} : "$_=$event->{$_}" } sort keys %$event);
            }
        };"#,
    );
    let mut raw = lab.connect();
    // The first frames are in the packet of the handshake.
    raw.send([handshake("/", ""), frame(TEXT, b"early"), frame(BINARY, b"bytes")].concat());
    lab.assert_notes(&["websocket.connect", "text=early websocket.receive", "bytes=bytes websocket.receive"]);
}

#[test]
fn ws_10_what_comes_before_accept_is_bounded() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            note('waiting');
            await Future::IO->sleep(30);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(handshake("/", ""));
    lab.wait_for_note("waiting");
    let block = frame(TEXT, &[b'x'; 100]).repeat(1000);
    let mut taken = 0;
    while let Ok(sent @ 1..) = raw.offer_some(&block, Duration::from_millis(300)) {
        taken += sent;
        assert!(taken < 64 << 20, "the server reads on and on");
    }
}

#[test]
fn ws_11_ws_25_a_client_that_leaves_before_it_is_accepted() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $receive->();
            note('asked');
            my $event = await $receive->();
            note("$event->{type} $event->{code} $event->{reason}");
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(handshake("/", ""));
    lab.wait_for_note("asked");
    drop(raw);
    lab.assert_notes(&["asked", "websocket.disconnect 1006 client_closed"]);
}
