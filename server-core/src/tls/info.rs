//! What a finished handshake says about a connection: the facts behind `extensions.tls` (protocol.md section 16),
//! worked out once per connection (TLS-9).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The application protocol that ALPN has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// `http/1.1`, or nothing was negotiated.
    Http1,
    /// `h2`.
    Http2,
}

impl Protocol {
    /// Names the protocol of a connection by its ALPN identifier.
    #[must_use]
    pub fn of(alpn: Option<&[u8]>) -> Self {
        if alpn == Some(b"h2") { Self::Http2 } else { Self::Http1 }
    }
}

/// The TLS facts of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsInfo {
    /// Wire number of the version: 0x0303 or 0x0304 (TLS-6).
    pub version: u16,
    /// IANA number of the cipher suite (TLS-6).
    pub cipher_suite: u16,
    /// What the connection speaks.
    pub protocol: Protocol,
    /// Name the client asked for (SNI), in lower case.
    pub server_name: Option<String>,
    /// PEM of the certificate we presented, or would have presented in a resumed session.
    pub server_cert: Arc<str>,
    /// PEM certificates of the client, leaf first (TLS-4).
    pub client_cert_chain: Vec<String>,
    /// RFC 4514 name of the client certificate's subject (TLS-5).
    pub client_cert_name: Option<String>,
    /// Why the client's certificate could not be verified, when the connection was kept nevertheless.
    pub client_cert_error: Option<String>,
    /// Whether the session was resumed.
    pub resumed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpn_decides_the_protocol() {
        for (alpn, protocol) in
            [(None, Protocol::Http1), (Some(&b"http/1.1"[..]), Protocol::Http1), (Some(&b"h2"[..]), Protocol::Http2)]
        {
            assert_eq!(Protocol::of(alpn), protocol);
        }
    }
}
