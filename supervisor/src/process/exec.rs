//! Starting our own binary again: the child shares nothing but the descriptors named here, so that it does not matter
//! what the starting process runs.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};

use super::descriptors::keep_over_exec;

/// Starts `/proc/self/exe` with these arguments. It is the binary that is running now, also after a newer one was
/// installed under its name. The child gets the descriptors under their present numbers and dies with this process.
///
/// # Errors
/// Those of fork(2) and execve(2).
pub fn start_self(title: &str, arguments: &[&str], descriptors: &[BorrowedFd<'_>]) -> io::Result<Pid> {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let parent = getpid();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(title).args(arguments);
    let prepare = move || {
        numbers.iter().try_for_each(|&number| keep_over_exec(number))?;
        die_with_parent(parent)
    };
    // SAFETY: `prepare` only makes fcntl, prctl and getppid calls, which are async-signal-safe; it allocates nothing.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn()?;
    Ok(Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?))
}

/// Asks the kernel for SIGKILL when the parent ends. To be repeated after every fork, which clears the request.
///
/// # Errors
/// When the parent has gone already.
pub fn die_with_parent(parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended before the request was made.
    if getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(nix::libc::ESRCH)) }
}
