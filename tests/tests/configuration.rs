//! The configuration file, the environment and the command line of a running server.

use std::os::unix::net::UnixStream;

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::patience::await_that;
use pagi_tests::server::{Server, Setup};

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
    assert_eq!(
        outcome.stderr,
        "pagi.toml:1: unknown key 'wokers'; did you mean 'workers'?\n\
         pagi.toml:3: timeout takes a number of seconds, got 'soon'\n"
    );
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

fn pagictl(server: &Server, arguments: &[&str]) -> (i32, String) {
    let mut command = std::process::Command::new(pagi_tests::server::pagictl_binary());
    command.arg("--socket").arg(server.control_socket()).args(arguments);
    let outcome = command.output().expect("pagictl runs");
    let said = [outcome.stdout, outcome.stderr].concat();
    (outcome.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn pagictl_shows_values_and_who_said_them() {
    for workers in ["0", "2"] {
        let server = Setup::perl(&application())
            .file("pagi.toml", "# mine\nmax_body_size = 77\n")
            .args(["--config", "pagi.toml", "--workers", workers])
            .env("PAGI_TIMEOUT", "12")
            .start();
        let (status, shown) = pagictl(&server, &["config"]);
        assert_eq!(status, 0, "{shown}");
        let expected = [
            format!("max_body_size = 77  # {}:2\n", server.path("pagi.toml").display()),
            "timeout = 12  # environment PAGI_TIMEOUT\n".to_owned(),
            format!("workers = {workers}  # command line\n"),
            "max_header_size = 8192  # default\n".to_owned(),
            "# access_log is not set\n".to_owned(),
        ];
        for line in expected {
            assert!(shown.contains(&line), "{line} is not in\n{shown}");
        }
        let (_, json) = pagictl(&server, &["config", "--json"]);
        let options: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let option = options.as_array().unwrap().iter().find(|option| option["key"] == "timeout").unwrap();
        assert_eq!(option["values"], serde_json::json!(["12"]));
        assert_eq!(option["origin"]["environment"]["variable"], "PAGI_TIMEOUT");
    }
}

#[test]
fn a_reload_reads_the_file_again() {
    let server = Setup::perl(&application())
        .file("pagi.toml", "max_body_size = 5\nworkers = 2\nlistener_backlog = 10\n")
        .args(["--config", "pagi.toml"])
        .start();
    let status = || curl(["-d", "123456", &server.url("/")]).status;
    assert_eq!(status(), 413);
    let write = |text: &str| std::fs::write(server.path("pagi.toml"), text).expect("the file can be written");
    write("max_body_size = 6\nworkers = 3\nlistener_backlog = 20\n");
    let (code, said) = pagictl(&server, &["reload"]);
    assert_eq!((code, status()), (0, 200), "{said}");
    server.wait_for_log("pagi.toml:1: max_body_size is 6 (was 5) now, which takes effect with this reload");
    server.wait_for_log("pagi.toml:3: listener_backlog is 20 (was 10) now, which needs a restart of the server");
    await_that("three workers", || pagictl(&server, &["status"]).1.contains("3 workers"));
    // A mistake changes nothing, and whoever asked is told.
    write("max_body_size = 'none'\nworkers = 3\n");
    let (code, said) = pagictl(&server, &["reload"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("pagi.toml:1: max_body_size takes a whole number, got 'none'"), "{said}");
    assert_eq!(status(), 200);
    // Neither does an application that does not load, whatever else has changed.
    write("max_body_size = 5\nworkers = 3\n");
    std::fs::write(server.path("app.pl"), "die 'broken';").expect("the file can be written");
    assert_eq!(pagictl(&server, &["reload"]).0, 1);
    assert_eq!(status(), 200);
    assert!(pagictl(&server, &["config"]).1.contains("max_body_size = 6 "));
}
