//! What to serve.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pagi_perl_runtime::LifespanMode;
use serde::{Deserialize, Serialize};

use super::mount::Mount;
use super::value;

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
    /// Serve a further application (file or module) under a path, repeatable; behind it, with commas, host=NAME (requests of
    /// this host only) and arg=KEY=VALUE (for the constructor of a module; \, is a comma). APP gets what is left
    #[arg(long = "mount", value_parser = Mount::parse, value_name = "PATH=APP")]
    pub mounts: Vec<Mount>,
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
    #[arg(short = 'E', long, value_name = "MODE")]
    pub env: Option<String>,
    /// Once the server is ready, open its first address in a browser ($BROWSER, or xdg-open); in development mode at a
    /// terminal only
    #[arg(long)]
    pub open: bool,
    /// Server class, for command lines of the reference server: there is only PAGI::Server, which is this program
    #[arg(short = 's', long, default_value = value::SERVER_CLASS, value_parser = value::server, value_name = "CLASS")]
    pub server: String,
    /// Use Future::XS, and fail if it is not installed
    #[arg(long)]
    pub future_xs: bool,
    /// Do not wrap the application in development mode
    #[arg(long = "no-default-middleware", overrides_with = "default_middleware")]
    pub no_default_middleware: bool,
    /// Let development mode wrap the application in PAGI::Middleware::Lint (the default)
    #[arg(long = "default-middleware", overrides_with = "no_default_middleware")]
    pub default_middleware: bool,
    /// Lifespan events: auto (an application may decline), on (it must not)
    #[arg(long, default_value = "auto", value_parser = value::lifespan, value_name = "MODE")]
    pub lifespan: Lifespan,
    /// Seconds an application has for lifespan start-up; 0 = no limit
    #[arg(long, default_value = "30", value_parser = value::seconds, value_name = "SECONDS")]
    pub lifespan_startup_timeout: Duration,
    /// Mount point of the application (root_path), such as /app
    #[arg(long, default_value = "", hide_default_value = true, value_parser = value::root_path, value_name = "PATH")]
    pub root_path: String,
}

/// `--lifespan`, in a form that can be handed to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifespan {
    /// An application may decline.
    Auto,
    /// It must not.
    On,
}

impl From<Lifespan> for LifespanMode {
    fn from(mode: Lifespan) -> Self {
        match mode {
            Lifespan::Auto => Self::Auto,
            Lifespan::On => Self::On,
        }
    }
}
