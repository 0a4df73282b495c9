//! Compression of responses on their way out (`--compress`).

use std::io::Read;

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::http::Response;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

/// A body of many kilobytes that compresses well.
const TEXT: &str =
    r#"my $text = join '', map { "line $_ of a page that says much the same again and again\n" } 1 .. 500;"#;

fn application() -> String {
    app::handler(&format!(
        r#"{TEXT}
        my $size = $path =~ m{{/(\d+)$}} ? $1 : length $text;
        my $body = substr $text, 0, $size;
        my $type = $path =~ m{{image}} ? 'image/png' : 'text/html; charset=utf-8';
        my @headers = ([ 'content-type', $type ], [ 'etag', '"strong"' ]);
        push @headers, [ 'content-length', length $body ] if $path =~ m{{length}};
        push @headers, [ 'content-length', 5 + length $body ] if $path =~ m{{short}};
        push @headers, [ 'cache-control', 'no-transform' ] if $path =~ m{{no-transform}};
        push @headers, [ 'content-encoding', 'x-mine' ] if $path =~ m{{encoded}};
        await $send->({{ type => 'http.response.start', status => 200, headers => \@headers, trailers => $path =~ m{{trailers}} }});
        if ($path =~ m{{flush}}) {{
            await $send->({{ type => 'http.fullflush' }});
            await Future::IO->sleep(0.01) until -e "$scratch/go";
        }}
        if ($path =~ m{{stream}}) {{
            my $step = int(length($body) / 4) + 1;
            for my $part (1 .. 4) {{
                my $piece = substr $body, ($part - 1) * $step, $step;
                await $send->({{ type => 'http.response.body', body => $piece, more => $part < 4 }});
                if ($path =~ m{{slow}} && $part == 1) {{
                    await Future::IO->sleep(0.01) until -e "$scratch/go";
                }}
                die "broken\n" if $path =~ m{{dies}} && $part == 2;
            }}
            await $send->({{ type => 'http.response.trailers', headers => [ [ 'x-end', 'yes' ] ] }}) if $path =~ m{{trailers}};
            return;
        }}
        die "early\n" if $path =~ m{{early}};
        if ($path =~ m{{file}}) {{
            return await $send->({{ type => 'http.response.body', file => "$scratch/app.pl" }});
        }}
        if ($path =~ m{{handle}}) {{
            open my $handle, '<', "$scratch/app.pl" or die;
            return await $send->({{ type => 'http.response.body', fh => $handle }});
        }}
        await $send->({{ type => 'http.response.body', body => $body }});"#
    ))
}

fn text() -> String {
    (1..=500).map(|n| format!("line {n} of a page that says much the same again and again\n")).collect()
}

fn start(arguments: &[&str]) -> Server {
    Setup::perl(&application()).args(["-E", "none"]).args(arguments).start()
}

fn get(server: &Server, path: &str, headers: &str) -> Response {
    request(server, "GET", path, headers)
}

fn request(server: &Server, method: &str, path: &str, headers: &str) -> Response {
    let mut raw = Raw::connect(server.address());
    raw.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n"));
    raw.response(method)
}

const GZIP: &str = "Accept-Encoding: gzip\r\n";

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}

#[test]
fn off_unless_it_is_asked_for() {
    let response = get(&start(&[]), "/", GZIP);
    assert_eq!((response.header("content-encoding"), response.header("vary")), (None, None));
    assert_eq!(response.text(), text());
}

#[test]
fn each_coding_can_be_read() {
    let server = start(&["--compress", "zstd,br,gzip"]);
    for (accept, coding) in
        [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip, br, zstd", "zstd"), ("gzip;q=1, zstd;q=0.1", "gzip")]
    {
        for path in ["/", "/stream", "/length"] {
            let answer = curl(["--compressed", "-H", &format!("Accept-Encoding: {accept}"), &server.url(path)]);
            assert_eq!(answer.header("content-encoding"), Some(coding), "{accept} {path}");
            assert!(answer.text() == text(), "{accept} {path}");
        }
    }
    let http2 = start(&["--compress", "br,gzip", "--http2"]);
    let answer = curl(["--http2-prior-knowledge", "--compressed", &http2.url("/stream")]);
    assert!(answer.head.starts_with("HTTP/2 200") && answer.text() == text(), "{}", answer.head);
    assert_eq!(answer.header("content-encoding"), Some("br"));
}

#[test]
fn the_head_says_what_has_become_of_the_body() {
    let server = start(&["--compress", "gzip"]);
    for path in ["/", "/length"] {
        let response = get(&server, path, GZIP);
        assert_eq!(response.header("content-encoding"), Some("gzip"));
        assert_eq!(
            response.header("content-length"),
            Some(response.body.len().to_string().as_str()),
            "a whole body has a length"
        );
        assert_eq!(response.header("etag"), Some("W/\"strong\""));
        assert_eq!(response.header("vary"), Some("accept-encoding"));
        assert!(gunzip(&response.body) == text() && response.body.len() < 5000);
    }
    let stream = get(&server, "/stream/length", GZIP);
    assert_eq!((stream.header("content-length"), stream.header("transfer-encoding")), (None, Some("chunked")));
    assert!(gunzip(&stream.body) == text());
    let head = request(&server, "HEAD", "/length", GZIP);
    assert_eq!((head.header("content-encoding"), head.header("content-length")), (Some("gzip"), None));
    let trailers = get(&server, "/stream/trailers", GZIP);
    assert!(gunzip(&trailers.body) == text());
    assert_eq!(trailers.trailers, [("x-end".to_owned(), b"yes".to_vec())]);
}

#[test]
fn what_is_not_suitable_goes_out_as_it_is() {
    let server = start(&["--compress", "gzip", "--compress-min-size", "1000"]);
    for (path, headers, vary) in [
        ("/", "", Some("accept-encoding")),
        ("/", "Accept-Encoding: br\r\n", Some("accept-encoding")),
        ("/", "Accept-Encoding: gzip;q=0\r\n", Some("accept-encoding")),
        ("/image", GZIP, None),
        ("/no-transform", GZIP, None),
        ("/length/999", GZIP, None),
        ("/999", GZIP, Some("accept-encoding")),
        ("/file", GZIP, Some("accept-encoding")),
        ("/handle", GZIP, Some("accept-encoding")),
    ] {
        let response = get(&server, path, headers);
        assert_eq!((response.header("content-encoding"), response.header("vary")), (None, vary), "{path} {headers}");
        assert_eq!(response.header("etag"), Some("\"strong\""));
        assert!(response.complete && !response.body.is_empty());
    }
    assert_eq!(get(&server, "/encoded", GZIP).header("content-encoding"), Some("x-mine"));
    for path in ["/1000", "/length/1000"] {
        assert_eq!(get(&server, path, GZIP).header("content-encoding"), Some("gzip"), "{path}");
    }
    let mut raw = Raw::connect(server.address());
    raw.send("GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
    raw.read_to_end();
    let (old, _) = Response::parse(&raw.received, "GET").unwrap().unwrap();
    assert_eq!((old.header("content-encoding"), old.text()), (None, text().as_str()));
    let own = start(&["--compress", "gzip", "--compress-types", "image/*"]);
    assert_eq!(get(&own, "/image", GZIP).header("content-encoding"), Some("gzip"));
    assert_eq!(get(&own, "/", GZIP).header("content-encoding"), None);
}

#[test]
fn more_effort_makes_less_of_it() {
    let size = |coding: &str, level: &str| {
        let server = start(&["--compress", coding, "--compress-level", level]);
        get(&server, "/", &format!("Accept-Encoding: {coding}\r\n")).body.len()
    };
    for coding in ["gzip", "br", "zstd"] {
        let (fast, small) = (size(coding, "1"), size(coding, "9"));
        assert!(small < fast, "{coding}: {small} bytes and {fast}");
    }
}

#[test]
fn a_piece_of_a_stream_can_be_read_when_it_was_sent() {
    for path in ["/stream/slow", "/stream/slow/flush"] {
        let server = start(&["--compress", "gzip"]);
        let mut raw = Raw::connect(server.address());
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{GZIP}\r\n"));
        if path.ends_with("flush") {
            raw.read_until_contains("content-encoding: gzip");
        } else {
            // The application waits for us: what it has sent must be readable now.
            let quarter = text().len() / 4;
            raw.read_until("the first quarter", |bytes| {
                let Ok(Some((response, _))) = Response::parse(bytes, "GET") else { return false };
                let mut text = vec![0; quarter];
                flate2::read::GzDecoder::new(&response.body[..]).read_exact(&mut text).is_ok()
            });
        }
        std::fs::write(server.path("go"), "").unwrap();
        assert!(gunzip(&raw.response("GET").body) == text());
    }
}

#[test]
fn resp_5_what_breaks_off_is_seen_to() {
    let server = start(&["--compress", "gzip"]);
    for path in ["/stream/dies", "/stream/short", "/short", "/early"] {
        let mut raw = Raw::connect(server.address());
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{GZIP}\r\n"));
        raw.read_to_end();
        let (response, _) = Response::parse(&raw.received, "GET").unwrap().expect("a head");
        assert!(response.status == 200 && !response.complete, "{path}: {response:?}");
    }
    let after = get(&server, "/", GZIP);
    assert!(gunzip(&after.body) == text(), "the server goes on");
}

#[test]
fn event_streams_are_left_alone() {
    let code = r#"await $send->({ type => 'sse.start' });
        my $event = { type => 'sse.send', data => 'x' x 5000 };
        await $send->($event);
        await $send->($event);
        await $send->($event);"#;
    let server = Setup::perl(&app::handler(code)).args(["-E", "none", "--compress", "gzip"]).start();
    let response = get(&server, "/", "Accept: text/event-stream\r\nAccept-Encoding: gzip\r\n");
    assert_eq!((response.header("content-encoding"), response.body.len()), (None, 3 * 5008));
}
