//! Messages and control frames out: one unmasked frame each, of any length (WS-13, RFC 6455 §5.1).

use super::close;
use super::deflate::Deflater;
use super::extension::Agreement;
use super::frame::{MAX_CONTROL, Opcode, write_header};

/// Longest header of a frame that is not masked.
const MAX_HEADER: usize = 10;

/// Writes a server's frames.
#[derive(Debug)]
pub struct Sender {
    deflater: Option<Deflater>,
}

impl Sender {
    /// A sender for a connection with this agreement about compression, if there is one.
    #[must_use]
    pub fn new(deflate: Option<&Agreement>) -> Self {
        Self { deflater: deflate.map(Deflater::new) }
    }

    /// Appends a text message. The caller has encoded the characters as UTF-8 (WS-14, DATA-9).
    pub fn encode_text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.encode(Opcode::Text, text, out);
    }

    /// Appends a binary message (WS-15).
    pub fn encode_binary(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.encode(Opcode::Binary, bytes, out);
    }

    fn encode(&mut self, opcode: Opcode, content: &[u8], out: &mut Vec<u8>) {
        if let Some(deflater) = &mut self.deflater
            && deflater.wants(content.len())
            && encode_compressed(deflater, opcode, content, out)
        {
            return;
        }
        encode_plain(opcode, content, out);
    }
}

/// Appends a ping; a payload beyond 125 bytes is cut.
pub fn encode_ping(payload: &[u8], out: &mut Vec<u8>) {
    encode_plain(Opcode::Ping, control_part(payload), out);
}

/// Appends a pong with the payload of the ping it answers; beyond 125 bytes it is cut.
pub fn encode_pong(payload: &[u8], out: &mut Vec<u8>) {
    encode_plain(Opcode::Pong, control_part(payload), out);
}

/// Appends a Close frame, empty without a code. A code or reason that must not be on the wire is an error, the sentence
/// that fails the send, and nothing is appended (WS-26).
pub fn encode_close(code_and_reason: Option<(u16, &str)>, out: &mut Vec<u8>) -> Result<(), String> {
    let Some((code, reason)) = code_and_reason else {
        encode_plain(Opcode::Close, b"", out);
        return Ok(());
    };
    close::check(code, reason)?;
    write_header(Opcode::Close, false, 2 + reason.len(), out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
    Ok(())
}

fn control_part(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(MAX_CONTROL as usize)]
}

fn encode_plain(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(MAX_HEADER + payload.len());
    write_header(opcode, false, payload.len(), out);
    out.extend_from_slice(payload);
}

/// The length stands in front of the payload and is known after it: the payload is made behind room for the longest
/// header, and what of that room is left over is closed.
fn encode_compressed(deflater: &mut Deflater, opcode: Opcode, content: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; MAX_HEADER]);
    if !deflater.compress(content, out) {
        out.truncate(start);
        return false;
    }
    let mut header = Vec::with_capacity(MAX_HEADER);
    write_header(opcode, true, out.len() - start - MAX_HEADER, &mut header);
    out.splice(start..start + MAX_HEADER, header);
    true
}

#[cfg(test)]
mod tests {
    use super::super::extension::{DeflateOffer, DeflateOptions, negotiate};
    use super::*;

    fn encoded(write: impl FnOnce(&mut Sender, &mut Vec<u8>)) -> Vec<u8> {
        let mut out = b"before".to_vec();
        write(&mut Sender::new(None), &mut out);
        assert!(out.starts_with(b"before"), "frames are appended");
        out.split_off(6)
    }

    #[test]
    fn ws_14_ws_15_ws_17_messages() {
        assert_eq!(encoded(|sender, out| sender.encode_text(b"Hello", out)), b"\x81\x05Hello");
        assert_eq!(encoded(|sender, out| sender.encode_binary(b"\xff\0", out)), b"\x82\x02\xff\0");
        assert_eq!(encoded(|sender, out| sender.encode_text(b"", out)), b"\x81\0");
    }

    #[test]
    fn messages_of_any_length() {
        for (length, header) in [
            (125, &[0x82, 125][..]),
            (126, &[0x82, 126, 0, 126]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (20 << 20, &[0x82, 127, 0, 0, 0, 0, 1, 0x40, 0, 0]),
        ] {
            let wire = encoded(|sender, out| sender.encode_binary(&vec![7; length], out));
            assert_eq!((&wire[..header.len()], wire.len()), (header, header.len() + length));
        }
    }

    #[test]
    fn control_frames_are_cut_at_125_bytes() {
        assert_eq!(encoded(|_, out| encode_ping(b"", out)), b"\x89\0");
        assert_eq!(encoded(|_, out| encode_pong(b"abc", out)), b"\x8a\x03abc");
        assert_eq!(encoded(|_, out| encode_pong(&[1; 200], out)).len(), 127);
    }

    #[test]
    fn ws_20_ws_26_close_frames() {
        assert_eq!(encoded(|_, out| encode_close(None, out).unwrap()), b"\x88\0");
        assert_eq!(encoded(|_, out| encode_close(Some((1000, "")), out).unwrap()), b"\x88\x02\x03\xe8");
        assert_eq!(encoded(|_, out| encode_close(Some((3000, "é")), out).unwrap()), b"\x88\x04\x0b\xb8\xc3\xa9");
        for (code, reason) in
            [(1005, ""), (1006, ""), (1015, ""), (999, ""), (5000, ""), (1000, "x".repeat(124).as_str())]
        {
            assert!(encoded(|_, out| assert!(encode_close(Some((code, reason)), out).is_err())).is_empty(), "{code}");
        }
    }

    #[test]
    fn rfc_7692_compressed_frames_carry_rsv1() {
        let options = DeflateOptions { min_size: 5, ..DeflateOptions::default() };
        let agreement = negotiate(&[DeflateOffer::default()], &options);
        let mut sender = Sender::new(agreement.as_ref());
        let mut out = Vec::new();
        sender.encode_text(b"Hello", &mut out);
        assert_eq!(out, [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        out.clear();
        sender.encode_text(b"Hell", &mut out);
        assert_eq!(out, b"\x81\x04Hell", "below the minimum size");
        out.clear();
        sender.encode_binary(&vec![0; 400_000], &mut out);
        assert_eq!(out[0], 0xc2);
        assert_eq!(out[1], 126, "one of the longer headers");
        assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), out.len() - 4);
    }
}
