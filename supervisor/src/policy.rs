//! What the master should do next: a pure function of the books and the time. It says everything that is due now; the
//! master does it and records it, so that the same question then has another answer.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cause::Cause;
use crate::messages::WorkerId;
use crate::reload::{Phase, Reload};
use crate::roster::{Mold, Roster, Stage, Stop, Worker};
use crate::staff;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a mold that loads the application.
    StartMold {
        /// For this generation.
        generation: u32,
    },
    /// Make a worker.
    Spawn {
        /// With this number.
        num: u32,
        /// Of this generation.
        generation: u32,
    },
    /// Deal the accept queues to so many workers.
    Deal {
        /// How many.
        workers: u32,
    },
    /// Let a worker be replaced now.
    Retire(WorkerId, Cause),
    /// Make a worker say where it is stuck.
    Interrogate(WorkerId),
    /// The new code serves under every number.
    FinishReload,
    /// The new code does not get ready in time.
    RollBack(String),
    /// Tell a worker to finish gracefully.
    Stop(WorkerId),
    /// Tell a worker to finish gracefully and to become a mold.
    Promote {
        /// The worker.
        id: WorkerId,
        /// Generation of the mold.
        generation: u32,
    },
    /// Tell it to finish now.
    Hurry(WorkerId),
    /// Kill it.
    Kill(WorkerId, Grounds),
    /// Let the mold go: nobody needs it any more.
    DismissMold {
        /// Of this generation.
        generation: u32,
    },
    /// Everything is done; leave.
    Finish(Outcome),
}

/// Why a worker is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// Its loop does not turn any more.
    NoHeartbeat,
    /// It did not stop in time.
    TooSlow,
    /// Nobody needs it, and it has nothing to finish: it does not serve yet.
    Unneeded,
}

/// How the server ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Stopped,
    /// The application cannot be loaded.
    LoadFailed(String),
    /// It was loaded, but no worker could start.
    NoWorkerStarted,
}

/// Bounds the policy keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a worker may take to stop. It keeps the bound itself; the master steps in a little later.
    pub shutdown: Duration,
    /// How long lifespan start-up may take; the worker keeps the bound itself unless Perl blocks.
    pub startup: Option<Duration>,
    /// How long new code may take to load in a reload.
    pub load: Option<Duration>,
    /// How long a worker may serve.
    pub age: Option<Duration>,
    /// How many workers are replaced at a time.
    pub batch: usize,
}

/// The worker's own bound ends first; only then is it killed.
const MARGIN: Duration = Duration::from_secs(2);
/// How long a worker that was told to hurry may still take, for lifespan shutdown.
const HURRY: Duration = Duration::from_secs(5);
/// How long a worker has to write where it is stuck before it is killed.
const TESTIMONY: Duration = Duration::from_millis(300);

/// What is due.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be done now, in this order.
    pub actions: Vec<Action>,
    /// When to ask again although nothing happened.
    pub wake_at: Option<Instant>,
}

impl Plan {
    fn wake(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

/// Says what is due.
#[must_use]
pub fn plan(roster: &Roster, limits: Limits, now: Instant) -> Plan {
    let mut plan = Plan::default();
    match ending(roster) {
        Some(outcome) => {
            plan.actions.push(Action::Finish(outcome));
            return plan;
        }
        None if roster.stop == Stop::No => {
            watch_reload(roster, limits, now, &mut plan);
            staff(roster, now, &mut plan);
            replace(roster, limits, now, &mut plan);
        }
        None => dismiss(roster, now, &mut plan),
    }
    enforce(roster, limits, now, &mut plan);
    plan
}

fn ending(roster: &Roster) -> Option<Outcome> {
    if roster.stop != Stop::No {
        let molds_gone = roster.generations.values().all(|generation| !is_alive(generation.mold));
        return (roster.workers.is_empty() && molds_gone).then_some(Outcome::Stopped);
    }
    // Pool processes alone serve nobody.
    if roster.ever_ready || roster.workers.values().any(|worker| !staff::is_pool(worker.num)) {
        return None;
    }
    let mold_gone = !is_alive(roster.mold());
    if let Some(message) = roster.load_error.as_ref().filter(|_| mold_gone) {
        return Some(Outcome::LoadFailed(message.clone()));
    }
    let hopeless = (1..=roster.target).all(|num| roster.seat(num).hopeless);
    hopeless.then_some(Outcome::NoWorkerStarted)
}

fn is_alive(mold: Mold) -> bool {
    matches!(mold, Mold::Loading | Mold::Ready | Mold::Leaving)
}

/// Follows a change of generation.
fn watch_reload(roster: &Roster, limits: Limits, now: Instant, plan: &mut Plan) {
    let Some(reload) = &roster.reload else { return };
    match reload.phase {
        Phase::Loading if reload.is_refork => {
            // Its replacement starts first, and then it finishes its connections.
            let bound = limits.load.map(|load| load.saturating_add(limits.shutdown).saturating_add(MARGIN));
            keep_time(reload.since, bound, "The worker did not become a mold", now, plan);
        }
        Phase::Loading => keep_time(reload.since, limits.load, "The application was not loaded", now, plan),
        Phase::Trying(id) => match roster.workers.get(&id) {
            Some(trial) if trial.stage == Stage::Requested => {
                keep_time(reload.since, limits.load, "The application was not loaded", now, plan);
            }
            Some(trial) => {
                let bound = limits.startup.map(|startup| startup.saturating_add(MARGIN));
                keep_time(trial.since, bound, "The first worker with the new code was not ready", now, plan);
            }
            None => {}
        },
        Phase::Replacing if is_complete(roster, reload) => plan.actions.push(Action::FinishReload),
        Phase::Replacing => {}
    }
}

fn keep_time(since: Instant, bound: Option<Duration>, what: &str, now: Instant, plan: &mut Plan) {
    let Some((bound, deadline)) = bound.and_then(|bound| Some((bound, since.checked_add(bound)?))) else { return };
    if deadline <= now {
        plan.actions.push(Action::RollBack(format!("{what} within {} seconds", bound.as_secs_f64())));
    } else {
        plan.wake(deadline);
    }
}

fn is_complete(roster: &Roster, reload: &Reload) -> bool {
    // Whoever connects after the reload has been reported must not meet the old code.
    let old_code =
        |worker: &Worker| worker.generation != reload.generation && worker.stage < Stage::Hurrying && !worker.draining;
    roster.numbers().all(|num| roster.is_served(num)) && !roster.workers.values().any(old_code)
}

/// Fills every number, and lets workers go whose replacement serves.
fn staff(roster: &Roster, now: Instant, plan: &mut Plan) {
    for (&generation, known) in &roster.generations {
        let makes_workers = generation == roster.current || Some(generation) == roster.candidate();
        match known.mold {
            Mold::Absent { not_before } if makes_workers && not_before <= now => {
                plan.actions.push(Action::StartMold { generation });
            }
            Mold::Absent { not_before } if makes_workers => plan.wake(not_before),
            Mold::Loading | Mold::Ready if !roster.needs(generation) => {
                plan.actions.push(Action::DismissMold { generation });
            }
            _ => {}
        }
    }
    let mut room = roster.room.saturating_sub(roster.workers.len());
    if let Some(reload) = roster.reload.as_ref().filter(|reload| reload.phase == Phase::Loading)
        && matches!(roster.mold_of(reload.generation), Mold::Ready | Mold::Unused)
        && room > 0
    {
        room -= 1;
        plan.actions.push(Action::Spawn { num: 1, generation: reload.generation });
    }
    if matches!(roster.mold(), Mold::Ready | Mold::Unused) {
        for num in roster.numbers().filter(|&num| roster.holders(num) == 0) {
            let seat = roster.seat(num);
            match seat.not_before {
                _ if seat.hopeless || room == 0 => {}
                Some(not_before) if not_before > now => plan.wake(not_before),
                _ => {
                    room -= 1;
                    plan.actions.push(Action::Spawn { num, generation: roster.current });
                }
            }
        }
    }
    let everybody_serves = (1..=roster.target).all(|num| serves(roster, num));
    // Every queue must have a server at any time: before workers go, but only after workers have come.
    if roster.target < roster.spread || (roster.target > roster.spread && everybody_serves) {
        plan.actions.push(Action::Deal { workers: roster.target });
    }
    for (&id, worker) in &roster.workers {
        let surplus = !roster.wants(worker.num);
        let foreign = worker.generation != roster.current && Some(worker.generation) != roster.candidate();
        match worker.stage {
            Stage::Requested | Stage::Starting if (surplus || foreign) && worker.pid.is_some() => {
                plan.actions.push(Action::Kill(id, Grounds::Unneeded));
            }
            Stage::Ready if surplus || (worker.retiring && has_successor(roster, worker)) => {
                plan.actions.push(match roster.promised(id) {
                    Some(generation) => Action::Promote { id, generation },
                    None => Action::Stop(id),
                });
            }
            _ => {}
        }
    }
}

/// The worker that should become the mold: the one that has served most, once it has served enough. `served` holds
/// what each worker has.
#[must_use]
pub fn ripe(roster: &Roster, served: &BTreeMap<WorkerId, u64>, enough: u64) -> Option<WorkerId> {
    if roster.stop != Stop::No || roster.reload.is_some() || roster.mold() != Mold::Ready {
        return None;
    }
    let may = |id: &WorkerId| {
        roster.workers.get(id).is_some_and(|worker| {
            worker.stage == Stage::Ready
                && !worker.retiring
                && !worker.wedged
                && worker.generation == roster.current
                && worker.num <= roster.target
        })
    };
    let candidates = served.iter().filter(|(id, requests)| **requests >= enough && may(id));
    // Of equals the older one.
    candidates.max_by_key(|&(&id, &requests)| (requests, Reverse(id))).map(|(&id, _)| id)
}

fn serves(roster: &Roster, num: u32) -> bool {
    roster.workers.values().any(|worker| worker.num == num && worker.stage == Stage::Ready)
}

/// Lets workers that are due take turns, so that the server never has to start many at a time.
fn replace(roster: &Roster, limits: Limits, now: Instant, plan: &mut Plan) {
    let candidates = roster.workers.iter().filter(|(_, worker)| worker.stage == Stage::Ready);
    // Those whose replacement was forced by their own count of requests do not wait for others, nor others for them.
    let under_way =
        candidates.clone().filter(|(_, worker)| worker.retiring && worker.due != Some(Cause::MaxRequests)).count();
    let mut due: Vec<(u32, WorkerId, Cause)> = Vec::new();
    for (&id, worker) in candidates.filter(|(_, worker)| !worker.retiring && roster.wants(worker.num)) {
        let old_at = limits.age.and_then(|age| worker.ready_at?.checked_add(age));
        match (worker.due, old_at) {
            (Some(cause), _) => due.push((worker.num, id, cause)),
            (None, Some(at)) if at <= now => due.push((worker.num, id, Cause::MaxAge)),
            (None, Some(at)) => plan.wake(at),
            (None, None) => {}
        }
    }
    due.sort_unstable();
    let turns = limits.batch.max(1).saturating_sub(under_way);
    plan.actions.extend(due.into_iter().take(turns).map(|(_, id, cause)| Action::Retire(id, cause)));
}

fn has_successor(roster: &Roster, old: &Worker) -> bool {
    roster.workers.values().any(|worker| {
        worker.num == old.num && worker.stage == Stage::Ready && !worker.retiring && worker.generation == roster.current
    })
}

/// How long a stop waits for a mold to answer the forks it was asked for.
const FORK_ANSWER: Duration = Duration::from_secs(2);

/// Sends everybody home.
fn dismiss(roster: &Roster, now: Instant, plan: &mut Plan) {
    for (&number, generation) in &roster.generations {
        if !matches!(generation.mold, Mold::Loading | Mold::Ready) {
            continue;
        }
        let is_forking = generation.mold == Mold::Ready
            && roster.workers.values().any(|worker| worker.generation == number && worker.pid.is_none());
        let answer_by = match roster.stop {
            Stop::Graceful(asked_at) if is_forking => asked_at.checked_add(FORK_ANSWER),
            _ => None,
        };
        match answer_by {
            // A worker that is being forked right now would be nobody's: the mold first says whose process it is.
            Some(deadline) if now < deadline => plan.wake(deadline),
            // It forks nobody any more, and its copies of the listening sockets would keep clients waiting in vain.
            _ => plan.actions.push(Action::DismissMold { generation: number }),
        }
    }
    let fast = matches!(roster.stop, Stop::Fast(_) | Stop::Now);
    // Requests that workers finish may need the pool: it goes last.
    let workers_left = roster.workers.values().any(|worker| !staff::is_pool(worker.num));
    for (&id, worker) in roster.workers.iter().filter(|(_, worker)| worker.pid.is_some()) {
        match worker.stage {
            Stage::Killed => {}
            _ if roster.stop == Stop::Now => plan.actions.push(Action::Kill(id, Grounds::TooSlow)),
            Stage::Requested => plan.actions.push(Action::Kill(id, Grounds::Unneeded)),
            Stage::Hurrying => {}
            _ if fast => plan.actions.push(Action::Hurry(id)),
            Stage::Stopping => {}
            Stage::Ready if workers_left && staff::is_pool(worker.num) => {}
            _ => plan.actions.push(Action::Stop(id)),
        }
    }
}

/// Kills what does not keep its bounds.
fn enforce(roster: &Roster, limits: Limits, now: Instant, plan: &mut Plan) {
    for (&id, worker) in &roster.workers {
        if worker.wedged && worker.stage != Stage::Killed {
            match worker.questioned.map(|at| at + TESTIMONY) {
                None => plan.actions.push(Action::Interrogate(id)),
                Some(deadline) if deadline <= now => plan.actions.push(Action::Kill(id, Grounds::NoHeartbeat)),
                Some(deadline) => plan.wake(deadline),
            }
            continue;
        }
        let bound = match worker.stage {
            Stage::Leaving | Stage::Stopping => limits.shutdown.saturating_add(MARGIN),
            Stage::Hurrying => HURRY,
            _ => continue,
        };
        match worker.since.checked_add(bound) {
            Some(deadline) if deadline <= now => plan.actions.push(Action::Kill(id, Grounds::TooSlow)),
            Some(deadline) => plan.wake(deadline),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
