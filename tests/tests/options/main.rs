//! Every option of `pagi-server` from outside: a row for each, in a file for each group of `--help`. The binary is asked for
//! defaults, for what it accepts and for what it refuses; for what an option does, a row names the tests that see it.

mod application;
mod event_loop;
mod evidence;
mod help;
mod http2;
mod limits;
mod listening;
mod logs;
mod offload;
mod pool;
mod processes;
mod proxies;
mod row;
mod service;
mod store;
mod tls;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use pagi_tests::app;
use pagi_tests::patience::{PATIENCE, poll};
use pagi_tests::server::{pagictl_binary, server_binary};

use row::Row;

/// The groups of `--help`, in its order.
const GROUPS: [(&str, &[Row]); 14] = [
    ("Application", application::ROWS),
    ("Listening", listening::ROWS),
    ("TLS", tls::ROWS),
    ("Processes", processes::ROWS),
    ("Pool for blocking code", pool::ROWS),
    ("Event loop", event_loop::ROWS),
    ("Limits and timers", limits::ROWS),
    ("HTTP/2", http2::ROWS),
    ("Proxies", proxies::ROWS),
    ("Offload", offload::ROWS),
    ("Shared store", store::ROWS),
    ("Logs", logs::ROWS),
    ("Service", service::ROWS),
    // What has no group stands at the end.
    ("Service", application::LAST),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|(_, rows)| rows.iter())
}

/// A command that nothing around the tests has an influence on.
fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(server_binary());
    let settings = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PAGI_"));
    for (name, _) in settings {
        command.env_remove(name);
    }
    for name in ["PERL5OPT", "HOST", "PORT", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "IO_ASYNC_LOOP"] {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command line that is not expected to serve: its status, and all it says on standard error.
fn said<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> (Option<i32>, String) {
    let output = command(arguments).output().expect("the server binary can be started");
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

#[test]
fn the_table_is_what_help_lists() {
    let output = command(["--help"]).output().expect("the server binary can be started");
    let listed = help::options(&String::from_utf8_lossy(&output.stdout));
    let in_help: Vec<_> = listed.iter().map(|option| (option.group.as_str(), option.name.as_str())).collect();
    let in_table: Vec<_> = GROUPS.iter().flat_map(|(group, rows)| rows.iter().map(|row| (*group, row.name))).collect();
    assert_eq!(in_table, in_help);
    for (row, option) in rows().zip(&listed) {
        let expected = match (row.default, row.default_in_words) {
            ("false", "") => "",
            (value, "") => value,
            (_, words) => words,
        };
        assert_eq!(option.default, expected, "{}", row.name);
        assert!(!option.text.is_empty(), "{} is explained", row.name);
        let takes_none = row.form.is_switch || ["--check", "--version", "--help"].contains(&row.name);
        assert_eq!(option.value.is_empty(), takes_none, "{}", row.name);
    }
}

/// One server that nobody has told anything, on a socket that it inherits: so even `port` is as it is by default.
#[test]
fn defaults_are_those_of_the_table() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    std::fs::write(directory.path().join("app.pl"), app::handler("await answer($send, 'x');")).expect("it is written");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let socket = socket2::SockRef::from(&listener);
    socket.set_cloexec(false).expect("a descriptor can be handed on");
    let port = listener.local_addr().expect("it is bound").port();
    let mut child = command(["app.pl"])
        .current_dir(directory.path())
        .env("XDG_RUNTIME_DIR", directory.path())
        .env("PAGI_REUSE", format!("127.0.0.1:{port}:{}", listener.as_raw_fd()))
        .stderr(Stdio::null())
        .spawn()
        .expect("the server binary can be started");
    let control = directory.path().join("pagi/control.sock");
    let ask = || {
        let mut pagictl = Command::new(pagictl_binary());
        let output = pagictl.arg("--socket").arg(&control).args(["config", "--json"]).output().expect("pagictl runs");
        serde_json::from_slice::<Vec<serde_json::Value>>(&output.stdout).ok()
    };
    let mut shown = None;
    poll(PATIENCE, || {
        shown = ask();
        shown.is_some()
    });
    child.kill().expect("it lives");
    child.wait().expect("it ends");
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    let shown: BTreeMap<String, serde_json::Value> =
        shown.expect("the server is asked").into_iter().map(|option| (text(&option["key"]), option)).collect();
    let keys: Vec<String> = rows().filter(|row| row.is_setting()).map(Row::key).collect();
    for key in shown.keys() {
        assert!(keys.contains(key), "{key} has no row");
    }
    for row in rows().filter(|row| row.is_setting()) {
        let option = shown.get(&row.key()).unwrap_or_else(|| panic!("pagictl config does not show {}", row.key()));
        let values: Vec<String> = option["values"].as_array().expect("a list").iter().map(text).collect();
        let expected: Vec<String> =
            Some(row.default.to_owned()).filter(|value| !value.is_empty()).into_iter().collect();
        assert_eq!((values, &option["origin"]), (expected, &"default".into()), "{}", row.name);
    }
}

/// What is wrong with a combination is found when every value has been read. So a command line of which only this is said
/// has values that are all accepted, and nothing was started to find it out.
const LAST_MISTAKE: [&str; 4] = ["--socket", "s", "--listen", "127.0.0.1:0"];

#[test]
fn every_form_is_accepted() {
    let output = command(["--help"]).output().expect("the server binary can be started");
    let listed = help::options(&String::from_utf8_lossy(&output.stdout));
    for (row, option) in rows().zip(&listed) {
        let names = [row.name].into_iter().chain(option.short.as_deref()).chain(row.aliases.iter().copied());
        let mut arguments: Vec<String> = Vec::new();
        for name in names {
            for value in row.form.accepts {
                let long = name.starts_with("--");
                if long {
                    arguments.push(format!("{name}={value}"));
                }
                // `--option -1` would be another option, and a switch has its value behind `=` only.
                if !row.form.is_switch && !value.starts_with('-') {
                    arguments.extend([name.to_owned(), (*value).to_owned()]);
                }
            }
            if row.form.is_switch {
                arguments.push(name.to_owned());
            }
        }
        let answer = said(arguments.iter().map(String::as_str).chain(LAST_MISTAKE));
        let expected = (Some(2), "Cannot specify both 'listen' and 'socket' options".to_owned());
        assert_eq!(answer, expected, "{arguments:?}");
    }
}

/// Everything that is said is one sentence, and the status is that of a wrong command line.
#[track_caller]
fn refused<S: AsRef<OsStr> + std::fmt::Debug>(arguments: &[S], sentence: &str) {
    assert_eq!(said(arguments), (Some(2), sentence.to_owned()), "{arguments:?}");
}

#[test]
fn what_is_no_option_is_refused() {
    refused(&["-1"], "Unknown option -1; see --help");
    refused(&["--bogus"], "Unknown option --bogus; see --help");
    refused(&["--wokers", "3"], "Unknown option --wokers; did you mean --workers?");
    refused(&["--work", "3"], "Unknown option --work; did you mean --workers?");
}

fn every_other_form_is_refused(rows: &[Row]) {
    for row in rows {
        for value in row.form.refuses {
            let sentence = format!("{} {}, got '{value}'", row.name, row.form.sentence);
            refused(&row.with(value), &sentence);
        }
        for (arguments, sentence) in row.refused {
            refused(arguments, sentence);
        }
        if row.name.starts_with("--") && !row.form.is_switch && !row.form.accepts.is_empty() {
            refused(&[row.name], &format!("{} needs a value", row.name));
        }
    }
}

/// A test for each group, so that they run beside each other.
macro_rules! refusals {
    ($($test:ident: $group:ident),* $(,)?) => {
        $(#[test]
        fn $test() {
            every_other_form_is_refused($group::ROWS);
        })*

        #[test]
        fn every_group_is_asked_for_refusals() {
            let asked: usize = [$($group::ROWS),*].iter().map(|rows| rows.len()).sum();
            assert_eq!(asked + application::LAST.len(), rows().count());
        }
    };
}

refusals! {
    refusals_about_applications: application,
    refusals_about_listening: listening,
    refusals_about_tls: tls,
    refusals_about_processes: processes,
    refusals_about_the_pool: pool,
    refusals_about_the_event_loop: event_loop,
    refusals_about_limits: limits,
    refusals_about_http2: http2,
    refusals_about_proxies: proxies,
    refusals_about_offload: offload,
    refusals_about_the_store: store,
    refusals_about_logs: logs,
    refusals_about_the_service: service,
}

#[test]
fn every_effect_is_seen_from_outside() {
    let problems: Vec<String> = rows()
        .flat_map(|row| {
            let none = row.seen.is_empty().then(|| format!("{} is seen nowhere", row.name));
            none.into_iter().chain(row.seen.iter().filter_map(|(file, test)| {
                evidence::problem(row, file, test).map(|problem| format!("{}: {file}: {test}: {problem}", row.name))
            }))
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}
