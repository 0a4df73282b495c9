//! `--open`: shows the application to whoever has just started the server.

use std::process::{Command, Stdio};

use crate::address::{Address, Target};

/// The shell ends at once, so that the browser is nobody's child here: an application may wait for all of its own.
const IN_BACKGROUND: &str = r#"command -v "$1" >/dev/null && { "$@" & }"#;

/// What to open for an address; nothing for a Unix socket.
#[must_use]
pub fn page(address: &Address) -> Option<String> {
    let Target::Tcp { host, port } = &address.target else { return None };
    // These mean every address of the machine, but no browser can go there.
    let host = match host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    Some(Address::tcp(host, *port).with_tls(address.tls).to_string())
}

/// Opens a page with the first of the browsers named that exists.
pub fn open(page: &str) {
    let named = std::env::var("BROWSER").unwrap_or_default();
    let started = candidates(&named).any(|browser| {
        let shell = Command::new("/bin/sh")
            .args(["-c", IN_BACKGROUND, "sh", browser, page])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        shell.is_ok_and(|status| status.success())
    });
    if !started {
        tracing::warn!("No browser can be started for --open; name one in the environment as BROWSER");
    }
}

/// `$BROWSER` is one command or several with colons between them.
fn candidates(named: &str) -> impl Iterator<Item = &str> {
    let named: Vec<&str> = named.split(':').map(str::trim).filter(|browser| !browser.is_empty()).collect();
    if named.is_empty() { vec!["xdg-open"].into_iter() } else { named.into_iter() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_addresses() {
        let table = [
            ("127.0.0.1:80", Some("http://127.0.0.1:80/")),
            ("0.0.0.0:5000", Some("http://127.0.0.1:5000/")),
            ("[::]:443,ssl", Some("https://[::1]:443/")),
            ("example.org:1", Some("http://example.org:1/")),
            ("/run/app.sock", None),
        ];
        for (address, expected) in table {
            let address = Address::parse(address).unwrap();
            assert_eq!(page(&address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn browsers_in_their_order() {
        assert_eq!(candidates("").collect::<Vec<_>>(), ["xdg-open"]);
        assert_eq!(candidates("one: :/usr/bin/two").collect::<Vec<_>>(), ["one", "/usr/bin/two"]);
    }
}
