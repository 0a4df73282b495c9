//! The master's books: which molds and workers exist and what state each is in. It changes by [`Event`]s, which come
//! from other processes, and by the `note_*` methods, with which the master records what it has just done. What should
//! be done next is not decided here but in [`policy`](crate::policy).

use std::collections::BTreeMap;
use std::time::Instant;

use crate::backoff;
use crate::event::{Ending, Event};
use crate::messages::WorkerId;

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
    /// It serves until another has taken over its number.
    pub retiring: bool,
    /// Its heartbeat was lost and the kill is due.
    pub wedged: bool,
}

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
}

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

/// A worker that crashes this often before any worker has ever become ready counts as failed for good.
const HOPELESS_AFTER: u32 = 3;

/// The books.
#[derive(Debug, Clone)]
pub struct Roster {
    /// Workers wanted.
    pub target: u32,
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
    next_id: u64,
}

impl Roster {
    /// Books of a server that has not started anything yet.
    #[must_use]
    pub fn new(target: u32, preload: bool, now: Instant) -> Self {
        let mold = if preload { Mold::Absent { not_before: now } } else { Mold::Unused };
        Self {
            target,
            current: 1,
            generations: BTreeMap::from([(1, Generation { mold, mold_failures: 0 })]),
            workers: BTreeMap::new(),
            seats: BTreeMap::new(),
            ever_ready: false,
            load_error: None,
            stop: Stop::No,
            next_id: 1,
        }
    }

    /// The mold that new workers come from.
    #[must_use]
    pub fn mold(&self) -> Mold {
        self.generations.get(&self.current).map_or(Mold::Unused, |generation| generation.mold)
    }

    /// What is known about a worker number.
    #[must_use]
    pub fn seat(&self, num: u32) -> Seat {
        self.seats.get(&num).cloned().unwrap_or_default()
    }

    /// Workers that hold a number and are to keep it.
    #[must_use]
    pub fn holders(&self, num: u32) -> usize {
        let holds = |worker: &&Worker| worker.num == num && worker.stage <= Stage::Ready && !worker.retiring;
        self.workers.values().filter(holds).count()
    }

    /// The lowest slot no worker uses.
    #[must_use]
    pub fn free_slot(&self, slots: usize) -> Option<usize> {
        (0..slots).find(|slot| self.workers.values().all(|worker| worker.slot != *slot))
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
    pub fn note_mold_not_started(&mut self, generation: u32, now: Instant) {
        self.retry_mold(generation, now);
    }

    /// Records that a worker was asked for, and gives it an id.
    pub fn note_requested(&mut self, num: u32, slot: usize, now: Instant) -> WorkerId {
        let id = WorkerId(self.next_id);
        self.next_id += 1;
        let worker = Worker {
            num,
            generation: self.current,
            slot,
            pid: None,
            stage: Stage::Requested,
            since: now,
            ready_at: None,
            retiring: false,
            wedged: false,
        };
        self.workers.insert(id, worker);
        id
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
                self.set_mold(generation, Mold::Ready);
                if let Some(generation) = self.generations.get_mut(&generation) {
                    generation.mold_failures = 0;
                }
            }
            Event::MoldFailed { generation, message } => self.mold_failed(generation, message),
            Event::MoldExited { generation, ending } => self.mold_exited(generation, ending, now),
            Event::WorkerSpawned { id, pid } => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.pid = Some(pid);
                }
            }
            Event::WorkerNotSpawned { id, message } => {
                if let Some(worker) = self.workers.remove(&id) {
                    tracing::error!("Cannot start worker {}: {message}", worker.num);
                    self.count_failure(worker.num, now);
                }
            }
            Event::WorkerStarted { id } => self.advance(id, Stage::Starting, now),
            Event::WorkerReady { id } => self.worker_ready(id, now),
            Event::WorkerStartupFailed { id, message } => {
                if let Some(worker) = self.workers.get(&id) {
                    let pid = worker.pid.unwrap_or_default();
                    tracing::error!("Worker {} ({pid}): startup failed: {message}", worker.num);
                }
            }
            Event::WorkerWantsReplacement { id } => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    tracing::info!("Worker {} has served its requests and is replaced", worker.num);
                    worker.retiring = true;
                }
            }
            Event::WorkerDraining { id, connections } => {
                if let Some(worker) = self.workers.get(&id) {
                    tracing::debug!("Worker {} finishes {connections} connections", worker.num);
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
            }
        }
    }

    fn set_mold(&mut self, generation: u32, mold: Mold) {
        if let Some(generation) = self.generations.get_mut(&generation) {
            generation.mold = mold;
        }
    }

    fn mold_failed(&mut self, generation: u32, message: String) {
        if self.ever_ready {
            tracing::error!("Generation {generation} cannot be loaded again: {message}");
        } else {
            self.load_error = Some(message);
        }
    }

    fn mold_exited(&mut self, generation: u32, ending: Ending, now: Instant) {
        // Workers that it was asked for and did not report will never come.
        let orphaned = |worker: &Worker| worker.generation == generation && worker.pid.is_none();
        self.workers.retain(|_, worker| !orphaned(worker));
        let expected =
            self.stop != Stop::No || self.generations.get(&generation).is_some_and(|known| known.mold == Mold::Leaving);
        if !expected && self.ever_ready {
            tracing::warn!("The mold of generation {generation} {ending}");
        } else if !expected && self.load_error.is_none() {
            self.load_error = Some(format!("The process that loads the application {ending}"));
        }
        self.retry_mold(generation, now);
    }

    fn retry_mold(&mut self, generation: u32, now: Instant) {
        if let Some(generation) = self.generations.get_mut(&generation) {
            generation.mold_failures += 1;
            generation.mold = Mold::Absent { not_before: now + backoff::delay(generation.mold_failures) };
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
            "Worker {} ({}) of generation {} is ready",
            worker.num,
            worker.pid.unwrap_or_default(),
            worker.generation
        );
        self.ever_ready = true;
        self.load_error = None;
        // What failed while nobody was ready is worth another attempt now: the application can start after all.
        for seat in self.seats.values_mut().filter(|seat| seat.hopeless) {
            seat.hopeless = false;
        }
    }

    fn worker_exited(&mut self, id: WorkerId, ending: Ending, now: Instant) {
        let Some(worker) = self.workers.remove(&id) else { return };
        let pid = worker.pid.unwrap_or_default();
        let asked = matches!(worker.stage, Stage::Leaving | Stage::Stopping | Stage::Hurrying) || worker.retiring;
        if asked && ending == Ending::Exited(crate::exit::STOPPED) {
            tracing::info!("Worker {} ({pid}) has stopped", worker.num);
            return;
        }
        if worker.stage == Stage::Killed {
            // Our doing, and logged when it was done.
            tracing::debug!("Worker {} ({pid}) {ending}", worker.num);
        } else {
            tracing::error!("Worker {} ({pid}) {ending}", worker.num);
        }
        let stable = worker.ready_at.is_some_and(|ready| now.duration_since(ready) >= backoff::STABLE_AFTER);
        if stable {
            self.seats.remove(&worker.num);
        } else if worker.ready_at.is_some() {
            // It can start: repeating that soon is worth more than sparing the machine.
            self.seats.entry(worker.num).and_modify(|seat| seat.failures = seat.failures.min(1));
        }
        self.count_failure(worker.num, now);
        let gave_up = ending == Ending::Exited(crate::exit::WORKER_STARTUP_FAILED) && worker.ready_at.is_none();
        if !self.ever_ready
            && let Some(seat) = self.seats.get_mut(&worker.num)
        {
            seat.hopeless = gave_up || seat.failures >= HOPELESS_AFTER;
        }
    }

    fn count_failure(&mut self, num: u32, now: Instant) {
        let seat = self.seats.entry(num).or_default();
        seat.failures += 1;
        seat.not_before = Some(now + backoff::delay(seat.failures));
    }
}

#[cfg(test)]
mod tests;
