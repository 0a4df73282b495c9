//! A change of generation under way: new code is loaded beside the old, tried in one worker, and only then given to
//! all. Until the trial worker is ready nothing that serves has been touched.

use std::time::Instant;

use crate::cause::Cause;
use crate::messages::WorkerId;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The application is being loaded.
    Loading,
    /// One worker of the new code starts.
    Trying(WorkerId),
    /// It became ready: the others are replaced.
    Replacing,
}

impl Reload {
    /// What the user has asked for.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.is_refork { "Refork" } else { "Reload" }
    }

    /// Why workers of the previous generation are replaced.
    #[must_use]
    pub fn cause(&self) -> Cause {
        if self.is_refork { Cause::Refork } else { Cause::Reload }
    }
}

/// A reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// There is no new code: a worker becomes the mold.
    pub is_refork: bool,
    /// Generation of the new code.
    pub generation: u32,
    /// Generation to go back to.
    pub previous: u32,
    /// How far it has come.
    pub phase: Phase,
    /// When this phase began.
    pub since: Instant,
    /// Workers of the new code that did not become ready.
    pub failures: u32,
    /// Workers of older code that were given up for it.
    pub replaced: u32,
    /// What the worker that failed said.
    pub complaint: Option<String>,
}

/// So many workers may fail to start after the trial worker was ready; then the reload is rolled back.
pub const ATTEMPTS: u32 = 3;

/// How a reload ended: the new generation, or the sentence that says why the old one serves on.
pub type Verdict = Result<u32, String>;
