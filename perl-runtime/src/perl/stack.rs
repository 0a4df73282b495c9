//! A signal that makes a process say where its Perl is stuck, see `shim/stack.c`.

use std::io;

unsafe extern "C" {
    fn pagi_install_stack_signal(signo: std::ffi::c_int) -> std::ffi::c_int;
}

/// From now on this signal makes the process write the file and line of the Perl statement it is at, and those of its
/// callers, to standard error. Works while Perl loops or blocks in C. A signal sent by the parent process holds the
/// process for up to five seconds, because the parent asks before it kills. To be called by the thread that runs Perl,
/// after it was started and after each fork.
///
/// # Errors
/// Those of sigaction(2).
pub fn install(signal: i32) -> io::Result<()> {
    // SAFETY: any number is accepted; a bad one is an error. Perl was started on this thread (one thread), and the
    // handler only reads its structures and calls async-signal-safe functions.
    match unsafe { pagi_install_stack_signal(signal) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
