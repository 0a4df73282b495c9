//! The master's books: which molds and workers exist and what state each is in. It changes by [`Event`]s, which come
//! from other processes, and by the `note_*` methods, with which the master records what it has just done. What should
//! be done next is not decided here but in [`policy`](crate::policy).

use std::collections::BTreeMap;
use std::time::Instant;

use crate::backoff;
use crate::cause::Cause;
use crate::event::{Ending, Event};
use crate::messages::WorkerId;
use crate::reload::{ATTEMPTS, Phase, Reload, Verdict};
use crate::staff;

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

/// A worker that crashes this often before any worker has ever become ready counts as failed for good.
const HOPELESS_AFTER: u32 = 3;
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

    fn begin_generation(&mut self, mold: Mold, is_refork: bool, now: Instant) -> u32 {
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

    /// The generation whose mold this worker is to become.
    #[must_use]
    pub fn promised(&self, id: WorkerId) -> Option<u32> {
        let mut generations = self.generations.iter();
        generations.find(|(_, generation)| generation.mold == Mold::Promised(id)).map(|(&number, _)| number)
    }

    fn begin_queued(&mut self, now: Instant) {
        if std::mem::take(&mut self.reload_queued) && self.stop == Stop::No {
            self.request_reload(now);
        }
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

    /// Lets go of generations that have neither a use nor a process.
    fn forget_generations(&mut self) {
        let kept: Vec<u32> = self.generations.keys().copied().filter(|&number| self.needs(number)).collect();
        self.generations.retain(|number, generation| {
            kept.contains(number) || matches!(generation.mold, Mold::Loading | Mold::Ready | Mold::Leaving)
        });
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

    fn set_mold(&mut self, generation: u32, mold: Mold) {
        if let Some(generation) = self.generations.get_mut(&generation) {
            generation.mold = mold;
        }
    }

    fn mold_failed(&mut self, generation: u32, message: String, now: Instant) {
        if self.candidate() == Some(generation) {
            self.roll_back(message, now);
        } else if self.ever_ready {
            tracing::error!("Generation {generation} cannot be loaded again: {message}");
        } else {
            self.load_error = Some(message);
        }
    }

    fn mold_exited(&mut self, generation: u32, ending: Ending, now: Instant) {
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
            "{} ({}) of generation {} is ready",
            staff::Title(worker.num),
            worker.pid.unwrap_or_default(),
            worker.generation
        );
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

    /// The trial worker serves: from now on new workers have the new code, and the others take turns.
    fn accept_candidate(&mut self, now: Instant) {
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

    /// A worker did not get as far as serving.
    fn start_failed(&mut self, id: WorkerId, worker: &Worker, how: &str, now: Instant) {
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

    fn worker_exited(&mut self, id: WorkerId, ending: Ending, now: Instant) {
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

    fn count_failure(&mut self, num: u32, now: Instant) {
        let seat = self.seats.entry(num).or_default();
        seat.failures += 1;
        seat.not_before = Some(now + backoff::delay(seat.failures));
    }
}

#[cfg(test)]
mod tests;
