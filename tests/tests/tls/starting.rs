//! Certificates that cannot be used: one sentence, and no server.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pagi_tests::lab::Lab;
use pagi_tests::server::Outcome;
use pagi_tests::tls::{Authority, Wanted};

use super::{FACTS, authority, text};

fn start(cert: &Path, key: &Path, more: &[&str]) -> Outcome {
    Lab::setup(FACTS).args(["--ssl-cert", text(cert), "--ssl-key", text(key)]).args(more).run()
}

#[test]
fn every_fault_is_one_sentence() {
    let authority = Authority::new("Test Root");
    let one = authority.server("one", &["one.test"]);
    let other = authority.server("other", &["other.test"]);
    let expired =
        authority.issue("expired", &Wanted { names: vec!["old.test".into()], expired: true, ..Wanted::default() });
    let missing = PathBuf::from("/no/such/file.pem");
    let (ca, empty) = (authority.file(), authority.path("empty"));
    std::fs::write(&empty, "").expect("a file can be written");
    let required = ["--ssl-verify-client", "required", "--ssl-ca-file", text(&empty)];
    let revoked = ["--ssl-verify-client", "required", "--ssl-ca-file", text(&ca), "--ssl-crl-file", text(&one.cert)];
    let table: [(Outcome, i32, String); 7] = [
        (start(&missing, &one.key, &[]), 2, "SSL cert not found: /no/such/file.pem".to_owned()),
        (start(&one.cert, &missing, &[]), 2, "SSL key not found: /no/such/file.pem".to_owned()),
        (
            start(&one.cert, &other.key, &[]),
            1,
            format!("SSL key {} does not belong to SSL cert {}", text(&other.key), text(&one.cert)),
        ),
        (start(&expired.cert, &expired.key, &[]), 1, format!("SSL cert {} expired on ", text(&expired.cert))),
        (start(&empty, &one.key, &[]), 1, format!("SSL cert {} contains no PEM certificate", text(&empty))),
        (start(&one.cert, &one.key, &required), 1, format!("SSL CA file {} contains no PEM certificate", text(&empty))),
        (
            start(&one.cert, &one.key, &revoked),
            1,
            format!("SSL CRL file {} contains no PEM revocation list", text(&one.cert)),
        ),
    ];
    for (outcome, code, sentence) in table {
        outcome.assert_says(&sentence);
        assert_eq!(outcome.code(), code, "{}", outcome.stderr);
        let complaints: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("SSL")).collect();
        assert_eq!(complaints.len(), 1, "one sentence: {complaints:?}");
    }
}

#[test]
fn a_key_only_root_may_read_is_read_before_privileges_are_dropped() {
    if !nix::unistd::geteuid().is_root() {
        // Nobody else can become another user.
        return;
    }
    let (authority, identity) = authority();
    let forbid = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    forbid(&identity.key).expect("permissions can be set");
    let setup = Lab::setup(FACTS).args(identity.options()).workers(2).args(["--user", "nobody"]);
    // The scratch directory belongs to root, and everybody may look into it.
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
    open(setup.path("").as_path()).expect("permissions can be set");
    let server = setup.start();
    assert_eq!(pagi_tests::tls::Client::new(&authority).get(server.address(), "/").status, 200);
    server.wait_for_log("serving with the certificates the server was started with");
}

#[test]
fn tls_can_be_disabled() {
    let (_, identity) = authority();
    let server = Lab::setup(FACTS).args(identity.options()).arg("--disable-tls").start();
    assert!(server.has_said("TLS is disabled by --disable-tls"));
    assert_eq!(pagi_tests::curl::curl([server.url("/")]).status, 200);
}
