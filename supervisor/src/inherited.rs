//! Listening sockets that were open before this process began: from systemd (`LISTEN_FDS`, see sd_listen_fds(3)) or
//! from a server that starts its successor (`PAGI_REUSE`: `host:port:fd` or `unix:path:fd`, separated by commas).
//!
//! What a descriptor listens on is asked of the descriptor itself; names in the variables are for people.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use pagi_server_core::listener::{Listener, Socket as Queue};
use socket2::Socket;

use crate::address::Address;
use crate::process::{descriptors, environment};

/// The number of the first descriptor systemd passes.
const FIRST: RawFd = 3;

/// What a socket listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Inherited sockets that nobody has claimed yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(Place, Listener)>,
    /// Unix sockets whose files belong to the server, not to whoever opened them.
    files: Vec<PathBuf>,
    /// They come from a server with the same command line: whatever port it got is what port 0 means.
    any_port: bool,
    /// What could not be used, each a sentence.
    pub warnings: Vec<String>,
}

impl Inherited {
    /// Takes over what the environment names, and removes the variables. Once, before any thread starts.
    #[must_use]
    pub fn take() -> Self {
        let reuse = environment::take("PAGI_REUSE");
        let [pid, count, _names] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].map(environment::take);
        let mut inherited = Self::default();
        let mut numbers = BTreeSet::new();
        for entry in reuse.iter().flat_map(|list| list.split(',')).filter(|entry| !entry.is_empty()) {
            match entry.rsplit_once(':').and_then(|(_, number)| number.parse().ok()).filter(|&number| number >= FIRST) {
                Some(number) => {
                    numbers.insert(number);
                }
                None => inherited.warnings.push(format!("PAGI_REUSE: '{entry}' is not host:port:fd or unix:path:fd")),
            }
        }
        // For another process when the id is another's: a shell in between has kept the variables.
        if pid.and_then(|pid| pid.parse().ok()) == Some(std::process::id()) {
            let count = count.and_then(|count| count.parse::<RawFd>().ok()).unwrap_or_default();
            numbers.extend(FIRST..FIRST.saturating_add(count));
        }
        for number in numbers {
            if let Err(reason) = inherited.adopt(number) {
                inherited.warnings.push(format!("Inherited descriptor {number} is not used: {reason}"));
            }
        }
        inherited
    }

    /// Sockets that an earlier server has left under these numbers.
    #[must_use]
    pub fn left_by_server(numbers: &[RawFd], files: &[PathBuf]) -> Self {
        let mut inherited = Self::default();
        for &number in numbers {
            if let Err(reason) = inherited.adopt(number) {
                inherited.warnings.push(format!("Inherited descriptor {number} is not used: {reason}"));
            }
        }
        inherited.expect_same_server(files);
        inherited
    }

    /// The sockets are those of a server with the same settings, which has made these socket files.
    pub fn expect_same_server(&mut self, files: &[PathBuf]) {
        self.any_port = true;
        self.files.extend_from_slice(files);
    }

    fn adopt(&mut self, number: RawFd) -> Result<(), String> {
        let explain = |error: io::Error| error.to_string();
        let socket = Socket::from(descriptors::adopt(number).map_err(explain)?);
        if !socket.is_listener().map_err(|_| "it is not a listening socket".to_owned())? {
            return Err("it is not a listening socket".to_owned());
        }
        socket.set_nonblocking(true).map_err(explain)?;
        let address = socket.local_addr().map_err(explain)?;
        let found = if let Some(address) = address.as_socket() {
            // Inherited by accepted connections.
            socket.set_tcp_nodelay(true).map_err(explain)?;
            (Place::Tcp(address), Queue::Tcp(socket.into()).into())
        } else if let Some(path) = address.as_pathname() {
            let path = path.to_owned();
            (Place::Unix(path.clone()), Queue::Unix(UnixListener::from(socket), path).into())
        } else {
            return Err("it listens neither on TCP nor on a Unix socket with a path".to_owned());
        };
        self.sockets.push(found);
        Ok(())
    }

    /// The addresses of all sockets: what to listen on when the user does not say.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = Vec::new();
        for (place, _) in &self.sockets {
            let address = match place {
                Place::Tcp(address) => {
                    Address::Tcp { host: address.ip().to_string(), port: address.port(), tls: false, proxy: false }
                }
                Place::Unix(path) => Address::Unix { path: path.clone(), mode: None, tls: false, proxy: false },
            };
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// The port and the sockets that listen on a TCP address; each is one queue. `wanted` is everything that is to be
    /// listened on.
    pub fn claim_tcp(&mut self, ip: IpAddr, port: u16, wanted: &[Address]) -> Option<(u16, Vec<Listener>)> {
        let is_named =
            |port: u16| wanted.iter().any(|other| matches!(other, Address::Tcp { port: named, .. } if *named == port));
        let port = if port == 0 && self.any_port {
            self.sockets.iter().find_map(|(place, _)| match place {
                Place::Tcp(found) if found.ip() == ip && !is_named(found.port()) => Some(found.port()),
                _ => None,
            })?
        } else {
            port
        };
        let found = self.claim(&Place::Tcp(SocketAddr::new(ip, port)));
        (!found.is_empty()).then_some((port, found))
    }

    /// Whether a socket file belongs to the server.
    #[must_use]
    pub fn owns(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file == path)
    }

    /// The sockets that listen on a Unix socket.
    pub fn claim_unix(&mut self, path: &Path) -> Vec<Listener> {
        self.claim(&Place::Unix(path.to_owned()))
    }

    fn claim(&mut self, wanted: &Place) -> Vec<Listener> {
        let (claimed, left) = std::mem::take(&mut self.sockets).into_iter().partition(|(place, _)| place == wanted);
        self.sockets = left;
        let claimed: Vec<(Place, Listener)> = claimed;
        claimed.into_iter().map(|(_, listener)| listener).collect()
    }

    /// Closes what nobody has claimed, and says so.
    pub fn close_rest(self) {
        for (place, _) in self.sockets {
            let shown = match place {
                Place::Tcp(address) => address.to_string(),
                Place::Unix(path) => path.display().to_string(),
            };
            tracing::warn!("Inherited socket {shown} is closed: no --listen, --host and --port or --socket names it");
        }
    }
}
