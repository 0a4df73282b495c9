//! The facts in the scope, by rule.

use pagi_tests::curl::curl;
use pagi_tests::lab::{Lab, request};
use pagi_tests::tls::{Client, Connection};
use pagi_tests::websocket::HANDSHAKE;
use serde_json::Value;

use super::{FACTS, authority, json, lab, python, text};

#[test]
fn tls_1_tls_8_only_where_tls_is_spoken() {
    let (authority, identity) = authority();
    let server = Lab::setup(FACTS)
        .args(identity.options())
        .args(["--listen", "127.0.0.1:0,ssl", "--listen", "127.0.0.1:0"])
        .listens_elsewhere()
        .start();
    let addresses = server.addresses();
    let encrypted = json(&Client::new(&authority).get(addresses[0], "/").body);
    assert_eq!(encrypted["scheme"], "https");
    assert_eq!(encrypted["extensions"], serde_json::json!(["fullflush", "tls"]));
    let clear = json(&curl([format!("http://{}/", addresses[1])]).body);
    assert_eq!(clear["scheme"], "http");
    assert_eq!(clear["extensions"], serde_json::json!(["fullflush"]), "absent, not empty");
    assert!(server.has_said(&format!("listening on: https://{}/, http://{}/", addresses[0], addresses[1])));
    assert!(server.has_said("tls: on"));
}

fn facts_of(connection: &mut Connection, head: &str, start: &str) -> Value {
    connection.send(head);
    connection.read_until(start);
    connection.read_until("\"type\"");
    connection.read_until("}\n\n");
    let received = String::from_utf8_lossy(&connection.received);
    let from = received.find(start).map(|at| at + start.len()).expect("just seen");
    json(received[from..].lines().next().expect("a line").as_bytes())
}

#[test]
fn tls_2_tls_8_in_all_three_scopes() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &[]);
    let client = Client::new(&authority);
    let http = json(&client.get(lab.address(), "/").body);
    let head = request("GET", "/", "Accept: text/event-stream\r\n");
    let sse = facts_of(&mut client.connect(lab.address()), &head, "data: ");
    let program = "import asyncio, ssl, sys, websockets
async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    async with websockets.connect(sys.argv[1], ssl=context, server_hostname='localhost') as socket:
        print(await socket.recv())
        await socket.send('x' * 300000)
        assert await socket.recv() == 'x' * 300000
        await socket.send(b'y' * 300000)
        assert await socket.recv() == b'y' * 300000
asyncio.run(main())";
    let url = format!("wss://{}/", lab.address());
    let websocket = json(python(program, &[&url, text(&authority.file())]).as_bytes());
    for (facts, kind, scheme) in [(&http, "http", "https"), (&sse, "sse", "https"), (&websocket, "websocket", "wss")] {
        assert_eq!((facts["type"].as_str(), facts["scheme"].as_str()), (Some(kind), Some(scheme)));
        assert_eq!(facts["tls"]["server_cert"], http["tls"]["server_cert"], "{kind}");
        assert_eq!(facts["tls"].as_object().map(serde_json::Map::len), Some(6), "{kind}");
    }
    // A handshake that is answered by hand.
    let mut raw = client.connect(lab.address());
    raw.send(request("GET", "/", HANDSHAKE));
    raw.read_until("101 Switching Protocols");
}

#[test]
fn tls_3_six_keys_of_the_right_types_without_a_client_certificate() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &[]);
    let facts = json(&Client::new(&authority).get(lab.address(), "/").body);
    let tls = facts["tls"].as_object().expect("a hash");
    let keys: Vec<&str> = tls.keys().map(String::as_str).collect();
    let mut expected =
        ["server_cert", "client_cert_chain", "client_cert_name", "client_cert_error", "tls_version", "cipher_suite"];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(tls["client_cert_chain"], serde_json::json!([]));
    assert!(tls["client_cert_name"].is_null() && tls["client_cert_error"].is_null());
    assert!(tls["tls_version"].is_u64() && tls["cipher_suite"].is_u64(), "numbers, not strings: {tls:?}");
}

#[test]
fn tls_6_numbers_of_both_versions() {
    // A key of the kind that most servers have; the test's own authority makes others.
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = |name: &str| directory.path().join(name);
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
        .arg(path("key"))
        .arg("-out")
        .arg(path("cert"))
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = Lab::setup(FACTS).arg("--ssl-cert").arg(path("cert")).arg("--ssl-key").arg(path("key")).start();
    let url = format!("https://{}/", server.address());
    let cert = path("cert");
    let facts = |options: &[&str]| {
        let answer = curl([&["--cacert", text(&cert)], options, &[url.as_str()]].concat());
        assert_eq!(answer.exit, 0);
        json(&answer.body)["tls"].clone()
    };
    let old = facts(&["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256"]);
    assert_eq!((old["tls_version"].as_u64(), old["cipher_suite"].as_u64()), (Some(0x0303), Some(0xc02f)));
    let new = facts(&["--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"]);
    assert_eq!((new["tls_version"].as_u64(), new["cipher_suite"].as_u64()), (Some(0x0304), Some(0x1301)));
}

#[test]
fn tls_7_the_server_certificate_is_the_one_that_was_sent() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &[]);
    let facts = json(&Client::new(&authority).get(lab.address(), "/").body);
    let pem = facts["tls"]["server_cert"].as_str().expect("a string");
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && pem.ends_with("-----END CERTIFICATE-----\n"));
    assert_eq!(pagi_tests::tls::der(pem), [identity.chain[0].clone()]);
}

#[test]
fn tls_9_each_scope_has_a_copy_of_its_own() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &[]);
    let mut connection = Client::new(&authority).connect(lab.address());
    let mut seen = Vec::new();
    for path in ["/", "/mutate", "/"] {
        connection.send(request("GET", path, ""));
        seen.push(json(&connection.response().body)["tls"].clone());
    }
    assert_eq!(seen[0], seen[1], "the first look is unspoilt");
    assert_eq!(seen[0], seen[2], "and so is the one after the changes");
}
