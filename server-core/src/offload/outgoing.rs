//! What is made of an application's response on its way out.

use crate::compress::policy::CompressionOptions;
use crate::files::delegate::Delegate;
use crate::header::HeaderList;
use crate::scope::RequestHead;

use super::fields::FieldOptions;

/// All of it; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// Compression, if there is any.
    pub compression: Option<CompressionOptions>,
    /// Files that applications may name.
    pub delegate: Option<Delegate>,
    /// The field with a request's name, which the response gets, too.
    pub request_id: Option<String>,
    /// Fields that are added.
    pub fields: FieldOptions,
}

impl Outgoing {
    /// Whether responses go out as they are.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.compression.is_none() && self.delegate.is_none() && self.request_id.is_none() && self.fields.is_nothing()
    }

    /// Adds fields to the head of a response.
    pub(crate) fn add_fields(&self, request: &RequestHead, is_secure: bool, headers: &mut HeaderList) {
        if let Some(field) = &self.request_id
            && let Some(name) = request.headers().get(field.as_bytes())
            && headers.get(field.as_bytes()).is_none()
        {
            headers.push(field.as_bytes(), name);
        }
        self.fields.add(headers, is_secure);
    }
}
