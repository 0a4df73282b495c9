//! Further applications, as a user writes them: `PATH=APP`, and behind a comma the host.

use serde::{Deserialize, Serialize};

use super::folder;

/// An application under a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The path, without a slash at the end; empty for all paths.
    pub path: String,
    /// Requests for this host only, in lower case; `None` for any.
    pub host: Option<String>,
    /// File or module.
    pub app: String,
}

impl Mount {
    /// Understands one `--mount` value.
    ///
    /// # Errors
    /// What is wrong, worded to follow the option's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (place, host) = match text.split_once(",host=") {
            Some((place, host)) => (place, Some(folder::host(host)?)),
            None => (text, None),
        };
        match place.split_once('=') {
            Some((path, app)) if !app.is_empty() && !app.contains([',', '\t']) => {
                Ok(Self { path: folder::prefix(path)?, host, app: app.to_owned() })
            }
            _ => Err("takes a path and an application, such as /api=api.pl or /=shop.pl,host=shop.example".to_owned()),
        }
    }

    /// As the loader wants it.
    #[must_use]
    pub fn spec(&self) -> String {
        format!("{}\t{}/\t{}", self.host.as_deref().unwrap_or_default(), self.path, self.app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let mount = Mount::parse("/api/=lib/api.pl,host=A.example").unwrap();
        assert_eq!(mount, Mount { path: "/api".into(), host: Some("a.example".into()), app: "lib/api.pl".into() });
        assert_eq!(mount.spec(), "a.example\t/api/\tlib/api.pl");
        assert_eq!(Mount::parse("/=My::App").unwrap().spec(), "\t/\tMy::App");
        for text in ["/api", "/api=", "/a=b,c", "/a=b,hots=c"] {
            assert!(Mount::parse(text).unwrap_err().starts_with("takes a path and an application"), "{text}");
        }
        assert_eq!(Mount::parse("api=b").unwrap_err(), "takes a path that starts with '/', not encoded");
        assert_eq!(Mount::parse("/=b,host=").unwrap_err(), "takes a host name without a port after host=");
    }
}
