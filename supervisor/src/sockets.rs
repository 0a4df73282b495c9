//! Listening sockets: made once, before privileges are dropped, and never closed while the server lives.
//!
//! A TCP address gets a fixed group of SO_REUSEPORT queues. Closing one of them would reset the connections that wait
//! in its backlog, so workers come and go but queues stay.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use nix::unistd::{Gid, Uid};
use pagi_server_core::listener::Listener;

use crate::address::{Address, Target};
use crate::inherited::{Inherited, Passage, Place};
use crate::systemd;

mod file;
mod tcp;
mod unix;

use file::SocketFile;
pub use unix::is_live;
pub(crate) use unix::private_unix_listener;

/// The queues of one address.
#[derive(Debug)]
pub struct Group {
    /// The address, with the port that was really bound.
    pub address: Address,
    /// Accept queues: several for TCP, one for a Unix socket.
    pub queues: Vec<Listener>,
    /// The socket file, removed again by its owner.
    file: Option<SocketFile>,
    /// Somebody else keeps the sockets open, whatever becomes of this service.
    is_kept: bool,
}

impl Group {
    /// Where the queues really listen.
    fn place(&self) -> Option<Place> {
        Place::of(self.queues.first()?.as_fd()).ok()
    }

    fn with_tls(mut self, tls: bool) -> Self {
        self.address = self.address.with_tls(tls);
        self.queues.iter_mut().for_each(|queue| queue.tls = tls);
        self
    }

    fn with_proxy(mut self, proxy: bool) -> Self {
        self.address = self.address.with_proxy(proxy);
        self.queues.iter_mut().for_each(|queue| queue.proxy = proxy);
        self
    }
}

/// All listening sockets, in the order the user gave.
#[derive(Debug)]
pub struct Sockets {
    groups: Vec<Group>,
    /// Names under which systemd may keep sockets that are not served any more.
    abandoned: Vec<String>,
    /// How systemd calls what it has passed and is served.
    passage: Passage,
}

impl Sockets {
    /// Binds every address, with so many queues per TCP address.
    ///
    /// # Errors
    /// A sentence such as `Error: Port 5000 is already in use`.
    pub fn bind(addresses: &[Address], queues: usize, backlog: i32) -> Result<Self, String> {
        Self::open(addresses, queues, backlog, &mut Inherited::default())
    }

    /// The same, but what was inherited for an address is used as it is: so many sockets, so many queues, and a Unix
    /// socket's file is not ours to remove.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind).
    pub fn open(addresses: &[Address], queues: usize, backlog: i32, inherited: &mut Inherited) -> Result<Self, String> {
        let mut groups: Vec<Group> = Vec::new();
        for address in addresses {
            let group = match &address.target {
                Target::Tcp { host, port } => tcp::open(host, *port, addresses, queues, backlog, inherited)?,
                Target::Unix { path, access } => unix::open(path, access, backlog, inherited)?,
                Target::Abstract(name) => unix::open_abstract(name, backlog, inherited)?,
                Target::Passed(passed) => return Err(Passage::default().refusal(passed)),
            };
            groups.push(group.with_tls(address.tls()).with_proxy(address.proxy()));
        }
        let places: Vec<Place> = groups.iter().filter_map(Group::place).collect();
        Ok(Self { groups, abandoned: Vec::new(), passage: inherited.passage_to(&places) })
    }

    /// The bound addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.groups.iter().map(|group| &group.address)
    }

    /// Each address with its queues.
    pub fn groups(&self) -> impl Iterator<Item = (&Address, &[Listener])> {
        self.groups.iter().map(|group| (&group.address, group.queues.as_slice()))
    }

    /// Notes names under which systemd may keep sockets that are not served any more.
    pub fn abandon(&mut self, names: Vec<String>) {
        self.abandoned = names;
    }

    /// Leaves copies of all sockets to systemd, so that a server that crashes loses nobody who waits in a queue. To be
    /// called when the server is ready, and its predecessor gone.
    pub fn leave_to_manager(&mut self) {
        self.abandoned.drain(..).for_each(|name| systemd::forget(&name));
        for group in self.groups.iter().filter(|group| !group.is_kept) {
            let sockets: Vec<BorrowedFd<'_>> = group.queues.iter().map(descriptor).collect();
            if let Some(place) = group.place() {
                systemd::keep(&place.kept_as(), &sockets);
            }
        }
    }

    /// The server stops. Sockets whose files go now are no use to the next one; all others are, if the service is only
    /// restarted, and systemd closes them if it is not.
    pub fn withdraw_files(&self) {
        let own = |group: &&Group| group.file.as_ref().is_some_and(|file| file.is_ours());
        for place in self.groups.iter().filter(own).filter_map(Group::place) {
            systemd::forget(&place.kept_as());
        }
    }

    /// Names of the places whose sockets somebody else keeps open.
    #[must_use]
    pub fn kept(&self) -> Vec<String> {
        let kept = self.groups.iter().filter(|group| group.is_kept);
        kept.filter_map(|group| Some(group.place()?.kept_as())).collect()
    }

    /// Number of queues of each address, in order.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.queues.len()).collect()
    }

    /// All queues, group after group.
    pub fn queues(&self) -> impl Iterator<Item = &Listener> {
        self.groups.iter().flat_map(|group| &group.queues)
    }

    /// A second handle of every queue, for a process that serves by itself and may have to hand them on.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub fn clone_queues(&self) -> io::Result<Vec<Listener>> {
        self.queues().map(Listener::try_clone).collect()
    }

    /// Paths of the socket files that are removed when this is dropped.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.groups.iter().filter_map(|group| Some(group.file.as_ref()?.path.clone())).collect()
    }

    /// Removes the inherited files, too, when this is dropped: the server they came from has let go of them.
    pub fn claim_files(&mut self) {
        self.groups.iter_mut().filter_map(|group| group.file.as_mut()).for_each(SocketFile::claim);
    }

    /// Leaves these files to a server that has inherited them.
    pub fn release_files(&mut self, kept: &[PathBuf]) {
        for file in self.groups.iter_mut().filter_map(|group| group.file.as_mut()) {
            if kept.contains(&file.path) {
                file.release();
            }
        }
    }

    /// How systemd calls what it has passed and is served: a successor is told.
    #[must_use]
    pub fn passage(&self) -> &Passage {
        &self.passage
    }

    /// Gives the socket files to the user that the server will run as, except to whom the user has given them himself.
    ///
    /// # Errors
    /// Names the file whose owner cannot be changed.
    pub fn give_files_to(&self, uid: Option<Uid>, gid: Gid) -> Result<(), String> {
        for group in &self.groups {
            let (Some(file), Target::Unix { access, .. }) = (&group.file, &group.address.target) else { continue };
            let (uid, gid) = (uid.filter(|_| access.owner.is_none()), Some(gid).filter(|_| access.group.is_none()));
            nix::unistd::chown(&file.path, uid, gid)
                .map_err(|error| format!("Cannot change the owner of socket {}: {error}", file.path.display()))?;
        }
        Ok(())
    }
}

/// A listener's descriptor, for handing it to another process.
#[must_use]
pub fn descriptor(listener: &Listener) -> BorrowedFd<'_> {
    listener.as_fd()
}
