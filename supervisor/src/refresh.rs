//! Reading the configuration again in a running server: what takes effect with the next generation, and what waits for a
//! restart.

use crate::config::origin::Effective;
use crate::settings::{self, Settings};

/// Options that the master has acted upon once and for all.
const NEEDS_RESTART: [&str; 20] = [
    "listen",
    "host",
    "port",
    "socket",
    "socket_mode",
    "queues",
    "reuseport",
    "listener_backlog",
    "no_preload",
    "reload",
    "user",
    "group",
    "allow_root",
    "log",
    "log_format",
    "pid",
    "daemonize",
    "control_socket",
    "control_group",
    "admin_listen",
];

/// Settings that were read again, and what to say about them.
#[derive(Debug)]
pub struct Refreshed {
    /// What the next generation is started with.
    pub settings: Settings,
    /// One sentence for each option whose value is another.
    pub changes: Vec<String>,
    /// Warnings, as at the start.
    pub warnings: Vec<String>,
}

impl Refreshed {
    /// Says what has changed.
    pub fn log(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        for change in &self.changes {
            tracing::info!("{change}");
        }
    }
}

/// Reads the configuration file again. `None` when the server has none: nothing else can have changed.
///
/// # Errors
/// What is wrong, one line for each mistake.
pub fn refresh(current: &Settings) -> Result<Option<Refreshed>, String> {
    if current.service.config.is_none() {
        return Ok(None);
    }
    let settings::Checked { settings, warnings, .. } = settings::read_again(current).map_err(|answer| answer.text)?;
    let (settings, changes) = merge(current, settings);
    Ok(Some(Refreshed { settings, changes, warnings }))
}

/// The new settings, with the current ones where only a restart can change them.
fn merge(current: &Settings, mut new: Settings) -> (Settings, Vec<String>) {
    new.listen.clone_from(&current.listen);
    new.listen_given = current.listen_given;
    new.queues = current.queues;
    new.backlog = current.backlog;
    new.processes.no_preload = current.processes.no_preload;
    new.processes.reload = current.processes.reload;
    new.app.directory.clone_from(&current.app.directory);
    new.service.clone_from(&current.service);
    // Where TLS is spoken was decided when the addresses were bound.
    let tls_crosses = new.tls.is_some() != current.tls.is_some();
    new.tls = match (&current.tls, new.tls.take()) {
        (Some(current), Some(new)) => Some(new.succeeding(current)),
        (current, _) => current.clone(),
    };
    new.log.destination.clone_from(&current.log.destination);
    new.log.format = current.log.format;
    if new.configured_level() == current.configured_level() {
        // What pagictl has said since holds until the configuration says something else.
        new.log.level = current.log.level;
    }
    // Between one process and several lies a different kind of server.
    let crosses = new.has_workers() != current.has_workers();
    if crosses {
        new.processes.workers = current.processes.workers;
    }
    let mut changes = Vec::new();
    for option in &mut new.effective {
        let Some(before) = current.effective.iter().find(|before| before.key == option.key) else { continue };
        if before.values == option.values {
            continue;
        }
        let is_tls = option.key.starts_with("ssl_") || option.key == "disable_tls";
        let waits = NEEDS_RESTART.contains(&option.key.as_str())
            || (option.key == "workers" && crosses)
            || (is_tls && tls_crosses);
        let effect = if waits { "needs a restart of the server" } else { "takes effect with this reload" };
        changes.push(format!("{}: {} is {} now, which {effect}", option.origin, option.key, shown(option, before)));
        if waits {
            option.clone_from(before);
        }
    }
    (new, changes)
}

fn shown(after: &Effective, before: &Effective) -> String {
    let text = |values: &[String]| if values.is_empty() { "not set".to_owned() } else { values.join(" ") };
    format!("{} (was {})", text(&after.values), text(&before.values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;

    fn settings(arguments: &[&str]) -> Settings {
        let arguments = ["pagi-server", "-E", "none"].iter().chain(arguments).map(Into::into);
        settings::read(arguments).unwrap().settings
    }

    #[test]
    fn what_can_change_does_and_what_cannot_says_so() {
        let current = settings(&["-w", "2", "-p", "5000", "--max-body-size", "1", "--timeout", "5"]);
        let new = settings(&["-w", "4", "-p", "5001", "--max-body-size", "2", "--timeout", "5"]);
        let (merged, changes) = merge(&current, new);
        assert_eq!(merged.listen, current.listen);
        assert_eq!((merged.processes.workers, merged.http.max_body_size), (4, 2));
        assert_eq!(
            changes,
            [
                "command line: port is 5001 (was 5000) now, which needs a restart of the server",
                "command line: workers is 4 (was 2) now, which takes effect with this reload",
                "command line: max_body_size is 2 (was 1) now, which takes effect with this reload",
            ]
        );
        let port = merged.effective.iter().find(|option| option.key == "port").unwrap();
        assert_eq!(port.values, ["5000"], "what is shown is what is in effect");
    }

    #[test]
    fn a_level_that_was_told_holds_until_the_configuration_changes() {
        let mut current = settings(&["-w", "2", "--log-level", "warn"]);
        current.log.level = Level::Debug;
        let told = |settings: &Settings| {
            let shown = settings.in_effect();
            shown.iter().find(|option| option.key == "log_level").map(ToString::to_string)
        };
        assert_eq!(told(&current).unwrap(), "log_level = \"debug\"  # pagictl");
        let (merged, _) = merge(&current, settings(&["-w", "2", "--log-level", "warn"]));
        assert_eq!(merged.log.level, Level::Debug);
        let (merged, changes) = merge(&current, settings(&["-w", "2", "--log-level", "error"]));
        assert_eq!(merged.log.level, Level::Error);
        assert_eq!(changes, ["command line: log_level is error (was warn) now, which takes effect with this reload"]);
        assert_eq!(told(&merged).unwrap(), "log_level = \"error\"  # command line");
    }

    #[test]
    fn a_server_does_not_change_its_kind() {
        let (merged, changes) = merge(&settings(&["-w", "2"]), settings(&["-w", "1"]));
        assert_eq!(merged.processes.workers, 2);
        assert_eq!(changes, ["command line: workers is 1 (was 2) now, which needs a restart of the server"]);
    }

    #[test]
    fn tls_begins_and_ends_with_a_restart_only() {
        let with = ["--ssl-cert", "/dev/null", "--ssl-key", "/dev/null"];
        let (merged, changes) = merge(&settings(&[]), settings(&with));
        assert!(merged.tls.is_none());
        assert!(changes.iter().all(|change| change.ends_with("needs a restart of the server")), "{changes:?}");
        assert_eq!(changes.len(), 2);
        let strict = [&with[..], &["--ssl-min-version", "1.3"]].concat();
        let (merged, changes) = merge(&settings(&with), settings(&strict));
        assert_eq!(
            merged.tls.map(|tls| tls.settings.min_version),
            Some(pagi_server_core::tls::settings::MinVersion::Tls13)
        );
        assert!(changes[0].ends_with("takes effect with this reload"), "{changes:?}");
    }

    #[test]
    fn every_option_that_needs_a_restart_exists() {
        let known = settings(&[]).effective;
        for key in NEEDS_RESTART {
            assert!(known.iter().any(|option| option.key == key), "{key}");
        }
    }
}
