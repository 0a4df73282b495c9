//! What systemd hears, with a socket in its place.

mod common;

use std::cell::RefCell;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{APP, PATIENCE, eventually, run, server_command};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pagi_supervisor::process::descriptors;
use tempfile::TempDir;

/// A server whose notifications are read by the test.
struct Service {
    child: Child,
    notifications: UnixDatagram,
    /// What the server has left here, by name.
    store: RefCell<Vec<(String, OwnedFd)>>,
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
        Self { child, notifications, store: RefCell::default(), directory }
    }

    /// The next message that is not about the status.
    fn next(&self) -> String {
        loop {
            let message = self.receive(PATIENCE).expect("a notification");
            if !message.starts_with("STATUS=") && !message.starts_with("FDSTORE=1\n") {
                return message;
            }
        }
    }

    fn receive(&self, patience: Duration) -> Option<String> {
        self.notifications.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 1024];
        let (length, sockets) = descriptors::receive(self.notifications.as_fd(), &mut buffer).ok()?;
        let message = String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned();
        if let Some(name) = message.strip_prefix("FDSTORE=1\nFDNAME=") {
            self.store.borrow_mut().extend(sockets.into_iter().map(|socket| (name.to_owned(), socket)));
        }
        Some(message)
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

/// Runs a server with an open socket as descriptor 3, the way `variables` tell it; `$$` there is its process id.
fn activated(directory: &Path, socket: OwnedFd, variables: &str, arguments: &[&str]) -> Activated {
    let mut shell = common::command("/bin/sh", directory);
    let script = format!(r#"exec 3<&0 0</dev/null; {variables} exec "$0" "$@""#);
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_pagi-server"), "-E", "none", "--no-access-log"]);
    shell.args(arguments).args(["-e", ENVIRONMENT]).stdin(socket);
    let log = std::fs::File::create(directory.join("log")).unwrap();
    Activated { child: shell.stderr(log).spawn().unwrap() }
}

struct Activated {
    child: Child,
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// Answers with the variables it can see that are not meant for it.
const ENVIRONMENT: &str = r#"
use Future::AsyncAwait;
async sub app {
    my ($scope, $receive, $send) = @_;
    die "no lifespan\n" if $scope->{type} ne 'http';
    my $seen = join ',', 'seen', sort grep { /^(?:LISTEN_|PAGI_REUSE)/ } keys %ENV;
    await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'text/plain']] });
    await $send->({ type => 'http.response.body', body => $seen });
}
\&app;
"#;

#[test]
fn an_inherited_tcp_socket_is_served() {
    let systemd = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web";
    for (workers, variables) in [("1", systemd), ("3", systemd), ("2", "PAGI_REUSE=127.0.0.1:1:3,nonsense")] {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Asked before the server exists: the connection waits in the queue.
        let early = std::thread::spawn(move || common::get(port, "/"));
        let server = activated(directory.path(), OwnedFd::from(listener), variables, &["-w", workers]);
        assert_eq!(early.join().unwrap().as_deref(), Ok("seen"), "{workers} workers, {variables}");
        for _ in 0..10 {
            assert_eq!(common::get(port, "/").as_deref(), Ok("seen"));
        }
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
        assert!(log.contains(&format!("listening on http://127.0.0.1:{port}/")), "{log}");
        assert_eq!(log.contains("PAGI_REUSE: 'nonsense' is not host:port:fd"), workers == "2", "{log}");
        drop(server);
        common::get(port, "/").expect_err("nobody holds the socket any more");
    }
}

#[test]
fn sockets_left_to_systemd_outlive_a_crash() {
    for workers in ["1", "2"] {
        // One queue: the shell that stands in for systemd passes one socket.
        let arguments = ["-w", workers, "--queues", "1"];
        let mut service = Service::start(&arguments, None);
        assert_eq!(service.next(), "READY=1");
        let (name, socket) = service.store.borrow_mut().pop().expect("it came before");
        assert!(service.store.borrow().is_empty());
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        assert_eq!(name, format!("pagi-{}", address.to_string().replace(':', "_")));
        kill(service.pid(), Signal::SIGKILL).unwrap();
        service.child.wait().unwrap();
        // Nobody serves now, and yet nobody is refused.
        let early: Vec<_> = (0..5).map(|_| std::thread::spawn(move || common::get(address.port(), "/"))).collect();
        let variables = format!("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name}");
        let directory = tempfile::tempdir().unwrap();
        let arguments = [&arguments[..], &["-p", "0"]].concat();
        let _server = activated(directory.path(), OwnedFd::from(listener), &variables, &arguments);
        for request in early {
            assert_eq!(request.join().unwrap().as_deref(), Ok("seen"), "{workers} workers");
        }
    }
}

#[test]
fn an_abstract_socket_left_to_systemd_outlives_a_crash() {
    for workers in ["1", "2"] {
        let name = format!("pagi-test-{}-kept", std::process::id());
        let listen = format!("unix:@{name}");
        let arguments = ["-w", workers, "--listen", &listen];
        let mut service = Service::start(&arguments, None);
        assert_eq!(service.next(), "READY=1");
        let (kept, socket) = service.store.borrow_mut().pop().expect("it came before");
        assert_eq!(kept, format!("pagi-@{name}"));
        kill(service.pid(), Signal::SIGKILL).unwrap();
        service.child.wait().unwrap();
        // Nobody serves now, and yet nobody is refused.
        let address = UnixAddress::from_abstract_name(&name).unwrap();
        let early = UnixStream::connect_addr(&address).expect("the queue is there");
        let request = std::thread::spawn(move || common::exchange(early, "/"));
        let variables = format!("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={kept}");
        let directory = tempfile::tempdir().unwrap();
        let _server = activated(directory.path(), socket, &variables, &arguments);
        assert_eq!(request.join().unwrap().as_deref(), Ok("seen"), "{workers} workers");
    }
}

#[test]
fn what_systemd_keeps_for_nothing_is_given_up() {
    for workers in ["1", "2"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let notifications = UnixDatagram::bind(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let name = format!("pagi-{}", address.to_string().replace(':', "_"));
        let variables = format!("NOTIFY_SOCKET={} LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name}", path.display());
        // Another address than that of the run before.
        let unix = directory.path().join("web.sock");
        let arguments = ["-w", workers, "--socket", unix.to_str().unwrap()];
        let _server = activated(directory.path(), OwnedFd::from(listener), &variables, &arguments);
        let mut heard = Vec::new();
        notifications.set_read_timeout(Some(PATIENCE)).unwrap();
        while heard.last().is_none_or(|last| last != "READY=1") {
            let mut buffer = [0; 1024];
            let length = notifications.recv(&mut buffer).expect("a notification");
            heard.push(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned());
        }
        assert_eq!(heard[0], format!("FDSTOREREMOVE=1\nFDNAME={name}"), "{heard:?}");
        assert_eq!(heard[1], format!("FDSTORE=1\nFDNAME=pagi-{}", unix.display()), "{heard:?}");
        common::get(address.port(), "/").expect_err("nobody holds it any more");
    }
}

#[test]
fn a_server_that_stops_takes_back_sockets_whose_files_go() {
    for workers in ["1", "2"] {
        let mut service = Service::start(&["-w", workers, "--socket", "web.sock"], None);
        assert_eq!(service.next(), "READY=1");
        let names: Vec<String> = service.store.borrow().iter().map(|(name, _)| name.clone()).collect();
        assert!(names.len() == 1 && names[0].ends_with("/web.sock"), "{names:?}");
        kill(service.pid(), Signal::SIGTERM).unwrap();
        assert_eq!(service.next(), "STOPPING=1");
        let file = service.directory.path().join("web.sock");
        assert_eq!(service.next(), format!("FDSTOREREMOVE=1\nFDNAME=pagi-{}", file.display()));
        service.child.wait().unwrap();
        assert!(!file.exists());
    }
}

#[test]
fn an_inherited_unix_socket_is_served_and_left_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = activated(
        directory.path(),
        OwnedFd::from(listener),
        "LISTEN_PID=$$ LISTEN_FDS=1",
        &["-w", "2", "--socket", path.to_str().unwrap()],
    );
    let stream = UnixStream::connect(&path).unwrap();
    assert_eq!(common::exchange(stream, "/").as_deref(), Ok("seen"));
    drop(server);
    assert!(path.exists(), "its maker removes it");
}

#[test]
fn sockets_for_others_or_for_other_addresses_are_not_served() {
    for (variables, arguments, complaint) in [
        ("LISTEN_PID=1 LISTEN_FDS=1", &["--port", "0"][..], false),
        ("LISTEN_PID=$$ LISTEN_FDS=1", &["--listen", "127.0.0.1:0"], true),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _server = activated(directory.path(), OwnedFd::from(listener), variables, arguments);
        let log = || std::fs::read_to_string(directory.path().join("log")).unwrap();
        eventually("it serves elsewhere", PATIENCE, || log().contains("listening on http://127.0.0.1:"));
        assert!(!log().contains(&format!("listening on http://127.0.0.1:{port}/")), "{}", log());
        let expected = format!("Inherited socket 127.0.0.1:{port} is closed");
        assert_eq!(log().contains(&expected), complaint, "{}", log());
    }
}
