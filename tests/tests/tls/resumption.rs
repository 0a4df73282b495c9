//! Sessions that go on, also in another worker.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use pagi_tests::lab::Lab;
use pagi_tests::patience::poll;
use pagi_tests::raw::PATIENCE;
use pagi_tests::server::pagictl_binary;
use pagi_tests::tls::Client;
use rustls::SupportedProtocolVersion;

use super::{FACTS, authority, json, text};

/// GETs on a new connection: the worker that answered, and whether the session was resumed.
fn visit(client: &Client, lab: &Lab) -> (u64, bool) {
    let mut connection = client.connect(lab.address());
    connection.send("GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");
    let facts = json(&connection.response().body);
    (facts["pid"].as_u64().expect("a number"), connection.is_resumed())
}

fn resumed_by_all_workers(version: &'static SupportedProtocolVersion, options: &[&str]) {
    let (authority, identity) = authority();
    let server = Lab::setup(FACTS).args(identity.options()).workers(3).args(options).start();
    let lab = Lab { server };
    let client = Client::with(&authority, None, &[version]);
    let (first, resumed) = visit(&client, &lab);
    assert!(!resumed);
    let mut workers = BTreeSet::new();
    let all = poll(PATIENCE, || {
        let (pid, resumed) = visit(&client, &lab);
        assert!(resumed, "worker {pid} does not know the session that began with worker {first}");
        workers.insert(pid);
        workers.len() == 3
    });
    assert!(all, "only {workers:?} have answered");
}

#[test]
fn sessions_of_version_1_3_go_on_in_every_worker() {
    resumed_by_all_workers(&rustls::version::TLS13, &[]);
}

#[test]
fn sessions_of_version_1_2_go_on_in_every_worker() {
    resumed_by_all_workers(&rustls::version::TLS12, &[]);
}

#[test]
fn workers_that_load_for_themselves_share_sessions_too() {
    resumed_by_all_workers(&rustls::version::TLS13, &["--no-preload"]);
}

#[test]
fn a_session_outlives_a_reload() {
    let (authority, identity) = authority();
    let lab = Lab { server: Lab::setup(FACTS).args(identity.options()).workers(2).start() };
    let client = Client::new(&authority);
    let (before, _) = visit(&client, &lab);
    lab.server.signal(nix::sys::signal::Signal::SIGHUP);
    let replaced = poll(PATIENCE, || {
        let (pid, resumed) = visit(&client, &lab);
        assert!(resumed);
        pid != before && lab.server.log().matches("has stopped").count() == 2
    });
    assert!(replaced, "the workers are not replaced");
}

#[test]
fn a_session_outlives_an_upgrade() {
    for workers in [1, 2] {
        let (authority, identity) = authority();
        let lab = Lab { server: Lab::setup(FACTS).args(identity.options()).workers(workers).start() };
        let client = Client::new(&authority);
        let (before, _) = visit(&client, &lab);
        let mut upgrade = Command::new(pagictl_binary());
        let output = upgrade.arg("upgrade").arg("--socket").arg(lab.server.control_socket()).output();
        let output = output.expect("pagictl can be run");
        assert!(output.status.success(), "{output:?}");
        for _ in 0..6 {
            let (pid, resumed) = visit(&client, &lab);
            assert!(pid != before && resumed, "with {workers} workers");
        }
    }
}

#[test]
fn resumption_can_be_switched_off() {
    let (authority, identity) = authority();
    let lab = super::lab(FACTS, &identity, &["--ssl-session-timeout", "0"]);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let client = Client::with(&authority, None, &[version]);
        for _ in 0..3 {
            assert!(!visit(&client, &lab).1);
        }
    }
}

#[test]
fn openssl_resumes_from_a_session_file() {
    let (authority, identity) = authority();
    let lab = Lab { server: Lab::setup(FACTS).args(identity.options()).workers(2).start() };
    let file = authority.path("session");
    for version in ["-tls1_2", "-tls1_3"] {
        let s_client = |option: &str| {
            let mut child = Command::new("openssl")
                .args(["s_client", "-ign_eof", "-servername", "localhost", version, "-CAfile"])
                .arg(authority.file())
                .args(["-connect", &lab.address().to_string(), option, text(&file)])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("openssl is installed");
            let mut input = child.stdin.take().expect("a pipe");
            input.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").expect("openssl reads");
            let output = child.wait_with_output().expect("openssl ends");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let first = s_client("-sess_out");
        assert!(first.contains("New, TLS") && first.contains("Verify return code: 0 (ok)"), "{first}");
        for _ in 0..4 {
            let again = s_client("-sess_in");
            assert!(again.contains("Reused, TLS") && again.contains("HTTP/1.1 200"), "{again}");
        }
    }
}
