//! The command line of `pagi-server`. This is the one definition of every option: name, aliases, default, environment
//! fallback and help text; parsing and `--help` both come from it. [`crate::settings`] checks how options combine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser};
use pagi_perl_runtime::LifespanMode;
use pagi_server_core::access_log::{DEFAULT_FORMAT, Format};
use serde::{Deserialize, Serialize};

use crate::address::{Address, parse_port};
use crate::log::Level;

/// What `--version` prints after the program's name; the first number is that of the PAGI specification.
const VERSION: &str = concat!("(PAGI 0.002007, PAGI::Server ", env!("CARGO_PKG_VERSION"), ")");

const AFTER_HELP: &str = "\
APP is a file (contains '/', ends in .pl or .psgi, or exists) or a module;
KEY=VALUE arguments go to the module's constructor. Without APP, the current
directory is served.

Sockets from systemd (LISTEN_FDS) or named in PAGI_REUSE are served as they are;
without --listen, --host, --port or --socket they decide where to listen.

Exit status:
  0  stopped as asked
  1  could not start, or no worker was left
  2  the command line is wrong
  An application that calls exit() in a server without workers decides the status itself.

Signals:
  TERM, INT, QUIT  stop gracefully; a second one hurries
  USR1             reopen log files
  HUP              load the application anew and replace the workers (as pagictl reload)
  TTIN, TTOU       one worker more, one fewer";

/// Everything on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "pagi-server",
    bin_name = "pagi-server",
    version = VERSION,
    disable_version_flag = true,
    disable_help_flag = true,
    args_override_self = true,
    max_term_width = 110,
    about = "Serves PAGI applications",
    override_usage = "pagi-server [OPTIONS] [APP] [KEY=VALUE]...",
    after_help = AFTER_HELP
)]
pub struct CommandLine {
    /// Application and its arguments.
    #[command(flatten)]
    pub app: AppOptions,
    /// Where to listen.
    #[command(flatten)]
    pub listen: ListenOptions,
    /// Workers and their supervision.
    #[command(flatten)]
    pub processes: ProcessOptions,
    /// Limits and timers of the protocol.
    #[command(flatten)]
    pub http: HttpOptions,
    /// Logs.
    #[command(flatten)]
    pub logs: LogOptions,
    /// Running as a service.
    #[command(flatten)]
    pub service: ServiceOptions,

    /// Print the version and exit
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// Print this help and exit
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,
}

/// What to serve.
#[derive(Debug, Args)]
#[command(next_help_heading = "Application")]
pub struct AppOptions {
    /// Application and key=value arguments
    #[arg(value_name = "APP [KEY=VALUE]", hide = true)]
    pub positional: Vec<String>,
    /// Application file or module (older spelling of the positional argument)
    #[arg(short = 'a', long = "app", value_name = "FILE")]
    pub app: Option<String>,
    /// Perl code that yields the application; wins over APP
    #[arg(short = 'e', value_name = "CODE", allow_hyphen_values = true)]
    pub code: Option<String>,
    /// Load and import a module first, repeatable (-MModule or -MModule=a,b)
    #[arg(short = 'M', value_name = "MODULE")]
    pub modules: Vec<String>,
    /// Directory to put before @INC, repeatable
    #[arg(short = 'I', long = "lib", value_name = "DIR")]
    pub include: Vec<PathBuf>,
    /// Environment mode: development, production, none or any word [default: development on a terminal, else production]
    #[arg(short = 'E', long, env = "PAGI_ENV", hide_env_values = true, value_name = "MODE")]
    pub env: Option<String>,
    /// Do not wrap the application in development mode
    #[arg(long = "no-default-middleware", overrides_with = "default_middleware")]
    pub no_default_middleware: bool,
    /// Let development mode wrap the application in PAGI::Middleware::Lint (the default)
    #[arg(long = "default-middleware", overrides_with = "no_default_middleware")]
    pub default_middleware: bool,
    /// Lifespan events: auto (an application may decline), on (it must not), off
    #[arg(long, default_value = "auto", value_parser = parse_lifespan, value_name = "MODE")]
    pub lifespan: Lifespan,
    /// Seconds an application has for lifespan start-up; 0 = no limit
    #[arg(long, default_value = "30", value_parser = parse_seconds, value_name = "SECONDS")]
    pub lifespan_startup_timeout: Duration,
    /// Mount point of the application (root_path), such as /app
    #[arg(long, default_value = "", hide_default_value = true, value_parser = parse_root_path, value_name = "PATH")]
    pub root_path: String,
}

/// Where to listen.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub struct ListenOptions {
    /// Address to bind
    #[arg(
        short = 'o',
        long,
        env = "HOST",
        hide_env_values = true,
        default_value = "127.0.0.1",
        value_name = "ADDRESS"
    )]
    pub host: String,
    /// Port to bind; 0 = any free port
    #[arg(
        short = 'p',
        long,
        env = "PORT",
        hide_env_values = true,
        default_value = "5000",
        value_parser = parse_port,
        value_name = "PORT"
    )]
    pub port: u16,
    /// Unix socket to listen on instead of TCP
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Permissions of Unix sockets [default: 0600]
    #[arg(long, value_parser = parse_socket_mode, value_name = "0NNN")]
    pub socket_mode: Option<u32>,
    /// Addresses, which replace `host` and `port`.
    #[arg(
        long,
        help = "HOST:PORT, [IPV6]:PORT or the path of a Unix socket, repeatable; replaces --host and --port",
        value_parser = Address::parse,
        value_name = "ADDRESS"
    )]
    pub listen: Vec<Address>,
    /// Length of the accept queues
    #[arg(short = 'b', long, default_value = "2048", value_parser = parse_backlog, value_name = "N")]
    pub listener_backlog: i32,
    /// SO_REUSEPORT queues per TCP address; 1 = one queue shared by all workers [default: one per worker]
    #[arg(long, value_parser = parse_queues, value_name = "N")]
    pub queues: Option<u16>,
    /// Give every worker a SO_REUSEPORT queue of its own (the default with several workers)
    #[arg(long, conflicts_with = "queues")]
    pub reuseport: bool,
}

/// Workers and their supervision.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Processes")]
pub struct ProcessOptions {
    /// Worker processes; 0 or 1 = serve in the foreground process
    #[arg(short = 'w', long, default_value = "0", value_parser = parse_workers, value_name = "N")]
    pub workers: u32,
    /// Load the application in every worker instead of once for all
    #[arg(long)]
    pub no_preload: bool,
    /// Replace a worker after so many requests; 0 = never
    #[arg(long, default_value = "0", value_parser = parse_count::<u64>, value_name = "N")]
    pub max_requests: u64,
    /// Up to so many requests more, by chance, so that workers do not all reach --max-requests at once
    #[arg(long, default_value = "0", value_parser = parse_count::<u64>, value_name = "N")]
    pub max_requests_jitter: u64,
    /// Replace a worker after so many seconds; 0 = never
    #[arg(long, default_value = "0", value_parser = parse_seconds, value_name = "SECONDS")]
    pub max_worker_age: Duration,
    /// Replace a worker whose resident memory, shared pages included, exceeds so many bytes; 0 = never
    #[arg(long, default_value = "0", value_parser = parse_count::<u64>, value_name = "BYTES")]
    pub max_worker_rss: u64,
    /// Seconds without a sign of life after which a worker is killed and replaced; 0 = never
    #[arg(long, default_value = "50", value_parser = parse_seconds, value_name = "SECONDS")]
    pub heartbeat_timeout: Duration,
    /// Workers replaced at a time in a reload or restart
    #[arg(long, default_value = "1", value_parser = parse_positive, value_name = "N")]
    pub reload_batch: usize,
    /// Seconds new code may take to load in a reload before the old code is kept; 0 = no limit
    #[arg(long, default_value = "300", value_parser = parse_seconds, value_name = "SECONDS")]
    pub reload_timeout: Duration,
    /// Seconds that a graceful stop may take
    #[arg(long, default_value = "30", value_parser = parse_seconds, value_name = "SECONDS")]
    pub shutdown_timeout: Duration,
}

/// Limits and timers of the protocol: the fields of [`pagi_server_core::Config`] that the command line reaches.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Limits and timers")]
pub struct HttpOptions {
    /// Connections per worker
    #[arg(long, default_value = "1000", value_parser = parse_positive, value_name = "N")]
    pub max_connections: usize,
    /// Largest request body in bytes; 0 = unlimited
    #[arg(long, default_value = "10000000", value_parser = parse_count::<u64>, value_name = "BYTES")]
    pub max_body_size: u64,
    /// Largest header section in bytes
    #[arg(long, default_value = "8192", value_parser = parse_positive, value_name = "BYTES")]
    pub max_header_size: usize,
    /// Most header fields in a request
    #[arg(long, default_value = "100", value_parser = parse_positive, value_name = "N")]
    pub max_header_count: usize,
    /// Seconds a connection may stay silent between requests; 0 = no limit
    #[arg(long, default_value = "60", value_parser = parse_seconds, value_name = "SECONDS")]
    pub timeout: Duration,
    /// Seconds a request head may take to arrive; 0 = no limit
    #[arg(long, default_value = "10", value_parser = parse_seconds, value_name = "SECONDS")]
    pub header_timeout: Duration,
    /// Seconds a request may stall; 0 = no limit
    #[arg(long, default_value = "0", value_parser = parse_seconds, value_name = "SECONDS")]
    pub request_timeout: Duration,
    /// Seconds queued output may make no progress; 0 = no limit
    #[arg(long, default_value = "60", value_parser = parse_seconds, value_name = "SECONDS")]
    pub write_timeout: Duration,
    /// Queued output in bytes at which sending pauses
    #[arg(long, default_value = "65536", value_parser = parse_positive, value_name = "BYTES")]
    pub write_high_watermark: usize,
    /// Queued output in bytes below which sending goes on
    #[arg(long, default_value = "16384", value_parser = parse_count::<usize>, value_name = "BYTES")]
    pub write_low_watermark: usize,
    /// Accepted for command lines of the reference server, without effect: cached files never wait, others never block
    #[arg(long, default_value = "65536", value_parser = parse_count::<u64>, value_name = "BYTES")]
    pub sync_file_threshold: u64,
    /// Largest payload of a received WebSocket frame in bytes
    #[arg(long, default_value = "65536", value_parser = parse_positive, value_name = "BYTES")]
    pub max_ws_frame_size: usize,
    /// Largest received WebSocket message in bytes, inflated
    #[arg(long, default_value = "16777216", value_parser = parse_positive, value_name = "BYTES")]
    pub max_ws_message_size: usize,
    /// Largest WebSocket message in bytes that an application may send
    #[arg(long, default_value = "67108864", value_parser = parse_positive, value_name = "BYTES")]
    pub max_ws_send_size: usize,
    /// Received WebSocket messages that may wait for the application
    #[arg(long, default_value = "1000", value_parser = parse_positive, value_name = "MESSAGES")]
    pub max_receive_queue: usize,
    /// Seconds a WebSocket may be without traffic; 0 = no limit
    #[arg(long, default_value = "0", value_parser = parse_seconds, value_name = "SECONDS")]
    pub ws_idle_timeout: Duration,
    /// Seconds an event stream may be without an event or keepalive comment; 0 = no limit
    #[arg(long, default_value = "0", value_parser = parse_seconds, value_name = "SECONDS")]
    pub sse_idle_timeout: Duration,
    /// Compress WebSocket messages for clients that offer it (permessage-deflate)
    #[arg(long, default_value = "on", value_parser = parse_switch, action = ArgAction::Set, value_name = "on|off")]
    pub ws_compression: bool,
    /// Compression level of WebSocket messages, 1 (fast) to 9 (small)
    #[arg(long, default_value = "6", value_parser = parse_level, value_name = "LEVEL")]
    pub ws_compression_level: u32,
    /// Smallest WebSocket message in bytes that is compressed
    #[arg(long, default_value = "128", value_parser = parse_count::<usize>, value_name = "BYTES")]
    pub ws_compression_min_size: usize,
    /// Answer clients that shut down their sending side early
    #[arg(long)]
    pub tolerate_half_close: bool,
    /// Do not offer the fullflush extension
    #[arg(long)]
    pub no_fullflush: bool,
}

/// Logs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogOptions {
    /// Access log file [default: standard error; in production mode no access log]
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    /// No access log; wins over --access-log
    #[arg(long)]
    pub no_access_log: bool,
    /// clf, combined, common, tiny, or a format such as '%h "%r" %s'
    #[arg(long, default_value = DEFAULT_FORMAT, value_parser = parse_log_format, value_name = "FORMAT")]
    pub access_log_format: String,
    /// Least severe messages to log: debug, info, warn or error
    #[arg(long, default_value = "info", value_parser = Level::parse, value_name = "LEVEL")]
    pub log_level: Level,
    /// Log errors only, and no banner
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// Running as a service.
#[derive(Debug, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceOptions {
    /// Run in the background; returns when the server is ready or has failed
    #[arg(short = 'D', long)]
    pub daemonize: bool,
    /// File to hold the process id
    #[arg(long, value_name = "FILE")]
    pub pid: Option<PathBuf>,
    /// User to become after binding (needs root)
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Group to become after binding (needs root) [default: the user's]
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Control socket for pagictl [default: control.sock in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/pagi, /run/pagi or
    /// /tmp/pagi-UID]
    #[arg(long, value_name = "PATH")]
    pub control_socket: Option<PathBuf>,
    /// Where monitoring is answered.
    #[arg(
        long,
        help = "HOST:PORT, [IPV6]:PORT or path where /metrics, /healthz, /readyz and /status.json are answered, without asking who asks [default: nowhere]",
        value_parser = Address::parse,
        value_name = "ADDRESS"
    )]
    pub admin_listen: Option<Address>,
}

/// `--lifespan`, in a form that can be handed to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifespan {
    /// An application may decline.
    Auto,
    /// It must not.
    On,
    /// It is not asked.
    Off,
}

impl From<Lifespan> for LifespanMode {
    fn from(mode: Lifespan) -> Self {
        match mode {
            Lifespan::Auto => Self::Auto,
            Lifespan::On => Self::On,
            Lifespan::Off => Self::Off,
        }
    }
}

/// A parsed command line, and what was said rather than defaulted where that matters.
#[derive(Debug)]
pub struct Parsed {
    /// All values.
    pub options: CommandLine,
    /// `--host` or `--port` stood on the command line.
    pub address_given: bool,
    /// `--max-connections` stood on the command line.
    pub max_connections_given: bool,
}

/// Parses arguments, the program's name first.
///
/// # Errors
/// The finished text and the status to exit with: help and version (0), or one sentence (2).
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, crate::usage::Answer> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let answer = |error: &clap::Error| crate::usage::answer(error, &arguments);
    // `--port -1` is a bad port, not an unknown option `-1`.
    let command = CommandLine::command().mut_args(|argument| {
        let takes_values = argument.get_action().takes_values() && !argument.is_positional();
        argument.allow_negative_numbers(takes_values)
    });
    let matches = command.try_get_matches_from(&arguments).map_err(|error| answer(&error))?;
    let options = CommandLine::from_arg_matches(&matches).map_err(|error| answer(&error))?;
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    Ok(Parsed {
        options,
        address_given: given("host") || given("port"),
        max_connections_given: given("max_connections"),
    })
}

// Value parsers. An error that starts in lower case is completed by `usage` to "--option takes ..., got 'value'".

fn parse_count<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "takes a whole number".to_owned())
}

fn parse_positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "takes a whole number from 1".to_owned())
}

fn parse_workers(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|&number| number <= 1024).ok_or_else(|| "takes a number from 0 to 1024".to_owned())
}

fn parse_queues(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=1024).contains(number))
        .ok_or_else(|| "takes a number from 1 to 1024".to_owned())
}

fn parse_backlog(text: &str) -> Result<i32, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "takes a whole number from 1".to_owned())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| digits_only);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        // A century is for ever, and sums of it cannot overflow a clock.
        .filter(|&duration| duration <= Duration::from_secs(3_155_760_000))
        .ok_or_else(|| "takes a number of seconds".to_owned())
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("takes on or off".to_owned()),
    }
}

fn parse_level(text: &str) -> Result<u32, String> {
    let level = text.parse::<u32>().ok().filter(|level| (1..=9).contains(level));
    level.ok_or_else(|| "takes a compression level from 1 to 9".to_owned())
}

fn parse_root_path(text: &str) -> Result<String, String> {
    if text.is_empty() || (text.starts_with('/') && !text.ends_with('/')) {
        Ok(text.to_owned())
    } else {
        Err("takes a path that starts with '/' and does not end in one".to_owned())
    }
}

fn parse_socket_mode(text: &str) -> Result<u32, String> {
    let shape = text.len() == 4 && text.starts_with('0');
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| shape && !text.contains('+'));
    mode.ok_or_else(|| format!("--socket-mode must be an octal value like 0660, got: {text}"))
}

fn parse_lifespan(text: &str) -> Result<Lifespan, String> {
    match text {
        "auto" => Ok(Lifespan::Auto),
        "on" => Ok(Lifespan::On),
        "off" => Ok(Lifespan::Off),
        _ => Err(format!("Invalid lifespan_mode '{text}': must be auto, on or off")),
    }
}

fn parse_log_format(text: &str) -> Result<String, String> {
    Format::parse(text).map(|_| text.to_owned())
}
