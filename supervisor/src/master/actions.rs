//! What the master does to other processes, as the [`policy`](crate::policy) says.

use super::*;

impl Master {
    pub(super) fn start_mold(&mut self, generation: u32, now: Instant) {
        self.settings.renew_certificates();
        match self.try_start_mold(generation) {
            Ok(mold) => {
                self.roster.note_mold_started(generation);
                self.molds.insert(generation, mold);
            }
            Err(error) => {
                tracing::error!("Cannot start the process that loads the application: {error}");
                self.roster.note_mold_not_started(generation, &error.to_string(), now);
            }
        }
    }

    pub(super) fn try_start_mold(&self, generation: u32) -> io::Result<MoldProcess> {
        let (ours, theirs) = channel::pair()?;
        let notices = self.notices.clone();
        let peer = Peer::new(ours, move |heard| {
            let _ = notices.send(Notice::Mold { generation, heard });
        })?;
        let title = format!("pagi-server: mold gen {generation}");
        let queues = self.sockets.iter().flat_map(Sockets::queues);
        let (role, pool) = (Role::Mold { generation }, self.pool.as_ref());
        let pid = bundle::start(&title, role, &self.settings, &theirs, &self.scoreboard, queues, pool)?;
        Ok(MoldProcess { pid, peer })
    }

    pub(super) fn spawn(&mut self, num: u32, generation: u32, now: Instant) {
        // The policy counts them.
        let Some(slot) = self.roster.free_slot(self.scoreboard.slots()) else { return };
        if let Some(slot) = self.scoreboard.slot(slot) {
            slot.assign(num, generation);
        }
        let id = self.roster.note_requested(num, generation, slot, now);
        let order = Order { id, num, generation, slot, accept: self.queues_for(num) };
        let event = match self.try_spawn(order) {
            Ok(Some(pid)) => Event::WorkerSpawned { id, pid: pid.as_raw() },
            Ok(None) => return,
            Err(error) => {
                self.workers.remove(&id);
                Event::WorkerNotSpawned { id, message: error.to_string() }
            }
        };
        self.roster.apply(event, now);
    }

    /// Asks the mold for a worker, or starts one that loads by itself and returns its process id.
    pub(super) fn try_spawn(&mut self, order: Order) -> io::Result<Option<Pid>> {
        let (ours, theirs) = channel::pair()?;
        let notices = self.notices.clone();
        let id = order.id;
        let peer = Peer::new(ours, move |heard| {
            let _ = notices.send(Notice::Worker { id, heard });
        })?;
        self.workers.insert(id, peer);
        if self.roster.mold_of(order.generation) == Mold::Unused {
            let title = format!("pagi-server: {} gen {}", staff::Name(order.num), order.generation);
            let queues = self.sockets.iter().flat_map(Sockets::queues);
            let role = Role::Worker(order);
            let pool = self.pool.as_ref();
            return bundle::start(&title, role, &self.settings, &theirs, &self.scoreboard, queues, pool).map(Some);
        }
        let mold = self.molds.get(&order.generation).ok_or(io::ErrorKind::NotFound)?;
        match mold.peer.tell(&ToMold::Fork(order), Some(theirs.as_fd())) {
            // It has just ended. That is not the new worker's failure: its end, once heard of, takes back what it was asked
            // for, and another mold is asked again.
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                tracing::debug!("The mold of generation {} is gone: {error}", self.roster.current);
            }
            told => told?,
        }
        Ok(None)
    }

    /// Indices of the listeners that a worker accepts from.
    pub(super) fn queues_for(&self, num: u32) -> Vec<usize> {
        if staff::is_pool(num) {
            // Its only listener is the queue of the pool.
            return vec![0];
        }
        let position = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (worker, workers) = (position(num.saturating_sub(1)), position(self.roster.spread));
        let mut first = 0;
        let mut accept = Vec::new();
        for group in self.sockets.iter().flat_map(Sockets::shape) {
            accept.extend(queues::assigned(worker, workers, group).into_iter().map(|queue| first + queue));
            first += group;
        }
        accept
    }

    /// Tells everybody who serves, or is about to, which queues are theirs now.
    pub(super) fn deal(&mut self, workers: u32) {
        self.roster.note_dealt(workers);
        for (&id, worker) in self.roster.workers.iter().filter(|(_, worker)| worker.stage <= Stage::Ready) {
            if let Some(peer) = self.workers.get(&id).filter(|_| worker.num <= workers) {
                log_failure(peer.tell(&ToWorker::Accept(self.queues_for(worker.num)), None));
            }
        }
    }

    /// Its signal handler writes to the log, even while Perl blocks.
    pub(super) fn interrogate(&mut self, id: WorkerId, now: Instant) {
        let Some(worker) = self.roster.workers.get(&id) else { return };
        if let Some(pid) = worker.pid {
            send(Pid::from_raw(pid), Signal::SIGUSR2);
        }
        self.roster.note_questioned(id, now);
    }

    pub(super) fn tell_worker(&mut self, id: WorkerId, message: &ToWorker, stage: Stage, now: Instant) {
        if let Some(peer) = self.workers.get(&id) {
            // Whatever goes wrong, the worker's deadline begins now.
            if let Err(error) = peer.tell(message, None) {
                tracing::debug!("Cannot tell a worker to stop: {error}");
            }
        }
        self.roster.note_told(id, stage, now);
    }

    /// Lets a worker become a mold. What it says as one comes through a channel of its own.
    pub(super) fn promote(&mut self, id: WorkerId, generation: u32, now: Instant) {
        let pid = self.roster.workers.get(&id).and_then(|worker| worker.pid);
        let promoted = channel::pair().and_then(|(ours, theirs)| {
            let notices = self.notices.clone();
            let peer = Peer::new(ours, move |heard| {
                let _ = notices.send(Notice::Mold { generation, heard });
            })?;
            let worker = self.workers.get(&id).ok_or(io::ErrorKind::NotFound)?;
            worker.tell(&ToWorker::BecomeMold { generation }, Some(theirs.as_fd()))?;
            Ok(peer)
        });
        match (promoted, pid) {
            (Ok(peer), Some(pid)) => {
                self.molds.insert(generation, MoldProcess { pid: Pid::from_raw(pid), peer });
                self.roster.note_told(id, Stage::Stopping, now);
            }
            (Err(error), _) => {
                self.roster.roll_back(format!("A worker cannot be told to become the mold: {error}"), now)
            }
            (Ok(_), None) => self.roster.roll_back("The worker that was to become the mold is gone".to_owned(), now),
        }
    }

    pub(super) fn kill(&mut self, id: WorkerId, grounds: Grounds, now: Instant) {
        let Some(worker) = self.roster.workers.get(&id) else { return };
        let Some(pid) = worker.pid else { return };
        match grounds {
            Grounds::Unneeded => tracing::debug!("{} ({pid}) is not needed any more", staff::Title(worker.num)),
            Grounds::NoHeartbeat => {
                let age = self.scoreboard.slot(worker.slot).map_or(0, |slot| slot.heartbeat_age_ms());
                let seconds = Duration::from_millis(age).as_secs_f64();
                tracing::error!(
                    "{} ({pid}) has shown no sign of life for {seconds:.1} s: killing it",
                    staff::Title(worker.num)
                );
            }
            Grounds::TooSlow => tracing::warn!("{} ({pid}) did not stop in time: killing it", staff::Title(worker.num)),
        }
        send(Pid::from_raw(pid), Signal::SIGKILL);
        self.roster.note_told(id, Stage::Killed, now);
    }

    pub(super) fn dismiss_mold(&mut self, generation: u32) {
        if let Some(mold) = self.molds.get(&generation) {
            // It serves nobody and may be busy with loading: there is nothing to wait for.
            send(mold.pid, Signal::SIGKILL);
        }
        self.roster.note_mold_leaving(generation);
    }
}
