//! `pagictl` as people use it: what it changes while a server runs, and what it shows again and again.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use common::{APP, PATIENCE, Server, command, eventually, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getegid, geteuid};

fn level_shown(server: &Server) -> String {
    let (code, text) = server.pagictl(&["config"]);
    assert_eq!(code, 0, "{text}");
    text.lines().find(|line| line.starts_with("log_level = ")).expect("it is an option").to_owned()
}

/// Makes a worker say something that only level debug lets through.
fn provoke(server: &Server) {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    // A frame of an HTTP/2 connection that is longer than any may be.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\0\0\0\0\0").unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn the_log_level_changes_in_every_process_and_outlives_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("app.pl"), APP).unwrap();
    std::fs::write(directory.path().join("pagi.toml"), "log_level = \"error\"\nhttp2 = true\n").unwrap();
    let server = Server::spawn_program(
        env!("CARGO_BIN_EXE_pagi-server"),
        directory,
        &["--config", "pagi.toml", "-w", "2", "--listen", "127.0.0.1:0", "--admin-listen", "admin.sock", "./app.pl"],
    );
    // Nothing is logged, not even the banner.
    let ready = || server.pagictl(&["status"]).1.matches("  ready  ").count() == 2;
    eventually("two workers serve", PATIENCE, ready);
    assert_eq!(server.log(), "");
    assert!(level_shown(&server).starts_with("log_level = \"error\"  # "));

    let (code, text) = server.pagictl(&["log-level", "debug"]);
    assert_eq!((code, text.as_str()), (0, "Logging from level debug on\n"));
    assert_eq!(level_shown(&server), "log_level = \"debug\"  # pagictl");
    // New workers come from the mold, and the master tells of them.
    assert_eq!(server.pagictl(&["restart"]).0, 0);
    server.wait_for_several("master: Worker ", 2);
    server.wait_for_several("Lifespan not supported", 2);
    // A new mold is told by the master.
    assert_eq!(server.pagictl(&["reload"]).0, 0);
    server.wait_for_several("Lifespan not supported", 4);
    assert_eq!(level_shown(&server), "log_level = \"debug\"  # pagictl");

    assert_eq!(server.pagictl(&["log-level", "error"]).0, 0);
    let before = server.log().lines().count();
    assert_eq!(server.pagictl(&["restart"]).0, 0);
    assert_eq!(server.pagictl(&["reload"]).0, 0);
    assert_eq!(server.log().lines().count(), before, "{}", server.log());
    assert_eq!(server.pagictl(&["log-level", "loud"]).0, 2);
}

#[test]
fn workers_that_serve_hear_of_the_level_at_once() {
    for workers in ["1", "2"] {
        let server = Server::start(&["-w", workers, "--http2", "-e", APP]);
        assert_eq!(server.get("/").map(|_| ()), Ok(()));
        provoke(&server);
        assert_eq!(server.pagictl(&["log-level", "debug"]).0, 0);
        assert!(!server.log().contains("HTTP/2 connection"), "{}", server.log());
        eventually("a worker says more", PATIENCE, || {
            provoke(&server);
            server.log().contains(" DEBUG ") && server.log().contains("HTTP/2 connection")
        });
        assert_eq!(level_shown(&server), "log_level = \"debug\"  # pagictl", "with {workers} workers");
    }
}

#[test]
fn the_control_socket_can_belong_to_a_group() {
    // Only root may give a file to a group it does not belong to.
    let group = if geteuid().is_root() { 1 } else { getegid().as_raw() };
    for (place, workers) in [(&["--control-socket", "c.sock"][..], "1"), (&[], "2")] {
        let number = group.to_string();
        let arguments = [place, &["--control-group", &number, "-w", workers, "-e", APP]].concat();
        let server = Server::start(&arguments);
        let path = server.directory.path().join(if place.is_empty() { "pagi/control.sock" } else { "c.sock" });
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!((found.gid(), found.permissions().mode() & 0o777), (group, 0o660));
        if place.is_empty() {
            let directory = std::fs::metadata(path.parent().unwrap()).unwrap();
            assert_eq!((directory.gid(), directory.permissions().mode() & 0o777), (group, 0o710));
        }
        assert_eq!(server.pagictl(&["--socket", path.to_str().unwrap(), "status"]).0, 0);
    }
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["-E", "none", "-p", "0", "--control-group", "no-such-group", "-e", APP];
    let (code, text) = run(&mut common::server_command(directory.path(), &arguments));
    assert_eq!((code, text.lines().last()), (1, Some("Unknown group: no-such-group")));
    let (code, text) = run(common::server_command(directory.path(), &arguments).arg("--check"));
    assert_eq!(code, 1);
    assert!(text.contains("Unknown group: no-such-group"), "{text}");
}

/// A `pagictl` that runs until it is told otherwise, with what it prints.
struct Running {
    child: Child,
    output: Receiver<u8>,
    seen: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, output) = channel();
        std::thread::spawn(move || stdout.bytes().map_while(Result::ok).try_for_each(|byte| sender.send(byte)));
        Self { child, output, seen: String::new() }
    }

    /// Waits until it has printed this, again if it has before.
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let byte = self.output.recv_timeout(left);
            bytes.push(byte.unwrap_or_else(|error| panic!("{error}: no {text:?} after {:?}", self.seen)));
            self.seen.push(char::from(*bytes.last().unwrap()));
        }
    }

    /// Status and standard error when it has ended by itself.
    fn end(mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), errors)
    }
}

fn pagictl(server: &Server, arguments: &[&str]) -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_pagictl"), server.directory.path());
    command.args(arguments);
    command
}

#[test]
fn watching_goes_on_until_the_server_is_gone() {
    let mut server = Server::start(&["-w", "2", "-e", APP]);
    let mut watch = Running::start(pagictl(&server, &["status", "--watch", "--interval", "0.1"]));
    let mut lines = Running::start(pagictl(&server, &["status", "--watch", "--json", "--interval", "0.1"]));
    watch.wait_for("HEARTBEAT\n");
    watch.wait_for(" requests/s, ");
    watch.wait_for("HEARTBEAT\n");
    assert!(!watch.seen.contains('\x1b'), "this is no terminal");
    lines.wait_for("\n");
    lines.wait_for("\n");
    let objects: Vec<serde_json::Value> = BufReader::new(lines.seen.as_bytes())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert!(objects.iter().all(|object| object["workers_wanted"] == 2));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait(PATIENCE), Some(0));
    for running in [watch, lines] {
        let (status, errors) = running.end();
        assert_eq!(status, Some(3), "{errors}");
        assert!(errors.starts_with("The server is gone: "), "{errors}");
    }
    let server = Server::start(&["-e", APP]);
    assert_eq!(server.pagictl(&["status", "--interval", "2"]).0, 2, "an interval of what");
    assert_eq!(server.pagictl(&["status", "--watch", "--interval", "0"]).0, 2);
}

/// In a terminal of 140 columns and 30 lines, made by script(1).
fn top(server: &Server, arguments: &str) -> Running {
    let line = format!("stty rows 30 cols 140; exec {} top {arguments}", env!("CARGO_BIN_EXE_pagictl"));
    let mut command = command("script", server.directory.path());
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]).env("TERM", "xterm");
    Running::start(command)
}

#[test]
fn top_shows_workers_in_a_terminal_and_gives_it_back() {
    let server = Server::start(&["-w", "2", "-e", APP]);
    server.wait_for_several("is ready", 2);
    for (key, by_signal) in [("q", false), ("\x1b", false), ("\x03", false), ("", true)] {
        let mut running = top(&server, "--interval 0.1");
        running.wait_for("\x1b[?1049h");
        for word in ["pagi-server", "HEARTBEAT", "ready"] {
            running.wait_for(word);
        }
        server.get("/").unwrap();
        running.wait_for("latency");
        if by_signal {
            let shell = Pid::from_raw(i32::try_from(running.child.id()).unwrap());
            let tops = common::family(shell.as_raw());
            assert!(!tops.is_empty(), "it is a child of script");
            tops.iter().for_each(|process| kill(Pid::from_raw(process.pid), Signal::SIGTERM).unwrap());
        } else {
            running.child.stdin.as_mut().expect("a pipe").write_all(key.as_bytes()).unwrap();
        }
        running.wait_for("\x1b[?1049l");
        assert_eq!(running.end().0, Some(0), "after {key:?}");
    }
}

#[test]
fn top_shows_a_server_that_goes_away_and_one_that_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(directory, &["--control-socket", "c.sock", "-e", APP]);
    let mut running = top(&server, "--socket c.sock --interval 0.1");
    running.wait_for("ready");
    server.signal(Signal::SIGTERM);
    server.wait(PATIENCE);
    running.wait_for("Cannot");
    let second = common::server_command(server.directory.path(), &["-E", "none", "-p", "0", "-e", APP])
        .args(["--control-socket", "c.sock", "--no-access-log"])
        .stderr(Stdio::null())
        .spawn();
    let mut second = second.unwrap();
    running.wait_for(&second.id().to_string());
    running.child.stdin.as_mut().expect("a pipe").write_all(b"q").unwrap();
    let ended = running.end();
    let _ = second.kill();
    let _ = second.wait();
    assert_eq!(ended.0, Some(0));
}

#[test]
fn top_without_a_terminal_or_without_a_server() {
    let server = Server::start(&["-e", APP]);
    let (code, text) = server.pagictl(&["top"]);
    assert_eq!((code, text.as_str()), (2, "pagictl top needs a terminal; pagictl status --watch does without one\n"));
    let mut running = top(&server, "--socket /nonexistent");
    running.wait_for("Cannot connect to /nonexistent");
    assert_eq!(running.end().0, Some(3));
}
