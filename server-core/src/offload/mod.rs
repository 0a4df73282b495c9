//! What the server does in the application's place, as its user configured it. All of it is off by default.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::files::folder::{FolderOptions, Folders};
use crate::proxy::forwarded::ProxyOptions;
use crate::service::Service;

/// Everything that can be switched on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OffloadOptions {
    /// Static folders.
    pub folders: Vec<FolderOptions>,
    /// Proxies that are believed.
    pub proxies: ProxyOptions,
}

impl OffloadOptions {
    /// The services that answer requests, in the order in which they are to be asked.
    ///
    /// # Errors
    /// What cannot be used, as a sentence.
    pub fn services(&self) -> Result<Vec<Rc<dyn Service>>, String> {
        let mut services: Vec<Rc<dyn Service>> = Vec::new();
        if !self.folders.is_empty() {
            services.push(Rc::new(Folders::open(&self.folders)?));
        }
        Ok(services)
    }
}
