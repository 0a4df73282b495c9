//! Forms of `--listen`: Unix sockets with an owner, abstract ones, and sockets that systemd passes by name.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use nix::unistd::{Group, User, geteuid};
use pagi_tests::app;
use pagi_tests::curl::{Answer, curl};
use pagi_tests::patience::{PATIENCE, poll};
use pagi_tests::process;
use pagi_tests::server::{Server, Setup, pagictl_binary};
use pagi_tests::tls::{Authority, Client};

/// Tells where the server says it listens.
fn facts() -> String {
    app::handler(
        "await answer($send, join ' ', map { $_ // 'undef' } (exists $scope->{client} ? 'client' : 'no client'),
            $scope->{server}->@*, $scope->{scheme});",
    )
}

fn setup() -> Setup {
    Setup::perl(&facts()).listens_elsewhere()
}

/// A name that no other test uses.
fn unique(name: &str) -> String {
    format!("pagi-test-{}-{name}", std::process::id())
}

fn ask_abstract(name: &str) -> Answer {
    curl(["--abstract-unix-socket", name, "http://x/"])
}

fn ask_unix(path: &Path) -> Answer {
    curl(["--unix-socket".as_ref(), path.as_os_str(), "http://x/".as_ref()])
}

fn pagictl(server: &Server, arguments: &[&str]) -> String {
    let mut command = Command::new(pagictl_binary());
    command.arg("--socket").arg(server.control_socket()).args(arguments);
    let outcome = command.output().expect("pagictl runs");
    let said = String::from_utf8_lossy(&[outcome.stdout, outcome.stderr].concat()).into_owned();
    assert!(outcome.status.success(), "{arguments:?}: {said}\n{}", server.log());
    said
}

/// Upgrades the server, and waits until the old one is gone.
fn upgrade(server: &Server, before: i32) -> i32 {
    pagictl(server, &["upgrade"]);
    let gone = poll(PATIENCE, || !process::lives(nix::unistd::Pid::from_raw(before)));
    assert!(gone, "the old server stays:\n{}", server.log());
    let status: serde_json::Value = serde_json::from_str(&pagictl(server, &["status", "--json"])).expect("JSON");
    i32::try_from(status["pid"].as_i64().expect("a process id")).expect("a small number")
}

#[test]
fn an_abstract_socket_is_served_and_shown() {
    for workers in [0, 2] {
        let name = unique("served");
        let mut server = setup().workers(workers).args(["--listen", &format!("unix:@{name}")]).start();
        assert_eq!(ask_abstract(&name).text(), format!("no client @{name} undef http"));
        assert!(server.has_said(&format!("listening on unix:@{name}")), "{}", server.log());
        assert!(pagictl(&server, &["status"]).contains(&format!("unix:@{name}")));
        assert!(!server.path(&format!("@{name}")).exists(), "it has no file");
        let second = setup().args(["--listen", &format!("unix:@{name}")]).run();
        assert_eq!(second.code(), 1);
        second.assert_says(&format!("Error: Socket @{name} is already in use"));
        assert!(server.stop().success());
        assert!(
            setup().args(["--listen", &format!("unix:@{name}")]).start().stop().success(),
            "the name is free again"
        );
    }
}

#[test]
fn an_abstract_socket_outlives_reloads_restarts_and_upgrades() {
    for workers in [0, 2] {
        let (name, admin) = (unique("moves"), unique("admin"));
        let server = setup()
            .workers(workers)
            .args(["--listen", &format!("unix:@{name}"), "--admin-listen", &format!("unix:@{admin}")])
            .start();
        let mut pid = server.pid().as_raw();
        let serves = || {
            assert_eq!(ask_abstract(&name).text(), format!("no client @{name} undef http"), "{}", server.log());
            let health = curl(["--abstract-unix-socket", &admin, "http://x/healthz"]);
            assert_eq!(health.text(), "ok\n", "{}", server.log());
        };
        serves();
        if workers > 0 {
            pagictl(&server, &["reload"]);
            serves();
            pagictl(&server, &["restart"]);
            serves();
        }
        for _ in 0..2 {
            pid = upgrade(&server, pid);
            serves();
        }
        pagictl(&server, &["stop"]);
        assert_eq!(ask_abstract(&name).exit, 7, "nobody listens any more");
    }
}

/// Says what a file is like: mode, user and group.
fn likeness(path: &Path) -> (u32, u32, u32) {
    let metadata = std::fs::metadata(path).expect("it exists");
    (metadata.permissions().mode() & 0o777, metadata.uid(), metadata.gid())
}

#[test]
fn each_unix_socket_has_its_own_mode() {
    let setup = setup().args(["--socket-mode", "0640"]);
    let (own, common) = (setup.path("own.sock"), setup.path("common.sock"));
    let mut server = setup.args(["--listen", "unix:own.sock,mode=0666", "--listen", "common.sock"]).start();
    assert_eq!((likeness(&own).0, likeness(&common).0), (0o666, 0o640));
    assert_eq!(ask_unix(&own).text(), format!("no client {} undef http", own.display()));
    let text = server.log();
    assert!(text.contains(&format!("listening on: unix:{}, unix:{}", own.display(), common.display())), "{text}");
    assert!(server.stop().success());
    assert!(!own.exists() && !common.exists());
}

#[test]
fn owners_are_set_before_privileges_are_dropped() {
    if !geteuid().is_root() {
        let outcome = setup().args(["--listen", "unix:a.sock,owner=0"]).run();
        assert_eq!(outcome.code(), 1);
        outcome.assert_says("a.sock to user 0: Operation not permitted; the server has to be root");
        return;
    }
    let (nobody, daemon) = (User::from_name("nobody").unwrap().unwrap(), User::from_name("daemon").unwrap().unwrap());
    let group = Group::from_name("daemon").unwrap().unwrap();
    for workers in [0, 2] {
        let setup = setup().workers(workers).args(["--user", "nobody"]);
        // The scratch directory belongs to root, and everybody may look into it.
        std::fs::set_permissions(setup.path(""), PermissionsExt::from_mode(0o755)).expect("permissions can be set");
        let path = |name: &str| setup.path(name);
        let (full, grouped, plain) = (path("full.sock"), path("grouped.sock"), path("plain.sock"));
        let server = setup
            .args(["--listen", "unix:full.sock,owner=daemon,group=daemon,mode=0660"])
            .args(["--listen", "grouped.sock,group=4242424", "--listen", "plain.sock"])
            .start();
        assert_eq!(likeness(&full), (0o660, daemon.uid.as_raw(), group.gid.as_raw()));
        assert_eq!(likeness(&grouped), (0o600, nobody.uid.as_raw(), 4_242_424));
        assert_eq!(likeness(&plain), (0o600, nobody.uid.as_raw(), nobody.gid.as_raw()));
        for socket in [full, grouped, plain] {
            assert_eq!(ask_unix(&socket).status, 200, "{}", server.log());
        }
    }
}

#[test]
fn unknown_owners_are_found_at_the_start_and_by_check() {
    for (option, expected) in
        [("owner=no-such-user", "Unknown user: no-such-user"), ("group=no-such-group", "Unknown group: no-such-group")]
    {
        let outcome = setup().args(["--listen", &format!("unix:a.sock,{option}")]).run();
        assert_eq!(outcome.code(), 1);
        outcome.assert_says(expected);
        let configuration = format!("env = 'none'\n\nlisten = ['unix:a.sock,{option}']\n");
        let outcome = setup().file("pagi.toml", configuration).args(["--config", "pagi.toml", "--check"]).run();
        assert_eq!(outcome.code(), 1);
        outcome.assert_says(&format!("pagi.toml:3: {expected}"));
    }
    let outcome = setup().file("pagi.toml", "\nlisten = ['unix:@a,mode=0660']\n").args(["--config", "pagi.toml"]).run();
    assert_eq!(outcome.code(), 2);
    outcome.assert_says("pagi.toml:2: listen takes no mode=, owner= and group= for an abstract socket");
}

fn tcp() -> (OwnedFd, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener.into(), address)
}

fn ask(address: SocketAddr) -> String {
    curl([format!("http://{address}/")]).text().to_owned()
}

#[test]
fn systemd_sockets_are_chosen_by_name_or_number() {
    for (workers, chosen) in [(0, "fd:api"), (2, "fd:api"), (0, "fd:4"), (2, "fd:4")] {
        let (web, _) = tcp();
        let (api, address) = tcp();
        let server = setup().workers(workers).passing([web, api], "web:api").args(["--listen", chosen]).start();
        assert_eq!(server.addresses(), [address], "{}", server.log());
        assert_eq!(ask(address), format!("client 127.0.0.1 {} http", address.port()));
        assert!(server.has_said("is closed: no --listen"), "the other one: {}", server.log());
    }
}

#[test]
fn one_name_can_stand_for_several_sockets() {
    let (first, one) = tcp();
    let name = unique("passed");
    let second = UnixListener::bind_addr(&UnixAddress::from_abstract_name(&name).unwrap()).expect("the name is free");
    let server = setup().passing([first, second.into()], "web:web").args(["--listen", "fd:web"]).start();
    assert!(server.has_said(&format!("listening on: http://{one}/, unix:@{name} ")), "{}", server.log());
    assert_eq!(ask(one), format!("client 127.0.0.1 {} http", one.port()));
    assert_eq!(ask_abstract(&name).text(), format!("no client @{name} undef http"));
}

#[test]
fn tls_and_the_proxy_protocol_are_said_for_each_socket() {
    let authority = Authority::new("a test authority");
    let identity = authority.server("server", &["localhost", "127.0.0.1"]);
    let ((first, secure), (second, plain)) = (tcp(), tcp());
    let server = setup()
        .passing([first, second], "secure:plain")
        .args(identity.options())
        .args(["--listen", "fd:secure,ssl", "--listen", "fd:plain,proxy", "--trusted-proxies", "127.0.0.1"])
        .start();
    assert!(server.has_said(&format!("listening on: https://{secure}/, http://{plain}/")), "{}", server.log());
    let answer = Client::new(&authority).get(secure, "/");
    assert_eq!(answer.text(), format!("client 127.0.0.1 {} https", secure.port()));
    let answer = curl(["--haproxy-protocol", &format!("http://{plain}/")]);
    assert_eq!(answer.text(), format!("client 127.0.0.1 {} http", plain.port()));
    assert_ne!(curl([format!("http://{plain}/")]).status, 200, "without the header nothing is served");
}

/// As in the reference server, certificates alone mean TLS for TCP; a Unix socket has to ask.
#[test]
fn certificates_alone_mean_tls_on_passed_tcp_sockets() {
    let authority = Authority::new("a test authority");
    let identity = authority.server("server", &["localhost", "127.0.0.1"]);
    let (first, address) = tcp();
    let setup = setup();
    let path = setup.path("passed.sock");
    let second = UnixListener::bind(&path).expect("it can be bound");
    let mut server = setup
        .passing([first, second.into()], "web:local")
        .args(identity.options())
        .args(["--listen", "fd:web", "--listen", "fd:local"])
        .start();
    assert_eq!(Client::new(&authority).get(address, "/").status, 200);
    assert_eq!(ask_unix(&path).text(), format!("no client {} undef http", path.display()));
    assert!(server.stop().success());
    assert!(path.exists(), "its maker removes it");
}

#[test]
fn a_passed_socket_keeps_its_name_over_reloads_and_upgrades() {
    for workers in [0, 2] {
        let (web, address) = tcp();
        let (other, _) = tcp();
        let server = setup().workers(workers).passing([other, web], "other:web").args(["--listen", "fd:web"]).start();
        let mut pid = server.pid().as_raw();
        let serves = || {
            assert_eq!(ask(address), format!("client 127.0.0.1 {} http", address.port()), "{}", server.log());
        };
        if workers > 0 {
            pagictl(&server, &["reload"]);
            serves();
        }
        for _ in 0..2 {
            pid = upgrade(&server, pid);
            serves();
        }
        assert!(pagictl(&server, &["config"]).contains("listen = [\"fd:web\"]"));
        assert!(pagictl(&server, &["status"]).contains(&format!("http://{address}/")));
        pagictl(&server, &["stop"]);
    }
}

#[test]
fn passed_sockets_that_cannot_be_served() {
    let file = || OwnedFd::from(std::fs::File::open("/dev/null").expect("it is there"));
    let datagrams = || OwnedFd::from(UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    let connected = || OwnedFd::from(UnixStream::pair().expect("a pair").0);
    let unreadable = || {
        let address = UnixAddress::from_abstract_name(format!("{}\0", unique("zero"))).expect("a name");
        OwnedFd::from(UnixListener::bind_addr(&address).expect("the name is free"))
    };
    let no_place = "it listens neither on TCP nor on a Unix socket with a path or a readable name";
    type Make<'a> = &'a dyn Fn() -> OwnedFd;
    let table: [(Make<'_>, &str, String); 7] = [
        (&|| tcp().0, "fd:api", "was not passed by systemd; there is fd:web (3)".to_owned()),
        (&|| tcp().0, "fd:4", "was not passed by systemd; there is fd:web (3)".to_owned()),
        (&file, "fd:web", "cannot be served: descriptor 3: it is not a listening socket".to_owned()),
        (&datagrams, "fd:3", "cannot be served: descriptor 3: it is not a listening socket".to_owned()),
        (&connected, "fd:web", "cannot be served: descriptor 3: it is not a listening socket".to_owned()),
        (&packets, "fd:web", "cannot be served: descriptor 3: it is not a stream socket".to_owned()),
        (&unreadable, "fd:web", format!("cannot be served: descriptor 3: {no_place}")),
    ];
    for (make, wanted, expected) in table {
        for option in [None, Some("--check")] {
            let outcome = setup().passing([make()], "web").args(["--listen", wanted]).args(option).run();
            assert_eq!(outcome.code(), 1, "{}", outcome.stderr);
            outcome.assert_says(&format!("Error: --listen {wanted} {expected}"));
        }
    }
    let outcome = setup().args(["--listen", "fd:web"]).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("Error: --listen fd:web is a socket that systemd passes (LISTEN_FDS), and nothing was passed");
}

/// A listening socket whose messages are no stream.
fn packets() -> OwnedFd {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::empty(), None).expect("a socket");
    // Any free name.
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new_unnamed()).expect("it can be bound");
    listen(&socket, Backlog::new(1).expect("a small number")).expect("it can listen");
    socket
}

#[test]
fn check_tries_passed_sockets_when_they_are_there() {
    let outcome = setup().passing([tcp().0], "web").args(["--listen", "fd:web", "--check", "-E", "none"]).run();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, "Configuration is fine\n"));
    let outcome = setup().args(["--listen", "fd:web", "--check", "-E", "none"]).run();
    assert_eq!(outcome.code(), 0);
    outcome.assert_says("Warning: fd:web is not checked: systemd passes it only when it starts the server");
}
