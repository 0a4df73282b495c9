//! TLS from outside: what applications see, who is let in, what an attacker or a careless operator can do.

mod clients;
mod handshakes;
mod reload;
mod resumption;
mod scopes;
mod starting;
mod streams;

use pagi_tests::lab::Lab;
use pagi_tests::server::Server;
use pagi_tests::tls::{Authority, Identity};
use serde_json::Value;

/// Tells what it sees of its scope, in whatever way the scope allows.
const FACTS: &str = r#"
use JSON::PP ();
sub facts ($scope) {
    my %seen = (type => $scope->{type}, scheme => $scope->{scheme}, pid => $$, server => $scope->{server},
        extensions => [ sort keys %{ $scope->{extensions} } ]);
    $seen{tls} = $scope->{extensions}{tls} if exists $scope->{extensions}{tls};
    return JSON::PP->new->canonical->ascii->encode(\%seen);
}
route '*' => async sub ($scope, $receive, $send) {
    my $facts = facts($scope);
    if ($scope->{path} eq '/mutate') {
        my $tls = $scope->{extensions}{tls};
        push @{ $tls->{client_cert_chain} }, 'forged';
        $tls->{server_cert} .= 'forged';
        delete $tls->{tls_version};
    }
    if ($scope->{type} eq 'websocket') {
        await $receive->();
        await $send->({ type => 'websocket.accept' });
        await $send->({ type => 'websocket.send', text => $facts });
        while (1) {
            my $event = await $receive->();
            last if $event->{type} ne 'websocket.receive';
            await $send->({ %$event, type => 'websocket.send' });
        }
        return;
    }
    if ($scope->{type} eq 'sse') {
        await $send->({ type => 'sse.start' });
        await $send->({ type => 'sse.send', data => $facts });
        return;
    }
    await answer($send, 200, $facts);
};
"#;

/// A server with these handlers behind a certificate for `localhost`.
fn lab(handlers: &str, identity: &Identity, options: &[&str]) -> Lab {
    let options = options.iter().map(|&option| option.to_owned());
    let server = Lab::setup(handlers).args(identity.options()).args(options).start();
    Lab { server }
}

fn authority() -> (Authority, Identity) {
    let authority = Authority::new("Test Root");
    let identity = authority.server("localhost", &["localhost", "127.0.0.1"]);
    (authority, identity)
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// Runs a Python program given as text; what it printed.
#[track_caller]
fn python(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new("python3").arg("-c").arg(program).args(arguments).output();
    let output = output.expect("python3 is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the program fails:\n{errors}");
    String::from_utf8(output.stdout).expect("output in UTF-8")
}

/// One number of the metrics page.
fn metric(server: &Server, name: &str) -> u64 {
    let address = server
        .log()
        .lines()
        .find_map(|line| line.split_once("Admin listener on http://").map(|(_, address)| address.to_owned()))
        .expect("the server has an admin listener");
    let page = pagi_tests::curl::curl([format!("http://{address}metrics")]);
    let line = page.text().lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("no {name} in {}", page.text()))
}
