//! PEM text of certificates (RFC 7468), made from the DER as it was sent (TLS-7).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters per line (RFC 7468 §2).
const LINE: usize = 64;

/// A certificate as PEM text, with a line end after its last line.
#[must_use]
pub fn certificate(der: &[u8]) -> String {
    let mut text = String::with_capacity(der.len() * 4 / 3 + der.len() / 48 + 64);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    // 48 bytes make one line of 64 characters.
    for line in der.chunks(LINE / 4 * 3) {
        for group in line.chunks(3) {
            push_group(&mut text, group);
        }
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// One to three bytes as four characters (RFC 4648 §4).
fn push_group(text: &mut String, group: &[u8]) {
    let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
    let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    for position in 0..4 {
        let sextet = (bits >> (18 - 6 * position) & 0x3f) as usize;
        text.push(if position > group.len() { '=' } else { char::from(ALPHABET[sextet]) });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn lines_and_padding() {
        assert_eq!(certificate(b"f"), "-----BEGIN CERTIFICATE-----\nZg==\n-----END CERTIFICATE-----\n");
        let text = certificate(&[0; 49]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[1].len(), lines[2]), (64, "AA=="));
    }

    proptest! {
        #[test]
        fn tls_7_reading_gives_the_same_bytes(der in proptest::collection::vec(any::<u8>(), 1..600)) {
            let read = CertificateDer::from_pem_slice(certificate(&der).as_bytes()).unwrap();
            prop_assert_eq!(&read[..], &der[..]);
        }
    }
}
