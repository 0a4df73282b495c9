//! Memory shared by all processes of one server: an array of 64-bit atomics behind a descriptor.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Creates memory for so many words, all zero.
///
/// # Errors
/// Those of memfd_create(2) and ftruncate(2).
pub fn create(words: usize) -> io::Result<OwnedFd> {
    let memory = memfd_create(c"pagi-scoreboard", MFdFlags::MFD_CLOEXEC)?;
    let bytes = i64::try_from(words * size_of::<AtomicU64>()).map_err(io::Error::other)?;
    nix::unistd::ftruncate(memory.as_fd(), bytes)?;
    Ok(memory)
}

/// Maps such memory for the rest of the process's life; forked children see the same words.
///
/// # Errors
/// Those of mmap(2).
pub fn map(memory: &OwnedFd, words: usize) -> io::Result<&'static [AtomicU64]> {
    let mapping: MmapRaw = MmapOptions::new().len(words * size_of::<AtomicU64>()).map_raw(memory.as_raw_fd())?;
    let start = mapping.as_mut_ptr().cast::<AtomicU64>();
    // Never unmapped: the slice lives as long as the process.
    std::mem::forget(mapping);
    // SAFETY: the mapping is page-aligned, readable and writable, `words` words long and never unmapped or shrunk;
    // every bit pattern is a valid AtomicU64, and all processes access the words through atomics only.
    Ok(unsafe { std::slice::from_raw_parts(start, words) })
}
