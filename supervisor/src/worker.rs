//! A worker: the Perl runtime's worker loop, connected to the master by a channel, to the user by signals and to
//! everybody by the scoreboard.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use pagi_perl_runtime::{Command, Host, Pool, Warm, WorkerExit, WorkerOptions};
use pagi_server_core::Stats;
use pagi_server_core::listener::Socket;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::bundle::{Inheritance, PoolQueue};
use crate::channel::{self, Receiver};
use crate::log::capture::{self, Capture};
use crate::messages::{FromWorker, Order, ToWorker, fitting};
use crate::process::{fork, title};
use crate::scoreboard::{Others, Scoreboard, Slot, State};
use crate::settings::{Settings, optional};
use crate::signals::{self, Request, Signals};
use crate::{daemon, exit, log, mold, staff};

/// How long a worker whose master is gone may take to end.
const ORPHAN_LIMIT: Duration = Duration::from_secs(1);

/// A worker's place in the server.
pub struct Post {
    order: Order,
    channel: OwnedFd,
    slot: Slot,
    /// All slots but ours.
    neighbours: Others,
}

impl Post {
    /// Takes the place an order describes.
    ///
    /// # Errors
    /// When the scoreboard has no such slot.
    pub fn new(order: Order, channel: OwnedFd, scoreboard: &Scoreboard) -> Result<Self, String> {
        let slot = scoreboard.slot(order.slot).ok_or("The scoreboard has no slot for this worker")?;
        let neighbours = scoreboard.others(order.slot);
        Ok(Self { order, channel, slot, neighbours })
    }

    fn tell(&self, message: &impl Serialize) {
        // A master that is gone is noticed by the reading side.
        let _ = channel::send(self.channel.as_fd(), message, None);
    }
}

/// Lives as a worker that loads the application itself (`--no-preload`).
pub fn run_unloaded(inheritance: Inheritance, order: Order) -> i32 {
    let Inheritance { settings, scoreboard, listeners, pool, channel, .. } = inheritance;
    let post = match Post::new(order, channel, &scoreboard) {
        Ok(post) => post,
        Err(message) => {
            tracing::error!("{message}");
            return exit::FAILED;
        }
    };
    announce(&post.order);
    match mold::load(&settings) {
        Ok((interpreter, application)) => {
            match run(Warm { interpreter, application, listeners }, &settings, pool.as_ref(), &post) {
                End::Exit(status) => status,
                // It is never asked to: there is no mold whose place it could take.
                End::Mold(warm, _) => {
                    let _ = warm.interpreter.end();
                    exit::STOPPED
                }
            }
        }
        Err(message) => startup_failed(&post, &message),
    }
}

/// How a worker's life ends.
pub enum End {
    /// With the process, and this status.
    Exit(i32),
    /// It goes on as a mold.
    Mold(Warm, Promotion),
}

/// What a worker is told that becomes a mold.
pub struct Promotion {
    /// Generation of the mold.
    pub generation: u32,
    /// The mold's channel to the master.
    pub channel: OwnedFd,
}

/// Serves until the worker is told to stop.
pub fn run(warm: Warm, settings: &Settings, pool: Option<&PoolQueue>, post: &Post) -> End {
    let promotion = Rc::new(RefCell::new(None));
    match serve(warm, settings, pool, post, Rc::clone(&promotion)) {
        Ok(warm) => match promotion.take() {
            Some(promotion) => End::Mold(warm, promotion),
            None => End::Exit(exit::FAILED),
        },
        Err(status) => End::Exit(status),
    }
}

/// Comes back with what is left when the worker is to become a mold, otherwise with the status to exit with.
fn serve(
    warm: Warm,
    settings: &Settings,
    pool: Option<&PoolQueue>,
    post: &Post,
    promotion: Rc<RefCell<Option<Promotion>>>,
) -> Result<Warm, i32> {
    let Warm { interpreter, application, listeners } = warm;
    announce(&post.order);
    let capture = capture_stderr(settings);
    let is_pool = staff::is_pool(post.order.num);
    // A worker logs the requests that it hands to the pool.
    let access_log = match settings.open_access_log(capture::original()) {
        Ok(_) if is_pool => None,
        Ok(access_log) => access_log,
        Err(message) => return Err(startup_failed(post, &message)),
    };
    // The queue stays with whoever becomes the mold: its workers need it, too.
    let end = |end: &OwnedFd| {
        end.try_clone().map_err(|error| startup_failed(post, &format!("Cannot reach the pool: {error}")))
    };
    let tls = match settings.tls_terminator() {
        // A pool process gets its requests from workers, in the clear.
        _ if is_pool => None,
        Ok(tls) => tls,
        Err(message) => return Err(startup_failed(post, &message)),
    };
    let (listeners, pool) = match pool {
        Some(queue) if is_pool => (vec![Socket::Pool(end(&queue.take)?).into()], None),
        Some(queue) => (listeners, Some(Pool { queue: end(&queue.put)?, options: settings.gate_options() })),
        None => (listeners, None),
    };
    let options = WorkerOptions {
        http: if is_pool { settings.pool_config() } else { settings.http_config() },
        lifespan: settings.lifespan.into(),
        startup_timeout: optional(settings.startup_timeout),
        shutdown_timeout: settings.processes.shutdown_timeout,
        worker_num: Some(post.order.num),
        max_requests: settings.request_limit(),
        heartbeat: settings.heartbeat(),
        // To block is what a pool process is for.
        slow_handler: optional(settings.event_loop.slow_handler).filter(|_| !is_pool),
        access_log,
        closed_in_children: Vec::new(),
        pool,
        offload: if is_pool { settings.pool_offload() } else { settings.offload() },
        stderr_token: stderr_token(settings, capture.as_ref()),
        listeners,
        tls,
    };
    let (host, receiving, kept_signals) = match connect(post, settings.http.max_connections) {
        Ok(connected) => connected,
        Err(error) => return Err(startup_failed(post, &format!("Cannot connect to the master: {error}"))),
    };
    // Instead of the handler that ignores the signal. Without it a kill is only less well explained.
    if let Err(error) = pagi_perl_runtime::install_stack_signal(Signal::SIGUSR2 as i32) {
        tracing::warn!("This worker cannot say where it is stuck: {error}");
    }
    post.slot.set_pid(std::process::id());
    post.slot.beat();
    post.tell(&FromWorker::Started { pid: nix::unistd::getpid().as_raw() });
    let accept = Command::Accept(post.order.accept.clone());
    let attach = move |commands: UnboundedSender<Command>| {
        // The receiver is alive while attach runs.
        let _ = commands.send(accept);
        follow_signals(kept_signals, is_pool, commands.clone());
        follow_master(receiving, promotion, commands);
    };
    let end = pagi_perl_runtime::serve(interpreter, application, options, Rc::clone(&host) as Rc<dyn Host>, attach);
    match end {
        WorkerExit::Stopped => Err(exit::STOPPED),
        WorkerExit::Warm(warm) => {
            // The loop is never dropped and refers to it.
            host.channel.take();
            Ok(warm)
        }
        WorkerExit::StartupFailed(message) => Err(startup_failed(post, &message)),
        WorkerExit::Exit(status) => Err(status),
    }
}

/// From now on what the application writes to standard error goes into the log, if it is to.
#[must_use]
pub fn capture_stderr(settings: &Settings) -> Option<Capture> {
    let capture = settings.captures_stderr().then(Capture::start)?;
    capture.inspect_err(|error| tracing::warn!("Standard error is not logged: {error}")).ok()
}

/// With what Perl marks the lines of a request; only requests that have names need it.
#[must_use]
pub fn stderr_token(settings: &Settings, capture: Option<&Capture>) -> Option<String> {
    settings.offload.request_id().and(capture).map(|capture| capture.token().to_owned())
}

/// Both directions of the channel, and the signals sent from now on.
fn connect(post: &Post, max_connections: usize) -> io::Result<(Rc<WorkerHost>, OwnedFd, UnixStream)> {
    signals::install_stop()?;
    let host = WorkerHost {
        channel: RefCell::new(Some(post.channel.try_clone()?)),
        slot: post.slot,
        neighbours: post.neighbours,
        max_connections: u64::try_from(max_connections).unwrap_or(u64::MAX),
    };
    Ok((Rc::new(host), post.channel.try_clone()?, signals::keep()?))
}

fn announce(order: &Order) {
    let name = staff::Name(order.num);
    let short = if staff::is_pool(order.num) { c"pagi-pool" } else { c"pagi-worker" };
    title::set(&format!("pagi-server: {name} gen {}", order.generation), short);
    log::speak_as(&name.to_string());
    log::speak_for(order.generation);
}

/// What an application says about a failed start-up, without the words that say it again.
#[must_use]
pub fn startup_reason(message: &str) -> &str {
    message.strip_prefix("Lifespan startup failed: ").unwrap_or(message)
}

fn startup_failed(post: &Post, message: &str) -> i32 {
    let message = fitting(startup_reason(message).to_owned());
    post.tell(&FromWorker::StartupFailed { message });
    exit::WORKER_STARTUP_FAILED
}

/// What the worker loop tells us, passed on to the master and the scoreboard.
struct WorkerHost {
    /// Gone when the process has become a mold.
    channel: RefCell<Option<OwnedFd>>,
    slot: Slot,
    /// All slots but ours.
    neighbours: Others,
    max_connections: u64,
}

impl WorkerHost {
    fn tell(&self, message: &FromWorker) {
        if let Some(channel) = &*self.channel.borrow() {
            let _ = channel::send(channel.as_fd(), message, None);
        }
    }
}

impl Host for WorkerHost {
    fn ready(&self) {
        self.slot.set_state(State::Ready);
        self.tell(&FromWorker::Ready);
    }

    fn turn(&self, stats: &Stats) {
        self.slot.update(stats);
    }

    fn wants_replacement(&self) {
        self.tell(&FromWorker::WantsReplacement);
    }

    fn others_are_full(&self) -> bool {
        self.neighbours.iter().all(|slot| !slot.has_room(self.max_connections))
    }

    fn pool_waiting(&self, waiting: u64) {
        self.slot.set_pool_waiting(waiting);
    }

    fn pool_waiting_elsewhere(&self) -> u64 {
        self.neighbours.iter().map(|slot| slot.pool_waiting()).sum()
    }

    fn draining(&self, connections: u64) {
        self.slot.set_state(State::Draining);
        self.tell(&FromWorker::Draining { connections });
    }
}

/// Turns the master's messages into commands. Its end means that the master is gone: nobody would replace, count or
/// stop this worker any more (D-13).
fn follow_master(channel: OwnedFd, promotion: Rc<RefCell<Option<Promotion>>>, commands: UnboundedSender<Command>) {
    tokio::task::spawn_local(async move {
        match Receiver::<ToWorker>::new(channel) {
            Ok(mut receiver) => {
                while let Some((message, mut attached)) = receiver.receive_all().await {
                    let command = match message {
                        ToWorker::BecomeMold { generation } => {
                            let Some(channel) = attached.pop() else { continue };
                            *promotion.borrow_mut() = Some(Promotion { generation, channel });
                            Command::BecomeMold
                        }
                        ToWorker::Accept(queues) => Command::Accept(queues),
                        ToWorker::Stop => Command::Stop,
                        ToWorker::Hurry => Command::Hurry,
                        ToWorker::ReopenLogs => {
                            log::reopen();
                            Command::ReopenLogs
                        }
                        ToWorker::LogLevel(level) => {
                            log::set_level(level);
                            continue;
                        }
                        ToWorker::ReloadCertificates => Command::ReloadCertificates,
                        ToWorker::Trouble(reason) => Command::ShowTrouble(reason),
                        ToWorker::Detach => {
                            daemon::release_terminal();
                            continue;
                        }
                    };
                    if commands.send(command).is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::error!("Cannot listen to the master: {error}"),
        }
        tracing::error!("The master is gone; this worker ends");
        let _ = commands.send(Command::Stop);
        let _ = commands.send(Command::Hurry);
        tokio::time::sleep(ORPHAN_LIMIT).await;
        fork::leave(exit::FAILED);
    });
}

/// Turns signals sent to the worker itself into commands.
fn follow_signals(kept: UnixStream, is_pool: bool, commands: UnboundedSender<Command>) {
    tokio::task::spawn_local(async move {
        let mut signals = match Signals::read(kept) {
            Ok(signals) => signals.deaf_to_terminal(is_pool),
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
                // Meant for the master, and sent to the whole process group by a terminal that hangs up.
                Request::Reload
                | Request::More
                | Request::Fewer
                | Request::Upgrade
                | Request::Reap
                | Request::Nothing => continue,
            };
            stopping |= command == Command::Stop;
            if commands.send(command).is_err() {
                return;
            }
        }
    });
}
