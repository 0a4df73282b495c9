//! What names the application, and what the Perl runtime is told about it.

use pagi_perl_runtime::{AppSource, AppSpec};

use super::{DEVELOPMENT, Settings};
use crate::cli;
use crate::cli::mount::Mount;
use crate::config::origin::Origin;

/// What names the application.
pub(super) struct Named {
    pub(super) code: Option<String>,
    pub(super) name: Option<String>,
    pub(super) arguments: Vec<String>,
}

/// The first positional argument without `=` names the application; what follows are its arguments. An application on
/// the command line replaces that of the file, with its arguments.
pub(super) fn named(parsed: &cli::Parsed, warnings: &mut Vec<String>) -> Named {
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

impl Settings {
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
}
