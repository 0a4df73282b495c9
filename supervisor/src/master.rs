//! The master: owns the sockets, starts the other processes, listens to them, and does what [`policy`] says. No Perl
//! here, and no client's bytes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::bundle::{self, Role};
use crate::control::status::Totals;
use crate::control::verb::Verb;
use crate::control::{self, Outcome, Question};
use crate::errand::{Errands, Goal};
use crate::event::{Ending, Event};
use crate::heartbeat::Patience;
use crate::messages::{FromMold, FromWorker, Order, ToMold, ToWorker, WorkerId};
use crate::peer::{Heard, Peer};
use crate::policy::{self, Action, Grounds};
use crate::process::title;
use crate::readiness::Readiness;
use crate::report::About;
use crate::roster::{Mold, Roster, Stage, Stop, Worker};
use crate::scoreboard::Scoreboard;
use crate::server::Management;
use crate::settings::Settings;
use crate::signals::{self, Request, Signals};
use crate::sockets::Sockets;
use crate::systemd::{self, Bulletin, Watchdog};
use crate::{channel, children, exit, log, memory, queues};

/// Most worker processes at a time, those that finish their last connections included. The scoreboard is made once;
/// what is never used of it costs no memory.
const SLOTS: usize = 4096;

/// Supervises until the server has stopped, and returns the status to exit with.
pub fn run(settings: Settings, sockets: Sockets, management: Management, readiness: Readiness) -> i32 {
    title::set("pagi-server: master", c"pagi-server");
    log::speak_as("master");
    match start(settings, sockets, management, readiness) {
        Ok(outcome) => farewell(&outcome),
        Err(error) => {
            log::tell(&format!("Error starting server: {error}"));
            exit::FAILED
        }
    }
}

fn farewell(outcome: &policy::Outcome) -> i32 {
    match outcome {
        policy::Outcome::Stopped => return exit::STOPPED,
        policy::Outcome::LoadFailed(message) => log::tell(message),
        policy::Outcome::NoWorkerStarted => log::tell("All workers failed to start; no workers remain"),
    }
    exit::FAILED
}

fn start(
    settings: Settings,
    sockets: Sockets,
    Management { control, mut admin }: Management,
    readiness: Readiness,
) -> io::Result<policy::Outcome> {
    // Workers are forked by the mold by way of a process that ends at once: this makes them our children.
    nix::sys::prctl::set_child_subreaper(true)?;
    signals::install_stop()?;
    signals::install_children()?;
    let kept_signals = signals::keep()?;
    let scoreboard = Scoreboard::create(SLOTS)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let (notices, inbox) = mpsc::unbounded_channel();
        let (service, _control_file) = control.map(control::Socket::split).unzip();
        if let Some(service) = service {
            let notices = notices.clone();
            service.start(move |question| {
                let _ = notices.send(Notice::Asked(question));
            })?;
        }
        if let Some(admin) = admin.as_mut() {
            let notices = notices.clone();
            admin.start(move |question| {
                let _ = notices.send(Notice::Asked(question));
            })?;
        }
        let about = About {
            listening: sockets.addresses().map(ToString::to_string).collect(),
            gone: Totals::default(),
            started: Instant::now(),
        };
        let mut roster = Roster::new(settings.processes.workers, !settings.processes.no_preload, Instant::now());
        roster.room = SLOTS;
        let master = Master {
            roster,
            errands: Errands::default(),
            bulletin: Bulletin::default(),
            watchdog: Watchdog::find(),
            patience: Patience::new(settings.processes.heartbeat_timeout, settings.startup_timeout),
            settings,
            about,
            sockets: Some(sockets),
            scoreboard,
            molds: BTreeMap::new(),
            workers: BTreeMap::new(),
            strays: BTreeMap::new(),
            readiness: Some(readiness),
            detached: false,
            notices,
        };
        master.supervise(inbox, Signals::read(kept_signals)?).await
    })
}

/// Something for the master to deal with.
enum Notice {
    Mold { generation: u32, heard: Heard<FromMold> },
    Worker { id: WorkerId, heard: Heard<FromWorker> },
    Asked(Question),
}

struct MoldProcess {
    pid: Pid,
    peer: Peer,
}

struct Master {
    settings: Settings,
    /// For whoever asks for the status.
    about: About,
    patience: Patience,
    /// Closed when the server begins to stop.
    sockets: Option<Sockets>,
    scoreboard: Scoreboard,
    roster: Roster,
    /// Users who wait.
    errands: Errands,
    /// What systemd was told.
    bulletin: Bulletin,
    watchdog: Watchdog,
    molds: BTreeMap<u32, MoldProcess>,
    workers: BTreeMap<WorkerId, Peer>,
    /// Children that ended before the mold told whose they are.
    strays: BTreeMap<i32, Ending>,
    /// Until the first worker is ready.
    readiness: Option<Readiness>,
    /// The terminal was let go of: so must every process that still has it.
    detached: bool,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Master {
    async fn supervise(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Notice>,
        mut signals: Signals,
    ) -> io::Result<policy::Outcome> {
        let pulse = self.patience.pulse();
        let mut pulse = tokio::time::interval(self.watchdog.interval().map_or(pulse, |interval| interval.min(pulse)));
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let wake_at = match self.carry_out() {
                Ok(wake_at) => wake_at,
                Err(outcome) => return Ok(outcome),
            };
            let alarm = async {
                match wake_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(notice) = inbox.recv() => self.take_notice(notice),
                request = signals.next() => self.take_signal(request),
                _ = pulse.tick() => self.check_health(),
                () = alarm => {}
            }
        }
    }

    /// Does everything that is due. Returns when to look again, or how the server ended.
    fn carry_out(&mut self) -> Result<Option<Instant>, policy::Outcome> {
        let limits = self.settings.limits();
        loop {
            let now = Instant::now();
            let plan = policy::plan(&self.roster, limits, now);
            if plan.actions.is_empty() {
                self.errands.settle(&mut self.roster);
                self.bulletin.update(self.roster.reload.is_some(), self.roster.summary());
                return Ok(plan.wake_at);
            }
            for action in plan.actions {
                match action {
                    Action::StartMold { generation } => self.start_mold(generation, now),
                    Action::Spawn { num, generation } => self.spawn(num, generation, now),
                    Action::Deal { workers } => self.deal(workers),
                    Action::Retire(id, cause) => self.roster.note_retiring(id, cause),
                    Action::Interrogate(id) => self.interrogate(id, now),
                    Action::FinishReload => self.roster.note_reloaded(now),
                    Action::RollBack(reason) => self.roster.roll_back(reason, now),
                    Action::Stop(id) => self.tell_worker(id, &ToWorker::Stop, Stage::Stopping, now),
                    Action::Hurry(id) => self.tell_worker(id, &ToWorker::Hurry, Stage::Hurrying, now),
                    Action::Kill(id, grounds) => self.kill(id, grounds, now),
                    Action::DismissMold { generation } => self.dismiss_mold(generation),
                    Action::Finish(outcome) => return Err(outcome),
                }
            }
        }
    }

    fn start_mold(&mut self, generation: u32, now: Instant) {
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

    fn try_start_mold(&self, generation: u32) -> io::Result<MoldProcess> {
        let (ours, theirs) = channel::pair()?;
        let notices = self.notices.clone();
        let peer = Peer::new(ours, move |heard| {
            let _ = notices.send(Notice::Mold { generation, heard });
        })?;
        let title = format!("pagi-server: mold gen {generation}");
        let queues = self.sockets.iter().flat_map(Sockets::queues);
        let pid = bundle::start(&title, Role::Mold { generation }, &self.settings, &theirs, &self.scoreboard, queues)?;
        Ok(MoldProcess { pid, peer })
    }

    fn spawn(&mut self, num: u32, generation: u32, now: Instant) {
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
    fn try_spawn(&mut self, order: Order) -> io::Result<Option<Pid>> {
        let (ours, theirs) = channel::pair()?;
        let notices = self.notices.clone();
        let id = order.id;
        let peer = Peer::new(ours, move |heard| {
            let _ = notices.send(Notice::Worker { id, heard });
        })?;
        self.workers.insert(id, peer);
        if self.roster.mold_of(order.generation) == Mold::Unused {
            let title = format!("pagi-server: worker {} gen {}", order.num, order.generation);
            let queues = self.sockets.iter().flat_map(Sockets::queues);
            let role = Role::Worker(order);
            return bundle::start(&title, role, &self.settings, &theirs, &self.scoreboard, queues).map(Some);
        }
        let mold = self.molds.get(&order.generation).ok_or(io::ErrorKind::NotFound)?;
        mold.peer.tell(&ToMold::Fork(order), Some(theirs.as_fd()))?;
        Ok(None)
    }

    /// Indices of the listeners that a worker accepts from.
    fn queues_for(&self, num: u32) -> Vec<usize> {
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
    fn deal(&mut self, workers: u32) {
        self.roster.note_dealt(workers);
        for (&id, worker) in self.roster.workers.iter().filter(|(_, worker)| worker.stage <= Stage::Ready) {
            if let Some(peer) = self.workers.get(&id).filter(|_| worker.num <= workers) {
                log_failure(peer.tell(&ToWorker::Accept(self.queues_for(worker.num)), None));
            }
        }
    }

    /// Its signal handler writes to the log, even while Perl blocks.
    fn interrogate(&mut self, id: WorkerId, now: Instant) {
        let Some(worker) = self.roster.workers.get(&id) else { return };
        if let Some(pid) = worker.pid {
            send(Pid::from_raw(pid), Signal::SIGUSR2);
        }
        self.roster.note_questioned(id, now);
    }

    fn tell_worker(&mut self, id: WorkerId, message: &ToWorker, stage: Stage, now: Instant) {
        if let Some(peer) = self.workers.get(&id) {
            // Whatever goes wrong, the worker's deadline begins now.
            if let Err(error) = peer.tell(message, None) {
                tracing::debug!("Cannot tell a worker to stop: {error}");
            }
        }
        self.roster.note_told(id, stage, now);
    }

    fn kill(&mut self, id: WorkerId, grounds: Grounds, now: Instant) {
        let Some(worker) = self.roster.workers.get(&id) else { return };
        let Some(pid) = worker.pid else { return };
        match grounds {
            Grounds::Unneeded => tracing::debug!("Worker {} ({pid}) is not needed any more", worker.num),
            Grounds::NoHeartbeat => {
                let age = self.scoreboard.slot(worker.slot).map_or(0, |slot| slot.heartbeat_age_ms());
                let seconds = Duration::from_millis(age).as_secs_f64();
                tracing::error!(
                    "Worker {} ({pid}) has shown no sign of life for {seconds:.1} s: killing it",
                    worker.num
                );
            }
            Grounds::TooSlow => tracing::warn!("Worker {} ({pid}) did not stop in time: killing it", worker.num),
        }
        send(Pid::from_raw(pid), Signal::SIGKILL);
        self.roster.note_told(id, Stage::Killed, now);
    }

    fn dismiss_mold(&mut self, generation: u32) {
        if let Some(mold) = self.molds.get(&generation) {
            // It serves nobody and may be busy with loading: there is nothing to wait for.
            send(mold.pid, Signal::SIGKILL);
        }
        self.roster.note_mold_leaving(generation);
    }

    fn take_notice(&mut self, notice: Notice) {
        let now = Instant::now();
        match notice {
            Notice::Mold { generation, heard } => self.hear_mold(generation, heard, now),
            Notice::Worker { id, heard } => self.hear_worker(id, heard, now),
            Notice::Asked(Question::Status(answer)) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.about.report(&self.roster, &self.scoreboard));
            }
            Notice::Asked(Question::Verb(order, answer)) => self.obey(order, answer, now),
        }
    }

    fn obey(&mut self, order: Verb, answer: oneshot::Sender<Outcome>, now: Instant) {
        let refusal = match order {
            Verb::Stop | Verb::ReopenLogs => None,
            _ if self.roster.stop != Stop::No => Some("The server is stopping".to_owned()),
            _ if !self.roster.ever_ready => Some("The server is still starting; try again when it serves".to_owned()),
            _ => None,
        };
        if let Some(sentence) = refusal {
            tracing::warn!("{} refused: {sentence}", order.path());
            let _ = answer.send(Outcome::Refused(sentence));
            return;
        }
        match order {
            Verb::Reload => {
                self.errands.add_reload(answer, self.roster.reload.is_some());
                self.roster.request_reload(now);
            }
            Verb::Restart { worker } => match self.roster.request_restart(worker) {
                ids if ids.is_empty() => {
                    let whom =
                        worker.map_or_else(|| "No worker serves".to_owned(), |num| format!("No worker {num} serves"));
                    let _ = answer.send(Outcome::Refused(format!("{whom} that could be replaced")));
                }
                ids => self.errands.add(Goal::Replaced(ids), answer),
            },
            Verb::Drain { worker } => match self.roster.request_restart(Some(worker)).first() {
                Some(&id) => self.errands.add(Goal::Drained(id), answer),
                None => {
                    let _ = answer.send(Outcome::Refused(format!("No worker {worker} serves that could be replaced")));
                }
            },
            Verb::Scale { workers } => {
                self.roster.request_scale(workers);
                self.errands.add(Goal::Staffed, answer);
            }
            Verb::ReopenLogs => {
                self.reopen_logs();
                let _ = answer.send(Outcome::Done("Log files are reopened".to_owned()));
            }
            Verb::Stop => {
                if self.roster.stop == Stop::No {
                    self.stop(now);
                }
                let _ = answer.send(Outcome::Done("Stopping".to_owned()));
            }
        }
    }

    fn reopen_logs(&self) {
        for peer in self.workers.values() {
            log_failure(peer.tell(&ToWorker::ReopenLogs, None));
        }
        tracing::info!("Log files are reopened");
    }

    /// Stops, or stops faster.
    fn stop(&mut self, now: Instant) {
        if self.roster.stop == Stop::No {
            tracing::info!("Stopping");
            systemd::announce_stop();
            // New connections are refused from now on instead of waiting for a server that goes away.
            self.sockets = None;
        }
        self.roster.apply(Event::StopRequested, now);
    }

    fn hear_mold(&mut self, generation: u32, heard: Heard<FromMold>, now: Instant) {
        let event = match heard {
            Heard::Message(FromMold::Ready) => Event::MoldReady { generation },
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

    fn hear_worker(&mut self, id: WorkerId, heard: Heard<FromWorker>, now: Instant) {
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
        self.roster.apply(event, now);
        if ready {
            self.announce(id);
        }
    }

    /// The first worker that is ready makes the server ready.
    fn announce(&mut self, id: WorkerId) {
        if let Some(readiness) = self.readiness.take() {
            self.detached = readiness.announce(&mut self.bulletin);
            if self.detached {
                for mold in self.molds.values() {
                    log_failure(mold.peer.tell(&ToMold::Detach, None));
                }
            }
        }
        // Forked while the terminal was still there, or by a mold that had not yet heard.
        if let Some(peer) = self.workers.get(&id).filter(|_| self.detached) {
            log_failure(peer.tell(&ToWorker::Detach, None));
        }
    }

    fn note_pid(&mut self, id: WorkerId, pid: i32, now: Instant) {
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

    fn take_signal(&mut self, request: Request) {
        let now = Instant::now();
        match request {
            Request::Stop => self.stop(now),
            Request::ReopenLogs => self.reopen_logs(),
            Request::Reload => self.obey_signal(Verb::Reload, now),
            Request::More => self.obey_signal(Verb::Scale { workers: self.roster.target.saturating_add(1) }, now),
            Request::Fewer if self.roster.target <= 1 => {
                tracing::warn!("Signal ignored: one worker is the least; stop the server with TERM");
            }
            Request::Fewer => self.obey_signal(Verb::Scale { workers: self.roster.target - 1 }, now),
            Request::Reap => self.reap(now),
            Request::Unavailable(signal) => signals::log_unavailable(signal),
            Request::Nothing => {}
        }
    }

    /// As if asked through the control socket, but nobody waits for the outcome.
    fn obey_signal(&mut self, order: Verb, now: Instant) {
        let (answer, _) = oneshot::channel();
        self.obey(order, answer, now);
    }

    /// Collects every child that ended: our own, and what applications left behind and the kernel gave to us.
    fn reap(&mut self, now: Instant) {
        while let Some((pid, ending)) = children::collect() {
            let owner = self.roster.workers.iter().find(|(_, worker)| worker.pid == Some(pid)).map(|(&id, _)| id);
            if let Some(peer) = owner.and_then(|id| self.workers.get_mut(&id)) {
                peer.note_ended(ending);
            } else if let Some(mold) = self.molds.values_mut().find(|mold| mold.pid.as_raw() == pid) {
                mold.peer.note_ended(ending);
            } else if self.roster.workers.values().any(|worker| worker.pid.is_none()) {
                self.strays.insert(pid, ending);
            }
        }
        self.bury(now);
    }

    /// Takes leave of the processes that are gone for good.
    fn bury(&mut self, now: Instant) {
        let gone: Vec<_> = self.workers.iter().filter_map(|(&id, peer)| Some((id, peer.gone()?))).collect();
        for (id, ending) in gone {
            self.workers.remove(&id);
            if let Some(slot) = self.roster.workers.get(&id).and_then(|worker| self.scoreboard.slot(worker.slot)) {
                self.about.gone.add(&slot.read());
                slot.clear();
            }
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

    fn check_health(&mut self) {
        let now = Instant::now();
        for id in self.patience.lost(&self.roster, &self.scoreboard) {
            self.roster.apply(Event::HeartbeatLost { id }, now);
        }
        self.check_memory(now);
        // A master whose workers are all gone or stuck is no use to anybody.
        let alive = |worker: &Worker| !worker.wedged && worker.ready_at.is_some();
        if self.roster.workers.values().any(alive) {
            self.watchdog.feed(now);
        }
    }

    fn check_memory(&mut self, now: Instant) {
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

fn send(pid: Pid, signal: Signal) {
    if let Err(error) = kill(pid, signal) {
        tracing::debug!("Cannot send {signal} to process {pid}: {error}");
    }
}

fn log_failure(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!("Cannot reach a process of this server: {error}");
    }
}
