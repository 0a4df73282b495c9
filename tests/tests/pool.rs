//! The pool: whole blocking requests in processes of their own.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::http::Response;
use pagi_tests::load;
use pagi_tests::patience::{PATIENCE, await_that};
use pagi_tests::process;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};
use pagi_tests::tls::Authority;

/// A PSGI application that shows what it was asked, and blocks on demand.
const PSGI: &str = r#"use v5.36;
sub {
    my ($env) = @_;
    my $path = $env->{PATH_INFO};
    if ($path =~ m{\A/sleep/([\d.]+)}) { select undef, undef, undef, $1 }
    kill KILL => $$ if $path eq '/crash';
    die "on purpose\n" if $path eq '/die';
    return [200, ['Content-Type' => 'text/plain', 'Set-Cookie' => 'a=1', 'X-B' => 'b', 'Set-Cookie' => 'c=2'], [$$]]
        if $path eq '/pid' || $path =~ m{\A/sleep};
    return [200, ['Content-Type' => 'text/plain'], ['x' x $1]] if $path =~ m{\A/big/(\d+)};
    return sub ($respond) {
        my $writer = $respond->([200, ['Content-Type' => 'text/plain']]);
        $writer->write("part $_\n") for 1 .. 3;
        $writer->close;
    } if $path eq '/stream';
    my $input = $env->{'psgi.input'};
    my ($body, $size) = ('', 0);
    while (my $read = $input->read($body, 65536)) { $size += $read }
    my $shown = join ' ', map { $env->{$_} // '-' }
        qw(REQUEST_METHOD PATH_INFO QUERY_STRING REMOTE_ADDR SERVER_PROTOCOL HTTP_X_TEST);
    return [200, ['Content-Type' => 'text/plain'], ["$shown body=$size\n"]];
};
"#;

fn psgi() -> Setup {
    let setup = Setup::new().file("app.psgi", PSGI);
    let path = setup.path("app.psgi");
    setup.app(path)
}

fn pool_processes(server: &Server) -> Vec<Pid> {
    let group = process::group(server.pid());
    group
        .into_iter()
        .filter(|process| process.title.starts_with("pagi-server: pool"))
        .map(|process| process.pid)
        .collect()
}

/// A started server whose pool processes are all there.
fn start(setup: Setup, pool: usize) -> Server {
    let server = setup.arg("--pool").arg(pool.to_string()).start();
    await_that("the pool is there", || pool_processes(&server).len() == pool);
    server
}

fn get(server: &Server, path: &str) -> Response {
    load::get(server.address(), path).unwrap_or_else(|error| panic!("{path}: {error:?}\n{}", server.log()))
}

fn request(server: &Server, text: &str) -> String {
    let mut client = Raw::connect(server.address());
    client.send(text);
    client.read_to_end();
    String::from_utf8_lossy(&client.received).into_owned()
}

#[test]
fn a_psgi_file_runs_without_a_pool_in_its_worker() {
    let server = psgi().start();
    assert!(get(&server, "/x?y=1").text().starts_with("GET /x y=1 127.0.0.1 HTTP/1.1"));
    assert!(server.log().contains("is a PSGI application: without --pool it blocks its worker"), "{}", server.log());
    let events = "GET /stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n";
    assert!(request(&server, events).contains("part 3"));
}

#[test]
fn whole_requests_are_answered_by_pool_processes() {
    let server = start(psgi().workers(2), 2);
    let pool = pool_processes(&server);
    for _ in 0..6 {
        let answer = get(&server, "/pid");
        let pid = Pid::from_raw(answer.text().parse().expect("a process id"));
        assert!(pool.contains(&pid), "{pid} of {pool:?}");
    }
    let shown = get(&server, "/x/y?q=1");
    assert!(shown.text().starts_with("GET /x/y q=1 127.0.0.1 HTTP/1.1 - body=0"), "{}", shown.text());
    let raw = request(&server, "GET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").to_lowercase();
    let order: Vec<usize> =
        ["set-cookie: a=1", "x-b: b", "set-cookie: c=2"].iter().filter_map(|field| raw.find(field)).collect();
    assert_eq!(order.len(), 3, "{raw}");
    assert!(order.is_sorted(), "{raw}");
    assert_eq!(raw.matches("http/1.1").count(), 1, "{raw}");
    let head = request(&server, "HEAD /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let events = "GET /stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n";
    assert!(request(&server, events).contains("part 3"));
}

#[test]
fn bodies_of_every_framing_and_size_reach_the_pool() {
    let server = start(psgi().workers(2), 1);
    for size in [0, 10, 65_536, 3_000_000] {
        let body = "b".repeat(size);
        let text = format!("POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{body}");
        let answer = request(&server, &text);
        assert!(answer.contains(&format!("body={size}\n")), "{size}: {answer}");
        let chunks: String = body
            .as_bytes()
            .chunks(50_000)
            .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), "c".repeat(chunk.len())))
            .collect();
        let text = format!(
            "POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        );
        let answer = request(&server, &text);
        assert!(answer.contains(&format!("body={size}\n")), "chunked {size}: {answer}");
    }
    let waiting =
        "POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut client = Raw::connect(server.address());
    client.send(waiting);
    client.read_until_contains("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc");
    client.read_to_end();
    let answer = String::from_utf8_lossy(&client.received).into_owned();
    assert!(answer.contains("body=3\n"), "{answer}");
}

#[test]
fn a_blocking_request_delays_neither_its_neighbours_nor_the_worker() {
    let text = app::perl(
        "use PAGI::App::WrapPSGI; use PAGI::App::URLMap;
        my $map = PAGI::App::URLMap->new;
        $map->mount('/blocking' => PAGI::App::WrapPSGI->new(psgi_app => sub {
            select undef, undef, undef, 1;
            return [200, ['Content-Type' => 'text/plain'], [$$]];
        })->to_app);
        $map->mount('/quick' => async sub ($scope, $receive, $send) { await answer($send, $$) });
        $map->to_app;",
    );
    // One worker: what blocked it would block everybody.
    let server = start(Setup::perl(&text), 2);
    let worker = get(&server, "/quick").text().to_owned();
    let began = Instant::now();
    let address = server.address();
    let blocked: Vec<_> = (0..4)
        .map(|_| thread::spawn(move || load::get(address, "/blocking").map(|answer| answer.text().to_owned())))
        .collect();
    let mut quick = 0;
    while blocked.iter().any(|thread| !thread.is_finished()) {
        assert_eq!(get(&server, "/quick").text(), worker);
        quick += 1;
        thread::sleep(Duration::from_millis(5));
    }
    // Two at a time, and two seconds of quick answers beside them.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(quick >= 20, "{quick}");
    for thread in blocked {
        let pid = thread.join().expect("it ends").expect("it is answered");
        assert_ne!(pid, worker);
    }
}

#[test]
fn a_pool_process_that_dies_fails_only_its_own_request() {
    let server = start(psgi().workers(2), 2);
    let address = server.address();
    let other = thread::spawn(move || load::get(address, "/sleep/1"));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(get(&server, "/crash").status, 500);
    assert!(
        server.log().contains("The pool process failed: it ended before its response was complete"),
        "{}",
        server.log()
    );
    assert_eq!(other.join().expect("it ends").expect("it is answered").status, 200);
    await_that("the process is replaced", || pool_processes(&server).len() == 2);
    assert_eq!(get(&server, "/pid").status, 200);
    assert_eq!(get(&server, "/die").status, 500);
    assert!(server.log().contains("on purpose"), "{}", server.log());
}

#[test]
fn a_pool_process_that_takes_too_long_is_answered_for_and_replaced() {
    let server = start(psgi().workers(2).args(["--pool-timeout", "1"]), 1);
    let old = pool_processes(&server);
    let answer = get(&server, "/sleep/60");
    assert_eq!((answer.status, answer.text()), (504, "504 Gateway Timeout\r\n"));
    await_that("the process is replaced", || {
        let now = pool_processes(&server);
        now.len() == 1 && now != old
    });
    assert!(server.log().contains("app.psgi line 5"), "the log says where it was: {}", server.log());
    assert_eq!(get(&server, "/pid").status, 200);
}

#[test]
fn a_full_queue_is_answered_503_at_once() {
    let server = start(psgi().workers(2).args(["--pool-queue-limit", "2"]), 1);
    let address = server.address();
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let thread = thread::spawn(move || load::get(address, "/sleep/3"));
            thread::sleep(Duration::from_millis(200));
            thread
        })
        .collect();
    let began = Instant::now();
    let refused = get(&server, "/pid");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(began.elapsed() < Duration::from_secs(2), "at once: {:?}", began.elapsed());
    for thread in busy {
        assert_eq!(thread.join().expect("it ends").expect("it is answered").status, 200);
    }
    // To block is what the processes are for.
    assert!(!server.log().contains("held the event loop"), "{}", server.log());
}

#[test]
fn over_tls_and_http2_the_pool_answers_as_on_plain_connections() {
    let authority = Authority::new("Root");
    let identity = authority.server("server", &["localhost"]);
    let server = start(psgi().workers(2).args(identity.options()).args(["--pool-queue-limit", "1"]), 1);
    let ca = authority.file();
    let url = |path: &str| format!("https://localhost:{}{path}", server.address().port());
    for (version, protocol) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        let ask = |path: &str, more: &[&str]| {
            let url = url(path);
            curl([&["--ipv4", version, "--cacert", ca.to_str().expect("a path")], more, &[url.as_str()]].concat())
        };
        let shown = ask("/shown?q", &["-d", "four", "-H", "X-Test: t"]);
        let expected = format!("POST /shown q 127.0.0.1 {protocol} t body=4\n");
        assert_eq!((shown.status, shown.text()), (200, &*expected), "{version}");
        assert_eq!(ask("/big/4000000", &[]).body.len(), 4_000_000, "{version}");
        assert_eq!(ask("/stream", &[]).text(), "part 1\npart 2\npart 3\n", "{version}");
        assert_eq!(ask("/die", &[]).status, 500, "{version}");
        assert_eq!(ask("/crash", &[]).status, 500, "{version}");
        await_that("the pool is there again", || pool_processes(&server).len() == 1);
        // One runs, one waits, and the third is told at once.
        let busy: Vec<_> = (0..2)
            .map(|_| {
                let (url, ca) = (url("/sleep/2"), ca.clone());
                let asked = thread::spawn(move || {
                    curl(["--ipv4", version, "--cacert", ca.to_str().expect("a path"), url.as_str()])
                });
                thread::sleep(Duration::from_millis(300));
                asked
            })
            .collect();
        assert_eq!(ask("/pid", &[]).status, 503, "{version}");
        for asked in busy {
            assert_eq!(asked.join().expect("curl runs").status, 200, "{version}");
        }
    }
}

#[test]
fn a_request_waits_for_the_pool_only_so_long() {
    let server = start(psgi().workers(2).args(["--pool-queue-timeout", "0.5"]), 1);
    let address = server.address();
    let busy = thread::spawn(move || load::get(address, "/sleep/2"));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(get(&server, "/pid").status, 503);
    assert!(server.log().contains("No pool process took the request within 0.5 s"), "{}", server.log());
    assert_eq!(busy.join().expect("it ends").expect("it is answered").status, 200);
    // The request that was given up does not stay in the way.
    assert_eq!(get(&server, "/pid").status, 200);
}

/// A server whose only pool process has answered a client that has not read more than the first bytes. What the kernel
/// takes of the rest is little on a Unix socket, and the same everywhere.
fn beside_a_slow_client(buffer: &str, length: usize) -> (Server, UnixStream, Vec<u8>) {
    let setup = psgi().workers(2).listens_elsewhere().args(["--listen", "127.0.0.1:0", "--listen", "app.sock"]);
    let server = start(setup.args(["--pool-buffer", buffer, "--pool-queue-timeout", "0.5"]), 1);
    let mut slow = UnixStream::connect(server.path("app.sock")).expect("the server listens");
    slow.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let request = format!("GET /big/{length} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).expect("the server takes the bytes");
    let mut received = vec![0; 12];
    slow.read_exact(&mut received).expect("the response begins");
    (server, slow, received)
}

/// Reads the rest of a response: the length of its body.
fn read_on(mut slow: UnixStream, mut received: Vec<u8>) -> usize {
    slow.read_to_end(&mut received).expect("the response ends");
    let (response, _) = Response::parse(&received, "GET").expect("it is HTTP").expect("it has a head");
    assert!(response.complete);
    response.body.len()
}

#[test]
fn a_long_upload_waits_for_the_pool_only_so_long() {
    let server = start(psgi().workers(2).args(["--pool-queue-timeout", "0.5"]), 1);
    let address = server.address();
    let busy = thread::spawn(move || load::get(address, "/sleep/2"));
    thread::sleep(Duration::from_millis(300));
    // More than the kernel holds for a stream that nobody reads.
    let mut client = Raw::connect(address);
    client.send("POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n");
    client.send("b".repeat(500_000));
    client.read_until_contains("HTTP/1.1 503");
    assert_eq!(busy.join().expect("it ends").expect("it is answered").status, 200);
}

#[test]
fn a_request_whose_client_has_gone_before_its_turn_is_not_run() {
    let setup = psgi();
    let mark = setup.path("mark");
    let text = format!(
        "sub {{ select undef, undef, undef, 1 if $_[0]{{PATH_INFO}} eq '/sleep'; \
         open my $file, '>>', '{}'; print $file $_[0]{{PATH_INFO}}; [200, [], ['done']] }}",
        mark.display()
    );
    let server = start(setup.file("app.psgi", text).workers(1), 1);
    let address = server.address();
    let busy = thread::spawn(move || load::get(address, "/sleep"));
    thread::sleep(Duration::from_millis(300));
    let mut leaves = Raw::connect(address);
    leaves.send("GET /gone HTTP/1.1\r\nHost: x\r\n\r\n");
    thread::sleep(Duration::from_millis(100));
    drop(leaves);
    assert_eq!(busy.join().expect("it ends").expect("it is answered").status, 200);
    assert_eq!(get(&server, "/last").status, 200);
    assert_eq!(std::fs::read_to_string(mark).expect("it was written"), "/sleep/last");
}

#[test]
fn the_pool_sees_the_version_that_the_client_speaks() {
    let server = start(psgi(), 1);
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let answer = request(&server, &format!("GET /v {version}\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert!(answer.contains(&format!(" {version} - body=0")), "{answer}");
    }
}

#[test]
fn trlr_4_trailers_come_through_the_pool() {
    let text = app::perl(
        r#"async sub ($scope, $receive, $send) {
            die "Unsupported scope type: $scope->{type}" if $scope->{type} ne 'http';
            if (my $answered = $scope->{'pagi.connection'}->hand_over) { return await $answered }
            my $promised = $scope->{path} eq '/promised';
            await $send->({ type => 'http.response.start', status => 200, headers => [], trailers => $promised });
            await $send->({ type => 'http.response.body', body => "pid $$", more => 0 });
            await $send->({ type => 'http.response.trailers', headers => [['x-sum', '7']] }) if $promised;
        }"#,
    );
    let server = start(Setup::perl(&text).workers(1).args(["--http2"]), 1);
    let pid = format!("pid {}", pool_processes(&server)[0]);
    let answer = request(&server, "GET /promised HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.contains(&pid) && answer.ends_with("\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    let answer = request(&server, "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.contains(&pid) && answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
    let answer = request(&server, "GET /none HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with(&pid), "{answer}");
    for (path, sum) in [("/promised", Some("7")), ("/none", None)] {
        let shown = curl(["--http2-prior-knowledge", &server.url(path)]);
        assert!(shown.head.starts_with("HTTP/2 200"), "{}", shown.head);
        assert_eq!((shown.exit, shown.text(), shown.header("x-sum")), (0, &*pid, sum), "{path}: {}", shown.head);
    }
}

#[test]
fn the_pool_sees_the_fields_that_a_worker_sees() {
    let text =
        "sub { my ($env) = @_; my @names = grep { /^(HTTP_|CONTENT_|SERVER_PROTOCOL|REQUEST_METHOD)/ } sort keys %$env;
        [200, [], [join ' ', map { \"$_=\" . ($env->{$_} // '-') } @names]] }";
    let start = |pool: &str| {
        let setup = Setup::new().file("app.psgi", text);
        let path = setup.path("app.psgi");
        setup.app(path).workers(1).args(["--http2", "--pool", pool]).start()
    };
    let (worker, pool) = (start("0"), start("1"));
    await_that("the pool is there", || pool_processes(&pool).len() == 1);
    for text in [
        "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close, te\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.0\r\nHost: x\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        let shown = |server| {
            let answer = request(server, text);
            answer.lines().last().expect("a body").to_owned()
        };
        assert_eq!(shown(&pool), shown(&worker), "{text}");
    }
    for body in [&["-d", "abc"][..], &["-T", "."], &[]] {
        let shown = |server: &Server| {
            let url = format!("http://localhost:{}/a", server.address().port());
            let arguments = [&["--ipv4", "--http2-prior-knowledge", "-H", "host: x"], body, &[&*url]].concat();
            curl(arguments).text().to_owned()
        };
        assert_eq!(shown(&pool), shown(&worker), "{body:?}");
        assert!(shown(&pool).contains("SERVER_PROTOCOL=HTTP/2"), "{body:?}");
    }
}

#[test]
fn a_process_that_ends_itself_loses_no_request() {
    let text = "sub { $_[0]{'psgix.harakiri.commit'} = 1; [200, [], [$$]] }";
    let setup = Setup::new().file("app.psgi", text);
    let path = setup.path("app.psgi");
    let server = start(setup.app(path).workers(1), 1);
    let address = server.address();
    let clients: Vec<_> =
        (0..4).map(|_| thread::spawn(move || (0..8).map(|_| load::get(address, "/")).collect::<Vec<_>>())).collect();
    let answers: Vec<_> = clients.into_iter().flat_map(|client| client.join().expect("it ends")).collect();
    let mut processes = HashSet::new();
    for answer in answers {
        let answer = answer.expect("it is answered");
        assert_eq!(answer.status, 200, "{}", server.log());
        processes.insert(answer.text().to_owned());
    }
    assert!(processes.len() >= 8, "{processes:?}");
    assert!(!server.log().contains("force-closing"), "{}", server.log());
}

#[test]
fn a_slow_client_occupies_no_pool_process() {
    let (server, slow, received) = beside_a_slow_client("8000000", 4_000_000);
    await_that("the pool process is free while the client reads", || get(&server, "/pid").status == 200);
    assert_eq!(read_on(slow, received), 4_000_000);
}

#[test]
fn a_small_buffer_makes_a_pool_process_wait_for_a_slow_client() {
    // By default all of this would be taken off it.
    let (server, slow, received) = beside_a_slow_client("1000", 900_000);
    for _ in 0..2 {
        assert_eq!(get(&server, "/pid").status, 503, "the pool process has not got rid of its response");
    }
    assert_eq!(read_on(slow, received), 900_000);
    assert_eq!(get(&server, "/pid").status, 200);
}

#[test]
fn a_stop_waits_for_requests_in_the_pool_and_a_reload_replaces_it() {
    let server = start(psgi().workers(2), 2);
    let old = pool_processes(&server);
    let address = server.address();
    let during_reload = thread::spawn(move || load::get(address, "/sleep/1"));
    thread::sleep(Duration::from_millis(200));
    kill(server.pid(), Signal::SIGHUP).expect("it lives");
    await_that("new pool processes", || {
        let now = pool_processes(&server);
        now.len() == 2 && now.iter().all(|pid| !old.contains(pid))
    });
    assert_eq!(during_reload.join().expect("it ends").expect("it is answered").status, 200);
    let during_stop = thread::spawn(move || load::get(address, "/sleep/1"));
    thread::sleep(Duration::from_millis(300));
    kill(server.pid(), Signal::SIGTERM).expect("it lives");
    assert_eq!(during_stop.join().expect("it ends").expect("it is answered").status, 200);
    await_that("everybody has gone", || process::group(server.pid()).is_empty());
}
