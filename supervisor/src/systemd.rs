//! What systemd is told, see sd_notify(3). Not running under systemd is no error: then nothing is said.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!("Cannot notify systemd: {error}");
    }
}

/// Most descriptors of one message (SCM_MAX_FD is 253).
const MOST_AT_ONCE: usize = 200;

/// Asks systemd to keep copies of these sockets and to pass them to the service when it starts again, see FDSTORE in
/// sd_pid_notify_with_fds(3). What it has already it does not keep twice.
pub fn keep(name: &str, sockets: &[BorrowedFd<'_>]) {
    for some in sockets.chunks(MOST_AT_ONCE) {
        let states = [NotifyState::FdStore, NotifyState::FdName(name)];
        if let Err(error) = sd_notify::notify_with_fds(false, &states, some) {
            tracing::debug!("Cannot leave sockets to systemd: {error}");
        }
    }
}

/// Asks systemd to close what it keeps under this name.
pub fn forget(name: &str) {
    notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

/// The server goes down on purpose.
pub fn announce_stop() {
    notify(&[NotifyState::Stopping]);
}

/// Another process is the server from now on.
pub fn announce_successor(pid: u32) {
    notify(&[NotifyState::MainPid(pid)]);
}

/// Tells systemd how the server is, whenever that changes.
#[derive(Debug, Default)]
pub struct Bulletin {
    ready: bool,
    reloading: bool,
    status: String,
}

impl Bulletin {
    /// Says that the server is ready.
    pub fn ready(&mut self) {
        self.ready = true;
        notify(&[NotifyState::Ready]);
    }

    /// Says nothing more: another process does.
    pub fn mute(&mut self) {
        self.ready = false;
    }

    /// Says whether a reload is under way, and in one line what the server does.
    pub fn update(&mut self, reloading: bool, status: String) {
        if !self.ready {
            return;
        }
        match (self.reloading, reloading) {
            (false, true) => match NotifyState::monotonic_usec_now() {
                // Type=notify-reload wants to know when, to tell this reload from an earlier one.
                Ok(now) => notify(&[NotifyState::Reloading, now]),
                Err(error) => tracing::debug!("Cannot read the clock for systemd: {error}"),
            },
            (true, false) => notify(&[NotifyState::Ready]),
            _ => {}
        }
        self.reloading = reloading;
        if status != self.status {
            notify(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }
}

/// Tells systemd that the server lives, three times as often as it wants to hear it.
#[derive(Debug)]
pub struct Watchdog {
    interval: Option<Duration>,
    fed: Option<Instant>,
}

impl Watchdog {
    /// As `WATCHDOG_USEC` says, unless `WATCHDOG_PID` says that another process is meant, see sd_watchdog_enabled(3).
    #[must_use]
    pub fn find() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap_or(0));
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let microseconds = number("WATCHDOG_USEC").filter(|&microseconds| is_meant && microseconds > 0);
        Self { interval: microseconds.map(|microseconds| Duration::from_micros(microseconds) / 3), fed: None }
    }

    /// How often to look whether it is time; `None` when nobody watches.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Feeds it if it is time.
    pub fn feed(&mut self, now: Instant) {
        let Some(interval) = self.interval else { return };
        // A little early is better than a whole pulse late.
        if self.fed.is_none_or(|fed| now.duration_since(fed) >= interval * 9 / 10) {
            self.fed = Some(now);
            notify(&[NotifyState::Watchdog]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_watches_us_here() {
        let mut watchdog = Watchdog { interval: None, fed: None };
        watchdog.feed(Instant::now());
        assert_eq!((watchdog.interval(), watchdog.fed), (None, None));
    }

    #[test]
    fn feeds_when_due() {
        let interval = Duration::from_secs(3);
        let mut watchdog = Watchdog { interval: Some(interval), fed: None };
        let start = Instant::now();
        watchdog.feed(start);
        watchdog.feed(start + Duration::from_secs(1));
        assert_eq!(watchdog.fed, Some(start), "not yet");
        watchdog.feed(start + interval);
        assert_eq!(watchdog.fed, Some(start + interval));
    }
}
