//! What happens to other processes, as the master learns it: the input of the [`roster`](crate::roster).

use crate::messages::WorkerId;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this status.
    Exited(i32),
    /// A signal of this number killed it.
    Killed(i32),
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {signal}"),
            },
        }
    }
}

/// Something that happened to another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A mold has loaded the application.
    MoldReady {
        /// Which generation.
        generation: u32,
    },
    /// A mold could not load it.
    MoldFailed {
        /// Which generation.
        generation: u32,
        /// The text for the user.
        message: String,
    },
    /// A mold is gone, and everything it had said has been heard.
    MoldExited {
        /// Which generation.
        generation: u32,
        /// How it ended.
        ending: Ending,
    },
    /// A worker process exists.
    WorkerSpawned {
        /// Which.
        id: WorkerId,
        /// Its process id.
        pid: i32,
    },
    /// A worker process could not be made.
    WorkerNotSpawned {
        /// Which.
        id: WorkerId,
        /// Why.
        message: String,
    },
    /// A worker is through with loading; its loop turns from now on, so that its heartbeat means something.
    WorkerStarted {
        /// Which.
        id: WorkerId,
    },
    /// A worker accepts connections.
    WorkerReady {
        /// Which.
        id: WorkerId,
    },
    /// A worker says that it cannot start; its exit follows.
    WorkerStartupFailed {
        /// Which.
        id: WorkerId,
        /// The text for the user.
        message: String,
    },
    /// A worker has served `max_requests`.
    WorkerWantsReplacement {
        /// Which.
        id: WorkerId,
    },
    /// A worker uses more memory than `--max-worker-rss` allows.
    WorkerTooBig {
        /// Which.
        id: WorkerId,
        /// Resident memory in bytes.
        bytes: u64,
    },
    /// A worker finishes its connections, whoever asked for it.
    WorkerDraining {
        /// Which.
        id: WorkerId,
        /// Connections open at that moment.
        connections: u64,
    },
    /// A worker's heartbeat is older than allowed.
    HeartbeatLost {
        /// Which.
        id: WorkerId,
    },
    /// A worker is gone.
    WorkerExited {
        /// Which.
        id: WorkerId,
        /// How it ended.
        ending: Ending,
    },
    /// The user wants the server to stop; said again, to stop faster.
    StopRequested,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_read_well() {
        assert_eq!(Ending::Exited(3).to_string(), "exited with status 3");
        assert_eq!(Ending::Killed(9).to_string(), "was killed by SIGKILL");
        assert_eq!(Ending::Killed(40).to_string(), "was killed by signal 40");
    }
}
