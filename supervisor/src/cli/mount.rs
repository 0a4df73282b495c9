//! Further applications, as a user writes them: `PATH=APP`, and behind commas the host and constructor arguments.

use pagi_perl_runtime::MountSpec;
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
    /// `KEY=VALUE` for the constructor of a module.
    pub arguments: Vec<String>,
}

impl Mount {
    /// Understands one `--mount` value.
    ///
    /// # Errors
    /// What is wrong, worded to follow the option's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORMS: &str = "takes a path and an application, such as /api=api.pl or /=shop.pl,host=shop.example; \
                             further options are arg=KEY=VALUE";
        let mut words = split(text).into_iter();
        let place = words.next().unwrap_or_default();
        let mut mount = match place.split_once('=') {
            Some((path, app)) if !app.is_empty() && !app.contains([',', '\t']) => {
                Self { path: folder::prefix(path)?, host: None, app: app.to_owned(), arguments: Vec::new() }
            }
            _ => return Err(FORMS.to_owned()),
        };
        for word in words {
            match word.split_once('=') {
                Some(("host", host)) => mount.host = Some(folder::host(host)?),
                Some(("arg", argument)) => match argument.split_once('=') {
                    Some((key, _)) if !key.is_empty() => mount.arguments.push(argument.to_owned()),
                    _ => return Err("takes KEY=VALUE after arg=".to_owned()),
                },
                _ => return Err(FORMS.to_owned()),
            }
        }
        Ok(mount)
    }

    /// As the loader wants it.
    #[must_use]
    pub fn spec(&self) -> MountSpec {
        let place = format!("{}\t{}/\t{}", self.host.as_deref().unwrap_or_default(), self.path, self.app);
        MountSpec { place, arguments: self.arguments.clone() }
    }
}

/// An argument as a word of a `--mount` value.
#[must_use]
pub fn argument(key: &str, value: &str) -> String {
    let escaped = |text: &str| text.replace('\\', r"\\").replace(',', r"\,");
    format!("arg={}={}", escaped(key), escaped(value))
}

/// The words between commas; `\,` is a comma and `\\` a backslash, everything else is what it is.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.next_if(|&next| letter == '\\' && matches!(next, ',' | '\\')) {
            Some(escaped) => word.push(escaped),
            None if letter == ',' => words.push(std::mem::take(&mut word)),
            None => word.push(letter),
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(path: &str, host: Option<&str>, app: &str, arguments: &[&str]) -> Mount {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Mount { path: path.to_owned(), host: host.map(str::to_owned), app: app.to_owned(), arguments }
    }

    #[test]
    fn forms() {
        for (text, expected) in [
            ("/api/=lib/api.pl,host=A.example", mount("/api", Some("a.example"), "lib/api.pl", &[])),
            ("/=My::App", mount("", None, "My::App", &[])),
            ("/d=D,arg=root=/srv/x=y,arg=k=", mount("/d", None, "D", &["root=/srv/x=y", "k="])),
            (r"/d=D,arg=a=1\,2\\,host=h", mount("/d", Some("h"), "D", &[r"a=1,2\"])),
            (r"/d=D,arg=re=\d+", mount("/d", None, "D", &[r"re=\d+"])),
        ] {
            assert_eq!(Mount::parse(text), Ok(expected), "{text}");
        }
        assert_eq!(mount("/api", Some("h"), "a.pl", &["k=v"]).spec().place, "h\t/api/\ta.pl");
        assert_eq!(mount("", None, "My::App", &["k=v"]).spec().arguments, ["k=v"]);
        for text in ["/api", "/api=", "/a=b,c", "/a=b,hots=c", r"/a=b\,c"] {
            assert!(Mount::parse(text).unwrap_err().starts_with("takes a path and an application"), "{text}");
        }
        assert_eq!(Mount::parse("api=b").unwrap_err(), "takes a path that starts with '/', not encoded");
        assert_eq!(Mount::parse("/=b,host=").unwrap_err(), "takes a host name without a port after host=");
        for text in ["/=b,arg=", "/=b,arg=k", "/=b,arg==v"] {
            assert_eq!(Mount::parse(text).unwrap_err(), "takes KEY=VALUE after arg=", "{text}");
        }
    }

    #[test]
    fn arguments_survive_as_words() {
        for (key, value) in [("root", "/srv"), ("a,b", r"c\,d\"), ("", "")] {
            let text = format!("/=x,{},host=h", argument(key, value));
            match Mount::parse(&text) {
                Ok(mount) => assert_eq!(mount.arguments, [format!("{key}={value}")]),
                Err(error) => assert!(key.is_empty(), "{text}: {error}"),
            }
        }
    }
}
