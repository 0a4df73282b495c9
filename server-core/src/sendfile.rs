//! Sending part of a file over a socket without its bytes passing through memory of ours.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::{Errno, ReadWriteFlags};

/// Fewer bytes are copied: reading them is cheaper than a packet of their own.
pub(crate) const LEAST: u64 = 16 * 1024;

/// Most bytes of one call, and how far ahead the page cache is looked at.
pub(crate) const MOST: u64 = 256 * 1024;

/// Whether the last byte of a part is in memory. Files are read ahead in order, so what stands before it is there, too, in
/// all but rare cases.
pub(crate) fn is_cached(file: &File, offset: u64, length: u64) -> bool {
    let mut byte = [0];
    let last = offset + length.saturating_sub(1);
    let read = rustix::io::preadv2(file, &mut [io::IoSliceMut::new(&mut byte)], last, ReadWriteFlags::NOWAIT);
    read == Ok(1)
}

/// Sends; the number of bytes that the socket took, 0 when the file has ended.
///
/// # Errors
/// Those of the socket and of the file.
pub(crate) fn send(socket: impl AsFd, file: &File, offset: u64, length: u64) -> io::Result<usize> {
    let mut offset = offset;
    let length = usize::try_from(length.min(MOST)).unwrap_or(usize::MAX);
    let sent = without_signal(|| rustix::fs::sendfile(socket, file, Some(&mut offset), length))?;
    Ok(sent?)
}

/// A socket whose peer has gone raises SIGPIPE here, which no flag prevents; an application may have a handler for its own
/// pipes, or have chosen to die of it. The signal is held back, and taken away when it has come.
fn without_signal(call: impl FnOnce() -> Result<usize, Errno>) -> io::Result<Result<usize, Errno>> {
    let mut pipe = SigSet::empty();
    pipe.add(Signal::SIGPIPE);
    let before = pipe.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let outcome = call();
    if outcome == Err(Errno::PIPE) && !before.contains(Signal::SIGPIPE) {
        // Without waiting: where none has come, there is none to be taken.
        let pending = SignalFd::with_flags(&pipe, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        while let Ok(Some(_)) = pending.read_signal() {}
    }
    before.thread_set_mask()?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    #[test]
    fn a_part_of_a_file_arrives() {
        let path = std::env::temp_dir().join(format!("pagi-sendfile-{}", std::process::id()));
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let (one, mut other) = pair();
        assert!(is_cached(&file, 0, 10) && !is_cached(&file, 0, 11));
        assert_eq!(send(&one, &file, 2, 5).unwrap(), 5);
        assert_eq!(send(&one, &file, 10, 5).unwrap(), 0);
        drop(one);
        let mut text = String::new();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "23456");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn no_signal_comes_of_a_peer_that_has_gone() {
        let file = File::open("/proc/self/exe").unwrap();
        let (one, other) = pair();
        drop(other);
        let gone = (0..1000).find_map(|_| send(&one, &file, 0, 100_000).err()).expect("an error");
        assert!(matches!(gone.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{gone}");
        // Tests run with the signal ignored; blocked ones are kept all the same, and none was left behind.
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let pending = status.lines().find_map(|line| line.strip_prefix("SigPnd:")).unwrap().trim().to_owned();
        assert_eq!(u64::from_str_radix(&pending, 16), Ok(0), "on descriptor {}", one.as_raw_fd());
    }
}
