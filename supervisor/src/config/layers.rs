//! What the file and the environment say, value by value checked, as defaults of the command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::file::{self, Entry};
use super::key::{self, ARGUMENTS, Key, Kind};
use super::origin::{Effective, Origin};
use crate::cli::value;
use crate::usage;

/// Reads an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The layers below the command line.
#[derive(Debug, Default)]
pub struct Layers {
    keys: Vec<Key>,
    /// By the option's identity.
    values: BTreeMap<String, Said>,
}

/// Values of an option, who said them, and the lines of those in a file.
#[derive(Debug)]
struct Said {
    values: Vec<String>,
    origin: Origin,
    lines: Vec<usize>,
}

impl Layers {
    /// Collects and checks.
    ///
    /// # Errors
    /// One sentence for each problem: with file and line, or with the variable.
    pub fn collect(command: &Command, path: Option<&Path>, environment: Environment<'_>) -> Result<Self, Vec<String>> {
        let keys = key::catalogue(command);
        let content = path.map(|path| file::read(path, &keys)).transpose()?.unwrap_or_default();
        let mut layers = Self { keys, values: BTreeMap::new() };
        let mut mistakes = content.mistakes;
        let path = path.map(Path::to_owned).unwrap_or_default();
        for Entry { name, values, line, lines } in content.entries {
            let key = layers.keys.iter().find(|key| key.name == name);
            let wrong = |value: &String| match key {
                Some(key) => problem(command, key, value, &name),
                None if value.contains('=') => None,
                None => Some(format!("{name} are of the form 'key=value', got '{value}'")),
            };
            mistakes.extend(values.iter().zip(&lines).filter_map(|(value, &line)| Some((line, wrong(value)?))));
            // It is shown to people who are in another directory.
            let origin = Origin::File { path: std::path::absolute(&path).unwrap_or_else(|_| path.clone()), line };
            let id = key.map_or(ARGUMENTS, |key| key.id.as_str()).to_owned();
            layers.values.insert(id, Said { values, origin, lines });
        }
        mistakes.sort_by_key(|(line, _)| *line);
        let placed = |(line, sentence)| format!("{}:{line}: {sentence}", path.display());
        let mut problems: Vec<String> = mistakes.into_iter().map(placed).collect();
        for key in &layers.keys {
            // An empty variable is how a shell script unsets one.
            let set = key.variables.iter().find_map(|name| Some((name, environment(name).filter(|v| !v.is_empty())?)));
            let Some((variable, text)) = set else { continue };
            let values: Vec<String> = match key.kind {
                Kind::Many => text.split_whitespace().map(str::to_owned).collect(),
                Kind::Switch | Kind::One => vec![text],
            };
            let subject = format!("Environment variable {variable} ({})", key.spelling);
            problems.extend(values.iter().filter_map(|value| problem(command, key, value, &subject)));
            let origin = Origin::Environment { variable: variable.clone() };
            layers.values.insert(key.id.clone(), Said { values, origin, lines: Vec::new() });
        }
        if problems.is_empty() { Ok(layers) } else { Err(problems) }
    }

    /// A command whose defaults are what the layers say.
    #[must_use]
    pub fn apply(&self, command: Command) -> Command {
        switchable(command).mut_args(|argument| match self.values.get(argument.get_id().as_str()) {
            Some(said) => argument.default_values(said.values.clone()),
            None => argument,
        })
    }

    /// Who said what an option is.
    #[must_use]
    pub fn origin(&self, matches: &ArgMatches, id: &str) -> Origin {
        if matches.try_contains_id(id).unwrap_or(false) && matches.value_source(id) == Some(ValueSource::CommandLine) {
            return Origin::CommandLine;
        }
        self.values.get(id).map_or(Origin::Default, |said| said.origin.clone())
    }

    /// Constructor arguments that the file names.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        self.values.get(ARGUMENTS).map_or(&[], |said| &said.values)
    }

    /// Every option with its value in the end.
    #[must_use]
    pub fn effective(&self, matches: &ArgMatches) -> Vec<Effective> {
        let shown = |key: &Key, text: String| match value::switch(&text) {
            Ok(on) if key.kind == Kind::Switch => on.to_string(),
            _ => text,
        };
        self.keys
            .iter()
            .map(|key| Effective {
                key: key.name.clone(),
                values: matches
                    .get_raw(&key.id)
                    .into_iter()
                    .flatten()
                    .map(|value| shown(key, value.to_string_lossy().into_owned()))
                    // An option whose default is to be empty is not set.
                    .filter(|value| !value.is_empty())
                    .collect(),
                list: key.kind == Kind::Many,
                origin: self.origin(matches, &key.id),
                lines: self.values.get(&key.id).map(|said| said.lines.clone()).unwrap_or_default(),
            })
            .collect()
    }
}

/// Lets a switch be switched off again: what a file or a variable turned on, `--option=off` turns off.
pub fn switchable(command: Command) -> Command {
    command.mut_args(|argument| match argument.get_action() {
        ArgAction::SetTrue => switch(argument),
        _ => argument,
    })
}

fn switch(argument: Arg) -> Arg {
    argument
        .action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("on")
        .default_value("off")
        .value_parser(value::switch)
}

/// What is wrong with one value, found out by the option's own parser.
fn problem(command: &Command, key: &Key, value: &str, subject: &str) -> Option<String> {
    let arguments = [OsString::from("pagi-server"), OsString::from(format!("{}={value}", key.spelling))];
    let error = switchable(command.clone()).try_get_matches_from(arguments).err()?;
    Some(usage::sentence(&error, Some(subject)))
}
