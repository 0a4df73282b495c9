//! Unix sockets: with a file, or with a name in the abstract namespace.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::chown;
use pagi_server_core::listener::Socket as Queue;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Group;
use super::file::SocketFile;
use crate::address::{Access, Address, Target};
use crate::inherited::{Inherited, Place};
use crate::privileges::{self, Owner};

/// Permissions of a Unix socket when none are asked for.
const DEFAULT_MODE: u32 = 0o600;

/// Opens a socket with a file, or takes the one that was inherited for it.
pub(super) fn open(path: &Path, access: &Access, backlog: i32, inherited: &mut Inherited) -> Result<Group, String> {
    let owner = privileges::find_owner(access)?;
    let address = Address::from(Target::Unix { path: path.to_owned(), access: access.clone() });
    let Some(found) = inherited.claim(&Place::Unix(path.to_owned())) else {
        remove_stale(path)?;
        let explain = |error: io::Error| cannot_bind(&path.display().to_string(), &error);
        let listener = private_unix_listener(path, backlog).map_err(explain)?;
        let file = SocketFile::adopt(path).map_err(explain)?;
        grant(path, access, owner)?;
        let queues = vec![Queue::Unix(listener, path.to_owned()).into()];
        return Ok(Group { address, queues, file: Some(file), is_kept: false });
    };
    let mut file = inherited.owns(path).then(|| SocketFile::expect(path)).flatten();
    if let Some(file) = file.as_mut().filter(|_| found.is_own) {
        file.claim();
        // It is from an earlier run, whose configuration may have said something else.
        grant(path, access, owner)?;
    }
    Ok(Group { address, queues: found.listeners, file, is_kept: found.is_kept })
}

/// Opens a socket without a file. The kernel takes the name back with the last descriptor: nothing is ever left behind.
pub(super) fn open_abstract(name: &str, backlog: i32, inherited: &mut Inherited) -> Result<Group, String> {
    let address = Address::unnamed(name);
    if let Some(found) = inherited.claim(&Place::Abstract(name.to_owned())) {
        return Ok(Group { address, queues: found.listeners, file: None, is_kept: found.is_kept });
    }
    let shown = format!("@{name}");
    let bind = || -> io::Result<UnixListener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
        socket.listen(backlog)?;
        Ok(socket.into())
    };
    let listener = bind().map_err(|error| cannot_bind(&shown, &error))?;
    let queues = vec![Queue::Unix(listener, PathBuf::from(shown)).into()];
    Ok(Group { address, queues, file: None, is_kept: false })
}

fn cannot_bind(shown: &str, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("Error: Socket {shown} is already in use"),
        ErrorKind::PermissionDenied => format!("Error: Permission denied to bind to socket {shown}"),
        _ => format!("Error starting server: Cannot listen on socket {shown}: {error}"),
    }
}

/// Gives a socket to its owner and group, and then opens it to whom the mode says.
fn grant(path: &Path, access: &Access, Owner { uid, gid }: Owner) -> Result<(), String> {
    let shown = path.display();
    let refused = |whom: &str, name: Option<&str>, remedy: &str, error: Errno| {
        let remedy = if error == Errno::EPERM { remedy } else { "" };
        format!("Error: Cannot give socket {shown} to {whom} {}: {}{remedy}", name.unwrap_or_default(), error.desc())
    };
    chown(path, uid, None)
        .map_err(|error| refused("user", access.owner.as_deref(), "; the server has to be root", error))?;
    chown(path, None, gid).map_err(|error| {
        refused("group", access.group.as_deref(), "; the server has to be root or a member of it", error)
    })?;
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode.unwrap_or(DEFAULT_MODE)))
        .map_err(|error| format!("Error: Cannot change the permissions of socket {shown}: {error}"))
}

/// Binds under a tight umask, so that nobody can connect before the mode that was asked for is set.
pub(crate) fn private_unix_listener(path: &Path, backlog: i32) -> io::Result<UnixListener> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let previous = umask(Mode::from_bits_truncate(0o177));
    let bound = socket.bind(&address);
    umask(previous);
    bound?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Removes what a crashed server left behind. A socket somebody listens on, or any other kind of file, stays.
fn remove_stale(path: &Path) -> Result<(), String> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(format!("Error: {} exists and is not a socket; remove it or choose another path", path.display()));
    }
    if is_live(path) {
        return Err(format!("Error: Socket {} is already in use", path.display()));
    }
    fs::remove_file(path).map_err(|error| format!("Error: Cannot remove stale socket {}: {error}", path.display()))
}

/// Whether somebody listens on a Unix socket. Only a refused connection proves that nobody does.
#[must_use]
pub fn is_live(path: &Path) -> bool {
    match UnixStream::connect(path) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::Sockets;

    #[test]
    fn unix_socket_mode_and_removal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let plain = Sockets::bind(&[Address::unix(&path)], 4, 16).unwrap();
        assert_eq!(plain.shape(), [1], "a Unix socket has one queue");
        assert_eq!(mode(&path), 0o600);
        drop(plain);
        assert!(!path.exists(), "removed by its owner");
        let open = Sockets::bind(&[Address::unix(&path).with_default_mode(Some(0o660))], 1, 16).unwrap();
        assert_eq!(mode(&path), 0o660);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        drop(open);
        assert!(path.exists(), "a replaced file is left alone");
    }

    #[test]
    fn stale_live_and_foreign_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let address = [Address::unix(&path)];
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let first = Sockets::bind(&address, 1, 16).expect("a stale socket is replaced");
        let error = Sockets::bind(&address, 1, 16).unwrap_err();
        assert_eq!(error, format!("Error: Socket {} is already in use", path.display()));
        drop(first);
        fs::write(&path, "data").unwrap();
        let error = Sockets::bind(&address, 1, 16).unwrap_err();
        assert!(error.ends_with("exists and is not a socket; remove it or choose another path"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }

    #[test]
    fn a_name_without_a_file_is_taken_once_and_given_back() {
        let name = format!("pagi-test-{}-name", std::process::id());
        let address = [Address::unnamed(&name)];
        let first = Sockets::bind(&address, 4, 16).unwrap();
        assert_eq!(first.shape(), [1], "a Unix socket has one queue");
        assert!(first.files().is_empty());
        assert_eq!(first.addresses().next(), Some(&address[0]));
        let error = Sockets::bind(&address, 1, 16).unwrap_err();
        assert_eq!(error, format!("Error: Socket @{name} is already in use"));
        drop(first);
        assert!(Sockets::bind(&address, 1, 16).is_ok());
    }

    #[test]
    fn unknown_owners_are_found_before_anything_is_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        for (option, expected) in [
            ("owner=no-such-user", "Unknown user: no-such-user"),
            ("group=no-such-group", "Unknown group: no-such-group"),
        ] {
            let address = Address::parse(&format!("{},{option}", path.display())).unwrap();
            assert_eq!(Sockets::bind(&[address], 1, 16).unwrap_err(), expected);
            assert!(!path.exists());
        }
    }
}
