//! What the server does in the application's place.

use pagi_server_core::offload::OffloadOptions;
use pagi_server_core::offload::request_id::{RequestIdOptions, Source};

use super::Settings;

impl Settings {
    /// What workers do in the application's place.
    #[must_use]
    pub fn offload(&self) -> OffloadOptions {
        let directory = &self.app.directory;
        OffloadOptions {
            folders: self.offload.folders(directory),
            proxies: self.proxies.core(),
            compression: self.offload.compression(),
            delegate: self.offload.delegate(directory),
            request_id: self.offload.request_id(),
            fields: self.offload.fields(),
            rate: self.offload.rate(),
        }
    }

    /// What pool processes do: a worker has done the rest.
    #[must_use]
    pub fn pool_offload(&self) -> OffloadOptions {
        let named = self.offload.request_id();
        OffloadOptions {
            request_id: named.map(|options| RequestIdOptions { source: Source::Accept, ..options }),
            ..Default::default()
        }
    }
}
