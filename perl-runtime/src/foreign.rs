//! Another event loop drives the worker (`--loop`), see `lib/PAGI/Native/ForeignLoop.pm`.
//!
//! The boundary is one descriptor, that of the runtime's epoll set, in which everything else is watched already; and one
//! call that waits. The runtime's timers are not in it: their next deadline bounds the wait.

use std::collections::HashSet;
use std::fs;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use pagi_server_core::timer;

use crate::perl::value::{Outcome, Scalar};

/// The loop that waits for the worker.
pub(crate) struct Foreign {
    wait: Scalar,
}

impl Foreign {
    /// Starts the loop that was chosen before the application was loaded; it watches this descriptor.
    pub(crate) fn start(fd: RawFd) -> Result<Self, String> {
        timer::keep_deadlines();
        match Scalar::call_named(c"PAGI::Native::ForeignLoop::start", &[&Scalar::int(i64::from(fd))]) {
            Outcome::Returned(wait) => Ok(Self { wait }),
            Outcome::Died(error) => Err(error.display().trim_end().to_owned()),
            Outcome::Exit => Err("exit was called while the event loop was started".to_owned()),
        }
    }

    /// Lets it run once, and wait until then at most (`None`: not at all).
    pub(crate) fn run_once(&self, until: Option<Instant>) -> Outcome {
        let until = match (until, timer::next_deadline()) {
            (Some(until), Some(deadline)) => Some(until.min(deadline)),
            (until, _) => until,
        };
        let wait = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        self.wait.call(&[&Scalar::num(wait.as_secs_f64())])
    }
}

/// The epoll sets of this process. The runtime does not tell which one is its own: it is the one that was not there
/// before the runtime.
pub(crate) fn epoll_sets() -> std::io::Result<HashSet<RawFd>> {
    let mut sets = HashSet::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let is_epoll = fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:[eventpoll]");
        if is_epoll && let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            sets.insert(fd);
        }
    }
    Ok(sets)
}
