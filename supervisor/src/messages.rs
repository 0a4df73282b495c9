//! What the processes say to each other. Every message is one enum variant; the [`channel`](crate::channel) keeps
//! their bounds.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::log::Level;

/// One worker process. A new one gets a new id, also when it takes over the number of an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId(pub u64);

/// What a new worker is told about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: WorkerId,
    /// Its number from 1, which a replacement keeps.
    pub num: u32,
    /// Generation of the application code.
    pub generation: u32,
    /// Its slot of the scoreboard.
    pub slot: usize,
    /// The listeners it accepts from, by index.
    pub accept: Vec<usize>,
}

/// Master to mold. `Fork` has the worker's end of its channel attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToMold {
    /// Make a worker.
    Fork(Order),
    /// Log from this level on; in the workers it forks, too.
    LogLevel(Level),
    /// The server is ready: let go of the terminal it was started from.
    Detach,
}

/// Mold to master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromMold {
    /// Where its code is, as far as it was loaded; as many of these as are needed to say it all.
    Sources {
        /// Directories, with everything below them.
        directories: Vec<PathBuf>,
        /// Files.
        files: Vec<PathBuf>,
    },
    /// The application is loaded.
    Ready,
    /// It is not, and this is the text for the user.
    Failed {
        /// Finished text, one or several lines.
        message: String,
    },
    /// The worker exists.
    Forked {
        /// Which.
        id: WorkerId,
        /// Its process id.
        pid: i32,
    },
    /// It could not be made.
    NotForked {
        /// Which.
        id: WorkerId,
        /// Why.
        message: String,
    },
}

/// Master to worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Accept from these listeners from now on.
    Accept(Vec<usize>),
    /// Finish gracefully.
    Stop,
    /// Finish gracefully and go on as a mold; the new mold's end of its channel is attached.
    BecomeMold {
        /// Of this generation.
        generation: u32,
    },
    /// Finish faster.
    Hurry,
    /// Open log files anew.
    ReopenLogs,
    /// Log from this level on.
    LogLevel(Level),
    /// Read TLS certificates anew.
    ReloadCertificates,
    /// New code cannot be loaded, for this reason, or it can again.
    Trouble(Option<String>),
    /// The server is ready: let go of the terminal it was started from.
    Detach,
}

/// Worker to master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The process runs, the application is loaded, lifespan start-up begins.
    Started {
        /// Its process id.
        pid: i32,
    },
    /// It accepts connections.
    Ready,
    /// It cannot start, and this is the text for the user.
    StartupFailed {
        /// Finished text.
        message: String,
    },
    /// `max_requests` is reached: it goes on until a replacement is ready.
    WantsReplacement,
    /// It finishes, whoever asked it to.
    Draining {
        /// Connections open at that moment.
        connections: u64,
    },
}

/// Longest text that fits a message; Perl errors can quote whole files.
const TEXT_LIMIT: usize = 32 * 1024;

/// Cuts a text to what fits a message.
#[must_use]
pub fn fitting(mut text: String) -> String {
    if text.len() > TEXT_LIMIT {
        let end = (0..=TEXT_LIMIT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}
