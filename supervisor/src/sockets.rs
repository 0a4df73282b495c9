//! Listening sockets: made once, before privileges are dropped, and never closed while the server lives.
//!
//! A TCP address gets a fixed group of SO_REUSEPORT queues. Closing one of them would reset the connections that wait
//! in its backlog, so workers come and go but queues stay.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid};
use pagi_server_core::listener::{Listener, Socket as Queue};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::address::Address;
use crate::inherited::{Inherited, Place};
use crate::systemd;

/// Permissions of a Unix socket when none are asked for.
const DEFAULT_SOCKET_MODE: u32 = 0o600;

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
        match &self.queues.first()?.socket {
            Queue::Tcp(listener) => listener.local_addr().ok().map(Place::Tcp),
            Queue::Unix(_, path) => Some(Place::Unix(path.clone())),
            Queue::Pool(_) => None,
        }
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
            let group = match address {
                Address::Tcp { host, port, .. } => {
                    let target = resolve(host, *port)?;
                    if let Some((port, mut found)) = inherited.claim_tcp(target.ip(), target.port(), addresses) {
                        if found.is_own {
                            add_queues(&mut found.listeners, queues, backlog);
                        }
                        let address =
                            Address::Tcp { host: host.clone(), port, tls: address.tls(), proxy: address.proxy() };
                        Group { address, queues: found.listeners, file: None, is_kept: found.is_kept }
                    } else {
                        let only_v6 = shares_port_with_v4(target, addresses);
                        bind_tcp(host, target, only_v6, queues, backlog)?
                    }
                }
                Address::Unix { path, mode, .. } => match inherited.claim_unix(path) {
                    None => bind_unix(path, *mode, backlog)?,
                    Some(found) => {
                        let mut file = inherited.owns(path).then(|| SocketFile::expect(path)).flatten();
                        if let Some(file) = file.as_mut().filter(|_| found.is_own) {
                            file.owner = std::process::id();
                        }
                        Group { address: address.clone(), queues: found.listeners, file, is_kept: found.is_kept }
                    }
                },
            };
            groups.push(group.with_tls(address.tls()).with_proxy(address.proxy()));
        }
        Ok(Self { groups, abandoned: Vec::new() })
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
        let own = |group: &&Group| group.file.as_ref().is_some_and(|file| file.owner == std::process::id());
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
        self.groups.iter_mut().filter_map(|group| group.file.as_mut()).for_each(|file| file.owner = std::process::id());
    }

    /// Leaves these files to a server that has inherited them.
    pub fn release_files(&mut self, kept: &[PathBuf]) {
        for file in self.groups.iter_mut().filter_map(|group| group.file.as_mut()) {
            if kept.contains(&file.path) {
                file.owner = 0;
            }
        }
    }

    /// Lets the user that the server will run as remove and use the socket files.
    ///
    /// # Errors
    /// Names the file whose owner cannot be changed.
    pub fn give_files_to(&self, uid: Option<Uid>, gid: Gid) -> Result<(), String> {
        for file in self.groups.iter().filter_map(|group| group.file.as_ref()) {
            nix::unistd::chown(&file.path, uid, Some(gid))
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

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let found: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("Error starting server: Cannot resolve host '{host}': {error}"))?
        .collect();
    // A name stands for its IPv4 address where it has one, as users of the reference server expect.
    let preferred = found.iter().find(|address| address.is_ipv4()).or(found.first());
    preferred.copied().ok_or_else(|| format!("Error starting server: Host '{host}' has no address"))
}

/// An IPv6 wildcard also takes IPv4 connections, unless the same port is wanted for IPv4 separately.
fn shares_port_with_v4(target: SocketAddr, addresses: &[Address]) -> bool {
    target.is_ipv6()
        && addresses.iter().any(|other| match other {
            Address::Tcp { host, port, .. } => *port == target.port() && !host.contains(':'),
            Address::Unix { .. } => false,
        })
}

fn bind_tcp(host: &str, target: SocketAddr, only_v6: bool, queues: usize, backlog: i32) -> Result<Group, String> {
    let explain = |error: &io::Error| tcp_error(host, target.port(), error);
    // SO_REUSEPORT would let us share the port of another server of the same user and steal half of its connections:
    // a bind without it first finds out that the port is taken.
    if target.port() != 0 {
        tcp_socket(target, only_v6, false).map_err(|error| explain(&error))?;
    }
    let mut group = Vec::new();
    let mut address = target;
    for _ in 0..queues.max(1) {
        let socket = tcp_socket(address, only_v6, queues > 1).map_err(|error| explain(&error))?;
        socket.listen(backlog).map_err(|error| explain(&error))?;
        let listener = std::net::TcpListener::from(socket);
        // The first queue of port 0 decides which port the whole group has.
        address.set_port(listener.local_addr().map_err(|error| explain(&error))?.port());
        group.push(Queue::Tcp(listener).into());
    }
    let address = Address::Tcp { host: host.to_owned(), port: address.port(), tls: false, proxy: false };
    Ok(Group { address, queues: group, file: None, is_kept: false })
}

/// Adds what is missing to queues of an earlier run that had fewer workers. A single queue cannot be shared; workers then
/// share it.
fn add_queues(listeners: &mut Vec<Listener>, wanted: usize, backlog: i32) {
    let Some(Queue::Tcp(first)) = listeners.first().map(|listener| &listener.socket) else { return };
    let Ok(address) = first.local_addr() else { return };
    let only_v6 = address.is_ipv6() && SockRef::from(first).only_v6().unwrap_or_default();
    while listeners.len() < wanted {
        let added = tcp_socket(address, only_v6, true).and_then(|socket| socket.listen(backlog).map(|()| socket));
        match added {
            Ok(socket) => listeners.push(Queue::Tcp(socket.into()).into()),
            Err(error) => return tracing::debug!("{address} keeps {} accept queues: {error}", listeners.len()),
        }
    }
}

fn tcp_socket(address: SocketAddr, only_v6: bool, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    // Inherited by accepted connections, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn tcp_error(host: &str, port: u16, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("Error: Port {port} is already in use"),
        ErrorKind::PermissionDenied => format!("Error: Permission denied to bind to port {port}"),
        ErrorKind::AddrNotAvailable => {
            format!("Error starting server: This machine has no address {host} to listen on")
        }
        _ => format!("Error starting server: Cannot listen on {host} port {port}: {error}"),
    }
}

/// A socket file we made, recognised by its inode: if somebody replaced it since, it is not ours to remove.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    /// A process forked from the owner must not remove the file; 0 is another server.
    owner: u32,
}

impl SocketFile {
    fn adopt(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), identity, owner: std::process::id() })
    }

    /// A file that another server still owns; `None` when it is gone.
    fn expect(path: &Path) -> Option<Self> {
        let mut file = Self::adopt(path).ok()?;
        file.owner = 0;
        Some(file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            return;
        }
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("Cannot remove socket {}: {error}", self.path.display());
        }
    }
}

fn bind_unix(path: &Path, mode: Option<u32>, backlog: i32) -> Result<Group, String> {
    remove_stale(path)?;
    let explain = |error: io::Error| match error.kind() {
        ErrorKind::AddrInUse => format!("Error: Socket {} is already in use", path.display()),
        ErrorKind::PermissionDenied => format!("Error: Permission denied to bind to socket {}", path.display()),
        _ => format!("Error starting server: Cannot listen on socket {}: {error}", path.display()),
    };
    let listener = private_unix_listener(path, backlog).map_err(explain)?;
    let file = SocketFile::adopt(path).map_err(explain)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode.unwrap_or(DEFAULT_SOCKET_MODE))).map_err(explain)?;
    let address = Address::Unix { path: path.to_owned(), mode, tls: false, proxy: false };
    let queues = vec![Queue::Unix(listener, path.to_owned()).into()];
    Ok(Group { address, queues, file: Some(file), is_kept: false })
}

/// Binds under a tight umask, so that nobody can connect before the mode that was asked for is set.
pub(crate) fn private_unix_listener(path: &Path, backlog: i32) -> io::Result<std::os::unix::net::UnixListener> {
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

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port, tls: false, proxy: false }
    }

    fn port_of(sockets: &Sockets) -> u16 {
        match sockets.addresses().next() {
            Some(Address::Tcp { port, .. }) => *port,
            other => panic!("not a TCP address: {other:?}"),
        }
    }

    #[test]
    fn a_group_shares_the_port_the_first_queue_got() {
        let sockets = Sockets::bind(&[tcp("127.0.0.1", 0)], 4, 16).unwrap();
        let port = port_of(&sockets);
        assert_ne!(port, 0);
        assert_eq!(sockets.shape(), [4]);
        for queue in sockets.queues() {
            let Queue::Tcp(listener) = &queue.socket else { panic!("not TCP") };
            assert_eq!(listener.local_addr().unwrap().port(), port);
        }
    }

    #[test]
    fn queues_of_an_earlier_run_grow_to_the_number_wanted() {
        for (before, wanted, after) in [(2, 4, 4), (3, 2, 3), (1, 3, 1)] {
            let mut queues = Sockets::bind(&[tcp("127.0.0.1", 0)], before, 16).unwrap().groups.remove(0).queues;
            add_queues(&mut queues, wanted, 16);
            assert_eq!(queues.len(), after, "{before} queues, {wanted} wanted");
            let port = |queue: &Listener| match &queue.socket {
                Queue::Tcp(listener) => listener.local_addr().unwrap().port(),
                other => panic!("not TCP: {other:?}"),
            };
            assert!(queues.iter().all(|queue| port(queue) == port(&queues[0])));
        }
    }

    #[test]
    fn a_port_of_another_server_is_not_shared() {
        let first = Sockets::bind(&[tcp("127.0.0.1", 0)], 2, 16).unwrap();
        let port = port_of(&first);
        let error = Sockets::bind(&[tcp("127.0.0.1", port)], 2, 16).unwrap_err();
        assert_eq!(error, format!("Error: Port {port} is already in use"));
    }

    #[test]
    fn ipv6_and_ipv4_on_the_same_port() {
        let probe = Sockets::bind(&[tcp("0.0.0.0", 0)], 1, 16).unwrap();
        let port = port_of(&probe);
        drop(probe);
        let both = Sockets::bind(&[tcp("0.0.0.0", port), tcp("::", port)], 1, 16).unwrap();
        let shown: Vec<String> = both.addresses().map(ToString::to_string).collect();
        assert_eq!(shown, [format!("http://0.0.0.0:{port}/"), format!("http://[::]:{port}/")]);
    }

    #[test]
    fn messages_for_bad_hosts() {
        let error = Sockets::bind(&[tcp("192.0.2.1", 0)], 1, 16).unwrap_err();
        assert_eq!(error, "Error starting server: This machine has no address 192.0.2.1 to listen on");
        let error = Sockets::bind(&[tcp("no.such.host.invalid", 0)], 1, 16).unwrap_err();
        assert!(error.starts_with("Error starting server: Cannot resolve host 'no.such.host.invalid'"), "{error}");
        let denied = tcp_error("h", 85, &io::Error::from(ErrorKind::PermissionDenied));
        assert_eq!(denied, "Error: Permission denied to bind to port 85");
    }

    #[test]
    fn unix_socket_mode_and_removal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let plain = Sockets::bind(&[Address::Unix { path: path.clone(), mode: None, tls: false, proxy: false }], 4, 16)
            .unwrap();
        assert_eq!(plain.shape(), [1], "a Unix socket has one queue");
        assert_eq!(mode(&path), 0o600);
        drop(plain);
        assert!(!path.exists(), "removed by its owner");
        let open =
            Sockets::bind(&[Address::Unix { path: path.clone(), mode: Some(0o660), tls: false, proxy: false }], 1, 16)
                .unwrap();
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
        let address = [Address::Unix { path: path.clone(), mode: None, tls: false, proxy: false }];
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
}
