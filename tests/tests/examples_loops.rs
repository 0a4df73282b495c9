//! The examples about event loops run, without and with workers, and do what their READMEs say.

use std::time::{Duration, Instant};

use pagi_tests::app::{self, example};
use pagi_tests::curl::curl;
use pagi_tests::patience::await_that;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

/// Runs a check against an example in each process mode. The server ends well and has logged no error.
fn try_example(name: &str, workers: &[u32], prepare: impl Fn(Setup) -> Setup, check: impl Fn(&Server)) {
    for &workers in workers {
        let mut server = prepare(Setup::new().app(example(name)).workers(workers)).start();
        check(&server);
        assert!(server.stop().success(), "{name} with {workers} workers:\n{}", server.log());
        let log = server.log();
        for word in [" ERROR ", "Use of uninitialized", "lost its returning future"] {
            assert!(!log.contains(word), "{name} with {workers} workers:\n{log}");
        }
    }
}

#[track_caller]
fn expect(server: &Server, path: &str, text: &str) {
    let answer = curl([server.url(path)]);
    assert_eq!((answer.status, answer.text()), (200, text), "{}", server.log());
}

#[test]
fn background_tasks() {
    let quick = |setup: Setup| setup.env("BACKGROUND_STEP", "0.05");
    try_example("background-tasks", &[1], quick, |server| {
        let accepted = curl(["-X", "POST", &server.url("/jobs")]);
        assert_eq!((accepted.status, accepted.header("location")), (202, Some("/jobs/1")));
        await_that("the job's end", || curl([server.url("/jobs/1")]).text() == "job 1 is finished: 3 of 3\n");
        assert_eq!(curl([server.url("/jobs/7")]).status, 404);
        assert_eq!(curl(["-X", "POST", &server.url("/jobs")]).status, 202);
        // It still runs when the server is stopped, which waits for it.
    });
    let swept = |setup: Setup| setup.env("BACKGROUND_STEP", "0").env("BACKGROUND_SWEEP", "0.5");
    try_example("background-tasks", &[1], swept, |server| {
        assert_eq!(curl(["-X", "POST", &server.url("/jobs")]).status, 202);
        await_that("the sweeper", || curl([server.url("/jobs/1")]).status == 404);
    });
}

#[test]
fn foreign_loop() {
    let chosen = |setup: Setup| setup.arg("--loop").arg("EV");
    try_example("foreign-loop", &[1, 2], chosen, |server| {
        (0..3).for_each(|_| expect(server, "/", "EV turns\n"));
        assert!(server.has_said("(loop: EV,"), "{}", server.log());
    });
    try_example(
        "foreign-loop",
        &[1],
        |setup| setup,
        |server| {
            let answer = curl([server.url("/")]);
            assert_eq!((answer.status, answer.text()), (500, "nobody turns EV: start the server with --loop EV\n"));
        },
    );
}

#[test]
fn io_async() {
    try_example(
        "io-async",
        &[1, 2],
        |setup| setup,
        |server| {
            expect(server, "/primes/100", "25 primes below 100\n");
            await_that("ticks", || curl([server.url("/")]).text() != "0 ticks\n");
            expect(server, "/primes/10", "4 primes below 10\n");
        },
    );
}

#[test]
fn mojo_proxy() {
    let behind = Setup::perl(&app::handler(
        "my $body = (await $receive->())->{body};
        my ($from) = map { $_->[1] } grep { $_->[0] eq 'x-forwarded-for' } $scope->{headers}->@*;
        await answer($send, qq{$scope->{method} $path?$scope->{query_string} $body for $from}, 201, [ 'x-seen', 'yes' ]);",
    ))
    .start();
    let target = behind.url("");
    try_example(
        "mojo-proxy",
        &[1, 2],
        |setup| setup.env("MOJO_PROXY_TARGET", &target),
        |server| {
            let answer = curl(["-d", "a body", &server.url("/some/where?a=b")]);
            assert_eq!(
                (answer.status, answer.text(), answer.header("x-seen")),
                (201, "POST /some/where?a=b a body for 127.0.0.1", Some("yes")),
                "{}",
                server.log()
            );
        },
    );
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    try_example(
        "mojo-proxy",
        &[1],
        |setup| setup.env("MOJO_PROXY_TARGET", format!("http://{nobody}")),
        |server| {
            assert_eq!(curl([server.url("/")]).status, 502);
        },
    );
}

#[test]
fn anyevent_timer() {
    let quick = |setup: Setup| setup.env("ANYEVENT_TIMER_DELAY", "0.05");
    try_example("anyevent-timer", &[1, 2], quick, |server| {
        expect(server, "/", "the timer fired\n");
        expect(server, "/recv", "recv returned\n");
    });
    let slow = |setup: Setup| setup.env("ANYEVENT_TIMER_DELAY", "1.5");
    try_example("anyevent-timer", &[1], slow, |server| {
        let mut blocked = Raw::connect(server.address());
        blocked.send("GET /recv HTTP/1.1\r\nHost: x\r\n\r\n");
        let began = Instant::now();
        // Whether these come before or inside of recv: they do not wait for its end.
        (0..5).for_each(|_| expect(server, "/now", "now\n"));
        assert_eq!(blocked.response("GET").text(), "recv returned\n");
        assert!(began.elapsed() >= Duration::from_secs(1), "the others were served before it returned");
    });
}

#[test]
fn four_loops() {
    try_example(
        "four-loops",
        &[1, 2],
        |setup| setup.env("FOUR_LOOPS_DELAY", "0.05"),
        |server| {
            (0..3).for_each(|_| expect(server, "/", "Future::IO, IO::Async, Mojo::IOLoop, AnyEvent\n"));
        },
    );
}
