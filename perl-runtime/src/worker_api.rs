//! What the process around a worker says to it and hears from it. The worker knows nothing of masters, sockets pairs
//! or scoreboards; it takes [`Command`]s and tells a [`Host`].

use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use crate::interpreter::{Application, Interpreter};
use pagi_server_core::{
    Stats, access_log::AccessLog, config::Config, listener::Listener, offload::OffloadOptions, pool::gate::GateOptions,
    tls::Terminator,
};

/// Where the application comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppSource {
    /// `-e CODE`.
    Code(String),
    /// A file or module name, classified by the loader (reference-server 3.1).
    Named(String),
    /// Nothing was named: the default application serves the current directory.
    Default,
}

/// A further application, for a part of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSpec {
    /// Host (empty for any), path and name, with tabs between them.
    pub place: String,
    /// `key=value` arguments for a module's constructor.
    pub arguments: Vec<String>,
}

/// Everything needed to load an application.
#[derive(Debug, Clone)]
pub struct AppSpec {
    /// The application.
    pub source: AppSource,
    /// Remaining `key=value` arguments for a module's constructor.
    pub arguments: Vec<String>,
    /// Further applications.
    pub mounts: Vec<MountSpec>,
    /// `-I` directories, in order of precedence.
    pub include: Vec<PathBuf>,
    /// `-M` modules, loaded first.
    pub modules: Vec<String>,
    /// Environment mode, exported as `PAGI_ENV` before loading.
    pub mode: String,
    /// Whether development mode may wrap the application in `PAGI::Middleware::Lint`.
    pub default_middleware: bool,
    /// Clients are shown its exceptions: in development mode.
    pub shows_errors: bool,
    /// There is a pool: an application known to block belongs there.
    pub pool: bool,
    /// The event loop that drives workers instead of the native one (`--loop`).
    pub foreign_loop: Option<String>,
    /// Suppress notices.
    pub quiet: bool,
}

/// `--lifespan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifespanMode {
    /// A declining application is served without lifespan (LIFE-6).
    Auto,
    /// Declining is a start-up failure (LIFE-9).
    On,
}

/// The way into the pool of processes for blocking code.
pub struct Pool {
    /// The end of the queue that workers send to.
    pub queue: OwnedFd,
    /// Limits.
    pub options: GateOptions,
}

/// Settings of one worker.
pub struct WorkerOptions {
    /// Protocol limits and timers.
    pub http: Config,
    /// Lifespan handling.
    pub lifespan: LifespanMode,
    /// Bound on lifespan start-up; `None` waits for ever.
    pub startup_timeout: Option<Duration>,
    /// Bound on drain plus lifespan shutdown.
    pub shutdown_timeout: Duration,
    /// Worker number from 1, or `None` in single-process mode (LIFE-5).
    pub worker_num: Option<u32>,
    /// The loop turns at least this often, so that [`Host::turn`] can serve as a heartbeat.
    pub heartbeat: Duration,
    /// Calls into the application that hold the loop longer than this are named in the log; `None` for never.
    pub slow_handler: Option<Duration>,
    /// What Perl writes to standard error while it runs for a request that has a name is marked with this token, the name and
    /// the number of bytes: NUL, token, space, name, space, number, line feed, bytes. `None` when nobody would take the marks
    /// off again.
    pub stderr_token: Option<String>,
    /// Finished requests after which [`Host::wants_replacement`] is called once; 0 is never.
    pub max_requests: u64,
    /// Access log, or `None` when disabled.
    pub access_log: Option<AccessLog>,
    /// Descriptors of the surrounding process that a child forked by the application must not keep open.
    pub closed_in_children: Vec<RawFd>,
    /// The pool, for a worker that may hand requests to it; `None` in pool processes and where there is no pool.
    pub pool: Option<Pool>,
    /// What is done in the application's place.
    pub offload: OffloadOptions,
    /// Listening sockets; [`Command::Accept`] names them by index. All are accepted from until the first such command.
    pub listeners: Vec<Listener>,
    /// What the TLS listeners among them need.
    pub tls: Option<Terminator>,
}

/// What the surrounding process tells the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Accept from exactly these listeners (indices into [`WorkerOptions::listeners`]).
    Accept(Vec<usize>),
    /// Stop accepting, drain, run lifespan shutdown, return.
    Stop,
    /// Like `Stop`, but keep Perl and the application: the process goes on as a mold.
    BecomeMold,
    /// The drain is taking too long for somebody: abort what is left now, then lifespan shutdown.
    Hurry,
    /// Reopen the access log.
    ReopenLogs,
    /// Read TLS certificates anew.
    ReloadCertificates,
    /// The newest code cannot be loaded, for this reason: show it to browsers, until it can be.
    ShowTrouble(Option<String>),
}

/// What the worker tells the surrounding process. Called on the worker's thread, never from inside Perl.
pub trait Host {
    /// Lifespan start-up is done and connections are accepted.
    fn ready(&self);
    /// Once per loop turn: the heartbeat. At least every [`WorkerOptions::heartbeat`] while the application does not block.
    fn turn(&self, stats: &Stats);
    /// `max_requests` was reached.
    fn wants_replacement(&self);
    /// Whether no other worker could take a connection now. Asked once a second while this one is full.
    fn others_are_full(&self) -> bool {
        true
    }
    /// Requests of this worker that wait for a pool process, whenever the number changes.
    fn pool_waiting(&self, _waiting: u64) {}
    /// The same number of all other workers.
    fn pool_waiting_elsewhere(&self) -> u64 {
        0
    }
    /// The drain has begun, with so many connections open.
    fn draining(&self, connections: u64);
}

/// What is left of a worker that has finished and becomes a mold: everything a new worker needs.
pub struct Warm {
    /// Perl.
    pub interpreter: Interpreter,
    /// The application, with all that it has learned while it served.
    pub application: Application,
    /// The listening sockets.
    pub listeners: Vec<Listener>,
}

/// Why a worker's loop ended.
pub enum WorkerExit {
    /// Drained and shut down as asked.
    Stopped,
    /// The same, and ready to be a mold.
    Warm(Warm),
    /// Lifespan start-up failed; the text is the sentence to log.
    StartupFailed(String),
    /// The application called `exit` with this status.
    Exit(i32),
}
