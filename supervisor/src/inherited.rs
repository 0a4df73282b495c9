//! Listening sockets that were open before this process began: from systemd (`LISTEN_FDS`, see sd_listen_fds(3)) or
//! from a server that starts its successor (`PAGI_REUSE`: `host:port:fd` or `unix:path:fd`, separated by commas).
//!
//! What a descriptor listens on is asked of the descriptor itself; names in the variables are for people. But by its name a
//! socket is known that an earlier run of this service has left to systemd ([`Place::kept_as`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use pagi_server_core::listener::{Listener, Socket as Queue};
use socket2::{Socket, Type};

use crate::address::{Address, Target};
use crate::process::{descriptors, environment};
use crate::sockets::is_live;

mod passage;
mod place;

pub use passage::Passage;
pub use place::Place;

/// The number of the first descriptor systemd passes.
const FIRST: RawFd = 3;

/// A socket that nobody has claimed yet.
#[derive(Debug)]
struct Found {
    place: Place,
    listener: Listener,
    keeper: Keeper,
}

/// Who else holds a socket, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// Whoever started us, to listen on it himself or to let us.
    Other,
    /// systemd, for this service: an earlier run has asked for it.
    Store,
}

/// Sockets that were claimed for an address.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Each is one queue.
    pub listeners: Vec<Listener>,
    /// They outlive this service without its doing: it was given them.
    pub is_kept: bool,
    /// They are this service's own, from an earlier run.
    pub is_own: bool,
}

/// Inherited sockets that nobody has claimed yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Found>,
    /// Names of places whose sockets were given to the server that this one is to replace.
    kept: Vec<String>,
    /// Names under which systemd keeps what is of no use any more.
    useless: Vec<String>,
    /// Unix sockets whose files belong to the server, not to whoever opened them.
    files: Vec<PathBuf>,
    /// How systemd calls what it has passed.
    passage: Passage,
    /// They come from a server with the same command line: whatever port it got is what port 0 means.
    any_port: bool,
    /// A running server hands them over.
    is_from_server: bool,
    /// What could not be used, each a sentence.
    pub warnings: Vec<String>,
}

impl Inherited {
    /// Takes over what the environment names, and removes the variables. Once, before any thread starts.
    #[must_use]
    pub fn take() -> Self {
        let reuse = environment::take("PAGI_REUSE");
        let [pid, count, names] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].map(environment::take);
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
        let mut names_by_number = BTreeMap::new();
        let mut passed = FIRST..FIRST;
        if pid.and_then(|pid| pid.parse().ok()) == Some(std::process::id()) {
            let count = count.and_then(|count| count.parse::<RawFd>().ok()).unwrap_or_default();
            passed = FIRST..FIRST.saturating_add(count);
            numbers.extend(passed.clone());
            names_by_number.extend((FIRST..).zip(names.iter().flat_map(|names| names.split(':'))));
        }
        for number in numbers {
            let name = names_by_number.get(&number).copied();
            let found = inherited.adopt(number, name.unwrap_or_default());
            if let Err(reason) = &found {
                inherited.warnings.push(format!("Inherited descriptor {number} is not used: {reason}"));
            }
            // What an earlier run has left was not passed for somebody to choose from.
            if let Some(found) = found.transpose()
                && passed.contains(&number)
            {
                inherited.passage.add(number, name.unwrap_or_default(), found);
            }
        }
        inherited
    }

    /// Sockets that an earlier server has left under these numbers.
    #[must_use]
    pub fn left_by_server(numbers: &[RawFd], files: &[PathBuf]) -> Self {
        let mut inherited = Self::default();
        for &number in numbers {
            if let Err(reason) = inherited.adopt(number, "") {
                inherited.warnings.push(format!("Inherited descriptor {number} is not used: {reason}"));
            }
        }
        inherited.expect_same_server(files, &[], Passage::default());
        inherited
    }

    /// The sockets are those of a server with the same settings, which has made these socket files, and was given the
    /// sockets with these names, some of them for it to choose from.
    pub fn expect_same_server(&mut self, files: &[PathBuf], kept: &[String], passage: Passage) {
        self.passage = passage;
        self.any_port = true;
        self.is_from_server = true;
        self.kept.extend_from_slice(kept);
        self.files.extend_from_slice(files);
    }

    /// Takes a descriptor, and says where it listens; `None` when an earlier run has left it.
    fn adopt(&mut self, number: RawFd, name: &str) -> Result<Option<Place>, String> {
        let explain = |error: io::Error| error.to_string();
        let socket = Socket::from(descriptors::adopt(number).map_err(explain)?);
        if !socket.is_listener().map_err(|_| "it is not a listening socket".to_owned())? {
            return Err("it is not a listening socket".to_owned());
        }
        if socket.r#type().map_err(explain)? != Type::STREAM {
            return Err("it is not a stream socket".to_owned());
        }
        socket.set_nonblocking(true).map_err(explain)?;
        let place = Place::of(socket.as_fd())
            .map_err(|_| "it listens neither on TCP nor on a Unix socket with a path or a readable name".to_owned())?;
        let listener: Listener = match &place {
            Place::Tcp(_) => {
                // Inherited by accepted connections.
                socket.set_tcp_nodelay(true).map_err(explain)?;
                Queue::Tcp(socket.into()).into()
            }
            // Shown to applications as `server`.
            Place::Unix(_) | Place::Abstract(_) => {
                Queue::Unix(UnixListener::from(socket), PathBuf::from(place.to_string())).into()
            }
        };
        let is_own = place.kept_as() == name;
        if let Place::Unix(path) = &place
            && is_own
        {
            if !is_live(path) {
                // Its file is gone: nobody can reach it any more.
                self.useless.push(name.to_owned());
                return Ok(None);
            }
            self.files.push(path.clone());
        }
        self.any_port |= is_own;
        let keeper = if is_own { Keeper::Store } else { Keeper::Other };
        self.sockets.push(Found { place: place.clone(), listener, keeper });
        Ok((!is_own).then_some(place))
    }

    /// How systemd calls what it has passed.
    #[must_use]
    pub fn passage(&self) -> &Passage {
        &self.passage
    }

    /// The same for these places only.
    #[must_use]
    pub fn passage_to(&self, places: &[Place]) -> Passage {
        self.passage.to(places)
    }

    /// The addresses of all sockets that were given to us: what to listen on when the user does not say. What an earlier
    /// run has left listens where its user wanted.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = Vec::new();
        for found in self.sockets.iter().filter(|found| found.keeper == Keeper::Other) {
            let address = found.place.address();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// The port and the sockets that listen on a TCP address; each is one queue. `wanted` is everything that is to be
    /// listened on.
    pub fn claim_tcp(&mut self, ip: IpAddr, port: u16, wanted: &[Address]) -> Option<(u16, Claimed)> {
        let is_named = |port: u16| {
            wanted.iter().any(|other| matches!(other.target, Target::Tcp { port: named, .. } if named == port))
        };
        let port = if port == 0 && self.any_port {
            self.sockets.iter().find_map(|found| match &found.place {
                Place::Tcp(found) if found.ip() == ip && !is_named(found.port()) => Some(found.port()),
                _ => None,
            })?
        } else {
            port
        };
        let found = self.claim(&Place::Tcp(SocketAddr::new(ip, port)));
        found.map(|found| (port, found))
    }

    /// Whether a socket file belongs to the server.
    #[must_use]
    pub fn owns(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file == path)
    }

    /// The sockets that listen in a place.
    pub fn claim(&mut self, wanted: &Place) -> Option<Claimed> {
        let (claimed, left): (Vec<Found>, Vec<Found>) =
            std::mem::take(&mut self.sockets).into_iter().partition(|found| found.place == *wanted);
        self.sockets = left;
        let name = wanted.kept_as();
        let is_own = claimed.iter().any(|found| found.keeper == Keeper::Store);
        let is_given = claimed.iter().any(|found| found.keeper == Keeper::Other);
        // A server that hands over gives everything; what it was given itself it has told us.
        let is_kept = if self.is_from_server { self.kept.contains(&name) } else { is_given };
        let listeners: Vec<Listener> = claimed.into_iter().map(|found| found.listener).collect();
        (!listeners.is_empty()).then_some(Claimed { listeners, is_kept, is_own })
    }

    /// Closes what nobody has claimed, and says so. Returns the names under which systemd may still keep some of it.
    #[must_use]
    pub fn close_rest(self) -> Vec<String> {
        let mut names = self.useless;
        for Found { place, .. } in self.sockets {
            names.push(place.kept_as());
            tracing::warn!("Inherited socket {place} is closed: no --listen, --host and --port or --socket names it");
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::IntoRawFd;

    fn tcp() -> (Place, RawFd) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (Place::Tcp(listener.local_addr().unwrap()), listener.into_raw_fd())
    }

    #[test]
    fn by_its_name_an_earlier_run_of_the_service_is_known() {
        let mut inherited = Inherited::default();
        let (own, number) = tcp();
        inherited.adopt(number, &own.kept_as()).unwrap();
        let (given, number) = tcp();
        inherited.adopt(number, "pagi.socket").unwrap();
        let Place::Tcp(address) = given else { unreachable!() };
        let shown: Vec<String> = inherited.addresses().iter().map(ToString::to_string).collect();
        assert_eq!(shown, [format!("http://{address}/")], "only what we were given says where to listen");
        let (_, claimed) = inherited.claim_tcp(address.ip(), address.port(), &[]).unwrap();
        assert!(claimed.is_kept && !claimed.is_own);
        let Place::Tcp(address) = own else { unreachable!() };
        // Port 0 is whatever port the earlier run got.
        let (port, claimed) = inherited.claim_tcp(address.ip(), 0, &[]).unwrap();
        assert!(port == address.port() && !claimed.is_kept && claimed.is_own);
        assert!(inherited.close_rest().is_empty());
    }

    #[test]
    fn what_nobody_wants_any_more_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gone.sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut inherited = Inherited::default();
        let unreachable = Place::Unix(path.clone()).kept_as();
        inherited.adopt(listener.into_raw_fd(), &unreachable).unwrap();
        let (place, number) = tcp();
        inherited.adopt(number, &place.kept_as()).unwrap();
        assert!(inherited.claim(&Place::Unix(path.clone())).is_none() && !inherited.owns(&path));
        assert_eq!(inherited.close_rest(), [unreachable, place.kept_as()]);
    }

    #[test]
    fn a_server_says_what_it_was_given() {
        for was_given in [true, false] {
            let mut inherited = Inherited::default();
            let (place, number) = tcp();
            inherited.adopt(number, "").unwrap();
            let kept: Vec<String> = was_given.then(|| place.kept_as()).into_iter().collect();
            inherited.expect_same_server(&[], &kept, Passage::default());
            let Place::Tcp(address) = place else { unreachable!() };
            let (_, claimed) = inherited.claim_tcp(address.ip(), address.port(), &[]).unwrap();
            assert_eq!((claimed.is_kept, claimed.is_own), (was_given, false));
        }
    }
}
