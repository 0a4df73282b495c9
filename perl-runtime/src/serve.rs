//! The life of a worker: lifespan start-up, serving, drain, lifespan shutdown, END blocks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pagi_server_core::accept::Acceptor;
use pagi_server_core::drain::Phase;
use pagi_server_core::listener::Socket;
use pagi_server_core::pool::gate::Gate;
use pagi_server_core::worker::Worker as Core;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::call::Exited;
use crate::interpreter::{Application, Interpreter};
use crate::lifespan::Status;
use crate::perl::{interpreter, stderr};
use crate::pool::{GateHost, WholePool};
use crate::worker::Loop;
use crate::worker_api::{Command, Host, LifespanMode, Warm, WorkerExit, WorkerOptions};

/// How long connections get to close after everything left was cut.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Runs a worker until it has stopped. `attach` is called inside the runtime before lifespan start-up; it spawns whatever
/// turns signals and messages into [`Command`]s.
///
/// Perl is at its end when this returns, END blocks have run, and the caller leaves the process; unless the worker was
/// told to become a mold.
pub fn serve(
    perl: Interpreter,
    app: Application,
    options: WorkerOptions,
    host: Rc<dyn Host>,
    attach: impl FnOnce(UnboundedSender<Command>),
) -> WorkerExit {
    let exit = match Service::start(app, options, host, attach) {
        Err(message) => WorkerExit::StartupFailed(message),
        Ok(mut service) => {
            let exit = service.run().unwrap_or_else(|Exited| WorkerExit::Exit(interpreter::exit_status()));
            if interpreter::is_forked_child() {
                // A child that the application forked ends here, whether it called exit or came back from the handler:
                // it must not go on as a second worker. Its copies of our sockets are closed already.
                std::mem::forget(service);
                std::process::exit(perl.end());
            }
            service.core.flush_access_log();
            if service.becomes_mold && matches!(exit, WorkerExit::Stopped) {
                return WorkerExit::Warm(service.dismantle(perl));
            }
            exit
        }
    };
    let _ = perl.end();
    exit
}

/// Brings commands from whatever sends them to the loop, and ends its park.
async fn carry_commands(
    mut receiver: UnboundedReceiver<Command>,
    commands: Rc<RefCell<VecDeque<Command>>>,
    core: Rc<Core>,
    patience: Duration,
) {
    while let Some(command) = receiver.recv().await {
        let patience = match command {
            Command::Stop | Command::BecomeMold => Some(patience),
            Command::Hurry => Some(Duration::ZERO),
            Command::Accept(_) | Command::ReopenLogs | Command::ReloadCertificates | Command::ShowTrouble(_) => None,
        };
        if let Some(patience) = patience {
            crate::worker::with(|worker| worker.stop_within(patience));
        }
        commands.borrow_mut().push_back(command);
        core.inbox.rouse();
    }
}

/// Writes the access log and publishes totals once per batch of finished requests, without waiting for the loop's next
/// turn: on an idle worker that may be a second away.
async fn publish_requests(core: Rc<Core>, host: Rc<dyn Host>) {
    loop {
        core.requests_finished().await;
        core.flush_access_log();
        host.turn(&core.stats);
    }
}

struct Service {
    worker: &'static Loop,
    core: Rc<Core>,
    host: Rc<dyn Host>,
    acceptor: Acceptor,
    commands: Rc<RefCell<VecDeque<Command>>>,
    lifespan: LifespanMode,
    startup_timeout: Option<Duration>,
    shutdown_timeout: Duration,
    worker_num: Option<u32>,
    max_requests: u64,
    asked_for_replacement: bool,
    queues: Option<Vec<usize>>,
    /// Start-up is complete.
    serving: bool,
    stopping: bool,
    becomes_mold: bool,
    hurried: bool,
    heartbeat: Duration,
}

impl Service {
    fn start(
        app: Application,
        options: WorkerOptions,
        host: Rc<dyn Host>,
        attach: impl FnOnce(UnboundedSender<Command>),
    ) -> Result<Self, String> {
        let core = Core::new(options.http, options.access_log).with_tls(options.tls);
        let core = core.with_request_id(options.offload.request_id.clone());
        let core =
            Rc::new(core.with_proxies(options.offload.proxies.clone()).with_outgoing(options.offload.outgoing()?));
        if options.listeners.iter().any(|listener| matches!(listener.socket, Socket::Pool(_))) {
            core.jobs.take_here();
        }
        let gate = options.pool.map(|pool| {
            let surroundings = Rc::new(GateHost(Rc::clone(&host)));
            Rc::new(Gate::new(pool.queue, pool.options, surroundings))
        });
        let mut services = options.offload.services()?;
        if let Some(gate) = gate.as_ref().filter(|_| app.blocking) {
            services.push(Rc::new(WholePool(Rc::clone(gate))));
        }
        core.install_services(services);
        let marks_stderr = options.stderr_token.is_some() && stderr::mark(options.stderr_token.as_deref());
        let worker =
            Loop::install(Rc::clone(&core), app, Rc::clone(&host), gate, options.heartbeat, options.slow_handler)
                .map_err(|error| format!("cannot set up the worker's event loop: {error}"))?;
        worker.set_marks_stderr(marks_stderr);
        options.closed_in_children.iter().for_each(|&fd| core.descriptors.opened(fd));
        let acceptor = Acceptor::new(Rc::clone(&core), options.listeners);
        let (sender, receiver) = unbounded_channel();
        let commands = Rc::new(RefCell::new(VecDeque::new()));
        let carry = carry_commands(receiver, Rc::clone(&commands), Rc::clone(&core), options.shutdown_timeout);
        let publish = publish_requests(Rc::clone(&core), Rc::clone(&host));
        let certificates = Rc::clone(&core);
        worker.enter(move || {
            tokio::task::spawn_local(async move {
                if let Some(tls) = &certificates.tls {
                    tls.follow_files().await;
                }
            });
            tokio::task::spawn_local(carry);
            tokio::task::spawn_local(publish);
            attach(sender);
        });
        Ok(Self {
            worker,
            core,
            host,
            acceptor,
            commands,
            lifespan: options.lifespan,
            startup_timeout: options.startup_timeout,
            shutdown_timeout: options.shutdown_timeout,
            worker_num: options.worker_num,
            max_requests: options.max_requests,
            asked_for_replacement: false,
            queues: None,
            serving: false,
            heartbeat: options.heartbeat,
            stopping: false,
            becomes_mold: false,
            hurried: false,
        })
    }

    fn run(&mut self) -> Result<WorkerExit, Exited> {
        if let Some(failure) = self.start_lifespan()? {
            return Ok(WorkerExit::StartupFailed(failure));
        }
        if !self.stopping {
            self.serving = true;
            self.accept();
            self.host.ready();
        }
        while !self.stopping {
            self.turn(self.heartbeat)?;
        }
        self.drain()?;
        self.stop_lifespan()?;
        Ok(WorkerExit::Stopped)
    }

    /// One turn of the loop, with what surrounds it.
    fn turn(&mut self, wait: Duration) -> Result<(), Exited> {
        self.worker.turn(wait)?;
        loop {
            let Some(command) = self.commands.borrow_mut().pop_front() else { break };
            self.obey(command);
        }
        if self.max_requests > 0 && !self.asked_for_replacement && self.core.stats.requests.get() >= self.max_requests {
            self.asked_for_replacement = true;
            self.host.wants_replacement();
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Accept(queues) => {
                self.queues = Some(queues);
                // LIFE-4: connections wait in the queue until start-up is complete.
                if self.serving && !self.stopping {
                    self.accept();
                }
            }
            Command::Stop => self.stopping = true,
            Command::BecomeMold => {
                self.stopping = true;
                self.becomes_mold = true;
            }
            Command::Hurry => {
                self.stopping = true;
                self.hurried = true;
            }
            Command::ShowTrouble(trouble) => self.worker.show_trouble(trouble),
            Command::ReopenLogs => self.core.reopen_access_log(),
            Command::ReloadCertificates => {
                if let Some(tls) = &self.core.tls {
                    tls.reload();
                }
            }
        }
    }

    /// Accepts from the queues of the last command, or from all.
    fn accept(&mut self) {
        let queues = self.queues.clone().unwrap_or_else(|| (0..self.acceptor.queues()).collect());
        self.accept_from(&queues);
    }

    fn accept_from(&mut self, queues: &[usize]) {
        let acceptor = &mut self.acceptor;
        if let Some(Err(error)) = self.worker.enter(|| acceptor.accept_from(queues)) {
            tracing::error!(%error, "cannot accept from a listening socket");
        }
    }

    // ---- lifespan ---------------------------------------------------------------------------------------------------------

    /// Runs start-up; the failure comes back as the sentence to log (LIFE-6 to LIFE-9).
    fn start_lifespan(&mut self) -> Result<Option<String>, Exited> {
        self.worker.start_lifespan(self.worker_num)?;
        let started = Instant::now();
        loop {
            match self.worker.lifespan.status() {
                Status::Starting => {}
                Status::Declined(raised) => return Ok(self.declined(raised)),
                Status::Failed(message) => return Ok(Some(format!("Lifespan startup failed: {message}"))),
                _ => return Ok(None),
            }
            let left = match self.startup_timeout {
                None => self.heartbeat,
                Some(limit) => match limit.checked_sub(started.elapsed()) {
                    Some(left) if !left.is_zero() => left.min(self.heartbeat),
                    _ => return Ok(Some(format!("Lifespan startup timed out after {}s", limit.as_secs_f64()))),
                },
            };
            self.turn(left)?;
            if self.stopping {
                return Ok(None);
            }
        }
    }

    fn declined(&self, raised: Option<String>) -> Option<String> {
        let raised = raised.map(|error| format!(" (application raised: {})", error.trim_end())).unwrap_or_default();
        if self.lifespan == LifespanMode::On {
            return Some(format!("Lifespan startup failed: the application does not support lifespan{raised}"));
        }
        tracing::info!("Lifespan not supported, continuing without it{raised}");
        None
    }

    /// LIFE-13: bounded, and a failure is only logged.
    fn stop_lifespan(&mut self) -> Result<(), Exited> {
        if !self.worker.lifespan.shut_down()? {
            return Ok(());
        }
        let deadline = Instant::now() + self.shutdown_timeout;
        while self.worker.lifespan.status() == Status::Stopping {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("Lifespan shutdown timed out after {}s", self.shutdown_timeout.as_secs_f64());
                return Ok(());
            }
            self.turn(left.min(self.heartbeat))?;
        }
        if let Status::Stopped(Some(message)) = self.worker.lifespan.status() {
            tracing::warn!("Lifespan shutdown failed: {}", message.trim_end());
        }
        Ok(())
    }

    // ---- drain --------------------------------------------------------------------------------------------------------------

    /// SHUT-2: stop accepting, end streams, let requests finish within the bound, cut the rest, wait for calls.
    fn drain(&mut self) -> Result<(), Exited> {
        self.accept_from(&[]);
        self.host.draining(self.core.stats.connections.get());
        self.core.drain.advance(Phase::Draining);
        self.worker.end_streams();
        // Whoever waits for this moment is told, even when there is nothing else to wait for.
        self.turn(Duration::ZERO)?;
        let deadline = Instant::now() + self.shutdown_timeout;
        while self.is_busy() && !self.hurried {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.turn(left.min(self.heartbeat))?;
        }
        if self.is_busy() {
            tracing::warn!("Shutdown timeout: force-closing {} active connections", self.core.stats.connections.get());
            self.core.drain.advance(Phase::Aborting);
            self.wait_until_idle(ABORT_GRACE)?;
            let cancelled = self.worker.cancel_calls()?;
            if cancelled > 0 {
                tracing::warn!("cancelled {cancelled} application calls that had not returned");
                self.wait_until_idle(ABORT_GRACE)?;
            }
        }
        Ok(())
    }

    /// Takes apart what served: nothing of it may be left when the process forks.
    fn dismantle(self, interpreter: Interpreter) -> Warm {
        let listeners = self.acceptor.into_listeners();
        let application = self.worker.dismantle();
        Warm { interpreter, application, listeners }
    }

    fn is_busy(&self) -> bool {
        self.core.stats.connections.get() > 0 || self.worker.active() > 0 || self.worker.jobs_waiting() > 0
    }

    fn wait_until_idle(&mut self, bound: Duration) -> Result<(), Exited> {
        let deadline = Instant::now() + bound;
        while self.is_busy() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.turn(left.min(Duration::from_millis(50)))?;
        }
        Ok(())
    }
}
