//! One certificate we present: its chain and key, checked against each other and against the clock.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::tls::material::Contents;
use crate::tls::pem;

/// A certificate that is fit to be presented.
pub struct Certificate {
    /// Chain and key.
    pub key: Arc<CertifiedKey>,
    /// DNS names it is for, in lower case; a first label of `*` stands for any one label.
    pub names: Vec<String>,
    /// The leaf as PEM text.
    pub pem: Arc<str>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate for {}", self.names.join(", "))
    }
}

impl Certificate {
    /// Checks a pair of files; `now` is seconds since 1970.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn read(cert: &Contents, key: &Contents, provider: &CryptoProvider, now: i64) -> Result<Self, String> {
        let (cert_path, key_path) = (cert.path.display(), key.path.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert.bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("SSL cert {cert_path} is damaged: {error}"))?;
        let leaf = chain.first().ok_or_else(|| format!("SSL cert {cert_path} contains no PEM certificate"))?;
        let (_, parsed) = X509Certificate::from_der(leaf)
            .map_err(|error| format!("SSL cert {cert_path} is not a readable certificate: {error}"))?;
        let validity = parsed.validity();
        let moment = ASN1Time::from_timestamp(now).map_err(|error| format!("The system's clock is wrong: {error}"))?;
        if moment > validity.not_after {
            return Err(format!("SSL cert {cert_path} expired on {}", validity.not_after));
        }
        if moment < validity.not_before {
            return Err(format!("SSL cert {cert_path} is not valid before {}", validity.not_before));
        }
        let names = dns_names(&parsed);
        let pem = pem::certificate(leaf).into();
        let secret = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|_| no_key(key))?;
        let key = CertifiedKey::from_der(chain.clone(), secret, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                format!("SSL key {key_path} does not belong to SSL cert {cert_path}")
            }
            other => format!("SSL key {key_path} cannot be used: {other}"),
        })?;
        Ok(Self { key: Arc::new(key), names, pem })
    }
}

fn no_key(key: &Contents) -> String {
    let path = key.path.display();
    if memchr::memmem::find(&key.bytes, b"ENCRYPTED").is_some() {
        return format!(
            "SSL key {path} is encrypted; store it without a passphrase (openssl pkey -in {path} -out NEW)"
        );
    }
    format!("SSL key {path} contains no PEM private key")
}

/// The subject's alternative names. Its common name counts for nothing, as for every client of today (RFC 9525 §2).
fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A day in 2030, in which the certificates made here are valid.
    pub const NOW: i64 = 1_893_456_000;

    pub fn contents(path: &str, text: &str) -> Contents {
        Contents { path: path.into(), bytes: text.as_bytes().to_vec() }
    }

    pub fn pair(names: &[&str], key: &KeyPair) -> (Contents, Contents) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().self_signed(key).unwrap();
        (contents("/a.crt", &certificate.pem()), contents("/a.key", &key.serialize_pem()))
    }

    fn read(cert: &Contents, key: &Contents, now: i64) -> Result<Certificate, String> {
        Certificate::read(cert, key, &rustls::crypto::ring::default_provider(), now)
    }

    #[test]
    fn names_and_pem_of_a_good_one() {
        let key = KeyPair::generate().unwrap();
        let (cert, key) = pair(&["Example.ORG", "*.example.net"], &key);
        let read = read(&cert, &key, NOW).unwrap();
        assert_eq!(read.names, ["example.org", "*.example.net"]);
        let text = |pem: &str| pem.replace("\r\n", "\n");
        assert_eq!(text(&read.pem), text(std::str::from_utf8(&cert.bytes).unwrap()));
    }

    #[test]
    fn every_fault_is_one_sentence() {
        let (cert, key) = pair(&["a"], &KeyPair::generate().unwrap());
        let (_, other) = pair(&["a"], &KeyPair::generate().unwrap());
        let fault = |cert: &Contents, key: &Contents, now| read(cert, key, now).unwrap_err();
        assert_eq!(fault(&cert, &other, NOW), "SSL key /a.key does not belong to SSL cert /a.crt");
        assert_eq!(fault(&contents("/c", "text"), &key, NOW), "SSL cert /c contains no PEM certificate");
        assert_eq!(fault(&cert, &contents("/k", "text"), NOW), "SSL key /k contains no PEM private key");
        let locked =
            contents("/k", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n");
        assert!(fault(&cert, &locked, NOW).starts_with("SSL key /k is encrypted; "));
        let nonsense = contents("/c", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(fault(&nonsense, &key, NOW).starts_with("SSL cert /c is not a readable certificate: "));
        let old = fault(&cert, &key, 253_000_000_000);
        assert!(old.starts_with("SSL cert /a.crt expired on "), "{old}");
        let early = fault(&cert, &key, 0);
        assert!(early.starts_with("SSL cert /a.crt is not valid before "), "{early}");
    }
}
