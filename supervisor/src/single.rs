//! A server without workers: the application runs in the process the user started. For development, and for people
//! whose process manager does the rest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Instant;

use pagi_perl_runtime::{Command, Host, WorkerExit, WorkerOptions};
use pagi_server_core::Stats;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::control::verb::Verb;
use crate::control::{self, Outcome, Question, status};
use crate::log::capture;
use crate::readiness::Readiness;
use crate::scoreboard::{Slot, State};
use crate::server::{Lineage, Management};
use crate::settings::{Settings, optional};
use crate::signals::{self, Request, Signals};
use crate::sockets::{Sockets, descriptor};
use crate::systemd::Watchdog;
use crate::worker::{capture_stderr, startup_reason, stderr_token};
use crate::{exit, log, memory, mold, store};

mod place;

use place::Place;

/// Serves until the server has stopped, and returns the status to exit with.
pub fn run(
    settings: &Settings,
    sockets: Sockets,
    management: Management,
    readiness: Readiness,
    lineage: Lineage,
) -> i32 {
    log::speak_as("server");
    let candidacy = lineage.candidacy.clone();
    let message = match serve(settings, sockets, management, readiness, lineage) {
        // Nobody tells it to become a mold.
        Ok(WorkerExit::Stopped | WorkerExit::Warm(_)) => return exit::STOPPED,
        Ok(WorkerExit::Exit(status)) => return status,
        Ok(WorkerExit::StartupFailed(message)) => {
            log::tell(&format!("PAGI Server startup failed: {}", startup_reason(&message)));
            format!("Error starting server: {message}")
        }
        Err(message) => message,
    };
    log::tell(&message);
    if let Some(candidacy) = candidacy {
        candidacy.fail(&message);
    }
    exit::FAILED
}

fn serve(
    settings: &Settings,
    sockets: Sockets,
    management: Management,
    readiness: Readiness,
    lineage: Lineage,
) -> Result<WorkerExit, String> {
    let starting = |what: &str, error| format!("Error starting server: {what}: {error}");
    store::keep_in_process(&settings.store);
    let (interpreter, application) = mold::load(settings)?;
    // While its file runs, `$0` and with it the short name are the application's.
    let _ = nix::sys::prctl::set_name(c"pagi-server");
    signals::install_stop().map_err(|error| starting("Cannot handle signals", error))?;
    let kept_signals = signals::keep().map_err(|error| starting("Cannot handle signals", error))?;
    let capture = capture_stderr(settings);
    let watchdog = Watchdog::find();
    let listening: Vec<String> = sockets.addresses().map(ToString::to_string).collect();
    let control = management.control.iter().map(control::Socket::listener);
    let admin = management.admin.iter().flat_map(|admin| admin.sockets().queues());
    let kept = sockets.queues().chain(admin).map(descriptor).chain(control);
    let options = WorkerOptions {
        pool: None,
        offload: settings.offload(),
        http: settings.http_config(),
        lifespan: settings.lifespan.into(),
        startup_timeout: optional(settings.startup_timeout),
        shutdown_timeout: settings.processes.shutdown_timeout,
        worker_num: None,
        // Nobody could replace this process.
        max_requests: 0,
        heartbeat: watchdog.interval().map_or(settings.heartbeat(), |interval| interval.min(settings.heartbeat())),
        slow_handler: optional(settings.event_loop.slow_handler),
        access_log: settings.open_access_log(capture::original())?,
        closed_in_children: kept.map(|descriptor| descriptor.as_raw_fd()).collect(),
        stderr_token: stderr_token(settings, capture.as_ref()),
        listeners: sockets.clone_queues().map_err(|error| starting("Cannot listen", error))?,
        tls: settings.tls_terminator()?,
    };
    let slot = Slot::private();
    slot.assign(0, 1);
    slot.set_pid(std::process::id());
    let about = About { slot, listening, settings: RefCell::new(settings.clone()), started: Instant::now() };
    let place = Place::new(sockets, management, readiness, lineage, settings.upgrade_timeout(), settings.tls.clone());
    let host = Rc::new(SingleHost { slot, place: Rc::clone(&place), watchdog: RefCell::new(watchdog), about });
    let attach = |commands: UnboundedSender<Command>| {
        let respond = {
            let (host, commands) = (Rc::clone(&host), commands.clone());
            move |question| host.answer(question, &commands)
        };
        place.open(respond);
        follow_signals(kept_signals, settings.tls.is_some(), Rc::clone(&host), commands);
    };
    let end = pagi_perl_runtime::serve(interpreter, application, options, Rc::clone(&host) as Rc<dyn Host>, attach);
    place.leave();
    Ok(end)
}

struct SingleHost {
    slot: Slot,
    place: Rc<Place>,
    watchdog: RefCell<Watchdog>,
    about: About,
}

impl Host for SingleHost {
    fn ready(&self) {
        self.slot.set_state(State::Ready);
        self.place.ready();
    }

    fn turn(&self, stats: &Stats) {
        self.slot.update(stats);
        if self.place.is_ours() {
            self.watchdog.borrow_mut().feed(Instant::now());
        }
    }

    fn wants_replacement(&self) {}

    fn draining(&self, connections: u64) {
        self.slot.set_state(State::Draining);
        self.place.stop(connections);
    }
}

/// What the status is made of.
struct About {
    slot: Slot,
    listening: Vec<String>,
    /// The log level in them is the one in effect.
    settings: RefCell<Settings>,
    started: Instant,
}

impl SingleHost {
    fn answer(&self, question: Question, commands: &UnboundedSender<Command>) {
        match question {
            // Whoever asked may have gone.
            Question::Status(answer) => {
                let _ = answer.send(self.about.report(self.place.queues()));
            }
            Question::Config(answer) => {
                let _ = answer.send(self.about.settings.borrow().in_effect());
            }
            Question::Verb(Verb::LogLevel { level }, answer) => {
                self.about.settings.borrow_mut().log.level = level;
                log::set_level(level);
                let _ = answer.send(Outcome::Done(format!("Logging from level {} on", level.word())));
            }
            Question::Verb(Verb::Upgrade, answer) => self.place.upgrade(answer, commands),
            Question::Verb(order, answer) => {
                let _ = answer.send(obey(order, commands));
            }
        }
    }
}

impl About {
    fn report(&self, queues: Vec<status::QueueStatus>) -> status::Status {
        let reading = self.slot.read();
        let state = match reading.state {
            State::Ready => status::WorkerState::Ready,
            State::Draining => status::WorkerState::Draining,
            State::Starting | State::Free => status::WorkerState::Starting,
        };
        let mut totals = status::Totals::default();
        totals.add(&reading);
        status::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            generation: reading.generation,
            workers_wanted: 0,
            reloading: None,
            memory_bytes: memory::own(),
            molds: Vec::new(),
            queues,
            totals,
            restarts: BTreeMap::new(),
            stopping: state == status::WorkerState::Draining,
            listening: self.listening.clone(),
            workers: vec![status::WorkerStatus::new(state, &reading)],
        }
    }
}

fn obey(order: Verb, commands: &UnboundedSender<Command>) -> Outcome {
    let command = match order {
        Verb::Stop => Command::Stop,
        Verb::ReopenLogs => {
            log::reopen();
            Command::ReopenLogs
        }
        // These two are not for the worker.
        Verb::Upgrade
        | Verb::LogLevel { .. }
        | Verb::Refork
        | Verb::Reload
        | Verb::Restart { .. }
        | Verb::Drain { .. }
        | Verb::Scale { .. } => {
            return Outcome::Refused(signals::NEEDS_WORKERS.to_owned());
        }
    };
    match commands.send(command) {
        Ok(()) => Outcome::Done(if order == Verb::Stop { "Stopping" } else { "Log files are reopened" }.to_owned()),
        Err(_) => Outcome::Refused("The server is stopping".to_owned()),
    }
}

fn follow_signals(kept: UnixStream, tls: bool, host: Rc<SingleHost>, commands: UnboundedSender<Command>) {
    tokio::task::spawn_local(async move {
        let mut signals = match Signals::read(kept) {
            Ok(signals) => signals,
            Err(error) => return tracing::error!("Cannot listen for signals: {error}"),
        };
        let mut stopping = false;
        loop {
            let command = match signals.next().await {
                Request::Stop if stopping => Command::Hurry,
                Request::Stop => Command::Stop,
                Request::ReopenLogs => {
                    log::reopen();
                    Command::ReopenLogs
                }
                Request::Reload if tls => {
                    tracing::info!("The application stays as it is: {}", signals::NEEDS_WORKERS);
                    Command::ReloadCertificates
                }
                Request::Reload | Request::More | Request::Fewer => {
                    tracing::warn!("Signal ignored: {}", signals::NEEDS_WORKERS);
                    continue;
                }
                Request::Upgrade => {
                    // Nobody waits for the outcome.
                    host.place.upgrade(oneshot::channel().0, &commands);
                    continue;
                }
                Request::Reap | Request::Nothing => continue,
            };
            stopping |= command == Command::Stop;
            if commands.send(command).is_err() {
                return;
            }
        }
    });
}
