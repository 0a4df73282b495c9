//! Which line of Perl a call was at while it took too long, see `shim/slow.c`.

use std::ffi::{CStr, c_char, c_int, c_ulong};
use std::io;
use std::time::Duration;

unsafe extern "C" {
    fn pagi_slow_start(nanoseconds: u64) -> c_int;
    fn pagi_slow_begin();
    fn pagi_slow_nested();
    fn pagi_slow_end(took: u64, line: *mut c_ulong) -> *const c_char;
}

/// From now on calls that take longer than this can be explained. By the thread that runs Perl, once in each worker.
///
/// # Errors
/// When the system gives no timer for it.
pub(crate) fn start(threshold: Duration) -> io::Result<()> {
    // SAFETY: Perl was started on this thread. The signal handler that is installed only reads the interpreter's
    // structures of this very thread and writes variables of the shim.
    match unsafe { pagi_slow_start(nanoseconds(threshold)) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// A call into the application begins.
pub(crate) fn begin() {
    // SAFETY: one thread; plain stores.
    unsafe { pagi_slow_begin() }
}

/// A nested turn begins.
pub(crate) fn nested() {
    // SAFETY: one thread; plain stores.
    unsafe { pagi_slow_nested() }
}

/// The call has ended after this time: file and line to name, if any is known.
pub(crate) fn end(took: Duration) -> Option<(String, u64)> {
    let mut line: c_ulong = 0;
    // SAFETY: one thread; what comes back is null or a terminated buffer of the shim, which is copied before anything
    // else can write to it.
    let file = unsafe {
        let file = pagi_slow_end(nanoseconds(took), &raw mut line);
        if file.is_null() { None } else { Some(CStr::from_ptr(file).to_string_lossy().into_owned()) }
    };
    file.map(|file| (file, line))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
