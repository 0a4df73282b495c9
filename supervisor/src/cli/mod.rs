//! The command line of `pagi-server`. This is the one definition of every option: name, aliases, default and help text;
//! parsing, `--help`, environment variables and the keys of the configuration file all come from it. One file for each
//! group of `--help`; [`value`] knows what values look like, and [`crate::settings`] checks how options combine.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};

mod application;
mod http;
mod listening;
mod logs;
mod processes;
mod service;
mod value;

pub use application::{AppOptions, Lifespan};
pub use http::HttpOptions;
pub use listening::ListenOptions;
pub use logs::LogOptions;
pub use processes::ProcessOptions;
pub use service::ServiceOptions;

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
