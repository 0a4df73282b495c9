//! Where to listen, as the user wrote it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// Host name or address (an IPv6 address without brackets) and port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port; 0 is any free one.
        port: u16,
        /// Whether clients speak TLS here.
        tls: bool,
        /// Whether connections begin with a header of the PROXY protocol.
        proxy: bool,
    },
    /// Path of a Unix socket.
    Unix {
        /// The path.
        path: PathBuf,
        /// Permissions of the socket file; 0600 if none are given.
        mode: Option<u32>,
        /// Whether clients speak TLS here.
        tls: bool,
        /// Whether connections begin with a header of the PROXY protocol.
        proxy: bool,
    },
}

impl Address {
    /// Understands one `--listen` value: `/path`, `./path`, `[v6]:port`, `host:port`, anything else is a path. `,ssl`
    /// behind any of them asks for TLS, `,proxy` for the PROXY protocol.
    ///
    /// # Errors
    /// What is wrong, worded to follow the option's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(place) = text.strip_suffix(",ssl") {
            return Self::parse(place).map(|address| address.with_tls(true));
        }
        if let Some(place) = text.strip_suffix(",proxy") {
            return Self::parse(place).map(|address| address.with_proxy(true));
        }
        Self::parse_place(text)
    }

    /// The same for a place where TLS is not spoken.
    ///
    /// # Errors
    /// What is wrong, worded to follow the option's name.
    pub fn parse_place(text: &str) -> Result<Self, String> {
        const FORMS: &str = "takes HOST:PORT, [IPV6]:PORT or the path of a Unix socket";
        if text.is_empty() {
            return Err(FORMS.to_owned());
        }
        let path = || Self::Unix { path: PathBuf::from(text), mode: None, tls: false, proxy: false };
        if text.starts_with(['/', '.']) {
            return Ok(path());
        }
        if let Some(rest) = text.strip_prefix('[') {
            let Some((host, port)) = rest.split_once("]:") else { return Err(FORMS.to_owned()) };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("takes an IPv6 address between the brackets".to_owned());
            }
            return Ok(Self::Tcp { host: host.to_owned(), port: parse_port(port)?, tls: false, proxy: false });
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                if host.is_empty() {
                    return Err("takes an address before the colon, such as 0.0.0.0".to_owned());
                }
                if host.contains(':') {
                    return Err("takes an IPv6 address in brackets, like [::1]:5000".to_owned());
                }
                Ok(Self::Tcp { host: host.to_owned(), port: parse_port(port)?, tls: false, proxy: false })
            }
            _ => Ok(path()),
        }
    }

    /// The same address with a relative socket path made absolute, so that it stays valid after a change of directory.
    #[must_use]
    pub fn anchored(self, directory: &Path) -> Self {
        match self {
            Self::Unix { path, mode, tls, proxy } => Self::Unix { path: directory.join(path), mode, tls, proxy },
            tcp => tcp,
        }
    }

    /// Whether clients speak TLS here.
    #[must_use]
    pub fn tls(&self) -> bool {
        match self {
            Self::Tcp { tls, .. } | Self::Unix { tls, .. } => *tls,
        }
    }

    /// Whether connections begin with a header of the PROXY protocol.
    #[must_use]
    pub fn proxy(&self) -> bool {
        match self {
            Self::Tcp { proxy, .. } | Self::Unix { proxy, .. } => *proxy,
        }
    }

    /// The same address with or without it.
    #[must_use]
    pub fn with_proxy(mut self, wanted: bool) -> Self {
        match &mut self {
            Self::Tcp { proxy, .. } | Self::Unix { proxy, .. } => *proxy = wanted,
        }
        self
    }

    /// The same address with or without TLS.
    #[must_use]
    pub fn with_tls(mut self, wanted: bool) -> Self {
        match &mut self {
            Self::Tcp { tls, .. } | Self::Unix { tls, .. } => *tls = wanted,
        }
        self
    }
}

/// A port number.
///
/// # Errors
/// What is wrong, worded to follow the option's name.
pub fn parse_port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "takes a port number from 0 to 65535".to_owned())
}

/// `http://HOST:PORT/` or `unix:PATH`, as in the banner; with TLS `https://HOST:PORT/` or `unix:PATH,ssl`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, tls, .. } => {
                let scheme = if *tls { "https" } else { "http" };
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{scheme}://{open}{host}{close}:{port}/")
            }
            Self::Unix { path, tls, .. } => write!(f, "unix:{}{}", path.display(), if *tls { ",ssl" } else { "" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port, tls: false, proxy: false }
    }

    fn unix(path: &str) -> Address {
        Address::Unix { path: path.into(), mode: None, tls: false, proxy: false }
    }

    #[test]
    fn every_form() {
        let table = [
            ("127.0.0.1:5000", tcp("127.0.0.1", 5000)),
            ("example.org:80", tcp("example.org", 80)),
            ("localhost:0", tcp("localhost", 0)),
            ("[::1]:8080", tcp("::1", 8080)),
            ("/run/app.sock", unix("/run/app.sock")),
            ("/run/app:5000", unix("/run/app:5000")),
            ("./app:1", unix("./app:1")),
            ("app.sock", unix("app.sock")),
            ("host:name", unix("host:name")),
            ("host:", unix("host:")),
            ("[::1]:8443,ssl", tcp("::1", 8443).with_tls(true)),
            ("/run/app.sock,ssl", unix("/run/app.sock").with_tls(true)),
            ("h:1,proxy", tcp("h", 1).with_proxy(true)),
            ("h:1,proxy,ssl", tcp("h", 1).with_proxy(true).with_tls(true)),
            ("/run/app.sock,ssl,proxy", unix("/run/app.sock").with_tls(true).with_proxy(true)),
            ("/run/app,ssl.sock", unix("/run/app,ssl.sock")),
        ];
        for (text, expected) in table {
            assert_eq!(Address::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refused_forms() {
        let table = [
            (",ssl", "takes HOST:PORT, [IPV6]:PORT or the path of a Unix socket"),
            ("", "takes HOST:PORT, [IPV6]:PORT or the path of a Unix socket"),
            ("[::1]", "takes HOST:PORT, [IPV6]:PORT or the path of a Unix socket"),
            ("[nonsense]:80", "takes an IPv6 address between the brackets"),
            ("host:65536", "takes a port number from 0 to 65535"),
            ("[::1]:http", "takes a port number from 0 to 65535"),
            (":80", "takes an address before the colon, such as 0.0.0.0"),
            ("::1:80", "takes an IPv6 address in brackets, like [::1]:5000"),
        ];
        for (text, expected) in table {
            assert_eq!(Address::parse(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn shown_as_in_the_banner() {
        assert_eq!(tcp("127.0.0.1", 80).to_string(), "http://127.0.0.1:80/");
        assert_eq!(tcp("::1", 80).to_string(), "http://[::1]:80/");
        assert_eq!(unix("/a b").to_string(), "unix:/a b");
        assert_eq!(tcp("::1", 443).with_tls(true).to_string(), "https://[::1]:443/");
        assert_eq!(unix("/a").with_tls(true).to_string(), "unix:/a,ssl");
    }

    #[test]
    fn only_relative_paths_move() {
        assert_eq!(unix("a.sock").anchored(Path::new("/srv")), unix("/srv/a.sock"));
        assert_eq!(unix("/a.sock").anchored(Path::new("/srv")), unix("/a.sock"));
        assert_eq!(tcp("h", 1).anchored(Path::new("/srv")), tcp("h", 1));
    }
}
