//! Command lines of the reference server, of Starman and of frameworks' servers: every one that docs/migrating.md gives is run.

use std::os::unix::net::UnixStream;

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::patience::await_that;
use pagi_tests::server::Setup;
use pagi_tests::tls::Authority;

fn application() -> String {
    app::handler("await answer($send, 'served');")
}

/// Each is everything that stands before the application.
const COMMAND_LINES: [&[&str]; 8] = [
    // The reference server's.
    &["-s", "PAGI::Server", "-E", "none", "--no-default-middleware", "--access-log-format", "combined"],
    &["-w", "2", "--reuseport", "-b", "100", "--max-requests", "1000", "--max-connections", "50", "--lifespan", "auto"],
    &["--timeout", "5", "--request-timeout", "5", "--ws-idle-timeout", "5", "--sse-idle-timeout=5", "-q=off"],
    &["--max-body-size", "0", "--max-header-size", "16384", "--max-header-count", "50", "--sync-file-threshold", "0"],
    &["--write-high-watermark", "131072", "--write-low-watermark", "32768", "--heartbeat-timeout", "0"],
    // Starman's, translated.
    &["--workers", "2", "--max-requests", "500", "--listener-backlog", "64", "--host", "127.0.0.1"],
    &["--workers", "2", "--no-preload", "--pid", "server.pid", "--header-timeout", "5", "--access-log", "access.log"],
    &["-Ilib", "-MList::Util=sum", "-E", "deployment", "--log-level", "info"],
];

#[test]
fn every_command_line_serves() {
    for arguments in COMMAND_LINES {
        let server = Setup::perl(&application()).args(arguments).start();
        assert_eq!(curl([server.url("/")]).text(), "served", "{arguments:?}");
    }
}

#[test]
fn several_addresses_and_a_socket_with_its_mode() {
    let server = Setup::perl(&application())
        .listens_elsewhere()
        .args(["--listen", "127.0.0.1:0", "--listen", "./app.sock", "--socket-mode", "0660"])
        .start();
    assert_eq!(curl([server.url("/")]).text(), "served");
    UnixStream::connect(server.path("app.sock")).expect("the socket is served");
}

#[test]
fn what_is_refused_is_refused_by_name() {
    for (arguments, sentence) in [
        (&["-s", "Other"][..], "Cannot load server 'Other'"),
        (&["--prot", "80"], "Unknown option --prot; did you mean --port?"),
        (&["--port", "abc"], "--port takes a port number from 0 to 65535, got 'abc'"),
    ] {
        let outcome = Setup::perl(&application()).args(arguments).run();
        assert_eq!(outcome.code(), 2, "{arguments:?}");
        outcome.assert_says(sentence);
    }
}

/// What the documentation gives as whole command lines: those in columns headed `Here`, and those that stand alone.
fn documented() -> Vec<String> {
    let text = include_str!("../../docs/migrating.md");
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("    pagi-server ") {
            found.push(command.split("  #").next().unwrap_or_default().trim().to_owned());
        }
        // | before | here |
        let Some(cell) = line.strip_prefix('|').and_then(|line| line.split('|').nth(1)) else { continue };
        let spans = cell.split('`').skip(1).step_by(2);
        found.extend(spans.filter_map(|span| span.strip_prefix("pagi-server ")).map(str::to_owned));
    }
    found
}

/// A directory with everything that the documentation's command lines name.
fn surroundings() -> (Setup, Authority) {
    let authority = Authority::new("Test Root");
    let identity = authority.server("one", &["localhost"]);
    let read = |path: &std::path::Path| std::fs::read(path).expect("it can be read");
    let psgi = "sub { [200, ['Content-Type' => 'text/plain'], ['served']] };\n";
    let dancer = "package Shop; use Dancer2; get '/' => sub { 'served' }; Shop->to_app;\n";
    let mojolicious =
        "use Mojolicious::Lite -signatures; get '/' => sub ($c) { $c->render(text => 'served') }; app->start;\n";
    let catalyst =
        "package MyApp; use Moose; extends 'Catalyst'; __PACKAGE__->config(name => 'MyApp'); __PACKAGE__->setup; 1;\n";
    let controller = "package MyApp::Controller::Root; use Moose; BEGIN { extends 'Catalyst::Controller' }
        __PACKAGE__->config(namespace => '');
        sub index :Path :Args(0) { my ($self, $c) = @_; $c->response->body('served') }
        1;\n";
    let setup = Setup::new()
        .listens_elsewhere()
        .file("app.pl", application())
        .file("app.psgi", psgi)
        .file("bin/app.psgi", dancer)
        .file("script/my_app", mojolicious)
        .file("lib/MyApp.pm", catalyst)
        .file("lib/MyApp/Controller/Root.pm", controller)
        .file("index.html", "served")
        .file("cert.pem", read(&identity.cert))
        .file("key.pem", read(&identity.key));
    let library = setup.path("lib");
    (setup.env("PERL5LIB", library), authority)
}

/// Starts a command line of the documentation, on ports that are free here, and asks it for `/`.
fn serves(command: &str) {
    let mut arguments: Vec<String> = Vec::new();
    for word in command.split_whitespace() {
        let follows_port = arguments.last().is_some_and(|last| last == "--port" || last == "-p");
        let word = if follows_port { "0" } else { word };
        arguments.push(word.replace(":8080", ":0").replace(":8443", ":0"));
    }
    if !["--port", "-p", "--listen"].iter().any(|option| arguments.iter().any(|word| word == option)) {
        arguments.splice(0..0, ["--port".to_owned(), "0".to_owned()]);
    }
    let (setup, _authority) = surroundings();
    let in_background = arguments.iter().any(|word| word == "-D" || word == "--daemonize");
    let logs_elsewhere = arguments.iter().any(|word| word == "--log");
    let is_tls = arguments.iter().any(|word| word == "--ssl-cert");
    let setup = setup.args(&arguments);
    let mut server = setup.launch();
    let log = || server.output(if logs_elsewhere { "error.log" } else { "stderr" });
    await_that(command, || log().contains("listening on"));
    let banner = log().lines().find(|line| line.contains("listening on")).unwrap_or_default().to_owned();
    let address = banner.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let url = format!("{}://{address}/", if is_tls { "https" } else { "http" }).replace("0.0.0.0", "127.0.0.1");
    let answer = curl(["--insecure", &url]);
    assert!(
        answer.text().contains("served") || answer.text().contains("index.html"),
        "{command}: {answer:?}\n{}",
        log()
    );
    if in_background {
        assert!(server.wait_for_exit().success(), "{command}");
        let pid = server.output("app.pid").trim().parse().map(nix::unistd::Pid::from_raw).expect("a process id");
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("the daemon lives");
        await_that("the daemon ends", || !pagi_tests::process::lives(pid));
    }
}

#[test]
fn every_documented_command_line_of_the_reference_server_serves() {
    let all: Vec<String> = documented().into_iter().filter(|command| !command.contains("--pool")).collect();
    assert!(all.len() >= 10, "{all:#?}");
    all.iter().for_each(|command| serves(command));
}

#[test]
fn every_documented_command_line_with_a_pool_serves() {
    let all: Vec<String> = documented().into_iter().filter(|command| command.contains("--pool")).collect();
    assert!(all.len() >= 9, "{all:#?}");
    all.iter().for_each(|command| serves(command));
}

/// What is said to correspond exists.
#[test]
fn every_option_that_is_named_exists() {
    let help = Setup::new().arg("--help").run().stdout;
    let text = include_str!("../../docs/migrating.md");
    let here = text.lines().filter_map(|line| line.strip_prefix('|')?.split('|').nth(1));
    let spans = here.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let words = spans.flat_map(str::split_whitespace).filter(|word| word.starts_with("--"));
    let options: Vec<&str> =
        words.map(|word| word.split(['=', ',']).next().unwrap_or(word)).filter(|word| *word != "---").collect();
    assert!(options.len() > 40, "{options:?}");
    for option in options {
        let is_listed = help.lines().any(|line| line.split_whitespace().any(|word| word == option));
        assert!(is_listed, "{option} is not in --help");
    }
}
