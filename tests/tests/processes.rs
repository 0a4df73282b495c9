//! Workers that come and go while clients are served, and what ends a server (reference-server.md 7).

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::load::{self, Load, Reuse};
use pagi_tests::patience::{PATIENCE, await_that, poll};
use pagi_tests::process::{self, Process};
use pagi_tests::raw::{End, Raw};
use pagi_tests::server::{Server, Setup, pagictl_binary};

/// Answers with the worker's process id, slowly for `/slow`; `/long` takes a minute.
fn pids() -> String {
    app::handler(
        "note(\"begins\") if $path ne '/';
        await Future::IO->sleep($path eq '/slow' ? 0.4 : $path eq '/long' ? 60 : 0.002);
        await answer($send, $$);",
    )
}

fn workers(server: &Server) -> Vec<Process> {
    let all = process::group(server.pid());
    all.into_iter().filter(|process| process.title.starts_with("pagi-server: worker ")).collect()
}

fn wait_for_workers(server: &Server, number: usize) {
    (1..=number).for_each(|worker| server.wait_for_log(&format!("Worker {worker} (")));
}

/// The process that serves a request.
fn serving(server: &Server) -> Pid {
    let response = load::get(server.address(), "/").expect("an answer");
    Pid::from_raw(response.text().parse().expect("a process id"))
}

/// Waits until a worker serves that was not there before.
fn wait_for_replacement(server: &Server, old: &[Process]) {
    await_that("a replacement serves", || {
        let pid = serving(server);
        old.iter().all(|process| process.pid != pid)
    });
}

// Losing workers

#[test]
fn killing_a_worker_under_load_loses_only_its_requests_in_flight() {
    const CLIENTS: usize = 8;
    for reuse in [Reuse::Never, Reuse::KeepAlive] {
        let server = Setup::perl(&pids()).workers(2).start();
        wait_for_workers(&server, 2);
        let old = workers(&server);
        assert_eq!(old.len(), 2, "{old:?}");
        assert!(old.iter().all(|process| process.parent == server.pid()), "{old:?}");
        let load = Load::start(server.address(), "/", CLIENTS, reuse);
        thread::sleep(Duration::from_millis(300));
        kill(old[0].pid, Signal::SIGKILL).expect("it lives");
        wait_for_replacement(&server, &old);
        thread::sleep(Duration::from_millis(200));
        let tally = load.finish();
        assert!(tally.lost() <= CLIENTS, "{reuse:?}: at most one request of each client: {tally:?}");
        assert_eq!((tally.refused, tally.timed_out, tally.failed), (0, 0, 0), "{reuse:?}: {tally:?}");
        assert!(tally.answered > 50, "{reuse:?}: {tally:?}");
        assert!(process::lives(old[1].pid), "the other worker serves on");
    }
}

#[test]
fn killing_every_worker_loses_no_connection_that_waits() {
    let server = Setup::perl(&pids()).workers(2).start();
    wait_for_workers(&server, 2);
    let old = workers(&server);
    for worker in &old {
        kill(worker.pid, Signal::SIGKILL).expect("it lives");
    }
    // Nobody accepts at this moment, but the queues are the master's.
    for _ in 0..8 {
        let pid = serving(&server);
        assert!(old.iter().all(|process| process.pid != pid));
    }
}

#[test]
fn killing_the_master_ends_everybody() {
    let text = app::handler(
        "note('begins') if $path ne '/';
        if ($path eq '/spin') { 1 while 1 }
        await Future::IO->sleep(60) if $path eq '/long';
        await answer($send, $$);",
    );
    let server = Setup::perl(&text).workers(3).start();
    wait_for_workers(&server, 3);
    let mut stuck = Raw::connect(server.address());
    stuck.send("GET /spin HTTP/1.1\r\nHost: x\r\n\r\n");
    // Only then: what it had accepted before, it would not serve.
    server.wait_for_text("notes", "begins");
    let mut waiting = Raw::connect(server.address());
    waiting.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    await_that("both requests begin", || server.output("notes").lines().count() == 2);
    kill(server.pid(), Signal::SIGKILL).expect("it lives");
    let others = || process::group(server.pid()).into_iter().filter(|process| process.pid != server.pid()).count();
    assert!(poll(Duration::from_secs(2), || others() == 0), "{:?}", process::group(server.pid()));
    stuck.read_to_end();
    waiting.read_to_end();
    assert!(load::get(server.address(), "/").is_err(), "nobody listens any more");
}

#[test]
fn a_worker_that_crashes_in_startup_is_started_again_at_growing_intervals() {
    let lifespan = app::perl(
        "sub ($scope, $receive, $send) {
            if ($scope->{type} eq 'lifespan') {
                die qq{declined\\n} if $scope->{pagi}{worker_num} == 2;
                note('crash');
                kill KILL => $$;
            }
            answer($send, 'served');
        };",
    );
    let server = Setup::perl(&lifespan).workers(2).start();
    await_that("three starts", || server.output("notes").lines().count() >= 3);
    thread::sleep(Duration::from_millis(500));
    // 0, 0, 0.5, 1, 2 s ...: a hundred in this time would be a loop.
    assert!(server.output("notes").lines().count() <= 8, "{}", server.log());
    assert_eq!(load::get(server.address(), "/").expect("the other worker serves").text(), "served");
}

#[test]
fn max_requests_replaces_workers_under_load_without_losing_anything() {
    for reuse in [Reuse::Never, Reuse::KeepAlive] {
        let server = Setup::perl(&pids()).workers(2).args(["--max-requests", "40"]).start();
        wait_for_workers(&server, 2);
        let old = workers(&server);
        let load = Load::start(server.address(), "/", 8, reuse);
        await_that("all of the first workers are gone", || old.iter().all(|process| !process::lives(process.pid)));
        thread::sleep(Duration::from_millis(300));
        let tally = load.finish();
        assert_eq!(tally.lost(), 0, "{reuse:?}: {tally:?}\n{}", server.log());
        assert!(tally.answered >= 80, "{reuse:?}: {tally:?}");
        assert!(!server.has_said("killing it"), "{}", server.log());
    }
}

#[test]
fn max_requests_jitter_spreads_the_limit() {
    let serve = |jitter: &str| {
        let server =
            Setup::perl(&pids()).workers(2).args(["--max-requests", "3", "--max-requests-jitter", jitter]).start();
        wait_for_workers(&server, 2);
        server
    };
    // So much more that chance does not reach it in the life of a machine.
    let server = serve("1000000000000000");
    let old = workers(&server);
    (0..40).for_each(|_| assert_ne!(serving(&server), server.pid()));
    assert_eq!(workers(&server), old, "{}", server.log());
    let server = serve("2");
    let old = workers(&server);
    await_that("both are replaced", || {
        serving(&server);
        old.iter().all(|process| !process::lives(process.pid))
    });
}

/// A worker whose start-up lasts until the file `go` has the number of its note.
const GATED: &str = r#"
use Time::HiRes ();
sub number ($line) { open my $file, '<', "$scratch/notes"; while (<$file>) { return $. if $_ eq "$line\n" } }
sub allowed { open my $file, '<', "$scratch/go" or return 0; return scalar <$file> // 0 }
async sub application ($scope, $receive, $send) {
    return await answer($send, $$) if $scope->{type} eq 'http';
    die if $scope->{type} ne 'lifespan';
    await $receive->();
    note($$);
    my $number = number($$);
    await Future::IO->sleep(0.01) until allowed() >= $number;
    await $send->({ type => 'lifespan.startup.complete' });
    await $receive->();
    await $send->({ type => 'lifespan.shutdown.complete' });
}
\&application;
"#;

#[test]
fn a_reload_replaces_as_many_workers_at_a_time_as_asked_for() {
    for batch in [1, 3] {
        let setup = Setup::perl(&app::perl(GATED)).workers(4).args(["--lifespan", "on"]);
        let server = setup.file("go", "4").args(["--reload-batch", &batch.to_string()]).start();
        wait_for_workers(&server, 4);
        let allow = |number: usize| std::fs::write(server.path("go"), number.to_string()).expect("it can be written");
        let begun = || server.output("notes").lines().count();
        server.signal(Signal::SIGHUP);
        await_that("the trial begins", || begun() == 5);
        allow(5);
        await_that("so many begin", || begun() == 5 + batch);
        assert!(!poll(Duration::from_millis(300), || begun() > 5 + batch), "no more than {batch} at a time");
        allow(100);
        server.wait_for_log("Generation 2 serves: 4 workers replaced");
    }
}

// Workers that are stuck

/// A worker in which this code runs for ever is killed and replaced; meanwhile the other one serves everybody.
fn try_stuck_worker(code: &str) {
    let text = app::handler(&format!(
        "if ($path eq '/stuck') {{ note($$); {code} }}
        await answer($send, $$);"
    ));
    let server = Setup::perl(&text).workers(2).args(["--heartbeat-timeout", "2"]).start();
    wait_for_workers(&server, 2);
    let mut victim = Raw::connect(server.address());
    victim.send("GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n");
    server.wait_for_text("notes", "\n");
    let stuck = Pid::from_raw(server.output("notes").trim().parse().expect("a process id"));
    for _ in 0..6 {
        assert_ne!(serving(&server), stuck);
    }
    server.wait_for_log("has shown no sign of life for");
    await_that("it is gone", || !process::lives(stuck));
    victim.read_to_end();
    await_that("it is replaced", || workers(&server).len() == 2);
    assert_ne!(serving(&server), stuck);
}

#[test]
fn blk_4_a_worker_in_an_endless_loop_is_killed_and_replaced() {
    try_stuck_worker("1 while 1;");
}

#[test]
fn blk_4_a_worker_in_a_blocking_call_is_killed_and_replaced() {
    try_stuck_worker("sleep 1000;");
}

#[test]
fn blk_4_a_worker_that_only_waits_is_left_alone() {
    let server = Setup::perl(&pids()).workers(2).args(["--heartbeat-timeout", "2"]).start();
    wait_for_workers(&server, 2);
    let old = workers(&server);
    let mut waiting = Raw::connect(server.address());
    waiting.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(waiting.is_silent_for(Duration::from_secs(3)));
    assert!(old.iter().all(|process| process::lives(process.pid)), "{}", server.log());
}

#[test]
fn blk_4_short_heartbeat_timeouts_leave_idle_workers_alone() {
    let server = Setup::perl(&pids()).workers(2).args(["--heartbeat-timeout", "0.6"]).start();
    wait_for_workers(&server, 2);
    let old = workers(&server);
    let mut waiting = Raw::connect(server.address());
    waiting.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(waiting.is_silent_for(Duration::from_secs(2)));
    assert!(old.iter().all(|process| process::lives(process.pid)), "{}", server.log());
}

// Stopping

#[test]
fn shut_2_every_stop_signal_lets_requests_in_flight_finish() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        for workers in [0, 2] {
            let mut server = Setup::perl(&pids()).workers(workers).start();
            wait_for_workers(&server, workers as usize);
            let address = server.address();
            let client = thread::spawn(move || load::get(address, "/slow"));
            server.wait_for_text("notes", "begins");
            server.signal(signal);
            assert!(server.wait_for_exit().success(), "{signal}: {}", server.log());
            let response = client.join().expect("no panic").expect("an answer");
            assert_eq!(response.status, 200, "{signal}");
            assert!(!server.has_processes());
            assert!(load::get(address, "/").is_err(), "nobody listens any more");
        }
    }
}

#[test]
fn shut_2_a_kept_connection_is_told_that_it_ends() {
    for workers in [0, 2] {
        let server = Setup::perl(&pids()).workers(workers).start();
        wait_for_workers(&server, workers as usize);
        let mut busy = Raw::connect(server.address());
        busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
        server.wait_for_text("notes", "begins");
        server.signal(Signal::SIGTERM);
        let response = busy.response("GET");
        assert_eq!(response.header("connection"), Some("close"), "{response:?}");
        assert_eq!(busy.read_to_end(), End::Eof);
    }
}

#[test]
fn shut_1_a_second_signal_hurries() {
    let text = app::handler(
        "$scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note(\"reason $reason\") });
        note('begins');
        await Future::IO->sleep(600);
        await answer($send, 'never');",
    );
    for workers in [0, 2] {
        let mut server = Setup::perl(&text).workers(workers).args(["--shutdown-timeout", "600"]).start();
        wait_for_workers(&server, workers as usize);
        let mut waiting = Raw::connect(server.address());
        waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        server.wait_for_text("notes", "begins");
        server.signal(Signal::SIGTERM);
        assert!(waiting.is_silent_for(Duration::from_millis(300)), "one signal waits");
        assert!(server.ended().is_none());
        server.signal(Signal::SIGTERM);
        assert!(server.wait_for_exit().success(), "{}", server.log());
        waiting.read_to_end();
        assert!(server.output("notes").contains("reason server_shutdown"), "{}", server.output("notes"));
        assert!(!server.has_processes());
    }
}

#[test]
fn cxl_2_the_shutdown_timeout_bounds_a_request_that_does_not_end() {
    for workers in [0, 2] {
        let setup = Setup::perl(&pids()).workers(workers).args(["--shutdown-timeout", "0.5"]);
        let mut server = setup.start();
        wait_for_workers(&server, workers as usize);
        let mut waiting = Raw::connect(server.address());
        waiting.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
        server.wait_for_text("notes", "begins");
        assert!(server.stop().success(), "{}", server.log());
        assert!(server.has_said("Shutdown timeout: force-closing 1 active connections"), "{}", server.log());
        waiting.read_to_end();
        assert!(waiting.received.is_empty());
        assert!(!server.has_processes());
    }
}

#[test]
fn stopping_under_load_answers_every_accepted_request() {
    for workers in [0, 2] {
        let mut server = Setup::perl(&pids()).workers(workers).start();
        wait_for_workers(&server, workers as usize);
        let load = Load::start(server.address(), "/", 6, Reuse::Never);
        thread::sleep(Duration::from_millis(300));
        server.signal(Signal::SIGTERM);
        assert!(server.wait_for_exit().success());
        let tally = load.finish();
        // Connections that nobody had accepted are reset when the socket goes; no answer may break off.
        assert_eq!((tally.truncated, tally.timed_out, tally.failed), (0, 0, 0), "{tally:?}");
        assert!(tally.answered > 20, "{tally:?}");
    }
}

// Running as a service

#[test]
fn pagictl_shows_a_server_to_people_and_to_programs() {
    let server = Setup::perl(&pids()).workers(2).start();
    wait_for_workers(&server, 2);
    for _ in 0..10 {
        serving(&server);
    }
    let pagictl = |arguments: &[&str]| {
        let mut command = Command::new(pagictl_binary());
        let output = command.args(["status", "--socket"]).arg(server.control_socket()).args(arguments).output();
        let output = output.expect("pagictl can be run");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    await_that("the counters say so", || {
        let status: serde_json::Value = serde_json::from_str(&pagictl(&["--json"])).expect("JSON");
        let listed = status["workers"].as_array().expect("workers").clone();
        let sum: u64 = listed.iter().map(|worker| worker["requests"].as_u64().expect("a number")).sum();
        let shown: BTreeSet<i64> = listed.iter().map(|worker| worker["pid"].as_i64().expect("a pid")).collect();
        let real: BTreeSet<i64> = workers(&server).iter().map(|worker| worker.pid.as_raw().into()).collect();
        assert_eq!(shown, real);
        assert_eq!(status["pid"].as_i64(), Some(server.pid().as_raw().into()));
        assert!(listed.iter().all(|worker| worker["state"] == "ready"), "{status}");
        sum == 10
    });
    let table = pagictl(&[]);
    for worker in workers(&server) {
        assert!(table.contains(&worker.pid.to_string()), "{table}");
    }
    assert!(table.contains(&format!("http://{}/", server.address())), "{table}");
}

#[test]
fn a_daemon_serves_and_stops_by_its_pid_file() {
    for workers in ["0", "2"] {
        let setup = Setup::perl(&pids()).listens_elsewhere();
        let socket = setup.path("app.sock");
        let pid_path = setup.path("server.pid");
        let mut caller =
            setup.args(["--daemonize", "--pid", "server.pid", "--socket", "app.sock", "--workers", workers]).launch();
        // The command returns when the daemon serves.
        assert!(caller.wait_for_exit().success(), "{}", caller.log());
        let pid = Pid::from_raw(caller.output("server.pid").trim().parse().expect("a process id"));
        let daemon = Daemon(pid);
        let answer = curl(["--unix-socket", &socket.display().to_string(), "http://x/"]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_ne!(pid, caller.pid());
        assert!(Process::find(pid).expect("it lives").title.contains("pagi-server"));
        kill(pid, Signal::SIGTERM).expect("it lives");
        assert!(poll(PATIENCE, || !process::lives(pid)));
        assert!(!pid_path.exists() && !socket.exists());
        drop(daemon);
    }
}

/// Ends a process that is in nobody's group.
struct Daemon(Pid);

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(process) = Process::find(self.0) {
            let _ = nix::sys::signal::killpg(process.group, Signal::SIGKILL);
        }
    }
}

#[test]
fn scope_of_a_unix_socket() {
    let text = app::handler(
        "await answer($send, join ' ', exists $scope->{client} ? 'client' : 'no client',
            scalar $scope->{server}->@*, $scope->{server}[0], $scope->{server}[1] // 'undef', $scope->{scheme});",
    );
    for workers in [0, 2] {
        let setup = Setup::perl(&text).listens_elsewhere().workers(workers);
        let socket = setup.path("app.sock");
        let socket = socket.to_str().expect("UTF-8").to_owned();
        let mut server = setup.args(["--socket", &socket, "--socket-mode", "0660"]).start();
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).expect("it exists").permissions());
        assert_eq!(mode & 0o777, 0o660);
        let answer = curl(["--unix-socket", &socket, "http://x/"]);
        assert_eq!(answer.text(), format!("no client 2 {socket} undef http"));
        assert!(server.has_said(&format!("listening on unix:{socket}")), "{}", server.log());
        assert!(server.stop().success());
        assert!(!std::path::Path::new(&socket).exists());
    }
}

#[test]
fn the_host_says_which_address_is_served() {
    let server = Setup::perl(&pids()).args(["--host", "127.0.0.2"]).start();
    let address = server.address();
    assert_eq!(address.ip().to_string(), "127.0.0.2");
    assert_eq!(load::get(address, "/").expect("an answer").status, 200);
    let elsewhere = std::net::TcpStream::connect(("127.0.0.1", address.port()));
    assert_eq!(elsewhere.map_err(|error| error.kind()).err(), Some(std::io::ErrorKind::ConnectionRefused));
}

#[test]
fn a_group_can_be_had_without_a_user() {
    let setup = Setup::perl(&pids()).args(["--group", "1"]);
    if !nix::unistd::geteuid().is_root() {
        let outcome = setup.run();
        assert_eq!(outcome.code(), 1);
        return outcome.assert_says("Must run as root to use --user/--group");
    }
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(setup.path(""), everybody).expect("permissions can be set");
    let server = setup.start();
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving(&server))).expect("it lives");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("it is there");
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((field("Uid:"), field("Gid:")), (vec!["0".to_owned(); 4], vec!["1".to_owned(); 4]));
}

#[test]
fn a_unix_socket_left_behind_is_replaced_and_a_file_is_not() {
    let setup = Setup::perl(&pids()).listens_elsewhere();
    let socket = setup.path("app.sock").to_str().expect("UTF-8").to_owned();
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("it can be bound"));
    let server = setup.args(["--socket", &socket]).start();
    assert_eq!(curl(["--unix-socket", &socket, "http://x/"]).status, 200);
    // A living server keeps its socket.
    let second = Setup::perl(&pids()).listens_elsewhere().args(["--socket", &socket]).run();
    assert_eq!(second.code(), 1);
    second.assert_says(&socket);
    assert_eq!(curl(["--unix-socket", &socket, "http://x/"]).status, 200);
    drop(server);
    let precious = Setup::perl(&pids()).listens_elsewhere().file("precious", "data");
    let path = precious.path("precious");
    let keep = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(keep.path(), "data").expect("a file can be written");
    let outcome = precious.args(["--socket", keep.path().to_str().expect("UTF-8")]).run();
    assert_eq!(outcome.code(), 1, "{path:?}");
    assert_eq!(std::fs::read_to_string(keep.path()).expect("it is still there"), "data");
}

#[test]
fn several_addresses_are_served_at_once() {
    for workers in [0, 3] {
        let setup = Setup::perl(&pids()).listens_elsewhere().workers(workers);
        let socket = setup.path("app.sock").to_str().expect("UTF-8").to_owned();
        let server = setup.args(["--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--listen", &socket]).start();
        let log = server.log();
        let banner = log.lines().find(|line| line.contains("listening on: ")).expect("it is there");
        let urls: Vec<&str> = banner.split([' ', ',']).filter(|word| word.starts_with("http://")).collect();
        assert_eq!(urls.len(), 2, "{banner}");
        for url in urls {
            assert_eq!(curl(["--globoff", url]).status, 200, "{url}");
        }
        assert_eq!(curl(["--unix-socket", &socket, "http://x/"]).status, 200);
    }
}

#[test]
fn shut_2_stopping_while_workers_are_being_forked_forgets_nobody() {
    for _ in 0..10 {
        let mut server = Setup::perl(&app::handler("await answer($send, $$);")).workers(24).start();
        assert!(server.stop().success(), "{}", server.log());
        assert!(!server.has_said(" ERROR "), "{}", server.log());
        assert!(!server.has_processes());
    }
}
