//! Proxies in front of the server: what is believed of whom.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::http::Response;
use pagi_tests::raw::{End, Raw};
use pagi_tests::server::{Server, Setup};
use pagi_tests::tls::Authority;

/// Tells what the scope says about the client's side.
fn application() -> String {
    app::handler(
        r#"my $show = sub ($pair) { $pair ? join('|', map { $_ // 'undef' } @$pair) : 'none' };
        my ($host) = map { $_->[1] } grep { $_->[0] eq 'host' } @{ $scope->{headers} };
        await answer($send, join ' ', $scope->{scheme}, $show->($scope->{client}), $show->($scope->{server}), $host // 'none');"#,
    )
}

fn start(arguments: &[&str]) -> Server {
    Setup::perl(&application()).args(["-E", "none"]).args(arguments).start()
}

fn get(server: &Server, headers: &str) -> String {
    let mut raw = Raw::connect(server.address());
    raw.send(format!("GET / HTTP/1.1\r\nHost: inner\r\nConnection: close\r\n{headers}\r\n"));
    raw.response("GET").text().to_owned()
}

#[test]
fn x_forwarded_fields_of_a_trusted_peer_are_the_scope() {
    let server = start(&["--trusted-proxies", "127.0.0.0/8,10.0.0.0/8"]);
    let port = server.address().port();
    assert_eq!(
        get(
            &server,
            "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
        ),
        "https 192.0.2.7|0 shop.example|443 shop.example"
    );
    assert_eq!(
        get(&server, "X-Forwarded-For: [2001:db8::5]:4711\r\nX-Forwarded-Port: 8443\r\n"),
        "http 2001:db8::5|4711 127.0.0.1|8443 inner"
    );
    assert_eq!(
        get(&server, "X-Forwarded-Host: shop.example:8080\r\n").split(' ').skip(2).collect::<Vec<_>>(),
        ["shop.example|8080", "shop.example:8080"]
    );
    // The other kind of field passes through such proxies unread, so it is not read here.
    let unread = get(&server, "Forwarded: for=6.6.6.6;proto=https\r\n");
    assert!(unread.starts_with("http 127.0.0.1|") && unread.ends_with(&format!(" 127.0.0.1|{port} inner")), "{unread}");
}

#[test]
fn rfc_7239_forwarded_where_the_proxies_write_it() {
    let server = start(&["--trusted-proxies", "127.0.0.1", "--proxy-headers", "forwarded"]);
    assert_eq!(
        get(&server, "Forwarded: for=6.6.6.6, for=\"[2001:db8::7]:80\";proto=https;host=a.example\r\n"),
        "https 2001:db8::7|80 a.example|443 a.example"
    );
    assert!(get(&server, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n").starts_with("http 127.0.0.1|"));
}

#[test]
fn nobody_else_is_believed() {
    const LIES: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\
                        X-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\n";
    for arguments in [&[][..], &["--trusted-proxies", "10.0.0.0/8"], &["--trusted-proxies", "unix"]] {
        let server = start(arguments);
        let port = server.address().port();
        let told = get(&server, LIES);
        assert!(told.starts_with("http 127.0.0.1|") && told.ends_with(&format!("127.0.0.1|{port} inner")), "{told}");
    }
}

#[test]
fn the_access_log_and_pool_processes_know_the_client() {
    let server =
        start(&["--trusted-proxies", "127.0.0.1", "--access-log", "access.log", "--access-log-format", "%h %r"]);
    get(&server, "X-Forwarded-For: 192.0.2.7\r\n");
    server.wait_for_text("access.log", "192.0.2.7 GET / HTTP/1.1");
    let psgi = "sub { my $env = shift; [200, ['Content-Type' => 'text/plain'], \
                [join ' ', @$env{qw(REMOTE_ADDR psgi.url_scheme HTTP_HOST)}]] }";
    let setup = Setup::new().file("app.psgi", psgi);
    let path = setup.path("app.psgi");
    let server = setup.app(path).args(["--trusted-proxies", "127.0.0.1", "--pool", "1", "-E", "none"]).start();
    let told =
        get(&server, "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n");
    assert_eq!(told, "192.0.2.7 https a.example");
}

#[test]
fn clients_of_unix_sockets_are_believed_when_they_are_named() {
    for (trusted, expected) in [("unix", "https 192.0.2.7|0 "), ("127.0.0.1", "http none ")] {
        let setup = Setup::perl(&application()).listens_elsewhere().args(["-E", "none", "--trusted-proxies", trusted]);
        let socket = setup.path("app.sock");
        let server = setup.arg("--socket").arg(&socket).start();
        let mut stream = UnixStream::connect(server.path("app.sock")).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n")
            .unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        let (response, _) = Response::parse(&received, "GET").unwrap().unwrap();
        assert!(response.text().starts_with(expected), "{trusted}: {}", response.text());
    }
}

fn proxied(more: &[&str]) -> Server {
    let setup = Setup::perl(&application()).listens_elsewhere().args(["-E", "none", "--header-timeout", "1"]);
    setup.args(["--listen", "127.0.0.1:0,proxy"]).args(more).start()
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: inner\r\nConnection: close\r\n\r\n";

#[test]
fn proxy_protocol_version_1() {
    let server = proxied(&["--trusted-proxies", "127.0.0.1"]);
    let ask = |preamble: &str, pieces: usize| {
        let mut raw = Raw::connect(server.address());
        let bytes = format!("{preamble}{REQUEST}");
        for piece in bytes.as_bytes().chunks(pieces) {
            raw.send(piece);
        }
        raw.response("GET").text().to_owned()
    };
    for pieces in [1000, 1, 7, 16] {
        assert_eq!(
            ask("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", pieces),
            "http 192.0.2.1|56324 198.51.100.2|443 inner",
            "in pieces of {pieces}"
        );
        assert_eq!(ask("PROXY TCP6 2001:db8::1 ::2 1 2\r\n", pieces), "http 2001:db8::1|1 ::2|2 inner");
        assert!(ask("PROXY UNKNOWN\r\n", pieces).starts_with("http 127.0.0.1|"));
    }
}

/// A version 2 header for 192.0.2.1:80 to 198.51.100.2:443, with an extension.
fn binary(command: u8, extension: &[u8]) -> Vec<u8> {
    let variable = [&[192, 0, 2, 1, 198, 51, 100, 2, 0, 80, 1, 187][..], extension].concat();
    let length = u16::try_from(variable.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, 0x11], &length, &variable].concat()
}

#[test]
fn proxy_protocol_version_2() {
    let server = proxied(&["--trusted-proxies", "127.0.0.1"]);
    let ask = |preamble: &[u8]| {
        let mut raw = Raw::connect(server.address());
        raw.send([preamble, REQUEST.as_bytes()].concat());
        raw.response("GET").text().to_owned()
    };
    assert_eq!(ask(&binary(0x21, &[])), "http 192.0.2.1|80 198.51.100.2|443 inner");
    let tls = [0x20, 0, 5, 1, 0, 0, 0, 0];
    assert_eq!(ask(&binary(0x21, &tls)), "https 192.0.2.1|80 198.51.100.2|443 inner");
    assert!(ask(&binary(0x20, &[])).starts_with("http 127.0.0.1|"), "LOCAL: the connection is what it looks like");
    // One connection, many requests: the header is said once.
    let mut raw = Raw::connect(server.address());
    raw.send(binary(0x21, &[]));
    for _ in 0..3 {
        raw.send("GET / HTTP/1.1\r\nHost: inner\r\n\r\n");
        assert!(raw.response("GET").text().starts_with("http 192.0.2.1|80 "));
    }
}

#[test]
fn a_client_behind_the_proxy_is_not_a_proxy() {
    let server = proxied(&["--trusted-proxies", "127.0.0.1"]);
    let mut raw = Raw::connect(server.address());
    raw.send("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    assert_eq!(raw.response("GET").text(), "http 192.0.2.1|56324 198.51.100.2|443 inner");
}

#[test]
fn who_breaks_the_proxy_protocol_is_not_served() {
    let server = proxied(&["--trusted-proxies", "127.0.0.1"]);
    let long = format!("PROXY TCP4 {}", "1".repeat(200));
    let huge = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11, 0xff, 0xff]].concat();
    for (bytes, reason) in [
        (REQUEST.as_bytes(), "there is none"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "it does not have two ports"),
        (long.as_bytes(), "its line is longer than 107 bytes"),
        (&huge, "it is longer than 4096 bytes"),
        (b"PROXY TCP4 ", "within 1 s"),
    ] {
        let mut raw = Raw::connect(server.address());
        raw.send(bytes);
        assert!(matches!(raw.read_to_end(), End::Eof | End::Reset));
        assert!(raw.received.is_empty(), "{}", raw.shown());
        server.wait_for_log(reason);
    }
    let server = proxied(&["--trusted-proxies", "10.0.0.0/8"]);
    let mut raw = Raw::connect(server.address());
    raw.offer(format!("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n{REQUEST}"));
    assert!(matches!(raw.read_to_end(), End::Eof | End::Reset));
    assert!(raw.received.is_empty(), "{}", raw.shown());
    server.wait_for_log("is closed: it is not in the networks of --trusted-proxies");
}

#[test]
fn workers_and_a_stop_while_a_header_is_awaited() {
    let mut server = proxied(&["--trusted-proxies", "127.0.0.1", "--workers", "2", "--header-timeout", "0"]);
    let mut raw = Raw::connect(server.address());
    raw.send([&binary(0x21, &[])[..], REQUEST.as_bytes()].concat());
    assert!(raw.response("GET").text().starts_with("http 192.0.2.1|80 "));
    let mut silent = Raw::connect(server.address());
    silent.send("PROXY ");
    let begun = std::time::Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    assert!(begun.elapsed() < std::time::Duration::from_secs(15), "nobody waits for a request that has not begun");
}

#[test]
fn tls_begins_behind_the_header() {
    let authority = Authority::new("Test Root");
    let identity = authority.server("one", &["one.test"]);
    let setup = Setup::perl(&application()).listens_elsewhere().args(["-E", "none", "--trusted-proxies", "127.0.0.1"]);
    let server = setup.args(identity.options()).args(["--listen", "127.0.0.1:0,proxy,ssl"]).start();
    let url = format!("https://{}/", server.address());
    let answer = curl(["--insecure", "--haproxy-protocol", &url]);
    assert!(answer.text().starts_with("https 127.0.0.1|"), "{answer:?}");
    let without = curl(["--insecure", &url]);
    assert_eq!(without.status, 0, "a handshake is no PROXY header");
}
