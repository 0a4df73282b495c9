//! The change from one generation of code to another: begun, accepted, finished or given up.

use std::time::Instant;

use super::{Generation, Mold, Roster, Stage, Stop};
use crate::cause::Cause;
use crate::messages::WorkerId;
use crate::reload::{Phase, Reload};

impl Roster {
    /// The generation that is loaded or tried beside the one that serves.
    #[must_use]
    pub fn candidate(&self) -> Option<u32> {
        self.reload.as_ref().filter(|reload| reload.phase != Phase::Replacing).map(|reload| reload.generation)
    }

    /// Whether a generation's mold is still needed: to make workers, or to go back to it.
    #[must_use]
    pub fn needs(&self, generation: u32) -> bool {
        let in_reload = |reload: &Reload| reload.generation == generation || reload.previous == generation;
        generation == self.current || self.reload.as_ref().is_some_and(in_reload)
    }

    /// Records that the new code serves under every number.
    pub fn note_reloaded(&mut self, now: Instant) {
        let Some(reload) = self.reload.take() else { return };
        let draining = self.workers.values().filter(|worker| worker.stage > Stage::Ready).count();
        tracing::info!(
            "Generation {} serves: {} workers replaced, {draining} of them still finish their connections",
            reload.generation,
            reload.replaced
        );
        self.verdicts.push(Ok(reload.generation));
        self.forget_generations();
        self.begin_queued(now);
    }

    /// Gives new code up: what served before goes on serving.
    pub fn roll_back(&mut self, reason: String, now: Instant) {
        let Some(reload) = self.reload.take() else { return };
        if reload.phase == Phase::Replacing {
            self.current = reload.previous;
            self.seats.clear();
            for worker in self.workers.values_mut().filter(|worker| worker.stage <= Stage::Ready) {
                // Old workers that have not been told to stop stay; their successors go instead.
                worker.retiring = false;
                worker.due = (worker.generation != reload.previous).then_some(Cause::Rollback);
            }
        }
        let (name, reason) = (reload.name(), reason.trim_end());
        tracing::error!("{name} failed, generation {} serves on: {reason}", self.current);
        self.verdicts.push(Err(format!("{name} failed, the previous code serves on: {reason}")));
        self.forget_generations();
        self.begin_queued(now);
    }

    /// Asks for new code. A request that comes while new code is being loaded is kept for afterwards: what was loaded
    /// may be older than the request.
    pub fn request_reload(&mut self, now: Instant) {
        if self.reload.is_some() {
            tracing::info!("A reload is under way; another one follows");
            self.reload_queued = true;
            return;
        }
        let mold = if self.mold() == Mold::Unused { Mold::Unused } else { Mold::Absent { not_before: now } };
        let generation = self.begin_generation(mold, false, now);
        tracing::info!("Loading the application anew as generation {generation}");
    }

    /// Asks for a generation whose mold is this worker.
    pub fn request_refork(&mut self, id: WorkerId, now: Instant) {
        if let Some(generation) = self.generations.get_mut(&self.current) {
            generation.reforked = true;
        }
        let generation = self.begin_generation(Mold::Promised(id), true, now);
        let num = self.workers.get(&id).map_or(0, |worker| worker.num);
        tracing::info!("Worker {num} becomes the mold of generation {generation}");
        self.note_retiring(id, Cause::Refork);
    }

    pub(super) fn begin_generation(&mut self, mold: Mold, is_refork: bool, now: Instant) -> u32 {
        let generation = self.next_generation;
        self.next_generation += 1;
        self.generations.insert(generation, Generation { mold, mold_failures: 0, reforked: is_refork });
        self.reload = Some(Reload {
            is_refork,
            generation,
            previous: self.current,
            phase: Phase::Loading,
            since: now,
            failures: 0,
            replaced: 0,
            complaint: None,
        });
        generation
    }

    pub(super) fn begin_queued(&mut self, now: Instant) {
        if std::mem::take(&mut self.reload_queued) && self.stop == Stop::No {
            self.request_reload(now);
        }
    }

    /// Lets go of generations that have neither a use nor a process.
    pub(super) fn forget_generations(&mut self) {
        let kept: Vec<u32> = self.generations.keys().copied().filter(|&number| self.needs(number)).collect();
        self.generations.retain(|number, generation| {
            kept.contains(number) || matches!(generation.mold, Mold::Loading | Mold::Ready | Mold::Leaving)
        });
    }

    /// The trial worker serves: from now on new workers have the new code, and the others take turns.
    pub(super) fn accept_candidate(&mut self, now: Instant) {
        let Some(reload) = self.reload.as_mut() else { return };
        reload.phase = Phase::Replacing;
        reload.since = now;
        self.current = reload.generation;
        let cause = reload.cause();
        self.seats.clear();
        for worker in self.workers.values_mut().filter(|worker| worker.stage <= Stage::Ready) {
            if worker.generation != self.current {
                worker.due = worker.due.or(Some(cause));
            }
        }
    }
}
