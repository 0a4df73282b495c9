//! What is made of an application's response on its way out.

use crate::compress::policy::CompressionOptions;
use crate::files::delegate::Delegate;

/// All of it; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// Compression, if there is any.
    pub compression: Option<CompressionOptions>,
    /// Files that applications may name.
    pub delegate: Option<Delegate>,
}

impl Outgoing {
    /// Whether responses go out as they are.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.compression.is_none() && self.delegate.is_none()
    }
}
