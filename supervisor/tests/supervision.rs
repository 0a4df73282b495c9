//! What happens to processes: who lives, who dies, who is replaced, seen from outside.

mod common;

use std::time::{Duration, Instant};

use common::{APP, FAILING_APP, PATIENCE, Server, eventually, is_alive};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn pid_of(body: &str) -> i32 {
    body.parse().unwrap_or_else(|_| panic!("not a process id: {body:?}"))
}

#[test]
fn the_tree_is_the_masters_and_can_be_read_in_ps() {
    let server = Server::start(&["-w", "3", "-e", APP]);
    server.wait_for_several("is ready", 3);
    let titles: Vec<String> = server.family().into_iter().map(|process| process.title).collect();
    for expected in ["mold gen 1", "worker 1 gen 1", "worker 2 gen 1", "worker 3 gen 1"] {
        assert!(titles.iter().any(|title| title == &format!("pagi-server: {expected}")), "{titles:?}");
    }
    assert_eq!(titles.len(), 4, "{titles:?}");
    let own = std::fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap();
    assert_eq!(own.trim_end_matches('\0'), "pagi-server: master");
    let answered = pid_of(&server.get("/").unwrap());
    assert!(server.workers().iter().any(|worker| worker.pid == answered));
}

#[test]
fn without_preloading_there_is_no_mold() {
    let server = Server::start(&["-w", "2", "--no-preload", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let titles: Vec<String> = server.family().into_iter().map(|process| process.title).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles.iter().all(|title| title.starts_with("pagi-server: worker ")), "{titles:?}");
    server.get("/").unwrap();
}

#[test]
fn one_worker_means_the_foreground_process() {
    let server = Server::start(&["-w", "1", "-e", APP]);
    assert_eq!(pid_of(&server.get("/").unwrap()), server.pid().as_raw());
    assert_eq!(server.family(), []);
}

#[test]
fn a_killed_master_takes_everybody_along() {
    for extra in [&[][..], &["--no-preload"]] {
        let mut server = Server::start(&[&["-w", "2", "-e", APP], extra].concat());
        server.wait_for_several("is ready", 2);
        let family = server.family();
        // One of them sits in a blocking call and cannot notice anything by itself.
        let port = server.port();
        std::thread::spawn(move || common::get(port, "/block"));
        std::thread::sleep(Duration::from_millis(100));
        server.signal(Signal::SIGKILL);
        server.wait(PATIENCE);
        for process in family {
            let what = format!("{} has ended", process.title);
            eventually(&what, Duration::from_secs(2), || !is_alive(process.pid));
        }
    }
}

#[test]
fn a_killed_worker_is_replaced_and_the_others_serve_on() {
    let server = Server::start(&["-w", "2", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let victim = server.workers()[0].clone();
    kill(Pid::from_raw(victim.pid), Signal::SIGKILL).unwrap();
    server.wait_for("was killed by SIGKILL");
    server.wait_for_several("is ready", 3);
    let workers = server.workers();
    assert_eq!(workers.len(), 2);
    assert!(workers.iter().any(|worker| worker.title == victim.title && worker.pid != victim.pid), "{workers:?}");
    for _ in 0..10 {
        server.get("/").unwrap();
    }
}

#[test]
fn a_killed_mold_is_replaced_and_nobody_notices() {
    let server = Server::start(&["-w", "2", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let before = server.workers();
    let mold = server.family().into_iter().find(|process| process.title.contains("mold")).unwrap();
    kill(Pid::from_raw(mold.pid), Signal::SIGKILL).unwrap();
    server.wait_for("The mold of generation 1 was killed by SIGKILL");
    kill(Pid::from_raw(before[1].pid), Signal::SIGKILL).unwrap();
    server.wait_for_several("is ready", 3);
    let survives = |pid| server.workers().iter().any(|worker| worker.pid == pid);
    assert!(survives(before[0].pid) && !survives(before[1].pid));
    server.get("/").unwrap();
}

#[test]
fn a_worker_told_to_stop_finishes_its_request_and_is_replaced() {
    let server = Server::start(&["-w", "2", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let port = server.port();
    let request = std::thread::spawn(move || common::get(port, "/sleep/1"));
    std::thread::sleep(Duration::from_millis(300));
    for worker in server.workers() {
        kill(Pid::from_raw(worker.pid), Signal::SIGTERM).unwrap();
    }
    request.join().unwrap().expect("the request under way is answered");
    server.wait_for_several("has stopped", 2);
    server.wait_for_several("is ready", 4);
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[test]
fn a_blocked_worker_is_killed_and_replaced() {
    let server = Server::start(&["-w", "2", "--heartbeat-timeout", "2", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let port = server.port();
    let started = Instant::now();
    let blocked = std::thread::spawn(move || common::get(port, "/block"));
    server.wait_for("has shown no sign of life for 2.");
    assert!(started.elapsed() < Duration::from_secs(5), "detected after {:?}", started.elapsed());
    blocked.join().unwrap().expect_err("its request is lost");
    // Where it was stuck, and how it came there.
    let line = |text: &str| APP.lines().position(|line| line.contains(text)).unwrap() + 1;
    server.wait_for(&format!(" is at -e line {}", line("sleep 3600")));
    server.wait_for(&format!(" called from -e line {}", line("{ block() }")));
    server.wait_for_several("is ready", 3);
    for _ in 0..10 {
        server.get("/").unwrap();
    }
}

#[test]
fn a_worker_that_loops_says_where() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("app.pl"), format!("# line 1 \"looping.pl\"\n{APP}")).unwrap();
    let server = Server::start_in(directory, &["-w", "2", "--heartbeat-timeout", "1", "./app.pl"]);
    server.wait_for_several("is ready", 2);
    let port = server.port();
    let stuck = std::thread::spawn(move || common::get(port, "/loop"));
    let line = APP.lines().position(|line| line.contains("1 while 1")).unwrap() + 1;
    let pid = server.wait_for(&format!(" is at looping.pl line {line}"));
    assert!(pid.contains("Worker process "), "{pid}");
    server.wait_for("has shown no sign of life for 1.");
    stuck.join().unwrap().expect_err("its request is lost");
    server.wait_for_several("is ready", 3);
    server.get("/").unwrap();
}

#[test]
fn a_waiting_worker_is_not_blocked() {
    let server = Server::start(&["-w", "2", "--heartbeat-timeout", "2", "-e", APP]);
    server.get("/sleep/4").expect("waiting is no reason to be killed");
    assert!(!server.log().contains("no sign of life"), "{}", server.log());
}

#[test]
fn max_requests_replaces_a_worker_without_a_gap() {
    let server = Server::start(&["-w", "2", "--max-requests", "20", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let mut pids = std::collections::BTreeSet::new();
    eventually("more than two processes have answered", PATIENCE, || {
        pids.insert(server.get("/").expect("no request is lost"));
        pids.len() > 2
    });
    server.wait_for("has served its requests and is replaced");
    server.wait_for("has stopped");
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    eventually("two workers are left", PATIENCE, || server.workers().len() == 2);
}

#[test]
fn old_and_big_workers_are_replaced_without_a_gap() {
    for (option, value, cause) in [("--max-worker-age", "1", "max_age"), ("--max-worker-rss", "1000000", "max_rss")] {
        let server = Server::start(&["-w", "2", option, value, "-e", APP]);
        server.wait_for_several("is ready", 2);
        let before = server.workers();
        eventually("both were replaced", PATIENCE, || {
            server.get("/").expect("no request is lost");
            before.iter().all(|old| !is_alive(old.pid))
        });
        let (_, text) = server.pagictl(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(status["restarts"][cause].as_u64().unwrap() >= 2, "{text}");
        assert!(!server.log().contains("ERROR"), "{}", server.log());
    }
}

#[test]
fn orphans_of_applications_do_not_stay_as_zombies() {
    let server = Server::start(&["-w", "2", "-e", APP]);
    server.wait_for_several("is ready", 2);
    server.get("/orphan").unwrap();
    let orphans = |server: &Server| {
        server.family().into_iter().filter(|process| !process.title.starts_with("pagi-server: ")).count()
    };
    eventually("the orphan came to us", PATIENCE, || orphans(&server) == 1);
    eventually("and was collected", PATIENCE, || orphans(&server) == 0);
}

#[test]
fn a_graceful_stop_answers_what_is_under_way() {
    for workers in ["1", "2"] {
        let mut server = Server::start(&["-w", workers, "-e", APP]);
        let port = server.port();
        let request = std::thread::spawn(move || common::get(port, "/sleep/1"));
        std::thread::sleep(Duration::from_millis(300));
        server.signal(Signal::SIGTERM);
        request.join().unwrap().expect("the request under way is answered");
        assert_eq!(server.wait(PATIENCE), Some(0), "with {workers} workers:\n{}", server.log());
        common::get(port, "/").expect_err("nobody listens any more");
    }
}

#[test]
fn every_stop_signal_stops() {
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        for workers in ["1", "2"] {
            let mut server = Server::start(&["-w", workers, "-e", APP]);
            server.signal(signal);
            assert_eq!(server.wait(PATIENCE), Some(0), "{signal} with {workers} workers:\n{}", server.log());
        }
    }
}

#[test]
fn a_second_signal_hurries() {
    for workers in ["1", "2"] {
        let mut server = Server::start(&["-w", workers, "-e", APP]);
        let port = server.port();
        let request = std::thread::spawn(move || common::get(port, "/sleep/15"));
        std::thread::sleep(Duration::from_millis(300));
        let started = Instant::now();
        server.signal(Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(300));
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait(PATIENCE), Some(0), "with {workers} workers:\n{}", server.log());
        assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
        request.join().unwrap().expect_err("the request was cut");
    }
}

#[test]
fn an_interrupt_from_the_terminal_reaches_everybody_and_is_still_graceful() {
    for workers in ["1", "3"] {
        let mut server = Server::start(&["-w", workers, "-e", APP]);
        let port = server.port();
        let request = std::thread::spawn(move || common::get(port, "/sleep/1"));
        std::thread::sleep(Duration::from_millis(300));
        nix::sys::signal::killpg(server.pid(), Signal::SIGINT).unwrap();
        request.join().unwrap().expect("the request under way is answered");
        assert_eq!(server.wait(PATIENCE), Some(0), "with {workers} workers:\n{}", server.log());
        assert!(!server.log().contains("ERROR"), "{}", server.log());
    }
}

#[test]
fn a_stopped_worker_is_killed_and_replaced() {
    let server = Server::start(&["-w", "2", "--heartbeat-timeout", "2", "-e", APP]);
    server.wait_for_several("is ready", 2);
    kill(Pid::from_raw(server.workers()[0].pid), Signal::SIGSTOP).unwrap();
    server.wait_for("has shown no sign of life");
    server.wait_for_several("is ready", 3);
    assert_eq!(server.workers().len(), 2);
}

#[test]
fn a_stop_is_bounded_even_when_a_worker_is_blocked() {
    let mut server = Server::start(&["-w", "2", "--shutdown-timeout", "1", "-e", APP]);
    let port = server.port();
    std::thread::spawn(move || common::get(port, "/block"));
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait(PATIENCE), Some(0));
    assert!(started.elapsed() < Duration::from_secs(6), "took {:?}", started.elapsed());
    server.wait_for("did not stop in time: killing it");
}

#[test]
fn an_interrupted_load_ends_at_once() {
    for extra in [&[][..], &["-w", "2"], &["-w", "2", "--no-preload"]] {
        let code = "print STDERR qq{loading\\n}; sleep 3600; sub {}";
        let mut server = Server::spawn(&[&["--port", "0", "-e", code], extra].concat());
        server.wait_for("loading");
        let started = Instant::now();
        server.signal(Signal::SIGINT);
        server.wait(PATIENCE);
        assert!(started.elapsed() < Duration::from_secs(2), "{extra:?} took {:?}", started.elapsed());
    }
}

#[test]
fn management_signals_do_not_kill() {
    for workers in ["1", "2"] {
        let server = Server::start(&["-w", workers, "-e", APP]);
        // What USR2 does to the server itself is tested with upgrades.
        for signal in [Signal::SIGHUP, Signal::SIGUSR2, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGPIPE] {
            if signal != Signal::SIGUSR2 {
                server.signal(signal);
            }
            for worker in server.workers() {
                kill(Pid::from_raw(worker.pid), signal).unwrap();
            }
        }
        if workers == "1" {
            server.wait_for_several("Signal ignored: a server without worker processes", 3);
        } else {
            server.wait_for("Generation 2 serves");
        }
        server.get("/").expect("still serving");
        assert!(!server.log().contains("was killed"), "{}", server.log());
    }
}

#[test]
fn usr1_reopens_the_access_log() {
    for workers in ["1", "2"] {
        let server = Server::start(&["-w", workers, "--access-log", "access.log", "-e", APP]);
        let log = server.directory.path().join("access.log");
        let renamed = server.directory.path().join("access.log.1");
        let holds = |path: &std::path::Path, text: &str| {
            std::fs::read_to_string(path).is_ok_and(|content| content.contains(text))
        };
        server.get("/first").unwrap();
        eventually("the first line is written", PATIENCE, || holds(&log, "GET /first 200"));
        std::fs::rename(&log, &renamed).unwrap();
        server.signal(Signal::SIGUSR1);
        eventually("a new file appears", PATIENCE, || log.exists());
        // Every worker has to have reopened its own: ask until each must have answered.
        eventually("new lines go to the new file", PATIENCE, || {
            server.get("/second").unwrap();
            holds(&log, "GET /second 200")
        });
    }
}

#[test]
fn an_application_that_does_not_load_is_reported_once() {
    for extra in [&[][..], &["-w", "2"]] {
        let code = "my $x = ; sub {}";
        let mut server = Server::spawn(&[&["--port", "0", "-e", code], extra].concat());
        assert_eq!(server.wait(PATIENCE), Some(1), "{}", server.log());
        eventually("the message is there", PATIENCE, || server.log().contains("Error evaluating -e code: "));
        assert_eq!(server.log().matches("Error evaluating -e code: ").count(), 1, "{}", server.log());
    }
}

#[test]
fn a_failing_start_up_ends_the_server_with_the_applications_message() {
    let mut single = Server::spawn(&["--port", "0", "-e", FAILING_APP]);
    assert_eq!(single.wait(PATIENCE), Some(1));
    single.wait_for("PAGI Server startup failed: ");
    let line = single.wait_for("Error starting server: Lifespan startup failed: ");
    assert!(line.contains("no database"), "{line}");
    for extra in [&[][..], &["--no-preload"]] {
        let mut server = Server::spawn(&[&["--port", "0", "-w", "2", "-e", FAILING_APP], extra].concat());
        assert_eq!(server.wait(PATIENCE), Some(1), "{}", server.log());
        server.wait_for("All workers failed to start; no workers remain");
        let log = server.log();
        assert_eq!(log.matches("startup failed: ").count(), 2, "one attempt per worker:\n{log}");
        assert!(log.contains("Worker 1 (") && log.contains("no database"), "{log}");
    }
}

#[test]
fn a_worker_that_dies_in_start_up_is_not_started_for_ever() {
    let code = "use Future::AsyncAwait; async sub app { kill KILL => $$ } \\&app";
    let mut server = Server::spawn(&["--port", "0", "-w", "2", "-e", code]);
    assert_eq!(server.wait(PATIENCE), Some(1), "{}", server.log());
    server.wait_for("All workers failed to start; no workers remain");
    assert_eq!(server.log().matches("was killed by SIGKILL").count(), 6, "{}", server.log());
}

#[test]
fn exit_in_an_application_gives_its_status() {
    let code = "use Future::AsyncAwait; \
        async sub app { my ($scope) = @_; die qq{no\\n} if $scope->{type} ne 'http'; exit 9 } \\&app";
    let mut single = Server::start(&["-e", code]);
    single.get("/").expect_err("the process ends");
    assert_eq!(single.wait(PATIENCE), Some(9));
    let several = Server::start(&["-w", "2", "-e", code]);
    several.wait_for_several("is ready", 2);
    several.get("/").expect_err("the worker ends");
    several.wait_for("exited with status 9");
    several.wait_for_several("is ready", 3);
}
