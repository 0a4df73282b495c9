//! `pagictl status --watch`: the status again and again, until the server is gone or the user has seen enough.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use super::command::{Failed, NO_SERVER, fetch_status, shown};
use super::rates::{Rates, scaled};
use super::status::Status;

/// Clears a terminal and goes to its upper left corner.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Prints until the server does not answer any more, which is the error.
pub(super) fn run(socket: &Path, json: bool, interval: Duration, patience: Option<Duration>) -> Result<String, Failed> {
    let mut previous: Option<Status> = None;
    let is_terminal = std::io::stdout().is_terminal();
    loop {
        let status = match fetch_status(socket, patience) {
            // It was there.
            Err((text, NO_SERVER)) if previous.is_some() => {
                return Err((format!("The server is gone: {text}"), NO_SERVER));
            }
            other => other?,
        };
        let text = if json { compact(&status)? } else { page(&status, previous.as_ref()) };
        let clear = if is_terminal && !json { CLEAR } else { "" };
        let mut stdout = std::io::stdout();
        if write!(stdout, "{clear}{text}").and_then(|()| stdout.flush()).is_err() {
            // A pager that was closed has seen enough.
            return Ok(String::new());
        }
        previous = Some(status);
        std::thread::sleep(interval);
    }
}

/// An object on one line, so that programs can read line by line.
fn compact(status: &Status) -> Result<String, Failed> {
    serde_json::to_string(status).map(|text| text + "\n").map_err(|error| shown(&error))
}

fn page(status: &Status, previous: Option<&Status>) -> String {
    let rates = previous.and_then(|previous| Rates::between(previous, status));
    let line = rates.map_or_else(String::new, |rates| {
        format!(
            "{} requests/s, {} errors/s, {}B/s in, {}B/s out\n",
            scaled(rates.requests),
            scaled(rates.errors),
            scaled(rates.bytes_in),
            scaled(rates.bytes_out)
        )
    });
    format!("{}{line}\n", super::table::render(status))
}
