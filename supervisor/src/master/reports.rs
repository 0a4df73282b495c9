//! What the master hears from other processes and sees of them.

use super::*;
use crate::backlog;
use crate::control::status::{MoldStatus, Status};

impl Master {
    pub(super) fn take_notice(&mut self, notice: Notice) {
        let now = Instant::now();
        match notice {
            Notice::Mold { generation, heard } => self.hear_mold(generation, heard, now),
            Notice::Worker { id, heard } => self.hear_worker(id, heard, now),
            Notice::Asked(Question::Status(answer)) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.status());
            }
            Notice::Asked(Question::Config(answer)) => {
                let _ = answer.send(self.settings.in_effect());
            }
            Notice::Asked(Question::Verb(order, answer)) => self.obey(order, answer, now),
            Notice::Upgraded(attempt, outcome) => self.upgraded(&attempt, outcome, now),
            Notice::TakeOver => self.take_over(),
            Notice::Saved(path) => self.saved(&path, now),
        }
    }

    fn status(&self) -> Status {
        let mold = |(&generation, mold): (&u32, &MoldProcess)| MoldStatus {
            generation,
            pid: mold.pid.as_raw().unsigned_abs(),
            memory_bytes: memory::resident(mold.pid.as_raw()),
        };
        let molds = self.molds.iter().map(mold).collect();
        let queues = self.sockets.as_ref().map(backlog::of).unwrap_or_default();
        self.about.report(&self.roster, &self.scoreboard, molds, queues)
    }

    pub(super) fn hear_mold(&mut self, generation: u32, heard: Heard<FromMold>, now: Instant) {
        let event = match heard {
            Heard::Message(FromMold::Ready) => {
                if let Mold::Promised(id) = self.roster.mold_of(generation) {
                    self.move_out(id);
                }
                Event::MoldReady { generation }
            }
            Heard::Message(FromMold::Sources { directories, files }) => {
                return self.note_sources(&directories, &files);
            }
            Heard::Message(FromMold::Failed { message }) => Event::MoldFailed { generation, message },
            Heard::Message(FromMold::Forked { id, pid }) => return self.note_pid(id, pid, now),
            Heard::Message(FromMold::NotForked { id, message }) => {
                self.workers.remove(&id);
                Event::WorkerNotSpawned { id, message }
            }
            Heard::Silence => {
                if let Some(mold) = self.molds.get_mut(&generation) {
                    mold.peer.note_silent();
                }
                return self.bury(now);
            }
        };
        self.roster.apply(event, now);
    }

    pub(super) fn hear_worker(&mut self, id: WorkerId, heard: Heard<FromWorker>, now: Instant) {
        let event = match heard {
            Heard::Message(FromWorker::Started { pid }) => {
                self.note_pid(id, pid, now);
                Event::WorkerStarted { id }
            }
            Heard::Message(FromWorker::Ready) => Event::WorkerReady { id },
            Heard::Message(FromWorker::StartupFailed { message }) => Event::WorkerStartupFailed { id, message },
            Heard::Message(FromWorker::WantsReplacement) => Event::WorkerWantsReplacement { id },
            Heard::Message(FromWorker::Draining { connections }) => Event::WorkerDraining { id, connections },
            Heard::Silence => {
                if let Some(peer) = self.workers.get_mut(&id) {
                    peer.note_silent();
                }
                return self.bury(now);
            }
        };
        let ready = matches!(event, Event::WorkerReady { .. });
        if let Event::WorkerStartupFailed { message, .. } = &event {
            // The old server's workers can: better those than fewer.
            self.withdraw(message, now);
        }
        self.roster.apply(event, now);
        if ready {
            self.announce(id);
            self.tell_trouble(id);
        }
    }

    /// The first worker that is ready makes the server ready; a pool process does not.
    pub(super) fn announce(&mut self, id: WorkerId) {
        if matches!(self.standing, Standing::Incumbent) && self.roster.ever_ready {
            self.announce_readiness();
        }
        // Forked while the terminal was still there, or by a mold that had not yet heard.
        if let Some(peer) = self.workers.get(&id).filter(|_| self.detached) {
            log_failure(peer.tell(&ToWorker::Detach, None));
        }
    }

    pub(super) fn announce_readiness(&mut self) {
        let Some(readiness) = self.readiness.take() else { return };
        if let Some(sockets) = &mut self.sockets {
            sockets.leave_to_manager();
        }
        self.detached = readiness.announce(&mut self.bulletin);
        if self.detached {
            for mold in self.molds.values() {
                log_failure(mold.peer.tell(&ToMold::Detach, None));
            }
        }
    }

    pub(super) fn note_pid(&mut self, id: WorkerId, pid: i32, now: Instant) {
        self.roster.apply(Event::WorkerSpawned { id, pid }, now);
        if let Some(slot) = self.roster.workers.get(&id).and_then(|worker| self.scoreboard.slot(worker.slot)) {
            slot.set_pid(pid.unsigned_abs());
        }
        if let Some(ending) = self.strays.remove(&pid)
            && let Some(peer) = self.workers.get_mut(&id)
        {
            peer.note_ended(ending);
            self.bury(now);
        }
    }

    /// Collects every child that ended: our own, and what applications left behind and the kernel gave to us.
    pub(super) fn reap(&mut self, now: Instant) {
        while let Some((pid, ending)) = children::collect() {
            let owner = self.roster.workers.iter().find(|(_, worker)| worker.pid == Some(pid)).map(|(&id, _)| id);
            if let Some(peer) = owner.and_then(|id| self.workers.get_mut(&id)) {
                peer.note_ended(ending);
            }
            // A worker that becomes a mold is both for a while.
            if let Some(mold) = self.molds.values_mut().find(|mold| mold.pid.as_raw() == pid) {
                mold.peer.note_ended(ending);
            } else if owner.is_some() {
                continue;
            } else if self.roster.workers.values().any(|worker| worker.pid.is_none()) {
                self.strays.insert(pid, ending);
            }
        }
        self.bury(now);
    }

    /// Takes leave of the processes that are gone for good.
    pub(super) fn bury(&mut self, now: Instant) {
        // What a worker says as a mold comes through another channel: it may not have been heard yet.
        let is_heard = |id: WorkerId| {
            let mold = self.roster.promised(id).and_then(|generation| self.molds.get(&generation));
            mold.is_none_or(|mold| mold.peer.gone().is_some())
        };
        let gone: Vec<_> = self
            .workers
            .iter()
            .filter_map(|(&id, peer)| Some((id, peer.gone()?)))
            .filter(|&(id, _)| is_heard(id))
            .collect();
        for (id, ending) in gone {
            self.move_out(id);
            self.roster.apply(Event::WorkerExited { id, ending }, now);
        }
        let gone: Vec<_> =
            self.molds.iter().filter_map(|(&generation, mold)| Some((generation, mold.peer.gone()?))).collect();
        for (generation, ending) in gone {
            self.molds.remove(&generation);
            self.roster.apply(Event::MoldExited { generation, ending }, now);
            // Workers it never reported are not coming.
            let roster = &self.roster;
            self.workers.retain(|id, _| roster.workers.contains_key(id));
        }
        if self.roster.workers.values().all(|worker| worker.pid.is_some()) {
            self.strays.clear();
        }
    }

    /// Keeps what a worker has counted, and gives its slot back.
    fn move_out(&mut self, id: WorkerId) {
        self.workers.remove(&id);
        if let Some(slot) = self.roster.workers.get(&id).and_then(|worker| self.scoreboard.slot(worker.slot)) {
            self.about.gone.add(&slot.read());
            slot.clear();
        }
    }

    /// Requests of each worker.
    pub(super) fn served(&self) -> BTreeMap<WorkerId, u64> {
        let requests =
            |(&id, worker): (&WorkerId, &Worker)| Some((id, self.scoreboard.slot(worker.slot)?.read().requests));
        self.roster.workers.iter().filter_map(requests).collect()
    }

    /// `--refork-after`: once for each copy of the application that was loaded.
    fn check_ripeness(&mut self, now: Instant) {
        let enough = self.settings.processes.refork_after;
        let reforked = self.roster.generations.get(&self.roster.current).is_none_or(|current| current.reforked);
        if enough == 0 || reforked || self.upgrading.is_some() {
            return;
        }
        if let Some(id) = policy::ripe(&self.roster, &self.served(), enough) {
            self.roster.request_refork(id, now);
        }
    }

    pub(super) fn check_health(&mut self) {
        let now = Instant::now();
        for id in self.patience.lost(&self.roster, &self.scoreboard) {
            self.roster.apply(Event::HeartbeatLost { id }, now);
        }
        self.check_memory(now);
        self.check_ripeness(now);
        // A master whose workers are all gone or stuck is no use to anybody.
        let alive = |worker: &Worker| !worker.wedged && worker.ready_at.is_some();
        // Food from a process that is not the main one would only be complained about.
        if matches!(self.standing, Standing::Incumbent) && self.roster.workers.values().any(alive) {
            self.watchdog.feed(now);
        }
    }

    pub(super) fn check_memory(&mut self, now: Instant) {
        let limit = self.settings.processes.max_worker_rss;
        if limit == 0 {
            return;
        }
        let resident = |(&id, worker): (&WorkerId, &Worker)| {
            let serves = worker.stage == Stage::Ready && worker.due.is_none();
            Some((id, memory::resident(worker.pid.filter(|_| serves)?)?))
        };
        let sizes: Vec<(WorkerId, u64)> = self.roster.workers.iter().filter_map(resident).collect();
        for (id, bytes) in sizes.into_iter().filter(|&(_, bytes)| bytes > limit) {
            self.roster.apply(Event::WorkerTooBig { id, bytes }, now);
        }
    }
}
