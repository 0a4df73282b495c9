//! What the server does in the application's place, as its user configured it. All of it is off by default.

pub mod fields;
pub mod outgoing;
pub mod rate;
pub mod request_id;

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::compress::policy::CompressionOptions;
use crate::files::delegate::{Delegate, DelegateOptions};
use crate::files::folder::{FolderOptions, Folders};
use crate::proxy::forwarded::ProxyOptions;
use crate::service::Service;
use fields::FieldOptions;
use outgoing::Outgoing;
use rate::{RateLimiter, RateOptions};
use request_id::RequestIdOptions;

/// Everything that can be switched on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OffloadOptions {
    /// Static folders.
    pub folders: Vec<FolderOptions>,
    /// Proxies that are believed.
    pub proxies: ProxyOptions,
    /// Compression of responses.
    pub compression: CompressionOptions,
    /// Files that applications may name instead of sending them.
    pub delegate: DelegateOptions,
    /// Names of requests.
    pub request_id: Option<RequestIdOptions>,
    /// Fields that responses get.
    pub fields: FieldOptions,
    /// How many requests a client may make.
    pub rate: Option<RateOptions>,
}

impl OffloadOptions {
    /// The services that answer requests, in the order in which they are to be asked.
    ///
    /// # Errors
    /// What cannot be used, as a sentence.
    pub fn services(&self) -> Result<Vec<Rc<dyn Service>>, String> {
        let mut services: Vec<Rc<dyn Service>> = Vec::new();
        if let Some(rate) = self.rate {
            services.push(Rc::new(RateLimiter::new(rate)));
        }
        if !self.folders.is_empty() {
            services.push(Rc::new(Folders::open(&self.folders)?));
        }
        Ok(services)
    }

    /// What is made of responses.
    ///
    /// # Errors
    /// What cannot be used, as a sentence.
    pub fn outgoing(&self) -> Result<Outgoing, String> {
        let delegates = !self.delegate.directories.is_empty() || !self.delegate.locations.is_empty();
        Ok(Outgoing {
            compression: (!self.compression.codings.is_empty()).then(|| self.compression.clone()),
            request_id: self.request_id.as_ref().map(|options| options.header.clone()),
            fields: self.fields.clone(),
            delegate: delegates.then(|| Delegate::open(&self.delegate)).transpose()?,
        })
    }

    /// Tries everything that has to be opened.
    ///
    /// # Errors
    /// What cannot be used, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        self.services()?;
        self.outgoing().map(drop)
    }
}
