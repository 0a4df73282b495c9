//! What is logged, and where: the access log, standard error of the application, and the level of the server log.

use std::path::{Path, PathBuf};

use pagi_server_core::access_log::{AccessLog, Format, Sink};
use serde::{Deserialize, Serialize};

use super::{PRODUCTION, Settings};
use crate::cli;
use crate::config::origin::{Effective, Origin};
use crate::log::{Destination, Format as LogFormat, Level};

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLogSettings {
    /// Preset or format, checked.
    pub format: String,
    /// File, or standard error.
    pub file: Option<PathBuf>,
    /// One of so many requests is logged.
    pub one_of: u64,
}

pub(super) fn access_log(parsed: &cli::Parsed, mode: &str, directory: &Path) -> Option<AccessLogSettings> {
    let options = &parsed.options.logs;
    // A file on the command line wins over the word of the configuration file that there is none.
    let off = options.no_access_log && parsed.rank("no_access_log") >= parsed.rank("access_log");
    let wanted = !off && (options.access_log.is_some() || mode != PRODUCTION);
    wanted.then(|| AccessLogSettings {
        format: options.access_log_format.clone(),
        file: options.access_log.as_ref().map(|file| directory.join(file)),
        one_of: options.access_log_sample,
    })
}

impl Settings {
    /// Whether what the application writes to standard error becomes lines of the log. A single process that logs text
    /// to standard error is a program in somebody's terminal, and one in the background has no standard error.
    #[must_use]
    pub fn captures_stderr(&self) -> bool {
        match self.log.destination {
            Destination::Stderr => {
                !self.service.daemonize && (self.has_workers() || self.log.format == LogFormat::Json)
            }
            _ => true,
        }
    }

    /// The log level that the configuration asks for.
    #[must_use]
    pub fn configured_level(&self) -> Level {
        let said = |key: &str| self.effective.iter().find(|option| option.key == key)?.values.first();
        match said("log_level").map(|level| Level::parse(level)) {
            _ if self.quiet => Level::Error,
            Some(Ok(level)) => level,
            _ => self.log.level,
        }
    }

    /// Every option as it is in effect now, what was changed while the server runs included.
    #[must_use]
    pub fn in_effect(&self) -> Vec<Effective> {
        let mut options = self.effective.clone();
        if self.log.level != self.configured_level()
            && let Some(option) = options.iter_mut().find(|option| option.key == "log_level")
        {
            option.values = vec![self.log.level.word().to_owned()];
            option.origin = Origin::Told;
        }
        options
    }

    /// Opens the access log. `stderr` is standard error when it is not the process's own any more.
    ///
    /// # Errors
    /// `Cannot open access log PATH: REASON`.
    pub fn open_access_log(&self, stderr: Option<std::fs::File>) -> Result<Option<AccessLog>, String> {
        let Some(settings) = &self.access_log else { return Ok(None) };
        let format = Format::parse(&settings.format)?;
        let log = match (&settings.file, stderr) {
            (Some(file), _) => AccessLog::new(format, Sink::File(file.clone()))?,
            (None, None) => AccessLog::new(format, Sink::Stderr)?,
            // Whoever waits for the end of our output must not wait for a server in the background.
            (None, Some(_)) if self.service.daemonize => return Ok(None),
            (None, Some(stderr)) => AccessLog::on(format, stderr),
        };
        Ok(Some(log.sampled(settings.one_of)))
    }
}
