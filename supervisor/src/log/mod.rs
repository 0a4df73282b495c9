//! The server log: one line per event, with time, level and the process that speaks.
//!
//! [`line`] composes what is written, [`output`] takes it to standard error, a file, syslog or journald, and [`capture`]
//! brings in what the application writes to its standard error.

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, RwLock};

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

pub mod capture;
mod line;
mod marks;
pub mod output;

pub use line::Format;
pub use output::Destination;

/// `--log-level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Everything.
    Debug,
    /// Banner, life of processes, and worse.
    Info,
    /// What an operator should look at.
    Warn,
    /// What does not work.
    Error,
}

impl Level {
    /// Understands the option's value.
    ///
    /// # Errors
    /// `Invalid log_level ...`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            _ => Err(format!("Invalid log_level '{text}': must be debug, info, warn or error")),
        }
    }

    /// The option's value.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }
}

/// Changes the level.
static LEVEL: OnceLock<reload::Handle<Threshold, Registry>> = OnceLock::new();

/// Which process this is, as shown in each line. Changes when the mold becomes a worker.
static SPEAKER: RwLock<String> = RwLock::new(String::new());

/// Generation of the code this process runs; 0 when it runs none.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSettings {
    /// Least severe messages.
    pub level: Level,
    /// Lines for people or for programs.
    pub format: Format,
    /// Where they go.
    pub destination: Destination,
}

/// Starts logging. Once per process image; a forked worker goes on with its mold's settings.
///
/// # Errors
/// When the destination cannot be opened.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    output::open(&settings.destination, settings.format)?;
    let (filter, level) = reload::Layer::new(Threshold(settings.level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(output::Entries)
        // Lines are matched on by tools: no colours, whatever features another crate of the build switches on.
        .with_ansi(false)
        // Otherwise a closed standard error is reported on standard error, which ends the process.
        .log_internal_errors(false)
        .event_format(line::Composer { format: settings.format, stamped: settings.destination.needs_stamps() });
    // Both fail only when logging was started before, which keeps working.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(filter).with(lines));
    let _ = LEVEL.set(level);
    Ok(())
}

/// Logs from this level on from now on; in this process and those it forks.
pub fn set_level(level: Level) {
    if let Some(Err(error)) = LEVEL.get().map(|handle| handle.reload(Threshold(level))) {
        tracing::error!("The log level cannot be changed: {error}");
    }
}

/// What is logged.
struct Threshold(Level);

impl Threshold {
    fn passes(&self, entry: &Metadata<'_>) -> bool {
        let detailed = self.0 == Level::Debug;
        *entry.level() <= self.0.filter() && !is_chatter(entry, detailed)
    }
}

impl<S: Subscriber> Layer<S> for Threshold {
    fn register_callsite(&self, entry: &'static Metadata<'static>) -> Interest {
        if self.passes(entry) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, entry: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.passes(entry)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.filter())
    }
}

/// The `h2` crate warns of what clients do wrong; what that means for anybody is ours to say. Otherwise a client could
/// fill the log.
fn is_chatter(entry: &Metadata<'_>, detailed: bool) -> bool {
    !detailed && *entry.level() > tracing::Level::ERROR && entry.target().starts_with("h2::")
}

/// Sets the name shown in each line from now on, such as `worker 2`.
pub fn speak_as(name: &str) {
    if let Ok(mut speaker) = SPEAKER.write() {
        name.clone_into(&mut speaker);
    }
}

/// Sets the generation that programs are told with each line from now on.
pub fn speak_for(generation: u32) {
    GENERATION.store(generation, Ordering::Relaxed);
}

fn speaker() -> String {
    SPEAKER.read().map(|speaker| speaker.clone()).unwrap_or_default()
}

fn generation() -> Option<u32> {
    Some(GENERATION.load(Ordering::Relaxed)).filter(|&generation| generation > 0)
}

/// Opens the log file anew under its name, for one that was renamed away.
pub fn reopen() {
    if let Err(error) = output::reopen() {
        tracing::error!("{error}");
    }
}

/// Says something to whoever started the command, outside the log. Nobody may be listening any more.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}
