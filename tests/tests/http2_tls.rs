//! HTTP/2 over TLS, where ALPN chooses it.

use std::process::Command;

use pagi_tests::app::example;
use pagi_tests::browser::browse;
use pagi_tests::curl::curl;
use pagi_tests::http2::python;
use pagi_tests::lab::Lab;
use pagi_tests::server::Setup;
use pagi_tests::tls::Authority;

const HANDLERS: &str = r#"
my $dir = $ENV{LAB_NOTES} =~ s{/notes\z}{}r;
route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
route '/scope' => async sub ($scope, $receive, $send) {
    await answer($send, 200, join ' ', @$scope{qw(http_version scheme)}, $scope->{extensions}{tls}{tls_version});
};
route '/file' => async sub ($scope, $receive, $send) {
    await start($send, 200);
    await $send->({ type => 'http.response.body', file => "$dir/big" });
};
route '/length' => async sub ($scope, $receive, $send) {
    my $body = await drain_body($receive);
    await answer($send, 200, length $body);
};
route '/socket' => async sub ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'websocket.accept' });
    my $event = await $receive->();
    await $send->({ type => 'websocket.send', text => "$scope->{scheme} $event->{text}" });
    $event = await $receive->();
    note("$event->{code}");
};
"#;

struct Secure {
    lab: Lab,
    authority: Authority,
}

impl Secure {
    fn start(options: &[&str]) -> Self {
        let authority = Authority::new("Root");
        let identity = authority.server("server", &["localhost"]);
        let setup =
            Lab::setup(HANDLERS).args(identity.options()).args(options).file("big", "0123456789".repeat(100_000));
        Self { lab: Lab { server: setup.start() }, authority }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.lab.address().port())
    }

    fn curl(&self, path: &str, options: &[&str]) -> pagi_tests::curl::Answer {
        let (ca, url) = (self.authority.file(), self.url(path));
        curl([&["--ipv4", "--cacert", ca.to_str().unwrap()], options, &[url.as_str()]].concat())
    }
}

#[test]
fn h2_7_h2_8_alpn_chooses() {
    let secure = Secure::start(&[]);
    for (options, version, scope) in [
        (&["--http2"][..], "HTTP/2 200", "2 https 772"),
        (&["--http1.1"], "HTTP/1.1 200", "1.1 https 772"),
        (&["--no-alpn"], "HTTP/1.1 200", "1.1 https 772"),
        (&["--http2", "--tls-max", "1.2"], "HTTP/2 200", "2 https 771"),
    ] {
        let answer = secure.curl("/scope", options);
        assert!(answer.head.starts_with(version), "{options:?}: {}", answer.head);
        assert_eq!(answer.text(), scope, "{options:?}");
    }
    let off = Secure::start(&["--no-http2"]);
    assert!(off.curl("/scope", &["--http2"]).head.starts_with("HTTP/1.1 200"));
}

#[test]
fn h2_7_nghttp_and_h2load_over_tls() {
    let secure = Secure::start(&[]);
    let nghttp = Command::new("nghttp").args(["--no-verify-peer"]).arg(secure.url("/ok")).output();
    assert_eq!(String::from_utf8_lossy(&nghttp.expect("nghttp is installed").stdout), "ok");
    let load = Command::new("h2load").args(["-n", "500", "-c", "3", "-m", "20"]).arg(secure.url("/ok")).output();
    let said = String::from_utf8_lossy(&load.expect("h2load is installed").stdout).into_owned();
    assert!(said.contains("500 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    assert!(said.contains("Application protocol: h2"), "{said}");
}

#[test]
fn body_4_recv_8_ws_43_files_uploads_and_sockets() {
    let secure = Secure::start(&[]);
    let file = secure.curl("/file", &["--http2"]);
    assert!(file.body == "0123456789".repeat(100_000).as_bytes(), "{} bytes", file.body.len());
    python(
        &secure.lab,
        r#"
        client = Client()
        stream = client.request("/length", "POST", body=b"x" * 1_000_000)
        client.wait(stream)
        same(client.body(stream), "1000000")
        stream = client.connect("/socket")
        client.until(lambda: stream in client.headers)
        client.data(stream, websocket_frame(1, b"hello"))
        client.until(lambda: websocket_frames(client.bodies.get(stream, b"")) == [(0x81, b"wss hello")])
        client.data(stream, websocket_frame(8, b"\x03\xe8"))
        client.until_noted("1000")
        others_are_served()
        "#,
    );
}

#[test]
fn h2_7_ws_43_chromium() {
    let authority = Authority::new("Root");
    for (options, protocol) in [(&[][..], "h2"), (&["--no-http2"], "http/1.1")] {
        let identity = authority.server("server", &["localhost"]);
        let server = Setup::new().app(example("websocket-chat")).args(identity.options()).args(options).start();
        let url = format!("https://localhost:{}/", server.address().port());
        browse("protocol", &url, &[protocol]);
        browse("websocket_chat", &url, &[]);
    }
}

#[test]
fn h2_7_prior_knowledge_is_for_cleartext() {
    let secure = Secure::start(&["--http2"]);
    python(
        &secure.lab,
        r#"
        import ssl
        context = ssl._create_unverified_context()
        raw = context.wrap_socket(socket.create_connection(("127.0.0.1", PORT), PATIENCE))
        raw.sendall(PREFACE + frame(4))
        assert raw.recv(1000).startswith(b"HTTP/1.1 505"), "HTTP/2 without ALPN"
        "#,
    );
}
