//! The lifespan exchange and what is around it (protocol.md 17 and 18; LIFE-*, SHUT-2).

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::load;
use pagi_tests::patience::await_that;
use pagi_tests::raw::{End, Raw};
use pagi_tests::server::{Server, Setup};

/// An application with a lifespan handler and a request handler, each given as code.
fn application(lifespan: &str, request: &str) -> String {
    app::perl(&format!(
        "async sub lifespan ($scope, $receive, $send) {{
{lifespan}
}}
async sub request ($scope, $receive, $send) {{
    my $path = $scope->{{path}};
{request}
}}
sub {{ $_[0]{{type}} eq 'lifespan' ? lifespan(@_) : request(@_) }};"
    ))
}

/// Start-up and shutdown are answered and noted.
const BOTH: &str = "
    my $num = $scope->{pagi}{worker_num} // 'undef';
    while (1) {
        my $event = await $receive->();
        note(\"$event->{type} pid=$$ worker=$scope->{pagi}{is_worker} num=$num\");
        await $send->({ type => \"$event->{type}.complete\" });
        last if $event->{type} eq 'lifespan.shutdown';
    }";

/// Shutdown is awaited after start-up was answered.
const STARTED: &str = "
    await $receive->();
    await $send->({ type => 'lifespan.startup.complete' });";

fn get(server: &Server, path: &str) -> String {
    let response = load::get(server.address(), path).expect("an answer");
    assert_eq!(response.status, 200, "{}", server.log());
    response.text().to_owned()
}

fn notes(server: &Server) -> Vec<String> {
    server.output("notes").lines().map(str::to_owned).collect()
}

/// Waits until every worker has said that it is ready.
fn wait_for_workers(server: &Server, workers: u32) {
    for number in 1..=workers {
        server.wait_for_log(&format!("Worker {number} ("));
    }
}

#[test]
fn life_1_life_2_life_5_life_12_every_worker_starts_and_shuts_down_by_itself() {
    let mut server = Setup::perl(&application(BOTH, "await answer($send, $$);")).workers(4).start();
    wait_for_workers(&server, 4);
    let serving: u32 = get(&server, "/").parse().expect("a process id");
    assert!(server.stop().success());
    let notes = notes(&server);
    let of = |event: &str| -> Vec<(String, String)> {
        let lines = notes.iter().filter_map(|line| line.strip_prefix(&format!("lifespan.{event} pid=")));
        let mut all: Vec<_> = lines.map(|line| line.split_once(' ').expect("more")).collect();
        all.sort_by_key(|(_, rest)| *rest);
        all.into_iter().map(|(pid, rest)| (pid.to_owned(), rest.to_owned())).collect()
    };
    let started = of("startup");
    let numbers: Vec<&str> = started.iter().map(|(_, rest)| rest.as_str()).collect();
    assert_eq!(numbers, ["worker=1 num=1", "worker=1 num=2", "worker=1 num=3", "worker=1 num=4"]);
    let mut pids: Vec<&String> = started.iter().map(|(pid, _)| pid).collect();
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 4, "{notes:?}");
    assert!(pids.contains(&&serving.to_string()), "requests are served by {serving}, not by {pids:?}");
    assert_eq!(of("shutdown"), started);
}

#[test]
fn life_5_without_workers() {
    let mut server = Setup::perl(&application(BOTH, "await answer($send, $$);")).start();
    let pid = server.pid();
    assert_eq!(get(&server, "/"), pid.to_string());
    assert!(server.stop().success());
    let expected = ["startup", "shutdown"].map(|event| format!("lifespan.{event} pid={pid} worker=0 num=undef"));
    assert_eq!(notes(&server), expected);
}

#[test]
fn life_3_loop_5_lifespan_and_requests_share_a_loop() {
    let lifespan = "
        await $receive->();
        $scope->{state}{ready} = Future->new;
        await $send->({ type => 'lifespan.startup.complete' });
        await Future::IO->sleep(0.3);
        $scope->{state}{ready}->done('from the lifespan task');
        await $receive->();";
    for workers in [0, 2] {
        let request = "await answer($send, await $scope->{state}{ready}->without_cancel);";
        let server = Setup::perl(&application(lifespan, request)).workers(workers).start();
        assert_eq!(get(&server, "/"), "from the lifespan task");
    }
}

#[test]
fn life_6_declining_by_dying_and_by_returning() {
    let request = "await answer($send, exists $scope->{state} ? 'state' : 'no state');";
    for (lifespan, raised) in [
        ("die \"no lifespan here\\n\";", Some("no lifespan here")),
        ("return;", None),
        ("await $receive->(); return;", None),
    ] {
        for workers in [0, 2] {
            let lifespan = format!("note('called');\n{lifespan}");
            let mut server = Setup::perl(&application(&lifespan, request)).workers(workers).start();
            wait_for_workers(&server, workers);
            server.wait_for_log("INFO");
            assert!(server.has_said("Lifespan not supported, continuing without it"), "{}", server.log());
            if let Some(raised) = raised {
                assert!(server.has_said(&format!("(application raised: {raised}")), "{}", server.log());
            }
            assert_eq!(get(&server, "/"), "state");
            assert!(server.stop().success());
            assert_eq!(notes(&server).len(), workers.max(1) as usize, "one call per worker: {:?}", notes(&server));
        }
    }
}

#[test]
fn life_7_startup_that_takes_too_long_fails() {
    for lifespan in ["await $receive->(); await Future->new;", "await Future->new;"] {
        for workers in [0, 2] {
            let setup = Setup::perl(&application(lifespan, "await answer($send, 'x');"));
            let outcome = setup.args(["--lifespan-startup-timeout", "0.3"]).workers(workers).run();
            assert_eq!(outcome.code(), 1);
            outcome.assert_says("Lifespan startup timed out after 0.3s");
            assert!(!outcome.stderr.contains("listening on"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn life_8_life_18_startup_failed_ends_the_server() {
    let failed = |message: &str| {
        let lifespan = format!(
            "await $receive->(); await $send->({{ type => 'lifespan.startup.failed', {message} extra => 1 }});"
        );
        application(&lifespan, "await answer($send, 'x');")
    };
    let outcome = Setup::perl(&failed("message => 'no database',")).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("PAGI Server startup failed: no database\n");
    outcome.assert_says("Error starting server: Lifespan startup failed: no database\n");
    assert!(!outcome.stderr.contains("listening on"), "{}", outcome.stderr);

    let outcome = Setup::perl(&failed("message => 'no database',")).workers(3).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("All workers failed to start; no workers remain");
    assert_eq!(outcome.stderr.matches("startup failed: no database").count(), 3, "{}", outcome.stderr);

    let outcome = Setup::perl(&failed("")).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("PAGI Server startup failed:");
}

#[test]
fn life_8_one_worker_that_fails_does_not_stop_the_others() {
    let lifespan = "
        await $receive->();
        if ($scope->{pagi}{worker_num} == 1) {
            await $send->({ type => 'lifespan.startup.failed', message => 'seat taken' });
            return;
        }
        await $send->({ type => 'lifespan.startup.complete' });
        await $receive->();";
    let mut server = Setup::perl(&application(lifespan, "await answer($send, 'served');")).workers(2).start();
    server.wait_for_log("startup failed: seat taken");
    for _ in 0..5 {
        assert_eq!(get(&server, "/"), "served");
    }
    assert!(server.ended().is_none());
}

#[test]
fn life_9_strict_mode_makes_declining_fatal() {
    for lifespan in ["die \"declined\\n\";", "return;"] {
        for workers in [0, 2] {
            let setup = Setup::perl(&application(lifespan, "await answer($send, 'x');"));
            let outcome = setup.args(["--lifespan", "on"]).workers(workers).run();
            assert_eq!(outcome.code(), 1);
            outcome.assert_says("startup failed");
            assert!(!outcome.stderr.contains("listening on"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn life_10_nothing_skips_the_exchange() {
    let outcome = Setup::perl(&application(BOTH, "await answer($send, 'x');")).args(["--lifespan", "off"]).run();
    assert_eq!(outcome.code(), 2);
    outcome.assert_says("Invalid lifespan_mode 'off': applications are always asked");
}

#[test]
fn life_11_src_2_failing_after_startup_is_logged_and_serving_goes_on() {
    let lifespan = format!("{STARTED}\n await Future::IO->sleep(0.05);\n die 'the ticker broke'; # HERE");
    let text = application(&lifespan, "await answer($send, 'still here');");
    for workers in [0, 2] {
        let mut server = Setup::perl(&text).workers(workers).start();
        let line = app::line_of(&text, "# HERE");
        server.wait_for_log("Lifespan app failed after startup: the ticker broke at ");
        let log = server.log();
        let logged = log.lines().find(|found| found.contains("the ticker broke")).expect("just seen");
        assert!(logged.contains(" ERROR ") && logged.contains(&format!("app.pl line {line}")), "{logged}");
        assert_eq!(get(&server, "/"), "still here");
        assert!(server.stop().success());
    }
}

#[test]
fn life_12_life_22_shut_2_shutdown_comes_after_the_last_request() {
    let request = "
        note('request begins');
        await Future::IO->sleep(0.5);
        note('request ends');
        await answer($send, 'done');";
    for workers in [0, 2] {
        let mut server = Setup::perl(&application(BOTH, request)).workers(workers).start();
        wait_for_workers(&server, workers);
        let address = server.address();
        let client = thread::spawn(move || load::get(address, "/"));
        server.wait_for_text("notes", "request begins");
        assert!(server.stop().success());
        let response = client.join().expect("no panic").expect("the request in flight is answered");
        assert_eq!(response.text(), "done");
        let notes = notes(&server);
        let pid = server.pid().to_string();
        let ended = notes.iter().position(|line| line == "request ends").expect("it ended");
        if workers == 0 {
            let shutdown = notes.iter().position(|line| line.contains("shutdown") && line.contains(&pid));
            assert!(ended < shutdown.expect("shutdown was sent"), "{notes:?}");
        } else {
            // The other worker is free to go first; the last shutdown is that of the busy one.
            let shutdown = notes.iter().rposition(|line| line.contains("shutdown")).expect("shutdown was sent");
            assert!(ended < shutdown, "{notes:?}");
        }
    }
}

#[test]
fn life_22_calls_of_closed_connections_finish_before_shutdown() {
    let request = "
        note('request begins');
        my $event = await $receive->();
        $event = await $receive->() while $event->{type} ne 'http.disconnect';
        await Future::IO->sleep(0.4);
        note('clean-up done');";
    let mut server = Setup::perl(&application(BOTH, request)).start();
    let mut client = Raw::connect(server.address());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    server.wait_for_text("notes", "request begins");
    drop(client);
    thread::sleep(Duration::from_millis(50));
    assert!(server.stop().success());
    let notes = notes(&server);
    let clean = notes.iter().position(|line| line == "clean-up done").expect("the clean-up ran");
    let shutdown = notes.iter().position(|line| line.contains("shutdown")).expect("shutdown was sent");
    assert!(clean < shutdown, "{notes:?}");
}

#[test]
fn life_13_a_slow_shutdown_is_waited_for() {
    let lifespan = format!(
        "{STARTED}
        await $receive->();
        await Future::IO->sleep(0.5);
        note('shut down');
        await $send->({{ type => 'lifespan.shutdown.complete' }});"
    );
    for workers in [0, 2] {
        let mut server = Setup::perl(&application(&lifespan, "await answer($send, 'x');")).workers(workers).start();
        wait_for_workers(&server, workers);
        assert!(server.stop().success());
        assert_eq!(notes(&server).len(), workers.max(1) as usize);
    }
}

#[test]
fn life_13_life_21_a_shutdown_that_hangs_is_bounded() {
    let lifespan = format!("{STARTED} await $receive->(); note('asked'); await $receive->(); note('never');");
    for workers in [0, 2] {
        let setup = Setup::perl(&application(&lifespan, "await answer($send, 'x');"));
        let mut server = setup.workers(workers).args(["--shutdown-timeout", "0.5"]).start();
        wait_for_workers(&server, workers);
        assert!(server.stop().success(), "{}", server.log());
        assert_eq!(notes(&server), vec!["asked"; workers.max(1) as usize]);
    }
}

#[test]
fn life_13_life_18_a_shutdown_that_fails_is_logged() {
    let lifespan = format!(
        "{STARTED} await $receive->();
        await $send->({{ type => 'lifespan.shutdown.failed', message => 'disk full' }});"
    );
    let mut server = Setup::perl(&application(&lifespan, "await answer($send, 'x');")).start();
    assert!(server.stop().success());
    assert!(server.has_said("disk full"), "{}", server.log());
}

#[test]
fn life_14_life_17_each_request_gets_a_shallow_copy_of_state() {
    let lifespan = format!(
        "note(exists $scope->{{state}} ? 'state exists' : 'no state');
        $scope->{{state}}{{shared}} = {{ count => 0 }};
        {STARTED} await $receive->();"
    );
    let request = "
        my $state = $scope->{state};
        my $seen = join ' ', sort keys %$state;
        $state->{private} = 1;
        $state->{shared}{count}++;
        await answer($send, \"$seen $state->{shared}{count}\");";
    let server = Setup::perl(&application(&lifespan, request)).start();
    assert_eq!(notes(&server), ["state exists"]);
    assert_eq!(get(&server, "/"), "shared 1");
    assert_eq!(get(&server, "/"), "shared 2");
    // On one connection too.
    let two = curl([server.url("/"), server.url("/")]);
    assert_eq!(two.exit, 0);
    assert_eq!(get(&server, "/"), "shared 5");
}

#[test]
fn life_15_keys_added_later_reach_later_requests() {
    let lifespan = format!(
        "{STARTED}
        await Future::IO->sleep(0.2);
        $scope->{{state}}{{late}} = 'late';
        await $receive->();"
    );
    let request = "
        my $before = $scope->{state}{late} // 'nothing';
        if ($path eq '/wait') { await Future::IO->sleep(0.5) }
        await answer($send, $before . ' ' . ($scope->{state}{late} // 'nothing'));";
    let server = Setup::perl(&application(&lifespan, request)).start();
    // Was copied before the key was there, and stays so.
    let early = get(&server, "/wait");
    assert!(early == "nothing nothing" || early == "late late", "{early}");
    await_that("the key arrives", || get(&server, "/") == "late late");
}

#[test]
fn life_16_state_after_declining() {
    let lifespan = "$scope->{state}{stored} = 'kept'; die \"no thanks\\n\";";
    let request = "await answer($send, ref($scope->{state}) . ' ' . ($scope->{state}{stored} // 'empty'));";
    let server = Setup::perl(&application(lifespan, request)).start();
    assert_eq!(get(&server, "/"), "HASH kept");
}

#[test]
fn life_18_life_19_wrong_lifespan_events_fail_and_change_nothing() {
    let lifespan = "
        my $try = async sub ($label, $event) {
            my $ok = eval { await $send->($event); 1 };
            note(\"$label: \" . ($ok ? 'ok' : 'failed'));
        };
        await $receive->();
        await $try->('bogus', { type => 'lifespan.bogus' });
        await $try->('no type', {});
        await $try->('no hash', 'lifespan.startup.complete');
        await $try->('other protocol', { type => 'http.response.start', status => 200 });
        await $try->('early', { type => 'lifespan.shutdown.complete' });
        await $try->('complete', { type => 'lifespan.startup.complete', extra => 1 });
        await $try->('again', { type => 'lifespan.startup.complete' });
        await $try->('late failure', { type => 'lifespan.startup.failed' });
        await $try->('still early', { type => 'lifespan.shutdown.complete' });
        await $receive->();
        await $try->('end', { type => 'lifespan.shutdown.complete' });
        await $try->('second end', { type => 'lifespan.shutdown.complete' });";
    let mut server = Setup::perl(&application(lifespan, "await answer($send, 'served');")).start();
    assert_eq!(get(&server, "/"), "served");
    assert!(server.stop().success());
    let expected = [
        "bogus: failed",
        "no type: failed",
        "no hash: failed",
        "other protocol: failed",
        "early: failed",
        "complete: ok",
        "again: failed",
        "late failure: failed",
        "still early: failed",
        "end: ok",
    ];
    let notes = notes(&server);
    assert_eq!(notes[..expected.len()], expected, "{}", server.log());
}

#[test]
fn life_23_state_is_not_shared_between_workers() {
    let lifespan = format!("$scope->{{state}}{{count}} = {{ n => 0 }}; {STARTED} await $receive->();");
    let request = "await answer($send, $$ . ' ' . ++$scope->{state}{count}{n});";
    let server = Setup::perl(&application(&lifespan, request)).workers(2).start();
    wait_for_workers(&server, 2);
    let mut last = std::collections::BTreeMap::new();
    let mut sent = 0;
    await_that("both workers have served", || {
        sent += 1;
        let answer = get(&server, "/");
        let (pid, count) = answer.split_once(' ').expect("two words");
        let count: u32 = count.parse().expect("a number");
        assert_eq!(last.insert(pid.to_owned(), count).unwrap_or(0) + 1, count);
        last.len() == 2
    });
    assert_eq!(last.values().sum::<u32>(), sent);
}

#[test]
fn src_1_src_3_a_background_task_runs_from_startup_to_shutdown() {
    let lifespan = format!(
        "{STARTED}
        my $ticks = 0;
        my $ticker = (async sub {{ while (1) {{ await Future::IO->sleep(0.02); $scope->{{state}}{{ticks}} = ++$ticks }} }})->();
        my $shutdown = $receive->();
        await Future->wait_any($shutdown, $ticker);
        note('stopped');
        await $send->({{ type => 'lifespan.shutdown.complete' }});"
    );
    let mut server =
        Setup::perl(&application(&lifespan, "await answer($send, $scope->{state}{ticks} // 0);")).workers(2).start();
    await_that("ticks", || get(&server, "/").parse::<u32>().expect("a number") > 3);
    wait_for_workers(&server, 2);
    assert!(server.stop().success());
    assert_eq!(notes(&server), ["stopped", "stopped"]);
    assert!(!server.has_said("lost its returning future"), "{}", server.log());
}

#[test]
fn run_once_the_exchange_is_over_an_idle_server_stops_and_leaves_nothing() {
    let mut server = Setup::perl(&application(BOTH, "await answer($send, 'x');")).workers(2).start();
    wait_for_workers(&server, 2);
    let mut idle = Raw::connect(server.address());
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(idle.response("GET").text(), "x");
    server.signal(Signal::SIGTERM);
    assert_eq!(idle.read_to_end(), End::Eof);
    assert!(server.wait_for_exit().success());
    assert!(!server.has_processes());
    assert!(!server.control_socket().exists());
}

#[test]
fn life_4_no_request_before_startup_is_complete() {
    let lifespan = "
        await $receive->();
        note('starting');
        await Future::IO->sleep(0.4);
        note('complete');
        await $send->({ type => 'lifespan.startup.complete' });
        await $receive->();";
    for workers in [0, 2] {
        let request = "note('request'); await answer($send, 'ok');";
        let setup = Setup::perl(&application(lifespan, request)).listens_elsewhere().args(["--socket", "app.sock"]);
        let server = setup.workers(workers).launch();
        server.wait_for_text("notes", "starting");
        let socket = server.path("app.sock");
        // Queues in the backlog, or is refused, until start-up is over.
        await_that("an answer", || curl(["--unix-socket", &socket.display().to_string(), "http://x/"]).status == 200);
        let notes = notes(&server);
        let position =
            |wanted| notes.iter().position(|line| line == wanted).unwrap_or_else(|| panic!("no {wanted} in {notes:?}"));
        assert!(position("complete") < position("request"), "{notes:?}");
    }
}

#[test]
fn life_20_a_handler_that_returns_after_startup() {
    let lifespan = format!("{STARTED} note('returned');");
    let mut server = Setup::perl(&application(&lifespan, "await answer($send, 'served');")).start();
    assert_eq!(get(&server, "/"), "served");
    assert!(server.stop().success());
    assert_eq!(notes(&server), ["returned"]);
    assert!(!server.has_said("ERROR") && !server.has_said("Lifespan not supported"), "{}", server.log());
}

#[test]
fn life_20_life_9_a_handler_that_returns_after_startup_has_not_declined() {
    let lifespan = format!("{STARTED} note('returned');");
    for workers in [0, 2] {
        let setup = Setup::perl(&application(&lifespan, "await answer($send, 'served');"));
        let server = setup.workers(workers).args(["--lifespan", "on"]).start();
        assert_eq!(get(&server, "/"), "served");
    }
}

#[test]
fn life_6_declining_with_an_exception_object() {
    let overloaded = "package Oops { use overload q{\"\"} => sub { 'oops: ' . $_[0]{text} }, fallback => 1 }
        die bless { text => 'no wine' }, 'Oops';";
    for (lifespan, raised) in [("die { code => 1 };", "HASH(0x"), (overloaded, "oops: no wine)")] {
        let server = Setup::perl(&application(lifespan, "await answer($send, 'served');")).start();
        assert!(server.has_said(&format!("(application raised: {raised}")), "{}", server.log());
        assert_eq!(get(&server, "/"), "served");
    }
}

#[test]
fn shut_2_a_signal_during_startup_ends_the_server() {
    let lifespan = "note('starting'); await $receive->(); await Future::IO->sleep(600);";
    for workers in [0, 2] {
        let setup = Setup::perl(&application(lifespan, "await answer($send, 'x');")).workers(workers);
        let mut server = setup.args(["--lifespan-startup-timeout", "0"]).launch();
        server.wait_for_text("notes", "starting");
        server.signal(Signal::SIGTERM);
        assert!(server.wait_for_exit().success(), "{}", server.log());
        assert!(!server.has_said("listening on"), "{}", server.log());
        assert!(!server.has_processes());
    }
}

#[test]
fn emb_3_exit_in_lifespan_ends_the_process_with_its_status() {
    for lifespan in ["exit 5;", "await $receive->(); exit 5;", "await Future::IO->sleep(0.05); exit 5;"] {
        let outcome = Setup::perl(&application(lifespan, "await answer($send, 'x');")).run();
        assert_eq!(outcome.code(), 5, "{lifespan}: {}", outcome.stderr);
    }
    // On the way out nothing can be refused any more.
    let lifespan = format!("{STARTED} await $receive->(); exit 5;");
    let mut server = Setup::perl(&application(&lifespan, "await answer($send, 'x');")).start();
    assert_eq!(server.stop().code(), Some(5), "{}", server.log());
}
