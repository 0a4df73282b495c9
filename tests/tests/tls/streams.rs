//! Bytes in both directions, and how connections end.

use std::io::Read as _;
use std::net::Shutdown;

use pagi_tests::curl::curl;
use pagi_tests::lab::{Lab, request};
use pagi_tests::tls::{Client, End};

use super::{FACTS, authority, json, lab, text};

const BODIES: &str = r#"
route '/echo' => async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'http.disconnect') { note("disconnect"); return }
        my $more = $event->{more} ? 1 : 0;
        await $send->({ type => 'http.response.body', body => $event->{body}, more => $more });
        last if !$more;
    }
};
route '/count' => async sub ($scope, $receive, $send) {
    my $length = 0;
    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'http.disconnect') { note('broken off: ' . $scope->{'pagi.connection'}->disconnect_reason); return }
        $length += length $event->{body};
        last if !$event->{more};
    }
    note("whole body of $length");
    await answer($send, 200, $length);
};
route '/file' => async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', file => $ENV{LAB_FILE} });
};
route '/cut' => async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', body => 'half of it', more => 1 });
    die "no more\n";
};
route '/flow' => async sub ($scope, $receive, $send) {
    my $transport = $scope->{'pagi.transport'};
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    my $block = 'x' x 50_000;
    my ($sent, $waited) = (0, 0);
    while ($sent < 400) {
        my $future = $send->({ type => 'http.response.body', body => $block, more => 1 });
        my $ready = $future->is_ready;
        note('waits at ' . ($transport->buffered_amount >= 65536 ? 'high' : 'low') . ' water') if !$ready && !$waited++;
        await $future;
        $sent++;
    }
    await Future::IO->sleep(0.01) while $transport->buffered_amount;
    note('drained');
    await $send->({ type => 'http.response.body', body => '' });
};
route '/slow' => async sub ($scope, $receive, $send) {
    note('started');
    my $event = await $receive->();
    $event = await $receive->() while $event->{type} ne 'http.disconnect';
    note('gone ' . $scope->{'pagi.connection'}->disconnect_reason);
};
"#;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 7 % 251).expect("below 256")).collect()
}

#[test]
fn body_4_recv_8_large_bodies_and_files_arrive_unchanged() {
    let (authority, identity) = authority();
    let content = pattern(3_000_000);
    let setup = Lab::setup(BODIES).args(identity.options()).file("content", &content);
    let path = setup.path("content");
    let server = setup.env("LAB_FILE", &path).start();
    let (ca, url) = (authority.file(), format!("https://{}", server.address()));
    for version in ["1.2", "1.3"] {
        let fetch = |options: &[&str]| {
            let answer = curl([&["--cacert", text(&ca), "--tls-max", version], options].concat());
            assert_eq!((answer.exit, answer.status), (0, 200), "{options:?} over {version}");
            answer.body
        };
        let upload = format!("@{}", text(&path));
        assert!(fetch(&["--data-binary", &upload, &format!("{url}/echo")]) == content, "echo over {version}");
        assert!(fetch(&[&format!("{url}/file")]) == content, "file over {version}");
    }
}

#[test]
fn flow_2_flow_4_what_the_stream_holds_counts_as_buffered() {
    let (authority, identity) = authority();
    let lab = lab(BODIES, &identity, &[]);
    let mut connection = Client::new(&authority).connect(lab.address());
    connection.send(request("GET", "/flow", ""));
    lab.wait_for_note("waits at high water");
    let response = connection.response();
    assert_eq!(response.body.len(), 20_000_000);
    lab.wait_for_note("drained");
}

#[test]
fn pipelined_requests_in_one_record() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &[]);
    let mut connection = Client::new(&authority).connect(lab.address());
    connection.send(request("GET", "/", "").repeat(20));
    for _ in 0..20 {
        assert_eq!(connection.response().status, 200);
    }
}

#[test]
fn a_kept_connection_ends_with_a_notice() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--timeout", "0.2"]);
    let mut asked = Client::new(&authority).connect(lab.address());
    asked.send(request("GET", "/", "Connection: close\r\n"));
    assert_eq!(asked.read_to_end(), End::Notice);
    let mut idle = Client::new(&authority).connect(lab.address());
    idle.send(request("GET", "/", ""));
    assert_eq!(idle.response().status, 200);
    assert_eq!(idle.read_to_end(), End::Notice, "also when nobody asked");
}

#[test]
fn resp_5_a_response_that_breaks_off_has_no_notice() {
    let (authority, identity) = authority();
    let lab = lab(BODIES, &identity, &[]);
    let mut connection = Client::new(&authority).connect(lab.address());
    connection.send(request("GET", "/cut", ""));
    connection.read_until("half of it");
    let end = connection.read_to_end();
    assert!(matches!(end, End::Truncated | End::Reset), "{end:?}");
    assert!(!connection.received.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_body_cut_by_an_attacker_is_not_a_whole_body() {
    let (authority, identity) = authority();
    let lab = lab(BODIES, &identity, &[]);
    let client = Client::new(&authority);
    let mut connection = client.connect(lab.address());
    connection.send(request("POST", "/count", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n");
    connection.stream.sock.shutdown(Shutdown::Write).expect("a socket can be shut down");
    lab.wait_for_note("broken off: client_closed");
    // With everything there, and its end said, it is one.
    let mut whole = client.connect(lab.address());
    whole.send(request("POST", "/count", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(whole.response().body, b"5");
    lab.assert_notes(&["broken off: client_closed", "whole body of 5"]);
}

#[test]
fn conn_9_a_client_that_leaves_is_noticed() {
    let (authority, identity) = authority();
    let lab = lab(BODIES, &identity, &[]);
    let client = Client::new(&authority);
    for with_notice in [true, false] {
        let mut connection = client.connect(lab.address());
        connection.send(request("GET", "/slow", ""));
        lab.wait_for_note("started");
        if with_notice {
            connection.stream.conn.send_close_notify();
            connection.stream.conn.complete_io(&mut connection.stream.sock).expect("the notice is sent");
        }
        // Not dropped: session tickets that were not read would turn the end into a reset.
        connection.stream.sock.shutdown(Shutdown::Write).expect("a socket can be shut down");
        let count = if with_notice { 1 } else { 2 };
        let gone = || lab.notes().iter().filter(|note| *note == "gone client_closed").count();
        pagi_tests::patience::await_that("the application knows", || gone() == count);
    }
}

#[test]
fn amb_12_half_closed_needs_a_notice() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--tolerate-half-close"]);
    let client = Client::new(&authority);
    let mut polite = client.connect(lab.address());
    polite.send(request("GET", "/", "Connection: close\r\n"));
    polite.stream.conn.send_close_notify();
    polite.stream.conn.complete_io(&mut polite.stream.sock).expect("the notice is sent");
    assert_eq!(polite.response().status, 200);
}

#[test]
fn tls_on_a_unix_socket() {
    let (authority, identity) = authority();
    let setup = Lab::setup(FACTS).args(identity.options()).listens_elsewhere();
    let path = setup.path("tls.sock");
    let server = setup.arg("--listen").arg(format!("{},ssl", text(&path))).launch();
    server.wait_for_log("listening on unix:");
    let ca = authority.file();
    let answer = curl(["--cacert", text(&ca), "--unix-socket", text(&path), "https://localhost/"]);
    assert_eq!((answer.exit, answer.status), (0, 200));
    let facts = json(&answer.body);
    assert_eq!(facts["scheme"], "https");
    assert_eq!(facts["server"][0], text(&path));
    assert_eq!(facts["tls"]["tls_version"], 0x0304);
    let clear = curl(["--unix-socket", text(&path), "http://localhost/"]);
    assert_eq!(clear.status, 400);
}

#[test]
fn a_full_server_says_503_in_tls() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--max-connections", "1"]);
    let client = Client::new(&authority);
    let mut first = client.connect(lab.address());
    first.send(request("GET", "/", ""));
    assert_eq!(first.response().status, 200);
    let refused = client.get(lab.address(), "/");
    assert_eq!(refused.status, 503);
    drop(first);
    pagi_tests::patience::await_that("there is room again", || {
        client.try_get(lab.address(), "/").is_ok_and(|response| response.status == 200)
    });
}

#[test]
fn events_are_sent_as_they_come() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &[]);
    let mut child = std::process::Command::new("curl")
        .args(["--silent", "--no-buffer", "--max-time", "20", "--cacert", text(&authority.file())])
        .args(["--header", "Accept: text/event-stream", &format!("https://{}/", lab.address())])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("curl is installed");
    let mut said = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert!(said.starts_with("data: {") && said.contains("\"scheme\":\"https\""), "{said}");
    assert!(child.wait().expect("curl ends").success());
}
