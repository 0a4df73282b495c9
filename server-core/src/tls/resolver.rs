//! Which certificate a client gets: chosen by the name it asks for (SNI) and by the signatures it understands.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls::certificate::Certificate;

/// What was chosen for the handshake message that is being processed.
#[derive(Debug, Clone)]
pub struct Choice {
    /// PEM of the leaf.
    pub pem: Arc<str>,
    /// Name the client asked for, in lower case.
    pub server_name: Option<String>,
}

thread_local! {
    /// The library calls the resolver from within the processing of one client's bytes and tells nobody what it got:
    /// whoever feeds the bytes takes the choice from here straight afterwards.
    static CHOICE: RefCell<Option<Choice>> = const { RefCell::new(None) };
}

/// Takes the choice made while the last bytes were processed.
pub fn take_choice() -> Option<Choice> {
    CHOICE.take()
}

/// All certificates of a listener.
#[derive(Debug)]
pub struct Resolver {
    certificates: Vec<Certificate>,
}

impl Resolver {
    /// A resolver over at least one certificate; the first is the default.
    #[must_use]
    pub fn new(certificates: Vec<Certificate>) -> Self {
        Self { certificates }
    }

    fn choose(&self, name: Option<&str>, understands: impl Fn(&Certificate) -> bool) -> Option<&Certificate> {
        let candidates = self.candidates(name);
        candidates.iter().copied().find(|certificate| understands(certificate)).or(candidates.first().copied())
    }

    /// Certificates for a name, best first: those that name it, those with a wildcard for it, and otherwise the default
    /// with its siblings (the same names with another kind of key).
    fn candidates(&self, name: Option<&str>) -> Vec<&Certificate> {
        let with = |wanted: &str| -> Vec<&Certificate> {
            self.certificates.iter().filter(|certificate| certificate.names.iter().any(|have| have == wanted)).collect()
        };
        if let Some(name) = name {
            let exact = with(name);
            if !exact.is_empty() {
                return exact;
            }
            if let Some((_, parent)) = name.split_once('.') {
                let wildcard = with(&format!("*.{parent}"));
                if !wildcard.is_empty() {
                    return wildcard;
                }
            }
        }
        let Some(default) = self.certificates.first() else { return Vec::new() };
        let siblings =
            self.certificates[1..].iter().filter(|other| !other.names.is_empty() && other.names == default.names);
        std::iter::once(default).chain(siblings).collect()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = client_hello.server_name().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let offered: &[SignatureScheme] = client_hello.signature_schemes();
        let chosen =
            self.choose(name.as_deref(), |certificate| certificate.key.key.choose_scheme(offered).is_some())?;
        CHOICE.set(Some(Choice { pem: Arc::clone(&chosen.pem), server_name: name }));
        Some(Arc::clone(&chosen.key))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

    use super::*;
    use crate::tls::certificate::tests::{NOW, pair};

    fn certificate(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Certificate {
        let (cert, key) = pair(names, &KeyPair::generate_for(algorithm).unwrap());
        Certificate::read(&cert, &key, &rustls::crypto::ring::default_provider(), NOW).unwrap()
    }

    #[test]
    fn chosen_by_name() {
        let lists: [&[&str]; 4] =
            [&["default.test"], &["a.test", "www.a.test"], &["*.a.test"], &["*.b.test", "b.test"]];
        let resolver = Resolver::new(lists.iter().map(|names| certificate(names, &PKCS_ECDSA_P256_SHA256)).collect());
        let table = [
            (None, 0),
            (Some("unknown.test"), 0),
            (Some("a.test"), 1),
            (Some("www.a.test"), 1),
            (Some("x.a.test"), 2),
            (Some("x.y.a.test"), 0),
            (Some("b.test"), 3),
            (Some("any.b.test"), 3),
            (Some("test"), 0),
        ];
        for (name, expected) in table {
            let chosen = resolver.choose(name, |_| true).unwrap();
            assert_eq!(chosen.names, lists[expected], "{name:?}");
        }
    }

    #[test]
    fn chosen_by_key_among_equals() {
        let names = ["a.test"];
        let both = vec![certificate(&names, &PKCS_ED25519), certificate(&names, &PKCS_ECDSA_P256_SHA256)];
        let pems: Vec<_> = both.iter().map(|certificate| Arc::clone(&certificate.pem)).collect();
        let resolver = Resolver::new(both);
        let speaks = |scheme| move |certificate: &Certificate| certificate.key.key.choose_scheme(&[scheme]).is_some();
        for name in [Some("a.test"), None] {
            let old = resolver.choose(name, speaks(SignatureScheme::ECDSA_NISTP256_SHA256)).unwrap();
            assert_eq!(old.pem, pems[1]);
            let new = resolver.choose(name, speaks(SignatureScheme::ED25519)).unwrap();
            assert_eq!(new.pem, pems[0]);
        }
        let none = resolver.choose(None, speaks(SignatureScheme::RSA_PKCS1_SHA256)).unwrap();
        assert_eq!(none.pem, pems[0], "the handshake itself will say that nothing fits");
    }
}
