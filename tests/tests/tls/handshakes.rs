//! Handshakes that do not go well, and those that go differently.

use std::time::Duration;

use pagi_tests::lab::Lab;
use pagi_tests::patience::{await_that, poll};
use pagi_tests::raw::{End, Raw};
use pagi_tests::server::Server;
use pagi_tests::tls::{Authority, Client};

use super::{FACTS, authority, json, lab, metric};

#[test]
fn plain_http_on_a_tls_port_is_answered_in_the_clear() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--access-log-format", "tiny"]);
    let reply = lab.exchange("GET /secret HTTP/1.1\r\nHost: lab\r\n\r\n");
    assert_eq!(reply.response.status, 400);
    assert_eq!(reply.response.body, b"The plain HTTP request was sent to an HTTPS port");
    assert_eq!(reply.response.header("connection"), Some("close"));
    assert_eq!(reply.end, End::Eof);
    lab.server.wait_for_log("Plain HTTP request from 127.0.0.1 on an HTTPS port: answered 400");
    lab.server.wait_for_log("/secret");
    assert_eq!(Client::new(&authority).get(lab.address(), "/").status, 200);
}

#[test]
fn garbage_gets_an_alert_and_the_door() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--admin-listen", "127.0.0.1:0"]);
    let offers: [&[u8]; 4] = [
        b"\x16\x03\x01\x00\x05hello",
        b"\x00\x01\x02\x03\x04\x05\x06\x07\x08",
        b"\x80\x2e\x01\x03\x01",
        b"\x16\x03\x01\xff\xff\x01\x00\x00",
    ];
    for (number, offer) in offers.iter().enumerate() {
        let mut raw = Raw::connect(lab.address());
        raw.send(offer);
        if number == 2 {
            // A record of SSL 2 that promises more than it holds.
            raw.send([0; 64]);
        }
        raw.read_to_end();
        // To a message of 26 megabytes the library says nothing, and it is not read either.
        let is_alert = raw.received.first() == Some(&21);
        assert!(is_alert || number == 0, "offer {number} is answered {:?}", raw.received);
    }
    drop(Raw::connect(lab.address()));
    await_that("all failures are counted", || metric(&lab.server, "pagi_tls_handshake_failures_total") == 5);
    assert_eq!(Client::new(&authority).get(lab.address(), "/").status, 200);
    await_that("a handshake is counted", || metric(&lab.server, "pagi_tls_handshakes_total") == 1);
    assert_eq!(metric(&lab.server, "pagi_tls_resumptions_total"), 0);
    lab.server.wait_for_log("TLS handshake with 127.0.0.1 failed: the client closed the connection");
}

#[test]
fn damaged_hellos_harm_nobody() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--ssl-handshake-timeout", "0.2"]);
    let hello = Client::new(&authority).hello();
    for number in 0..hello.len().min(400) {
        let mut damaged = hello.clone();
        damaged[number] ^= 1 << (number % 8);
        if number % 3 == 0 {
            damaged.truncate(number + 1);
        }
        let mut raw = Raw::connect(lab.address());
        raw.offer(&damaged);
        if number % 50 == 0 {
            // Whatever the server makes of it, it comes to an end.
            raw.read_to_end();
        }
    }
    assert_eq!(Client::new(&authority).get(lab.address(), "/").status, 200);
}

#[test]
fn messages_may_come_in_small_pieces() {
    let (authority, identity) = authority();
    let ca = authority.file();
    let lab = lab(FACTS, &identity, &["--ssl-verify-client", "required", "--ssl-ca-file", super::text(&ca)]);
    let person = authority.issue_indirectly("person", &pagi_tests::tls::Wanted::default());
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let client = Client::with(&authority, Some(&person), versions);
        // Records of 32 bytes, and then every byte in a segment of its own.
        let mut records = client.clone().in_fragments(32).connect(lab.address());
        records.send("POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 100\r\n\r\n");
        records.send([b'x'; 100]);
        assert_eq!(records.response().status, 200);
        let mut bytes = client.connect_by_bytes(lab.address());
        bytes.send("GET / HTTP/1.1\r\nHost: lab\r\n\r\n");
        assert_eq!(bytes.response().status, 200);
    }
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--ssl-handshake-timeout", "0.3"]);
    let mut silent = Raw::connect(lab.address());
    let mut slow = Raw::connect(lab.address());
    slow.send([0x16, 0x03]);
    silent.read_to_end();
    slow.read_to_end();
    lab.server.wait_for_log("TLS handshake with 127.0.0.1 failed: not finished after 0.3 s");
    assert_eq!(Client::new(&authority).get(lab.address(), "/").status, 200);
}

#[test]
fn more_handshakes_than_allowed_wait_for_their_turn() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--max-ssl-handshakes", "2", "--ssl-handshake-timeout", "0"]);
    // Connections whose handshake is over do not count.
    let mut open = Client::new(&authority).connect(lab.address());
    let mut held: Vec<Raw> = (0..2).map(|_| Raw::connect(lab.address())).collect();
    let (client, address) = (Client::new(&authority), lab.address());
    // Both are in their handshake once nobody else gets through.
    let waiting = std::thread::spawn(move || client.get(address, "/").status);
    assert!(!poll(Duration::from_millis(400), || waiting.is_finished()), "it waits while both places are taken");
    open.send("GET / HTTP/1.1\r\nHost: lab\r\n\r\n");
    assert_eq!(open.response().status, 200, "those who are through are served meanwhile");
    held.pop();
    assert_eq!(waiting.join().expect("a client does not panic"), 200);
}

#[test]
fn versions_below_the_least_are_refused() {
    let (authority, identity) = authority();
    let old = Client::with(&authority, None, &[&rustls::version::TLS12]);
    let both = lab(FACTS, &identity, &[]);
    assert_eq!(old.get(both.address(), "/").status, 200);
    let strict = lab(FACTS, &identity, &["--ssl-min-version", "1.3"]);
    let error = old.try_get(strict.address(), "/").expect_err("it is too old");
    assert!(error.contains("ProtocolVersion"), "{error}");
    assert_eq!(Client::new(&authority).get(strict.address(), "/").status, 200);
    let openssl = |version: &str| {
        let output = std::process::Command::new("openssl")
            .args(["s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect", &both.address().to_string()])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(openssl("-tls1_1").contains("Cipher is (NONE)"), "TLS 1.1 is gone");
    assert!(!openssl("-tls1_2").contains("Cipher is (NONE)"));
}

#[test]
fn only_the_cipher_suites_asked_for_are_spoken() {
    let (authority, identity) = authority();
    let suite = |lab: &super::Lab, version: &'static rustls::SupportedProtocolVersion| {
        let connection = Client::with(&authority, None, &[version]).connect(lab.address());
        let suite = connection.stream.conn.negotiated_cipher_suite().expect("the handshake is over");
        format!("{:?}", suite.suite())
    };
    let (tls12, tls13) = (&rustls::version::TLS12, &rustls::version::TLS13);
    let all = lab(FACTS, &identity, &[]);
    let named = ["TLS13_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];
    assert!(!named.contains(&suite(&all, tls13).as_str()) && !named.contains(&suite(&all, tls12).as_str()));
    let list = "TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256";
    let few = lab(FACTS, &identity, &["--ssl-cipher-list", list]);
    assert_eq!([suite(&few, tls13), suite(&few, tls12)], named);
}

#[test]
fn alpn_names_what_is_spoken() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &[]);
    let chosen = |protocols: &[&str]| {
        let connection = Client::new(&authority).offering(protocols).try_connect(lab.address())?;
        Ok::<_, std::io::Error>(connection.stream.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(chosen(&[]).expect("a connection"), None);
    assert_eq!(chosen(&["http/1.1", "x"]).expect("a connection"), Some(b"http/1.1".to_vec()));
    assert!(chosen(&["acme-tls/1"]).is_err(), "a client that speaks nothing of ours is told so (RFC 7301)");
}

#[test]
fn the_name_decides_which_certificate_is_shown() {
    let authority = Authority::new("Test Root");
    let identities =
        [&["localhost"][..], &["one.test", "*.one.test"], &["two.test"]].map(|names| authority.server(names[0], names));
    let directory = tempfile::tempdir().expect("a directory can be made");
    // Two by name, one from a directory.
    for (identity, from, to) in [(&identities[2], "cert", "fullchain.pem"), (&identities[2], "key", "privkey.pem")] {
        let source = if from == "cert" { &identity.cert } else { &identity.key };
        std::fs::create_dir_all(directory.path().join("two.test")).expect("a directory can be made");
        std::fs::copy(source, directory.path().join("two.test").join(to)).expect("a file can be copied");
    }
    let options = [identities[0].options(), identities[1].options()].concat();
    let server = Lab::setup(FACTS).args(options).arg("--ssl-cert-dir").arg(directory.path()).start();
    let shown = |name: &str| {
        let connection = Client::new(&authority).asking_for(name).connect(server.address());
        connection.server_certificates()[0].clone()
    };
    for (name, identity) in [("localhost", 0), ("one.test", 1), ("deep.one.test", 1), ("two.test", 2)] {
        assert_eq!(shown(name), identities[identity].chain[0], "{name}");
    }
    // The application sees the certificate that the client saw.
    let facts = json(&Client::new(&authority).asking_for("two.test").get(server.address(), "/").body);
    let seen = pagi_tests::tls::der(facts["tls"]["server_cert"].as_str().expect("a string"));
    assert_eq!(seen, [identities[2].chain[0].clone()]);
    // A client that knows no name here gets the first, and does not like it.
    let error = Client::new(&authority).asking_for("else.test").try_connect(server.address()).err().expect("not valid");
    assert!(error.to_string().contains("not valid for name"), "{error}");
    served(&server, &authority);
}

fn served(server: &Server, authority: &Authority) {
    assert_eq!(Client::new(authority).get(server.address(), "/").status, 200);
}
