//! What goes into the queue beside the stream.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::scope::{Peer, Version};
use crate::tls::info::{Protocol, TlsInfo};

/// First byte on the stream of a job: a pool process has taken the ticket and begins.
pub const TAKEN: u8 = b'+';

/// What a pool process is asked to do with the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ticket {
    /// Answer the request that is on the stream, in HTTP/1.1.
    Request(Origin),
    /// Run the job that the application's own code has written to the stream.
    Job,
}

/// Where a request came from: the pool process shows it in the scope as if it had the connection itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    client: Option<(String, u16)>,
    server: (String, Option<u16>),
    tls: Option<Rc<TlsInfo>>,
    secure: bool,
    version: Version,
}

impl Origin {
    /// The origin of a request of this version on a connection with this peer.
    pub(super) fn new(peer: &Peer, version: Version) -> Self {
        // Between our own processes it is HTTP/1.1, whatever the client speaks.
        let tls = peer.tls.as_deref().map(|tls| Rc::new(TlsInfo { protocol: Protocol::Http1, ..tls.clone() }));
        Self { client: peer.client.clone(), server: peer.server.clone(), tls, secure: peer.secure, version }
    }

    /// The version that the client speaks.
    pub(crate) fn version(&self) -> Version {
        self.version
    }
}

impl From<Origin> for Peer {
    fn from(origin: Origin) -> Self {
        Self { client: origin.client, server: origin.server, tls: origin.tls, secure: origin.secure }
    }
}
