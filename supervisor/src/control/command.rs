//! The `pagictl` command.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use super::client::{self, Failure};
use super::service::STATUS_PATH;
use super::status::Status;
use super::{path, table};
use crate::log;

/// Done.
const DONE: i32 = 0;
/// The server did not do what was asked.
const FAILED: i32 = 1;
/// The command line is wrong, or it does not say which server is meant.
const USAGE: i32 = 2;
/// There is no server.
const NO_SERVER: i32 = 3;

const AFTER_HELP: &str = "\
Exit status:
  0  done
  1  the server did not answer as it should
  2  the command line is wrong, or several servers run and --socket is missing
  3  no running server was found";

#[derive(Debug, Parser)]
#[command(name = "pagictl", version, about = "Asks a running pagi-server", after_help = AFTER_HELP)]
struct CommandLine {
    /// Control socket of the server [default: the only one in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/pagi, /run/pagi or
    /// /tmp/pagi-UID]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the server and its workers
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command and returns the status to exit with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let command_line = match CommandLine::try_parse_from(arguments) {
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
    let result = find_server(command_line.socket).and_then(|socket| match command_line.command {
        Command::Status { json } => status(&socket, json),
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

fn find_server(asked: Option<PathBuf>) -> Result<PathBuf, (String, i32)> {
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

fn status(socket: &std::path::Path, json: bool) -> Result<String, (String, i32)> {
    let body = client::get(socket, STATUS_PATH).map_err(|failure| match failure {
        Failure::Unreachable(text) => (text, NO_SERVER),
        Failure::BadAnswer(text) => (text, FAILED),
    })?;
    let status: Status = serde_json::from_slice(&body)
        .map_err(|error| (format!("The server's answer is not understood: {error}"), FAILED))?;
    if json {
        let text = serde_json::to_string_pretty(&status).map_err(|error| (error.to_string(), FAILED))?;
        return Ok(text + "\n");
    }
    Ok(table::render(&status))
}
