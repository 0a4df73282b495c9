//! Names of requests, fields that responses get, and how many requests a client may make.

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::http::Response;
use pagi_tests::patience::wait_until;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};
use pagi_tests::tls::Authority;

/// Tells the request's name, as the scope and the fields have it.
fn application() -> String {
    app::handler(
        r#"my ($field) = map { $_->[1] } grep { $_->[0] =~ m{x-request-id|x-trace} } @{ $scope->{headers} };
        my $text = join ' ', $scope->{'pagi_server.request_id'} // 'none', $field // 'none';
        if ($scope->{type} eq 'sse') {
            await $send->({ type => 'sse.start' });
            return await $send->({ type => 'sse.send', data => $text });
        }
        await answer($send, $text, 200, $path eq '/own' ? ([ 'X-Request-ID', 'mine' ], [ 'X-Frame-Options', 'DENY' ]) : ());"#,
    )
}

fn setup(arguments: &[&str]) -> Setup {
    Setup::perl(&application())
        .args(["-E", "none", "--access-log", "access.log", "--access-log-format", "<%{request_id}x>"])
        .args(arguments)
}

fn get(server: &Server, path: &str, headers: &str) -> Response {
    let mut raw = Raw::connect(server.address());
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n"));
    raw.response("GET")
}

#[test]
fn without_options_nothing_is_named_or_added() {
    let server = setup(&[]).start();
    let response = get(&server, "/", "X-Request-ID: theirs\r\n");
    assert_eq!(response.text(), "none theirs");
    for field in ["x-request-id", "x-frame-options", "x-content-type-options", "strict-transport-security"] {
        assert_eq!(response.header(field), None, "{field}");
    }
    for _ in 0..50 {
        assert_eq!(get(&server, "/", "").status, 200);
    }
}

#[test]
fn a_request_has_one_name_everywhere() {
    for (mode, kept) in [("generate", false), ("accept", true), ("trusted", false)] {
        let server = setup(&["--request-id", mode]).start();
        let response = get(&server, "/", "X-Request-ID: theirs-1\r\n");
        let name = response.header("x-request-id").expect("a name").to_owned();
        assert_eq!(response.text(), format!("{name} {name}"), "{mode}");
        assert_eq!(name == "theirs-1", kept, "{mode}");
        server.wait_for_text("access.log", &format!("<{name}>"));
        let other = get(&server, "/", "");
        assert_eq!(other.header("x-request-id").map(str::len), Some(32), "{mode}");
        assert_ne!(other.header("x-request-id"), Some(name.as_str()));
        assert_eq!(get(&server, "/own", "").header("x-request-id"), Some("mine"), "the application's word counts");
        let stream = get(&server, "/", "Accept: text/event-stream\r\n");
        let name = stream.header("x-request-id").expect("a name").to_owned();
        assert!(stream.text().contains(&format!("{name} {name}")), "{}", stream.text());
    }
    let trusted = setup(&["--request-id", "trusted", "--trusted-proxies", "127.0.0.1"]).start();
    assert_eq!(get(&trusted, "/", "X-Request-ID: theirs-1\r\n").text(), "theirs-1 theirs-1");
    let renamed = setup(&["--request-id", "accept", "--request-id-header", "X-Trace", "--http2"]).start();
    let response = get(&renamed, "/", "X-Trace: theirs-2\r\n");
    assert_eq!((response.text(), response.header("x-trace")), ("theirs-2 theirs-2", Some("theirs-2")));
    renamed.wait_for_text("access.log", "<theirs-2>");
    let http2 = curl(["--http2-prior-knowledge", "-H", "X-Trace: theirs-3", &renamed.url("/")]);
    assert_eq!((http2.text(), http2.header("x-trace")), ("theirs-3 theirs-3", Some("theirs-3")));
}

#[test]
fn pool_processes_know_the_name() {
    let psgi =
        "sub { my $env = shift; [200, ['Content-Type' => 'text/plain'], [$env->{HTTP_X_REQUEST_ID} // 'none']] }";
    let setup = Setup::new().file("app.psgi", psgi);
    let path = setup.path("app.psgi");
    let server = setup.app(path).args(["--pool", "1", "-E", "none", "--request-id", "generate"]).start();
    let response = get(&server, "/", "");
    assert_eq!(Some(response.text()), response.header("x-request-id"));
}

#[test]
fn responses_get_the_fields_they_do_not_have() {
    let server = setup(&[
        "--security-headers",
        "--hsts",
        "60",
        "--response-header",
        "X-Own: a: b",
        "--response-header",
        "Server: x",
    ])
    .start();
    let response = get(&server, "/", "");
    for (field, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("x-own", "a: b"),
        ("server", "x"),
    ] {
        assert_eq!(response.header(field), Some(value), "{field}");
    }
    assert_eq!(response.header("strict-transport-security"), None, "not in the clear (RFC 6797 §7.2)");
    assert_eq!(get(&server, "/own", "").header("x-frame-options"), Some("DENY"));
    let stream = get(&server, "/", "Accept: text/event-stream\r\n");
    assert_eq!(stream.header("x-content-type-options"), Some("nosniff"));
    let authority = Authority::new("Test Root");
    let identity = authority.server("one", &["one.test"]);
    let server = setup(&["--hsts", "60"]).args(identity.options()).start();
    let answer = curl(["--insecure", &format!("https://{}/", server.address())]);
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=60"));
}

#[test]
fn more_requests_than_allowed_are_answered_429() {
    let server = setup(&["--rate-limit", "3/600", "--trusted-proxies", "127.0.0.1"]).start();
    let from = |client: &str| get(&server, "/", &format!("X-Forwarded-For: {client}\r\n"));
    for _ in 0..3 {
        assert_eq!(from("192.0.2.1").status, 200);
    }
    let refused = from("192.0.2.1");
    assert_eq!((refused.status, refused.text()), (429, "429 Too Many Requests\r\n"));
    let wait: u64 = refused.header("retry-after").expect("when to come again").parse().unwrap();
    assert!((1..=200).contains(&wait), "{wait}");
    assert_eq!(from("192.0.2.2").status, 200, "another client");
    let mut raw = Raw::connect(server.address());
    for _ in 0..2 {
        raw.send("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
        assert_eq!(raw.response("GET").status, 429, "the connection stays");
    }
    let socket = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut raw = Raw::connect(server.address());
    raw.send(socket);
    assert_eq!(raw.response("GET").status, 429, "a handshake is a request");
    server.wait_for_text("access.log", "<->");
}

#[test]
fn tokens_come_back_and_the_table_is_bounded() {
    let server = setup(&["--rate-limit", "1/0.2"]).start();
    assert_eq!(get(&server, "/", "").status, 200);
    wait_until(|| get(&server, "/", "").status == 200);
    let server =
        setup(&["--rate-limit", "1/600", "--rate-limit-clients", "1", "--trusted-proxies", "127.0.0.1"]).start();
    let from = |client: &str| get(&server, "/", &format!("X-Forwarded-For: {client}\r\n")).status;
    assert_eq!([from("192.0.2.1"), from("192.0.2.1")], [200, 429]);
    assert_eq!([from("192.0.2.2"), from("192.0.2.1")], [200, 200], "one is remembered, the other forgotten");
}
