//! What the master should do next: a pure function of the books and the time. It says everything that is due now; the
//! master does it and records it, so that the same question then has another answer.

use std::time::{Duration, Instant};

use crate::messages::WorkerId;
use crate::roster::{Mold, Roster, Stage, Stop, Worker};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a mold that loads the application.
    StartMold {
        /// For this generation.
        generation: u32,
    },
    /// Make a worker of the current generation.
    Spawn {
        /// With this number.
        num: u32,
    },
    /// Tell a worker to finish gracefully.
    Stop(WorkerId),
    /// Tell it to finish now.
    Hurry(WorkerId),
    /// Kill it.
    Kill(WorkerId, Grounds),
    /// Let the mold go: the server stops.
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
    /// The server stops, and it has nothing to finish: it is still loading the application.
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
}

/// The worker's own bound ends first; only then is it killed.
const MARGIN: Duration = Duration::from_secs(2);
/// How long a worker that was told to hurry may still take, for lifespan shutdown.
const HURRY: Duration = Duration::from_secs(5);

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
        None if roster.stop == Stop::No => staff(roster, now, &mut plan),
        None => dismiss(roster, &mut plan),
    }
    enforce(roster, limits, now, &mut plan);
    plan
}

fn ending(roster: &Roster) -> Option<Outcome> {
    if roster.stop != Stop::No {
        let molds_gone = roster.generations.values().all(|generation| !is_alive(generation.mold));
        return (roster.workers.is_empty() && molds_gone).then_some(Outcome::Stopped);
    }
    if roster.ever_ready || !roster.workers.is_empty() {
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

/// Fills every number, and lets workers go whose replacement serves.
fn staff(roster: &Roster, now: Instant, plan: &mut Plan) {
    if let Mold::Absent { not_before } = roster.mold() {
        if not_before <= now {
            plan.actions.push(Action::StartMold { generation: roster.current });
        } else {
            plan.wake(not_before);
        }
    }
    if matches!(roster.mold(), Mold::Ready | Mold::Unused) {
        for num in (1..=roster.target).filter(|&num| roster.holders(num) == 0) {
            let seat = roster.seat(num);
            match seat.not_before {
                _ if seat.hopeless => {}
                Some(not_before) if not_before > now => plan.wake(not_before),
                _ => plan.actions.push(Action::Spawn { num }),
            }
        }
    }
    for (&id, worker) in &roster.workers {
        if worker.retiring && worker.stage == Stage::Ready && has_successor(roster, worker) {
            plan.actions.push(Action::Stop(id));
        }
    }
}

fn has_successor(roster: &Roster, old: &Worker) -> bool {
    roster.workers.values().any(|worker| worker.num == old.num && worker.stage == Stage::Ready && !worker.retiring)
}

/// Sends everybody home.
fn dismiss(roster: &Roster, plan: &mut Plan) {
    for (&number, generation) in &roster.generations {
        // It forks nobody any more, and its copies of the listening sockets would keep clients waiting in vain.
        if matches!(generation.mold, Mold::Loading | Mold::Ready) {
            plan.actions.push(Action::DismissMold { generation: number });
        }
    }
    let fast = matches!(roster.stop, Stop::Fast(_) | Stop::Now);
    for (&id, worker) in roster.workers.iter().filter(|(_, worker)| worker.pid.is_some()) {
        match worker.stage {
            Stage::Killed => {}
            _ if roster.stop == Stop::Now => plan.actions.push(Action::Kill(id, Grounds::TooSlow)),
            Stage::Requested => plan.actions.push(Action::Kill(id, Grounds::Unneeded)),
            Stage::Hurrying => {}
            _ if fast => plan.actions.push(Action::Hurry(id)),
            Stage::Stopping => {}
            _ => plan.actions.push(Action::Stop(id)),
        }
    }
}

/// Kills what does not keep its bounds.
fn enforce(roster: &Roster, limits: Limits, now: Instant, plan: &mut Plan) {
    for (&id, worker) in &roster.workers {
        if worker.wedged && worker.stage != Stage::Killed {
            plan.actions.push(Action::Kill(id, Grounds::NoHeartbeat));
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
