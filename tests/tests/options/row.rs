//! A row of the table: what is known of an option.

/// An option.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// As on the command line: the long name, or the short one where there is no other.
    pub name: &'static str,
    /// Its value while nobody says anything, as `pagictl config` and `--help` show it; empty when it is not set.
    pub default: &'static str,
    /// What `--help` says of the default in words, where it is not a value.
    pub default_in_words: &'static str,
    /// What values look like.
    pub form: Form,
    /// Whole command lines that are refused because of it, each with all that is said.
    pub refused: &'static [(&'static [&'static str], &'static str)],
    /// Older names, which `--help` does not show.
    pub aliases: &'static [&'static str],
    /// How tests say it, besides the option itself: what the harness calls it.
    pub also_said: &'static str,
    /// The tests that see its effect from outside: file and name.
    pub seen: &'static [(&'static str, &'static str)],
}

/// What values of an option look like.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Values that are taken.
    pub accepts: &'static [&'static str],
    /// Values that are not.
    pub refuses: &'static [&'static str],
    /// What is said then, between the option and the value.
    pub sentence: &'static str,
    /// May the value be left out?
    pub is_switch: bool,
}

/// An option with its default, its form, and the tests that see its effect.
pub const fn row(
    name: &'static str,
    default: &'static str,
    form: Form,
    seen: &'static [(&'static str, &'static str)],
) -> Row {
    Row { name, default, form, seen, default_in_words: "", refused: &[], aliases: &[], also_said: "" }
}

impl Row {
    /// With what `--help` says of the default in words.
    pub const fn by_default(self, default_in_words: &'static str) -> Self {
        Self { default_in_words, ..self }
    }

    /// With command lines that are refused because of it.
    pub const fn refuses(self, refused: &'static [(&'static [&'static str], &'static str)]) -> Self {
        Self { refused, ..self }
    }

    /// With older names.
    pub const fn once(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// With the harness's word for it.
    pub const fn also_said(self, also_said: &'static str) -> Self {
        Self { also_said, ..self }
    }

    /// The key of the configuration file.
    pub fn key(&self) -> String {
        match self.name {
            "-e" => "code".to_owned(),
            "-M" => "modules".to_owned(),
            name => name.trim_start_matches('-').replace('-', "_"),
        }
    }

    /// Whether it is a setting at all, and not about the command itself.
    pub fn is_setting(&self) -> bool {
        !["--config", "--check", "--version", "--help"].contains(&self.name)
    }

    /// The words that make an argument of it and a value.
    pub fn with(&self, value: &str) -> Vec<String> {
        match self.name.starts_with("--") {
            true => vec![format!("{}={value}", self.name)],
            false => vec![self.name.to_owned(), value.to_owned()],
        }
    }
}

/// Values of this form.
pub const fn form(accepts: &'static [&'static str], refuses: &'static [&'static str], sentence: &'static str) -> Form {
    Form { accepts, refuses, sentence, is_switch: false }
}

/// What takes no value; with one it can be undone.
pub const SWITCH: Form = Form {
    accepts: &["on", "off", "true", "false", "yes", "no", "1", "0"],
    refuses: &["perhaps", ""],
    sentence: "takes on or off",
    is_switch: true,
};
/// The same as an option that needs its value.
pub const ON_OFF: Form = Form { is_switch: false, ..SWITCH };
/// Any text: whether it can be used is found out later.
pub const TEXT: Form = form(&["x", "/x y/ü"], &[], "");
/// A number.
pub const WHOLE: Form = form(&["0", "18446744073709551615"], &["-1", "1.5", "many", ""], "takes a whole number");
/// A number that is not zero.
pub const POSITIVE: Form = form(&["1", "18446744073709551615"], &["0", "-1", "1.5", ""], "takes a whole number from 1");
/// A span of time.
pub const SECONDS: Form =
    form(&["0", "0.25", "3155760000"], &["soon", "-1", "1e9", "3155760001", ""], "takes a number of seconds");
/// How much effort compression takes.
pub const LEVEL: Form = form(&["1", "9"], &["0", "10", "high"], "takes a compression level from 1 to 9");
/// A number of processes.
pub const PROCESSES: Form = form(&["0", "1024"], &["-1", "1025", "many"], "takes a number from 0 to 1024");
/// An option about the command itself.
pub const COMMAND: Form = form(&[], &[], "");
