//! How this command was started: what is needed to start it the same way again, as its own successor.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Program, arguments, environment and directory, as they were before anything changed them: the process title
/// overwrites the arguments, and an application may change the rest.
#[derive(Debug, Clone)]
pub struct Origin {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
}

impl Origin {
    /// Remembers them. At the beginning of the command, once the variables meant for this process alone are taken.
    ///
    /// # Errors
    /// When the current directory or our own program cannot be found out.
    pub fn capture(arguments: Vec<OsString>) -> io::Result<Self> {
        let directory = std::env::current_dir()?;
        let name = arguments.first().map_or(OsStr::new(""), OsString::as_os_str);
        let program = match find(name, &directory, std::env::var_os("PATH").as_deref()) {
            Some(program) => program,
            None => std::env::current_exe()?,
        };
        Ok(Self { program, arguments, environment: std::env::vars_os().collect(), directory })
    }

    /// The program's path, as it was given: whatever is there when the successor starts is what runs.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A command that starts the same again.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some((name, rest)) = self.arguments.split_first() {
            command.arg0(name).args(rest);
        }
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.directory);
        command
    }
}

/// Finds a program the way a shell does. Links are kept: a deployment moves them to the new version.
fn find(name: &OsStr, directory: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(directory.join(name)).filter(is_program);
    }
    std::env::split_paths(path?).map(|entry| directory.join(entry).join(name)).find(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_the_name_they_were_started_with() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("server-2");
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let link = directory.path().join("server");
        std::os::unix::fs::symlink(&program, &link).unwrap();
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("server"), "not a program").unwrap();
        let path = std::env::join_paths([other.path(), directory.path()]).unwrap();
        let find = |name: &str| super::find(name.as_ref(), directory.path(), Some(&path));
        assert_eq!(find("server"), Some(link.clone()), "by PATH, links kept");
        assert_eq!(find("./server"), Some(directory.path().join("./server")));
        assert_eq!(find(link.to_str().unwrap()), Some(link));
        assert_eq!((find("missing"), find("./missing")), (None, None));
    }

    #[test]
    fn a_command_repeats_itself() {
        let origin = Origin {
            program: "/bin/sh".into(),
            arguments: ["shell", "-c", "echo $0 $1 $X; pwd", "a", "b"].map(OsString::from).to_vec(),
            environment: vec![("X".into(), "kept".into())],
            directory: "/usr".into(),
        };
        let output = origin.command().output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a b kept\n/usr\n");
        assert_eq!(origin.program(), Path::new("/bin/sh"));
    }
}
