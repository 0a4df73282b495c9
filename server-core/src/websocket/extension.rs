//! Negotiation of permessage-deflate (RFC 7692 §5 and §7.1): what clients offer, what we agree to.

use std::fmt::Write as _;

use crate::header::{HeaderList, is_token};

/// Name of the extension.
const NAME: &[u8] = b"permessage-deflate";

/// What we are willing to do. Window bits are base-2 logarithms of the sliding window in bytes, 9 to 15; values outside
/// are taken as the nearest.
#[derive(Debug, Clone)]
pub struct DeflateOptions {
    /// Whether compression is negotiated at all. Default on.
    pub enabled: bool,
    /// Effort of compressing, 0 (none) to 9 (most). Default 6.
    pub level: u32,
    /// Messages below this many bytes are sent as they are. Default 128.
    pub min_size: usize,
    /// Whether our compressor may keep its window between messages. Messages that resemble each other become much
    /// smaller, for up to 370 KB per connection that has been sent a compressed message. Without it all connections
    /// of a thread share one compressor. Default off.
    pub server_context_takeover: bool,
    /// Whether the client's compressor may keep its window, for which we keep one too: 40 KB per connection that has
    /// sent a compressed message. Default on.
    pub client_context_takeover: bool,
    /// Largest window of our compressor. Default 15.
    pub server_max_window_bits: u8,
    /// Largest window of the client's compressor; binds only clients that can be told. Default 15.
    pub client_max_window_bits: u8,
}

impl Default for DeflateOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            level: 6,
            min_size: 128,
            server_context_takeover: false,
            client_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}

/// One well-formed offer of a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeflateOffer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// Present without a value: the client can be told any.
    client_max_window_bits: Option<Option<u8>>,
}

/// What both sides will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// Our compressor forgets its window after each message.
    pub server_no_context_takeover: bool,
    /// The client's compressor forgets its window after each message.
    pub client_no_context_takeover: bool,
    /// Window of our compressor, 9 to 15; named in the response when the client asked or when it is below 15.
    pub server_max_window_bits: u8,
    /// Window of the client's compressor, 8 to 15.
    pub client_max_window_bits: u8,
    names_server_bits: bool,
    names_client_bits: bool,
    /// Effort of our compressor.
    pub level: u32,
    /// Smallest message that is compressed, bytes.
    pub min_size: usize,
}

/// The offers in all `Sec-WebSocket-Extensions` headers, in the client's order of preference. Other extensions and
/// offers that break a rule (an unknown or repeated parameter, a value out of range) are left out: declining is what
/// RFC 7692 §5.1 and §7.1 ask for.
#[must_use]
pub fn offers(headers: &HeaderList) -> Vec<DeflateOffer> {
    headers
        .values(b"sec-websocket-extensions")
        .flat_map(|value| split_outside_quotes(value, b','))
        .filter_map(DeflateOffer::parse)
        .collect()
}

/// The first offer that can be met, met.
#[must_use]
pub fn negotiate(offers: &[DeflateOffer], options: &DeflateOptions) -> Option<Agreement> {
    if !options.enabled {
        return None;
    }
    offers.iter().find_map(|offer| offer.answer(options))
}

impl DeflateOffer {
    fn parse(element: &[u8]) -> Option<Self> {
        let mut parts = split_outside_quotes(element, b';').map(<[u8]>::trim_ascii);
        if !parts.next()?.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut offer = Self::default();
        for part in parts {
            let (name, value) = match memchr::memchr(b'=', part) {
                Some(at) => (part[..at].trim_ascii(), Some(unquoted(part[at + 1..].trim_ascii())?)),
                None => (part, None),
            };
            // Each parameter at most once (RFC 7692 §7.1).
            let fresh = match (name.to_ascii_lowercase().as_slice(), value) {
                (b"server_no_context_takeover", None) => {
                    !std::mem::replace(&mut offer.server_no_context_takeover, true)
                }
                (b"client_no_context_takeover", None) => {
                    !std::mem::replace(&mut offer.client_no_context_takeover, true)
                }
                (b"server_max_window_bits", Some(value)) => {
                    offer.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                (b"client_max_window_bits", None) => offer.client_max_window_bits.replace(None).is_none(),
                (b"client_max_window_bits", Some(value)) => {
                    offer.client_max_window_bits.replace(Some(window_bits(value)?)).is_none()
                }
                _ => false,
            };
            if !fresh {
                return None;
            }
        }
        Some(offer)
    }

    fn answer(&self, options: &DeflateOptions) -> Option<Agreement> {
        // zlib cannot compress with a window of 256 bytes (8 bits); an offer that insists on it is declined.
        if self.server_max_window_bits == Some(8) {
            return None;
        }
        let server_limit = options.server_max_window_bits.clamp(9, 15);
        let server_bits = self.server_max_window_bits.unwrap_or(15).min(server_limit);
        // §7.1.2.2: only a client that names the parameter can be told; any smaller window inflates with a larger one.
        let client_bits = match self.client_max_window_bits {
            Some(bits) => bits.unwrap_or(15).min(options.client_max_window_bits.clamp(9, 15)),
            None => 15,
        };
        Some(Agreement {
            server_no_context_takeover: self.server_no_context_takeover || !options.server_context_takeover,
            // §7.1.1.2: the client's hint that it will not keep a window lets us not keep one either.
            client_no_context_takeover: self.client_no_context_takeover || !options.client_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
            names_server_bits: self.server_max_window_bits.is_some() || server_bits < 15,
            names_client_bits: client_bits < 15,
            level: options.level.min(9),
            min_size: options.min_size,
        })
    }
}

impl Agreement {
    /// Value of `Sec-WebSocket-Extensions` in the response.
    #[must_use]
    pub fn header_value(&self) -> String {
        let mut value = "permessage-deflate".to_owned();
        if self.server_no_context_takeover {
            value.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            value.push_str("; client_no_context_takeover");
        }
        // Writing to a String cannot fail.
        if self.names_server_bits {
            let _ = write!(value, "; server_max_window_bits={}", self.server_max_window_bits);
        }
        if self.names_client_bits {
            let _ = write!(value, "; client_max_window_bits={}", self.client_max_window_bits);
        }
        value
    }
}

/// A decimal integer from 8 to 15 without leading zeroes (RFC 7692 §7.1.2).
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// A parameter value without its quotes; what it says must be a token either way (RFC 6455 §9.1).
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let inner = match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    };
    is_token(inner).then_some(inner)
}

/// Pieces between separators that are not inside a quoted string.
fn split_outside_quotes(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    bytes.split(move |&byte| {
        if escaped {
            escaped = false;
        } else if quoted && byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            quoted = !quoted;
        }
        byte == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options that add nothing to what a client offers.
    fn agreeable() -> DeflateOptions {
        DeflateOptions { server_context_takeover: true, ..DeflateOptions::default() }
    }

    fn answered(headers: &[&str], options: &DeflateOptions) -> Option<String> {
        let mut list = HeaderList::new();
        for value in headers {
            list.push(b"sec-websocket-extensions", value.as_bytes());
        }
        negotiate(&offers(&list), options).map(|agreement| agreement.header_value())
    }

    #[test]
    fn rfc_7692_answers() {
        for (offer, expected) in [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            ("Permessage-Deflate;CLIENT_MAX_WINDOW_BITS", "permessage-deflate"),
            ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
            ("permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
            ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"),
            ("permessage-deflate; server_max_window_bits=\"10\"", "permessage-deflate; server_max_window_bits=10"),
            ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
            ("permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"),
            ("permessage-deflate; client_max_window_bits=8", "permessage-deflate; client_max_window_bits=8"),
            ("x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"),
            (
                "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9",
                "permessage-deflate; server_max_window_bits=9",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=12; client_max_window_bits=11",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=12; client_max_window_bits=11",
            ),
        ] {
            assert_eq!(answered(&[offer], &agreeable()).as_deref(), Some(expected), "{offer}");
        }
    }

    #[test]
    fn rfc_7692_malformed_offers_are_declined() {
        for offer in [
            "",
            "x-other",
            "permessage-deflate-x",
            "permessage-deflate; unknown",
            "permessage-deflate;",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=\"9",
            "permessage-deflate; client_max_window_bits=\"9, permessage-deflate",
        ] {
            assert_eq!(answered(&[offer], &agreeable()), None, "{offer}");
        }
    }

    #[test]
    fn rfc_7692_several_headers_in_order() {
        let headers = ["permessage-deflate; unknown", "x-a, permessage-deflate; server_max_window_bits=11"];
        let expected = "permessage-deflate; server_max_window_bits=11";
        assert_eq!(answered(&headers, &agreeable()).as_deref(), Some(expected));
    }

    #[test]
    fn rfc_7692_our_own_limits() {
        let forgetful = Some("permessage-deflate; server_no_context_takeover".to_owned());
        assert_eq!(answered(&["permessage-deflate"], &DeflateOptions::default()), forgetful);
        let off = DeflateOptions { enabled: false, ..DeflateOptions::default() };
        assert_eq!(answered(&["permessage-deflate"], &off), None);
        let small = DeflateOptions {
            server_context_takeover: false,
            client_context_takeover: false,
            server_max_window_bits: 12,
            client_max_window_bits: 10,
            ..DeflateOptions::default()
        };
        let forgetful = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for (offer, expected) in [
            // A client that does not know the parameter must not be sent it (§7.1.2.2).
            ("permessage-deflate", format!("{forgetful}; server_max_window_bits=12")),
            (
                "permessage-deflate; client_max_window_bits",
                format!("{forgetful}; server_max_window_bits=12; client_max_window_bits=10"),
            ),
            (
                "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
                format!("{forgetful}; server_max_window_bits=9; client_max_window_bits=9"),
            ),
        ] {
            assert_eq!(answered(&[offer], &small), Some(expected), "{offer}");
        }
        let out_of_range = DeflateOptions { server_max_window_bits: 3, level: 99, ..DeflateOptions::default() };
        let agreement = negotiate(&[DeflateOffer::default()], &out_of_range).unwrap();
        assert_eq!((agreement.server_max_window_bits, agreement.level), (9, 9));
    }
}
