//! The status of a server with workers, put together from the books and the scoreboard.

use std::time::Instant;

use crate::control::status::{MoldStatus, QueueStatus, Status, Totals, WorkerState, WorkerStatus};
use crate::roster::{Roster, Stage, Stop, Worker};
use crate::scoreboard::{Scoreboard, State};
use crate::{memory, staff};

/// What is not in the books.
pub struct About {
    /// Addresses, as in the banner.
    pub listening: Vec<String>,
    /// Counters of workers that are gone.
    pub gone: Totals,
    /// When it started.
    pub started: Instant,
}

impl About {
    /// Puts the status together.
    #[must_use]
    pub fn report(
        &self,
        roster: &Roster,
        scoreboard: &Scoreboard,
        molds: Vec<MoldStatus>,
        queues: Vec<QueueStatus>,
    ) -> Status {
        let mut totals = self.gone;
        let report = |worker: &Worker| {
            let reading = scoreboard.slot(worker.slot)?.read();
            // What a pool process answers was counted by the worker that has the client.
            if !staff::is_pool(worker.num) {
                totals.add(&reading);
            }
            Some(WorkerStatus::new(state(worker, reading.state), &reading))
        };
        let mut workers: Vec<_> = roster.workers.values().filter_map(report).collect();
        // Stable: of two with the same number the older one comes first.
        workers.sort_by_key(|worker| worker.num);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            generation: roster.current,
            workers_wanted: roster.target,
            totals,
            reloading: roster.reload.as_ref().map(|reload| reload.generation),
            restarts: roster.restarts.iter().map(|(cause, &count)| (cause.name().to_owned(), count)).collect(),
            memory_bytes: memory::own(),
            molds,
            queues,
            stopping: roster.stop != Stop::No,
            listening: self.listening.clone(),
            workers,
        }
    }
}

/// The master knows what it asked for, the worker how far it has come.
fn state(worker: &Worker, own: State) -> WorkerState {
    match (worker.stage, own) {
        (Stage::Requested, _) => WorkerState::Loading,
        (Stage::Starting, _) => WorkerState::Starting,
        (Stage::Killed, _) => WorkerState::Killed,
        (Stage::Ready, State::Draining) => WorkerState::Draining,
        (Stage::Ready, _) if worker.retiring => WorkerState::Retiring,
        (Stage::Ready, _) => WorkerState::Ready,
        (Stage::Leaving | Stage::Stopping | Stage::Hurrying, _) => WorkerState::Draining,
    }
}
