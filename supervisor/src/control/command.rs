//! The `pagictl` command.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use hyper::Method;

use super::client::{self, Failure};
use super::service::{CONFIG_PATH, STATUS_PATH};
use super::status::Status;
use super::verb::Verb;
use super::{path, table, top, watch};
use crate::cli::value::control_socket;
use crate::config::origin::Effective;
use crate::log::{self, Level};

/// How long a server may take to tell its status; one without workers does so between two requests of its application.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shortest and longest time between two looks.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);
const MOST_INTERVAL: Duration = Duration::from_secs(86_400);

/// Done.
pub(super) const DONE: i32 = 0;
/// The server did not do what was asked.
pub(super) const FAILED: i32 = 1;
/// The command line is wrong, or it does not say which server is meant.
pub(super) const USAGE: i32 = 2;
/// There is no server.
pub(super) const NO_SERVER: i32 = 3;

/// What to say, and the status to exit with.
pub(super) type Failed = (String, i32);

const AFTER_HELP: &str = "\
Exit status:
  0  done
  1  the server refused, or what was asked failed; the reason is on standard error
  2  the command line is wrong, or several servers run and --socket is missing
  3  no running server was found";

#[derive(Debug, Parser)]
#[command(name = "pagictl", version, about = "Controls a running pagi-server", after_help = AFTER_HELP)]
struct CommandLine {
    /// Control socket of the server [default: the only one in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/pagi, /run/pagi or
    /// /tmp/pagi-UID]
    #[arg(long, global = true, value_parser = control_socket, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Seconds to wait for the result [default: 10 for what only shows something, no limit for anything else]
    #[arg(long, global = true, value_name = "SECONDS")]
    timeout: Option<u32>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Show the server and its workers
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Again and again, until the server is gone; as JSON, an object on each line
        #[arg(long)]
        watch: bool,
        /// Seconds between two looks
        #[arg(long, default_value = "1", requires = "watch", value_parser = interval, value_name = "SECONDS")]
        interval: Duration,
    },
    /// Show the server and its workers in the terminal, with what happens per second
    Top {
        /// Seconds between two looks
        #[arg(long, default_value = "1", value_parser = interval, value_name = "SECONDS")]
        interval: Duration,
    },
    /// Show the workers only
    Workers {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show every option that is in effect and who said so, in the form of a configuration file
    Config {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Load the application anew and replace all workers, new ones first
    ///
    /// Returns when the new code serves everywhere. If it does not load or its first worker does not start, the
    /// previous code serves on, the reason is printed and the exit status is 1.
    Reload,
    /// Replace all workers, or one, by new ones with the same code
    Restart {
        /// Number of the worker
        #[arg(value_name = "NUM", value_parser = clap::value_parser!(u32).range(1..=1024))]
        worker: Option<u32>,
    },
    /// Replace a worker and wait until it has finished its connections
    Drain {
        /// Number of the worker
        #[arg(value_name = "NUM", value_parser = clap::value_parser!(u32).range(1..=1024))]
        worker: u32,
    },
    /// Change the number of workers
    Scale {
        /// Workers wanted
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
        workers: u32,
    },
    /// Let the worker that has served most become the mold, so that new workers share what it has in memory
    ///
    /// Another worker takes its number first. It finishes its connections and runs lifespan shutdown; then all other
    /// workers are replaced by copies of it, which run lifespan start-up.
    Refork,
    /// Start the binary that is installed now in place of the one that runs, without closing a socket
    ///
    /// Returns when the new server serves; the old one then finishes its connections and ends. If the new one does
    /// not start, the old one serves on, the reason is printed and the exit status is 1.
    Upgrade,
    /// Reopen log files
    LogsReopen,
    /// Log from another level on, in all processes of the server, until it is told again or its configuration changes
    LogLevel {
        /// debug, info, warn or error
        #[arg(value_name = "LEVEL", value_parser = Level::parse)]
        level: Level,
    },
    /// Stop the server gracefully and wait until it has stopped
    Stop,
}

/// What a command asks the server for.
enum Ask {
    Status { json: bool, workers_only: bool },
    Watch { json: bool, interval: Duration },
    Top { interval: Duration },
    Config { json: bool },
    Verb(Verb),
}

impl From<Command> for Ask {
    fn from(command: Command) -> Self {
        match command {
            Command::Status { json, watch: true, interval } => Self::Watch { json, interval },
            Command::Status { json, .. } => Self::Status { json, workers_only: false },
            Command::Top { interval } => Self::Top { interval },
            Command::Workers { json } => Self::Status { json, workers_only: true },
            Command::Config { json } => Self::Config { json },
            Command::Reload => Self::Verb(Verb::Reload),
            Command::Restart { worker } => Self::Verb(Verb::Restart { worker }),
            Command::Drain { worker } => Self::Verb(Verb::Drain { worker }),
            Command::Scale { workers } => Self::Verb(Verb::Scale { workers }),
            Command::Refork => Self::Verb(Verb::Refork),
            Command::Upgrade => Self::Verb(Verb::Upgrade),
            Command::LogsReopen => Self::Verb(Verb::ReopenLogs),
            Command::LogLevel { level } => Self::Verb(Verb::LogLevel { level }),
            Command::Stop => Self::Verb(Verb::Stop),
        }
    }
}

/// The command line as data, from which the manual page and the completions are made.
#[must_use]
pub fn definition() -> clap::Command {
    // Who reads about one command wants to know that, too.
    CommandLine::command().mut_subcommands(|subcommand| subcommand.after_help(AFTER_HELP))
}

/// Runs the command and returns the status to exit with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let matches = definition().try_get_matches_from(arguments);
    let command_line = match matches.and_then(|matches| CommandLine::from_arg_matches(&matches)) {
        Ok(command_line) => command_line,
        Err(error) => {
            // A closed standard output is no reason to fail.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => DONE,
                _ => USAGE,
            };
        }
    };
    let patience = command_line.timeout.map(|seconds| Duration::from_secs(seconds.into()));
    let result = find_server(command_line.socket).and_then(|socket| match command_line.command.into() {
        Ask::Status { json, workers_only } => status(&socket, json, workers_only, patience),
        Ask::Watch { json, interval } => watch::run(&socket, json, interval, patience),
        Ask::Top { interval } => top::run(&socket, interval, patience),
        Ask::Config { json } => config(&socket, json, patience),
        Ask::Verb(order) => give(&socket, order, patience),
    });
    match result {
        Ok(text) => {
            // A pager that was closed has seen enough.
            let _ = write!(std::io::stdout(), "{text}");
            DONE
        }
        Err((text, status)) => {
            log::tell(&text);
            status
        }
    }
}

/// A number of seconds, fractions included.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let bounded = seconds.filter(|seconds| (LEAST_INTERVAL..=MOST_INTERVAL).contains(seconds));
    bounded.ok_or_else(|| "takes a number of seconds from 0.1 to 86400".to_owned())
}

/// Something that does not go wrong unless a computer is broken.
pub(super) fn shown(error: &dyn std::fmt::Display) -> Failed {
    (error.to_string(), FAILED)
}

fn find_server(asked: Option<PathBuf>) -> Result<PathBuf, Failed> {
    if let Some(socket) = asked {
        return Ok(socket);
    }
    let directory = path::directory();
    let mut found = path::live_sockets(&directory);
    match (found.pop(), found.is_empty()) {
        (None, _) => {
            let text =
                format!("No running server has a control socket in {}; --socket names another", directory.display());
            Err((text, NO_SERVER))
        }
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            let list: Vec<String> = found.iter().map(|path| format!("  --socket {}", path.display())).collect();
            Err((format!("Several servers run; say which one is meant:\n{}", list.join("\n")), USAGE))
        }
    }
}

fn ask(socket: &Path, method: &Method, path: &str, patience: Option<Duration>) -> Result<Bytes, Failed> {
    client::ask(socket, method, path, patience).map_err(|failure| match failure {
        Failure::Unreachable(text) => (text, NO_SERVER),
        Failure::BadAnswer(text) => (text, FAILED),
    })
}

fn status(socket: &Path, json: bool, workers_only: bool, patience: Option<Duration>) -> Result<String, Failed> {
    let status = fetch_status(socket, patience)?;
    let as_json = |text: serde_json::Result<String>| match text {
        Ok(text) => Ok(text + "\n"),
        Err(error) => Err((error.to_string(), FAILED)),
    };
    match (json, workers_only) {
        (true, true) => as_json(serde_json::to_string_pretty(&status.workers)),
        (true, false) => as_json(serde_json::to_string_pretty(&status)),
        (false, true) => Ok(table::workers(&status.workers)),
        (false, false) => Ok(table::render(&status)),
    }
}

/// Asks a server how it is.
pub(super) fn fetch_status(socket: &Path, patience: Option<Duration>) -> Result<Status, Failed> {
    let body = ask(socket, &Method::GET, STATUS_PATH, patience.or(Some(PATIENCE)))?;
    serde_json::from_slice(&body).map_err(|error| (format!("The server's answer is not understood: {error}"), FAILED))
}

fn config(socket: &Path, json: bool, patience: Option<Duration>) -> Result<String, Failed> {
    let body = ask(socket, &Method::GET, CONFIG_PATH, patience.or(Some(PATIENCE)))?;
    let misunderstood = |error: serde_json::Error| (format!("The server's answer is not understood: {error}"), FAILED);
    let options: Vec<Effective> = serde_json::from_slice(&body).map_err(misunderstood)?;
    if json {
        return serde_json::to_string_pretty(&options).map(|text| text + "\n").map_err(misunderstood);
    }
    Ok(options.iter().map(|option| format!("{option}\n")).collect())
}

fn give(socket: &Path, order: Verb, patience: Option<Duration>) -> Result<String, Failed> {
    let started = Instant::now();
    let body = ask(socket, &Method::POST, &order.path(), patience)?;
    if order == Verb::Stop {
        // The server closes its control socket when it is gone, and not before.
        while crate::sockets::is_live(socket) {
            if patience.is_some_and(|patience| started.elapsed() > patience) {
                return Err(("The server is stopping, but has not stopped yet".to_owned(), FAILED));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        return Ok("The server has stopped\n".to_owned());
    }
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(format!("{}\n", told["message"].as_str().unwrap_or("Done")))
}
