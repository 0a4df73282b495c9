//! New certificates for a server that goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use pagi_tests::lab::Lab;
use pagi_tests::patience::{await_that, poll};
use pagi_tests::server::Server;
use pagi_tests::tls::{Authority, Client, Identity, Wanted};

use super::FACTS;

/// Clients that GET on kept connections, several requests each, until they are stopped.
struct Busy {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Busy {
    fn start(authority: &Authority, address: SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..4)
            .map(|_| {
                let (client, stop, answered) = (Client::new(authority), Arc::clone(&stop), Arc::clone(&answered));
                std::thread::spawn(move || {
                    let mut failures = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        if let Err(failure) = visit(&client, address, &answered) {
                            failures.push(failure);
                        }
                    }
                    failures
                })
            })
            .collect();
        Self { stop, answered, clients }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// More requests have been answered than at this moment.
    fn go_on(&self) {
        let before = self.answered();
        await_that("requests are answered", || self.answered() > before + 20);
    }

    #[track_caller]
    fn finish_without_failure(self) {
        self.stop.store(true, Ordering::Relaxed);
        let failures: Vec<String> =
            self.clients.into_iter().flat_map(|client| client.join().expect("a client does not panic")).collect();
        assert!(failures.is_empty(), "{} requests failed: {failures:?}", failures.len());
    }
}

/// Ten requests on one connection, or fewer when the server says that it closes.
fn visit(client: &Client, address: SocketAddr, answered: &AtomicUsize) -> Result<(), String> {
    let mut connection = client.try_connect(address).map_err(|error| format!("handshake: {error}"))?;
    for number in 0..10 {
        connection.send("GET / HTTP/1.1\r\nHost: lab\r\n\r\n");
        let response = connection.try_response().map_err(|problem| format!("request {number}: {problem}"))?;
        if response.status != 200 {
            return Err(response.status_line);
        }
        answered.fetch_add(1, Ordering::Relaxed);
        if response.header("connection") == Some("close") {
            break;
        }
    }
    Ok(())
}

/// A new client, that has no session to resume, sees this certificate from every worker it meets.
fn shows(authority: &Authority, server: &Server, identity: &Identity) -> bool {
    (0..12).all(|_| {
        let connection = Client::new(authority).connect(server.address());
        connection.server_certificates()[0] == identity.chain[0]
    })
}

fn two(authority: &Authority) -> (Identity, Identity) {
    (authority.server("now", &["localhost"]), authority.server("next", &["localhost"]))
}

#[test]
fn files_that_change_under_load_are_used_and_nothing_fails() {
    let authority = Authority::new("Test Root");
    let (now, next) = two(&authority);
    let setup = Lab::setup(FACTS).args(now.options()).workers(4).args(["--ssl-check-interval", "0.1"]);
    let server = setup.args(["--no-access-log"]).start();
    let busy = Busy::start(&authority, server.address());
    busy.go_on();
    assert!(shows(&authority, &server, &now));
    next.replace(&now);
    await_that("every worker shows the new certificate", || shows(&authority, &server, &next));
    busy.go_on();
    busy.finish_without_failure();
    assert!(!server.has_said("stay as they were"), "a change is read when it is complete");
    assert!(!server.has_said("has stopped"), "no worker was replaced for it");
}

#[test]
fn sighup_under_load_brings_new_certificates_and_nothing_fails() {
    let authority = Authority::new("Test Root");
    let (now, next) = two(&authority);
    let setup = Lab::setup(FACTS).args(now.options()).workers(4).args(["--ssl-check-interval", "0"]);
    let server = setup.args(["--no-access-log"]).start();
    let busy = Busy::start(&authority, server.address());
    busy.go_on();
    next.replace(&now);
    busy.go_on();
    assert!(shows(&authority, &server, &now), "nobody has asked for the new one yet");
    server.signal(Signal::SIGHUP);
    await_that("every worker shows the new certificate", || shows(&authority, &server, &next));
    await_that("all workers are replaced", || server.log().matches("has stopped").count() == 4);
    busy.go_on();
    busy.finish_without_failure();
    assert!(shows(&authority, &server, &next));
}

#[test]
fn sighup_in_a_server_without_workers() {
    let authority = Authority::new("Test Root");
    let (now, next) = two(&authority);
    let server = Lab::setup(FACTS).args(now.options()).args(["--ssl-check-interval", "0"]).start();
    let mut kept = Client::new(&authority).connect(server.address());
    next.replace(&now);
    // Nobody looks, for longer than it would take by default.
    assert!(!poll(Duration::from_secs(5), || shows(&authority, &server, &next)));
    server.signal(Signal::SIGHUP);
    server.wait_for_log("SSL certificates reloaded");
    assert!(shows(&authority, &server, &next));
    kept.send("GET / HTTP/1.1\r\nHost: lab\r\n\r\n");
    assert_eq!(kept.response().status, 200, "connections are not touched");
}

#[test]
fn certificates_that_cannot_be_used_are_not_used() {
    let authority = Authority::new("Test Root");
    let (now, next) = two(&authority);
    let expired =
        authority.issue("expired", &Wanted { names: vec!["localhost".into()], expired: true, ..Wanted::default() });
    let server = Lab::setup(FACTS).args(now.options()).workers(2).args(["--ssl-check-interval", "0.05"]).start();
    let kept = std::fs::read(&now.key).expect("a key can be read");
    std::fs::write(&now.key, "nonsense").expect("a file can be written");
    server.wait_for_log(&format!(
        "SSL certificates stay as they were: SSL key {} contains no PEM private key",
        now.key.display()
    ));
    assert!(shows(&authority, &server, &now));
    expired.replace(&now);
    server.wait_for_log(&format!("SSL certificates stay as they were: SSL cert {} expired on", now.cert.display()));
    assert!(shows(&authority, &server, &now));
    // Workers that start meanwhile serve with what the server was started with.
    server.signal(Signal::SIGHUP);
    await_that("the workers are replaced", || server.log().matches("has stopped").count() == 2);
    assert!(shows(&authority, &server, &now));
    drop(kept);
    next.replace(&now);
    await_that("a good one is used at last", || shows(&authority, &server, &next));
}

#[test]
fn a_new_file_in_the_directory_is_found() {
    let authority = Authority::new("Test Root");
    let first = authority.server("first", &["localhost"]);
    let directory = tempfile::tempdir().expect("a directory can be made");
    let server = Lab::setup(FACTS)
        .args(first.options())
        .args(["--ssl-check-interval", "0.05", "--ssl-cert-dir"])
        .arg(directory.path())
        .start();
    let second = authority.server("second", &["second.test"]);
    let client = Client::new(&authority).asking_for("second.test");
    assert!(client.try_connect(server.address()).is_err(), "nobody has that name yet");
    std::fs::copy(&second.key, directory.path().join("second.key")).expect("a file can be copied");
    std::fs::copy(&second.cert, directory.path().join("second.crt")).expect("a file can be copied");
    await_that("the name is known", || client.try_connect(server.address()).is_ok());
}
