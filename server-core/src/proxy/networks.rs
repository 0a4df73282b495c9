//! Sets of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::scope::Peer;

/// Addresses that begin with the same bits, or all clients of Unix sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// `ADDRESS/BITS`.
    Addresses {
        /// Any address of the network.
        address: IpAddr,
        /// How many bits count.
        bits: u8,
    },
    /// `unix`: whoever may open the socket.
    Unix,
}

impl Network {
    /// Whether it holds an address.
    #[must_use]
    pub fn holds(&self, other: IpAddr) -> bool {
        match (self, other.to_canonical()) {
            (Self::Addresses { address: IpAddr::V4(address), bits }, IpAddr::V4(other)) => {
                same(address.to_bits().into(), other.to_bits().into(), 32 - u32::from(*bits))
            }
            (Self::Addresses { address: IpAddr::V6(address), bits }, IpAddr::V6(other)) => {
                same(address.to_bits(), other.to_bits(), 128 - u32::from(*bits))
            }
            _ => false,
        }
    }
}

/// Whether numbers are the same but for their last bits.
fn same(one: u128, other: u128, ignored: u32) -> bool {
    (one ^ other).checked_shr(ignored).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let wrong = || "takes an address, a network such as 10.0.0.0/8, or unix".to_owned();
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
        };
        if bits > most { Err(wrong()) } else { Ok(Self::Addresses { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix => f.write_str("unix"),
            Self::Addresses { address, bits } => write!(f, "{address}/{bits}"),
        }
    }
}

/// Whether an address is in one of the networks.
#[must_use]
pub fn hold(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.holds(address))
}

/// Whether whoever has made a connection is in one of the networks.
#[must_use]
pub fn hold_peer(networks: &[Network], peer: &Peer) -> bool {
    match &peer.client {
        None => networks.contains(&Network::Unix),
        Some((address, _)) => address.parse().is_ok_and(|address| hold(networks, address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_networks_hold() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/33", "2001:db8:7fff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("::1", "::1", true),
            ("unix", "127.0.0.1", false),
        ] {
            let holds = network.parse::<Network>().unwrap().holds(address.parse().unwrap());
            assert_eq!(holds, expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network() {
        for text in
            ["", "10.0.0.0/33", "::/129", "10.0.0", "host", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/256"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
