//! Why a worker is replaced, or was lost: what the log says and what the counters count.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a worker gave up its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// New code was loaded.
    Reload,
    /// New code was given up again.
    Rollback,
    /// The user asked for it.
    Restart,
    /// It becomes the mold, or is replaced by a worker from the new mold.
    Refork,
    /// `--max-requests`.
    MaxRequests,
    /// `--max-worker-age`.
    MaxAge,
    /// `--max-worker-rss`.
    MaxRss,
    /// It left by itself: a signal was sent to the process.
    Signal,
    /// Its loop did not turn any more.
    Heartbeat,
    /// It ended without being asked to.
    Crash,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Reload,
        Self::Rollback,
        Self::Restart,
        Self::Refork,
        Self::MaxRequests,
        Self::MaxAge,
        Self::MaxRss,
        Self::Signal,
        Self::Heartbeat,
        Self::Crash,
    ];

    /// The name in counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::Refork => "refork",
            Self::MaxRequests => "max_requests",
            Self::MaxAge => "max_age",
            Self::MaxRss => "max_rss",
            Self::Signal => "signal",
            Self::Heartbeat => "heartbeat",
            Self::Crash => "crash",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reload => "is replaced by one with the new code",
            Self::Rollback => "is replaced by one with the previous code",
            Self::Restart => "is replaced as asked",
            Self::Refork => "is replaced for workers that share what it has in memory",
            Self::MaxRequests => "has served its requests and is replaced",
            Self::MaxAge => "has reached its age limit and is replaced",
            Self::MaxRss => "has reached its memory limit and is replaced",
            Self::Signal => "leaves by itself and is replaced",
            Self::Heartbeat => "has shown no sign of life and is replaced",
            Self::Crash => "has crashed and is replaced",
        })
    }
}
