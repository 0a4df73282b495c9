//! Descriptors that come from another process: by number over `exec`, or attached to a message.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::stat::Mode;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Adopts a descriptor that the parent left open for us under this number, and closes it on the next `exec`.
///
/// # Errors
/// When no descriptor is open under the number. Each number may be adopted once.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: borrowed only for the check whether the number is open at all; fcntl of a closed number is an error.
    let probe = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(probe, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: the number is open, and it was put into our start-up bundle by the parent for exactly one owner:
    // nothing else in this process knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Gives the numbers of standard input, output and error to the null device where nothing is open under them. An application
/// may close its handles, and the next socket would become what everybody writes their complaints to.
///
/// # Errors
/// When there is no null device.
pub fn occupy_standard() -> io::Result<()> {
    loop {
        let null = open("/dev/null", OFlag::O_RDWR, Mode::empty())?;
        // The lowest free number.
        if null.as_raw_fd() > 2 {
            return Ok(());
        }
        let _stays_open = null.into_raw_fd();
    }
}

/// Copies a descriptor. The copy stays open when this process starts another program, so it should not live longer than
/// that takes.
///
/// # Errors
/// When descriptors have run out.
pub fn copy_for_exec(descriptor: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let number = fcntl(descriptor, FcntlArg::F_DUPFD(3))?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets a descriptor survive the coming `exec`. For use between fork and exec.
pub(super) fn keep_over_exec(number: RawFd) -> io::Result<()> {
    // SAFETY: the caller keeps the owner of the number alive until after the fork, and the child has a copy of it.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// Receives one message with the descriptors attached to it. A length of zero is the end of the stream.
///
/// # Errors
/// Those of recvmsg(2), `WouldBlock` included.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let mut descriptors = Vec::new();
    for item in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = item {
            // SAFETY: the kernel has just made these descriptors for us, and nobody else knows their numbers.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    Ok((message.bytes, descriptors))
}

/// Watches a descriptor for input; inside a tokio runtime.
///
/// # Errors
/// When the kernel cannot watch it.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd stays open and keeps its number until it is dropped, and the AsyncFd owns it from here on.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}
