//! Static folders: files served without the application (`--static`).

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::http::Response;
use pagi_tests::patience::wait_until;
use pagi_tests::raw::{Raw, contains};
use pagi_tests::server::{Server, Setup};

const STYLE: &str = "body { color: red }\n";

/// Tells what reached it.
fn application() -> String {
    app::handler("await answer($send, qq{app $scope->{method} $path});")
}

/// A folder of a few files, one of them secret and outside.
fn setup(options: &str) -> Setup {
    let setup = Setup::perl(&application())
        .file("secret", "secret")
        .file("public/style.css", STYLE)
        .file("public/data.bin", (0..=255u8).collect::<Vec<_>>())
        .file("public/empty.txt", "")
        .file("public/index.html", "<h1>home</h1>")
        .file("public/sub/index.html", "<h1>sub</h1>")
        .file("public/bare/a&b.txt", "a")
        .file("public/.hidden", "hidden")
        .file("public/.git/config", "hidden");
    let folder = format!("/s={}{options}", setup.path("public").display());
    setup.args(["-E", "none", "--static", &folder])
}

fn get(server: &Server, path: &str, headers: &str) -> Response {
    request(server, "GET", path, headers)
}

fn request(server: &Server, method: &str, path: &str, headers: &str) -> Response {
    let mut raw = Raw::connect(server.address());
    raw.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n"));
    raw.read_to_end();
    let parsed = Response::parse(&raw.received, method);
    let Ok(Some((response, _))) = parsed else { panic!("{path}: {parsed:?} {}", raw.shown()) };
    assert!(response.complete, "{path}: {response:?}");
    response
}

#[test]
fn a_file_comes_with_its_fields_and_without_the_application() {
    let server = setup("").start();
    let response = get(&server, "/s/style.css", "");
    assert_eq!((response.status, response.text()), (200, STYLE));
    assert_eq!(response.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(response.header("content-length"), Some("20"));
    assert_eq!(response.header("accept-ranges"), Some("bytes"));
    assert_eq!(response.header("vary"), Some("accept-encoding"));
    assert!(response.header("etag").is_some_and(|tag| tag.starts_with('"')));
    assert!(response.header("last-modified").is_some_and(|date| date.ends_with(" GMT")));
    assert!(response.header("cache-control").is_none());
    let head = request(&server, "HEAD", "/s/style.css", "");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("20"), 0));
    assert_eq!(head.header("etag"), response.header("etag"));
    assert_eq!(get(&server, "/s/empty.txt", "").header("content-length"), Some("0"));
    assert_eq!(get(&server, "/s/data.bin", "").body.len(), 256);
    assert_eq!(get(&server, "/sx", "").text(), "app GET /sx", "the prefix is whole segments");
    // An EventSource is a client like any other here.
    assert_eq!(get(&server, "/s/style.css", "Accept: text/event-stream\r\n").text(), STYLE);
}

#[test]
fn many_requests_share_a_connection() {
    let server = setup("").start();
    let mut raw = Raw::connect(server.address());
    for _ in 0..3 {
        raw.send("GET /s/style.css HTTP/1.1\r\nHost: h\r\n\r\nGET /s/data.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(raw.response("GET").text(), STYLE);
        assert_eq!(raw.response("GET").body.len(), 256);
        raw.send("GET /app HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(raw.response("GET").text(), "app GET /app");
    }
}

#[test]
fn a_large_file_arrives_whole() {
    let content: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    let server = setup("").file("public/large", &content).start();
    assert!(curl([server.url("/s/large")]).body == content);
    let http2 = curl(["--http2-prior-knowledge", &server.url("/s/large")]);
    assert!(http2.status == 0 || http2.body == content, "HTTP/2 in the clear is off by default");
    let mut slow = Raw::connect_narrow(server.address());
    slow.send("GET /s/large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    slow.read_to_end();
    assert!(slow.received.ends_with(&content[2_000_000..]));
}

#[test]
fn http2_gets_files_too() {
    let content: Vec<u8> = (0..500_000u32).map(|number| (number % 251) as u8).collect();
    let server = setup("").file("public/large", &content).arg("--http2").start();
    let answer = curl(["--http2-prior-knowledge", &server.url("/s/large")]);
    assert!(answer.head.starts_with("HTTP/2 200") && answer.body == content, "{}", answer.head);
}

#[test]
fn rfc_9110_13_conditional_requests() {
    let server = setup("").start();
    let first = get(&server, "/s/style.css", "");
    let (etag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for (field, value, status) in [
        ("If-None-Match", etag, 304),
        ("If-None-Match", "\"other\"", 200),
        ("If-Modified-Since", date, 304),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("If-Match", "\"other\"", 412),
        ("If-Match", etag, 200),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 412),
    ] {
        for method in ["GET", "HEAD"] {
            let response = request(&server, method, "/s/style.css", &format!("{field}: {value}\r\n"));
            assert_eq!(response.status, status, "{method} {field}: {value}");
            if status == 304 {
                assert_eq!((response.header("etag"), response.body.len()), (Some(etag), 0));
                assert_eq!(response.header("content-type"), None);
            }
        }
    }
    // A file that is replaced is another one.
    let path = server.path("public/style.css");
    fs::write(&path, "body { color: blue }\n").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(SystemTime::now() + Duration::from_secs(5))
        .unwrap();
    assert_eq!(get(&server, "/s/style.css", &format!("If-None-Match: {etag}\r\n")).text(), "body { color: blue }\n");
}

#[test]
fn rfc_9110_14_ranges() {
    let server = setup("").start();
    let all: Vec<u8> = (0..=255).collect();
    let etag = get(&server, "/s/data.bin", "").header("etag").unwrap().to_owned();
    for (range, expected, content_range) in [
        ("bytes=0-9", &all[0..10], "bytes 0-9/256"),
        ("bytes=250-", &all[250..], "bytes 250-255/256"),
        ("bytes=-6", &all[250..], "bytes 250-255/256"),
        ("bytes=200-999", &all[200..], "bytes 200-255/256"),
    ] {
        let response = get(&server, "/s/data.bin", &format!("Range: {range}\r\n"));
        assert_eq!((response.status, response.body.as_slice()), (206, expected), "{range}");
        assert_eq!(response.header("content-range"), Some(content_range));
    }
    let unsatisfiable = get(&server, "/s/data.bin", "Range: bytes=256-\r\n");
    assert_eq!((unsatisfiable.status, unsatisfiable.header("content-range")), (416, Some("bytes */256")));
    for whole in ["Range: bytes=9-0\r\n", "Range: lines=1-2\r\n", "Range: bytes=0-9\r\nIf-Range: \"x\"\r\n"] {
        assert_eq!(get(&server, "/s/data.bin", whole).status, 200, "{whole}");
    }
    assert_eq!(get(&server, "/s/data.bin", &format!("Range: bytes=0-9\r\nIf-Range: {etag}\r\n")).status, 206);
    assert_eq!(request(&server, "HEAD", "/s/data.bin", "Range: bytes=0-9\r\n").status, 200, "a range is for GET");
}

#[test]
fn rfc_9110_14_6_several_ranges() {
    let server = setup("").start();
    let response = get(&server, "/s/data.bin", "Range: bytes=1-2, 48-57, -1\r\n");
    assert_eq!(response.status, 206);
    let kind = response.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("several parts");
    let part = |range: &str, content: &[u8]| {
        let head = format!(
            "--{boundary}\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes {range}/256\r\n\r\n"
        );
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    let expected = [part("1-2", &[1, 2]), part("48-57", b"0123456789"), part("255-255", &[255])].concat();
    let expected = [&expected[..], format!("--{boundary}--\r\n").as_bytes()].concat();
    assert_eq!(response.body, expected);
    // One more than the limit, and overlaps that make more than the file.
    let many = format!("Range: bytes={}\r\n", vec!["0-0"; 17].join(","));
    assert_eq!(get(&server, "/s/data.bin", &many).status, 200);
    assert_eq!(get(&server, "/s/data.bin", "Range: bytes=0-200,0-200\r\n").status, 200);
}

#[test]
fn compressed_siblings_are_negotiated() {
    let server = setup("")
        .file("public/style.css.gz", "GZ")
        .file("public/style.css.br", "BR")
        .file("public/data.bin.gz", "GZ")
        .start();
    for (accept, body, coding) in [
        ("gzip, deflate, br, zstd", "BR", Some("br")),
        ("gzip", "GZ", Some("gzip")),
        ("gzip, br;q=0.5", "GZ", Some("gzip")),
        ("zstd", STYLE, None),
        ("br;q=0, gzip;q=0", STYLE, None),
        ("identity, br;q=0.5", STYLE, None),
    ] {
        let response = get(&server, "/s/style.css", &format!("Accept-Encoding: {accept}\r\n"));
        assert_eq!((response.text(), response.header("content-encoding")), (body, coding), "{accept}");
        assert_eq!(response.header("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(response.header("vary"), Some("accept-encoding"));
    }
    let tag = |accept: &str| {
        let response = get(&server, "/s/style.css", &format!("Accept-Encoding: {accept}\r\n"));
        response.header("etag").unwrap().to_owned()
    };
    assert!(tag("br") != tag("gzip") && tag("br") != tag("zstd"), "each representation has a tag of its own");
    // What gains nothing is not looked for, and what is older than its original was forgotten.
    assert_eq!(get(&server, "/s/data.bin", "Accept-Encoding: gzip\r\n").body.len(), 256);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(server.path("public/style.css.br")).unwrap().set_modified(old).unwrap();
    assert_eq!(get(&server, "/s/style.css", "Accept-Encoding: br\r\n").text(), STYLE);
    let without = setup(",no-precompressed").file("public/style.css.gz", "GZ").start();
    let response = get(&without, "/s/style.css", "Accept-Encoding: gzip\r\n");
    assert_eq!((response.text(), response.header("vary")), (STYLE, None));
}

#[test]
fn directories_have_an_index_and_no_listing() {
    let server = setup("").start();
    assert_eq!(get(&server, "/s/", "").text(), "<h1>home</h1>");
    assert_eq!(get(&server, "/s/sub/", "").text(), "<h1>sub</h1>");
    for path in ["/s", "/s/sub?a=b"] {
        let redirect = get(&server, path, "");
        let expected = path.replace("sub", "sub/").replace("/s?", "/s/?");
        let expected = if path == "/s" { "/s/".to_owned() } else { expected };
        assert_eq!((redirect.status, redirect.header("location")), (301, Some(expected.as_str())));
    }
    for path in ["/s/bare/", "/s/bare", "/s/style.css/"] {
        assert_eq!(get(&server, path, "").status, 404, "{path}");
    }
    let other = setup(",index=style.css").start();
    assert_eq!(get(&other, "/s/", "").text(), STYLE);
    assert_eq!(get(&setup(",no-index").start(), "/s/", "").status, 404);
}

#[test]
fn a_listing_shows_what_is_not_hidden() {
    let server = setup(",listing,no-index").start();
    let page = get(&server, "/s/", "");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for shown in ["href=\"./bare/\"", "href=\"./sub/\"", "href=\"./style.css\"", "<h1>/s/</h1>"] {
        assert!(page.text().contains(shown), "{shown} is not in {}", page.text());
    }
    assert!(!page.text().contains("hidden") && !page.text().contains(".git"), "{}", page.text());
    assert!(get(&server, "/s/bare/", "").text().contains("href=\"./a%26b.txt\">a&amp;b.txt<"));
    assert_eq!(get(&server, "/s/bare", "").header("location"), Some("/s/bare/"));
}

#[test]
fn other_methods_are_refused_or_left_to_the_application() {
    let server = setup("").start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let refused = request(&server, method, "/s/style.css", "Content-Length: 0\r\n");
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let server = setup(",fallthrough").start();
    assert_eq!(request(&server, "POST", "/s/style.css", "Content-Length: 0\r\n").text(), "app POST /s/style.css");
    assert_eq!(get(&server, "/s/missing", "").text(), "app GET /s/missing");
    assert_eq!(get(&server, "/s/bare/", "").text(), "app GET /s/bare/");
    assert_eq!(get(&server, "/s/style.css", "").text(), STYLE);
}

#[test]
fn cache_control_and_hosts() {
    let server = setup(",max-age=60,immutable,host=Files.example").start();
    assert_eq!(get(&server, "/s/style.css", "").text(), "app GET /s/style.css", "another host");
    let mut raw = Raw::connect(server.address());
    raw.send("GET /s/style.css HTTP/1.1\r\nHost: files.EXAMPLE:80\r\n\r\n");
    let response = raw.response("GET");
    assert_eq!((response.text(), response.header("cache-control")), (STYLE, Some("max-age=60, immutable")));
}

#[test]
fn the_longest_prefix_wins_and_root_path_is_not_part_of_it() {
    let setup = setup("").file("other/style.css", "other");
    let inner = format!("/s/deep={}", setup.path("other").display());
    let server = setup.args(["--static", &inner]).start();
    assert_eq!(get(&server, "/s/deep/style.css", "").text(), "other");
    assert_eq!(get(&server, "/s/deeper", "").status, 404);
    let server = self::setup("").args(["--root-path", "/app"]).start();
    assert_eq!(get(&server, "/app/s/style.css", "").text(), STYLE);
    assert_eq!(get(&server, "/app/s", "").header("location"), Some("/app/s/"));
}

#[test]
fn a_body_that_nobody_reads_does_no_harm() {
    let server = setup("").start();
    let mut raw = Raw::connect(server.address());
    raw.send("GET /s/style.css HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbodyGET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(raw.response("GET").text(), STYLE);
    assert_eq!(raw.response("GET").text(), "app GET /x");
}

/// Paths that lead out of a folder, if anybody lets them: every way up, in every disguise.
fn traversal_corpus() -> Vec<String> {
    let dots = [
        "..",
        "%2e%2e",
        "%2E%2E",
        ".%2e",
        "%2e.",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "%uff0e%uff0e",
        "..;",
        "..%00",
        "%2e%2e%00",
        "...",
        "....",
        "..%20",
        "..%09",
        "%ef%bc%8e%ef%bc%8e",
        "..%c0%af",
        "%25%32%65%25%32%65",
        "..\u{5c}",
        "..%0d",
    ];
    let slashes = ["/", "%2f", "%2F", "%5c", "\\", "%252f", "%c0%af", "//", "/./", "%5c/", "/%00/"];
    let mut paths = Vec::new();
    for dot in dots {
        for slash in slashes {
            paths.push(format!("/s/{dot}{slash}secret"));
            paths.push(format!("/s/sub{slash}{dot}{slash}{dot}{slash}secret"));
        }
    }
    for plain in [
        "/s/.hidden",
        "/s/.git/config",
        "/s/%2ehidden",
        "/s/sub/../.hidden",
        "/s/link",
        "/s/linkdir/secret",
        "/s/absolute",
        "/s/proc/self/environ",
        "/s//secret",
        "/s///etc/passwd",
        "/s/%2fetc/passwd",
        "/s/file:///etc/passwd",
        "/s/secret",
        "/s/style.css/../../secret",
        "/s/fifo",
        "/s/loop",
        "/s/loop/x",
    ] {
        paths.push(plain.to_owned());
    }
    paths
}

#[test]
fn no_path_of_the_corpus_leads_out() {
    let setup = setup(",listing").arg("--no-access-log");
    let public = setup.path("public");
    symlink("../secret", public.join("link")).unwrap();
    symlink("..", public.join("linkdir")).unwrap();
    symlink(setup.path("secret"), public.join("absolute")).unwrap();
    symlink("/proc", public.join("proc")).unwrap();
    symlink("loop", public.join("loop")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(public.join("fifo")).status().unwrap();
    assert!(made.success());
    let server = setup.start();
    let corpus = traversal_corpus();
    assert!(corpus.len() >= 200, "{}", corpus.len());
    for path in &corpus {
        let mut raw = Raw::connect(server.address());
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        raw.read_to_end();
        let (response, _) = Response::parse(&raw.received, "GET").unwrap().unwrap();
        // Some are refused as requests already.
        assert!(matches!(response.status, 400 | 404), "{path}: {}", raw.shown());
        assert!(!contains(&raw.received, b"hidden") && !contains(&raw.received, b"secret"), "{path}: {}", raw.shown());
    }
}

#[test]
fn unreadable_files_and_folders_are_said() {
    let outcome = Setup::perl(&application()).args(["--static", "/s=missing"]).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("Cannot serve files of ");
    outcome.assert_says("missing: No such file or directory");
    let setup = Setup::new().file("app.pl", application()).listens_elsewhere();
    let text = "app = 'app.pl'\nport = 0\nenv = 'none'\n\n[[static]]\npath = '/s'\ndirectory = 'missing'\n";
    let outcome = setup.file("pagi.toml", text).args(["--config", "pagi.toml", "--check"]).run();
    outcome.assert_says("pagi.toml:7: Cannot serve files of ");
}

#[test]
fn folders_of_the_configuration_file_and_a_reload() {
    let table = |directory: &str| {
        format!("workers = 2\n[[static]]\npath = '/s'\ndirectory = '{directory}'\nmax_age = 5\nfallthrough = true\n")
    };
    let server = Setup::perl(&application())
        .file("one/a.txt", "one")
        .file("two/a.txt", "two")
        .file("pagi.toml", table("one"))
        .args(["--config", "pagi.toml", "-E", "none"])
        .start();
    let response = get(&server, "/s/a.txt", "");
    assert_eq!((response.text(), response.header("cache-control")), ("one", Some("max-age=5")));
    assert_eq!(get(&server, "/s/b", "").text(), "app GET /s/b");
    fs::write(server.path("pagi.toml"), table("two")).unwrap();
    server.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until(|| get(&server, "/s/a.txt", "").text() == "two");
}
