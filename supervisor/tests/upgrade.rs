//! A newer binary takes the place of the one that runs: no socket is closed, no request lost, and when it does not
//! start, nothing has happened.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::load::Load;
use common::{PATIENCE, Server, eventually, family, is_alive};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Says which version of the program runs it.
const APP: &str = r#"
use strict; use warnings; use Future::AsyncAwait; use Future::IO;
my $version = $ENV{PROGRAM_VERSION} // 'one';
sub {
    my ($scope, $receive, $send) = @_;
    return serve(@_);
};
async sub serve {
    my ($scope, $receive, $send) = @_;
    die "no lifespan\n" if $scope->{type} ne 'http';
    await Future::IO->sleep($scope->{path} =~ m{^/sleep/(\S+)} ? $1 : 0.005);
    my $body = "answer $version";
    await $send->({ type => 'http.response.start', status => 200,
        headers => [['content-type', 'text/plain'], ['content-length', length $body]] });
    await $send->({ type => 'http.response.body', body => $body });
}
\&serve;
"#;

/// What is installed under the server's name.
fn install(directory: &Path, script: &str) {
    let (fresh, program) = (directory.join("new"), directory.join("pagi-server"));
    std::fs::write(&fresh, format!("#!/bin/bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(fresh, program).unwrap();
}

fn version(name: &str) -> String {
    format!("export PROGRAM_VERSION={name}\nexec -a \"$0\" {} \"$@\"", env!("CARGO_BIN_EXE_pagi-server"))
}

/// A server whose binary can be replaced.
fn start(arguments: &[&str]) -> Server {
    start_with(arguments, APP)
}

fn start_with(arguments: &[&str], app: &str) -> Server {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("app.pl"), app).unwrap();
    let program = directory.path().join("pagi-server");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pagi-server"), &program).unwrap();
    let server = Server::spawn_program(
        program.to_str().unwrap(),
        directory,
        &[arguments, &["--pid", "server.pid", "./app.pl"]].concat(),
    );
    server.wait_for("listening on");
    server
}

fn status(server: &Server) -> serde_json::Value {
    let (code, text) = server.pagictl(&["status", "--json"]);
    assert_eq!(code, 0, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn main_pid(server: &Server) -> i32 {
    i32::try_from(status(server)["pid"].as_i64().unwrap()).unwrap()
}

fn pid_file(server: &Server) -> i32 {
    std::fs::read_to_string(server.directory.path().join("server.pid")).unwrap().trim().parse().unwrap()
}

fn upgrade(server: &Server) -> i32 {
    let (code, text) = server.pagictl(&["upgrade"]);
    assert_eq!(code, 0, "{text}\n{}", server.log());
    let pid = main_pid(server);
    assert_eq!(text, format!("pagi-server {} serves as process {pid}\n", env!("CARGO_PKG_VERSION")));
    pid
}

fn stop(server: &Server, pid: i32) {
    assert_eq!(server.pagictl(&["stop"]), (0, "The server has stopped\n".to_owned()), "{}", server.log());
    eventually("the server is gone", PATIENCE, || !is_alive(pid));
    assert!(!server.directory.path().join("server.pid").exists());
    assert!(!server.directory.path().join("pagi/control.sock").exists());
}

fn assert_nothing_lost(server: &Server, load: Load, least: u64) {
    let tally = load.finish();
    assert_eq!(tally.failed(), 0, "{tally:?}\n{}", server.log());
    assert!(tally.answered.load(Ordering::SeqCst) >= least);
}

#[test]
fn upgrades_under_load_lose_nothing_and_can_be_repeated() {
    for arguments in [&["-w", "3", "--port", "0"][..], &["-w", "2", "--port", "0", "--queues", "1"], &["--port", "0"]] {
        let server = start(arguments);
        let load = Load::start(server.port(), 6);
        let mut pid = server.pid().as_raw();
        for round in 0..3 {
            let name = format!("round-{round}");
            install(server.directory.path(), &version(&name));
            let successor = upgrade(&server);
            assert_ne!(successor, pid);
            assert_eq!(pid_file(&server), successor);
            eventually("the old server is gone", PATIENCE, || !is_alive(pid));
            pid = successor;
            for _ in 0..4 {
                assert_eq!(server.get("/").unwrap(), format!("answer {name}"), "{arguments:?}");
            }
            load.wait_for_more(20);
        }
        assert_nothing_lost(&server, load, 60);
        stop(&server, pid);
    }
}

#[test]
fn an_upgrade_by_signal_finishes_what_is_under_way() {
    for workers in ["1", "2"] {
        let server = start(&["-w", workers, "--port", "0"]);
        let port = server.port();
        let slow = std::thread::spawn(move || common::get(port, "/sleep/3"));
        eventually("the slow request is under way", PATIENCE, || {
            status(&server)["workers"].as_array().unwrap().iter().any(|worker| worker["active"] == 1)
        });
        install(server.directory.path(), &version("two"));
        server.signal(Signal::SIGUSR2);
        server.wait_for("Upgraded: pagi-server ");
        let pid = pid_file_eventually(&server, server.pid().as_raw());
        assert_eq!(server.get("/").unwrap(), "answer two");
        assert_eq!(slow.join().unwrap().unwrap(), "answer one");
        eventually("the old server is gone", PATIENCE, || !is_alive(server.pid().as_raw()));
        stop(&server, pid);
    }
}

fn pid_file_eventually(server: &Server, old: i32) -> i32 {
    eventually("the PID file moves", PATIENCE, || pid_file(server) != old);
    pid_file(server)
}

#[test]
fn sockets_scale_and_admin_listener_move_along() {
    let server = start(&["-w", "2", "--socket", "app.sock", "--admin-listen", "admin.sock"]);
    let path = |name: &str| server.directory.path().join(name);
    let ask = |name: &str, what: &str| common::exchange(UnixStream::connect(path(name)).unwrap(), what);
    assert_eq!(server.pagictl(&["scale", "3"]).0, 0);
    install(server.directory.path(), &version("two"));
    let pid = upgrade(&server);
    assert_eq!(ask("app.sock", "/").unwrap(), "answer two");
    assert_eq!(ask("admin.sock", "/healthz").unwrap(), "ok\n");
    assert_eq!(status(&server)["workers_wanted"], 3, "a changed number of workers is kept");
    eventually("the old server is gone", PATIENCE, || !is_alive(server.pid().as_raw()));
    assert_eq!(ask("app.sock", "/").unwrap(), "answer two", "the old one leaves the socket file");
    assert_eq!(ask("admin.sock", "/healthz").unwrap(), "ok\n");
    stop(&server, pid);
    assert!(!path("app.sock").exists() && !path("admin.sock").exists(), "the new one removes them");
}

#[test]
fn a_unix_socket_of_a_single_process_moves_along() {
    let server = start(&["--socket", "app.sock"]);
    let path = server.directory.path().join("app.sock");
    let ask = || common::exchange(UnixStream::connect(&path).unwrap(), "/");
    assert_eq!(ask().unwrap(), "answer one");
    install(server.directory.path(), &version("two"));
    let pid = upgrade(&server);
    assert_eq!(ask().unwrap(), "answer two");
    eventually("the old server is gone", PATIENCE, || !is_alive(server.pid().as_raw()));
    assert_eq!(ask().unwrap(), "answer two", "the old one leaves the socket file");
    stop(&server, pid);
    assert!(!path.exists(), "the new one removes it");
}

#[test]
fn successors_find_sockets_in_the_form_of_the_reference_server() {
    for workers in ["1", "2"] {
        let server = start(&["-w", workers, "--port", "0", "--queues", "2"]);
        let port = server.port();
        let noted = server.directory.path().join("noted");
        let script = format!("echo \"$PAGI_REUSE\" > {}\n{}", noted.display(), version("two"));
        install(server.directory.path(), &script);
        let pid = upgrade(&server);
        let text = std::fs::read_to_string(&noted).unwrap();
        let entries: Vec<&str> = text.trim().split(',').collect();
        assert_eq!(entries.len(), 2, "{text}");
        for entry in entries {
            let number = entry.strip_prefix(&format!("127.0.0.1:{port}:"));
            assert!(number.is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number >= 3)), "{text}");
        }
        stop(&server, pid);
    }
}

#[test]
fn what_does_not_start_changes_nothing() {
    for workers in ["1", "2"] {
        let server = start(&["-w", workers, "--port", "0", "--reload-timeout", "3", "--lifespan-startup-timeout", "1"]);
        let directory = server.directory.path();
        let load = Load::start(server.port(), 4);
        let binary = env!("CARGO_BIN_EXE_pagi-server");
        let attempts = [
            ("exit 7".to_owned(), "the new server ended before it was ready"),
            (format!("exec {binary} --no-such-option"), "Unknown option --no-such-option"),
            (format!("exec {binary} -e 'die qq{{out of order\\n}}' \"$@\""), "out of order"),
            (
                format!("exec {binary} --lifespan on -e 'sub {{ sleep 3600 }}' \"$@\""),
                "the new server was not ready within",
            ),
            (format!("exec {binary} --lifespan on -e 'sub {{ die qq{{no licence}} }}' \"$@\""), "no licence"),
            ("exec sleep 3600".to_owned(), "the new server was not ready within 4 seconds"),
        ];
        for (script, expected) in attempts {
            install(directory, &script);
            let (code, text) = server.pagictl(&["upgrade"]);
            assert_eq!(code, 1, "{script}: {text}");
            assert!(text.starts_with("Upgrade failed, the running server serves on: "), "{text}");
            assert!(text.contains(expected), "{text}\n{}", server.log());
            assert_eq!((main_pid(&server), pid_file(&server)), (server.pid().as_raw(), server.pid().as_raw()));
            assert_eq!(server.get("/").unwrap(), "answer one");
        }
        std::fs::remove_file(directory.join("pagi-server")).unwrap();
        let (code, text) = server.pagictl(&["upgrade"]);
        assert_eq!(code, 1);
        assert!(text.contains("Cannot start ") && text.contains("No such file"), "{text}");
        eventually("nothing is left of the attempts", PATIENCE, || {
            let others = family(server.pid().as_raw());
            others.iter().all(|process| process.title.contains(": worker ") || process.title.contains(": mold "))
        });
        install(directory, &version("two"));
        let pid = upgrade(&server);
        assert_eq!(server.get("/").unwrap(), "answer two");
        assert_nothing_lost(&server, load, 50);
        stop(&server, pid);
    }
}

#[test]
fn one_change_at_a_time() {
    let server = start(&["-w", "2", "--port", "0"]);
    install(server.directory.path(), &format!("sleep 2\n{}", version("two")));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.pagictl(&["upgrade"]));
        server.wait_for("Upgrading: ");
        let (code, text) = server.pagictl(&["upgrade"]);
        assert_eq!((code, text.as_str()), (1, "An upgrade is under way\n"));
        let (code, text) = server.pagictl(&["reload"]);
        assert_eq!((code, text.as_str()), (1, "An upgrade is under way; try again when it has ended\n"));
        assert_eq!(first.join().unwrap().0, 0);
    });
    let pid = main_pid(&server);
    stop(&server, pid);
}

#[test]
fn a_stop_ends_an_upgrade() {
    for workers in ["1", "2"] {
        let mut server = start(&["-w", workers, "--port", "0"]);
        install(server.directory.path(), "exec sleep 3600");
        std::thread::scope(|scope| {
            let upgrade = scope.spawn(|| server.pagictl(&["upgrade"]));
            server.wait_for("Upgrading: ");
            server.signal(Signal::SIGTERM);
            assert_eq!(upgrade.join().unwrap().0, 1);
        });
        let line = server.wait_for("Upgrading: ");
        let successor: i32 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(server.wait(PATIENCE), Some(0));
        eventually("the successor is gone, too", PATIENCE, || !is_alive(successor));
    }
}

#[test]
fn a_successor_whose_predecessor_dies_takes_over() {
    let mut server = start(&["-w", "2", "--port", "0"]);
    let port = server.port();
    install(server.directory.path(), &format!("sleep 1\n{}", version("two")));
    server.signal(Signal::SIGUSR2);
    server.wait_for("Upgrading: ");
    server.signal(Signal::SIGKILL);
    assert_eq!(server.wait(PATIENCE), None);
    let old = server.pid().as_raw();
    server.wait_for("taking its place");
    let pid = pid_file_eventually(&server, old);
    assert_eq!(common::get(port, "/").unwrap(), "answer two");
    stop(&server, pid);
}

#[test]
fn the_service_manager_hears_of_the_new_main_process() {
    for workers in ["1", "2"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let notifications = UnixDatagram::bind(&path).unwrap();
        // Read at once, as a service manager does: a sender waits while ten messages are unread.
        let (sender, messages) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(length) = notifications.recv(&mut buffer) {
                if sender.send(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()).is_err() {
                    break;
                }
            }
        });
        let next = || loop {
            let message = messages.recv_timeout(PATIENCE).expect("a notification");
            if !["STATUS=", "FDSTORE=1", "WATCHDOG=1"].iter().any(|start| message.starts_with(start)) {
                break message;
            }
        };
        std::fs::write(directory.path().join("app.pl"), APP).unwrap();
        install(directory.path(), &version("one"));
        // The watchdog is meant for whoever is the main process.
        let script = format!(
            "export NOTIFY_SOCKET={} WATCHDOG_USEC=600000 WATCHDOG_PID=$$\nexec {}/pagi-server \"$@\"",
            path.display(),
            directory.path().display()
        );
        let starter = directory.path().join("starter");
        std::fs::write(&starter, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&starter, std::fs::Permissions::from_mode(0o755)).unwrap();
        let server = Server::spawn_program(
            starter.to_str().unwrap(),
            directory,
            &["-w", workers, "--port", "0", "--pid", "server.pid", "./app.pl"],
        );
        assert_eq!(next(), "READY=1");
        install(server.directory.path(), "exit 1");
        assert_eq!(server.pagictl(&["upgrade"]).0, 1);
        install(server.directory.path(), &version("two"));
        let pid = upgrade(&server);
        assert_eq!(next(), format!("MAINPID={pid}"), "nothing was said of the attempt that failed");
        assert_eq!(next(), "READY=1");
        while messages.recv_timeout(PATIENCE).expect("food for the watchdog") != "WATCHDOG=1" {}
        eventually("the old one is gone", PATIENCE, || !is_alive(server.pid().as_raw()));
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        assert_eq!(next(), "STOPPING=1");
        eventually("the server is gone", Duration::from_secs(10), || !is_alive(pid));
    }
}
