//! A TLS configuration made of files, complete and checked, or an error that names the file. A connection keeps the
//! context it began with; a reload makes another one.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::version::{TLS12, TLS13};

use crate::tls::certificate::Certificate;
use crate::tls::cipher;
use crate::tls::client::ClientPolicy;
use crate::tls::material::Material;
use crate::tls::resolver::Resolver;
use crate::tls::settings::{MinVersion, TlsSettings};
use crate::tls::tickets::Tickets;

/// What new connections are accepted with.
#[derive(Debug)]
pub struct Context {
    /// For the TLS library.
    pub config: Arc<ServerConfig>,
    /// What client certificates are worth.
    pub clients: ClientPolicy,
}

impl Context {
    /// Builds a context of what was read.
    ///
    /// # Errors
    /// What is wrong with which file or setting.
    pub fn build(settings: &TlsSettings, material: &Material, tickets: Option<Arc<Tickets>>) -> Result<Self, String> {
        let provider = Arc::new(CryptoProvider {
            cipher_suites: cipher::suites(settings.cipher_list.as_deref())?,
            ..rustls::crypto::ring::default_provider()
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let certificates: Vec<Certificate> = material
            .pairs
            .iter()
            .map(|(cert, key)| Certificate::read(cert, key, &provider, now))
            .collect::<Result<_, _>>()?;
        let clients = ClientPolicy::read(settings.verify_client, material, &provider)?;
        let versions: &[_] = match settings.min_version {
            MinVersion::Tls12 => &[&TLS13, &TLS12],
            MinVersion::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| format!("The SSL versions and the cipher list do not go together: {error}"))?;
        let builder = match clients.verifier(&provider) {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Resolver::new(certificates)));
        config.alpn_protocols = settings.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        // Nothing is kept here: a session is resumed from its ticket or not at all.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match tickets {
            Some(tickets) => config.ticketer = tickets as Arc<dyn ProducesTickets>,
            None => config.send_tls13_tickets = 0,
        }
        Ok(Self { config: Arc::new(config), clients })
    }
}
