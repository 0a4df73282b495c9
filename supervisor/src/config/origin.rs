//! Who said what an option is.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The source of a value, weakest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// The command line.
    CommandLine,
    /// `pagictl`, while the server ran.
    Told,
}

impl Origin {
    /// A number that is higher for a stronger source: places in the file are equals.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment { .. } => 2,
            Self::CommandLine => 3,
            Self::Told => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Told => f.write_str("pagictl"),
        }
    }
}

/// The value an option has in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    /// Key of the configuration file.
    pub key: String,
    /// The values as text: none when the option is not set, several when it is repeatable.
    pub values: Vec<String>,
    /// May the option be repeated, so that a file has a list?
    pub list: bool,
    /// Who said so.
    pub origin: Origin,
    /// The line of each value, where that is a file: for whoever reads the file, and nobody else.
    #[serde(skip)]
    pub lines: Vec<usize>,
}

/// As a line of a configuration file, with the origin as a comment.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, values, list, origin, .. } = self;
        let quoted: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        match quoted.as_slice() {
            [] => write!(f, "# {key} is not set"),
            [one] if !list => write!(f, "{key} = {one}  # {origin}"),
            several => write!(f, "{key} = [{}]  # {origin}", several.join(", ")),
        }
    }
}

/// A TOML value: numbers and switches bare, everything else a basic string.
fn quoted(value: &str) -> String {
    let number = !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_digit())
        && (value == "0" || !value.starts_with('0'));
    if number || value == "true" || value == "false" {
        return value.to_owned();
    }
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effective(values: &[&str], list: bool, origin: Origin) -> String {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Effective { key: "key".to_owned(), values, list, origin, lines: Vec::new() }.to_string()
    }

    #[test]
    fn shown_as_lines_of_a_file() {
        let file = Origin::File { path: "/etc/pagi/pagi.toml".into(), line: 7 };
        let variable = Origin::Environment { variable: "PORT".to_owned() };
        assert_eq!(effective(&["5000"], false, Origin::Default), "key = 5000  # default");
        assert_eq!(effective(&["0660"], false, file), "key = \"0660\"  # /etc/pagi/pagi.toml:7");
        assert_eq!(effective(&["true"], false, variable), "key = true  # environment PORT");
        assert_eq!(effective(&["a\"\\\n"], true, Origin::CommandLine), "key = [\"a\\\"\\\\\\n\"]  # command line");
        assert_eq!(effective(&["a", "b"], true, Origin::CommandLine), "key = [\"a\", \"b\"]  # command line");
        assert_eq!(effective(&[], false, Origin::Default), "# key is not set");
    }

    #[test]
    fn places_in_the_file_are_equals() {
        let at = |line| Origin::File { path: "f".into(), line };
        assert_eq!(at(1).rank(), at(2).rank());
        let rising = [Origin::Default, at(9), Origin::Environment { variable: "A".into() }, Origin::CommandLine];
        assert!(rising.is_sorted_by_key(Origin::rank));
    }
}
