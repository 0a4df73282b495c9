//! Collecting child processes that ended.

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::event::Ending;

/// Collects one child that ended, if there is one. Any child: as a subreaper the master is also given the orphans of
/// its workers, and they would stay zombies for ever.
#[must_use]
pub fn collect() -> Option<(i32, Ending)> {
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) => return Some((pid.as_raw(), Ending::Exited(status))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => return Some((pid.as_raw(), Ending::Killed(signal as i32))),
            Err(nix::errno::Errno::EINTR) => {}
            // Stopped and continued children are not asked for.
            Ok(_) | Err(_) => return None,
        }
    }
}
