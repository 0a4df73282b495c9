//! Certificates of clients: who is asked, who is believed, and what becomes of the others.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::tls::material::{Contents, Material};
use crate::tls::settings::VerifyClient;

/// How client certificates are judged.
#[derive(Debug, Clone)]
pub struct ClientPolicy {
    mode: VerifyClient,
    strict: Option<Arc<dyn ClientCertVerifier>>,
}

impl ClientPolicy {
    /// Reads authorities and revocation lists.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn read(mode: VerifyClient, material: &Material, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let Some(ca) = &material.ca else {
            return match mode {
                VerifyClient::Off | VerifyClient::OptionalNoCa => Ok(Self { mode, strict: None }),
                VerifyClient::Optional | VerifyClient::Required => {
                    Err("Client certificates cannot be verified without an SSL CA file".to_owned())
                }
            };
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&ca.bytes) {
            let explain = |error: String| format!("SSL CA file {} is damaged: {error}", ca.path.display());
            let certificate = certificate.map_err(|error| explain(error.to_string()))?;
            roots.add(certificate).map_err(|error| explain(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(format!("SSL CA file {} contains no PEM certificate", ca.path.display()));
        }
        let mut lists = Vec::new();
        for file in &material.crls {
            lists.extend(revocation_lists(file)?);
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        if !lists.is_empty() {
            // As with other servers: a list for every authority of a chain, and none that is out of date.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        if mode != VerifyClient::Required {
            builder = builder.allow_unauthenticated();
        }
        let strict = builder.build().map_err(|error| format!("SSL CRL files cannot be used: {error}"))?;
        Ok(Self { mode, strict: Some(strict) })
    }

    /// What the handshake itself asks; `None` when clients are not asked for certificates.
    #[must_use]
    pub fn verifier(&self, provider: &Arc<CryptoProvider>) -> Option<Arc<dyn ClientCertVerifier>> {
        match self.mode {
            VerifyClient::Off => None,
            VerifyClient::Optional | VerifyClient::Required => self.strict.clone(),
            VerifyClient::OptionalNoCa => {
                Some(Arc::new(Lenient { strict: self.strict.clone(), provider: Arc::clone(provider) }))
            }
        }
    }

    /// Judges the chain of a finished handshake. A resumed session brings the certificates of an earlier one: since then
    /// they may have expired or been revoked, or this may be a server that never trusted them.
    ///
    /// # Errors
    /// Why the connection must not be kept.
    pub fn judge(&self, chain: &[CertificateDer<'_>], resumed: bool) -> Result<Option<String>, String> {
        let fault = || match (&self.strict, chain) {
            (_, []) => None,
            (None, _) => Some("no CA file is configured to verify it with".to_owned()),
            (Some(strict), [leaf, rest @ ..]) => {
                strict.verify_client_cert(leaf, rest, UnixTime::now()).err().map(|error| error.to_string())
            }
        };
        match self.mode {
            VerifyClient::Off => Ok(None),
            VerifyClient::OptionalNoCa => Ok(fault()),
            VerifyClient::Required if chain.is_empty() => Err("the client has shown no certificate".to_owned()),
            // A full handshake has verified them already.
            VerifyClient::Optional | VerifyClient::Required if resumed => fault().map_or(Ok(None), Err),
            VerifyClient::Optional | VerifyClient::Required => Ok(None),
        }
    }
}

fn revocation_lists(file: &Contents) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&file.bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("SSL CRL file {} is damaged: {error}", file.path.display()))?;
    if lists.is_empty() {
        return Err(format!("SSL CRL file {} contains no PEM revocation list", file.path.display()));
    }
    Ok(lists)
}

/// Takes every certificate whose key the client proves to have; [`ClientPolicy::judge`] says afterwards what it is worth.
#[derive(Debug)]
struct Lenient {
    strict: Option<Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.strict.as_ref().map_or(&[], |strict| strict.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
