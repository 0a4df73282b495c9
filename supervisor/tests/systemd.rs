//! What systemd hears, with a socket in its place.

mod common;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{APP, PATIENCE, eventually, run, server_command};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A server whose notifications are read by the test.
struct Service {
    child: Child,
    notifications: UnixDatagram,
    directory: TempDir,
}

impl Service {
    fn start(arguments: &[&str], watchdog: Option<Duration>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("app.pl"), APP).unwrap();
        let path = directory.path().join("notify");
        let notifications = UnixDatagram::bind(&path).unwrap();
        let mut command = server_command(directory.path(), &["-E", "none", "-p", "0", "--no-access-log"]);
        command.args(arguments).arg("./app.pl").env("NOTIFY_SOCKET", &path).stderr(Stdio::null());
        if let Some(interval) = watchdog {
            // The id of the process that gets it is known only after the fork: a shell fills it in.
            let mut shell = common::command("/bin/sh", directory.path());
            shell.args(["-c", r#"WATCHDOG_PID=$$ exec "$0" "$@""#, env!("CARGO_BIN_EXE_pagi-server")]);
            shell.args(command.get_args()).env("NOTIFY_SOCKET", &path).stderr(Stdio::null());
            shell.env("WATCHDOG_USEC", interval.as_micros().to_string());
            command = shell;
        }
        let child = command.spawn().unwrap();
        Self { child, notifications, directory }
    }

    /// The next message that is not about the status.
    fn next(&self) -> String {
        loop {
            let message = self.receive(PATIENCE).expect("a notification");
            if !message.starts_with("STATUS=") {
                return message;
            }
        }
    }

    fn receive(&self, patience: Duration) -> Option<String> {
        self.notifications.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 1024];
        let length = self.notifications.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned())
    }

    fn wait_for(&self, expected: &str) {
        while self.receive(PATIENCE).unwrap_or_else(|| panic!("no {expected:?}")) != expected {}
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn pagictl(&self, arguments: &[&str]) -> i32 {
        run(common::command(env!("CARGO_BIN_EXE_pagictl"), self.directory.path()).args(arguments)).0
    }

    fn write_app(&self, code: &str) {
        write(&self.directory.path().join("app.pl"), code);
    }
}

fn write(path: &Path, code: &str) {
    std::fs::write(path, code).unwrap();
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_life() {
    for workers in ["1", "2"] {
        let mut service = Service::start(&["-w", workers], None);
        assert_eq!(service.next(), "READY=1", "with {workers} workers");
        kill(service.pid(), Signal::SIGTERM).unwrap();
        assert_eq!(service.next(), "STOPPING=1");
        service.child.wait().unwrap();
    }
}

#[test]
fn reloads_begin_and_end() {
    let service = Service::start(&["-w", "2"], None);
    service.wait_for("STATUS=Generation 1; 2 of 2 workers serve");
    assert_eq!(service.pagictl(&["reload"]), 0);
    let message = service.next();
    let clock = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{message:?}"));
    assert!(clock.parse::<u64>().unwrap() > 0);
    service.wait_for("STATUS=Reloading to generation 2; 2 workers serve");
    assert_eq!(service.next(), "READY=1");
    service.wait_for("STATUS=Generation 2; 2 of 2 workers serve");
    service.write_app("die 'broken'");
    assert_eq!(service.pagictl(&["reload"]), 1);
    assert!(service.next().starts_with("RELOADING=1\n"));
    assert_eq!(service.next(), "READY=1", "the old code serves");
}

#[test]
fn the_watchdog_is_fed_while_workers_live() {
    for workers in ["1", "2"] {
        let service = Service::start(&["-w", workers], Some(Duration::from_millis(600)));
        service.wait_for("READY=1");
        let started = Instant::now();
        for _ in 0..5 {
            service.wait_for("WATCHDOG=1");
        }
        assert!(started.elapsed() < Duration::from_millis(5 * 600), "with {workers} workers");
    }
}

#[test]
fn the_watchdog_starves_when_no_worker_lives() {
    let service = Service::start(&["-w", "2"], Some(Duration::from_millis(600)));
    service.wait_for("WATCHDOG=1");
    // From now on no worker can start any more, and those that are there go.
    service.write_app("die 'broken'");
    let workers = || common::family(service.pid().as_raw());
    for process in workers().iter().filter(|process| process.title.contains("mold")) {
        kill(Pid::from_raw(process.pid), Signal::SIGKILL).unwrap();
    }
    for process in workers().iter().filter(|process| process.title.contains("worker")) {
        kill(Pid::from_raw(process.pid), Signal::SIGKILL).unwrap();
    }
    eventually("no food for two seconds", PATIENCE, || {
        let end = Instant::now() + Duration::from_secs(2);
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            match service.receive(left) {
                Some(message) if message == "WATCHDOG=1" => return false,
                _ => {}
            }
        }
        true
    });
}
