//! Fields that the server adds to responses that do not have them.

use serde::{Deserialize, Serialize};

use crate::header::HeaderList;

/// What to add; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldOptions {
    /// Name and value of each. `response_header`.
    pub fields: Vec<(String, String)>,
    /// [`SECURITY`]. `security_headers`.
    pub security: bool,
    /// `strict-transport-security` for so many seconds, on encrypted connections only (RFC 6797 §7.2). `hsts`.
    pub hsts: Option<u64>,
}

/// What browsers should be told unless an application knows better.
pub const SECURITY: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

impl FieldOptions {
    /// Whether nothing is added.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.fields.is_empty() && !self.security && self.hsts.is_none()
    }

    /// Adds what is missing.
    pub(crate) fn add(&self, headers: &mut HeaderList, is_secure: bool) {
        for (name, value) in &self.fields {
            add(headers, name, value);
        }
        if self.security {
            SECURITY.iter().for_each(|(name, value)| add(headers, name, value));
        }
        if let Some(seconds) = self.hsts.filter(|_| is_secure) {
            add(headers, "strict-transport-security", &format!("max-age={seconds}"));
        }
    }
}

/// Adds a field unless it is there.
pub(crate) fn add(headers: &mut HeaderList, name: &str, value: &str) {
    if headers.get(name.as_bytes()).is_none() {
        headers.push(name.as_bytes(), value.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_added() {
        let options = FieldOptions {
            fields: vec![("x-own".to_owned(), "1".to_owned()), ("X-Frame-Options".to_owned(), "DENY".to_owned())],
            security: true,
            hsts: Some(60),
        };
        let mut headers = HeaderList::new();
        headers.push(b"Referrer-Policy", b"no-referrer");
        options.add(&mut headers, false);
        let get = |headers: &HeaderList, name: &str| {
            headers.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
        };
        assert_eq!(headers.len(), 5);
        assert_eq!(get(&headers, "x-frame-options").as_deref(), Some("DENY"), "the user's own come first");
        assert_eq!(get(&headers, "referrer-policy").as_deref(), Some("no-referrer"), "the application's win");
        options.add(&mut headers, true);
        assert_eq!(get(&headers, "strict-transport-security").as_deref(), Some("max-age=60"));
        assert_eq!(headers.len(), 6);
    }
}
