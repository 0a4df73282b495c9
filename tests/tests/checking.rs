//! `pagi-server --check`: what is wrong, and where it was said.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use pagi_tests::app;
use pagi_tests::server::{Outcome, Setup, server_binary};
use pagi_tests::tls::Authority;

fn application() -> String {
    app::handler("await answer($send, 'served');")
}

/// What `pagi-server --check` says about a file in the scratch directory of an application.
fn check(application: &str, configuration: &str) -> Outcome {
    Setup::new()
        .file("app.pl", application)
        .file("pagi.toml", configuration)
        .listens_elsewhere()
        .args(["--config", "pagi.toml", "--check"])
        .run()
}

#[test]
fn check_accepts_what_would_serve() {
    let outcome = check(&application(), "app = 'app.pl'\nport = 0\nenv = 'staging'\n");
    assert_eq!((outcome.code(), outcome.stderr.lines().count()), (0, 1), "{}", outcome.stderr);
    assert!(outcome.stderr.ends_with("pagi.toml is fine\n"), "{}", outcome.stderr);
}

#[test]
fn check_finds_users_and_files() {
    let configuration = "app = 'app.pl'\nport = 0\nenv = 'none'\nuser = 'no-such-user'\npid = '/nonexistent/x.pid'\n";
    let outcome = check(&application(), configuration);
    assert_eq!(outcome.code(), 1);
    let expected = if nix::unistd::geteuid().is_root() { "Unknown user: no-such-user" } else { "Must run as root" };
    outcome.assert_says(&format!("pagi.toml:4: {expected}"));
    outcome.assert_says("pagi.toml:5: Cannot write /nonexistent/x.pid: No such file or directory");
}

/// As an operator does before a reload: the addresses are taken by the server that is meant.
#[test]
fn check_beside_the_running_server_is_fine() {
    let server = Setup::perl(&application()).start();
    let mut check = std::process::Command::new(pagi_tests::server::server_binary());
    check.arg("--control-socket").arg(server.control_socket()).arg("--check").args(["-E", "none"]);
    check.args(["--listen", &server.address().to_string()]).arg(server.path("app.pl"));
    let outcome = check.output().expect("the check runs");
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(outcome.status.success() && said.ends_with("Configuration is fine\n"), "{said}");
}

/// A value that keeps a server from serving.
struct Mistake {
    key: &'static str,
    value: String,
    /// Lines of the file that belong to it.
    beside: String,
    /// 2 when the value is wrong in itself, 1 when it is the world around it.
    code: i32,
    /// What is said of it. One that begins in lower case is about the key, which stands before it.
    sentence: String,
}

fn mistake(key: &'static str, value: &str, code: i32, sentence: &str) -> Mistake {
    Mistake { key, value: value.to_owned(), beside: String::new(), code, sentence: sentence.to_owned() }
}

impl Mistake {
    fn beside(self, lines: &str) -> Self {
        Self { beside: lines.to_owned(), ..self }
    }

    fn option(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// The message: from a line of the file, and from elsewhere.
    fn message(&self, place: &str) -> String {
        let is_of_key = self.sentence.starts_with(char::is_lowercase);
        match (is_of_key, place.starts_with("pagi.toml")) {
            (true, true) => format!("{place}: {} {}", self.key, self.sentence),
            (true, false) => format!("{place} {}", self.sentence),
            (false, _) => format!("{place}: {}", self.sentence),
        }
    }

    /// The configuration file of a server that would serve, but for this.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec!["# of a test".to_owned(), "env = 'none'".to_owned()];
        if !["port", "listen", "socket"].contains(&self.key) {
            lines.push("port = 0".to_owned());
        }
        if self.key != "app" {
            lines.push("app = 'PAGI::App::NotFound'".to_owned());
        }
        lines.extend(self.beside.lines().map(str::to_owned));
        lines
    }

    fn line(&self) -> String {
        let is_list = ["listen", "static", "mount", "x_sendfile", "ssl_cert", "ssl_key"].contains(&self.key);
        if is_list {
            // Each value has its own line.
            return format!("{} = [\n'{}']", self.key, self.value);
        }
        format!("{} = '{}'", self.key, self.value)
    }
}

/// Checks the configuration in a directory: status, and what is said.
fn check_in(directory: &Path, lines: &[String], environment: &[(&str, &str)], arguments: &[String]) -> (i32, String) {
    std::fs::write(directory.join("pagi.toml"), lines.join("\n") + "\n").expect("it can be written");
    let mut command = Command::new(server_binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PAGI_")) {
        command.env_remove(name);
    }
    command.args(["--config", "pagi.toml", "--check"]).args(arguments).current_dir(directory).stdin(Stdio::null());
    command.env_remove("HOST").env_remove("PORT").env("PAGI_ALLOW_ROOT", "1").envs(environment.iter().copied());
    command.env("XDG_RUNTIME_DIR", directory);
    let output = command.output().expect("the server binary can be started");
    (output.status.code().expect("no signal ends it"), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A directory with applications: one that serves, one that is broken, one that nobody may read, and a folder.
fn applications() -> Setup {
    let setup = Setup::new().file("app.pl", application()).file("secret.pl", application());
    let setup = setup.file("broken.pl", "use strict;\n\nmy $x = ;\n").file("folder.pl/x", "");
    let mode = |path: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(setup.path(path), permissions).expect("permissions can be set");
    };
    mode("secret.pl", 0o000);
    mode("", 0o755);
    setup
}

#[test]
fn every_mistake_has_its_place_wherever_it_was_made() {
    let setup = applications();
    let authority = Authority::new("Test Root");
    let (one, other) = (authority.server("one", &["one.test"]), authority.server("other", &["other.test"]));
    let (cert, key, other_key) = (one.cert.display(), one.key.display(), other.key.display().to_string());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let is_taken = format!("Error: Port {port} is already in use");
    // Root reads everything, so the application is to be loaded by somebody else.
    let anybody = if nix::unistd::geteuid().is_root() { "user = 'nobody'" } else { "" };
    let (with_key, with_cert) = (format!("ssl_key = '{key}'"), format!("ssl_cert = '{cert}'"));
    let belongs = format!("SSL key {other_key} does not belong to SSL cert {cert}");
    let in_directory = |text: &str| format!("{text}{}", setup.path("").canonicalize().expect("it is there").display());
    let is_root = nix::unistd::geteuid().is_root();
    let unknown = if is_root { "Unknown user: no-such-user" } else { "Must run as root" };
    let mistakes = [
        mistake("max_body_size", "big", 2, "takes a whole number, got 'big'"),
        mistake("ssl_cert", "/no/such.pem", 2, "SSL cert not found: /no/such.pem").beside(&with_key),
        mistake("ssl_key", "/no/such.pem", 2, "SSL key not found: /no/such.pem").beside(&with_cert),
        mistake("ssl_key", &other_key, 1, &belongs).beside(&with_cert),
        mistake("app", "secret.pl", 1, &in_directory("Error loading ")).beside(anybody),
        mistake("app", "folder.pl", 1, &in_directory("Error loading ")),
        mistake("app", "missing.pl", 1, &in_directory("App file not found: ")),
        mistake("app", "broken.pl", 1, &in_directory("Error loading ")),
        mistake("port", &port, 1, &is_taken),
        mistake("listen", &format!("127.0.0.1:{port}"), 1, &is_taken),
        mistake("admin_listen", &format!("127.0.0.1:{port}"), 1, &is_taken),
        mistake("socket", "/no/such/directory/socket", 1, "Error starting server: "),
        mistake("host", "192.0.2.1", 1, "Error starting server: "),
        mistake("static", "/a=missing", 1, &in_directory("Cannot serve files of ")),
        mistake("x_sendfile", "missing", 1, &in_directory("Cannot serve files of ")),
        mistake("mount", "/a=missing.pl", 1, "Mount /a/: App file not found: "),
        mistake("log", "/no/such/log", 1, "Cannot write /no/such/log: No such file or directory"),
        mistake("user", "no-such-user", 1, unknown),
        mistake("pid", "/no/such/pid", 1, "Cannot write /no/such/pid: No such file or directory"),
    ];
    for mistake in mistakes {
        let assert_said = |place: &str, (status, said): (i32, String)| {
            let message = mistake.message(place);
            assert!(said.contains(&message), "{message:?} is not in:\n{said}");
            assert_eq!((status, said.lines().count()), (mistake.code, 1), "{message}:\n{said}");
        };
        let (option, variable) = (mistake.option(), format!("PAGI_{}", mistake.key.to_uppercase()));
        let mut lines = mistake.lines();
        let environment = check_in(&setup.path(""), &lines, &[(&variable, &mistake.value)], &[]);
        assert_said(&format!("Environment variable {variable} ({option})"), environment);
        assert_said(&option, check_in(&setup.path(""), &lines, &[], &[format!("{option}={}", mistake.value)]));
        lines.push(mistake.line());
        let number = lines.join("\n").lines().count();
        assert_said(&format!("pagi.toml:{number}"), check_in(&setup.path(""), &lines, &[], &[]));
    }
}

#[test]
fn mistakes_in_tables_have_their_line_too() {
    let setup = applications();
    let file = "env = 'none'\nport = 0\napp = 'app.pl'\n\n[[mount]]\npath = '/a'\napp = 'PAGI::App::NotFound'\n\n\
                [[mount]]\npath = '/b'\nAPP\n\n[[static]]\npath = '/s'\nDIRECTORY\n";
    let check = |app: &str, directory: &str| {
        let text = file.replace("APP", app).replace("DIRECTORY", directory);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        check_in(&setup.path(""), &lines, &[], &[])
    };
    let fine = check("app = 'PAGI::App::NotFound'", "directory = '.'");
    assert_eq!((fine.0, fine.1.lines().count()), (0, 1), "{}", fine.1);
    for (app, directory, code, messages) in [
        ("app = 'missing.pl'", "directory = '.'", 1, &["pagi.toml:11: Mount /b/: App file not found: "][..]),
        ("app = 'folder.pl'", "directory = '.'", 1, &["pagi.toml:11: Mount /b/: Error loading "]),
        ("app = 'broken.pl'", "directory = '.'", 1, &["pagi.toml:11: Mount /b/: Error loading ", "broken.pl line 3"]),
        ("app = 'PAGI::App::NotFound'", "directory = 'missing'", 1, &["pagi.toml:15: Cannot serve files of "]),
        (
            "app = 'PAGI::App::NotFound'\nhots = 'x'",
            "directory = '.'\nlisting = 'yes'\nmax_age = 'long'",
            2,
            &[
                "pagi.toml:12: unknown key 'hots' of mount; did you mean 'host'?",
                "pagi.toml:17: listing of static takes true or false",
                "pagi.toml:18: max_age of static takes a whole number of seconds, got 'long'",
            ],
        ),
        (
            "ap = 'app.pl'",
            "directory = 5",
            2,
            &[
                "pagi.toml:9: mount needs path and app",
                "pagi.toml:11: unknown key 'ap' of mount; did you mean 'app'?",
                "pagi.toml:15: directory of static takes a text in quotes",
            ],
        ),
    ] {
        let (status, said) = check(app, directory);
        assert_eq!(status, code, "{said}");
        for message in messages {
            assert!(said.contains(message), "{message:?} is not in:\n{said}");
        }
    }
}

#[test]
fn what_is_not_written_as_an_option_has_a_place_too() {
    let setup = applications();
    let check = |lines: &[&str], arguments: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        check_in(&setup.path(""), &lines, &[], &arguments).1
    };
    let base = ["env = 'none'", "port = 0", "app = 'PAGI::App::NotFound'"];
    // It takes the place of the file's, which is not to blame.
    let positional = check(&base, &["missing.pl"]);
    assert!(positional.starts_with("Command line: App file not found: "), "{positional}");
    let modules = "modules = ['List::Util', \n'No::Such=a']";
    let module = check(&[&base[..], &[modules]].concat(), &[]);
    assert!(module.contains("pagi.toml:5: Cannot load module No::Such: "), "{module}");
    let module = check(&base, &["-MNo::Such"]);
    assert!(module.starts_with("-M: Cannot load module No::Such: "), "{module}");
    let a_loop = check(&[&base[..], &["loop = 'Nope'"]].concat(), &[]);
    assert!(a_loop.contains("pagi.toml:4: Cannot load loop backend 'Nope': "), "{a_loop}");
    let code = check(&base, &["-e", "my $x = ;"]);
    assert!(code.starts_with("-e: Error evaluating -e code: syntax error at -e line 1"), "{code}");
    assert_eq!(check(&base, &["--wokers=2"]), "Unknown option --wokers; did you mean --workers?\n");
    let unknown = check(&["env = 'none'", "wokers = 2", "quiet = 'loud'", "workers = [2]"], &[]);
    let expected = [
        "pagi.toml:2: unknown key 'wokers'; did you mean 'workers'?",
        "pagi.toml:3: quiet takes on or off, got 'loud'",
        "pagi.toml:4: workers takes one value, not a list",
    ];
    assert_eq!(unknown.lines().collect::<Vec<_>>(), expected);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let listen = format!("listen = [\n'127.0.0.1:0',\n'{}',\n]", taken.local_addr().expect("it is bound"));
    let said = check(&["env = 'none'", &listen, "app = 'PAGI::App::NotFound'"], &[]);
    assert!(said.contains("pagi.toml:4: Error: Port "), "the second of several: {said}");
}
