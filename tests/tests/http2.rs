//! HTTP/2 (protocol section 8.9), over cleartext by prior knowledge.

use std::process::Command;

use pagi_tests::curl::curl;
use pagi_tests::http2::python;
use pagi_tests::lab::Lab;

const ECHO: &str = r#"
route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
route '/echo' => async sub ($scope, $receive, $send) {
    my $body = await drain_body($receive);
    my @lines = map { "$_->[0]=$_->[1]" } $scope->{headers}->@*;
    await answer($send, 200, join "\n", @$scope{qw(type http_version method scheme path raw_path query_string)}, @lines, $body);
};
"#;

fn lab(handlers: &str) -> Lab {
    Lab::with(handlers, &["--http2"])
}

#[test]
fn h2_7_curl_nghttp_and_h2load_by_prior_knowledge() {
    let lab = lab(ECHO);
    let url = lab.server.url("/echo?x=1");
    let answer = curl(["--http2-prior-knowledge", "--data", "hello", "-H", "accept: */*", url.as_str()]);
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert!(answer.head.starts_with("HTTP/2 200"), "{}", answer.head);
    let text = answer.text();
    assert!(text.starts_with("http\n2\nPOST\nhttp\n/echo\n/echo\nx=1\nhost=127.0.0.1:"), "{text}");
    assert!(text.ends_with("\nhello"), "{text}");
    let plain = curl([url.as_str()]);
    assert!(plain.head.starts_with("HTTP/1.1 200"), "HTTP/1 goes on beside it: {}", plain.head);

    let nghttp = Command::new("nghttp").arg(lab.server.url("/ok")).output().expect("nghttp is installed");
    assert_eq!(String::from_utf8_lossy(&nghttp.stdout), "ok");

    let load = Command::new("h2load").args(["-n", "500", "-c", "3", "-m", "20"]).arg(lab.server.url("/ok")).output();
    let said = String::from_utf8_lossy(&load.expect("h2load is installed").stdout).into_owned();
    assert!(said.contains("500 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
}

#[test]
fn h2_7_without_the_option_the_preface_is_refused() {
    let lab = Lab::new(ECHO);
    let answer = curl(["--http2-prior-knowledge", &lab.server.url("/ok")]);
    assert_ne!(answer.exit, 0);
    let reply = lab.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(reply.response.status, 505);
}

#[test]
fn h2_7_a_short_http_1_request_does_not_wait_for_a_preface() {
    let lab = lab(ECHO);
    for request in ["GET /ok HTTP/1.0\r\n\r\n", "P /ok HTTP/1.0\r\n\r\n", "PRI /ok HTTP/1.0\r\n\r\n"] {
        assert_eq!(lab.exchange(request).response.text(), "ok", "{request:?}");
    }
}

#[test]
fn h2_8_hdr_6_hdr_7_hdr_1_hdr_4_scope() {
    let lab = lab(ECHO);
    let text = python(
        lab.address(),
        r#"
        client = Client()
        stream = client.request("/ec%68o?a=%20b?c", "PUT", [("x-b", "2"), ("cookie", "a=1"), ("host", "b"), ("x-a", "1"),
            ("cookie", "b=2"), ("x-b", "3"), ("cookie", "c=3")], body=b"content", authority="a")
        client.wait(stream)
        print(client.body(stream), end="")
        "#,
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..7], ["http", "2", "PUT", "http", "/echo", "/ec%68o", "a=%20b?c"]);
    let mut fields = lines[7..lines.len() - 1].to_vec();
    assert_eq!(fields[0], "host=a");
    fields.sort_unstable();
    assert_eq!(fields, ["cookie=a=1; b=2; c=3", "host=a", "x-a=1", "x-b=2", "x-b=3"]);
    assert_eq!(lines.last(), Some(&"content"));
}
