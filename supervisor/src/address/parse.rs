//! The forms of `--listen`: a place, and options behind commas.

use std::os::fd::RawFd;
use std::path::PathBuf;

use super::{Access, Address, Passed, Target};

const FORMS: &str = "takes HOST:PORT, [IPV6]:PORT, the path of a Unix socket, unix:PATH, unix:@NAME or fd:NAME";
const OPTIONS: &str = "takes ssl, proxy, mode=, owner= and group= behind the commas";

/// Longest name in the abstract namespace (unix(7): `sun_path` has 108 bytes, and the first is zero).
const LONGEST_NAME: usize = 107;

impl Address {
    /// Understands one `--listen` value.
    ///
    /// # Errors
    /// What is wrong, worded to follow the option's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        // A bare path may have commas of its own: only what is an option is taken off its end.
        let is_strict = text.starts_with("unix:") || text.starts_with("fd:");
        let (mut place, mut words) = (text, Vec::new());
        while let Some((rest, word)) = place.rsplit_once(',')
            && (is_strict || is_option(word))
        {
            place = rest;
            words.insert(0, word);
        }
        if !is_strict && looks_misspelt(place) {
            return Err(OPTIONS.to_owned());
        }
        let mut address = Self::from(target(place)?);
        words.into_iter().try_for_each(|word| address.set(word))?;
        Ok(address)
    }

    /// The same for a place that is opened for the server's own purposes.
    ///
    /// # Errors
    /// What is wrong, worded to follow the option's name.
    pub fn parse_plain(text: &str) -> Result<Self, String> {
        let address = Self::parse(text)?;
        if address.tls || address.proxy || address.is_passed() {
            return Err("takes neither ,ssl nor ,proxy nor fd:NAME".to_owned());
        }
        Ok(address)
    }

    fn set(&mut self, word: &str) -> Result<(), String> {
        match word {
            "ssl" => {
                self.tls = true;
                Ok(())
            }
            "proxy" => {
                self.proxy = true;
                Ok(())
            }
            _ => self.grant(word),
        }
    }

    fn grant(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let access = match (name, &mut self.target) {
            ("mode" | "owner" | "group", Target::Unix { access, .. }) => access,
            ("mode" | "owner" | "group", target) => return Err(no_file(target).to_owned()),
            _ => return Err(OPTIONS.to_owned()),
        };
        let once = |is_new: bool| if is_new { Ok(()) } else { Err(format!("takes {name}= only once")) };
        let account = |what: &str| match value {
            "" => Err(format!("takes the name or number of a {what} after {name}=")),
            value => Ok(value.to_owned()),
        };
        match name {
            "mode" => once(access.mode.replace(mode(value)?).is_none()),
            "owner" => once(access.owner.replace(account("user")?).is_none()),
            _ => once(access.group.replace(account("group")?).is_none()),
        }
    }
}

fn is_option(word: &str) -> bool {
    matches!(word, "ssl" | "proxy") || ["mode=", "owner=", "group="].iter().any(|option| word.starts_with(option))
}

/// Whether what is behind the last comma was meant as an option: nobody wants a socket file called `app.sock,mod=0660`,
/// or one called `localhost:80,tls`.
fn looks_misspelt(place: &str) -> bool {
    let Some((rest, word)) = place.rsplit_once(',') else { return false };
    let is_assignment =
        word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_lowercase()));
    let is_tcp = rest.split(',').next().is_some_and(|first| matches!(target(first), Ok(Target::Tcp { .. })));
    is_assignment || is_tcp
}

fn no_file(target: &Target) -> &'static str {
    match target {
        Target::Abstract(_) => {
            "takes no mode=, owner= and group= for an abstract socket: it has no file, and everybody may connect"
        }
        Target::Passed(_) => "takes no mode=, owner= and group= for a socket that was passed: who made it has decided",
        Target::Tcp { .. } | Target::Unix { .. } => "takes mode=, owner= and group= for Unix sockets only",
    }
}

fn target(text: &str) -> Result<Target, String> {
    let path = |path: &str| Target::Unix { path: PathBuf::from(path), access: Access::default() };
    if text.is_empty() {
        return Err(FORMS.to_owned());
    }
    if let Some(rest) = text.strip_prefix("unix:") {
        return match rest.strip_prefix('@') {
            Some(name) => abstract_name(name).map(Target::Abstract),
            None if rest.is_empty() => Err("takes a path or @NAME after unix:".to_owned()),
            None => Ok(path(rest)),
        };
    }
    if let Some(rest) = text.strip_prefix("fd:") {
        return passed(rest).map(Target::Passed);
    }
    if text.starts_with(['/', '.']) {
        return Ok(path(text));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, port)) = rest.split_once("]:") else { return Err(FORMS.to_owned()) };
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("takes an IPv6 address between the brackets".to_owned());
        }
        return Ok(Target::Tcp { host: host.to_owned(), port: parse_port(port)? });
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            if host.is_empty() {
                return Err("takes an address before the colon, such as 0.0.0.0".to_owned());
            }
            if host.contains(':') {
                return Err("takes an IPv6 address in brackets, like [::1]:5000".to_owned());
            }
            Ok(Target::Tcp { host: host.to_owned(), port: parse_port(port)? })
        }
        _ => Ok(path(text)),
    }
}

fn abstract_name(name: &str) -> Result<String, String> {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && !name.contains(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err("takes a name of 1 to 107 bytes after unix:@".to_owned()) }
}

/// What is only digits is a number: systemd names sockets after their units or `FileDescriptorName=`.
fn passed(text: &str) -> Result<Passed, String> {
    if text.is_empty() {
        return Err("takes the name of a socket that systemd passes, or its number, after fd:".to_owned());
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Passed::Name(text.to_owned()));
    }
    let number: Option<RawFd> = text.parse().ok().filter(|&number| number >= 3);
    number.map(Passed::Number).ok_or_else(|| "takes a number from 3 after fd:".to_owned())
}

fn mode(text: &str) -> Result<u32, String> {
    let shape = text.len() == 4 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| shape);
    mode.ok_or_else(|| "takes an octal value like 0660 after mode=".to_owned())
}

/// A port number.
///
/// # Errors
/// What is wrong, worded to follow the option's name.
pub fn parse_port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "takes a port number from 0 to 65535".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::tcp(host, port)
    }

    fn unix(path: &str) -> Address {
        Address::unix(path)
    }

    fn owned(path: &str, mode: Option<u32>, owner: Option<&str>, group: Option<&str>) -> Address {
        let access = Access { mode, owner: owner.map(str::to_owned), group: group.map(str::to_owned) };
        Target::Unix { path: path.into(), access }.into()
    }

    fn fd(passed: Passed) -> Address {
        Target::Passed(passed).into()
    }

    #[test]
    fn every_form() {
        let name = |name: &str| Passed::Name(name.to_owned());
        let table = [
            ("127.0.0.1:5000", tcp("127.0.0.1", 5000)),
            ("example.org:80", tcp("example.org", 80)),
            ("localhost:0", tcp("localhost", 0)),
            ("[::1]:8080", tcp("::1", 8080)),
            ("/run/app.sock", unix("/run/app.sock")),
            ("/run/app:5000", unix("/run/app:5000")),
            ("./app:1", unix("./app:1")),
            ("app.sock", unix("app.sock")),
            ("host:name", unix("host:name")),
            ("host:", unix("host:")),
            ("[::1]:8443,ssl", tcp("::1", 8443).with_tls(true)),
            ("/run/app.sock,ssl", unix("/run/app.sock").with_tls(true)),
            ("h:1,proxy", tcp("h", 1).with_proxy(true)),
            ("h:1,proxy,ssl", tcp("h", 1).with_proxy(true).with_tls(true)),
            ("/run/app.sock,ssl,proxy", unix("/run/app.sock").with_tls(true).with_proxy(true)),
            ("/run/app,ssl.sock", unix("/run/app,ssl.sock")),
            ("/run/a,b,ssl", unix("/run/a,b").with_tls(true)),
            ("unix:/run/app.sock", unix("/run/app.sock")),
            ("unix:app.sock", unix("app.sock")),
            ("unix:/run/h:80", unix("/run/h:80")),
            ("/run/a,mode=0660", owned("/run/a", Some(0o660), None, None)),
            ("a,owner=www", owned("a", None, Some("www"), None)),
            ("unix:a,group=33,ssl,mode=0666", owned("a", Some(0o666), None, Some("33")).with_tls(true)),
            (
                "unix:/a,proxy,group=g,owner=u,mode=0600",
                owned("/a", Some(0o600), Some("u"), Some("g")).with_proxy(true),
            ),
            ("unix:@web", Address::unnamed("web")),
            ("unix:@a/b c:80,ssl,proxy", Address::unnamed("a/b c:80").with_tls(true).with_proxy(true)),
            ("@web", unix("@web")),
            ("fd:web", fd(name("web"))),
            ("fd:pagi.socket,ssl", fd(name("pagi.socket")).with_tls(true)),
            ("fd:3", fd(Passed::Number(3))),
            ("fd:12,proxy", fd(Passed::Number(12)).with_proxy(true)),
            ("fd:3a", fd(name("3a"))),
        ];
        for (text, expected) in table {
            assert_eq!(Address::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refused_forms() {
        let no_abstract =
            "takes no mode=, owner= and group= for an abstract socket: it has no file, and everybody may connect";
        let no_passed = "takes no mode=, owner= and group= for a socket that was passed: who made it has decided";
        let long = format!("unix:@{}", "x".repeat(108));
        let table = [
            (",ssl", FORMS),
            ("", FORMS),
            ("[::1]", FORMS),
            ("[nonsense]:80", "takes an IPv6 address between the brackets"),
            ("host:65536", "takes a port number from 0 to 65535"),
            ("[::1]:http", "takes a port number from 0 to 65535"),
            (":80", "takes an address before the colon, such as 0.0.0.0"),
            ("::1:80", "takes an IPv6 address in brackets, like [::1]:5000"),
            ("h:80,tls", OPTIONS),
            ("[::1]:80,tls,ssl", OPTIONS),
            ("/a,mod=0660", OPTIONS),
            ("unix:/a,tls", OPTIONS),
            ("unix:/a,ssl=1", OPTIONS),
            ("unix:/a,", OPTIONS),
            ("fd:web,x", OPTIONS),
            ("h:80,mode=0660", "takes mode=, owner= and group= for Unix sockets only"),
            ("unix:", "takes a path or @NAME after unix:"),
            ("unix:,ssl", "takes a path or @NAME after unix:"),
            ("unix:@", "takes a name of 1 to 107 bytes after unix:@"),
            ("unix:@a\nb", "takes a name of 1 to 107 bytes after unix:@"),
            (&long, "takes a name of 1 to 107 bytes after unix:@"),
            ("unix:@web,mode=0660", no_abstract),
            ("unix:@web,owner=www", no_abstract),
            ("fd:", "takes the name of a socket that systemd passes, or its number, after fd:"),
            ("fd:2", "takes a number from 3 after fd:"),
            ("fd:99999999999", "takes a number from 3 after fd:"),
            ("fd:web,group=www", no_passed),
            ("/a,mode=660", "takes an octal value like 0660 after mode="),
            ("/a,mode=0668", "takes an octal value like 0660 after mode="),
            ("/a,mode=", "takes an octal value like 0660 after mode="),
            ("/a,owner=", "takes the name or number of a user after owner="),
            ("/a,group=", "takes the name or number of a group after group="),
            ("/a,mode=0600,mode=0660", "takes mode= only once"),
            ("/a,owner=u,group=g,owner=u", "takes owner= only once"),
        ];
        for (text, expected) in table {
            assert_eq!(Address::parse(text), Err(expected.to_owned()), "{text}");
        }
        assert!(Address::parse(&long[..long.len() - 1]).is_ok());
    }

    #[test]
    fn what_serves_nobody_but_us_is_plain() {
        assert_eq!(Address::parse_plain("unix:@admin"), Ok(Address::unnamed("admin")));
        assert_eq!(Address::parse_plain("/a,mode=0660"), Ok(owned("/a", Some(0o660), None, None)));
        for text in ["h:1,ssl", "h:1,proxy", "fd:admin"] {
            assert_eq!(Address::parse_plain(text), Err("takes neither ,ssl nor ,proxy nor fd:NAME".to_owned()));
        }
    }
}
