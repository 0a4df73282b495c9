//! What users wait for: an order that takes the server some time, and whom to tell how it ended.

use tokio::sync::oneshot;

use crate::control::Outcome;
use crate::messages::WorkerId;
use crate::roster::{GIVE_UP_AFTER, Roster, Stage, Stop};
use crate::staff;

/// When an order is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// These workers have been replaced.
    Replaced(Vec<WorkerId>),
    /// This worker has been replaced and has finished all its connections.
    Drained(WorkerId),
    /// As many workers serve as are wanted, and no more.
    Staffed,
}

impl Goal {
    /// How the order ended; `None` while it is under way.
    #[must_use]
    pub fn outcome(&self, roster: &Roster) -> Option<Outcome> {
        if roster.stop != Stop::No {
            return Some(Outcome::Failed("The server is stopping".to_owned()));
        }
        match self {
            Self::Replaced(ids) => Self::replaced(ids, false, roster),
            Self::Drained(id) => Self::replaced(&[*id], true, roster),
            Self::Staffed => Self::staffed(roster),
        }
    }

    fn replaced(ids: &[WorkerId], wait_for_end: bool, roster: &Roster) -> Option<Outcome> {
        let mut waiting = false;
        for worker in ids.iter().filter_map(|id| roster.workers.get(id)) {
            if worker.stage <= Stage::Ready && worker.due.is_none() {
                let text = format!("{} cannot be replaced and serves on; see the log", staff::Title(worker.num));
                return Some(Outcome::Failed(text));
            }
            waiting |= wait_for_end || worker.stage <= Stage::Ready;
        }
        (!waiting).then(|| {
            let number = ids.len();
            Outcome::Done(if wait_for_end {
                "The worker has finished its connections; another serves in its place".to_owned()
            } else {
                format!("{number} workers replaced")
            })
        })
    }

    fn staffed(roster: &Roster) -> Option<Outcome> {
        let mut missing = roster.numbers().filter(|&num| !roster.is_served(num));
        if let Some(num) = missing.clone().find(|&num| roster.seat(num).failures >= GIVE_UP_AFTER) {
            return Some(Outcome::Failed(format!(
                "Worker {num} does not start; the server goes on trying, see the log"
            )));
        }
        let surplus = roster.workers.values().any(|worker| !roster.wants(worker.num) && worker.stage <= Stage::Ready);
        let done = missing.next().is_none() && !surplus && roster.spread == roster.target;
        done.then(|| Outcome::Done(format!("{} workers serve", roster.target)))
    }
}

/// An order under way.
pub struct Errand {
    goal: Goal,
    answer: oneshot::Sender<Outcome>,
}

/// All orders under way.
#[derive(Default)]
pub struct Errands {
    pending: Vec<Errand>,
    /// Who waits for the reload under way.
    reload: Vec<oneshot::Sender<Outcome>>,
    /// Who waits for the one after it.
    next_reload: Vec<oneshot::Sender<Outcome>>,
}

impl Errands {
    /// Remembers an order.
    pub fn add(&mut self, goal: Goal, answer: oneshot::Sender<Outcome>) {
        self.pending.push(Errand { goal, answer });
    }

    /// Remembers who asked for a reload; `queued` if one was under way already.
    pub fn add_reload(&mut self, answer: oneshot::Sender<Outcome>, queued: bool) {
        if queued { self.next_reload.push(answer) } else { self.reload.push(answer) }
    }

    /// Answers everybody whose order is finished. Whoever asked may have gone.
    pub fn settle(&mut self, roster: &mut Roster) {
        for verdict in std::mem::take(&mut roster.verdicts) {
            let outcome = match verdict {
                Ok(generation) => Outcome::Done(format!("Generation {generation} serves")),
                Err(sentence) => Outcome::Failed(sentence),
            };
            for answer in std::mem::replace(&mut self.reload, std::mem::take(&mut self.next_reload)) {
                let _ = answer.send(outcome.clone());
            }
        }
        if roster.stop != Stop::No {
            // A queued reload is not coming any more.
            for answer in self.reload.drain(..) {
                let _ = answer.send(Outcome::Failed("The server is stopping".to_owned()));
            }
        }
        for errand in std::mem::take(&mut self.pending) {
            match errand.goal.outcome(roster) {
                Some(outcome) => {
                    let _ = errand.answer.send(outcome);
                }
                None => self.pending.push(errand),
            }
        }
    }
}
