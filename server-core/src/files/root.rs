//! A directory that files are served from and that no path leads out of: the kernel resolves names with
//! `RESOLVE_BENEATH`, so that neither `..` nor a symbolic link, nor a race with somebody who moves directories about,
//! reaches anything else.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::Errno;

/// How thoroughly a name is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// As far as the kernel knows it: never waits for a disk.
    Cached,
    /// To the end; to be done where waiting hurts nobody.
    Patient,
}

/// What was found under a name.
#[derive(Debug)]
pub enum Entry {
    /// A regular file, opened for reading.
    File(File, Stat),
    /// A directory, opened.
    Directory(OwnedFd),
}

/// Why nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// There is no such file, or it is none that may be served.
    Absent,
    /// The server may not read it.
    Denied,
    /// It has to be looked up patiently.
    Unknown,
    /// The system fails.
    Broken(Errno),
}

/// See the module documentation.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens the directory.
    ///
    /// # Errors
    /// `Cannot serve files of DIRECTORY: REASON`.
    pub fn open(path: &Path) -> Result<Self, String> {
        let explain = |error: Errno| {
            let reason = match error {
                Errno::NOSYS => "this needs openat2 of Linux 5.6".to_owned(),
                error => std::io::Error::from(error).to_string(),
            };
            format!("Cannot serve files of {}: {reason}", path.display())
        };
        let directory = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let root = Self { directory: directory.map_err(explain)?, path: path.to_owned() };
        match root.find("", Lookup::Patient) {
            Err(Miss::Broken(error)) => Err(explain(error)),
            Err(Miss::Denied) => Err(explain(Errno::ACCESS)),
            _ => Ok(root),
        }
    }

    /// The directory, as it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what has this relative name; the empty name is the directory itself.
    ///
    /// # Errors
    /// Why there is nothing to send.
    pub fn find(&self, name: &str, lookup: Lookup) -> Result<Entry, Miss> {
        // Without blocking: a FIFO without a writer would otherwise stop whoever opens it.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if lookup == Lookup::Cached {
            resolve |= ResolveFlags::CACHED;
        }
        let name = if name.is_empty() { "." } else { name };
        let opened =
            openat2(&self.directory, name, flags, Mode::empty(), resolve).map_err(|error| miss(error, lookup))?;
        let stat = fstat(&opened).map_err(Miss::Broken)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Entry::File(opened.into(), stat)),
            FileType::Directory => Ok(Entry::Directory(opened)),
            _ => Err(Miss::Absent),
        }
    }
}

fn miss(error: Errno, lookup: Lookup) -> Miss {
    match error {
        // Linux before 5.12 does not know the flag.
        Errno::AGAIN | Errno::INVAL if lookup == Lookup::Cached => Miss::Unknown,
        // A symbolic link, or a race, that leads out.
        Errno::XDEV | Errno::LOOP | Errno::AGAIN => Miss::Absent,
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::NXIO | Errno::NODEV => Miss::Absent,
        Errno::ACCESS | Errno::PERM => Miss::Denied,
        error => Miss::Broken(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_outside_is_found() {
        let outside = std::env::temp_dir().join(format!("pagi-root-{}", std::process::id()));
        let inside = outside.join("inside");
        std::fs::create_dir_all(inside.join("deep")).unwrap();
        std::fs::write(outside.join("secret"), "secret").unwrap();
        std::fs::write(inside.join("file"), "file").unwrap();
        symlink("../secret", inside.join("up")).unwrap();
        symlink(inside.join("file"), inside.join("absolute")).unwrap();
        symlink("..", inside.join("deep/parent")).unwrap();
        symlink("/proc/self/root", inside.join("magic")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        let root = Root::open(&inside).unwrap();
        let found = |name: &str| root.find(name, Lookup::Patient);
        for name in [
            "../secret",
            "up",
            "absolute",
            "deep/parent/../secret",
            "magic/etc/passwd",
            "loop",
            "none",
            "file/x",
            "/etc/passwd",
        ] {
            assert_eq!(found(name).err(), Some(Miss::Absent), "{name}");
        }
        assert!(matches!(found("file"), Ok(Entry::File(..))));
        assert!(matches!(found("deep/parent/file"), Ok(Entry::File(..))), "a link that stays inside is followed");
        assert!(matches!(found("deep"), Ok(Entry::Directory(_))));
        assert!(matches!(root.find("file", Lookup::Cached), Ok(Entry::File(..)) | Err(Miss::Unknown)));
        std::fs::remove_dir_all(outside).unwrap();
        assert!(Root::open(&inside).unwrap_err().starts_with("Cannot serve files of /"));
    }
}
