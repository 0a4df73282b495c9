//! Values that may be written as tables of the configuration file (`[[static]]`, `[[mount]]`): each becomes what the command
//! line would have, `PATH=CONTENT,key=value,switch,no-switch`, and each mistake has the line of its key.

use toml::de::{DeTable, DeValue};

use super::file;
use crate::cli::{folder, mount, value};

/// The key of constructor arguments.
const ARGUMENTS: &str = "args";

/// An option whose values may be tables.
pub struct Table {
    /// The option's key.
    pub option: &'static str,
    /// The key of what stands behind `PATH=`.
    content: &'static str,
    /// Keys with a value.
    words: &'static [&'static str],
    /// Keys that are true or false.
    switches: &'static [&'static str],
    /// Has it a key `args` with a table of constructor arguments?
    has_arguments: bool,
}

/// All of them.
pub const TABLES: [Table; 2] = [
    Table {
        option: "static",
        content: "directory",
        words: &["host", "index", "max_age"],
        switches: &["listing", "fallthrough", "precompressed", "immutable"],
        has_arguments: false,
    },
    Table { option: "mount", content: "app", words: &["host"], switches: &[], has_arguments: true },
];

/// A value, and its line.
pub type Placed = (String, usize);

impl Table {
    /// One table as the command line would have it. Its line is that of its content, which is what may be missing once
    /// everything is understood.
    ///
    /// # Errors
    /// A line and a sentence for each mistake.
    pub fn row(
        &self,
        table: &DeTable<'_>,
        line: usize,
        line_of: &dyn Fn(usize) -> usize,
    ) -> Result<Placed, Vec<(usize, String)>> {
        let option = self.option;
        let (mut parts, mut mistakes) = (Vec::new(), Vec::new());
        let (mut path, mut content) = (None, None);
        for (key, value) in table {
            let (name, line): (&str, _) = (key.get_ref(), line_of(key.span().start));
            let subject = format!("{name} of {option}");
            match self.part(name, value.get_ref(), &subject) {
                Ok(text) if name == "path" => path = Some(text),
                Ok(text) if name == self.content => content = Some((text, line)),
                Ok(text) => parts.push(text),
                Err(sentence) => mistakes.push((line, sentence)),
            }
        }
        let is_missing = |name: &str| !table.iter().any(|(key, _)| key.get_ref() == name);
        if is_missing("path") || is_missing(self.content) {
            mistakes.push((line, format!("{option} needs path and {}", self.content)));
        }
        match (path, content) {
            (Some(path), Some((content, line))) if mistakes.is_empty() => {
                Ok((format!("{path}={content}{}", parts.concat()), line))
            }
            _ => Err(mistakes),
        }
    }

    /// One key and its value, as a part of the row.
    fn part(&self, name: &str, value: &DeValue<'_>, subject: &str) -> Result<String, String> {
        if name == ARGUMENTS && self.has_arguments {
            return self.arguments(value);
        }
        // `no_listing = true` says the same as `listing = false`.
        let (plain, negated) = name.strip_prefix("no_").map_or((name, false), |plain| (plain, true));
        let is_switch = self.switches.contains(&plain) || (plain == "index" && self.words.contains(&plain));
        if let (DeValue::Boolean(on), true) = (value, is_switch) {
            return match *on != negated {
                true if plain == "index" => Err(format!("{subject} takes the name of a file, or false")),
                true => Ok(format!(",{plain}")),
                false => Ok(format!(",no-{plain}")),
            };
        }
        if self.switches.contains(&plain) || (is_switch && negated) {
            return Err(format!("{subject} takes true or false"));
        }
        if !self.words.contains(&name) && name != "path" && name != self.content {
            return Err(self.unknown(name));
        }
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if name == "max_age" => number.as_str().to_owned(),
            _ if name == "max_age" => return Err(format!("{subject} takes a whole number of seconds")),
            _ => return Err(format!("{subject} takes a text in quotes")),
        };
        if text.contains(',') {
            return Err(format!("{subject} cannot have a comma in it"));
        }
        // The values' own parsers, so that the sentence is about this key and not about the whole row.
        let of_key = |reason: String| format!("{subject} {reason}, got '{text}'");
        match name {
            "path" => folder::prefix(&text).map_err(of_key),
            "max_age" => match value::count::<u64>(&text) {
                Ok(seconds) => Ok(format!(",max-age={seconds}")),
                Err(_) => Err(of_key("takes a whole number of seconds".to_owned())),
            },
            "host" => folder::host(&text).map(|host| format!(",host={host}")).map_err(|_| {
                // What the parser says is about `host=` of a command line.
                of_key("takes a host name without a port".to_owned())
            }),
            "index" => Ok(format!(",index={text}")),
            _ if text.is_empty() => Err(format!("{subject} must not be empty")),
            _ => Ok(text),
        }
    }

    fn arguments(&self, value: &DeValue<'_>) -> Result<String, String> {
        let subject = format!("{ARGUMENTS} of {}", self.option);
        let DeValue::Table(arguments) = value else {
            return Err(format!("{subject} takes a table, such as {{ root = \"/srv\" }}"));
        };
        let mut part = String::new();
        for (key, value) in arguments {
            let key: &str = key.get_ref();
            let text = match value.get_ref() {
                // Perl's words for true and false are not ours.
                DeValue::Boolean(is_true) => u8::from(*is_true).to_string(),
                value => file::scalar(&format!("{key} in {subject}"), value)?,
            };
            if key.is_empty() || key.contains('=') {
                return Err(format!("{subject} cannot have the key '{key}'"));
            }
            part += &format!(",{}", mount::argument(key, &text));
        }
        Ok(part)
    }

    fn unknown(&self, name: &str) -> String {
        let arguments = self.has_arguments.then_some(ARGUMENTS);
        let words = || self.words.iter().chain(self.switches).copied();
        let known = || ["path", self.content].into_iter().chain(words()).chain(arguments);
        let distance = |candidate: &&str| strsim::damerau_levenshtein(candidate, name);
        let nearest = known().min_by_key(distance).filter(|nearest| distance(nearest) <= 3);
        match nearest {
            Some(nearest) => format!("unknown key '{name}' of {}; did you mean '{nearest}'?", self.option),
            None => {
                let all: Vec<&str> = known().collect();
                format!("unknown key '{name}' of {}; there are {}", self.option, all.join(", "))
            }
        }
    }
}
