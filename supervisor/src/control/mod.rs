//! The control socket: HTTP and JSON over a Unix socket, so that `pagictl` and `curl --unix-socket` can ask a running
//! server.
//!
//! [`path`] says where the socket is, [`Socket`] owns it, [`service`] answers requests by putting a [`Question`] to
//! whoever runs the server ([`verb`] says which orders there are), [`status`] is what the answer looks like, and [`command`] with
//! [`client`], [`table`], [`watch`] and [`top`] is `pagictl`.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::origin::Effective;

pub mod client;
pub mod command;

pub mod path;
mod rates;
pub mod service;
pub mod status;
mod table;
mod top;
pub mod verb;
mod watch;

/// Gives a file to a group. A server that has dropped its privileges could not, and finds it done by its predecessor.
fn give(path: &Path, group: Gid) -> io::Result<()> {
    if fs::symlink_metadata(path)?.gid() == group.as_raw() {
        return Ok(());
    }
    Ok(nix::unistd::chown(path, None, Some(group))?)
}

/// Owner and group may control the server.
const MODE: u32 = 0o660;

/// Something to be answered by whoever runs the server.
#[derive(Debug)]
pub enum Question {
    /// What are you doing?
    Status(oneshot::Sender<status::Status>),
    /// Which options are in effect, and who said so?
    Config(oneshot::Sender<Vec<Effective>>),
    /// Do this, and say how it ended.
    Verb(verb::Verb, oneshot::Sender<Outcome>),
}

/// How an order ended; the texts are sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done(String),
    /// Not begun, because it makes no sense now or here.
    Refused(String),
    /// Tried in vain.
    Failed(String),
}

/// The listening control socket, bound before privileges are dropped. Its name in the file system is removed when this
/// is dropped in the process that owns it.
#[must_use]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// 0 is another server.
    owner: u32,
    /// Whose members may use it, when that is not the server's own group.
    group: Option<Gid>,
    /// Answers requests. It lives in the runtime, and one that hosts an application is never dropped.
    service: Option<JoinHandle<()>>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.owner == std::process::id() && fs::remove_file(&self.path).is_err() {
            tracing::debug!("Cannot remove control socket {}", self.path.display());
        }
    }
}

impl Socket {
    /// Continues the control socket of a server that this one is to replace, unless another path was asked for. It is
    /// the other server's until [`claim`](Self::claim).
    #[must_use]
    pub fn inherit(asked: Option<&Path>, (listener, path): (UnixListener, PathBuf)) -> Option<Self> {
        let wanted = asked.is_none_or(|asked| asked == path);
        wanted.then_some(Self { listener, path, owner: 0, group: None, service: None })
    }

    /// Makes an inherited socket our own.
    pub fn claim(&mut self) {
        self.owner = std::process::id();
    }

    /// Leaves the socket to a server that has inherited everything and kept these files. Answers under way are still
    /// given.
    pub fn release(&mut self, kept: &[PathBuf]) {
        if kept.contains(&self.path) {
            self.owner = 0;
        }
        if let Some(service) = self.service.take() {
            service.abort();
        }
    }

    /// The socket, for handing it to another process.
    #[must_use]
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers requests from now on; inside a tokio `LocalSet`.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub fn start(&mut self, ask: impl Fn(Question) + 'static) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        self.service = Some(tokio::task::spawn_local(service::run(listener, ask)));
        Ok(())
    }

    /// Opens the socket at the path that was asked for, or at the default one. Without a usable default place the
    /// server goes on without a control socket and says so.
    ///
    /// # Errors
    /// When the path that was asked for cannot be used.
    pub fn open(asked: Option<&Path>) -> Result<Option<Self>, String> {
        if let Some(path) = asked {
            return Self::bind(path).map(Some).map_err(|error| {
                format!("Error starting server: Cannot open control socket {}: {error}", path.display())
            });
        }
        let opened = path::default_for_server()
            .and_then(|path| Self::bind(&path).map_err(|error| format!("{}: {error}", path.display())));
        match opened {
            Ok(socket) => Ok(Some(socket)),
            Err(reason) => {
                tracing::warn!("No control socket ({reason}); pagictl will not reach this server");
                Ok(None)
            }
        }
    }

    fn bind(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(_) if crate::sockets::is_live(path) => return Err(io::ErrorKind::AddrInUse.into()),
            Ok(metadata) => {
                use std::os::unix::fs::FileTypeExt;
                if !metadata.file_type().is_socket() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::remove_file(path)?;
            }
            Err(_) => {}
        }
        let listener = crate::sockets::private_unix_listener(path, 16)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        tracing::debug!("Control socket {}", path.display());
        Ok(Self { listener, path: path.to_owned(), owner: std::process::id(), group: None, service: None })
    }

    /// Lets the members of a group use the socket.
    ///
    /// # Errors
    /// When the group cannot be given: only root, and who is a member, may do so.
    pub fn open_to(&mut self, group: &Group) -> Result<(), String> {
        self.group = Some(group.gid);
        let explain = |what: &Path, error: &dyn std::fmt::Display| {
            let (what, name) = (what.display(), &group.name);
            format!(
                "Cannot give control socket {what} to group {name}: {error}; the server has to be root or a member of it"
            )
        };
        give(&self.path, group.gid).map_err(|error| explain(&self.path, &error))?;
        // Nobody gets to the socket who may not enter the directory we have made for it.
        if let Some(directory) = self.path.parent().filter(|&directory| directory == path::directory()) {
            path::open_to(directory, group.gid).map_err(|error| explain(directory, &error))?;
        }
        Ok(())
    }

    /// Lets the user that the server will run as remove the file.
    ///
    /// # Errors
    /// When the owner cannot be changed.
    pub fn give_to(&self, uid: Option<Uid>, gid: Gid) -> Result<(), String> {
        let path = &self.path;
        nix::unistd::chown(path, uid, Some(self.group.unwrap_or(gid)))
            .map_err(|error| format!("Cannot change the owner of control socket {}: {error}", path.display()))
    }
}
