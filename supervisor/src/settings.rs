//! The settings of a server: the command line after everything that combines is checked and everything relative is
//! made absolute. Handed to the other processes as it is, so that all of them run with the same numbers (D-04).

use std::cmp::Ordering;
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pagi_perl_runtime::{AppSource, AppSpec};
use pagi_server_core::Config;
use pagi_server_core::offload::request_id::{RequestIdOptions, Source};
use pagi_server_core::pool::gate::GateOptions;
use pagi_server_core::tls::Terminator;
use pagi_server_core::websocket::extension::DeflateOptions;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::cli::mount::Mount;
use crate::cli::{
    self, Http2Options, HttpOptions, Lifespan, LoopOptions, OffloadOptions, PoolOptions, ProcessOptions, ProxyOptions,
    ServiceOptions, StoreOptions,
};
use crate::config::origin::{Effective, Origin};
use crate::log::{Level, LogSettings};
use crate::policy::Limits;
use crate::tls::{self, Tls};
use crate::usage::Answer;

mod logs;

pub use logs::AccessLogSettings;

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

/// Reads a command line, the program's name first.
///
/// # Errors
/// What to print instead of serving.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Checked, Answer> {
    let directory = std::env::current_dir()
        .map_err(|error| Answer::mistake(format!("Cannot find out the current directory: {error}")))?;
    let default_mode = if std::io::stdin().is_terminal() { DEVELOPMENT } else { PRODUCTION };
    let environment = |name: &str| std::env::var(name).ok();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = cli::parse(arguments.iter().cloned(), &environment)?;
    let mut checked = check(parsed, directory, default_mode).map_err(Answer::mistake)?;
    checked.settings.command_line = arguments;
    Ok(checked)
}

/// Reads everything again in a server that runs: the command line and the environment are as they were, the
/// configuration file may be another.
///
/// # Errors
/// What is wrong, one line for each mistake.
pub fn read_again(current: &Settings) -> Result<Checked, Answer> {
    let environment = |name: &str| std::env::var(name).ok();
    let mut arguments = current.command_line.clone();
    // A relative path means what it meant at the start.
    if let Some(config) = &current.service.config {
        arguments.splice(1..1, ["--config".into(), config.clone().into()]);
        let later = arguments.split_off(3);
        arguments.extend(without_config(later));
    }
    // Whether a terminal was there at the start cannot be found out any more.
    let parsed = cli::parse(arguments, &environment)?;
    let mut checked = check(parsed, current.app.directory.clone(), &current.app.mode).map_err(Answer::mistake)?;
    checked.settings.command_line.clone_from(&current.command_line);
    Ok(checked)
}

/// The arguments without `--config FILE` and `--config=FILE`.
fn without_config(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => drop(arguments.next()),
            Some(text) if text.starts_with("--config=") => {}
            _ => kept.push(argument),
        }
    }
    kept
}

fn check(parsed: cli::Parsed, directory: PathBuf, default_mode: &str) -> Result<Checked, String> {
    let mut warnings = Vec::new();
    let mode = parsed.options.app.env.clone().filter(|mode| !mode.is_empty());
    let mode = mode.unwrap_or_else(|| default_mode.to_owned());
    let (mut listen, listen_given) = addresses(&parsed, &directory, &mut warnings)?;
    let default_middleware = match parsed.rank("default_middleware").cmp(&parsed.rank("no_default_middleware")) {
        Ordering::Greater => parsed.options.app.default_middleware,
        Ordering::Equal | Ordering::Less => !parsed.options.app.no_default_middleware,
    };
    let tls = tls::check(&parsed.options.tls, !parsed.options.http2.no_http2, &mut listen, &directory, &mut warnings)?;
    if listen.iter().any(Address::proxy) && parsed.options.proxies.trusted_proxies.is_empty() {
        return Err("An address with ,proxy needs --trusted-proxies, which says whom to believe".to_owned());
    }
    // Whoever said the one and the other: without the mold nobody knows what to watch.
    if parsed.options.processes.reload && parsed.options.processes.no_preload {
        return Err(
            "--reload cannot be used with --no-preload: it loads the application once for all workers".to_owned()
        );
    }
    let http = &parsed.options.http;
    if http.write_low_watermark >= http.write_high_watermark {
        return Err(format!(
            "--write-low-watermark ({}) must be below --write-high-watermark ({})",
            http.write_low_watermark, http.write_high_watermark
        ));
    }
    if mode == PRODUCTION && parsed.rank("max_connections") == 0 {
        warnings.push(format!(
            "max_connections is left at its default of {} in production; set --max-connections to what a worker bears",
            http.max_connections
        ));
    }
    let access_log = logs::access_log(&parsed, &mode, &directory);
    if access_log.as_ref().is_some_and(|log| log.file.is_none()) && std::io::stderr().is_terminal() {
        warnings
            .push("The access log is a terminal, which is slow; use --access-log FILE or --no-access-log".to_owned());
    }
    let named = application(&parsed, &mut warnings);
    let production_given = parsed.rank("env") > 0 && mode == PRODUCTION;
    let cli::Parsed { options, effective, .. } = parsed;
    let check_only = options.check;
    let default_queues = usize::try_from(options.processes.workers).unwrap_or(1).max(1);
    let settings = Settings {
        app: AppSettings {
            code: named.code,
            name: named.name,
            arguments: named.arguments,
            mounts: options.app.mounts,
            include: options.app.include,
            modules: options.app.modules,
            open: options.app.open && mode == DEVELOPMENT,
            mode,
            default_middleware,
            future_xs: options.app.future_xs,
            directory: directory.clone(),
        },
        listen,
        listen_given,
        queues: options.listen.queues.map_or(default_queues, usize::from),
        backlog: options.listen.listener_backlog,
        tls,
        processes: options.processes,
        pool: options.pool,
        event_loop: options.event_loop,
        http: options.http,
        http2: options.http2,
        proxies: options.proxies,
        offload: options.offload,
        store: options.store,
        root_path: options.app.root_path,
        lifespan: options.app.lifespan,
        startup_timeout: options.app.lifespan_startup_timeout,
        access_log,
        log: LogSettings {
            level: if options.logs.quiet { Level::Error } else { options.logs.log_level },
            format: options.logs.log_format,
            destination: options.logs.log.anchored(&directory),
        },
        quiet: options.logs.quiet,
        service: service(options.service, &directory),
        effective,
        production_given,
        command_line: Vec::new(),
    };
    Ok(Checked { settings, warnings, check_only })
}

/// What names the application.
struct Named {
    code: Option<String>,
    name: Option<String>,
    arguments: Vec<String>,
}

/// The first positional argument without `=` names the application; what follows are its arguments. An application on
/// the command line replaces that of the file, with its arguments.
fn application(parsed: &cli::Parsed, warnings: &mut Vec<String>) -> Named {
    let options = &parsed.options.app;
    let mut rest = options.positional.iter().cloned().peekable();
    let on_command_line = parsed.rank("app") == Origin::CommandLine.rank();
    let positional = match on_command_line {
        true => None,
        false => rest.next_if(|first| !first.contains('=')),
    };
    let strength = if positional.is_some() { Origin::CommandLine.rank() } else { parsed.rank("app") };
    let name = positional.or_else(|| options.app.clone());
    // Code wins over a name said in the same place.
    let code = options.code.clone().filter(|_| parsed.rank("code") >= strength);
    let from_file = if strength == Origin::CommandLine.rank() { &[][..] } else { &parsed.arguments };
    let (given, ignored): (Vec<String>, Vec<String>) = rest.partition(|argument| argument.contains('='));
    warnings.extend(ignored.iter().map(|argument| format!("Ignoring argument without '=': {argument}")));
    let arguments = [from_file, &given].concat();
    if name.is_none() && !arguments.is_empty() {
        warnings.push(format!("Ignoring arguments because no application is named: {}", arguments.join(" ")));
        return Named { code, name, arguments: Vec::new() };
    }
    Named { code, name, arguments }
}

/// Where to listen, and whether anybody said so. What is said more strongly wins: a `PORT` of the environment over
/// `listen` in the file. Said in the same place, `--listen` and `--socket` win over `--host` and `--port`.
fn addresses(
    parsed: &cli::Parsed,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Address>, bool), String> {
    let options = &parsed.options.listen;
    let with_mode = |address: Address| match address.anchored(directory) {
        Address::Unix { path, tls, proxy, .. } => Address::Unix { path, mode: options.socket_mode, tls, proxy },
        tcp @ Address::Tcp { .. } => tcp,
    };
    let plain = parsed.rank("host").max(parsed.rank("port"));
    let (socket, listen) = (parsed.rank("socket"), parsed.rank("listen"));
    if socket == listen && socket > 0 {
        return Err("Cannot specify both 'listen' and 'socket' options".to_owned());
    }
    let strongest = socket.max(listen);
    if strongest > 0 && plain > 0 {
        let (kept, ignored) = match plain > strongest {
            true => ("--host or --port", "--listen and --socket are"),
            false => ("--listen or --socket", "--host and --port are"),
        };
        warnings.push(format!("{ignored} ignored because {kept} is given"));
    }
    if strongest == 0 || plain > strongest {
        let host = options.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        return Ok((vec![Address::Tcp { host, port: options.port, tls: false, proxy: false }], plain > 0));
    }
    let chosen = match (&options.socket, socket > listen) {
        (Some(path), true) => vec![Address::Unix { path: path.clone(), mode: None, tls: false, proxy: false }],
        _ => options.listen.clone(),
    };
    Ok((chosen.into_iter().map(with_mode).collect(), true))
}

/// Off in production unless a file is named (reference-server 3.2).
fn service(options: ServiceOptions, directory: &Path) -> ServiceSettings {
    let anchor = |path: Option<PathBuf>| path.map(|path| directory.join(path));
    ServiceSettings {
        daemonize: options.daemonize,
        pid_file: anchor(options.pid),
        user: options.user,
        group: options.group,
        allow_root: options.allow_root,
        control_socket: anchor(options.control_socket),
        control_group: options.control_group,
        admin_listen: options.admin_listen.map(|address| address.anchored(directory)),
        config: anchor(options.config),
    }
}

impl Settings {
    /// Whether requests are served by worker processes (reference-server 2.3: 0 and 1 mean none). A pool
    /// and `--reload` need a mold to come from.
    #[must_use]
    pub fn has_workers(&self) -> bool {
        self.processes.workers > 1 || self.pool.pool > 0 || self.processes.reload
    }

    /// The application as the Perl runtime wants it.
    #[must_use]
    pub fn app_spec(&self) -> AppSpec {
        let source = match (&self.app.code, &self.app.name) {
            (Some(code), _) => AppSource::Code(code.clone()),
            (None, Some(name)) => AppSource::Named(name.clone()),
            (None, None) => AppSource::Default,
        };
        AppSpec {
            pool: self.pool.pool > 0,
            source,
            arguments: self.app.arguments.clone(),
            mounts: self.app.mounts.iter().map(Mount::spec).collect(),
            include: self.app.include.clone(),
            modules: self.app.modules.clone(),
            mode: self.app.mode.clone(),
            default_middleware: self.app.default_middleware,
            shows_errors: self.shows_errors(),
            foreign_loop: self.event_loop.foreign().map(str::to_owned),
            quiet: self.quiet,
        }
    }

    /// Whether clients may be shown what is wrong with the application.
    #[must_use]
    pub fn shows_errors(&self) -> bool {
        self.app.mode == DEVELOPMENT
    }

    /// The bounds that supervision keeps.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let processes = &self.processes;
        Limits {
            shutdown: processes.shutdown_timeout,
            startup: optional(self.startup_timeout),
            load: optional(processes.reload_timeout),
            age: optional(processes.max_worker_age),
            batch: processes.reload_batch,
        }
    }

    /// How long the successor of an upgraded server may take until it serves; `None` is no bound.
    #[must_use]
    pub fn upgrade_timeout(&self) -> Option<Duration> {
        let load = optional(self.processes.reload_timeout)?;
        Some(load.saturating_add(optional(self.startup_timeout)?))
    }

    /// Requests after which a worker asks to be replaced; different in each worker when a jitter is wanted.
    #[must_use]
    pub fn request_limit(&self) -> u64 {
        let ProcessOptions { max_requests, max_requests_jitter, .. } = self.processes;
        if max_requests == 0 {
            return 0;
        }
        // Seeded anew by the system in each process: nothing that must not be guessed.
        let chance = RandomState::new().hash_one(std::process::id());
        max_requests.saturating_add(chance.checked_rem(max_requests_jitter.saturating_add(1)).unwrap_or(0))
    }

    /// How often a worker shows that it is alive: a fifth of the time it has, and at least once a second.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        let second = Duration::from_secs(1);
        optional(self.processes.heartbeat_timeout).map_or(second, |timeout| (timeout / 5).min(second))
    }

    /// Limits and timers as the protocol core wants them.
    #[must_use]
    pub fn http_config(&self) -> Config {
        let http = &self.http;
        let defaults = Config::default();
        let (tls_handshake_timeout, max_tls_handshakes) = match &self.tls {
            Some(tls) => (optional(tls.handshake_timeout), tls.max_handshakes),
            None => (defaults.tls_handshake_timeout, defaults.max_tls_handshakes),
        };
        Config {
            tls_handshake_timeout,
            max_tls_handshakes,
            max_header_size: http.max_header_size,
            max_header_count: http.max_header_count,
            max_body_size: http.max_body_size,
            max_connections: http.max_connections,
            idle_timeout: optional(http.timeout),
            header_timeout: optional(http.header_timeout),
            request_timeout: optional(http.request_timeout),
            write_timeout: optional(http.write_timeout),
            write_high_watermark: http.write_high_watermark,
            write_low_watermark: http.write_low_watermark,
            max_request_line: http.max_request_line,
            receive_window: http.receive_window,
            drain_limit: http.drain_limit,
            server_header: http.server_header.clone(),
            max_ws_frame_size: http.max_ws_frame_size as u64,
            max_ws_message_size: http.max_ws_message_size,
            max_ws_send_size: http.max_ws_send_size,
            max_receive_queue: http.max_receive_queue,
            ws_idle_timeout: optional(http.ws_idle_timeout),
            sse_idle_timeout: optional(http.sse_idle_timeout),
            ws_compression: DeflateOptions {
                enabled: http.ws_compression,
                level: http.ws_compression_level,
                min_size: http.ws_compression_min_size,
                ..DeflateOptions::default()
            },
            http2: self.http2.core(),
            tolerate_half_close: http.tolerate_half_close,
            fullflush: !http.no_fullflush,
            root_path: self.root_path.clone(),
        }
    }

    /// Limits of the pool, as the workers keep them.
    #[must_use]
    pub fn gate_options(&self) -> GateOptions {
        let pool = &self.pool;
        GateOptions {
            processes: pool.pool,
            queue_limit: pool.pool_queue_limit,
            queue_timeout: optional(pool.pool_queue_timeout),
            timeout: optional(pool.pool_timeout),
            buffer: pool.pool_buffer,
        }
    }

    /// The protocol as a pool process speaks it with our workers, which have kept every limit and every timer already.
    #[must_use]
    pub fn pool_config(&self) -> Config {
        let http = self.http_config();
        Config {
            // Cookies were joined and a Host may have been added, so a head can have grown.
            max_request_line: http.max_request_line * 2,
            max_header_size: http.max_header_size * 2 + 1024,
            max_header_count: http.max_header_count + 8,
            max_body_size: 0,
            idle_timeout: None,
            header_timeout: None,
            request_timeout: None,
            write_timeout: None,
            ..http
        }
    }

    /// What workers do in the application's place.
    #[must_use]
    pub fn offload(&self) -> pagi_server_core::offload::OffloadOptions {
        let directory = &self.app.directory;
        pagi_server_core::offload::OffloadOptions {
            folders: self.offload.folders(directory),
            proxies: self.proxies.core(),
            compression: self.offload.compression(),
            delegate: self.offload.delegate(directory),
            request_id: self.offload.request_id(),
            fields: self.offload.fields(),
            rate: self.offload.rate(),
        }
    }

    /// What pool processes do: a worker has done the rest.
    #[must_use]
    pub fn pool_offload(&self) -> pagi_server_core::offload::OffloadOptions {
        let named = self.offload.request_id();
        pagi_server_core::offload::OffloadOptions {
            request_id: named.map(|options| RequestIdOptions { source: Source::Accept, ..options }),
            ..Default::default()
        }
    }

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
