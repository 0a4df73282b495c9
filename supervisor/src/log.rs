//! The server log: one line per event on standard error, with time, level and the process that speaks.

use std::fmt;
use std::io::Write as _;
use std::sync::RwLock;

use serde::{Deserialize, Serialize};
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

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

    fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }
}

/// Which process this is, as shown in each line. Changes when the mold becomes a worker.
static SPEAKER: RwLock<String> = RwLock::new(String::new());

/// Starts logging. Once per process image; a forked worker goes on with its mold's settings.
pub fn start(level: Level) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Lines are matched on by tools: no colours, whatever features another crate of the build switches on.
        .with_ansi(false)
        // Otherwise a closed standard error is reported on standard error, which ends the process.
        .log_internal_errors(false)
        .event_format(Line);
    // The HTTP/2 library tells of every frame; what matters of it the server says itself.
    let wanted = Targets::new().with_default(level.filter()).with_target("h2", LevelFilter::ERROR);
    let subscriber = tracing_subscriber::registry().with(wanted).with(lines);
    // Fails only when logging was started before, which keeps working.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Sets the name shown in each line from now on, such as `worker 2`.
pub fn speak_as(name: &str) {
    if let Ok(mut speaker) = SPEAKER.write() {
        name.clone_into(&mut speaker);
    }
}

/// Says something to whoever started the command, outside the log. Nobody may be listening any more.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// `TIME LEVEL SPEAKER: MESSAGE FIELDS`. The reference server prints bare messages: whoever searches for one finds it
/// in the line.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        SystemTime.format_time(&mut line)?;
        write!(line, " {} ", event.metadata().level())?;
        if let Ok(speaker) = SPEAKER.read()
            && !speaker.is_empty()
        {
            write!(line, "{speaker}: ")?;
        }
        context.format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}
