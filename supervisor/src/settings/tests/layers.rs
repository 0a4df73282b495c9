//! The configuration file, the environment and the command line together.

use super::*;
use crate::config::origin::Origin;

/// A configuration file that lives as long as this.
struct File(tempfile::NamedTempFile);

impl File {
    fn new(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Self(file)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn run(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Result<Checked, String> {
        run_in(environment, &[&["--config", self.path()], arguments].concat())
    }

    fn settings(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Settings {
        self.run(environment, arguments).unwrap_or_else(|message| panic!("{message}")).settings
    }
}

fn origin(settings: &Settings, key: &str) -> String {
    settings.effective.iter().find(|option| option.key == key).unwrap().origin.to_string()
}

#[test]
fn the_file_is_weakest_and_the_command_line_strongest() {
    let file = File::new("workers = 2\n\nmax_body_size = 10\n");
    let from_file = file.settings(&[], &[]);
    assert_eq!((from_file.processes.workers, from_file.http.max_body_size), (2, 10));
    assert_eq!(origin(&from_file, "max_body_size"), format!("{}:3", file.path()));
    let environment = [("PAGI_MAX_BODY_SIZE", "20"), ("PAGI_WORKERS", "")];
    let from_environment = file.settings(&environment, &[]);
    assert_eq!((from_environment.processes.workers, from_environment.http.max_body_size), (2, 20));
    assert_eq!(origin(&from_environment, "max_body_size"), "environment PAGI_MAX_BODY_SIZE");
    let typed = file.settings(&environment, &["--max-body-size", "30"]);
    assert_eq!(typed.http.max_body_size, 30);
    assert_eq!(origin(&typed, "max_body_size"), "command line");
    assert_eq!(origin(&typed, "max_header_size"), "default");
}

#[test]
fn the_environment_can_name_the_file() {
    let file = File::new("workers = 3\n");
    assert_eq!(run_in(&[("PAGI_CONFIG", file.path())], &[]).unwrap().settings.processes.workers, 3);
    let error = run(&["--config", "/no/such/file"]).unwrap_err();
    assert!(error.starts_with("Cannot read configuration file /no/such/file: No such file"), "{error}");
}

#[test]
fn switches_can_be_undone() {
    let file = File::new("quiet = true\nno_fullflush = true\ndefault_middleware = false\n");
    let settings = file.settings(&[], &[]);
    assert!(settings.quiet && settings.http.no_fullflush && !settings.app.default_middleware);
    let undone = file.settings(&[("PAGI_NO_FULLFLUSH", "0")], &["--quiet=off", "--default-middleware"]);
    assert!(!undone.quiet && !undone.http.no_fullflush && undone.app.default_middleware);
    assert_eq!(mistake(&["--quiet=perhaps"]), "--quiet takes on or off, got 'perhaps'");
    assert!(run(&["-q", "off"]).unwrap().settings.app.name.as_deref() == Some("off"), "-q takes no separate value");
}

#[test]
fn what_is_said_more_strongly_decides_where_to_listen() {
    let file = File::new("listen = ['h:1', '/run/a.sock']\n");
    let shown = |settings: &Settings| settings.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(shown(&file.settings(&[], &[])), "http://h:1/ unix:/run/a.sock");
    assert_eq!(shown(&file.settings(&[("PORT", "80")], &[])), "http://127.0.0.1:80/");
    assert_eq!(shown(&file.settings(&[("PORT", "80"), ("PAGI_PORT", "81")], &[])), "http://127.0.0.1:81/");
    assert_eq!(shown(&file.settings(&[("PORT", "80")], &["--socket", "/b"])), "unix:/b");
    assert_eq!(shown(&file.settings(&[("PAGI_LISTEN", "a:1 b:2")], &[])), "http://a:1/ http://b:2/");
    let forms = "unix:@a fd:web unix:/run/b,mode=0660,group=root";
    assert_eq!(shown(&file.settings(&[("PAGI_LISTEN", forms)], &[])), "unix:@a fd:web unix:/run/b");
    let warnings = file.run(&[("PORT", "80")], &[]).unwrap().warnings;
    assert_eq!(warnings, ["--listen and --socket are ignored because --host or --port is given"]);
}

#[test]
fn an_application_of_the_command_line_replaces_that_of_the_file() {
    let file = File::new("app = 'My::App'\narguments = ['root=/srv']\n");
    let app = |arguments: &[&str]| file.settings(&[], arguments).app;
    assert_eq!((app(&[]).name.as_deref(), app(&[]).arguments), (Some("My::App"), vec!["root=/srv".to_owned()]));
    assert_eq!(app(&["x=1"]).arguments, ["root=/srv", "x=1"]);
    assert_eq!(app(&["app.pl", "x=1"]).name.as_deref(), Some("app.pl"));
    assert_eq!(app(&["app.pl", "x=1"]).arguments, ["x=1"]);
    assert_eq!(app(&["--app", "b.pl"]).name.as_deref(), Some("b.pl"));
    let code = File::new("code = 'sub {}'\nmodules = ['A', 'B=c']\n");
    assert_eq!(code.settings(&[], &["app.pl"]).app_spec().source, AppSource::Named("app.pl".to_owned()));
    assert_eq!(code.settings(&[], &[]).app_spec().source, AppSource::Code("sub {}".to_owned()));
    assert_eq!(code.settings(&[], &[]).app.modules, ["A", "B=c"]);
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let file = File::new("port = 'abc'\nworkers = 5000\nsocket_mode = '999'\narguments = ['x']\n");
    let path = file.path();
    let expected = [
        format!("{path}:1: port takes a port number from 0 to 65535, got 'abc'"),
        format!("{path}:2: workers takes a number from 0 to 1024, got '5000'"),
        format!("{path}:3: socket_mode: --socket-mode must be an octal value like 0660, got: 999"),
        format!("{path}:4: arguments are of the form 'key=value', got 'x'"),
        "Environment variable PAGI_TIMEOUT (--timeout) takes a number of seconds, got 'soon'".to_owned(),
    ];
    let message = file.run(&[("PAGI_TIMEOUT", "soon")], &[]).err().unwrap();
    assert_eq!(message.lines().collect::<Vec<_>>(), expected);
}

/// What `pagictl config` shows can be used as a file, and means the same.
#[test]
fn effective_values_make_a_file() {
    let arguments = ["-w", "4", "--listen", "a:1", "-Ilib", "--timeout", "2.5", "-e", "sub { \"x\" }", "-q"];
    let settings = run(&arguments).unwrap().settings;
    let text: String = settings.effective.iter().map(|option| format!("{option}\n")).collect();
    let again = File::new(&text.replace("env = \"none\"", "")).settings(&[], &[]);
    let values = |settings: &Settings| -> Vec<(String, Vec<String>)> {
        settings.effective.iter().map(|option| (option.key.clone(), option.values.clone())).collect()
    };
    assert_eq!(values(&again), values(&settings), "{text}");
    assert!(settings.effective.iter().any(|option| option.origin == Origin::CommandLine));
}
