//! The configuration file, the environment and the command line of a running server.

use std::os::unix::net::UnixStream;

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::server::Setup;

/// Tells its mode.
fn application() -> String {
    app::handler("await answer($send, $ENV{PAGI_ENV});")
}

#[test]
fn a_file_configures_the_server() {
    let setup = Setup::new().file("app.pl", application()).listens_elsewhere();
    let text =
        format!("app = '{}'\nenv = 'staging'\nlisten = ['127.0.0.1:0', 'app.sock']\n", setup.path("app.pl").display());
    let setup = setup.file("pagi.toml", text).args(["--config", "pagi.toml"]);
    let server = setup.start();
    assert_eq!(curl([server.url("/")]).text(), "staging");
    UnixStream::connect(server.path("app.sock")).expect("relative paths are those of the directory it was started in");
}

#[test]
fn the_environment_is_stronger_than_the_file_and_weaker_than_the_command_line() {
    let setup = |arguments: &[&str]| {
        Setup::perl(&application())
            .file("pagi.toml", "env = 'from-file'\nmax_body_size = 5\n")
            .env("PAGI_CONFIG", "pagi.toml")
            .env("PAGI_ENV", "from-environment")
            .args(arguments)
            .start()
    };
    let server = setup(&[]);
    assert_eq!(curl([server.url("/")]).text(), "from-environment");
    assert_eq!(curl(["-d", "123456", &server.url("/")]).status, 413, "the file's limit holds");
    let server = setup(&["-E", "typed", "--max-body-size", "6"]);
    assert_eq!(curl(["-d", "123456", &server.url("/")]).text(), "typed");
}

#[test]
fn a_wrong_file_is_refused_with_every_line() {
    let outcome = Setup::perl(&application())
        .file("pagi.toml", "wokers = 2\n\ntimeout = 'soon'\n")
        .args(["--config", "pagi.toml"])
        .run();
    assert_eq!(outcome.code(), 2);
    assert_eq!(outcome.stderr, "pagi.toml:1: unknown key 'wokers'; did you mean 'workers'?\n");
    let outcome = Setup::perl(&application()).file("p.toml", "\ntimeout = 'soon'\n").args(["--config", "p.toml"]).run();
    assert_eq!(outcome.stderr, "p.toml:2: timeout takes a number of seconds, got 'soon'\n");
    let outcome = Setup::perl(&application()).args(["--config", "none.toml"]).run();
    assert_eq!(outcome.code(), 2);
    outcome.assert_says("Cannot read configuration file none.toml: No such file or directory");
}

/// A developer's server must not be changed by what is installed for the machine's service.
#[test]
fn no_file_is_read_unless_it_is_named() {
    let server = Setup::perl(&application()).file("pagi.toml", "not even TOML").env("PAGI_ENV", "plain").start();
    assert_eq!(curl([server.url("/")]).text(), "plain");
}
