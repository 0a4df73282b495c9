//! The configuration file: TOML, one key per option, named like the long option with `_` for `-`. Unknown keys are
//! refused, because a misspelt limit that is silently ignored is found out too late.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{ARGUMENTS, Key, Kind};
use crate::cli::mount;

/// A key, its values as the command line would have them, and its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Key of the file.
    pub name: String,
    /// One value, or several for an option that can be repeated.
    pub values: Vec<String>,
    /// Line, from 1.
    pub line: usize,
}

/// Reads a file.
///
/// # Errors
/// One sentence for each problem, each with file and line.
pub fn read(path: &Path, keys: &[Key]) -> Result<Vec<Entry>, Vec<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, path, keys),
        Err(error) => Err(vec![format!("Cannot read configuration file {}: {error}", path.display())]),
    }
}

fn parse(text: &str, path: &Path, keys: &[Key]) -> Result<Vec<Entry>, Vec<String>> {
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
    let (table, mistakes) = DeTable::parse_recoverable(text);
    if !mistakes.is_empty() {
        let at = |offset: Option<usize>| format!("{}:{}", path.display(), line_of(offset.unwrap_or_default()));
        return Err(mistakes
            .iter()
            .map(|mistake| format!("{}: {}", at(mistake.span().map(|span| span.start)), mistake.message()))
            .collect());
    }
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in table.get_ref() {
        let line = line_of(name.span().start);
        let name: &str = name.get_ref();
        match values(name, value, keys) {
            Ok(values) => entries.push(Entry { name: name.to_owned(), values, line }),
            Err(reason) => problems.push((line, format!("{}:{line}: {reason}", path.display()))),
        }
    }
    if problems.is_empty() {
        entries.sort_by_key(|entry| entry.line);
        return Ok(entries);
    }
    problems.sort();
    Err(problems.into_iter().map(|(_, sentence)| sentence).collect())
}

fn values(name: &str, value: &Spanned<DeValue<'_>>, keys: &[Key]) -> Result<Vec<String>, String> {
    let kind = match keys.iter().find(|key| key.name == name) {
        Some(key) => key.kind,
        None if name == ARGUMENTS => Kind::Many,
        None => return Err(unknown(name, keys)),
    };
    match value.get_ref() {
        DeValue::Array(list) if kind == Kind::Many => {
            list.iter().map(|item| item_of(name, item.get_ref())).collect::<Result<_, _>>()
        }
        DeValue::Array(_) => Err(format!("{name} takes one value, not a list")),
        DeValue::Boolean(_) if kind != Kind::Switch && !takes_words(name) => {
            Err(format!("{name} takes a value, not true or false"))
        }
        value => scalar(name, value).map(|text| vec![text]),
    }
}

/// Options of two words may be written as switches.
fn takes_words(name: &str) -> bool {
    matches!(name, "ws_compression" | "lifespan")
}

/// One of several values; those of some options may be tables.
fn item_of(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    match (value, TABLES.iter().find(|(option, ..)| *option == name)) {
        (DeValue::Table(table), Some((_, place, content))) => row(name, table, place, content),
        _ => scalar(name, value),
    }
}

/// Options whose values may be written as tables (`[[static]]`), and the keys that make up `PATH=CONTENT` there.
const TABLES: [(&str, &str, &str); 2] = [("static", "path", "directory"), ("mount", "path", "app")];

/// A table as the command line would have it: `PATH=CONTENT,key=value,switch,no-switch`.
fn row(name: &str, table: &DeTable<'_>, place: &str, content: &str) -> Result<String, String> {
    let field = |key: &str, value: &DeValue<'_>| -> Result<String, String> {
        let text = scalar(&format!("{key} of {name}"), value)?;
        if text.contains(',') { Err(format!("{key} of {name} cannot have a comma in it")) } else { Ok(text) }
    };
    let required = |key: &str| -> Result<String, String> {
        let value = table.get(key).ok_or_else(|| format!("{name} needs {place} and {content}"))?;
        field(key, value.get_ref())
    };
    let mut row = format!("{}={}", required(place)?, required(content)?);
    let is_arguments = |key: &str| (name, key) == ("mount", "args");
    for (key, value) in table.iter().filter(|(key, _)| ![place, content].contains(&&**key.get_ref())) {
        let option = key.get_ref().replace('_', "-");
        match value.get_ref() {
            DeValue::Table(arguments) if is_arguments(key.get_ref()) => {
                for (key, value) in arguments {
                    row += &format!(",{}", argument(name, key.get_ref(), value.get_ref())?);
                }
            }
            _ if is_arguments(key.get_ref()) => {
                return Err(format!("args of {name} takes a table, such as {{ root = \"/srv\" }}"));
            }
            DeValue::Boolean(true) => row += &format!(",{option}"),
            DeValue::Boolean(false) => row += &format!(",no-{option}"),
            value => row += &format!(",{option}={}", field(key.get_ref(), value)?),
        }
    }
    Ok(row)
}

/// A constructor argument; Perl's words for true and false are not ours.
fn argument(name: &str, key: &str, value: &DeValue<'_>) -> Result<String, String> {
    let value = match value {
        DeValue::Boolean(is_true) => u8::from(*is_true).to_string(),
        value => scalar(&format!("{key} in args of {name}"), value)?,
    };
    if key.is_empty() || key.contains('=') {
        return Err(format!("args of {name} cannot have the key '{key}'"));
    }
    Ok(mount::argument(key, &value))
}

fn scalar(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        // 0o660 is how TOML writes what everybody else writes as 0660.
        DeValue::Integer(number) if number.radix() == 8 => Ok(format!("0{}", number.as_str())),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| format!("{name} is a number out of range")),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(true) => Ok("on".to_owned()),
        DeValue::Boolean(false) => Ok("off".to_owned()),
        DeValue::Datetime(_) => Err(format!("{name} takes no date")),
        DeValue::Array(_) => Err(format!("{name} takes no list within a list")),
        DeValue::Table(_) => Err(format!("{name} takes no table")),
    }
}

fn unknown(name: &str, keys: &[Key]) -> String {
    let dashed = name.replace('-', "_");
    let names = keys.iter().map(|key| key.name.as_str()).chain([ARGUMENTS]);
    let distance = |candidate: &str| strsim::damerau_levenshtein(candidate, &dashed);
    let nearest = names.min_by_key(|candidate| distance(candidate)).filter(|nearest| distance(nearest) <= 3);
    match nearest {
        Some(nearest) => format!("unknown key '{name}'; did you mean '{nearest}'?"),
        None => format!("unknown key '{name}'; keys are the long options of pagi-server --help, with _ for -"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key::catalogue;
    use clap::CommandFactory as _;

    fn parsed(text: &str) -> Result<Vec<Entry>, Vec<String>> {
        parse(text, Path::new("f"), &catalogue(&crate::cli::CommandLine::command()))
    }

    #[test]
    fn every_kind_of_value() {
        let text = "# a comment\nport = 8080\n\nlisten = ['a:1', \"b\"]\nquiet = true\ntimeout = 2.5\n\
                    socket_mode = 0o660\nws_compression = false\nmax_body_size = 1_000\nlib = 'x'\narguments = ['a=b']\n";
        let entries = parsed(text).unwrap();
        let shown: Vec<_> =
            entries.iter().map(|entry| format!("{}:{}={}", entry.line, entry.name, entry.values.join("+"))).collect();
        assert_eq!(
            shown,
            [
                "2:port=8080",
                "4:listen=a:1+b",
                "5:quiet=on",
                "6:timeout=2.5",
                "7:socket_mode=0660",
                "8:ws_compression=off",
                "9:max_body_size=1000",
                "10:lib=x",
                "11:arguments=a=b"
            ]
        );
    }

    #[test]
    fn tables_become_values() {
        let text = "port = 1\n\n[[static]]\npath = '/a'\ndirectory = 'x y'\nlisting = true\nprecompressed = false\nmax_age = 60\n\
                    [[static]]\npath = '/b'\ndirectory = 'z'\n";
        let entries = parsed(text).unwrap();
        assert_eq!(entries[1].values, ["/a=x y,listing,max-age=60,no-precompressed", "/b=z"]);
        assert_eq!(parsed("[[static]]\npath = '/a'\n").unwrap_err(), ["f:1: static needs path and directory"]);
        let comma = parsed("[[static]]\npath = '/a'\ndirectory = 'b,c'\n").unwrap_err();
        assert_eq!(comma, ["f:1: directory of static cannot have a comma in it"]);
        assert_eq!(parsed("[[workers]]\nx = 1\n").unwrap_err(), ["f:1: workers takes one value, not a list"]);
        assert_eq!(parsed("static = ['/a=b']\n").unwrap()[0].values, ["/a=b"]);
    }

    #[test]
    fn mounts_have_constructor_arguments() {
        let row = |args: &str| parsed(&format!("\n[[mount]]\npath = '/a'\napp = 'X'\nargs = {args}\n"));
        let entries = row(r#"{ root = "/srv,x", index = false, level = 3, "a b" = 'c\d' }"#).unwrap();
        let mount = mount::Mount::parse(&entries[0].values[0]).unwrap();
        let mut arguments = mount.arguments.clone();
        arguments.sort();
        assert_eq!(arguments, [r"a b=c\d", "index=0", "level=3", "root=/srv,x"]);
        for (args, problem) in [
            ("'root=/srv'", "args of mount takes a table, such as { root = \"/srv\" }"),
            ("true", "args of mount takes a table, such as { root = \"/srv\" }"),
            ("{ root = [1] }", "root in args of mount takes no list within a list"),
            ("{ 'a=b' = 1 }", "args of mount cannot have the key 'a=b'"),
        ] {
            assert_eq!(row(args).unwrap_err(), [format!("f:2: {problem}")], "{args}");
        }
        assert_eq!(
            parsed("[[static]]\npath = '/a'\ndirectory = 'b'\nargs = { a = 1 }\n").unwrap_err(),
            ["f:1: args of static takes no table"]
        );
    }

    #[test]
    fn every_problem_has_its_line() {
        let text = "wokers = 4\nport = [1]\nquiet = [true]\nnonsense_of_some_length = 1\nlisten = [['a']]\n\
                    [table]\nx = 1\n";
        assert_eq!(
            parsed(text).unwrap_err(),
            [
                "f:1: unknown key 'wokers'; did you mean 'workers'?",
                "f:2: port takes one value, not a list",
                "f:3: quiet takes one value, not a list",
                "f:4: unknown key 'nonsense_of_some_length'; keys are the long options of pagi-server --help, with _ for -",
                "f:5: listen takes no list within a list",
                "f:6: unknown key 'table'; keys are the long options of pagi-server --help, with _ for -",
            ]
        );
        let dashes = parsed("max-requests = 4").unwrap_err();
        assert_eq!(dashes, ["f:1: unknown key 'max-requests'; did you mean 'max_requests'?"]);
        assert_eq!(parsed("port = true").unwrap_err(), ["f:1: port takes a value, not true or false"]);
        assert_eq!(parsed("port = 2020-01-01").unwrap_err(), ["f:1: port takes no date"]);
    }

    #[test]
    fn mistakes_of_syntax_have_their_line() {
        let problems = parsed("port = 80\nworkers = \n").unwrap_err();
        assert!(problems[0].starts_with("f:2: "), "{problems:?}");
        let twice = parsed("port = 80\nport = 81\n").unwrap_err();
        assert!(twice[0].starts_with("f:2: duplicate key"), "{twice:?}");
    }
}
