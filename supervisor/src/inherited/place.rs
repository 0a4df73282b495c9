//! What a socket listens on: asked of the socket itself.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use socket2::{SockAddr, SockRef};

use crate::address::Address;

/// Longest name that systemd gives to a descriptor, and some room.
const LONGEST_NAME: usize = 200;

/// What a socket listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// An address with a port.
    Tcp(SocketAddr),
    /// A file.
    Unix(PathBuf),
    /// A name in the abstract namespace.
    Abstract(String),
}

impl Place {
    /// Of an open socket.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let address = SockRef::from(&socket).local_addr()?;
        Self::at(&address).ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Of a socket's address.
    #[must_use]
    pub fn at(address: &SockAddr) -> Option<Self> {
        let tcp = || address.as_socket().map(Self::Tcp);
        let unix = || address.as_pathname().map(|path| Self::Unix(path.to_owned()));
        // What cannot be shown cannot be asked for, or reach an application as text.
        let name = || std::str::from_utf8(address.as_abstract_namespace()?).ok();
        let name = || name().filter(|name| !name.is_empty() && !name.contains(char::is_control));
        tcp().or_else(unix).or_else(|| name().map(|name| Self::Abstract(name.to_owned())))
    }

    /// The name under which systemd keeps sockets of this place for the service: printable ASCII without colons.
    #[must_use]
    pub fn kept_as(&self) -> String {
        let plain = |letter: char| if letter.is_ascii_graphic() && letter != ':' { letter } else { '_' };
        let place: String = self.to_string().chars().map(plain).collect();
        // The end of a long path tells more than its beginning.
        format!("pagi-{}", &place[place.len().saturating_sub(LONGEST_NAME)..])
    }

    /// As an address to listen on.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            Self::Tcp(address) => Address::tcp(address.ip().to_string(), address.port()),
            Self::Unix(path) => Address::unix(path),
            Self::Abstract(name) => Address::unnamed(name),
        }
    }
}

/// `HOST:PORT`, the path, or `@NAME`.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_what_systemd_allows() {
        let name = |address: &str| Place::Tcp(address.parse().unwrap()).kept_as();
        assert_eq!(name("127.0.0.1:5000"), "pagi-127.0.0.1_5000");
        assert_eq!(name("[::1]:5000"), "pagi-[__1]_5000");
        let path = format!("/{}/a:b ü.sock", "x".repeat(300));
        let long = Place::Unix(path.into()).kept_as();
        assert!(long.ends_with("/a_b__.sock") && long.len() == LONGEST_NAME + 5, "{long}");
        assert_eq!(Place::Abstract("web:1".to_owned()).kept_as(), "pagi-@web_1");
    }

    #[test]
    fn places_of_addresses() {
        let at = |path: &str| Place::at(&SockAddr::unix(path).unwrap());
        assert_eq!(at("/a"), Some(Place::Unix("/a".into())));
        assert_eq!(at("\0web"), Some(Place::Abstract("web".to_owned())));
        assert_eq!(at("\0we\0b"), None);
        assert_eq!(at(""), None);
        let tcp: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(Place::at(&tcp.into()), Some(Place::Tcp(tcp)));
    }
}
