//! A server without workers: the application runs in the process the user started. For development, and for people
//! whose process manager does the rest.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Instant;

use pagi_perl_runtime::{Command, Host, WorkerExit, WorkerOptions};
use pagi_server_core::Stats;
use tokio::sync::mpsc::UnboundedSender;

use crate::control::verb::Verb;
use crate::control::{self, Outcome, Question, status};
use crate::readiness::Readiness;
use crate::scoreboard::{Slot, State};
use crate::server::Management;
use crate::settings::{Settings, optional};
use crate::signals::{self, Request, Signals};
use crate::sockets::Sockets;
use crate::systemd::{self, Bulletin, Watchdog};
use crate::worker::startup_reason;
use crate::{exit, log, mold};

/// Serves until the server has stopped, and returns the status to exit with.
pub fn run(settings: &Settings, sockets: Sockets, management: Management, readiness: Readiness) -> i32 {
    log::speak_as("server");
    match serve(settings, sockets, management, readiness) {
        Ok(WorkerExit::Stopped) => exit::STOPPED,
        Ok(WorkerExit::Exit(status)) => status,
        Ok(WorkerExit::StartupFailed(message)) => {
            log::tell(&format!("PAGI Server startup failed: {}", startup_reason(&message)));
            log::tell(&format!("Error starting server: {message}"));
            exit::FAILED
        }
        Err(message) => {
            log::tell(&message);
            exit::FAILED
        }
    }
}

fn serve(
    settings: &Settings,
    mut sockets: Sockets,
    Management { control, admin }: Management,
    readiness: Readiness,
) -> Result<WorkerExit, String> {
    let signal_error = |error| format!("Error starting server: Cannot handle signals: {error}");
    let (interpreter, application) = mold::load(settings)?;
    // While its file runs, `$0` and with it the short name are the application's.
    let _ = nix::sys::prctl::set_name(c"pagi-server");
    signals::install_stop().map_err(signal_error)?;
    let kept_signals = signals::keep().map_err(signal_error)?;
    let watchdog = Watchdog::find();
    let listening: Vec<String> = sockets.addresses().map(ToString::to_string).collect();
    let options = WorkerOptions {
        http: settings.http_config(),
        lifespan: settings.lifespan.into(),
        startup_timeout: optional(settings.startup_timeout),
        shutdown_timeout: settings.processes.shutdown_timeout,
        worker_num: None,
        // Nobody could replace this process.
        max_requests: 0,
        heartbeat: watchdog.interval().map_or(settings.heartbeat(), |interval| interval.min(settings.heartbeat())),
        access_log: settings.open_access_log()?,
        listeners: sockets.take_queues(),
    };
    let slot = Slot::private();
    slot.assign(0, 1);
    slot.set_pid(std::process::id());
    // Removed when the server begins to stop.
    let files = Rc::new(RefCell::new(Some(sockets)));
    let host = Rc::new(SingleHost {
        slot,
        readiness: RefCell::new(Some(readiness)),
        files: Rc::clone(&files),
        bulletin: RefCell::default(),
        watchdog: RefCell::new(watchdog),
        stopping: Cell::new(false),
    });
    let about = Rc::new(About { slot, listening, started: Instant::now() });
    let (service, _control_file) = control.map(control::Socket::split).unzip();
    // Its socket file is removed when this is dropped, which the loop's tasks never are.
    let mut admin = admin;
    let attach = |commands: UnboundedSender<Command>| {
        follow_signals(kept_signals, commands.clone());
        if let Some(admin) = admin.as_mut() {
            let (about, commands) = (Rc::clone(&about), commands.clone());
            if let Err(error) = admin.start(move |question| about.answer(question, &commands)) {
                tracing::warn!("No admin listener: {error}");
            }
        }
        if let Some(service) = service
            && let Err(error) = service.start(move |question| about.answer(question, &commands))
        {
            tracing::warn!("No control socket: {error}");
        }
    };
    let end = pagi_perl_runtime::serve(interpreter, application, options, host, attach);
    files.borrow_mut().take();
    Ok(end)
}

struct SingleHost {
    slot: Slot,
    readiness: RefCell<Option<Readiness>>,
    files: Rc<RefCell<Option<Sockets>>>,
    stopping: Cell<bool>,
    bulletin: RefCell<Bulletin>,
    watchdog: RefCell<Watchdog>,
}

impl Host for SingleHost {
    fn ready(&self) {
        self.slot.set_state(State::Ready);
        if let Some(readiness) = self.readiness.take() {
            readiness.announce(&mut self.bulletin.borrow_mut());
        }
    }

    fn turn(&self, stats: &Stats) {
        self.slot.update(stats);
        self.watchdog.borrow_mut().feed(Instant::now());
    }

    fn wants_replacement(&self) {}

    fn draining(&self, connections: u64) {
        self.slot.set_state(State::Draining);
        if !self.stopping.replace(true) {
            tracing::info!("Stopping; {connections} connections are open");
            systemd::announce_stop();
            self.files.borrow_mut().take();
        }
    }
}

/// What the status is made of.
struct About {
    slot: Slot,
    listening: Vec<String>,
    started: Instant,
}

impl About {
    fn answer(&self, question: Question, commands: &UnboundedSender<Command>) {
        let answer = match question {
            Question::Status(answer) => answer,
            Question::Verb(order, answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(obey(order, commands));
                return;
            }
        };
        let reading = self.slot.read();
        let state = match reading.state {
            State::Ready => status::WorkerState::Ready,
            State::Draining => status::WorkerState::Draining,
            State::Starting | State::Free => status::WorkerState::Starting,
        };
        let mut totals = status::Totals::default();
        totals.add(&reading);
        let status = status::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            generation: reading.generation,
            workers_wanted: 0,
            reloading: None,
            totals,
            restarts: BTreeMap::new(),
            stopping: state == status::WorkerState::Draining,
            listening: self.listening.clone(),
            workers: vec![status::WorkerStatus::new(state, &reading)],
        };
        // Whoever asked may have gone.
        let _ = answer.send(status);
    }
}

fn obey(order: Verb, commands: &UnboundedSender<Command>) -> Outcome {
    let command = match order {
        Verb::Stop => Command::Stop,
        Verb::ReopenLogs => Command::ReopenLogs,
        Verb::Reload | Verb::Restart { .. } | Verb::Drain { .. } | Verb::Scale { .. } => {
            return Outcome::Refused(signals::NEEDS_WORKERS.to_owned());
        }
    };
    match commands.send(command) {
        Ok(()) => Outcome::Done(if order == Verb::Stop { "Stopping" } else { "Log files are reopened" }.to_owned()),
        Err(_) => Outcome::Refused("The server is stopping".to_owned()),
    }
}

fn follow_signals(kept: UnixStream, commands: UnboundedSender<Command>) {
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
                Request::ReopenLogs => Command::ReopenLogs,
                Request::Reload | Request::More | Request::Fewer => {
                    tracing::warn!("Signal ignored: {}", signals::NEEDS_WORKERS);
                    continue;
                }
                Request::Unavailable(signal) => {
                    signals::log_unavailable(signal);
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
