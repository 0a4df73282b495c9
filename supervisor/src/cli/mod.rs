//! The command line of `pagi-server`. This is the one definition of every option: name, aliases, default and help text;
//! parsing, `--help`, environment variables and the keys of the configuration file all come from it. One file for each
//! group of `--help`; [`value`] knows what values look like, and [`crate::settings`] checks how options combine.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};

use crate::config::layers::{Environment, Layers, switchable};
use crate::config::origin::{Effective, Origin};
use crate::usage;

mod application;
mod event_loop;
pub mod folder;
mod http;
mod http2;
mod listening;
mod logs;
pub mod mount;
pub mod offload;
mod pool;
mod processes;
mod proxies;
mod service;
mod store;
mod tls;
pub mod value;

pub use application::{AppOptions, Lifespan};
pub use event_loop::LoopOptions;
pub use http::HttpOptions;
pub use http2::Http2Options;
pub use listening::ListenOptions;
pub use logs::LogOptions;
pub use offload::OffloadOptions;
pub use pool::PoolOptions;
pub use processes::ProcessOptions;
pub use proxies::ProxyOptions;
pub use service::ServiceOptions;
pub use store::StoreOptions;
pub use tls::TlsOptions;

/// What `--version` prints after the program's name; the first number is that of the PAGI specification.
const VERSION: &str = concat!("(PAGI 0.002007, PAGI::Server ", env!("CARGO_PKG_VERSION"), ")");

const AFTER_HELP: &str = "\
APP is a file (contains '/', ends in .pl or .psgi, or exists) or a module;
KEY=VALUE arguments go to the module's constructor. Without APP, the current
directory is served.

Sockets from systemd (LISTEN_FDS) or named in PAGI_REUSE are served as they are;
without --listen, --host, --port or --socket they decide where to listen.

Every long option is also a key of the configuration file (TOML, with _ for -:
max_body_size = 1000000) and an environment variable (PAGI_MAX_BODY_SIZE, for
--host and --port also HOST and PORT); what takes no value is true or false
there. The command line is stronger than the environment, that stronger than
the file; --quiet=off undoes what they switched on. No file is read unless
--config or PAGI_CONFIG names one. pagictl config shows what is in effect.

Exit status:
  0  stopped as asked
  1  could not start, or no worker was left; --check found something
  2  the command line, the environment or the configuration file is wrong
  An application that calls exit() in a server without workers decides the status itself.

Signals:
  TERM, INT, QUIT  stop gracefully; a second one hurries
  USR1             reopen log files
  HUP              load the application and the certificates anew and replace the workers (as pagictl reload);
                   without workers the certificates only
  USR2             start the installed binary in place of this one (as pagictl upgrade)
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
    /// TLS.
    #[command(flatten)]
    pub tls: TlsOptions,
    /// Workers and their supervision.
    #[command(flatten)]
    pub processes: ProcessOptions,
    /// Processes for blocking code.
    #[command(flatten)]
    pub pool: PoolOptions,
    /// The event loop of workers.
    #[command(flatten)]
    pub event_loop: LoopOptions,
    /// Limits and timers of the protocol.
    #[command(flatten)]
    pub http: HttpOptions,
    /// HTTP/2.
    #[command(flatten)]
    pub http2: Http2Options,
    /// Proxies in front of the server.
    #[command(flatten)]
    pub proxies: ProxyOptions,
    /// What the server does in the application's place.
    #[command(flatten)]
    pub offload: OffloadOptions,
    /// The shared store.
    #[command(flatten)]
    pub store: StoreOptions,
    /// Logs.
    #[command(flatten)]
    pub logs: LogOptions,
    /// Running as a service.
    #[command(flatten)]
    pub service: ServiceOptions,

    /// Try the configuration instead of serving: files, addresses, and the application in a process that is thrown
    /// away; then exit with 0 or 1
    #[arg(long)]
    pub check: bool,
    /// Print the version and exit
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// Print this help and exit
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,
}

/// Everything that was said, wherever it was said.
#[derive(Debug)]
pub struct Parsed {
    /// All values.
    pub options: CommandLine,
    /// Constructor arguments that the configuration file names.
    pub arguments: Vec<String>,
    /// Every option's value and who said it.
    pub effective: Vec<Effective>,
}

impl Parsed {
    /// How strong the source of an option is: 0 for the default, more for the file, the environment, the command line.
    #[must_use]
    pub fn rank(&self, key: &str) -> u8 {
        self.effective.iter().find(|option| option.key == key).map_or(0, |option| option.origin.rank())
    }
}

/// Parses arguments, the program's name first, above the environment and the configuration file that they or
/// `PAGI_CONFIG` name.
///
/// # Errors
/// The finished text and the status to exit with: help and version (0), or one sentence for each mistake (2).
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Environment<'_>,
) -> Result<Parsed, usage::Answer> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = command();
    let first = switchable(command.clone()).try_get_matches_from(&arguments).map_err(|error| match error.kind() {
        // Rendered from the definition as it is: that a switch takes a value is of interest to few.
        ErrorKind::DisplayHelp => usage::Answer::text(command.clone().render_long_help().to_string()),
        _ => usage::answer(&error),
    })?;
    let variable = || environment("PAGI_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = first.get_one::<PathBuf>("config").cloned().or_else(variable);
    let layers = Layers::collect(&command, path.as_deref(), environment)
        .map_err(|problems| usage::Answer::mistake(problems.join("\n")))?;
    let matches = layers.apply(command).try_get_matches_from(&arguments).map_err(|error| usage::answer(&error))?;
    let mut options = CommandLine::from_arg_matches(&matches).map_err(|error| usage::answer(&error))?;
    options.service.config = path;
    let effective = layers.effective(&matches);
    // Who types a wrong name sees it; in a file, in a variable, and in what --check says of all three, it has to be found.
    let is_elsewhere = |option: &&Effective| options.check || option.origin != Origin::CommandLine;
    options.tls.said =
        effective.iter().filter(|option| option.key.starts_with("ssl_")).filter(is_elsewhere).cloned().collect();
    let parsed = Parsed { options, arguments: layers.arguments().to_vec(), effective };
    own_queues(parsed).map_err(usage::Answer::mistake)
}

/// `--reuseport` asks for the queues there are by default, so it undoes a `queues` that was said more weakly.
fn own_queues(mut parsed: Parsed) -> Result<Parsed, String> {
    let (own, number) = (parsed.rank("reuseport"), parsed.rank("queues"));
    if parsed.options.listen.reuseport && parsed.options.listen.queues.is_some() {
        if own == number {
            return Err("Cannot specify both --queues and --reuseport".to_owned());
        }
        parsed.options.listen.queues = parsed.options.listen.queues.filter(|_| number > own);
    }
    Ok(parsed)
}

/// The definition of all options.
fn command() -> clap::Command {
    // `--port -1` is a bad port, not an unknown option `-1`.
    CommandLine::command().mut_args(|argument| {
        let takes_values = argument.get_action().takes_values() && !argument.is_positional();
        argument.allow_negative_numbers(takes_values)
    })
}
