//! The one interpreter of this process.

use std::os::fd::RawFd;

use super::ffi;
use super::value::{Outcome, Scalar};

/// Starts Perl with an empty program. To be called once per process.
pub(crate) fn start() -> Result<(), String> {
    // SAFETY: called once, by `Interpreter::start`, on the thread that will own all Perl values.
    if unsafe { ffi::pagi_perl_start() } == 0 { Ok(()) } else { Err("cannot start the Perl interpreter".to_owned()) }
}

/// Runs END blocks and global destruction; the exit status comes back. Nothing may call Perl afterwards.
pub(crate) fn end() -> i32 {
    // SAFETY: one thread; the caller is the end of the process and touches no Perl value any more.
    unsafe { ffi::pagi_perl_end() }
}

/// The status given to `exit`.
pub(crate) fn exit_status() -> i32 {
    // SAFETY: one thread.
    unsafe { ffi::pagi_exit_status() }
}

/// Whether a destructor called `exit` where it could not be reported at once.
pub(crate) fn exit_is_pending() -> bool {
    // SAFETY: one thread.
    unsafe { ffi::pagi_exit_is_pending() != 0 }
}

/// In a forked child.
pub(crate) fn after_fork() {
    // SAFETY: one thread, which is the one that forked.
    unsafe { ffi::pagi_perl_after_fork() }
}

/// Whether this process was forked by application code.
pub(crate) fn is_forked_child() -> bool {
    // SAFETY: one thread; an integer is read.
    unsafe { ffi::pagi_is_forked_child() != 0 }
}

/// Frees Perl temporaries made since the last call of this, in the current turn of the loop (EMB-4). No [`View`] into a
/// temporary may be alive.
///
/// [`View`]: super::value::View
pub(crate) fn free_temporaries() {
    // SAFETY: one thread; the loop calls this between two calls into Perl, when it holds no borrowed value.
    unsafe { ffi::pagi_free_temporaries() }
}

/// Runs pending `%SIG` handlers.
pub(crate) fn dispatch_signals() -> Outcome {
    let mut error = std::ptr::null_mut();
    // SAFETY: one thread, no longjmp.
    let outcome = unsafe { ffi::pagi_dispatch_signals(&raw mut error) };
    Outcome::from_raw(outcome, error)
}

/// The descriptor that Perl's signal handler writes to, so that the loop wakes up.
pub(crate) fn set_wake_fd(fd: RawFd) {
    // SAFETY: an integer store; the handler only calls write(2) on it.
    unsafe { ffi::pagi_set_wake_fd(fd) }
}

/// Remembers which signals the process handles itself, now that all its handlers are in place.
pub(crate) fn know_signals() {
    // SAFETY: one thread; reads signal actions.
    unsafe { ffi::pagi_know_signals() }
}

/// Handles again what Perl code has left at the system's default: the end of `local $SIG{TERM}` does.
pub(crate) fn repair_signals() {
    // SAFETY: one thread; sets signal actions to what they were when [`know_signals`] was called.
    unsafe { ffi::pagi_repair_signals() }
}

/// `require FILE`.
pub(crate) fn require_file(path: &Scalar) -> Outcome {
    let mut result = std::ptr::null_mut();
    // SAFETY: one thread, no longjmp.
    let outcome = unsafe { ffi::pagi_require_file(path.as_ptr(), &raw mut result) };
    Outcome::from_raw(outcome, result)
}
