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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Cause;
    use crate::event::{Ending, Event};
    use std::time::Instant;

    /// A server whose workers 1 and 2 serve.
    fn serving(now: Instant) -> (Roster, [WorkerId; 2]) {
        let mut roster = Roster::new(2, false, now);
        let ids = [1, 2].map(|num| ready(&mut roster, num, now));
        (roster, ids)
    }

    fn ready(roster: &mut Roster, num: u32, now: Instant) -> WorkerId {
        let slot = roster.free_slot(16).unwrap();
        let id = roster.note_requested(num, roster.current, slot, now);
        roster.apply(Event::WorkerSpawned { id, pid: 1000 + i32::try_from(slot).unwrap() }, now);
        roster.apply(Event::WorkerReady { id }, now);
        id
    }

    fn done(text: &str) -> Option<Outcome> {
        Some(Outcome::Done(text.to_owned()))
    }

    #[test]
    fn a_restart_ends_with_the_last_old_worker_told_to_stop() {
        let now = Instant::now();
        let (mut roster, ids) = serving(now);
        assert_eq!(roster.request_restart(None), ids);
        let goal = Goal::Replaced(ids.to_vec());
        for id in ids {
            assert_eq!(goal.outcome(&roster), None);
            roster.note_retiring(id, Cause::Restart);
            let num = roster.workers[&id].num;
            ready(&mut roster, num, now);
            roster.note_told(id, Stage::Stopping, now);
        }
        assert_eq!(goal.outcome(&roster), done("2 workers replaced"), "they may finish what they have");
    }

    #[test]
    fn a_drain_ends_with_the_process() {
        let now = Instant::now();
        let (mut roster, [id, _]) = serving(now);
        roster.request_restart(Some(1));
        let goal = Goal::Drained(id);
        roster.note_retiring(id, Cause::Restart);
        ready(&mut roster, 1, now);
        roster.note_told(id, Stage::Stopping, now);
        assert_eq!(goal.outcome(&roster), None);
        roster.apply(Event::WorkerExited { id, ending: Ending::Exited(0) }, now);
        assert_eq!(goal.outcome(&roster), done("The worker has finished its connections; another serves in its place"));
    }

    #[test]
    fn a_worker_that_cannot_be_replaced_is_a_failure() {
        let now = Instant::now();
        let (mut roster, [id, _]) = serving(now);
        roster.request_restart(Some(1));
        roster.note_retiring(id, Cause::Restart);
        for slot in 5..5 + usize::try_from(GIVE_UP_AFTER).unwrap() {
            assert_eq!(Goal::Drained(id).outcome(&roster), None);
            let new = roster.note_requested(1, 1, slot, now);
            roster.apply(Event::WorkerExited { id: new, ending: Ending::Killed(11) }, now);
        }
        let text = "Worker 1 cannot be replaced and serves on; see the log".to_owned();
        assert_eq!(Goal::Drained(id).outcome(&roster), Some(Outcome::Failed(text)));
    }

    #[test]
    fn a_server_is_staffed_when_queues_are_dealt_and_surplus_workers_gone() {
        let now = Instant::now();
        let (mut roster, [_, second]) = serving(now);
        roster.request_scale(3);
        assert_eq!(Goal::Staffed.outcome(&roster), None);
        ready(&mut roster, 3, now);
        assert_eq!(Goal::Staffed.outcome(&roster), None, "nobody has told the others which queues are theirs");
        roster.note_dealt(3);
        assert_eq!(Goal::Staffed.outcome(&roster), done("3 workers serve"));
        roster.request_scale(1);
        roster.note_dealt(1);
        for id in roster.workers.keys().copied().filter(|&id| id >= second).collect::<Vec<_>>() {
            assert_eq!(Goal::Staffed.outcome(&roster), None);
            roster.note_told(id, Stage::Stopping, now);
        }
        assert_eq!(Goal::Staffed.outcome(&roster), done("1 workers serve"));
        roster.request_scale(2);
        for slot in 5..5 + usize::try_from(GIVE_UP_AFTER).unwrap() {
            assert_eq!(Goal::Staffed.outcome(&roster), None);
            let id = roster.note_requested(2, 1, slot, now);
            roster.apply(Event::WorkerExited { id, ending: Ending::Killed(11) }, now);
        }
        let text = "Worker 2 does not start; the server goes on trying, see the log".to_owned();
        assert_eq!(Goal::Staffed.outcome(&roster), Some(Outcome::Failed(text)));
    }

    #[test]
    fn a_stop_ends_every_errand() {
        let now = Instant::now();
        let (mut roster, ids) = serving(now);
        let mut errands = Errands::default();
        let mut answers = Vec::new();
        let mut ask = || {
            let (sender, receiver) = oneshot::channel();
            answers.push(receiver);
            sender
        };
        errands.add(Goal::Replaced(ids.to_vec()), ask());
        roster.request_restart(None);
        errands.add_reload(ask(), false);
        roster.request_reload(now);
        errands.add_reload(ask(), true);
        errands.settle(&mut roster);
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "nothing has ended yet");
        roster.apply(Event::StopRequested, now);
        errands.settle(&mut roster);
        let stopping = Outcome::Failed("The server is stopping".to_owned());
        for answer in &mut answers {
            assert_eq!(answer.try_recv(), Ok(stopping.clone()));
        }
    }

    #[test]
    fn verdicts_reach_those_who_asked_before_the_reload_began() {
        let now = Instant::now();
        let (mut roster, _) = serving(now);
        let mut errands = Errands::default();
        let (first, mut first_answer) = oneshot::channel();
        let (second, mut second_answer) = oneshot::channel();
        errands.add_reload(first, false);
        errands.add_reload(second, true);
        roster.verdicts.push(Err("Reload failed, the previous code serves on: broken".to_owned()));
        errands.settle(&mut roster);
        let failed = Outcome::Failed("Reload failed, the previous code serves on: broken".to_owned());
        assert_eq!(first_answer.try_recv(), Ok(failed));
        assert!(second_answer.try_recv().is_err(), "its own comes later");
        roster.verdicts.push(Ok(3));
        errands.settle(&mut roster);
        assert_eq!(second_answer.try_recv(), Ok(Outcome::Done("Generation 3 serves".to_owned())));
    }
}
