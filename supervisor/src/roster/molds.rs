//! Molds, one for each generation that is loaded: which there are, and what it means when one ends.

use std::time::Instant;

use super::{Roster, Worker};
use crate::backoff;
use crate::event::Ending;
use crate::messages::WorkerId;
use crate::reload::Phase;
use crate::roster::Stop;

/// The mold of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mold {
    /// There is none and none is wanted: workers load for themselves.
    Unused,
    /// There is none; one may be started at this time.
    Absent {
        /// Not before.
        not_before: Instant,
    },
    /// This worker becomes it when it has finished.
    Promised(WorkerId),
    /// Loading the application.
    Loading,
    /// Forks workers on request.
    Ready,
    /// Told to go.
    Leaving,
}

/// One generation of application code.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Its mold.
    pub mold: Mold,
    /// Molds that ended by themselves, in a row.
    pub mold_failures: u32,
    /// A worker has become its mold, or was meant to.
    pub reforked: bool,
}

impl Roster {
    /// The mold that new workers come from.
    #[must_use]
    pub fn mold(&self) -> Mold {
        self.mold_of(self.current)
    }

    /// The mold of a generation.
    #[must_use]
    pub fn mold_of(&self, generation: u32) -> Mold {
        self.generations.get(&generation).map_or(Mold::Unused, |generation| generation.mold)
    }

    /// Records that a mold was started.
    pub fn note_mold_started(&mut self, generation: u32) {
        self.set_mold(generation, Mold::Loading);
    }

    /// Records that a mold was told to go or killed.
    pub fn note_mold_leaving(&mut self, generation: u32) {
        self.set_mold(generation, Mold::Leaving);
    }

    /// Records that a mold could not even be started.
    pub fn note_mold_not_started(&mut self, generation: u32, reason: &str, now: Instant) {
        self.retry_mold(generation, now);
        if self.candidate() == Some(generation) {
            self.roll_back(format!("Cannot start the process that loads the application: {reason}"), now);
        }
    }

    pub(super) fn set_mold(&mut self, generation: u32, mold: Mold) {
        if let Some(generation) = self.generations.get_mut(&generation) {
            generation.mold = mold;
        }
    }

    pub(super) fn mold_failed(&mut self, generation: u32, message: String, now: Instant) {
        if self.candidate() == Some(generation) {
            self.roll_back(message, now);
        } else if self.ever_ready {
            tracing::error!("Generation {generation} cannot be loaded again: {message}");
        } else {
            self.load_error = Some(message);
        }
    }

    pub(super) fn mold_exited(&mut self, generation: u32, ending: Ending, now: Instant) {
        // Workers that it was asked for and did not report will never come.
        let orphaned = |worker: &Worker| worker.generation == generation && worker.pid.is_none();
        self.workers.retain(|_, worker| !orphaned(worker));
        let expected = self.stop != Stop::No || !self.needs(generation) || self.mold_of(generation) == Mold::Leaving;
        if !expected && self.ever_ready {
            tracing::warn!("The mold of generation {generation} {ending}");
        } else if !expected && self.load_error.is_none() {
            self.load_error = Some(format!("The process that loads the application {ending}"));
        }
        let lost_trial = match self.reload.as_ref().map(|reload| reload.phase) {
            Some(Phase::Loading) => true,
            Some(Phase::Trying(id)) => !self.workers.contains_key(&id),
            Some(Phase::Replacing) | None => false,
        };
        if self.candidate() == Some(generation) && lost_trial {
            self.roll_back(format!("The process that loads the application {ending}"), now);
        }
        if self.needs(generation) {
            self.retry_mold(generation, now);
        } else {
            self.generations.remove(&generation);
        }
    }

    pub(super) fn retry_mold(&mut self, generation: u32, now: Instant) {
        if let Some(generation) = self.generations.get_mut(&generation) {
            generation.mold_failures += 1;
            generation.mold = Mold::Absent { not_before: now + backoff::delay(generation.mold_failures) };
        }
    }

    /// The generation whose mold this worker is to become.
    #[must_use]
    pub fn promised(&self, id: WorkerId) -> Option<u32> {
        let mut generations = self.generations.iter();
        generations.find(|(_, generation)| generation.mold == Mold::Promised(id)).map(|(&number, _)| number)
    }
}
