//! Process 1 of a container, for a server without workers. The kernel gives process 1 every orphan of the container to
//! collect, and it ignores signals that are not handled. A master does both. The process that runs an application cannot:
//! waiting for any child would take the application's own children from it. So there it becomes the child of a process
//! that does nothing else.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::{Pid, getpid, getppid};

use crate::children;
use crate::event::Ending;
use crate::process::fork::{Side, fork, leave};

/// The first process of a container or a machine.
const FIRST: Pid = Pid::from_raw(1);
/// Added to the number of the signal that ended a process, as shells do.
const SIGNALLED: i32 = 128;

/// In process 1, forks, and returns in the child only; anywhere else it does nothing. To be called before any thread is
/// started.
///
/// # Errors
/// Those of fork(2) and sigprocmask(2).
pub fn stand_apart() -> io::Result<()> {
    if getpid() != FIRST {
        return Ok(());
    }
    // Blocked before the fork: a child that ends at once must not be missed.
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before))?;
    match fork()? {
        Side::Child => Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?),
        Side::Parent(server) => leave(watch(server)),
    }
}

/// Whether the container ends when this process does, so that it can have no successor.
#[must_use]
pub fn is_end_of_container() -> bool {
    getpid() == FIRST || getppid() == FIRST && std::fs::read_link("/proc/1/exe").ok() == std::env::current_exe().ok()
}

/// Passes signals on and collects children until the server has ended; returns the status to exit with.
fn watch(server: Pid) -> i32 {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(status) = collect(server) {
                    return status;
                }
            }
            Ok(signal) => {
                // It may have ended a moment ago: then the next signal is SIGCHLD.
                let _ = kill(server, signal);
            }
            // A real-time signal has no name here, and nobody meant it for us.
            Err(_) => {}
        }
    }
}

/// Collects every child that has ended; the status to exit with when the server was one of them.
fn collect(server: Pid) -> Option<i32> {
    let mut status = None;
    while let Some((pid, ending)) = children::collect() {
        if pid == server.as_raw() {
            status = Some(match ending {
                Ending::Exited(status) => status,
                Ending::Killed(signal) => SIGNALLED + signal,
            });
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_nothing_happens() {
        let pid = getpid();
        stand_apart().unwrap();
        assert_eq!(getpid(), pid);
        assert!(!is_end_of_container());
    }
}
