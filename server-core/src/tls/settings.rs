//! What an operator says about TLS. Plain data, handed from process to process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerifyClient {
    /// They are not asked.
    Off,
    /// A client may have none; one that it shows must be valid.
    Optional,
    /// Every client shows a valid one.
    Required,
    /// Whatever a client shows is passed on, with the reason why it is not valid (`client_cert_error`).
    OptionalNoCa,
}

/// Oldest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MinVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A certificate chain and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyPair {
    /// PEM certificates, leaf first.
    pub cert: PathBuf,
    /// PEM private key of the leaf.
    pub key: PathBuf,
}

/// Everything TLS contexts are made of, by file name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSettings {
    /// Certificates; the first one is for clients that ask for no name we have.
    pub pairs: Vec<KeyPair>,
    /// Directory with more of them.
    pub cert_dir: Option<PathBuf>,
    /// Authorities whose client certificates are valid.
    pub ca_file: Option<PathBuf>,
    /// Certificates these authorities have revoked.
    pub crl_files: Vec<PathBuf>,
    /// Client certificates.
    pub verify_client: VerifyClient,
    /// Oldest version.
    pub min_version: MinVersion,
    /// Cipher suites by OpenSSL or IANA names, separated by colons.
    pub cipher_list: Option<String>,
    /// How long sessions can be resumed; zero is never.
    pub session_timeout: Duration,
    /// Protocols offered by ALPN, best first.
    pub alpn: Vec<String>,
    /// How often files are looked at for changes; zero is never.
    pub check_interval: Duration,
}

impl TlsSettings {
    /// Settings with one certificate and the defaults of everything else.
    #[must_use]
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            pairs: vec![KeyPair { cert: cert.into(), key: key.into() }],
            cert_dir: None,
            ca_file: None,
            crl_files: Vec::new(),
            verify_client: VerifyClient::Off,
            min_version: MinVersion::Tls12,
            cipher_list: None,
            session_timeout: Duration::from_secs(43_200),
            alpn: vec!["http/1.1".to_owned()],
            check_interval: Duration::from_secs(2),
        }
    }

    /// All certificates there are now: those that are named, then those of the directory by name.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn all_pairs(&self) -> Result<Vec<KeyPair>, String> {
        let mut pairs = self.pairs.clone();
        if let Some(directory) = &self.cert_dir {
            pairs.extend(pairs_in(directory)?);
        }
        Ok(pairs)
    }

    /// Every file that matters, for noticing changes. A directory that cannot be read has no files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let pairs = self.all_pairs().unwrap_or_else(|_| self.pairs.clone());
        let pairs = pairs.into_iter().flat_map(|pair| [pair.cert, pair.key]);
        pairs.chain(self.ca_file.clone()).chain(self.crl_files.iter().cloned()).collect()
    }
}

/// The certificates of a directory: `NAME.crt` or `NAME.pem` beside `NAME.key`, and directories of the form that ACME
/// clients keep, with `fullchain.pem` and `privkey.pem`.
fn pairs_in(directory: &Path) -> Result<Vec<KeyPair>, String> {
    let explain =
        |error: std::io::Error| format!("Cannot read SSL certificate directory {}: {error}", directory.display());
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(explain)? {
        let path = entry.map_err(explain)?.path();
        let pair = match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt" | "pem") => KeyPair { key: path.with_extension("key"), cert: path },
            _ => KeyPair { cert: path.join("fullchain.pem"), key: path.join("privkey.pem") },
        };
        if pair.cert.is_file() && pair.key.is_file() {
            pairs.push(pair);
        }
    }
    pairs.sort();
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_certificates() {
        let directory = std::env::temp_dir().join(format!("pagi-cert-dir-{}", std::process::id()));
        let path = |name: &str| directory.join(name);
        std::fs::create_dir_all(path("example.org")).unwrap();
        for name in
            ["b.crt", "b.key", "a.pem", "a.key", "lonely.crt", "example.org/fullchain.pem", "example.org/privkey.pem"]
        {
            std::fs::write(path(name), "").unwrap();
        }
        let mut settings = TlsSettings::new("/first.crt", "/first.key");
        settings.cert_dir = Some(directory.clone());
        let found: Vec<PathBuf> = settings.all_pairs().unwrap().into_iter().map(|pair| pair.cert).collect();
        assert_eq!(found, ["/first.crt".into(), path("a.pem"), path("b.crt"), path("example.org/fullchain.pem")]);
        std::fs::remove_dir_all(&directory).unwrap();
        let error = settings.all_pairs().unwrap_err();
        assert!(
            error.starts_with(&format!("Cannot read SSL certificate directory {}: ", directory.display())),
            "{error}"
        );
        assert_eq!(settings.files().len(), 2, "named files are watched all the same");
    }
}
