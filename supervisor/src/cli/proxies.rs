//! Proxies in front of the server.

use clap::Args;
use pagi_server_core::proxy::forwarded::{self, Fields};
use pagi_server_core::proxy::networks::Network;
use serde::{Deserialize, Serialize};

use super::value;

/// Proxies in front of the server. Without them, what requests say about clients is for the application.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Proxies")]
pub struct ProxyOptions {
    /// Address or network (10.0.0.0/8) of a proxy that is believed, or unix for clients of Unix sockets, repeatable: what
    /// it says about client, scheme, host and port is what applications see
    #[arg(long, value_delimiter = ',', value_parser = value::network, value_name = "NETWORK")]
    pub trusted_proxies: Vec<Network>,
    /// Fields that the proxies write: x-forwarded (-For, -Proto, -Host, -Port) or forwarded (RFC 7239)
    #[arg(long, default_value = "x-forwarded", value_parser = value::proxy_fields, value_name = "KIND")]
    pub proxy_headers: Fields,
}

impl ProxyOptions {
    /// As the core wants it.
    #[must_use]
    pub fn core(&self) -> forwarded::ProxyOptions {
        forwarded::ProxyOptions { trusted: self.trusted_proxies.clone(), fields: self.proxy_headers }
    }
}
