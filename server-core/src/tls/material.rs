//! The contents of all files that TLS needs, read at one moment. A process that may read a key hands it in this form to
//! one that may not.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::tls::settings::TlsSettings;

/// A file and what was in it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Contents {
    /// Its name, for messages.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Names the file, and shows nothing of it.
impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// What is read may be a private key: it does not outlive its use.
impl Drop for Contents {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Contents {
    fn read(what: &str, path: &Path) -> Result<Self, String> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self { path: path.to_owned(), bytes }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(format!("{what} not found: {}", path.display()))
            }
            Err(error) => Err(format!("Cannot read {what} {}: {error}", path.display())),
        }
    }
}

/// All of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Material {
    /// Certificate chains and their keys.
    pub pairs: Vec<(Contents, Contents)>,
    /// Authorities for client certificates.
    pub ca: Option<Contents>,
    /// Their revocation lists.
    pub crls: Vec<Contents>,
}

impl Material {
    /// Reads every file the settings name.
    ///
    /// # Errors
    /// Names the first file that cannot be read, and why.
    pub fn read(settings: &TlsSettings) -> Result<Self, String> {
        let pairs = settings.all_pairs()?;
        if let (true, Some(directory)) = (pairs.is_empty(), &settings.cert_dir) {
            return Err(format!(
                "SSL certificate directory {} has no certificate with a key beside it",
                directory.display()
            ));
        }
        let pair = |pair: crate::tls::settings::KeyPair| {
            Ok((Contents::read("SSL cert", &pair.cert)?, Contents::read("SSL key", &pair.key)?))
        };
        Ok(Self {
            pairs: pairs.into_iter().map(pair).collect::<Result<_, String>>()?,
            ca: settings.ca_file.as_deref().map(|path| Contents::read("SSL CA file", path)).transpose()?,
            crls: settings
                .crl_files
                .iter()
                .map(|path| Contents::read("SSL CRL file", path))
                .collect::<Result<_, String>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let error = Material::read(&TlsSettings::new("/no/such.crt", "/no/such.key")).unwrap_err();
        assert_eq!(error, "SSL cert not found: /no/such.crt");
        let error = Material::read(&TlsSettings::new("/dev/null", "/")).unwrap_err();
        assert!(error.starts_with("Cannot read SSL key /: "), "{error}");
    }

    #[test]
    fn keys_do_not_show_in_logs() {
        let contents = Contents { path: "/k.pem".into(), bytes: b"secret".to_vec() };
        assert_eq!(format!("{contents:?}"), "/k.pem");
    }
}
