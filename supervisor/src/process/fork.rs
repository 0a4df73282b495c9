//! Fork, in the two shapes the product needs.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, getpid, getppid, pipe2};

use super::exec::die_with_parent;
use super::signals;

/// Which process this is after a fork.
#[derive(Debug)]
pub enum Side {
    /// The process that asked, with the new one's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// A plain fork.
///
/// # Errors
/// Those of fork(2).
pub fn fork() -> io::Result<Side> {
    // SAFETY: called from processes with one thread only (the mold, and the command before it starts anything), so
    // that no lock can be held by a thread which does not exist in the child.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Side::Parent(child)),
        ForkResult::Child => {
            signals::claim();
            Ok(Side::Child)
        }
    }
}

/// Forks twice, so that the new process is adopted by `guardian`, the subreaper above us: a worker made by the mold
/// becomes the master's own child, which the master can wait for.
///
/// # Errors
/// Those of fork(2) and pipe(2); in the child, when the guardian has gone.
pub fn fork_into(guardian: Pid) -> io::Result<Side> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    match fork()? {
        Side::Parent(between) => {
            drop(writer);
            let pid = read_pid(reader);
            waitpid(between, None)?;
            pid.map(Side::Parent)
        }
        Side::Child => {
            drop(reader);
            let between = getpid();
            match fork() {
                Ok(Side::Parent(pid)) => {
                    let told = std::fs::File::from(writer).write_all(&pid.as_raw().to_ne_bytes());
                    leave(i32::from(told.is_err()))
                }
                Ok(Side::Child) => {
                    drop(writer);
                    await_adoption(between);
                    die_with_parent(guardian)?;
                    Ok(Side::Child)
                }
                Err(_) => leave(1),
            }
        }
    }
}

fn read_pid(reader: OwnedFd) -> io::Result<Pid> {
    let mut bytes = [0; 4];
    std::fs::File::from(reader).read_exact(&mut bytes)?;
    Ok(Pid::from_raw(i32::from_ne_bytes(bytes)))
}

/// Waits until the process in between has gone: a death signal asked for earlier would be sent when it goes.
fn await_adoption(between: Pid) {
    let give_up = Instant::now() + Duration::from_secs(5);
    while getppid() == between && Instant::now() < give_up {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Ends this process at once: no exit handlers, no destructors, nothing that belongs to the process forked from.
pub fn leave(status: i32) -> ! {
    // SAFETY: _exit takes any number and does not return.
    unsafe { nix::libc::_exit(status) }
}
