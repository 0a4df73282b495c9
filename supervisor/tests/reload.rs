//! Reload, restart and scale while clients are served: not one request may be lost.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::load::Load;
use common::{PATIENCE, Server, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// An application file that says which version it is; `extra` runs while it is loaded.
fn write_app(directory: &Path, version: &str, extra: &str, startup: &str) {
    let code = r#"
use strict; use warnings; use Future::AsyncAwait; use Future::IO;
EXTRA
async sub app {
    my ($scope, $receive, $send) = @_;
    if ($scope->{type} eq 'lifespan') {
        while (1) {
            my $event = await $receive->();
            if ($event->{type} eq 'lifespan.startup') {
                STARTUP
                await $send->({ type => 'lifespan.startup.complete' });
            }
            else { await $send->({ type => 'lifespan.shutdown.complete' }); return }
        }
    }
    await Future::IO->sleep($scope->{path} =~ m{^/sleep/(\S+)} ? $1 : 0.005);
    my $body = "answer VERSION";
    await $send->({ type => 'http.response.start', status => 200,
        headers => [['content-type', 'text/plain'], ['content-length', length $body]] });
    await $send->({ type => 'http.response.body', body => $body });
}
\&app;
"#;
    let code = code.replace("EXTRA", extra).replace("STARTUP", startup).replace("VERSION", version);
    // At once: a reload must never see half a file.
    let fresh = directory.join("app.pl.new");
    std::fs::write(&fresh, code).unwrap();
    std::fs::rename(&fresh, directory.join("app.pl")).unwrap();
}

fn start(arguments: &[&str]) -> Server {
    let directory = tempfile::tempdir().unwrap();
    write_app(directory.path(), "one", "", "");
    let server = Server::start_in(directory, &[arguments, &["./app.pl"]].concat());
    let workers = arguments.iter().skip_while(|word| **word != "-w").nth(1).unwrap().parse().unwrap();
    server.wait_for_several("is ready", workers);
    server
}

fn assert_nothing_lost(server: &Server, load: Load, least: u64) {
    let tally = load.finish();
    assert_eq!(tally.failed(), 0, "{tally:?}\n{}", server.log());
    let answered = tally.answered.load(std::sync::atomic::Ordering::SeqCst);
    assert!(answered >= least, "only {answered} requests were made");
}

fn status(server: &Server) -> serde_json::Value {
    let (code, text) = server.pagictl(&["status", "--json"]);
    assert_eq!(code, 0, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn reloads_under_load_lose_nothing() {
    let server = start(&["-w", "4"]);
    let load = Load::start(server.port(), 12);
    for round in 0..20 {
        let version = format!("round {round}");
        write_app(server.directory.path(), &version, "", "");
        let (code, text) = server.pagictl(&["reload"]);
        assert_eq!(code, 0, "{text}\n{}", server.log());
        assert_eq!(text, format!("Generation {} serves\n", round + 2));
        // Whoever connects from now on meets the new code, whichever queue takes the connection.
        for _ in 0..4 {
            assert_eq!(server.get("/").unwrap(), format!("answer {version}"));
        }
        load.wait_for_more(50);
    }
    assert_nothing_lost(&server, load, 1000);
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    eventually("only the last generation is left", PATIENCE, || {
        let family = server.family();
        family.len() == 5 && family.iter().all(|process| process.title.ends_with("gen 21"))
    });
    assert_eq!(status(&server)["restarts"]["reload"], 80);
    server.wait_for("Generation 21 serves: 4 workers replaced");
}

#[test]
fn a_reload_by_signal_and_in_batches_and_without_preloading() {
    for extra in [&["--reload-batch", "2"][..], &["--no-preload"], &["--queues", "1"]] {
        let server = start(&[&["-w", "3"], extra].concat());
        let load = Load::start(server.port(), 6);
        load.wait_for_more(20);
        write_app(server.directory.path(), "two", "", "");
        server.signal(Signal::SIGHUP);
        server.wait_for("Generation 2 serves: 3 workers replaced");
        assert_eq!(server.get("/").unwrap(), "answer two");
        assert_nothing_lost(&server, load, 20);
    }
}

#[test]
fn broken_code_is_rolled_back() {
    let server = start(&["-w", "2", "--lifespan", "on"]);
    let before = server.workers();
    let load = Load::start(server.port(), 4);
    let broken = [
        ("my $x = ;", "", "syntax error"),
        ("die qq{no configuration\\n};", "", "no configuration"),
        ("", "die qq{no database\\n};", "no database"),
        ("", "await $send->({ type => 'lifespan.startup.failed', message => 'no licence' }); return;", "no licence"),
        ("", "kill KILL => $$;", "was killed by SIGKILL before it was ready"),
    ];
    for (extra, startup, expected) in broken {
        write_app(server.directory.path(), "broken", extra, startup);
        let (code, text) = server.pagictl(&["reload"]);
        assert_eq!(code, 1, "{text}");
        assert!(text.starts_with("Reload failed, the previous code serves on: "), "{text}");
        assert!(text.contains(expected), "{text}");
        assert_eq!(server.get("/").unwrap(), "answer one");
    }
    let pids = |workers: Vec<common::Process>| workers.into_iter().map(|worker| worker.pid).collect::<Vec<_>>();
    assert_eq!(pids(server.workers()), pids(before), "nobody was touched");
    write_app(server.directory.path(), "mended", "", "");
    assert_eq!(server.pagictl(&["reload"]).0, 0);
    assert_eq!(server.get("/").unwrap(), "answer mended");
    assert_nothing_lost(&server, load, 20);
    eventually("no process of a failed attempt is left", PATIENCE, || server.family().len() == 3);
}

#[test]
fn code_that_hangs_in_start_up_is_rolled_back() {
    // Waiting is noticed by the worker itself, blocking by the master.
    for startup in ["await Future::IO->sleep(3600);", "sleep 3600;"] {
        let server = start(&["-w", "2", "--lifespan-startup-timeout", "1"]);
        let load = Load::start(server.port(), 4);
        write_app(server.directory.path(), "hanging", "", startup);
        let started = Instant::now();
        let (code, text) = server.pagictl(&["reload"]);
        assert_eq!(code, 1, "{text}");
        assert!(started.elapsed() < Duration::from_secs(8), "took {:?}", started.elapsed());
        assert_eq!(server.get("/").unwrap(), "answer one");
        assert_nothing_lost(&server, load, 20);
        eventually("the hanging worker is gone", PATIENCE, || server.family().len() == 3);
    }
}

#[test]
fn code_that_hangs_while_loading_is_rolled_back() {
    let server = start(&["-w", "2", "--reload-timeout", "1"]);
    write_app(server.directory.path(), "hanging", "sleep 3600;", "");
    let (code, text) = server.pagictl(&["reload"]);
    assert_eq!(code, 1);
    assert!(text.contains("The application was not loaded within 1 seconds"), "{text}");
    assert_eq!(server.get("/").unwrap(), "answer one");
    eventually("the mold is gone", PATIENCE, || server.family().len() == 3);
}

#[test]
fn a_slow_boot_leaves_no_gap() {
    let server = start(&["-w", "2"]);
    let load = Load::start(server.port(), 4);
    write_app(server.directory.path(), "slow", "sleep 3;", "");
    let started = Instant::now();
    assert_eq!(server.pagictl(&["reload"]).0, 0);
    assert!(started.elapsed() >= Duration::from_secs(3));
    assert_eq!(server.get("/").unwrap(), "answer slow");
    assert_nothing_lost(&server, load, 100);
}

#[test]
fn a_second_reload_follows_the_first() {
    let server = start(&["-w", "2"]);
    write_app(server.directory.path(), "slow", "sleep 1;", "");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.pagictl(&["reload"]));
        eventually("the first is under way", PATIENCE, || status(&server)["reloading"] == 2);
        write_app(server.directory.path(), "newest", "", "");
        assert_eq!(server.pagictl(&["reload"]), (0, "Generation 3 serves\n".to_owned()));
        assert_eq!(first.join().unwrap(), (0, "Generation 2 serves\n".to_owned()));
    });
    assert_eq!(server.get("/").unwrap(), "answer newest");
}

#[test]
fn killed_processes_do_not_stop_a_reload() {
    let server = start(&["-w", "4"]);
    write_app(server.directory.path(), "two", "", "await Future::IO->sleep(0.2);");
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| server.pagictl(&["reload"]));
        server.wait_for("Worker 1 (");
        eventually("the first replacement serves", PATIENCE, || server.log().contains("of generation 2 is ready"));
        for worker in server.workers().iter().filter(|worker| worker.title.ends_with("4 gen 1")) {
            kill(Pid::from_raw(worker.pid), Signal::SIGKILL).unwrap();
        }
        for mold in server.family().iter().filter(|process| process.title.contains("mold gen 2")) {
            kill(Pid::from_raw(mold.pid), Signal::SIGKILL).unwrap();
        }
        let (code, text) = reload.join().unwrap();
        assert_eq!(code, 0, "{text}\n{}", server.log());
    });
    for _ in 0..8 {
        assert_eq!(server.get("/").unwrap(), "answer two");
    }
    eventually("four workers of generation 2", PATIENCE, || {
        let workers = server.workers();
        workers.len() == 4 && workers.iter().all(|worker| worker.title.ends_with("gen 2"))
    });
}

#[test]
fn requests_under_way_finish_with_the_old_code() {
    let server = start(&["-w", "2"]);
    let port = server.port();
    let slow = std::thread::spawn(move || common::get(port, "/sleep/2"));
    std::thread::sleep(Duration::from_millis(300));
    write_app(server.directory.path(), "two", "", "");
    assert_eq!(server.pagictl(&["reload"]).0, 0);
    assert_eq!(slow.join().unwrap().unwrap(), "answer one");
}

#[test]
fn restarts_under_load_lose_nothing() {
    let server = start(&["-w", "3"]);
    let load = Load::start(server.port(), 8);
    let before = server.workers();
    for round in 0..5 {
        assert_eq!(server.pagictl(&["restart"]), (0, "3 workers replaced\n".to_owned()), "round {round}");
    }
    assert_eq!(server.pagictl(&["restart", "2"]), (0, "1 workers replaced\n".to_owned()));
    assert_nothing_lost(&server, load, 100);
    eventually("three new workers", PATIENCE, || server.workers().len() == 3);
    assert!(server.workers().iter().all(|worker| before.iter().all(|old| old.pid != worker.pid)));
    assert_eq!(status(&server)["restarts"]["restart"], 16);
    assert_eq!(status(&server)["generation"], 1);
    let (code, text) = server.pagictl(&["restart", "9"]);
    assert_eq!((code, text.as_str()), (1, "No worker 9 serves that could be replaced\n"));
}

#[test]
fn a_drained_worker_has_finished() {
    let server = start(&["-w", "2"]);
    let port = server.port();
    let slow: Vec<_> = (0..8).map(|_| std::thread::spawn(move || common::get(port, "/sleep/1"))).collect();
    std::thread::sleep(Duration::from_millis(300));
    let old = server.workers().into_iter().find(|worker| worker.title.contains("worker 1 ")).unwrap();
    let (code, text) = server.pagictl(&["drain", "1"]);
    assert_eq!(code, 0, "{text}");
    assert!(!common::is_alive(old.pid));
    for request in slow {
        assert_eq!(request.join().unwrap().unwrap(), "answer one");
    }
    assert_eq!(server.workers().len(), 2);
}

#[test]
fn a_drain_waits_for_requests_but_not_for_ever() {
    let server = start(&["-w", "2", "--shutdown-timeout", "2"]);
    server.wait_for_several("is ready", 2);
    let port = server.port();
    let endless: Vec<_> = (0..6).map(|_| std::thread::spawn(move || common::get(port, "/sleep/3600"))).collect();
    eventually("both workers are busy", PATIENCE, || {
        let status = status(&server);
        let workers = status["workers"].as_array().unwrap();
        workers.iter().map(|worker| worker["active"].as_u64().unwrap()).sum::<u64>() == 6
    });
    for worker in ["1", "2"] {
        assert_eq!(server.pagictl(&["drain", worker]).0, 0);
    }
    for request in endless {
        request.join().unwrap().expect_err("it was cut");
    }
    assert_eq!(server.get("/").unwrap(), "answer one");
    let (code, text) = server.pagictl(&["drain", "3"]);
    assert_eq!((code, text.as_str()), (1, "No worker 3 serves that could be replaced\n"));
    assert_eq!(server.pagictl(&["drain"]).0, 2, "which one");
}

#[test]
fn scaling_under_load_loses_nothing() {
    let server = start(&["-w", "2", "--queues", "4"]);
    let load = Load::start(server.port(), 8);
    for workers in ["5", "1", "4", "2", "6", "1", "2"] {
        let (code, text) = server.pagictl(&["scale", workers]);
        assert_eq!((code, text), (0, format!("{workers} workers serve\n")), "{}", server.log());
        load.wait_for_more(50);
    }
    server.signal(Signal::SIGTTIN);
    server.wait_for("3 workers are wanted instead of 2");
    eventually("three serve", PATIENCE, || server.workers().len() == 3);
    server.signal(Signal::SIGTTOU);
    eventually("two serve", PATIENCE, || server.workers().len() == 2);
    assert_eq!(server.pagictl(&["scale", "3"]).0, 0);
    assert_eq!(server.pagictl(&["reload"]).0, 0);
    assert_eq!(status(&server)["workers_wanted"], 3, "a reload keeps the number");
    assert_nothing_lost(&server, load, 400);
}

#[test]
fn the_other_orders() {
    let mut server = start(&["-w", "2"]);
    let (code, table) = server.pagictl(&["workers"]);
    assert_eq!(code, 0);
    assert!(table.trim_start().starts_with("NUM") && table.lines().count() == 3, "{table}");
    assert_eq!(server.pagictl(&["logs-reopen"]), (0, "Log files are reopened\n".to_owned()));
    server.wait_for("Log files are reopened");
    assert_eq!(server.pagictl(&["scale", "0"]).0, 2);
    assert_eq!(server.pagictl(&["stop"]), (0, "The server has stopped\n".to_owned()));
    assert_eq!(server.wait(Duration::from_secs(1)), Some(0));
}

#[test]
fn a_server_without_workers_says_why_not() {
    let mut server = Server::start(&["-e", common::APP]);
    for arguments in [&["reload"][..], &["restart"], &["scale", "3"], &["drain", "1"]] {
        let (code, text) = server.pagictl(arguments);
        assert_eq!(code, 1);
        assert!(text.contains("start it with --workers 2 or more"), "{text}");
    }
    server.signal(Signal::SIGHUP);
    server.wait_for("Signal ignored: a server without worker processes");
    assert_eq!(server.pagictl(&["stop"]).0, 0);
    assert_eq!(server.wait(PATIENCE), Some(0));
}
