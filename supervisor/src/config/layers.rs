//! What the file and the environment say, value by value checked, as defaults of the command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::file;
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
    values: BTreeMap<String, (Vec<String>, Origin)>,
}

impl Layers {
    /// Collects and checks.
    ///
    /// # Errors
    /// One sentence for each problem: with file and line, or with the variable.
    pub fn collect(command: &Command, path: Option<&Path>, environment: Environment<'_>) -> Result<Self, Vec<String>> {
        let keys = key::catalogue(command);
        let entries = path.map(|path| file::read(path, &keys)).transpose()?.unwrap_or_default();
        let mut layers = Self { keys, values: BTreeMap::new() };
        let mut problems = Vec::new();
        for entry in entries {
            let place = path.map(Path::to_owned).unwrap_or_default();
            let subject = format!("{}:{}: {}", place.display(), entry.line, entry.name);
            // It is shown to people who are in another directory.
            let origin = Origin::File { path: std::path::absolute(&place).unwrap_or(place), line: entry.line };
            match layers.keys.iter().find(|key| key.name == entry.name) {
                Some(key) => {
                    let checked = entry.values.iter().filter_map(|value| problem(command, key, value, &subject));
                    problems.extend(checked);
                    layers.values.insert(key.id.clone(), (entry.values, origin));
                }
                None => {
                    let strange = entry.values.iter().filter(|value| !value.contains('='));
                    problems
                        .extend(strange.map(|value| format!("{subject} are of the form 'key=value', got '{value}'")));
                    layers.values.insert(ARGUMENTS.to_owned(), (entry.values, origin));
                }
            }
        }
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
            layers.values.insert(key.id.clone(), (values, Origin::Environment { variable: variable.clone() }));
        }
        if problems.is_empty() { Ok(layers) } else { Err(problems) }
    }

    /// A command whose defaults are what the layers say.
    #[must_use]
    pub fn apply(&self, command: Command) -> Command {
        switchable(command).mut_args(|argument| match self.values.get(argument.get_id().as_str()) {
            Some((values, _)) => argument.default_values(values.clone()),
            None => argument,
        })
    }

    /// Who said what an option is.
    #[must_use]
    pub fn origin(&self, matches: &ArgMatches, id: &str) -> Origin {
        if matches.try_contains_id(id).unwrap_or(false) && matches.value_source(id) == Some(ValueSource::CommandLine) {
            return Origin::CommandLine;
        }
        self.values.get(id).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// Constructor arguments that the file names.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        self.values.get(ARGUMENTS).map_or(&[], |(values, _)| values)
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
