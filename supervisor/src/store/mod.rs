//! The store that the workers of a server share. It lives in the master, so it outlasts workers and reloads, and ends
//! with the server. Sessions are kept in it, and messages from one worker to the others pass through it.
//!
//! [`frame`] is what travels on the socket; [`shelf`] keeps entries and forgets them in time, [`channels`] knows who
//! listens to what; both are plain data, tested without processes. [`outbox`] is what one worker has not taken yet,
//! [`service`] connects these with the sockets. Workers learn from the environment ([`VARIABLE`]) where the store is;
//! the Perl side is `PAGI::Shared`.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::cli::StoreOptions;
use crate::process::environment;

pub mod channels;
pub mod frame;
pub mod outbox;
pub mod service;
pub mod shelf;

/// Tells Perl where the store is: `unix:@NAME` in the abstract namespace, or `memory:` in a server of one process. Then
/// `;entries=N;bytes=N;item=N`.
pub const VARIABLE: &str = "PAGI_SHARED_STORE";

/// The listening socket of the store.
pub struct Store {
    listener: UnixListener,
    limits: StoreOptions,
}

impl Store {
    /// Opens the store for workers that are started from now on. Before any thread starts.
    ///
    /// The socket has a name in the abstract namespace: no file that could be left behind, no directory that must be
    /// writable. Who connects is checked by user id, as it would be by the permissions of a file.
    ///
    /// # Errors
    /// When no socket can be had.
    pub fn open(limits: &StoreOptions) -> io::Result<Self> {
        // The inode number of a memory file is not used twice while the system runs, the process id is not at a time.
        let unique = nix::sys::stat::fstat(&memfd_create(c"pagi-store", MFdFlags::MFD_CLOEXEC)?)?.st_ino;
        let name = format!("pagi-store-{}-{unique}", std::process::id());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        listener.set_nonblocking(true)?;
        tell_perl(&format!("unix:@{name}"), limits);
        Ok(Self { listener, limits: limits.clone() })
    }

    /// Serves from now on; inside a tokio `LocalSet`.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub fn start(self) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener)?;
        service::start(listener, self.limits);
        Ok(())
    }
}

/// In a server of one process Perl keeps the entries itself, within the same limits.
pub fn keep_in_process(limits: &StoreOptions) {
    tell_perl("memory:", limits);
}

fn tell_perl(place: &str, limits: &StoreOptions) {
    let StoreOptions { store_entries, store_bytes, store_item_bytes, .. } = limits;
    let value = format!("{place};entries={store_entries};bytes={store_bytes};item={store_item_bytes}");
    environment::give(VARIABLE, &value);
}
