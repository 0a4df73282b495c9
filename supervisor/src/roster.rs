//! The master's books: which molds and workers exist and what state each is in. It changes by [`Event`]s, which come
//! from other processes, and by the `note_*` methods, with which the master records what it has just done. What should
//! be done next is not decided here but in [`policy`](crate::policy).
//!
//! [`process`] is one worker, [`molds`] are where workers come from, [`generations`] the change from one copy of the code to
//! another, and [`failures`] what it means when something ends that should not.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::cause::Cause;
use crate::event::Event;
use crate::messages::WorkerId;
use crate::reload::{Phase, Reload, Verdict};
use crate::staff;

mod failures;
mod generations;
mod molds;
mod process;

pub use molds::{Generation, Mold};
pub use process::{Stage, Worker};

/// What is known about a worker number, whoever holds it.
#[derive(Debug, Clone, Default)]
pub struct Seat {
    /// Failures in a row.
    pub failures: u32,
    /// No new worker before.
    pub not_before: Option<Instant>,
    /// Start-up failed in a way that makes a repetition pointless before any worker has become ready.
    pub hopeless: bool,
}

/// How far the stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nobody asked.
    No,
    /// Graceful, asked for at this time.
    Graceful(Instant),
    /// A second request came at this time.
    Fast(Instant),
    /// A third one: no more waiting.
    Now,
}

/// How far a server has come in its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// Workers are missing.
    UnderWay,
    /// A worker serves under every number.
    Done,
    /// Some number stays without a worker.
    Failed(String),
}

/// After so many failed starts in a row a user who waits for a worker is told.
pub const GIVE_UP_AFTER: u32 = 3;

/// The books.
#[derive(Debug, Clone)]
pub struct Roster {
    /// Workers wanted.
    pub target: u32,
    /// Pool processes wanted.
    pub pool: u32,
    /// Workers the accept queues are dealt to. Follows `target`, but never ahead of what serves.
    pub spread: u32,
    /// Most worker processes at a time: slots of the scoreboard.
    pub room: usize,
    /// Generation new workers belong to.
    pub current: u32,
    /// All generations that have processes or are to have some.
    pub generations: BTreeMap<u32, Generation>,
    /// All worker processes.
    pub workers: BTreeMap<WorkerId, Worker>,
    /// What is known about the numbers 1 to `target`.
    pub seats: BTreeMap<u32, Seat>,
    /// Whether any worker ever became ready.
    pub ever_ready: bool,
    /// Why the application cannot be loaded, if it was never loaded.
    pub load_error: Option<String>,
    /// Whether and how the server stops.
    pub stop: Stop,
    /// A change of generation under way.
    pub reload: Option<Reload>,
    /// Another one was asked for meanwhile.
    pub reload_queued: bool,
    /// How finished reloads ended, until the master takes note.
    pub verdicts: Vec<Verdict>,
    /// Workers given up or lost, by cause.
    pub restarts: BTreeMap<Cause, u64>,
    next_id: u64,
    next_generation: u32,
}

impl Roster {
    /// Books of a server that has not started anything yet.
    #[must_use]
    pub fn new(target: u32, preload: bool, now: Instant) -> Self {
        let mold = if preload { Mold::Absent { not_before: now } } else { Mold::Unused };
        Self {
            target,
            pool: 0,
            spread: target,
            room: usize::MAX,
            current: 1,
            generations: BTreeMap::from([(1, Generation { mold, mold_failures: 0, reforked: false })]),
            workers: BTreeMap::new(),
            seats: BTreeMap::new(),
            ever_ready: false,
            load_error: None,
            stop: Stop::No,
            reload: None,
            reload_queued: false,
            verdicts: Vec::new(),
            restarts: BTreeMap::new(),
            next_id: 1,
            next_generation: 2,
        }
    }

    /// All numbers that are to be held: workers, then pool processes.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + Clone + use<> {
        (1..=self.target).chain(staff::POOL + 1..=staff::POOL + self.pool)
    }

    /// Whether a number is to be held.
    #[must_use]
    pub fn wants(&self, num: u32) -> bool {
        if staff::is_pool(num) { num - staff::POOL <= self.pool } else { num <= self.target }
    }

    /// Whether a worker with the current code serves under a number.
    #[must_use]
    pub fn is_served(&self, num: u32) -> bool {
        self.workers.values().any(|worker| {
            worker.num == num && worker.stage == Stage::Ready && !worker.retiring && worker.generation == self.current
        })
    }

    /// How the server's beginning went, for a server that it is to replace.
    #[must_use]
    pub fn beginning(&self) -> Beginning {
        if let Some(num) = (1..=self.target).find(|&num| self.seat(num).failures >= GIVE_UP_AFTER) {
            return Beginning::Failed(format!("worker {num} does not start; see the log"));
        }
        if (1..=self.target).all(|num| self.is_served(num)) { Beginning::Done } else { Beginning::UnderWay }
    }

    /// The server in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let ready = self.workers.values().filter(|worker| worker.stage == Stage::Ready).count();
        let others = self.workers.len() - ready;
        match (&self.reload, self.stop) {
            (_, stop) if stop != Stop::No => format!("Stopping; {} workers left", self.workers.len()),
            (Some(reload), _) => format!("Reloading to generation {}; {ready} workers serve", reload.generation),
            (None, _) if others == 0 => {
                format!("Generation {}; {ready} of {} workers serve", self.current, self.target)
            }
            (None, _) => {
                format!(
                    "Generation {}; {ready} of {} workers serve, {others} start or finish",
                    self.current, self.target
                )
            }
        }
    }

    /// What is known about a worker number.
    #[must_use]
    pub fn seat(&self, num: u32) -> Seat {
        self.seats.get(&num).cloned().unwrap_or_default()
    }

    /// Workers that hold a number and are to keep it.
    #[must_use]
    pub fn holders(&self, num: u32) -> usize {
        // A trial worker does not count until its code has been accepted.
        let holds = |worker: &&Worker| {
            worker.num == num
                && worker.stage <= Stage::Ready
                && !worker.retiring
                && Some(worker.generation) != self.candidate()
        };
        self.workers.values().filter(holds).count()
    }

    /// The lowest slot no worker uses.
    #[must_use]
    pub fn free_slot(&self, slots: usize) -> Option<usize> {
        (0..slots).find(|slot| self.workers.values().all(|worker| worker.slot != *slot))
    }

    /// Records that a worker was asked for, and gives it an id.
    pub fn note_requested(&mut self, num: u32, generation: u32, slot: usize, now: Instant) -> WorkerId {
        let id = WorkerId(self.next_id);
        self.next_id += 1;
        if let Some(reload) = self.reload.as_mut()
            && reload.generation == generation
            && reload.phase == Phase::Loading
        {
            reload.phase = Phase::Trying(id);
            reload.since = now;
        }
        let worker = Worker {
            num,
            generation,
            slot,
            pid: None,
            stage: Stage::Requested,
            since: now,
            ready_at: None,
            due: None,
            retiring: false,
            draining: false,
            wedged: false,
            questioned: None,
        };
        self.workers.insert(id, worker);
        id
    }

    /// Records that a worker's turn to be replaced has come.
    pub fn note_retiring(&mut self, id: WorkerId, cause: Cause) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.due = Some(cause);
        worker.retiring = true;
        tracing::info!("{} ({}) {cause}", staff::Title(worker.num), worker.pid.unwrap_or_default());
        if let Some(reload) = self.reload.as_mut().filter(|reload| cause == reload.cause()) {
            reload.replaced += 1;
        }
        self.count(cause);
    }

    /// Records that a worker was asked where it is stuck.
    pub fn note_questioned(&mut self, id: WorkerId, now: Instant) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.questioned = Some(now);
        }
    }

    /// Records that the queues are dealt to so many workers.
    pub fn note_dealt(&mut self, workers: u32) {
        self.spread = workers;
    }

    /// Asks for new workers in place of those that serve, or of one of them. Returns whom it concerns.
    pub fn request_restart(&mut self, num: Option<u32>) -> Vec<WorkerId> {
        let concerned = |worker: &Worker| {
            worker.stage == Stage::Ready && num.is_none_or(|num| worker.num == num) && !worker.retiring
        };
        let candidate = self.candidate();
        let mut ids = Vec::new();
        for (&id, worker) in &mut self.workers {
            if concerned(worker) && Some(worker.generation) != candidate {
                worker.due = worker.due.or(Some(Cause::Restart));
                ids.push(id);
            }
        }
        ids
    }

    /// Asks for so many workers.
    pub fn request_scale(&mut self, workers: u32) {
        tracing::info!("{workers} workers are wanted instead of {}", self.target);
        self.target = workers;
        self.seats.retain(|&num, _| staff::is_pool(num) || num <= workers);
    }

    fn count(&mut self, cause: Cause) {
        *self.restarts.entry(cause).or_default() += 1;
    }

    /// Records that a worker was told to stop, to hurry, or was killed.
    pub fn note_told(&mut self, id: WorkerId, stage: Stage, now: Instant) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.stage = stage;
            worker.since = now;
        }
    }

    /// Takes in an event.
    pub fn apply(&mut self, event: Event, now: Instant) {
        match event {
            Event::MoldReady { generation } => {
                if let Mold::Promised(id) = self.mold_of(generation) {
                    self.workers.remove(&id);
                }
                self.set_mold(generation, Mold::Ready);
                if let Some(generation) = self.generations.get_mut(&generation) {
                    generation.mold_failures = 0;
                }
            }
            Event::MoldFailed { generation, message } => self.mold_failed(generation, message, now),
            Event::MoldExited { generation, ending } => self.mold_exited(generation, ending, now),
            Event::WorkerSpawned { id, pid } => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.pid = Some(pid);
                }
            }
            Event::WorkerNotSpawned { id, message } => {
                if let Some(worker) = self.workers.remove(&id) {
                    tracing::error!("Cannot start {}: {message}", staff::Name(worker.num));
                    self.start_failed(id, &worker, &format!("could not be started: {message}"), now);
                }
            }
            Event::WorkerStarted { id } => self.advance(id, Stage::Starting, now),
            Event::WorkerReady { id } => self.worker_ready(id, now),
            Event::WorkerStartupFailed { id, message } => {
                if let Some(worker) = self.workers.get(&id) {
                    let pid = worker.pid.unwrap_or_default();
                    tracing::error!("{} ({pid}): startup failed: {message}", staff::Title(worker.num));
                    if let Some(reload) = self.reload.as_mut().filter(|reload| reload.generation == worker.generation) {
                        reload.complaint = Some(message);
                    }
                }
            }
            Event::WorkerWantsReplacement { id } => {
                if self.workers.get(&id).is_some_and(|worker| !worker.retiring) {
                    self.note_retiring(id, Cause::MaxRequests);
                }
            }
            Event::WorkerTooBig { id, bytes } => {
                if let Some(worker) = self.workers.get_mut(&id)
                    && worker.due.is_none()
                {
                    tracing::info!("{} uses {} MiB of memory", staff::Title(worker.num), bytes >> 20);
                    worker.due = Some(Cause::MaxRss);
                }
            }
            Event::WorkerDraining { id, connections } => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    tracing::info!("{} finishes {connections} connections", staff::Title(worker.num));
                    worker.draining = true;
                    if worker.stage <= Stage::Ready {
                        self.count(Cause::Signal);
                    }
                }
                self.advance(id, Stage::Leaving, now);
            }
            Event::HeartbeatLost { id } => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.wedged = true;
                }
            }
            Event::WorkerExited { id, ending } => self.worker_exited(id, ending, now),
            Event::StopRequested => {
                self.stop = match self.stop {
                    Stop::No => Stop::Graceful(now),
                    Stop::Graceful(_) => Stop::Fast(now),
                    Stop::Fast(_) | Stop::Now => Stop::Now,
                };
                if self.reload.take().is_some() {
                    self.reload_queued = false;
                    self.verdicts.push(Err("The server is stopping".to_owned()));
                }
            }
        }
    }

    /// Moves a worker on, never back.
    fn advance(&mut self, id: WorkerId, stage: Stage, now: Instant) {
        if let Some(worker) = self.workers.get_mut(&id)
            && worker.stage < stage
        {
            worker.stage = stage;
            worker.since = now;
        }
    }

    fn worker_ready(&mut self, id: WorkerId, now: Instant) {
        self.advance(id, Stage::Ready, now);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.ready_at = Some(now);
        tracing::info!(
            "{} ({}) of generation {} is ready",
            staff::Title(worker.num),
            worker.pid.unwrap_or_default(),
            worker.generation
        );
        if staff::is_pool(worker.num) {
            // It accepts nobody: whether the server has started is for the workers to show.
            return;
        }
        let generation = worker.generation;
        self.ever_ready = true;
        self.load_error = None;
        if self.candidate() == Some(generation) {
            self.accept_candidate(now);
        }
        // What failed while nobody was ready is worth another attempt now: the application can start after all.
        for seat in self.seats.values_mut().filter(|seat| seat.hopeless) {
            seat.hopeless = false;
        }
    }
}

#[cfg(test)]
mod tests;
