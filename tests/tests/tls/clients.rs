//! Certificates of clients.

use pagi_tests::lab::Lab;
use pagi_tests::tls::{Authority, Client, Part, Wanted, der};
use serde_json::Value;

use super::{FACTS, authority, json, lab, python, text};

fn facts(client: &Client, lab: &Lab) -> Value {
    json(&client.get(lab.address(), "/").body)["tls"].clone()
}

#[track_caller]
fn assert_refused(client: &Client, lab: &Lab) {
    let outcome = client.try_get(lab.address(), "/");
    assert!(outcome.is_err(), "{outcome:?}");
}

#[test]
fn tls_4_tls_5_tls_7_a_chain_with_an_authority_between() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--ssl-verify-client", "required", "--ssl-ca-file", text(&authority.file())]);
    let subject = [(Part::Country, "DE"), (Part::Organization, "Bäckerei"), (Part::CommonName, "Müller, Hans")];
    let subject = subject.map(|(part, value)| (part, value.to_owned())).to_vec();
    let person = authority.issue_indirectly("person", &Wanted { subject, ..Wanted::default() });
    let tls = facts(&Client::with_certificate(&authority, &person), &lab);
    let chain = tls["client_cert_chain"].as_array().expect("a list");
    let sent: Vec<_> = chain.iter().flat_map(|pem| der(pem.as_str().expect("a string"))).collect();
    assert_eq!(sent, person.chain, "leaf first");
    assert_eq!(tls["client_cert_name"], "CN=Müller\\, Hans,O=Bäckerei,C=DE");
    assert!(tls["client_cert_error"].is_null());
}

#[test]
fn tls_4_required_means_required() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--ssl-verify-client", "required", "--ssl-ca-file", text(&authority.file())]);
    let known = authority.client("known", "known");
    let tls = facts(&Client::with_certificate(&authority, &known), &lab);
    assert_eq!(tls["client_cert_name"], "CN=known");
    assert_refused(&Client::new(&authority), &lab);
    let elsewhere = Authority::new("Elsewhere");
    let stranger = elsewhere.client("stranger", "stranger");
    assert_refused(&Client::with_certificate(&authority, &stranger), &lab);
    let old = authority.issue("old", &Wanted { expired: true, ..Wanted::default() });
    assert_refused(&Client::with_certificate(&authority, &old), &lab);
    lab.server.wait_for_log("TLS handshake with 127.0.0.1 failed: ");
    facts(&Client::with_certificate(&authority, &known), &lab);
}

#[test]
fn tls_3_optional_takes_none_but_not_a_bad_one() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--ssl-verify-client", "optional", "--ssl-ca-file", text(&authority.file())]);
    let nobody = facts(&Client::new(&authority), &lab);
    assert!(nobody["client_cert_name"].is_null() && nobody["client_cert_error"].is_null());
    let known = facts(&Client::with_certificate(&authority, &authority.client("known", "known")), &lab);
    assert_eq!(known["client_cert_name"], "CN=known");
    let elsewhere = Authority::new("Elsewhere");
    let stranger = elsewhere.client("stranger", "stranger");
    assert_refused(&Client::with_certificate(&authority, &stranger), &lab);
}

#[test]
fn tls_3_optional_no_ca_tells_the_application_what_is_wrong() {
    let (authority, identity) = authority();
    let ca = authority.file();
    let lab = lab(FACTS, &identity, &["--ssl-verify-client", "optional-no-ca", "--ssl-ca-file", text(&ca)]);
    let known = facts(&Client::with_certificate(&authority, &authority.client("known", "known")), &lab);
    assert!(known["client_cert_error"].is_null(), "it is verified: {known}");
    let elsewhere = Authority::new("Elsewhere");
    let stranger = elsewhere.client("stranger", "stranger");
    let client = Client::with_certificate(&authority, &stranger);
    for _ in 0..2 {
        let seen = facts(&client, &lab);
        assert_eq!(seen["client_cert_name"], "CN=stranger");
        assert_eq!(seen["client_cert_error"], "invalid peer certificate: UnknownIssuer", "also when it is resumed");
    }
}

#[test]
fn tls_4_a_revoked_certificate_is_refused_and_so_is_its_session() {
    let (authority, identity) = authority();
    let [good, bad, later] = ["good", "bad", "later"].map(|name| authority.client(name, name));
    let list = authority.revoke("list.crl", &[&bad]);
    let options = ["--ssl-verify-client", "required", "--ssl-ca-file", text(&authority.file())].map(str::to_owned);
    let lab = Lab {
        server: Lab::setup(FACTS)
            .args(identity.options())
            .args(options)
            .args(["--ssl-check-interval", "0.05", "--ssl-crl-file", text(&list)])
            .start(),
    };
    assert_refused(&Client::with_certificate(&authority, &bad), &lab);
    lab.server.wait_for_log("Revoked");
    facts(&Client::with_certificate(&authority, &good), &lab);
    let client = Client::with_certificate(&authority, &later);
    facts(&client, &lab);
    facts(&client, &lab);
    authority.revoke("list.crl", &[&bad, &later]);
    lab.server.wait_for_log("SSL certificates reloaded");
    assert_refused(&client, &lab);
    facts(&Client::with_certificate(&authority, &good), &lab);
}

#[test]
fn tls_4_openssl_by_way_of_python() {
    let (authority, identity) = authority();
    let lab = lab(FACTS, &identity, &["--ssl-verify-client", "1", "--ssl-ca-file", text(&authority.file())]);
    let person = authority.client("python", "python");
    let program = "import http.client, json, ssl, sys
port, ca, cert, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(cert, key)
connection = http.client.HTTPSConnection('localhost', int(port), context=context)
connection.request('GET', '/')
facts = json.loads(connection.getresponse().read())['tls']
print(facts['client_cert_name'], facts['client_cert_error'], facts['client_cert_chain'][0] == open(cert).read())";
    let port = lab.address().port().to_string();
    let said = python(program, &[&port, text(&authority.file()), text(&person.cert), text(&person.key)]);
    assert_eq!(said.trim(), "CN=python None True");
}
