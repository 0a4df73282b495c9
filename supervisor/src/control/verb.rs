//! What a user can tell a running server to do, and how that is written as a request:
//! `POST /v1/restart?worker=2`.

use crate::log::Level;

/// Most workers a server can have.
const MOST_WORKERS: u32 = 1024;

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Load the application anew and give it to all workers.
    Reload,
    /// Replace all workers, or one.
    Restart {
        /// Its number.
        worker: Option<u32>,
    },
    /// Replace a worker and wait until it has finished its connections.
    Drain {
        /// Its number.
        worker: u32,
    },
    /// Change the number of workers.
    Scale {
        /// How many are wanted.
        workers: u32,
    },
    /// Let a worker that has served become the mold of all others.
    Refork,
    /// Start the installed binary in place of the one that runs.
    Upgrade,
    /// Reopen log files.
    ReopenLogs,
    /// Log from another level on.
    LogLevel {
        /// The least severe that is logged.
        level: Level,
    },
    /// Stop gracefully.
    Stop,
}

impl Verb {
    /// The request's path and query.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Reload => "/v1/reload".to_owned(),
            Self::Restart { worker: None } => "/v1/restart".to_owned(),
            Self::Restart { worker: Some(worker) } => format!("/v1/restart?worker={worker}"),
            Self::Drain { worker } => format!("/v1/drain?worker={worker}"),
            Self::Scale { workers } => format!("/v1/scale?workers={workers}"),
            Self::Refork => "/v1/refork".to_owned(),
            Self::Upgrade => "/v1/upgrade".to_owned(),
            Self::ReopenLogs => "/v1/logs-reopen".to_owned(),
            Self::LogLevel { level } => format!("/v1/log-level?level={}", level.word()),
            Self::Stop => "/v1/stop".to_owned(),
        }
    }

    /// Understands a path and a query. `None` is a path that names no order.
    ///
    /// # Errors
    /// A sentence about the query.
    pub fn parse(path: &str, query: &str) -> Option<Result<Self, String>> {
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| -> Result<Option<u32>, String> {
            let Some(value) = value(name) else { return Ok(None) };
            let number = value.parse().ok().filter(|number| (1..=MOST_WORKERS).contains(number));
            number.map(Some).ok_or_else(|| format!("'{name}' takes a number from 1 to {MOST_WORKERS}, got '{value}'"))
        };
        let needed =
            |name: &str| number(name)?.ok_or_else(|| format!("'{name}' is missing; write {path}?{name}=NUMBER"));
        Some(match path {
            "/v1/reload" => Ok(Self::Reload),
            "/v1/restart" => number("worker").map(|worker| Self::Restart { worker }),
            "/v1/drain" => needed("worker").map(|worker| Self::Drain { worker }),
            "/v1/scale" => needed("workers").map(|workers| Self::Scale { workers }),
            "/v1/refork" => Ok(Self::Refork),
            "/v1/upgrade" => Ok(Self::Upgrade),
            "/v1/logs-reopen" => Ok(Self::ReopenLogs),
            "/v1/log-level" => match value("level") {
                Some(level) => Level::parse(level).map(|level| Self::LogLevel { level }),
                None => Err(format!("'level' is missing; write {path}?level=LEVEL")),
            },
            "/v1/stop" => Ok(Self::Stop),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_survives_its_path() {
        for order in [
            Verb::Reload,
            Verb::Restart { worker: None },
            Verb::Restart { worker: Some(3) },
            Verb::Drain { worker: 2 },
            Verb::Scale { workers: 1024 },
            Verb::Refork,
            Verb::Upgrade,
            Verb::ReopenLogs,
            Verb::LogLevel { level: Level::Debug },
            Verb::Stop,
        ] {
            let path = order.path();
            let (path, query) = path.split_once('?').unwrap_or((&path, ""));
            assert_eq!(Verb::parse(path, query), Some(Ok(order)));
        }
    }

    #[test]
    fn what_is_not_an_order() {
        assert_eq!(Verb::parse("/v1/dance", ""), None);
        let refused = |path, query| Verb::parse(path, query).unwrap().unwrap_err();
        assert_eq!(refused("/v1/scale", ""), "'workers' is missing; write /v1/scale?workers=NUMBER");
        assert_eq!(refused("/v1/scale", "workers=0"), "'workers' takes a number from 1 to 1024, got '0'");
        assert_eq!(refused("/v1/restart", "worker=x"), "'worker' takes a number from 1 to 1024, got 'x'");
        assert_eq!(refused("/v1/log-level", ""), "'level' is missing; write /v1/log-level?level=LEVEL");
        let sentence = "Invalid log_level 'loud': must be debug, info, warn or error";
        assert_eq!(refused("/v1/log-level", "level=loud"), sentence);
    }
}
