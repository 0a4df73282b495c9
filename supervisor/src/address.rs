//! Where to listen, as the user wrote it ([`parse`] reads it) or as it was bound.

use std::fmt;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

mod parse;

pub use parse::parse_port;

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// What clients connect to.
    pub target: Target,
    /// Whether clients speak TLS here.
    pub tls: bool,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy: bool,
}

/// What clients connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Host name or address (an IPv6 address without brackets) and port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port; 0 is any free one.
        port: u16,
    },
    /// A Unix socket with a file.
    Unix {
        /// The path.
        path: PathBuf,
        /// Who may connect.
        access: Access,
    },
    /// A Unix socket in the abstract namespace of Linux: a name without a file. Everybody on the machine may connect.
    Abstract(String),
    /// What systemd has passed under this name; gives way to the addresses behind it before anything is bound.
    Passed(Passed),
}

/// Owner and permissions of a socket file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Permissions; 0600 if none are given.
    pub mode: Option<u32>,
    /// Name or number of a user; if none is given, whom the server runs as.
    pub owner: Option<String>,
    /// Name or number of a group, likewise.
    pub group: Option<String>,
}

/// How a socket that was passed is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Passed {
    /// By a name of `LISTEN_FDNAMES`, which several sockets may have.
    Name(String),
    /// By the number of its descriptor; the first is 3.
    Number(RawFd),
}

impl From<Target> for Address {
    /// In the clear, without a proxy's header.
    fn from(target: Target) -> Self {
        Self { target, tls: false, proxy: false }
    }
}

impl Address {
    /// A TCP address.
    #[must_use]
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Target::Tcp { host: host.into(), port }.into()
    }

    /// A Unix socket with a file.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Target::Unix { path: path.into(), access: Access::default() }.into()
    }

    /// A Unix socket without a file.
    #[must_use]
    pub fn unnamed(name: impl Into<String>) -> Self {
        Target::Abstract(name.into()).into()
    }

    /// The same address with a relative socket path made absolute, so that it stays valid after a change of directory.
    #[must_use]
    pub fn anchored(mut self, directory: &Path) -> Self {
        if let Target::Unix { path, .. } = &mut self.target {
            *path = directory.join(&*path);
        }
        self
    }

    /// The same address with these permissions, where it has a file and names none itself.
    #[must_use]
    pub fn with_default_mode(mut self, default: Option<u32>) -> Self {
        if let Target::Unix { access, .. } = &mut self.target {
            access.mode = access.mode.or(default);
        }
        self
    }

    /// Whether clients speak TLS here.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Whether connections begin with a header of the PROXY protocol.
    #[must_use]
    pub fn proxy(&self) -> bool {
        self.proxy
    }

    /// Whether somebody else has to open it.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        matches!(self.target, Target::Passed(_))
    }

    /// The same address with or without a proxy's header.
    #[must_use]
    pub fn with_proxy(mut self, wanted: bool) -> Self {
        self.proxy = wanted;
        self
    }

    /// The same address with or without TLS.
    #[must_use]
    pub fn with_tls(mut self, wanted: bool) -> Self {
        self.tls = wanted;
        self
    }

    /// As the value of `--listen`, without what only concerns its file.
    #[must_use]
    pub fn as_option(&self) -> String {
        let place = match &self.target {
            Target::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Target::Tcp { host, port } => format!("{host}:{port}"),
            Target::Unix { path, .. } => path.display().to_string(),
            Target::Abstract(name) => format!("unix:@{name}"),
            Target::Passed(passed) => passed.to_string(),
        };
        let word = |wanted: bool, word: &'static str| if wanted { word } else { "" };
        place + word(self.tls, ",ssl") + word(self.proxy, ",proxy")
    }
}

/// `fd:NAME` or `fd:NUMBER`.
impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "fd:{name}"),
            Self::Number(number) => write!(f, "fd:{number}"),
        }
    }
}

/// `http://HOST:PORT/`, `unix:PATH` or `unix:@NAME`, as in the banner; with TLS `https://HOST:PORT/` or `unix:PATH,ssl`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ssl = if self.tls { ",ssl" } else { "" };
        match &self.target {
            Target::Tcp { host, port } => {
                let scheme = if self.tls { "https" } else { "http" };
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{scheme}://{open}{host}{close}:{port}/")
            }
            Target::Unix { path, .. } => write!(f, "unix:{}{ssl}", path.display()),
            Target::Abstract(name) => write!(f, "unix:@{name}{ssl}"),
            Target::Passed(passed) => write!(f, "{passed}{ssl}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_in_the_banner() {
        assert_eq!(Address::tcp("127.0.0.1", 80).to_string(), "http://127.0.0.1:80/");
        assert_eq!(Address::tcp("::1", 80).to_string(), "http://[::1]:80/");
        assert_eq!(Address::unix("/a b").to_string(), "unix:/a b");
        assert_eq!(Address::tcp("::1", 443).with_tls(true).to_string(), "https://[::1]:443/");
        assert_eq!(Address::unix("/a").with_tls(true).to_string(), "unix:/a,ssl");
        assert_eq!(Address::unnamed("web").with_tls(true).to_string(), "unix:@web,ssl");
    }

    #[test]
    fn shown_as_the_option() {
        for text in ["h:1", "[::1]:2,ssl", "/a,proxy", "unix:@web,ssl,proxy", "fd:web", "fd:3,ssl"] {
            assert_eq!(Address::parse(text).unwrap().as_option(), text);
        }
    }

    #[test]
    fn only_relative_paths_move() {
        let here = Path::new("/srv");
        assert_eq!(Address::unix("a.sock").anchored(here), Address::unix("/srv/a.sock"));
        for still in [Address::unix("/a.sock"), Address::tcp("h", 1), Address::unnamed("a")] {
            assert_eq!(still.clone().anchored(here), still);
        }
    }

    #[test]
    fn an_address_knows_its_own_mode_best() {
        let mode = |text: &str| match Address::parse(text).unwrap().with_default_mode(Some(0o600)).target {
            Target::Unix { access, .. } => access.mode,
            _ => None,
        };
        assert_eq!([mode("/a"), mode("/a,mode=0660"), mode("h:1")], [Some(0o600), Some(0o660), None]);
    }
}
