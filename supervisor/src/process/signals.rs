//! Signals as bytes of a socket. One handler serves every process of the product: it writes the signal's number to
//! the socket of the process that installed it.
//!
//! A process forked by an application inherits the handler but is not meant: there the signal has its default effect,
//! as if we had never been here. That is why handlers are used even where a signal is ignored: unlike `SIG_IGN`, they
//! do not survive an `exec` and do not change what `system` runs.

use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::getpid;

/// The process that takes signals here.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Where it wants their numbers written, or -1 to drop them.
static OUTLET: AtomicI32 = AtomicI32::new(-1);

/// One bit for each signal that is handled: a second handler would note everything twice.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Makes the calling process the one that signals are for. To be called after each fork.
pub(super) fn claim() {
    OWNER.store(getpid().as_raw(), Ordering::SeqCst);
    let inherited = OUTLET.swap(-1, Ordering::SeqCst);
    if inherited >= 0 {
        // Of the process forked from; the handler has let go of it. An error would mean that it is closed.
        let _ = nix::unistd::close(inherited);
    }
}

/// Handles these signals from now on, dropping them until [`listen`] is called. Handlers live on in forked processes,
/// so it does no harm to ask again.
///
/// # Errors
/// Those of sigaction(2).
pub fn install(signals: &[Signal]) -> io::Result<()> {
    OWNER.store(getpid().as_raw(), Ordering::SeqCst);
    for &signal in signals {
        let number = signal as i32;
        let bit = 1 << number;
        if HANDLED.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
            continue;
        }
        // SAFETY: `note` makes getpid and send calls, keeps errno, allocates nothing and takes no lock.
        unsafe { signal_hook::low_level::register(number, move || note(number)) }?;
    }
    Ok(())
}

/// Returns the stream of signal numbers, one byte each, non-blocking.
///
/// # Errors
/// Those of socketpair(2).
pub fn listen() -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    // The writer stays open as long as the process: the handler may run at any time.
    OUTLET.store(writer.into_raw_fd(), Ordering::SeqCst);
    Ok(reader)
}

fn note(number: i32) {
    let errno = Errno::last_raw();
    if OWNER.load(Ordering::SeqCst) == getpid().as_raw() {
        let outlet = OUTLET.load(Ordering::SeqCst);
        if outlet >= 0 {
            // Never waits (a full socket holds hundreds of signals that nobody has looked at), and raises no SIGPIPE when the reader is gone: its handler would come here again.
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            let _ = send(outlet, &[number as u8], flags);
        }
    } else {
        // Cannot fail for the signals we install, and there is nobody to tell.
        let _ = signal_hook::low_level::emulate_default_handler(number);
    }
    Errno::set_raw(errno);
}
