//! Workers that end, and those that do not even begin.

use std::time::Instant;

use super::{GIVE_UP_AFTER, Mold, Roster, Stage, Worker};
use crate::cause::Cause;
use crate::event::Ending;
use crate::messages::WorkerId;
use crate::reload::{ATTEMPTS, Phase};
use crate::{backoff, staff};

/// A worker that crashes this often before any worker has ever become ready counts as failed for good.
pub(super) const HOPELESS_AFTER: u32 = 3;

impl Roster {
    /// A worker did not get as far as serving.
    pub(super) fn start_failed(&mut self, id: WorkerId, worker: &Worker, how: &str, now: Instant) {
        if self.reload.as_ref().is_some_and(|reload| reload.phase == Phase::Trying(id)) {
            let complaint = self.reload.as_mut().and_then(|reload| reload.complaint.take());
            let reason = complaint.map_or_else(
                || format!("The first worker with the new code {how} before it was ready"),
                |complaint| format!("Startup failed: {complaint}"),
            );
            return self.roll_back(reason, now);
        }
        if worker.generation != self.current {
            // It was killed because nobody needs it.
            return;
        }
        self.count_failure(worker.num, now);
        if let Some(reload) = self.reload.as_mut().filter(|reload| reload.generation == worker.generation) {
            reload.failures += 1;
            if reload.failures >= ATTEMPTS {
                let complaint = reload.complaint.take().map(|complaint| format!(": {complaint}")).unwrap_or_default();
                let name = staff::Title(worker.num);
                return self.roll_back(format!("{name} with the new code {how} before it was ready{complaint}"), now);
            }
        }
        if self.seat(worker.num).failures >= GIVE_UP_AFTER {
            // Whoever asked for a new worker is told; the old one stays.
            for old in self.workers.values_mut().filter(|old| old.num == worker.num && old.stage == Stage::Ready) {
                if old.due == Some(Cause::Restart) {
                    tracing::error!("{} cannot be replaced; the old one serves on", staff::Title(old.num));
                    old.due = None;
                    old.retiring = false;
                }
            }
        }
    }

    pub(super) fn worker_exited(&mut self, id: WorkerId, ending: Ending, now: Instant) {
        let Some(worker) = self.workers.remove(&id) else { return };
        let pid = worker.pid.unwrap_or_default();
        if let Some(generation) = self.promised(id) {
            self.set_mold(generation, Mold::Leaving);
            if self.candidate() == Some(generation) {
                self.roll_back(format!("The worker that was to become the mold {ending}"), now);
            }
            self.generations.remove(&generation);
        }
        let asked = matches!(worker.stage, Stage::Leaving | Stage::Stopping | Stage::Hurrying) || worker.retiring;
        if asked && ending == Ending::Exited(crate::exit::STOPPED) {
            tracing::info!("{} ({pid}) has stopped", staff::Title(worker.num));
            return;
        }
        if worker.stage == Stage::Killed {
            // Our doing, and logged when it was done.
            tracing::debug!("{} ({pid}) {ending}", staff::Title(worker.num));
        } else {
            tracing::error!("{} ({pid}) {ending}", staff::Title(worker.num));
        }
        if worker.ready_at.is_none() {
            self.start_failed(id, &worker, &ending.to_string(), now);
            let gave_up = ending == Ending::Exited(crate::exit::WORKER_STARTUP_FAILED);
            if !self.ever_ready
                && let Some(seat) = self.seats.get_mut(&worker.num)
            {
                seat.hopeless = gave_up || seat.failures >= HOPELESS_AFTER;
            }
            return;
        }
        if worker.stage <= Stage::Ready {
            self.count(Cause::Crash);
        } else if worker.wedged {
            self.count(Cause::Heartbeat);
        }
        let stable = worker.ready_at.is_some_and(|ready| now.duration_since(ready) >= backoff::STABLE_AFTER);
        if stable {
            self.seats.remove(&worker.num);
        } else {
            // It can start: repeating that soon is worth more than sparing the machine.
            self.seats.entry(worker.num).and_modify(|seat| seat.failures = seat.failures.min(1));
        }
        if self.wants(worker.num) {
            self.count_failure(worker.num, now);
        }
    }

    pub(super) fn count_failure(&mut self, num: u32, now: Instant) {
        let seat = self.seats.entry(num).or_default();
        seat.failures += 1;
        seat.not_before = Some(now + backoff::delay(seat.failures));
    }
}
