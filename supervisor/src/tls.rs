//! TLS of a server: the options checked and made absolute, what was read from the files, and the seed of session
//! tickets. Part of the settings, so that every process gets the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pagi_server_core::tls::context::Context;
use pagi_server_core::tls::settings::{KeyPair, VerifyClient};
use pagi_server_core::tls::{Material, Seed, Terminator, TlsSettings};
use serde::{Deserialize, Serialize};

use crate::address::{Address, Target};
use crate::cli::TlsOptions;
use crate::config::place;

/// Session tickets that go on in the server that takes this one's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tickets {
    /// How long one can be used.
    timeout: Duration,
    /// What they are sealed with.
    seed: Seed,
}

/// TLS of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tls {
    /// Files and rules.
    pub settings: TlsSettings,
    /// Bound on a handshake; zero is none.
    pub handshake_timeout: Duration,
    /// Handshakes of a worker at a time.
    pub max_handshakes: usize,
    /// The files as they were read last. Processes that cannot read them for themselves, because they run as another
    /// user, serve with this.
    material: Option<Material>,
    /// What tickets are sealed with.
    seed: Option<Seed>,
}

impl Tls {
    /// Reads the files, with the rights the command was started with, and makes the seed of tickets.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(&mut self) -> Result<(), String> {
        let material = Material::read(&self.settings)?;
        // Checked here and not first in a worker: a server that cannot serve does not start.
        Context::build(&self.settings, &material, None)?;
        self.material = Some(material);
        let lifetime = self.settings.session_timeout;
        self.seed = (!lifetime.is_zero()).then(|| Seed::generate(lifetime)).transpose()?;
        Ok(())
    }

    /// The same options read again, with what a running server has besides.
    #[must_use]
    pub fn succeeding(self, current: &Self) -> Self {
        let material = current.material.clone();
        let lifetime = self.settings.session_timeout;
        // The periods of a seed are those of its timeout.
        let seed = match lifetime == current.settings.session_timeout {
            true => current.seed.clone(),
            false => (!lifetime.is_zero()).then(|| Seed::generate(lifetime).ok()).flatten(),
        };
        Self { material, seed, ..self }
    }

    /// Reads the files again for processes that are started from now on, and turns the seed.
    pub fn renew(&mut self) {
        let usable = Material::read(&self.settings).and_then(|material| {
            Context::build(&self.settings, &material, None)?;
            Ok(material)
        });
        match usable {
            Ok(material) => self.material = Some(material),
            Err(message) => tracing::warn!("SSL certificates stay as they were: {message}"),
        }
        self.turn_tickets();
    }

    /// Turns the seed up to now: a new process cannot read the tickets of long ago.
    pub fn turn_tickets(&mut self) {
        if let Some(seed) = &mut self.seed {
            seed.turn(self.settings.session_timeout);
        }
    }

    /// Tickets as a successor needs them.
    #[must_use]
    pub fn tickets(&self) -> Option<Tickets> {
        let timeout = self.settings.session_timeout;
        let mut seed = self.seed.clone()?;
        seed.turn(timeout);
        Some(Tickets { timeout, seed })
    }

    /// Goes on with the tickets of the server that this one is to replace. With another timeout they begin anew, because
    /// the periods of a seed are those of its timeout.
    pub fn continue_with(&mut self, tickets: Tickets) {
        if self.seed.is_some() && tickets.timeout == self.settings.session_timeout {
            self.seed = Some(tickets.seed);
        }
    }

    /// What a process that serves needs.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn terminator(&self) -> Result<Terminator, String> {
        Terminator::new(self.settings.clone(), self.material.as_ref(), self.seed.clone())
    }
}

/// Checks how options combine, and marks the addresses where TLS is spoken. `http2` says whether it is offered there.
///
/// # Errors
/// What is missing or does not go together.
pub fn check(
    options: &TlsOptions,
    http2: bool,
    listen: &mut [Address],
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<Option<Tls>, String> {
    if options.disable_tls {
        warnings.push("TLS is disabled by --disable-tls: everything is served in the clear".to_owned());
        for address in listen {
            *address = address.clone().with_tls(false);
        }
        return Ok(None);
    }
    let pairs = pairs(options, directory)?;
    if pairs.is_empty() && options.ssl_cert_dir.is_none() {
        return match listen.iter().find(|address| address.tls()) {
            Some(address) => Err(format!("--listen {} needs --ssl-cert and --ssl-key", address.as_option())),
            None => nothing_without_certificates(options).map(|()| None),
        };
    }
    check_clients(options, warnings)?;
    // Of sockets that are passed later the family is known later.
    let all_known = !listen.iter().any(Address::is_passed);
    if all_known {
        assign(listen, true);
    }
    if all_known && !listen.iter().any(Address::tls) {
        warnings.push("No address speaks TLS: for a Unix socket use --listen PATH,ssl".to_owned());
    }
    let anchor = |path: &PathBuf| directory.join(path);
    let settings = TlsSettings {
        pairs,
        cert_dir: options.ssl_cert_dir.as_ref().map(anchor),
        ca_file: options.ssl_ca_file.as_ref().map(anchor),
        crl_files: options.ssl_crl_file.iter().map(anchor).collect(),
        verify_client: options.ssl_verify_client,
        min_version: options.ssl_min_version,
        cipher_list: options.ssl_cipher_list.clone(),
        session_timeout: options.ssl_session_timeout,
        alpn: http2.then_some("h2").into_iter().chain(["http/1.1"]).map(str::to_owned).collect(),
        check_interval: options.ssl_check_interval,
    };
    Ok(Some(Tls {
        settings,
        handshake_timeout: options.ssl_handshake_timeout,
        max_handshakes: options.max_ssl_handshakes,
        material: None,
        seed: None,
    }))
}

/// Where TLS is spoken: at the addresses that ask for it, or, as in the reference server, at all TCP addresses when none
/// asks.
pub fn assign(listen: &mut [Address], has_certificates: bool) {
    if has_certificates && !listen.iter().any(Address::tls) {
        for address in listen {
            let is_tcp = matches!(address.target, Target::Tcp { .. });
            *address = address.clone().with_tls(is_tcp);
        }
    }
}

/// Certificates with their keys; files that are not there are mistakes of the command line.
fn pairs(options: &TlsOptions, directory: &Path) -> Result<Vec<KeyPair>, String> {
    let (certs, keys) = (&options.ssl_cert, &options.ssl_key);
    if certs.len() != keys.len() {
        let counts = match (certs.len(), keys.len()) {
            (0, _) | (_, 0) => String::new(),
            (certs, keys) => format!(" ({certs} certificates and {keys} keys are given)"),
        };
        let place = place::strongest(&options.said, &["ssl_cert", "ssl_key"]);
        return Err(format!("{place}--ssl-cert and --ssl-key must be specified together{counts}"));
    }
    let existing = |what: &str, path: &PathBuf, n: usize| {
        let path = directory.join(path);
        let place = || place::place(&options.said, &format!("ssl_{what}"), n);
        if path.exists() { Ok(path) } else { Err(format!("{}SSL {what} not found: {}", place(), path.display())) }
    };
    let pair = |(n, (cert, key))| Ok(KeyPair { cert: existing("cert", cert, n)?, key: existing("key", key, n)? });
    certs.iter().zip(keys).enumerate().map(pair).collect()
}

fn nothing_without_certificates(options: &TlsOptions) -> Result<(), String> {
    let given = [
        (options.ssl_ca_file.is_some(), "--ssl-ca-file"),
        (!options.ssl_crl_file.is_empty(), "--ssl-crl-file"),
        (options.ssl_verify_client != VerifyClient::Off, "--ssl-verify-client"),
        (options.ssl_cipher_list.is_some(), "--ssl-cipher-list"),
    ];
    match given.iter().find(|(is_given, _)| *is_given) {
        Some((_, name)) => Err(format!("{name} needs --ssl-cert and --ssl-key")),
        None => Ok(()),
    }
}

fn check_clients(options: &TlsOptions, warnings: &mut Vec<String>) -> Result<(), String> {
    let has_ca = options.ssl_ca_file.is_some();
    match options.ssl_verify_client {
        VerifyClient::Required if !has_ca => Err("--ssl-verify-client required needs --ssl-ca-file".to_owned()),
        VerifyClient::Optional if !has_ca => Err("--ssl-verify-client optional needs --ssl-ca-file".to_owned()),
        _ if !has_ca && !options.ssl_crl_file.is_empty() => Err("--ssl-crl-file needs --ssl-ca-file".to_owned()),
        VerifyClient::Off if has_ca => {
            warnings.push("--ssl-ca-file has no effect without --ssl-verify-client".to_owned());
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{self, Checked};

    /// Reads a command line; files that exist stand in for certificates, which are not read here.
    fn read(arguments: &[&str]) -> Result<Checked, String> {
        let arguments = ["pagi-server", "-E", "none"].iter().chain(arguments).map(Into::into);
        settings::read(arguments).map_err(|answer| answer.text)
    }

    const PAIR: [&str; 4] = ["--ssl-cert", "/dev/null", "--ssl-key", "/dev/zero"];

    fn spoken(arguments: &[&str]) -> Vec<bool> {
        let all = [&PAIR, arguments].concat();
        read(&all).unwrap().settings.listen.iter().map(Address::tls).collect()
    }

    #[test]
    fn tls_8_where_tls_is_spoken() {
        assert_eq!(spoken(&[]), [true]);
        assert_eq!(spoken(&["--listen", "h:1", "--listen", "/s"]), [true, false], "as in the reference server");
        assert_eq!(spoken(&["--listen", "h:1", "--listen", "h:2,ssl"]), [false, true]);
        assert_eq!(spoken(&["--listen", "h:1", "--listen", "/s,ssl"]), [false, true]);
        let disabled = read(&[&PAIR[..], &["--disable-tls", "--listen", "h:1,ssl"]].concat()).unwrap();
        assert!(disabled.settings.tls.is_none() && !disabled.settings.listen[0].tls());
        assert!(disabled.warnings.iter().any(|warning| warning.contains("--disable-tls")));
        let only_unix = read(&[&PAIR[..], &["--socket", "/s"]].concat()).unwrap();
        assert!(only_unix.warnings.iter().any(|warning| warning.contains("--listen PATH,ssl")));
    }

    #[test]
    fn what_does_not_go_together() {
        let table: [(&[&str], &str); 10] = [
            (&["--ssl-cert", "/dev/null"], "--ssl-cert and --ssl-key must be specified together"),
            (&["--ssl-key", "/dev/null"], "--ssl-cert and --ssl-key must be specified together"),
            (&["--ssl-cert", "/no.crt", "--ssl-key", "/no.key"], "SSL cert not found: /no.crt"),
            (&["--ssl-cert", "/dev/null", "--ssl-key", "/no.key"], "SSL key not found: /no.key"),
            (&["--listen", "[::1]:443,ssl"], "--listen [::1]:443,ssl needs --ssl-cert and --ssl-key"),
            (&["--ssl-ca-file", "/ca"], "--ssl-ca-file needs --ssl-cert and --ssl-key"),
            (&["--ssl-min-version", "1.1"], "--ssl-min-version takes 1.2 or 1.3, got '1.1'"),
            (
                &["--ssl-verify-client", "maybe"],
                "--ssl-verify-client takes off, optional, required or optional-no-ca, got 'maybe'",
            ),
            (&["--ssl-session-timeout", "5"], "--ssl-session-timeout takes a number of seconds from 60, or 0, got '5'"),
            (&["--max-ssl-handshakes", "0"], "--max-ssl-handshakes takes a whole number from 1, got '0'"),
        ];
        for (arguments, sentence) in table {
            assert_eq!(read(arguments).unwrap_err().trim_end(), sentence, "{arguments:?}");
        }
        let with_pair = |more: &[&str]| read(&[&PAIR, more].concat()).unwrap_err().trim_end().to_owned();
        assert_eq!(with_pair(&["--ssl-verify-client", "1"]), "--ssl-verify-client required needs --ssl-ca-file");
        assert_eq!(with_pair(&["--ssl-crl-file", "/c"]), "--ssl-crl-file needs --ssl-ca-file");
        let three = with_pair(&["--ssl-cert", "/dev/null"]);
        assert_eq!(three, "--ssl-cert and --ssl-key must be specified together (2 certificates and 1 keys are given)");
    }

    #[test]
    fn tickets_go_on_with_the_same_timeout_only() {
        let with_seed = |timeout: &str| {
            let mut tls =
                read(&[&PAIR[..], &["--ssl-session-timeout", timeout]].concat()).unwrap().settings.tls.unwrap();
            let lifetime = tls.settings.session_timeout;
            tls.seed = (!lifetime.is_zero()).then(|| Seed::generate(lifetime).unwrap());
            tls
        };
        let tickets = with_seed("600").tickets().unwrap();
        let mut same = with_seed("600");
        assert_ne!(same.seed.as_ref(), Some(&tickets.seed));
        same.continue_with(tickets.clone());
        assert_eq!(same.seed.as_ref(), Some(&tickets.seed));
        for timeout in ["900", "0"] {
            let mut other = with_seed(timeout);
            let own = other.seed.clone();
            other.continue_with(tickets.clone());
            assert_eq!(other.seed, own, "{timeout}");
        }
        assert_eq!(with_seed("0").tickets(), None);
    }

    #[test]
    fn names_of_the_reference_server() {
        let arguments =
            [&PAIR[..], &["--ssl-min-version", "TLSv1_3", "--ssl-verify-client", "1", "--ssl-ca", "/ca"]].concat();
        let tls = read(&arguments).unwrap().settings.tls.unwrap();
        assert_eq!(tls.settings.verify_client, VerifyClient::Required);
        assert_eq!(tls.settings.min_version, pagi_server_core::tls::settings::MinVersion::Tls13);
        assert_eq!(tls.settings.ca_file.unwrap(), Path::new("/ca"));
    }
}
