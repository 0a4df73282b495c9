//! What an option is called outside the command line. All of it follows from the option's long name.

use clap::{Arg, ArgAction, Command};

/// Options about the command itself: they make no sense as a setting.
const COMMAND_ONLY: [&str; 4] = ["check", "config", "help", "version"];
/// Arguments of the application's constructor, which have no option on the command line.
pub const ARGUMENTS: &str = "arguments";

/// How many values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On or off.
    Switch,
    /// One.
    One,
    /// Any number.
    Many,
}

/// An option as the file and the environment know it.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its identity within the command.
    pub id: String,
    /// Its name in the file.
    pub name: String,
    /// How many values it takes.
    pub kind: Kind,
    /// Environment variables, the first that is set counts.
    pub variables: Vec<String>,
    /// What to put before a value on a command line.
    pub spelling: String,
}

/// All options of a command that can be set in a file.
#[must_use]
pub fn catalogue(command: &Command) -> Vec<Key> {
    command
        .get_arguments()
        .filter(|argument| !argument.is_positional() && !COMMAND_ONLY.contains(&argument.get_id().as_str()))
        .map(Key::new)
        .collect()
}

impl Key {
    fn new(argument: &Arg) -> Self {
        let id = argument.get_id().as_str().to_owned();
        let long = argument.get_long();
        let name = long.map_or_else(|| id.clone(), |long| long.replace('-', "_"));
        let kind = match argument.get_action() {
            ArgAction::SetTrue => Kind::Switch,
            ArgAction::Append => Kind::Many,
            _ => Kind::One,
        };
        let spelling = match (long, argument.get_short()) {
            (Some(long), _) => format!("--{long}"),
            (None, short) => format!("-{}", short.unwrap_or('?')),
        };
        let variables = match (name.as_str(), long) {
            (_, None) => Vec::new(),
            ("env", _) => vec!["PAGI_ENV".to_owned()],
            // Also the names that hosting platforms and plackup's users know.
            ("host" | "port", Some(long)) => {
                let upper = long.to_ascii_uppercase();
                vec![format!("PAGI_{upper}"), upper]
            }
            // The name is taken: test suites use it for the path of the binary under test.
            ("server", _) => Vec::new(),
            (name, _) => vec![format!("PAGI_{}", name.to_ascii_uppercase())],
        };
        Self { id, name, kind, variables, spelling }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn find(name: &str) -> Option<Key> {
        catalogue(&crate::cli::CommandLine::command()).into_iter().find(|key| key.name == name)
    }

    #[test]
    fn names_follow_the_long_option() {
        let key = find("max_body_size").unwrap();
        assert_eq!((key.kind, key.spelling.as_str()), (Kind::One, "--max-body-size"));
        assert_eq!(key.variables, ["PAGI_MAX_BODY_SIZE"]);
        assert_eq!(find("port").unwrap().variables, ["PAGI_PORT", "PORT"]);
        assert_eq!(find("quiet").unwrap().kind, Kind::Switch);
        assert_eq!(find("listen").unwrap().kind, Kind::Many);
        let code = find("code").unwrap();
        assert!(code.variables.is_empty() && code.spelling == "-e");
        assert!(find("help").is_none() && find("config").is_none() && find("positional").is_none());
    }
}
