//! Where control sockets are.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Gid, Pid, Uid, geteuid};

use crate::sockets::is_live;

/// The socket of the first server of a user.
const NAME: &str = "control.sock";

/// What decides about the directory.
struct Surroundings {
    runtime_directory: Option<String>,
    xdg_runtime_dir: Option<String>,
    uid: Uid,
}

impl Surroundings {
    fn here() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| value.starts_with('/'));
        Self {
            runtime_directory: variable("RUNTIME_DIRECTORY"),
            xdg_runtime_dir: variable("XDG_RUNTIME_DIR"),
            uid: geteuid(),
        }
    }

    fn directory(&self) -> PathBuf {
        match (&self.runtime_directory, &self.xdg_runtime_dir) {
            // systemd may name several, separated by colons.
            (Some(directories), _) => PathBuf::from(directories.split(':').next().unwrap_or_default()),
            (None, Some(directory)) => Path::new(directory).join("pagi"),
            (None, None) if self.uid.is_root() => PathBuf::from("/run/pagi"),
            (None, None) => PathBuf::from(format!("/tmp/pagi-{}", self.uid)),
        }
    }
}

/// The directory in which this user's servers put their sockets.
#[must_use]
pub fn directory() -> PathBuf {
    Surroundings::here().directory()
}

/// The path for a server that was not told one. If a running server has the usual one, it is `control-PID.sock`.
///
/// # Errors
/// When the directory cannot be made, or belongs to somebody else.
pub fn default_for_server() -> Result<PathBuf, String> {
    let directory = directory();
    prepare(&directory, geteuid())?;
    remove_orphans(&directory);
    let usual = directory.join(NAME);
    let taken = fs::symlink_metadata(&usual).is_ok() && is_live(&usual);
    Ok(if taken { directory.join(format!("control-{}.sock", std::process::id())) } else { usual })
}

/// Removes `control-PID.sock` files whose process does not exist any more.
fn remove_orphans(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let pid = name.strip_prefix("control-").and_then(|rest| rest.strip_suffix(".sock")?.parse().ok());
        if let Some(pid) = pid.map(Pid::from_raw)
            && kill(pid, None) == Err(Errno::ESRCH)
            // The successor of an upgraded server keeps the name.
            && !is_live(&path)
        {
            // Another server may have been faster.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Lets a group pass through a directory of ours that is closed to others.
pub(super) fn open_to(directory: &Path, group: Gid) -> io::Result<()> {
    let metadata = fs::symlink_metadata(directory)?;
    let (mode, is_ours) = (metadata.mode() & 0o777, metadata.uid() == geteuid().as_raw());
    if !is_ours || mode & 0o001 != 0 || (metadata.gid() == group.as_raw() && mode & 0o010 != 0) {
        return Ok(());
    }
    super::give(directory, group)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(mode & 0o700 | 0o010))
}

fn prepare(directory: &Path, uid: Uid) -> Result<(), String> {
    let explain = |reason: &dyn std::fmt::Display| format!("{}: {reason}", directory.display());
    // Below a directory that everybody can write to, an existing one may be a trap: it must be ours, and no link.
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(explain(&error)),
    }
    let metadata = fs::symlink_metadata(directory).map_err(|error| explain(&error))?;
    if !metadata.is_dir() {
        return Err(explain(&"not a directory"));
    }
    if metadata.uid() != uid.as_raw() && metadata.uid() != 0 {
        return Err(explain(&"belongs to somebody else"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(explain(&"others can write to it"));
    }
    Ok(())
}

/// Sockets in a directory that a server listens on.
#[must_use]
pub fn live_sockets(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("control") && name.ends_with(".sock")
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| is_ours(path) && is_live(path))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn directory(runtime: Option<&str>, xdg: Option<&str>, uid: u32) -> PathBuf {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let surroundings =
            Surroundings { runtime_directory: owned(runtime), xdg_runtime_dir: owned(xdg), uid: Uid::from_raw(uid) };
        surroundings.directory()
    }

    #[test]
    fn the_first_that_applies() {
        assert_eq!(directory(Some("/run/a:/run/b"), Some("/run/user/1"), 0), Path::new("/run/a"));
        assert_eq!(directory(None, Some("/run/user/1"), 0), Path::new("/run/user/1/pagi"));
        assert_eq!(directory(None, None, 0), Path::new("/run/pagi"));
        assert_eq!(directory(None, None, 1000), Path::new("/tmp/pagi-1000"));
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("pagi");
        prepare(&directory, geteuid()).unwrap();
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        prepare(&directory, geteuid()).expect("an existing one is fine");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(prepare(&directory, geteuid()).unwrap_err().ends_with("others can write to it"));
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&directory, &link).unwrap();
        assert!(prepare(&link, geteuid()).unwrap_err().ends_with("not a directory"));
    }

    #[test]
    fn sockets_of_dead_processes_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = directory.path().join(format!("control-{}.sock", child.id()));
        let kept = [directory.path().join(format!("control-{}.sock", std::process::id())), directory.path().join("x")];
        for path in kept.iter().chain([&dead]) {
            fs::write(path, "").unwrap();
        }
        remove_orphans(directory.path());
        assert!(!dead.exists());
        assert!(kept.iter().all(|path| path.exists()));
    }

    #[test]
    fn only_live_control_sockets_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let _one = UnixListener::bind(path("control.sock")).unwrap();
        let _two = UnixListener::bind(path("control-12.sock")).unwrap();
        let _other = UnixListener::bind(path("application.sock")).unwrap();
        drop(UnixListener::bind(path("control-9.sock")).unwrap());
        assert_eq!(live_sockets(directory.path()), [path("control-12.sock"), path("control.sock")]);
    }
}
