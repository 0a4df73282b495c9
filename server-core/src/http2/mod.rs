//! HTTP/2.
//!
//! Frames, HPACK, stream states and flow control are the `h2` crate's. What is ours:
//!
//! * [`connection`] is the life of one connection: it accepts streams, announces its end, and cuts attackers;
//! * [`stream`] moves one stream's bytes between the crate and the same [`Exchange`](crate::exchange::Exchange) that
//!   HTTP/1 uses, so that applications cannot tell the protocols apart;
//! * [`request`] makes the [`RequestHead`](crate::scope::RequestHead), [`response`] what the application's events become;
//! * [`guard`] stands between the crate and the socket. It counts bytes and frames: [`frames`] finds the frames in what
//!   a client sends, [`flood`] says when there are too many of a kind;
//! * [`link`] is what the connection and its streams tell each other.

pub(crate) mod connection;
mod flood;
mod frames;
mod guard;
mod link;
pub mod options;
mod request;
pub(crate) mod response;
mod stream;
mod tunnel;

/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client is told that there is no room for: SETTINGS, which has to come first, and GOAWAY with NO_ERROR, which names
/// stream 0 as the last one: nothing was done, all may be tried elsewhere.
pub(crate) const NO_ROOM: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Whether bytes may be the beginning of [`PREFACE`].
pub(crate) fn may_be_preface(bytes: &[u8]) -> bool {
    let length = bytes.len().min(PREFACE.len());
    bytes[..length] == PREFACE[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preface_is_told_from_the_first_byte_that_differs() {
        assert!(may_be_preface(b"PRI") && may_be_preface(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"));
        for other in [&b"G"[..], b"PUT", b"PRI * HTTP/1.1", b"PRI * HTTP/2.0\r\nhost"] {
            assert!(!may_be_preface(other), "{other:?}");
        }
    }
}
