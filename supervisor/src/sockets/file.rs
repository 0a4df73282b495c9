//! The file of a Unix socket, which is removed by the server that owns it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A socket file we made, recognised by its inode: if somebody replaced it since, it is not ours to remove.
#[derive(Debug)]
pub(super) struct SocketFile {
    pub(super) path: PathBuf,
    identity: (u64, u64),
    /// A process forked from the owner must not remove the file; 0 is another server.
    owner: u32,
}

impl SocketFile {
    pub(super) fn adopt(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), identity, owner: std::process::id() })
    }

    /// A file that another server still owns; `None` when it is gone.
    pub(super) fn expect(path: &Path) -> Option<Self> {
        let mut file = Self::adopt(path).ok()?;
        file.owner = 0;
        Some(file)
    }

    /// Makes it our own: its server is gone, or has let go of it.
    pub(super) fn claim(&mut self) {
        self.owner = std::process::id();
    }

    /// Leaves it to another server.
    pub(super) fn release(&mut self) {
        self.owner = 0;
    }

    /// Whether this process removes it.
    pub(super) fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("Cannot remove socket {}: {error}", self.path.display());
        }
    }
}
