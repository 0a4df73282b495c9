//! What supervision keeps to: numbers of processes, bounds and intervals.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::{Settings, optional};
use crate::cli::ProcessOptions;
use crate::policy::Limits;

impl Settings {
    /// Whether requests are served by worker processes (reference-server 2.3: 0 and 1 mean none). A pool
    /// and `--reload` need a mold to come from.
    #[must_use]
    pub fn has_workers(&self) -> bool {
        self.processes.workers > 1 || self.pool.pool > 0 || self.processes.reload
    }

    /// The bounds that supervision keeps.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let processes = &self.processes;
        Limits {
            shutdown: processes.shutdown_timeout,
            startup: optional(self.startup_timeout),
            load: optional(processes.reload_timeout),
            age: optional(processes.max_worker_age),
            batch: processes.reload_batch,
        }
    }

    /// How long the successor of an upgraded server may take until it serves; `None` is no bound.
    #[must_use]
    pub fn upgrade_timeout(&self) -> Option<Duration> {
        let load = optional(self.processes.reload_timeout)?;
        Some(load.saturating_add(optional(self.startup_timeout)?))
    }

    /// Requests after which a worker asks to be replaced; different in each worker when a jitter is wanted.
    #[must_use]
    pub fn request_limit(&self) -> u64 {
        let ProcessOptions { max_requests, max_requests_jitter, .. } = self.processes;
        if max_requests == 0 {
            return 0;
        }
        // Seeded anew by the system in each process: nothing that must not be guessed.
        let chance = RandomState::new().hash_one(std::process::id());
        max_requests.saturating_add(chance.checked_rem(max_requests_jitter.saturating_add(1)).unwrap_or(0))
    }

    /// How often a worker shows that it is alive: a fifth of the time it has, and at least once a second.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        let second = Duration::from_secs(1);
        optional(self.processes.heartbeat_timeout).map_or(second, |timeout| (timeout / 5).min(second))
    }
}
