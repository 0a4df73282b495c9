//! The PROXY protocol, versions 1 and 2 (HAProxy, proxy-protocol.txt): what a proxy says about a connection before it
//! passes on the first byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What version 2 begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
pub const WORD: &[u8] = b"PROXY ";
/// Longest line of version 1, with its line end.
pub const MAX_LINE: usize = 107;
/// Bytes of version 2 before what varies.
pub const FIXED: usize = 16;
/// Most bytes behind the fixed part that are read: addresses and a few kilobytes about TLS.
pub const MAX_VARIABLE: usize = 4096;

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preamble {
    /// The proxy speaks for itself, or does not know whom it speaks for: the connection is what it looks like.
    Local,
    /// For this client.
    Proxied {
        /// Where the client is; `None` when it came over a Unix socket.
        addresses: Option<Addresses>,
        /// Whether it speaks TLS to the proxy, if the proxy tells.
        secure: Option<bool>,
    },
}

/// Both ends of the client's connection to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub client: SocketAddr,
    /// What it has connected to.
    pub server: SocketAddr,
}

/// Reads a line of version 1, with its line end.
///
/// # Errors
/// What is wrong with it.
pub fn parse_line(line: &[u8]) -> Result<Preamble, &'static str> {
    let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok()).ok_or("it is not a line")?;
    let words: Vec<&str> = text.split(' ').collect();
    let (client, server, ports) = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => return Ok(Preamble::Local),
        ["PROXY", family @ ("TCP4" | "TCP6"), client, server, ports @ ..] => {
            let address = |text: &str| -> Option<IpAddr> {
                match *family {
                    "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
                    _ => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
                }
            };
            (address(client), address(server), ports)
        }
        _ => return Err("it names no protocol that is known"),
    };
    let port = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    match (client, server, ports) {
        (Some(client), Some(server), [client_port, server_port]) => match (port(client_port), port(server_port)) {
            (Some(client_port), Some(server_port)) => {
                let addresses = addresses((client, client_port), (server, server_port));
                Ok(Preamble::Proxied { addresses: Some(addresses), secure: None })
            }
            _ => Err("its ports are no port numbers"),
        },
        (Some(_), Some(_), _) => Err("it does not have two ports"),
        _ => Err("its addresses are none of that protocol"),
    }
}

/// How many bytes follow the fixed part of version 2.
///
/// # Errors
/// What is wrong with it.
pub fn variable_length(fixed: &[u8; FIXED]) -> Result<usize, &'static str> {
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    match fixed[12] >> 4 {
        2 if length > MAX_VARIABLE => Err("it is longer than 4096 bytes"),
        2 => Ok(length),
        _ => Err("its version is not known"),
    }
}

/// Reads version 2: the fixed part and what follows.
///
/// # Errors
/// What is wrong with it.
pub fn parse_binary(fixed: &[u8; FIXED], variable: &[u8]) -> Result<Preamble, &'static str> {
    match fixed[12] & 0x0f {
        0 => return Ok(Preamble::Local),
        1 => {}
        _ => return Err("its command is not known"),
    }
    let short = "its addresses are cut short";
    let (addresses, rest) = match fixed[13] >> 4 {
        1 => {
            let (bytes, rest) = variable.split_first_chunk::<12>().ok_or(short)?;
            let address = |at: usize| IpAddr::from([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            (Some(self::addresses((address(0), port(8)), (address(4), port(10)))), rest)
        }
        2 => {
            let (bytes, rest) = variable.split_first_chunk::<36>().ok_or(short)?;
            let address = |at: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&bytes[at..at + 16]);
                IpAddr::from(octets)
            };
            let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            (Some(self::addresses((address(0), port(32)), (address(16), port(34)))), rest)
        }
        3 => (None, variable.get(216..).ok_or(short)?),
        // Whoever does not know the family takes the connection as it is.
        _ => return Ok(Preamble::Local),
    };
    Ok(Preamble::Proxied { addresses, secure: tls_of(rest)? })
}

fn addresses(client: (IpAddr, u16), server: (IpAddr, u16)) -> Addresses {
    Addresses { client: client.into(), server: server.into() }
}

/// PP2_TYPE_SSL among the extensions: its first byte says whether the client speaks TLS.
fn tls_of(mut rest: &[u8]) -> Result<Option<bool>, &'static str> {
    const SSL: u8 = 0x20;
    const CLIENT_SSL: u8 = 0x01;
    let mut secure = None;
    while let Some(([kind, high, low], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = after.get(..length).ok_or("an extension is cut short")?;
        if *kind == SSL {
            secure = Some(value.first().is_some_and(|flags| flags & CLIENT_SSL != 0));
        }
        rest = &after[length..];
    }
    if rest.is_empty() { Ok(secure) } else { Err("an extension is cut short") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(client: &str, server: &str, secure: Option<bool>) -> Preamble {
        let addresses = Addresses { client: client.parse().unwrap(), server: server.parse().unwrap() };
        Preamble::Proxied { addresses: Some(addresses), secure }
    }

    #[test]
    fn lines_of_version_1() {
        for (line, expected) in [
            (
                "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
                Ok(proxied("192.0.2.1:56324", "198.51.100.2:443", None)),
            ),
            ("PROXY TCP6 2001:db8::1 ::2 1 65535\r\n", Ok(proxied("[2001:db8::1]:1", "[::2]:65535", None))),
            ("PROXY UNKNOWN\r\n", Ok(Preamble::Local)),
            ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Ok(Preamble::Local)),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n", Err("it is not a line")),
            ("PROXY TCP4 ::1 ::2 1 2\r\n", Err("its addresses are none of that protocol")),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", Err("its ports are no port numbers")),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Err("its ports are no port numbers")),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", Err("it does not have two ports")),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", Err("it does not have two ports")),
            ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", Err("it names no protocol that is known")),
        ] {
            assert_eq!(parse_line(line.as_bytes()), expected, "{line:?}");
        }
    }

    fn fixed(command: u8, family: u8, length: u16) -> [u8; FIXED] {
        let mut fixed = [0; FIXED];
        fixed[..12].copy_from_slice(&SIGNATURE);
        fixed[12] = command;
        fixed[13] = family;
        fixed[14..].copy_from_slice(&length.to_be_bytes());
        fixed
    }

    #[test]
    fn version_2() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 2, 0, 80, 1, 187];
        let parse =
            |command, family, variable: &[u8]| parse_binary(&fixed(command, family, variable.len() as u16), variable);
        assert_eq!(parse(0x21, 0x11, &v4), Ok(proxied("192.0.2.1:80", "198.51.100.2:443", None)));
        let tls = [&v4[..], &[0x04, 0, 1, 9], &[0x20, 0, 5, 1, 0, 0, 0, 0]].concat();
        assert_eq!(parse(0x21, 0x11, &tls), Ok(proxied("192.0.2.1:80", "198.51.100.2:443", Some(true))));
        let clear = [&v4[..], &[0x20, 0, 5, 0, 0, 0, 0, 0]].concat();
        assert_eq!(parse(0x21, 0x11, &clear), Ok(proxied("192.0.2.1:80", "198.51.100.2:443", Some(false))));
        let v6 = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0; 16]].concat();
        let v6 = [&v6[..], &[0, 1, 0, 2]].concat();
        assert_eq!(parse(0x21, 0x21, &v6), Ok(proxied("[2001:db8::1]:1", "[::]:2", None)));
        assert_eq!(parse(0x20, 0x11, &v4), Ok(Preamble::Local));
        assert_eq!(parse(0x21, 0x00, &[]), Ok(Preamble::Local));
        assert_eq!(parse(0x21, 0x31, &[0; 216]), Ok(Preamble::Proxied { addresses: None, secure: None }));
        assert_eq!(parse(0x21, 0x11, &v4[..11]), Err("its addresses are cut short"));
        assert_eq!(parse(0x21, 0x11, &[&v4[..], &[0x20, 0, 5, 1]].concat()), Err("an extension is cut short"));
        assert_eq!(parse(0x21, 0x11, &[&v4[..], &[0x20]].concat()), Err("an extension is cut short"));
        assert_eq!(parse(0x22, 0x11, &v4), Err("its command is not known"));
    }

    #[test]
    fn the_length_has_a_limit() {
        assert_eq!(variable_length(&fixed(0x21, 0x11, 4096)), Ok(4096));
        assert_eq!(variable_length(&fixed(0x21, 0x11, 4097)), Err("it is longer than 4096 bytes"));
        assert_eq!(variable_length(&fixed(0x11, 0x11, 12)), Err("its version is not known"));
    }
}
