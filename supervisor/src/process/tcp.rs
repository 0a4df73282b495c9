//! What the kernel knows of a TCP socket.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

/// Connections that wait in the accept queue of a listening socket, and how many may.
///
/// # Errors
/// Those of getsockopt(2): it is no TCP socket.
pub fn accept_queue(socket: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open as long as it is borrowed, and the kernel writes at most `length` bytes, the size of
    // the structure, to its beginning.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            std::ptr::from_mut(&mut length),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was all zeros before the kernel wrote to it, and integers are valid with any bits.
    let info = unsafe { info.assume_init() };
    // For a socket that listens these two hold the length of the queue and its limit (tcp_get_info in the kernel).
    Ok((info.tcpi_unacked, info.tcpi_sacked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn connections_that_wait_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (empty, limit) = accept_queue(listener.as_fd()).unwrap();
        assert_eq!(empty, 0);
        assert!(limit > 0);
        let clients: Vec<TcpStream> =
            (0..3).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
        assert_eq!(accept_queue(listener.as_fd()).unwrap(), (3, limit));
        listener.accept().unwrap();
        assert_eq!(accept_queue(listener.as_fd()).unwrap(), (2, limit));
        drop(clients);
        let other = std::os::unix::net::UnixDatagram::unbound().unwrap();
        accept_queue(other.as_fd()).expect_err("no TCP socket");
    }
}
