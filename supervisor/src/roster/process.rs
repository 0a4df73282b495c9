//! One worker process, and how far it is in its life.

use std::time::Instant;

use crate::cause::Cause;

/// A worker's life, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Asked for; the process may not exist yet. In a server without preloading this includes loading.
    Requested,
    /// In lifespan start-up.
    Starting,
    /// Serving.
    Ready,
    /// Finishing by itself: a signal was sent to it directly.
    Leaving,
    /// Told to stop.
    Stopping,
    /// Told to stop fast.
    Hurrying,
    /// Killed; not yet gone.
    Killed,
}

/// One worker process.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Its number from 1.
    pub num: u32,
    /// Generation of its code.
    pub generation: u32,
    /// Its slot of the scoreboard.
    pub slot: usize,
    /// Its process id, once known.
    pub pid: Option<i32>,
    /// Where it is in its life.
    pub stage: Stage,
    /// Since when.
    pub since: Instant,
    /// When it became ready.
    pub ready_at: Option<Instant>,
    /// It is to be replaced when its turn comes.
    pub due: Option<Cause>,
    /// It serves until another has taken over its number.
    pub retiring: bool,
    /// It said that it does not accept connections any more.
    pub draining: bool,
    /// Its heartbeat was lost and the kill is due.
    pub wedged: bool,
    /// When it was asked where it is stuck.
    pub questioned: Option<Instant>,
}
