//! What the server answers by itself has a name and the fields of any other response: refusals, and accepted handshakes.

use pagi_tests::app;
use pagi_tests::curl::{Answer, curl};
use pagi_tests::http::Response;
use pagi_tests::http2::python;
use pagi_tests::lab::Lab;
use pagi_tests::raw::{End, Raw};
use pagi_tests::server::{Server, Setup};
use pagi_tests::tls::Authority;

const HANDSHAKE: &str = "Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Options that name requests and add fields, some of which the server's own answers have already.
const FIELDS: [&str; 9] = [
    "--request-id",
    "accept",
    "--security-headers",
    "--response-header",
    "X-Own: yes",
    "--response-header",
    "Content-Type: text/x",
    "--response-header",
    "Sec-WebSocket-Accept: forged",
];

fn application() -> String {
    app::handler(
        r#"die "at once\n" if $path eq '/die';
        if ($scope->{type} eq 'websocket') {
            await $receive->();
            return await $send->({ type => 'websocket.close' }) if $path eq '/deny';
            await $send->({ type => 'websocket.accept', headers => [ [ 'X-Frame-Options', 'DENY' ] ] });
            return await $send->({ type => 'websocket.close' });
        }
        if ($path eq '/body') {
            my $event;
            do { $event = await $receive->() } while $event->{more};
        }
        await answer($send, 'fine');"#,
    )
}

fn setup() -> Setup {
    Setup::perl(&application())
        .args(["-E", "none", "--access-log", "access.log", "--access-log-format", "%s <%{request_id}x>", "--http2"])
        .args(["--max-body-size", "10", "--max-request-line", "200", "--max-header-size", "1000"])
        .args(["--header-timeout", "1", "--timeout", "2"])
        .args(FIELDS)
}

fn raw(server: &Server, request: &str) -> Response {
    let mut raw = Raw::connect(server.address());
    raw.send(request);
    raw.response(request.split(' ').next().unwrap_or("GET"))
}

/// The answer has every field once, and the access log has its name.
#[track_caller]
fn assert_dressed(server: &Server, response: &Response, status: u16, what: &str) {
    assert_eq!(response.status, status, "{what}");
    for (name, value) in [
        ("x-own", "yes"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("content-type", "text/plain"),
    ] {
        assert_eq!(response.header_all(name), [value], "{what}: {name}");
    }
    for name in ["content-length", "date", "server"] {
        assert_eq!(response.header_all(name).len(), 1, "{what}: {name}");
    }
    let [name] = response.header_all("x-request-id")[..] else { panic!("{what}: no name or several: {response:?}") };
    server.wait_for_text("access.log", &format!("{status} <{name}>\n"));
}

#[test]
fn refusals_over_http1_are_named_and_dressed() {
    let server = setup().start();
    let long = "x".repeat(1000);
    let table = [
        (400, "nonsense\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "HEAD / HTTP/1.1\r\n\r\n".to_owned()),
        (408, "GET / HTTP/1.1\r\nHost:".to_owned()),
        (408, "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab".to_owned()),
        (413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n".to_owned()),
        (413, "POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n".to_owned()),
        (400, "POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n".to_owned()),
        (414, format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {long}\r\n\r\n")),
        (501, "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        (505, "GET / HTTP/3.0\r\nHost: h\r\n\r\n".to_owned()),
        (500, "GET /die HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        (500, "HEAD /die HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        (403, format!("GET /deny HTTP/1.1\r\n{HANDSHAKE}\r\n")),
        (426, format!("GET / HTTP/1.1\r\n{}\r\n", HANDSHAKE.replace("13", "12"))),
    ];
    for (status, request) in table {
        assert_dressed(&server, &raw(&server, &request), status, &request);
    }
}

#[test]
fn a_name_that_may_be_taken_over_is_kept_when_the_request_is_refused() {
    let server = setup().start();
    for (status, rest) in [
        (413, "Content-Length: 11\r\n"),
        (413, "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n"),
        (501, "Transfer-Encoding: zip\r\n"),
    ] {
        let response =
            raw(&server, &format!("POST /body HTTP/1.1\r\nHost: h\r\nX-Request-Id: theirs-{status}\r\n{rest}\r\n"));
        assert_dressed(&server, &response, status, rest);
        assert_eq!(response.header("x-request-id"), Some(format!("theirs-{status}").as_str()), "{rest}");
    }
    for unsound in ["X-Request-Id: a b", "X-Request-Id: one\r\nX-Request-Id: two"] {
        let response = raw(&server, &format!("POST / HTTP/1.1\r\nHost: h\r\n{unsound}\r\nContent-Length: 11\r\n\r\n"));
        assert_dressed(&server, &response, 413, unsound);
        assert_eq!(response.header("x-request-id").map(str::len), Some(32), "{unsound}");
    }
    let generating = setup().args(["--request-id", "generate"]).start();
    let request = "POST / HTTP/1.1\r\nHost: h\r\nX-Request-Id: theirs\r\nContent-Length: 11\r\n\r\n";
    assert_eq!(raw(&generating, request).header("x-request-id").map(str::len), Some(32));
}

#[test]
fn refusals_over_http2_are_named_and_dressed() {
    let server = setup().start();
    let ask = |arguments: &[&str]| -> Answer {
        curl(["--http2-prior-knowledge", "-H", "X-Request-Id: theirs"].iter().chain(arguments))
    };
    let long = server.url(&format!("/{}", "x".repeat(300)));
    let (root, body, die) = (server.url("/"), server.url("/body"), server.url("/die"));
    for (status, arguments) in [
        (413, &["-d", "hello world", &root][..]),
        (413, &["-d", "hello world", "-H", "Content-Length:", &body]),
        (414, &[&long]),
        (500, &[&die]),
        (500, &["--head", &die]),
    ] {
        let answer = ask(arguments);
        assert_eq!(answer.status, status, "{arguments:?}: {answer:?}");
        for (name, value) in [
            ("x-own", "yes"),
            ("x-frame-options", "SAMEORIGIN"),
            ("content-type", "text/plain"),
            ("x-request-id", "theirs"),
        ] {
            let count = answer.head.lines().filter(|line| line.starts_with(&format!("{name}:"))).count();
            assert_eq!((answer.header(name), count), (Some(value), 1), "{arguments:?}: {name}");
        }
    }
    server.wait_for_text("access.log", "414 <theirs>\n");
    server.wait_for_text("access.log", "500 <theirs>\n");
    assert_eq!(server.output("access.log").matches("413 <theirs>\n").count(), 2);
}

#[test]
fn a_full_server_names_what_it_turns_away() {
    let server = setup().args(["--max-connections", "1", "--timeout", "60"]).start();
    let mut first = Raw::connect(server.address());
    first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(first.response("GET").status, 200);
    let mut second = Raw::connect(server.address());
    second.offer("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let response = second.response("GET");
    assert_dressed(&server, &response, 503, "no room");
    assert_eq!(response.header_all("retry-after"), ["5"]);
}

#[test]
fn hsts_is_for_encrypted_refusals_only() {
    let authority = Authority::new("Test Root");
    let identity = authority.server("one", &["one.test"]);
    let server = setup().args(["--hsts", "60"]).args(identity.options()).start();
    let url = format!("https://{}/", server.address());
    let answer = curl(["--insecure", "--http1.1", "-d", "hello world", &url]);
    assert_eq!((answer.status, answer.header("strict-transport-security")), (413, Some("max-age=60")));
    let clear = raw(&server, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_dressed(&server, &clear, 400, "plain HTTP to an HTTPS port");
    assert_eq!(clear.header("strict-transport-security"), None);
}

#[test]
fn an_accepted_handshake_has_the_fields_too() {
    let server = setup().start();
    let mut socket = Raw::connect(server.address());
    socket.send(format!("GET / HTTP/1.1\r\n{HANDSHAKE}X-Request-Id: theirs\r\n\r\n"));
    socket.read_until_contains("\r\n\r\n");
    let head = String::from_utf8_lossy(&socket.received).to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for (name, value) in [
        ("x-own", "yes"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "deny"),
        ("x-request-id", "theirs"),
        ("sec-websocket-accept", "s3pplmbitxaq9kygzzhzrbk+xoo="),
    ] {
        let found: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect();
        assert_eq!(found, [value], "{name}: {head}");
    }
    // The client's Close is answered, and then the session is logged under its name.
    socket.send([0x88, 0x80, 0, 0, 0, 0]);
    assert_ne!(socket.read_to_end(), End::Reset);
    server.wait_for_text("access.log", "101 <theirs>\n");
}

#[test]
fn an_accepted_handshake_over_http2_has_them_too() {
    let route = "route '/' => async sub ($scope, $receive, $send) {
        await $receive->();
        await $send->({ type => 'websocket.accept' });
        await $receive->();
    };";
    let lab = Lab::with(route, &[&["--http2"][..], &FIELDS].concat());
    python(
        &lab,
        r#"
        client = Client()
        client.until(lambda: client.h2.remote_settings.get(8) == 1)
        stream = client.connect("/", [("x-request-id", "theirs")])
        client.until(lambda: stream in client.headers)
        same(client.status(stream), 200)
        same(client.header(stream, "x-own"), "yes")
        same(client.header(stream, "x-content-type-options"), "nosniff")
        same(client.header(stream, "x-request-id"), "theirs")
        same(client.header(stream, "sec-websocket-accept"), None)
        "#,
    );
}
