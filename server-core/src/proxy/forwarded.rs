//! What trusted proxies say about a request: `x-forwarded-*`, or `forwarded` (RFC 7239).
//!
//! Each proxy appends what it has seen, and only the proxies are believed: the fields are read from their ends, until an
//! address appears that is not one of theirs. What stands before it was written by anybody.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::networks::{self, Network};
use crate::header::{HeaderList, list_elements};
use crate::http1::head::is_authority;
use crate::scope::{Peer, RequestHead};

/// Which fields the proxies write. Only these are read: a client's own field of the other kind passes through proxies that
/// do not know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fields {
    /// `x-forwarded-for`, `-proto`, `-host` and `-port`.
    #[default]
    XForwarded,
    /// `forwarded`.
    Forwarded,
}

/// Whom to believe, and what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyOptions {
    /// Networks of the proxies; none by default.
    pub trusted: Vec<Network>,
    /// The fields they write.
    pub fields: Fields,
}

/// What is known about the client's side of the proxies.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    client: Option<(IpAddr, u16)>,
    secure: Option<bool>,
    host: Option<Vec<u8>>,
    port: Option<u16>,
}

impl ProxyOptions {
    /// Whether whoever has made this connection is believed.
    #[must_use]
    pub fn trusts(&self, peer: &Peer) -> bool {
        networks::hold_peer(&self.trusted, peer)
    }

    /// The peer as the proxies have seen it. The `host` field becomes the one that the client has sent to them.
    pub(crate) fn see_through(&self, peer: &Rc<Peer>, head: &mut RequestHead) -> Rc<Peer> {
        if self.trusted.is_empty() || !self.trusts(peer) {
            return Rc::clone(peer);
        }
        let told = match self.fields {
            Fields::XForwarded => self.x_forwarded(head.headers()),
            Fields::Forwarded => self.forwarded(head.headers()),
        };
        if told == Told::default() {
            return Rc::clone(peer);
        }
        let secure = told.secure.unwrap_or(peer.secure);
        let mut server = peer.server.clone();
        if let Some(host) = &told.host {
            let (name, port) = authority(host);
            server = (name, Some(port.unwrap_or(if secure { 443 } else { 80 })));
            head.headers.replace(b"host", host);
        }
        if let Some(port) = told.port {
            server.1 = Some(port);
        }
        let client = told.client.map(|(address, port)| (address.to_string(), port));
        Rc::new(Peer { client: client.or_else(|| peer.client.clone()), server, tls: peer.tls.clone(), secure })
    }

    fn x_forwarded(&self, headers: &HeaderList) -> Told {
        let addresses = list(headers, b"x-forwarded-for");
        let (client, hops) = self.walk(addresses.iter().copied());
        // The proxies' values are the last ones; of those, the first was seen nearest to the client.
        let pick = |name: &[u8]| -> Option<Vec<u8>> {
            let values = list(headers, name);
            values.get(values.len().saturating_sub(hops.max(1))).map(|value| value.to_vec())
        };
        Told {
            client,
            secure: pick(b"x-forwarded-proto").and_then(|scheme| is_secure(&scheme)),
            host: pick(b"x-forwarded-host").filter(|host| is_authority(host)),
            port: pick(b"x-forwarded-port").and_then(|port| std::str::from_utf8(&port).ok()?.parse().ok()),
        }
    }

    fn forwarded(&self, headers: &HeaderList) -> Told {
        let elements: Vec<Vec<(Vec<u8>, Vec<u8>)>> = headers.values(b"forwarded").flat_map(elements).collect();
        let value = |element: &[(Vec<u8>, Vec<u8>)], name: &[u8]| {
            element.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let addresses: Vec<_> = elements.iter().map(|element| value(element, b"for").unwrap_or_default()).collect();
        let (client, hops) = self.walk(addresses.iter().map(Vec::as_slice));
        let Some(element) = elements.get(elements.len().saturating_sub(hops.max(1))) else { return Told::default() };
        Told {
            client,
            secure: value(element, b"proto").and_then(|scheme| is_secure(&scheme)),
            host: value(element, b"host").filter(|host| is_authority(host)),
            port: None,
        }
    }

    /// Goes back from proxy to proxy. The address nearest to the client that a proxy vouches for, and how many values that
    /// took.
    fn walk<'a>(&self, addresses: impl DoubleEndedIterator<Item = &'a [u8]>) -> (Option<(IpAddr, u16)>, usize) {
        let (mut client, mut hops) = (None, 0);
        for text in addresses.rev() {
            // A proxy may hide what it has seen (RFC 7239 §6): then this is all there is to know.
            let Some(address) = node(text) else { break };
            client = Some(address);
            hops += 1;
            if !networks::hold(&self.trusted, address.0) {
                break;
            }
        }
        (client, hops)
    }
}

fn list<'a>(headers: &'a HeaderList, name: &'a [u8]) -> Vec<&'a [u8]> {
    headers.values(name).flat_map(list_elements).collect()
}

fn is_secure(scheme: &[u8]) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_slice() {
        b"https" | b"wss" => Some(true),
        b"http" | b"ws" => Some(false),
        _ => None,
    }
}

/// An address with or without a port: `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`.
fn node(text: &[u8]) -> Option<(IpAddr, u16)> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some((address.to_canonical(), 0));
    }
    text.parse::<SocketAddr>().ok().map(|address| (address.ip().to_canonical(), address.port()))
}

/// Name and port of a `host` value that was checked.
fn authority(host: &[u8]) -> (String, Option<u16>) {
    let text = String::from_utf8_lossy(host).into_owned();
    match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name.trim_matches(['[', ']']).to_owned(), port.parse().ok()),
        _ => (text.trim_matches(['[', ']']).to_owned(), None),
    }
}

/// The elements of a `forwarded` value, each a list of (lower-case name, value). What cannot be read is an element without
/// anything in it: it must still count as a hop.
fn elements(value: &[u8]) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    split(value, b',').into_iter().map(|element| split(element, b';').into_iter().filter_map(pair).collect()).collect()
}

/// Splits where the separator is not inside quotes.
fn split(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if byte == separator && !quoted => {
                parts.push(text[start..at].trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim_ascii());
    parts
}

fn pair(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let equals = memchr::memchr(b'=', text)?;
    let value = &text[equals + 1..];
    let value = match value.strip_prefix(b"\"") {
        None => value.to_vec(),
        Some(rest) => {
            let mut bytes = rest.strip_suffix(b"\"")?.iter();
            let mut plain = Vec::new();
            while let Some(&byte) = bytes.next() {
                plain.push(if byte == b'\\' { *bytes.next()? } else { byte });
            }
            plain
        }
    };
    Some((text[..equals].to_ascii_lowercase(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(fields: Fields) -> ProxyOptions {
        let trusted = ["10.0.0.0/8", "2001:db8::/32", "unix"].map(|text| text.parse().unwrap()).to_vec();
        ProxyOptions { trusted, fields }
    }

    fn list(fields: &[(&str, &str)]) -> HeaderList {
        let mut list = HeaderList::new();
        fields.iter().for_each(|(name, value)| list.push(name.as_bytes(), value.as_bytes()));
        list
    }

    /// Client, scheme, host and port as one text.
    fn shown(told: &Told) -> String {
        let client = told.client.map_or("-".to_owned(), |(address, port)| format!("{address}/{port}"));
        let scheme = told.secure.map_or("-", |secure| if secure { "https" } else { "http" });
        let host = told.host.as_ref().map_or("-".into(), |host| String::from_utf8_lossy(host));
        format!("{client} {scheme} {host} {}", told.port.map_or("-".to_owned(), |port| port.to_string()))
    }

    #[test]
    fn x_forwarded_table() {
        const FOR: &str = "x-forwarded-for";
        const PROTO: &str = "x-forwarded-proto";
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[], "- - - -"),
            (&[(FOR, "192.0.2.1")], "192.0.2.1/0 - - -"),
            (&[(FOR, "192.0.2.1:4711")], "192.0.2.1/4711 - - -"),
            (&[(FOR, "[2001:db9::1]:80")], "2001:db9::1/80 - - -"),
            (&[(FOR, "2001:db9::1")], "2001:db9::1/0 - - -"),
            (&[(FOR, "6.6.6.6, 192.0.2.1")], "192.0.2.1/0 - - -"),
            (&[(FOR, "6.6.6.6, 192.0.2.1, 10.0.0.2")], "192.0.2.1/0 - - -"),
            (&[(FOR, "6.6.6.6"), (FOR, "192.0.2.1"), (FOR, "10.0.0.2")], "192.0.2.1/0 - - -"),
            (&[(FOR, "10.0.0.3, 10.0.0.2")], "10.0.0.3/0 - - -"),
            (&[(FOR, "unknown, 10.0.0.2")], "10.0.0.2/0 - - -"),
            (&[(FOR, "nonsense")], "- - - -"),
            (&[(PROTO, "HTTPS")], "- https - -"),
            (&[(PROTO, "gopher")], "- - - -"),
            (&[(FOR, "192.0.2.1"), (PROTO, "http, https")], "192.0.2.1/0 https - -"),
            (&[(FOR, "192.0.2.1, 10.0.0.2"), (PROTO, "gopher, https, http")], "192.0.2.1/0 https - -"),
            (&[(FOR, "192.0.2.1, 10.0.0.2"), (PROTO, "https")], "192.0.2.1/0 https - -"),
            (&[("x-forwarded-host", "a.example:8443"), ("x-forwarded-port", "443")], "- - a.example:8443 443"),
            (&[("x-forwarded-host", "evil/path")], "- - - -"),
            (&[("x-forwarded-port", "70000")], "- - - -"),
            (&[("forwarded", "for=192.0.2.1")], "- - - -"),
        ];
        for (fields, expected) in table {
            assert_eq!(shown(&options(Fields::XForwarded).x_forwarded(&list(fields))), *expected, "{fields:?}");
        }
    }

    #[test]
    fn rfc_7239_table() {
        for (value, expected) in [
            ("for=192.0.2.43", "192.0.2.43/0 - - -"),
            ("For=\"[2001:db9::17]:4711\"", "2001:db9::17/4711 - - -"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60/0 http - -"),
            ("for=6.6.6.6;proto=https, for=192.0.2.43;proto=http;host=a.example", "192.0.2.43/0 http a.example -"),
            ("for=192.0.2.43;proto=https, for=10.0.0.7;proto=http", "192.0.2.43/0 https - -"),
            ("for=\"_hidden, x\";proto=https", "- https - -"),
            ("for=192.0.2.43, for=unknown", "- - - -"),
            ("for=\"192.0.2.\\4\\3\"; host=\"a.example:1\"", "192.0.2.43/0 - a.example:1 -"),
            ("for=\"192.0.2.43", "- - - -"),
            ("", "- - - -"),
        ] {
            let told = options(Fields::Forwarded).forwarded(&list(&[("forwarded", value)]));
            assert_eq!(shown(&told), expected, "{value}");
        }
        let told = options(Fields::Forwarded).forwarded(&list(&[("x-forwarded-for", "1.2.3.4")]));
        assert_eq!(told, Told::default(), "only the fields the proxies write are read");
    }

    #[test]
    fn hosts_have_names_and_ports() {
        for (host, expected) in [
            ("a.example", ("a.example", None)),
            ("a.example:80", ("a.example", Some(80))),
            ("[::1]:80", ("::1", Some(80))),
            ("[::1]", ("::1", None)),
            ("a:", ("a", None)),
        ] {
            assert_eq!(authority(host.as_bytes()), (expected.0.to_owned(), expected.1), "{host}");
        }
    }
}
