//! Descriptors that belong to Perl's file handles.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::eventfd::EventFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Borrows a descriptor number that Perl code has given us.
pub(crate) fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: only used for the length of one system call on an epoll set, which reports EBADF for a descriptor that
    // the application has closed; a negative number is never passed (the caller checks).
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// A descriptor of ours that the runtime watches.
pub(crate) trait Watched: AsRawFd {}
impl Watched for EventFd {}
impl Watched for OwnedFd {}

/// Has the runtime watch a descriptor. Must be called inside the runtime.
pub(crate) fn watched<T: Watched>(fd: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: the two types above own their descriptor, always return the same one, and close it only when dropped,
    // which is after `AsyncFd` has let go of it.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(Into::into)
}

nix::ioctl_read_bad!(output_queue, nix::libc::TIOCOUTQ, c_int);

/// Memory that the kernel holds for what was sent on a Unix socket and not read at its other end.
pub(crate) fn unread(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut held = 0;
    // SAFETY: the kernel writes one int, and `held` is one.
    unsafe { output_queue(socket.as_raw_fd(), &raw mut held) }?;
    usize::try_from(held).map_err(io::Error::other)
}
