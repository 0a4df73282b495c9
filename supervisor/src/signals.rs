//! Which signals the product handles, and reading them inside a tokio runtime.

use std::io;

use nix::sys::signal::Signal;
use tokio::net::UnixStream;

use crate::process::signals;

/// Stop gracefully.
const STOP: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];
/// Those of them that a terminal sends to all processes at once.
const TERMINAL: [Signal; 2] = [Signal::SIGINT, Signal::SIGQUIT];
/// Signals with a meaning for a master that supervises; elsewhere, and until they have one, they must not kill (D-30).
const MANAGEMENT: [Signal; 4] = [Signal::SIGHUP, Signal::SIGUSR2, Signal::SIGTTIN, Signal::SIGTTOU];

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Stop, or stop faster.
    Stop,
    /// Reopen log files.
    ReopenLogs,
    /// Load the application anew.
    Reload,
    /// One worker more.
    More,
    /// One worker fewer.
    Fewer,
    /// Look for children that ended.
    Reap,
    /// Start the installed binary in place of this one.
    Upgrade,
    /// Nothing.
    Nothing,
}

fn request(number: u8) -> Request {
    match Signal::try_from(i32::from(number)) {
        Ok(signal) if STOP.contains(&signal) => Request::Stop,
        Ok(Signal::SIGUSR1) => Request::ReopenLogs,
        Ok(Signal::SIGCHLD) => Request::Reap,
        Ok(Signal::SIGHUP) => Request::Reload,
        Ok(Signal::SIGTTIN) => Request::More,
        Ok(Signal::SIGTTOU) => Request::Fewer,
        Ok(Signal::SIGUSR2) => Request::Upgrade,
        _ => Request::Nothing,
    }
}

/// Keeps signals that are for a master from killing anybody else, and SIGPIPE from killing at all. From the start of
/// a process on.
///
/// # Errors
/// Those of sigaction(2).
pub fn install_management() -> io::Result<()> {
    // A handler instead of SIG_IGN for SIGPIPE: it is not inherited by programs that the application runs, and they
    // count on the default.
    let others = [Signal::SIGUSR1, Signal::SIGPIPE];
    signals::install(&[&MANAGEMENT[..], &others[..]].concat())
}

/// Handles the signals that stop a server. Not before the application is loaded, unless somebody else looks after the
/// process: a user who interrupts an endless load wants it to end.
///
/// # Errors
/// Those of sigaction(2).
pub fn install_stop() -> io::Result<()> {
    signals::install(&STOP)
}

/// Handles SIGCHLD: in the master alone, since everywhere else children are the application's.
///
/// # Errors
/// Those of sigaction(2).
pub fn install_children() -> io::Result<()> {
    signals::install(&[Signal::SIGCHLD])
}

/// Keeps signals for [`Signals`] from now on; until then they are dropped.
///
/// # Errors
/// When no socket can be had.
pub fn keep() -> io::Result<std::os::unix::net::UnixStream> {
    signals::listen()
}

/// Signals of this process.
pub struct Signals {
    stream: UnixStream,
    deaf_to_terminal: bool,
}

impl Signals {
    /// Reads the signals that were [kept](keep); inside a tokio runtime.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub fn read(kept: std::os::unix::net::UnixStream) -> io::Result<Self> {
        Ok(Self { stream: UnixStream::from_std(kept)?, deaf_to_terminal: false })
    }

    /// The same for a process that others still need when a terminal stops all of them: it waits for its order (WP-16).
    #[must_use]
    pub fn deaf_to_terminal(self, deaf: bool) -> Self {
        Self { deaf_to_terminal: deaf, ..self }
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Request {
        loop {
            let mut byte = [0];
            // The other end is never closed, so that an error cannot last.
            if self.stream.readable().await.is_ok() && matches!(self.stream.try_read(&mut byte), Ok(1)) {
                let from_terminal = Signal::try_from(i32::from(byte[0])).is_ok_and(|signal| TERMINAL.contains(&signal));
                return if from_terminal && self.deaf_to_terminal { Request::Nothing } else { request(byte[0]) };
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Why a server without workers does not do what is asked.
pub const NEEDS_WORKERS: &str =
    "a server without worker processes has nobody to replace; start it with --workers 2 or more, or restart it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_its_meaning() {
        let table = [
            (Signal::SIGTERM, Request::Stop),
            (Signal::SIGINT, Request::Stop),
            (Signal::SIGQUIT, Request::Stop),
            (Signal::SIGUSR1, Request::ReopenLogs),
            (Signal::SIGCHLD, Request::Reap),
            (Signal::SIGHUP, Request::Reload),
            (Signal::SIGUSR2, Request::Upgrade),
            (Signal::SIGTTIN, Request::More),
            (Signal::SIGTTOU, Request::Fewer),
            (Signal::SIGPIPE, Request::Nothing),
        ];
        for (signal, expected) in table {
            assert_eq!(request(signal as u8), expected, "{signal}");
        }
    }
}
