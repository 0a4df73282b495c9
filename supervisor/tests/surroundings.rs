//! What the command does to its surroundings: sockets, files, the caller, the user.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{APP, PATIENCE, Server, eventually, exchange, is_alive, run, server_command};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn a_bad_command_line_is_one_sentence_and_status_2() {
    let directory = tempfile::tempdir().unwrap();
    let (status, text) = run(&mut server_command(directory.path(), &["--port", "abc"]));
    assert_eq!((status, text.as_str()), (2, "--port takes a port number from 0 to 65535, got 'abc'\n"));
    let (status, text) = run(server_command(directory.path(), &["app.pl"]).env("PORT", "http"));
    let expected = "Environment variable PORT (--port) takes a port number from 0 to 65535, got 'http'\n";
    assert_eq!((status, text.as_str()), (2, expected));
    let (status, text) = run(&mut server_command(directory.path(), &["--pagi-process", "99"]));
    assert_eq!(status, 2, "{text}");
}

#[test]
fn the_environment_stands_in_for_options() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (status, text) = run(server_command(directory.path(), &["-e", APP]).env("PORT", port.to_string()));
    assert_eq!(status, 1);
    assert!(text.contains(&format!("Error: Port {port} is already in use")), "{text}");
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let first = Server::start(&["-w", "2", "-e", APP]);
    let port = first.port().to_string();
    for workers in ["1", "2"] {
        let (status, text) =
            run(&mut server_command(first.directory.path(), &["-q", "-w", workers, "-p", &port, "-e", APP]));
        assert_eq!((status, text), (1, format!("Error: Port {port} is already in use\n")));
    }
}

#[test]
fn a_unix_socket_is_served_and_removed() {
    for workers in ["1", "2"] {
        let mut server = Server::spawn(&["-w", workers, "--socket", "app.sock", "--socket-mode", "0660", "-e", APP]);
        let path = server.directory.path().join("app.sock");
        let banner = server.wait_for("listening on");
        assert!(banner.contains(&format!("unix:{}", path.display())), "{banner}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        exchange(UnixStream::connect(&path).unwrap(), "/").unwrap();
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait(PATIENCE), Some(0));
        assert!(!path.exists(), "with {workers} workers");
    }
}

#[test]
fn several_listeners_are_all_served_by_all_workers() {
    let server =
        Server::spawn(&["-w", "3", "--listen", "127.0.0.1:0", "--listen", "app.sock", "--queues", "5", "-e", APP]);
    server.wait_for_several("is ready", 3);
    let path = server.directory.path().join("app.sock");
    for _ in 0..30 {
        server.get("/").unwrap();
        exchange(UnixStream::connect(&path).unwrap(), "/").unwrap();
    }
}

#[test]
fn a_blocked_worker_does_not_strand_its_queue() {
    let server = Server::start(&["-w", "3", "-e", APP]);
    server.wait_for_several("is ready", 3);
    let port = server.port();
    std::thread::spawn(move || common::get(port, "/block"));
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    for _ in 0..50 {
        server.get("/").expect("a neighbour answers");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
}

#[test]
fn a_closed_standard_error_ends_nobody() {
    for workers in ["1", "2"] {
        let directory = tempfile::tempdir().unwrap();
        let arguments = ["-E", "none", "-w", workers, "--socket", "app.sock", "-e", APP];
        let mut server =
            server_command(directory.path(), &arguments).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let path = directory.path().join("app.sock");
        eventually("the socket is there", PATIENCE, || UnixStream::connect(&path).is_ok());
        drop(server.stderr.take());
        let pid = Pid::from_raw(i32::try_from(server.id()).unwrap());
        for _ in 0..3 {
            // Each writes a line to the server log, or to the access log.
            kill(pid, Signal::SIGHUP).unwrap();
            exchange(UnixStream::connect(&path).unwrap(), "/").unwrap();
        }
        kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(server.wait().unwrap().code(), Some(0), "with {workers} workers");
    }
}

#[test]
fn the_pid_file_belongs_to_the_master() {
    let mut server = Server::start(&["-w", "2", "--pid", "server.pid", "-e", APP]);
    server.wait_for_several("is ready", 2);
    let path = server.directory.path().join("server.pid");
    let held = || std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(held(), format!("{}\n", server.pid()));
    let second = ["-q", "-p", "0", "--pid", "server.pid", "-e", APP];
    let (status, text) = run(&mut server_command(server.directory.path(), &second));
    assert_eq!(status, 1);
    assert!(text.contains(&format!("it belongs to process {}, which is running", server.pid())), "{text}");
    kill(Pid::from_raw(server.workers()[0].pid), Signal::SIGTERM).unwrap();
    server.wait_for("has stopped");
    assert_eq!(held(), format!("{}\n", server.pid()), "a worker that ends does not remove it (D-14)");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait(PATIENCE), Some(0));
    assert!(!path.exists());
}

/// Ends a daemon, which is nobody's child.
struct Daemon(i32);

impl Daemon {
    fn of(pid_file: &Path) -> Self {
        Self(std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0), Signal::SIGKILL);
    }
}

#[test]
fn a_daemon_reports_when_it_is_ready_and_lets_go_of_the_caller() {
    for workers in ["1", "2"] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("app.pl"), APP).unwrap();
        let arguments =
            ["-D", "-w", workers, "--pid", "d.pid", "--socket", "app.sock", "--access-log", "a.log", "app.pl"];
        // `run` reads to the end of the output: it returns only if every process let go of it.
        let started = Instant::now();
        let (status, text) = run(&mut server_command(directory.path(), &arguments));
        assert_eq!(status, 0, "{text}");
        assert!(started.elapsed() < PATIENCE);
        let pid_file = directory.path().join("d.pid");
        let daemon = Daemon::of(&pid_file);
        assert_eq!(std::fs::metadata(&pid_file).unwrap().mode() & 0o777, 0o644);
        exchange(UnixStream::connect(directory.path().join("app.sock")).unwrap(), "/").expect("ready means ready");
        assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", daemon.0)).unwrap(), Path::new("/"));
        kill(Pid::from_raw(daemon.0), Signal::SIGTERM).unwrap();
        eventually("the daemon has stopped", PATIENCE, || !is_alive(daemon.0));
        assert!(!pid_file.exists());
        assert!(std::fs::read_to_string(directory.path().join("a.log")).unwrap().contains("\"GET /\" 200"));
    }
}

#[test]
fn a_daemon_reports_its_failure_to_the_caller() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let directory = tempfile::tempdir().unwrap();
    let (status, text) = run(&mut server_command(directory.path(), &["-D", "-p", &port, "-e", APP]));
    assert_eq!(status, 1);
    assert!(text.contains(&format!("Error: Port {port} is already in use")), "{text}");
    for workers in ["1", "2"] {
        let arguments = ["-D", "-w", workers, "-p", "0", "no-such-app.pl"];
        let (status, text) = run(&mut server_command(directory.path(), &arguments));
        assert_eq!(status, 1);
        assert!(text.contains("App file not found: "), "{text}");
    }
}

#[test]
fn privileges_are_dropped_after_binding() {
    if !nix::unistd::geteuid().is_root() {
        let directory = tempfile::tempdir().unwrap();
        let (status, text) = run(&mut server_command(directory.path(), &["--user", "nobody", "-p", "0", "-e", APP]));
        assert_eq!(status, 1);
        assert!(text.contains("Must run as root to use --user/--group"), "{text}");
        return;
    }
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    for workers in ["1", "2"] {
        let arguments =
            ["-w", workers, "--user", "nobody", "--pid", "s.pid", "--access-log", "a.log", "--socket", "s.sock"];
        let mut server = Server::spawn(&[&arguments[..], &["-e", APP]].concat());
        server.wait_for("listening on");
        let socket = server.directory.path().join("s.sock");
        assert_eq!(std::fs::metadata(&socket).unwrap().uid(), nobody.uid.as_raw());
        let body = exchange(UnixStream::connect(&socket).unwrap(), "/").unwrap();
        let status = std::fs::read_to_string(format!("/proc/{body}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().skip(1).map(|number| number.parse::<u32>().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(field("Uid:"), [nobody.uid.as_raw(); 4]);
        assert_eq!(field("Gid:"), [nobody.gid.as_raw(); 4]);
        assert!(!field("Groups:").contains(&0), "supplementary groups of root are gone: {:?}", field("Groups:"));
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait(PATIENCE), Some(0), "{}", server.log());
    }
}
