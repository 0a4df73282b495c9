//! Files that an application names instead of sending them (`--x-sendfile`, `--x-accel-redirect`).

use pagi_tests::app;
use pagi_tests::http::Response;
use pagi_tests::raw::{Raw, contains};
use pagi_tests::server::{Server, Setup};

const CONTENT: &str = "<h1>what only members may read</h1>";

/// Names the file that the query says, in the field that the path says.
fn application() -> String {
    app::handler(
        r#"my ($field) = $path =~ m{([-\w]+)};
        my $value = $scope->{query_string} =~ s{SCRATCH}{$scratch}r;
        my $status = $path =~ m{/(\d+)} ? $1 : 200;
        my @headers = ([ $field, $value ], [ 'x-own', 'kept' ], [ 'content-length', 4 ]);
        push @headers, [ 'content-type', 'text/x-own' ] if $path =~ m{typed};
        await $send->({ type => 'http.response.start', status => $status, headers => \@headers });
        if ($path =~ m{stream}) {
            await $send->({ type => 'http.response.body', body => 'no', more => 1 });
            await $send->({ type => 'http.response.body', body => 'ne', more => 0 });
        }
        elsif ($path =~ m{/file}) {
            await $send->({ type => 'http.response.body', file => "$scratch/none" });
        }
        else {
            await $send->({ type => 'http.response.body', body => 'none' });
        }"#,
    )
}

fn setup() -> Setup {
    Setup::perl(&application())
        .file("private/page.html", CONTENT)
        .file("private/.hidden", "hidden but named")
        .file("private/a b.txt", "spaced")
        .file("secret", "secret")
        .args(["-E", "none"])
}

fn start() -> Server {
    setup().args(["--x-sendfile", "private", "--x-accel-redirect", "/internal=private"]).start()
}

fn request(server: &Server, method: &str, path: &str, headers: &str) -> Response {
    let mut raw = Raw::connect(server.address());
    raw.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n"));
    raw.response(method)
}

fn get(server: &Server, path: &str) -> Response {
    request(server, "GET", path, "")
}

const FORMS: [&str; 2] = ["/x-sendfile?SCRATCH/private/page.html", "/X-Accel-Redirect?/internal/page.html"];

#[test]
fn the_file_takes_the_place_of_the_body() {
    let server = start();
    for form in FORMS {
        for path in [form.to_owned(), form.replace('?', "/stream?"), form.replace('?', "/file?")] {
            let response = get(&server, &path);
            assert_eq!((response.status, response.text()), (200, CONTENT), "{path}");
            assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
            assert_eq!(response.header("content-length"), Some(CONTENT.len().to_string().as_str()));
            assert_eq!(response.header("x-own"), Some("kept"));
            assert!(response.header("etag").is_some() && response.header("last-modified").is_some());
            assert!(!contains(&response.head.to_ascii_lowercase(), b"x-sendfile"), "{response:?}");
            assert!(!contains(&response.head.to_ascii_lowercase(), b"x-accel"), "{response:?}");
        }
        let head = request(&server, "HEAD", form, "");
        assert_eq!((head.header("content-length"), head.body.len()), (Some(CONTENT.len().to_string().as_str()), 0));
        assert_eq!(get(&server, &form.replace('?', "/typed?")).header("content-type"), Some("text/x-own"));
    }
    // A hidden file is the application's business, and a path is decoded where it is one.
    assert_eq!(get(&server, "/x-sendfile?SCRATCH/private/.hidden").text(), "hidden but named");
    assert_eq!(get(&server, "/x-accel-redirect?/internal/a%20b.txt").text(), "spaced");
    let mut raw = Raw::connect(server.address());
    for _ in 0..3 {
        raw.send(format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", FORMS[0]));
        assert_eq!(raw.response("GET").text(), CONTENT, "the connection goes on");
    }
}

#[test]
fn conditions_and_ranges_are_those_of_the_file() {
    let server = start();
    for form in FORMS {
        let etag = get(&server, form).header("etag").unwrap().to_owned();
        let fresh = request(&server, "GET", form, &format!("If-None-Match: {etag}\r\n"));
        assert_eq!((fresh.status, fresh.body.len(), fresh.header("x-own")), (304, 0, Some("kept")));
        let part = request(&server, "GET", form, "Range: bytes=0-3\r\n");
        assert_eq!((part.status, part.text()), (206, "<h1>"));
        // Another status, or another method, is the application's word.
        let other = request(&server, "GET", &form.replace('?', "/403?"), "Range: bytes=0-3\r\n");
        assert_eq!((other.status, other.text()), (403, CONTENT));
        let post = request(&server, "POST", form, "Content-Length: 0\r\nRange: bytes=0-3\r\n");
        assert_eq!((post.status, post.text()), (200, CONTENT));
    }
}

#[test]
fn nothing_outside_is_sent() {
    let server = start();
    for path in [
        "/x-sendfile?SCRATCH/secret",
        "/x-sendfile?SCRATCH/private/../secret",
        "/x-sendfile?SCRATCH/privateer/x",
        "/x-sendfile?/etc/passwd",
        "/x-sendfile?private/page.html",
        "/x-sendfile?SCRATCH/private",
        "/x-sendfile?SCRATCH/private/none",
        "/x-sendfile?",
        "/x-accel-redirect?/internal/../secret",
        "/x-accel-redirect?/internal/%2e%2e/secret",
        "/x-accel-redirect?/internal//../secret",
        "/x-accel-redirect?/internals/page.html",
        "/x-accel-redirect?/other/page.html",
    ] {
        let response = get(&server, path);
        assert_eq!((response.status, response.text()), (404, "404 Not Found\r\n"), "{path}");
    }
    server.wait_for_log("/secret' is not sent: there is no such file where it may be");
}

#[test]
fn without_the_options_they_are_fields_like_any_other() {
    let server = setup().start();
    let response = get(&server, FORMS[0]);
    assert_eq!(response.text(), "none");
    assert!(response.header("x-sendfile").is_some_and(|path| path.ends_with("/private/page.html")));
    let one = setup().args(["--x-sendfile", "private"]).start();
    assert_eq!(get(&one, FORMS[1]).header("x-accel-redirect"), Some("/internal/page.html"), "each has its own option");
    assert_eq!(get(&one, FORMS[0]).text(), CONTENT);
    let outcome = setup().args(["--x-sendfile", "missing"]).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("missing: No such file or directory");
}

#[test]
fn a_psgi_application_in_the_pool_may_name_files_too() {
    let psgi = r#"my ($scratch) = __FILE__ =~ m{\A(.*)/};
        sub { [200, ['Content-Type' => 'text/x-psgi', 'X-Sendfile' => "$scratch/private/page.html"], ['none']] }"#;
    let setup = setup().file("app.psgi", psgi);
    let path = setup.path("app.psgi");
    let server = setup.app(path).args(["--pool", "1", "--x-sendfile", "private"]).start();
    let response = get(&server, "/");
    assert_eq!((response.text(), response.header("content-type")), (CONTENT, Some("text/x-psgi")));
}
