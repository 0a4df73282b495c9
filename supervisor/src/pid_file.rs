//! The PID file: locked while its owner lives, removed by its owner only (D-14).

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A PID file of ours. Dropping it removes it.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Locked as long as it is open anywhere: never unlocked, because a successor shares the lock.
    file: File,
    owner: u32,
}

impl PidFile {
    /// Writes our process id.
    ///
    /// # Errors
    /// `Cannot write PID file PATH: REASON`, also when a running server holds it.
    pub fn create(path: &Path) -> Result<Self, String> {
        let explain = |reason: &dyn std::fmt::Display| format!("Cannot write PID file {}: {reason}", path.display());
        // A link planted in a directory that others can write to must not make us truncate what it points to.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)
            .map_err(|error| explain(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                let holder = if known { format!("process {}", holder.trim()) } else { "another process".to_owned() };
                return Err(explain(&format!("it belongs to {holder}, which is running")));
            }
            Err(error) => return Err(explain(&error)),
        }
        write_id(&file).map_err(|error| explain(&error))?;
        Ok(Self { path: path.to_owned(), file, owner: std::process::id() })
    }

    /// Continues the PID file of a server that this one is to replace, with its lock. It says and does nothing until
    /// [`claim`](Self::claim).
    ///
    /// # Errors
    /// When the file cannot be locked, which means that it is not the one the other server holds.
    pub fn inherit(file: File, path: &Path) -> Result<Self, String> {
        // The lock came with the descriptor: asking again changes nothing.
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| format!("Cannot take over PID file {}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, owner: 0 })
    }

    /// Writes our process id into an inherited file.
    pub fn claim(&mut self) {
        self.owner = std::process::id();
        if let Err(error) = write_id(&self.file) {
            tracing::error!("Cannot write PID file {}: {error}", self.path.display());
        }
    }

    /// Leaves the file to a server that has inherited it.
    pub fn release(&mut self) {
        self.owner = 0;
    }

    /// The file, for handing it to another process.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the user that the server will run as empty or remove the file.
    ///
    /// # Errors
    /// When the owner cannot be changed.
    pub fn give_to(&self, uid: Option<Uid>, gid: Gid) -> Result<(), String> {
        nix::unistd::fchown(self.file.as_fd(), uid, Some(gid))
            .map_err(|error| format!("Cannot change the owner of PID file {}: {error}", self.path.display()))
    }

    fn is_ours(&self) -> bool {
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        match (self.file.metadata(), std::fs::symlink_metadata(&self.path)) {
            (Ok(held), Ok(found)) => identity(held) == identity(found),
            _ => false,
        }
    }
}

fn write_id(file: &File) -> io::Result<()> {
    // In one write and cut afterwards: whoever reads meanwhile finds a number, never an empty file. The spaces cover a
    // longer number that stood there.
    let text = format!(
        "{}
",
        std::process::id()
    );
    file.write_all_at(format!("{text:<12}").as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.owner != std::process::id() || !self.is_ours() {
            return;
        }
        // Without the right to remove it (privileges were dropped) an empty file at least names no process.
        if std::fs::remove_file(&self.path).is_err() && self.file.set_len(0).is_err() {
            tracing::warn!("Cannot remove PID file {}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn written_locked_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.pid");
        std::fs::write(&path, "stale and much longer than a number\n").unwrap();
        let ours = PidFile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let error = PidFile::create(&path).unwrap_err();
        let expected = format!("it belongs to process {}, which is running", std::process::id());
        assert!(error.starts_with("Cannot write PID file ") && error.ends_with(&expected), "{error}");
        drop(ours);
        assert!(!path.exists());
    }

    #[test]
    fn not_writable_for_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.pid");
        let _ours = PidFile::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o022, 0);
    }

    #[test]
    fn an_inherited_file_changes_hands_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.pid");
        let mut old = PidFile::create(&path).unwrap();
        let content = || std::fs::read_to_string(&path).unwrap();
        let before = content();
        let copy = || File::from(old.descriptor().try_clone_to_owned().unwrap());
        drop(PidFile::inherit(copy(), &path).unwrap());
        assert_eq!(content(), before, "a successor that failed leaves no trace");
        let error = PidFile::create(&path).unwrap_err();
        assert!(error.contains("which is running"), "and the lock stays: {error}");
        let mut new = PidFile::inherit(copy(), &path).unwrap();
        std::fs::write(&path, "another").unwrap();
        new.claim();
        old.release();
        drop(old);
        assert_eq!(content(), before);
        drop(new);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_replaced_ours_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.pid");
        let ours = PidFile::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "4711\n").unwrap();
        drop(ours);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "4711\n");
    }

    #[test]
    fn links_and_missing_directories_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("link.pid");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(PidFile::create(&path).unwrap_err().starts_with("Cannot write PID file "));
        let error = PidFile::create(Path::new("/nonexistent/x.pid")).unwrap_err();
        assert!(error.starts_with("Cannot write PID file /nonexistent/x.pid: No such file"), "{error}");
    }
}
