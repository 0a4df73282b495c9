//! The master: owns the sockets, starts the other processes, listens to them, and does what [`policy`] says. No Perl
//! here, and no client's bytes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::bundle::{self, PoolQueue, Role};
use crate::control::status::Totals;
use crate::control::verb::Verb;
use crate::control::{Outcome, Question};
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
use crate::server::{Lineage, Management};
use crate::settings::Settings;
use crate::signals::{self, Request, Signals};
use crate::sockets::Sockets;
use crate::store::Store;
use crate::systemd::{self, Bulletin, Watchdog};
use crate::upgrade::{Attempt, Heir};
use crate::watcher::Watcher;
use crate::{channel, children, exit, log, memory, queues, staff};

mod actions;
mod configuration;
mod orders;
mod reports;
mod succession;
mod watching;

use succession::{Standing, Upgrading};

/// Most worker processes at a time, those that finish their last connections included. The scoreboard is made once;
/// what is never used of it costs no memory.
const SLOTS: usize = 4096;

/// Supervises until the server has stopped, and returns the status to exit with.
pub fn run(
    settings: Settings,
    sockets: Sockets,
    management: Management,
    readiness: Readiness,
    lineage: Lineage,
) -> i32 {
    title::set("pagi-server: master", c"pagi-server");
    log::speak_as("master");
    let candidacy = lineage.candidacy.clone();
    let message = match start(settings, sockets, management, readiness, lineage) {
        Ok(policy::Outcome::Stopped) => return exit::STOPPED,
        Ok(policy::Outcome::LoadFailed(message)) => message,
        Ok(policy::Outcome::NoWorkerStarted) => "All workers failed to start; no workers remain".to_owned(),
        Err(error) => format!("Error starting server: {error}"),
    };
    log::tell(&message);
    if let Some(candidacy) = candidacy {
        candidacy.fail(&message);
    }
    exit::FAILED
}

fn start(
    settings: Settings,
    sockets: Sockets,
    management: Management,
    readiness: Readiness,
    lineage: Lineage,
) -> io::Result<policy::Outcome> {
    // Workers are forked by the mold by way of a process that ends at once: this makes them our children.
    nix::sys::prctl::set_child_subreaper(true)?;
    signals::install_stop()?;
    signals::install_children()?;
    let kept_signals = signals::keep()?;
    // As the user the server runs as: only that user may connect.
    let store = Store::open(&settings.store)
        .map_err(|error| io::Error::other(format!("Cannot open the store that workers share: {error}")))?;
    let scoreboard = Scoreboard::create(SLOTS)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let (notices, inbox) = mpsc::unbounded_channel();
        store.start()?;
        let about = About {
            listening: sockets.addresses().map(ToString::to_string).collect(),
            gone: Totals::default(),
            started: Instant::now(),
        };
        let configured = settings.processes.workers;
        let scaled = lineage.scaled.filter(|scaled| scaled.from == configured);
        let workers = scaled.map_or(configured, |scaled| scaled.to);
        let mut roster = Roster::new(workers.max(1), !settings.processes.no_preload, Instant::now());
        roster.room = SLOTS;
        roster.pool = settings.pool.pool;
        let pool = (roster.pool > 0).then(PoolQueue::make).transpose()?;
        let standing = match lineage.candidacy {
            Some(_) => Standing::Candidate { told: false },
            None => Standing::Incumbent,
        };
        let mut master = Master {
            roster,
            lineage,
            standing,
            management,
            upgrading: None,
            handed_over: None,
            errands: Errands::default(),
            bulletin: Bulletin::default(),
            watchdog: Watchdog::find(),
            patience: Patience::new(settings.processes.heartbeat_timeout, settings.startup_timeout)
                .with_pool(settings.pool.pool_timeout),
            settings,
            previous: None,
            about,
            sockets: Some(sockets),
            scoreboard,
            pool,
            molds: BTreeMap::new(),
            workers: BTreeMap::new(),
            strays: BTreeMap::new(),
            readiness: Some(readiness),
            detached: false,
            watcher: None,
            trouble: None,
            notices,
        };
        master.watch_sources();
        if matches!(master.standing, Standing::Incumbent) {
            master.open_management();
        }
        master.supervise(inbox, Signals::read(kept_signals)?).await
    })
}

/// Something for the master to deal with.
enum Notice {
    Mold { generation: u32, heard: Heard<FromMold> },
    Worker { id: WorkerId, heard: Heard<FromWorker> },
    Asked(Question),
    Upgraded(Attempt, Result<Heir, String>),
    TakeOver,
    Saved(PathBuf),
}

struct MoldProcess {
    pid: Pid,
    peer: Peer,
}

struct Master {
    settings: Settings,
    /// Those of the generation that serves while another is tried.
    previous: Option<Settings>,
    /// For whoever asks for the status.
    about: About,
    patience: Patience,
    /// How it was started and by whom.
    lineage: Lineage,
    standing: Standing,
    management: Management,
    upgrading: Option<Upgrading>,
    /// Whoever asked for the upgrade, and what to answer when it is complete.
    handed_over: Option<(oneshot::Sender<Outcome>, String)>,
    /// Closed when the server begins to stop.
    sockets: Option<Sockets>,
    scoreboard: Scoreboard,
    /// Where workers put what the pool is to do.
    pool: Option<PoolQueue>,
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
    /// `--reload`: sees when a file of the application is saved.
    watcher: Option<Watcher>,
    /// Why the newest code cannot be loaded, as the workers were told.
    trouble: Option<String>,
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
                Err(outcome) => {
                    // What was answered last is still written.
                    for _ in 0..16 {
                        tokio::task::yield_now().await;
                    }
                    return Ok(outcome);
                }
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
        loop {
            let now = Instant::now();
            self.settle_configuration();
            self.settle_trouble();
            let plan = policy::plan(&self.roster, self.settings.limits(), now);
            if plan.actions.is_empty() {
                self.errands.settle(&mut self.roster);
                self.apply_for_succession(now);
                self.report_handover();
                self.bulletin.update(self.roster.reload.is_some(), self.roster.summary());
                return Ok(plan.wake_at);
            }
            if plan.actions.iter().any(|action| matches!(action, Action::Finish(_))) {
                self.report_handover();
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
                    Action::Promote { id, generation } => self.promote(id, generation, now),
                    Action::Hurry(id) => self.tell_worker(id, &ToWorker::Hurry, Stage::Hurrying, now),
                    Action::Kill(id, grounds) => self.kill(id, grounds, now),
                    Action::DismissMold { generation } => self.dismiss_mold(generation),
                    Action::Finish(outcome) => return Err(outcome),
                }
            }
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
