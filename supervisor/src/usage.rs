//! What is printed when a command line is not run: help and version, or one sentence that says what is wrong.

use std::error::Error as _;
use std::io::Write;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::{exit, log};

/// Text to print instead of running, and the status to exit with.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The text, without a final line end.
    pub text: String,
    /// 0 for help and version (on standard output), 2 for a mistake (on standard error).
    pub status: i32,
}

impl Answer {
    /// What was asked for.
    #[must_use]
    pub fn text(text: String) -> Self {
        Self { text: text.trim_end().to_owned(), status: exit::STOPPED }
    }

    /// A mistake.
    #[must_use]
    pub fn mistake(text: String) -> Self {
        Self { text, status: exit::USAGE }
    }

    /// Prints the text where it belongs and returns the status.
    #[must_use]
    pub fn print(&self) -> i32 {
        if self.status == 0 {
            // A pager that was closed has seen enough.
            let _ = writeln!(std::io::stdout(), "{}", self.text);
        } else {
            log::tell(&self.text);
        }
        self.status
    }
}

/// Turns clap's account into ours.
#[must_use]
pub fn answer(error: &clap::Error) -> Answer {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Answer { text: error.to_string().trim_end().to_owned(), status: 0 }
        }
        _ => Answer::mistake(sentence(error, None)),
    }
}

/// What is wrong, in one sentence. `subject` says whose value it is when it does not stand on the command line.
#[must_use]
pub fn sentence(error: &clap::Error, subject: Option<&str>) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    };
    // `--port <PORT>`: the name is enough.
    let shown = text(ContextKind::InvalidArg);
    let option = shown.split([' ', '<', '[']).next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let suggestion = text(ContextKind::SuggestedArg);
            if suggestion.is_empty() {
                format!("Unknown option {option}; see --help")
            } else {
                format!("Unknown option {option}; did you mean {suggestion}?")
            }
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{} needs a value", subject.unwrap_or(option)),
        ErrorKind::ValueValidation => {
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            match subject {
                _ if reason.starts_with(char::is_lowercase) => {
                    format!("{} {reason}, got '{value}'", subject.unwrap_or(option))
                }
                Some(subject) => format!("{subject}: {reason}"),
                None => reason,
            }
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg);
            let other = other.split([' ', '<', '[']).next().unwrap_or_default();
            format!("Cannot specify both {option} and {other}")
        }
        _ => {
            let account = error.to_string();
            account.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    }
}
