//! What a line looks like.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// `TIME LEVEL PROCESS: MESSAGE`, for people.
    Text,
    /// An object per line, for programs.
    Json,
}

impl Format {
    /// Understands the option's value.
    ///
    /// # Errors
    /// What is wrong, worded to follow the option's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("takes text or json".to_owned()),
        }
    }
}

/// Composes lines.
pub(super) struct Composer {
    pub format: Format,
    /// With time and level, which syslog and journald know by themselves.
    pub stamped: bool,
}

impl<S, N> FormatEvent<S, N> for Composer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match self.format {
            Format::Text => {
                self.head(&mut line, &event.metadata().level().to_string())?;
                // The reference server prints bare messages: whoever searches for one finds it in the line.
                context.format_fields(line.by_ref(), event)?;
                writeln!(line)
            }
            Format::Json => {
                let mut fields = Fields::default();
                event.record(&mut fields);
                writeln!(line, "{}", object(&event.metadata().level().to_string(), "server", fields.0))
            }
        }
    }
}

impl Composer {
    /// A line that the application wrote, for a request of this name.
    pub(super) fn application(&self, text: &str, request: Option<&str>) -> String {
        let mut line = String::new();
        // Writing to a String cannot fail.
        let _ = match self.format {
            Format::Text => self.head(&mut line, "WARN").and_then(|()| match request {
                Some(name) => writeln!(line, "[{name}] {text}"),
                None => writeln!(line, "{text}"),
            }),
            Format::Json => {
                let request = request.map(|name| ("request_id".to_owned(), Value::from(name)));
                let message = [("message".to_owned(), Value::from(text))].into_iter().chain(request);
                writeln!(line, "{}", object("WARN", "application", message.collect()))
            }
        };
        line
    }

    fn head(&self, line: &mut impl fmt::Write, level: &str) -> fmt::Result {
        if self.stamped {
            let mut time = String::new();
            SystemTime.format_time(&mut Writer::new(&mut time))?;
            write!(line, "{time} {level} ")?;
        }
        let speaker = super::speaker();
        if speaker.is_empty() { Ok(()) } else { write!(line, "{speaker}: ") }
    }
}

/// `time`, `level`, `source`, `process`, `generation`, `pid`, `message` and the event's own fields.
fn object(level: &str, source: &str, fields: Map<String, Value>) -> Value {
    let mut time = String::new();
    // Writing to a String cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let mut object = Map::from_iter([
        ("time".to_owned(), Value::from(time)),
        ("level".to_owned(), Value::from(level)),
        ("source".to_owned(), Value::from(source)),
        ("process".to_owned(), Value::from(super::speaker())),
        ("generation".to_owned(), super::generation().map_or(Value::Null, Value::from)),
        ("pid".to_owned(), Value::from(std::process::id())),
    ]);
    object.extend(fields);
    Value::Object(object)
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }
}
