//! IO::Async, Mojolicious and AnyEvent on the worker's loop: their own promises, checked inside a worker
//! (event-loops.md, IOA rules). The checks are Perl, in `apps/loops`; each path answers with its TAP output.

use pagi_tests::app;
use pagi_tests::load;
use pagi_tests::server::{Server, Setup};

/// Starts one of the applications without workers and with two.
fn both(name: &str) -> [Server; 2] {
    [0, 2].map(|workers| Setup::new().app(app::test_app(&format!("loops/{name}.pl"))).workers(workers).start())
}

/// Runs one test and wants every line of its output to be ok.
#[track_caller]
fn passes(server: &Server, test: &str) {
    let response = load::get(server.address(), &format!("/{test}"))
        .unwrap_or_else(|error| panic!("{test}: {error}\n{}", server.log()));
    all_ok(test, response.text(), server);
}

#[track_caller]
fn all_ok(test: &str, output: &str, server: &Server) {
    let plan = output.lines().find_map(|line| line.strip_prefix("1..")).and_then(|number| number.parse::<usize>().ok());
    let passed = output.lines().filter(|line| line.starts_with("ok ")).count();
    let complete = plan == Some(passed) && !output.contains("not ok");
    assert!(complete, "{test}:\n{output}\nlog:\n{}", server.log());
}

#[track_caller]
fn complains_of_nothing(server: &Server) {
    let log = server.log();
    let bad = ["uncaught exception", "lost its returning future", "redefined", "uninitialized", "void context"];
    assert!(!bad.iter().any(|text| log.contains(text)), "{log}");
}

#[test]
fn ioa_1_ioa_4_the_tests_of_io_async_pass_in_a_worker() {
    // At their leisurely pace, which leaves room for a busy machine; so all at the same time, each in a process.
    let tests = ["io", "timer", "idle", "process", "control", "metrics"];
    std::thread::scope(|scope| {
        for (number, test) in tests.into_iter().enumerate() {
            scope.spawn(move || {
                let workers = if number % 2 == 0 { 0 } else { 2 };
                let server = Setup::new().app(app::test_app("loops/ioasync.pl")).workers(workers).start();
                passes(&server, test);
                complains_of_nothing(&server);
            });
        }
    });
}

#[test]
fn ioa_4_bind_3_the_signal_tests_of_io_async_pass_and_term_stops_the_server_afterwards() {
    for workers in [0, 2] {
        let setup = Setup::new().app(app::test_app("loops/ioasync.pl")).workers(workers);
        let file = setup.path("tap");
        let mut server = setup.env("SIGNAL_TESTS", &file).start();
        all_ok("signal", &server.output("tap"), &server);
        passes(&server, "idle");
        assert!(server.stop().success(), "{}", server.log());
    }
}

#[test]
fn ioa_2_ioa_3_the_reactor_of_mojolicious_keeps_its_promises() {
    for server in both("mojo") {
        for test in ["detected", "timers", "io", "ticks", "errors", "reset"] {
            passes(&server, test);
        }
        complains_of_nothing(&server);
    }
}

#[test]
fn ioa_1_promises_subprocesses_and_clients_of_mojolicious() {
    for server in both("mojo") {
        for test in ["promises", "subprocess", "stream", "agent", "promises"] {
            passes(&server, test);
        }
        complains_of_nothing(&server);
    }
}

#[test]
fn ioa_2_the_event_model_of_anyevent_keeps_its_promises() {
    for server in both("anyevent") {
        for test in ["model", "timers", "io", "condvars", "idle"] {
            passes(&server, test);
        }
        complains_of_nothing(&server);
    }
}

#[test]
fn ioa_1_bind_4_signals_children_and_clients_of_anyevent() {
    for server in both("anyevent") {
        for test in ["signals", "sockets", "signals"] {
            passes(&server, test);
        }
        complains_of_nothing(&server);
    }
}

#[test]
fn ioa_3_environment_variables_do_not_bring_a_second_loop() {
    let text = app::handler(
        "require Mojo::IOLoop;
        require AnyEvent;
        require IO::Async::Loop;
        await answer($send, join ' ', ref IO::Async::Loop->new, ref(Mojo::IOLoop->singleton->reactor), AnyEvent::detect(),
            $Future::IO::IMPL);",
    );
    let server = Setup::perl(&text)
        .env("IO_ASYNC_LOOP", "Select")
        .env("MOJO_REACTOR", "Mojo::Reactor::Poll")
        .env("PERL_ANYEVENT_MODEL", "Perl")
        .start();
    let response = load::get(server.address(), "/").expect("an answer");
    assert_eq!(
        response.text(),
        "PAGI::Native::IOAsyncLoop PAGI::Native::MojoReactor AnyEvent::Impl::PAGI PAGI::Native::FutureIO",
        "{}",
        server.log()
    );
}

#[test]
fn bind_3_the_end_of_a_local_signal_handler_leaves_the_server_stoppable() {
    for workers in [0, 2] {
        let mut server = Setup::perl(&app::handler(
            "{ local $SIG{TERM} = sub { }; local $SIG{INT} = 'IGNORE'; local $SIG{HUP} = sub { }; }
            await Future::IO->sleep(1.5);
            await answer($send, 'served');",
        ))
        .workers(workers)
        .start();
        assert_eq!(load::get(server.address(), "/").expect("an answer").text(), "served");
        assert!(server.stop().success(), "TERM stops gracefully:\n{}", server.log());
    }
}

#[test]
fn ioa_1_the_application_itself_may_return_a_promise() {
    let text = "use Mojo::Base -strict, -async_await, -signatures;
        use Mojo::Promise;
        async sub app ($scope, $receive, $send) {
            die qq{no lifespan\\n} if $scope->{type} eq 'lifespan';
            await Mojo::Promise->timer(0.01);
            die qq{broken on purpose\\n} if $scope->{path} eq '/broken';
            await $send->({ type => 'http.response.start', status => 200 });
            await $send->({ type => 'http.response.body', body => 'promised' });
        }
        \\&app;";
    for workers in [0, 2] {
        let server = Setup::perl(text).workers(workers).start();
        assert_eq!(load::get(server.address(), "/").expect("an answer").text(), "promised");
        assert_eq!(load::get(server.address(), "/broken").expect("an answer").status, 500);
        server.wait_for_log("broken on purpose");
    }
}

#[test]
fn ioa_2_one_handler_uses_all_four_loops_at_once() {
    let code = "use IO::Async::Loop;
        use IO::Async::Timer::Countdown;
        use Mojo::Promise;
        use AnyEvent;
        my $loop = IO::Async::Loop->new;
        my $expired = $loop->new_future;
        my $countdown = IO::Async::Timer::Countdown->new(delay => 0.02, on_expire => sub { $expired->done('IO::Async') });
        $loop->add($countdown->start);
        my $event = Future->new;
        my $timer = AnyEvent->timer(after => 0.02, cb => sub { $event->done('AnyEvent') });
        my $promised = (async sub { return await Mojo::Promise->timer(0.02, 'Mojo::IOLoop') })->();
        my $slept = Future::IO->sleep(0.02)->then_done('Future::IO');
        my @all = await Future->needs_all($slept, $expired, $promised, $event);
        $loop->remove($countdown);
        await answer($send, join ' ', @all);";
    let text = app::handler(code);
    for (workers, extra) in [(0, &[][..]), (2, &[]), (2, &["--no-preload"])] {
        let server = Setup::perl(&text).workers(workers).args(extra).start();
        let requests: Vec<_> = (0..20)
            .map(|_| {
                let mut connection = pagi_tests::raw::Raw::connect(server.address());
                connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                connection
            })
            .collect();
        for mut connection in requests {
            assert_eq!(
                connection.response("GET").text(),
                "Future::IO IO::Async Mojo::IOLoop AnyEvent",
                "{}",
                server.log()
            );
        }
        complains_of_nothing(&server);
    }
}
