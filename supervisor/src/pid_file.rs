//! The PID file: locked while its owner lives, removed by its owner only (D-14).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Gid, Uid};

/// A PID file of ours. Dropping it removes it.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Locked as long as it is open.
    file: Flock<File>,
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
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)
            .map_err(|error| explain(&error))?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                let holder = if known { format!("process {}", holder.trim()) } else { "another process".to_owned() };
                return Err(explain(&format!("it belongs to {holder}, which is running")));
            }
            Err((_, error)) => return Err(explain(&error)),
        };
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(|error| explain(&error))?;
        Ok(Self { path: path.to_owned(), file, owner: std::process::id() })
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
