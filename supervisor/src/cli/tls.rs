//! TLS.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pagi_server_core::tls::settings::{MinVersion, VerifyClient};

use super::value;
use crate::config::origin::Effective;

/// TLS. Without certificates there is none; with them it is spoken at all TCP addresses, or where `--listen` says.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsOptions {
    /// Certificate chain in PEM format, repeatable: a client gets the one for the name it asks for, or else the first
    #[arg(long, alias = "ssl-cert-file", value_name = "FILE")]
    pub ssl_cert: Vec<PathBuf>,
    /// Private key in PEM format, one for each --ssl-cert in the same order
    #[arg(long, alias = "ssl-key-file", value_name = "FILE")]
    pub ssl_key: Vec<PathBuf>,
    /// Directory of more certificates: NAME.crt or NAME.pem beside NAME.key, NAME/fullchain.pem beside NAME/privkey.pem
    #[arg(long, value_name = "DIR")]
    pub ssl_cert_dir: Option<PathBuf>,
    /// Authorities that client certificates must come from, in PEM format
    #[arg(long, alias = "ssl-ca", value_name = "FILE")]
    pub ssl_ca_file: Option<PathBuf>,
    /// Revoked client certificates, in PEM format, repeatable: a list for each authority
    #[arg(long, alias = "ssl-crl", value_name = "FILE")]
    pub ssl_crl_file: Vec<PathBuf>,
    /// Client certificates: off, optional, required, or optional-no-ca (the application sees why one is not valid)
    #[arg(long, default_value = "off", value_parser = value::verify_client, value_name = "MODE")]
    pub ssl_verify_client: VerifyClient,
    /// Oldest version of TLS: 1.2 or 1.3
    #[arg(long, default_value = "1.2", value_parser = value::min_version, value_name = "VERSION")]
    pub ssl_min_version: MinVersion,
    /// Cipher suites by OpenSSL or IANA names, separated by colons [default: all that are safe]
    #[arg(long, value_parser = value::cipher_list, value_name = "LIST")]
    pub ssl_cipher_list: Option<String>,
    /// Seconds for which a session can be resumed, at least 60; 0 = never
    #[arg(long, default_value = "43200", value_parser = value::session_timeout, value_name = "SECONDS")]
    pub ssl_session_timeout: Duration,
    /// Seconds a handshake may take; 0 = no limit
    #[arg(long, default_value = "10", value_parser = value::seconds, value_name = "SECONDS")]
    pub ssl_handshake_timeout: Duration,
    /// Handshakes of a worker at a time; beyond it new connections wait
    #[arg(long, default_value = "256", value_parser = value::positive, value_name = "N")]
    pub max_ssl_handshakes: usize,
    /// Seconds between looks at the files: changed certificates are used without a signal; 0 = never
    #[arg(long, default_value = "2", value_parser = value::seconds, value_name = "SECONDS")]
    pub ssl_check_interval: Duration,
    /// Ignore all certificates and serve in the clear
    #[arg(long)]
    pub disable_tls: bool,
    /// Who said what of this, for messages that name the place.
    #[arg(skip)]
    pub said: Vec<Effective>,
}
