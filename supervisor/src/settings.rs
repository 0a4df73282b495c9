//! The settings of a server: the command line after everything that combines is checked and everything relative is
//! made absolute. Handed to the other processes as it is, so that all of them run with the same numbers (D-04).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use pagi_server_core::tls::Terminator;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::cli::mount::Mount;
use crate::cli::{
    Http2Options, HttpOptions, Lifespan, LoopOptions, OffloadOptions, PoolOptions, ProcessOptions, ProxyOptions,
    StoreOptions,
};
use crate::config::origin::Effective;
use crate::log::LogSettings;
use crate::tls::Tls;

mod application;
mod listening;
mod logs;
mod offload;
mod protocol;
mod reading;
mod supervision;

pub use logs::AccessLogSettings;
pub use reading::{read, read_again};

/// The mode in which an application is served to real users.
const PRODUCTION: &str = "production";
/// The mode for whoever writes it.
const DEVELOPMENT: &str = "development";

/// Settings of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// The application.
    pub app: AppSettings,
    /// Where to listen; paths are absolute.
    pub listen: Vec<Address>,
    /// The user said where to listen; otherwise inherited sockets decide.
    pub listen_given: bool,
    /// Queues per TCP address.
    pub queues: usize,
    /// Length of the accept queues.
    pub backlog: i32,
    /// TLS, if there is any.
    pub tls: Option<Tls>,
    /// Workers and their supervision.
    pub processes: ProcessOptions,
    /// Processes for blocking code.
    pub pool: PoolOptions,
    /// The event loop of workers.
    pub event_loop: LoopOptions,
    /// Limits and timers.
    pub http: HttpOptions,
    /// HTTP/2.
    pub http2: Http2Options,
    /// Proxies that are believed.
    pub proxies: ProxyOptions,
    /// What the server does in the application's place.
    pub offload: OffloadOptions,
    /// Limits of what workers share.
    pub store: StoreOptions,
    /// Mount point.
    pub root_path: String,
    /// Lifespan handling.
    pub lifespan: Lifespan,
    /// Bound on lifespan start-up; zero is none.
    pub startup_timeout: Duration,
    /// Access log, if any.
    pub access_log: Option<AccessLogSettings>,
    /// The server log, `--quiet` included.
    pub log: LogSettings,
    /// Errors only.
    pub quiet: bool,
    /// Running as a service.
    pub service: ServiceSettings,
    /// Every option as it is in effect, and who said so: for people who ask.
    pub effective: Vec<Effective>,
    /// Somebody said that this is production; nobody at a terminal is not enough.
    pub production_given: bool,
    /// What the command was started with: a process cannot read its own once its title is set.
    pub command_line: Vec<OsString>,
}

/// The application, in a form that can be handed to another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppSettings {
    /// `-e`.
    pub code: Option<String>,
    /// File or module.
    pub name: Option<String>,
    /// `key=value` arguments.
    pub arguments: Vec<String>,
    /// Further applications.
    pub mounts: Vec<Mount>,
    /// `-I`.
    pub include: Vec<PathBuf>,
    /// `-M`.
    pub modules: Vec<String>,
    /// Environment mode.
    pub mode: String,
    /// Open a browser when the server is ready.
    pub open: bool,
    /// Whether development mode may wrap the application.
    pub default_middleware: bool,
    /// Use Future::XS.
    pub future_xs: bool,
    /// Directory the command was started in: where relative names are looked up.
    pub directory: PathBuf,
}

/// Running as a service; paths are absolute.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceSettings {
    /// Go to the background.
    pub daemonize: bool,
    /// PID file.
    pub pid_file: Option<PathBuf>,
    /// User to become.
    pub user: Option<String>,
    /// Group to become.
    pub group: Option<String>,
    /// May the server run as root?
    pub allow_root: bool,
    /// Control socket that was asked for.
    pub control_socket: Option<PathBuf>,
    /// Group whose members may use it.
    pub control_group: Option<String>,
    /// Admin listener.
    pub admin_listen: Option<Address>,
    /// The configuration file.
    pub config: Option<PathBuf>,
}

/// Settings, and what to tell the user about them once logging has started.
#[derive(Debug)]
pub struct Checked {
    /// The settings.
    pub settings: Settings,
    /// Warnings, each a sentence.
    pub warnings: Vec<String>,
    /// To be tried instead of served.
    pub check_only: bool,
}

impl Settings {
    /// Reads certificates and keys, and checks them.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load_certificates(&mut self) -> Result<(), String> {
        self.tls.as_mut().map_or(Ok(()), Tls::load)
    }

    /// Reads them anew for processes that are started from now on. If they cannot be used, the old ones are handed on.
    pub fn renew_certificates(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.renew();
        }
    }

    /// What a process that serves needs for its TLS listeners.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn tls_terminator(&self) -> Result<Option<Terminator>, String> {
        self.tls.as_ref().map(Tls::terminator).transpose()
    }
}

/// On the command line 0 switches a timer off.
#[must_use]
pub fn optional(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

#[cfg(test)]
mod tests;
