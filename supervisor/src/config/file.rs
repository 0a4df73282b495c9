//! The configuration file: TOML, one key per option, named like the long option with `_` for `-`. Unknown keys are
//! refused, because a misspelt limit that is silently ignored is found out too late.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{ARGUMENTS, Key, Kind};
use super::table::{Placed, TABLES};

/// A key, its values as the command line would have them, and where they stand.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Key of the file.
    pub name: String,
    /// One value, or several for an option that can be repeated.
    pub values: Vec<String>,
    /// Line of the key, from 1.
    pub line: usize,
    /// Line of each value.
    pub lines: Vec<usize>,
}

/// What a file says, and what is wrong with it: lines and sentences.
#[derive(Debug, Default)]
pub struct Content {
    /// What can be understood, in the order of the file.
    pub entries: Vec<Entry>,
    /// What cannot.
    pub mistakes: Vec<(usize, String)>,
}

/// Reads a file.
///
/// # Errors
/// One sentence, or one for each mistake of TOML, each with file and line.
pub fn read(path: &Path, keys: &[Key]) -> Result<Content, Vec<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, path, keys),
        Err(error) => Err(vec![format!("Cannot read configuration file {}: {error}", path.display())]),
    }
}

fn parse(text: &str, path: &Path, keys: &[Key]) -> Result<Content, Vec<String>> {
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
    let (table, mistakes) = DeTable::parse_recoverable(text);
    if !mistakes.is_empty() {
        let at = |offset: Option<usize>| format!("{}:{}", path.display(), line_of(offset.unwrap_or_default()));
        return Err(mistakes
            .iter()
            .map(|mistake| format!("{}: {}", at(mistake.span().map(|span| span.start)), mistake.message()))
            .collect());
    }
    let mut content = Content::default();
    for (name, value) in table.get_ref() {
        let line = line_of(name.span().start);
        let name: &str = name.get_ref();
        match values(name, value, line, keys, &line_of) {
            Ok(placed) => {
                let (values, lines) = placed.into_iter().unzip();
                content.entries.push(Entry { name: name.to_owned(), values, line, lines });
            }
            Err(mistakes) => content.mistakes.extend(mistakes),
        }
    }
    content.entries.sort_by_key(|entry| entry.line);
    content.mistakes.sort();
    Ok(content)
}

fn values(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    line: usize,
    keys: &[Key],
    line_of: &dyn Fn(usize) -> usize,
) -> Result<Vec<Placed>, Vec<(usize, String)>> {
    let here = |sentence: String| vec![(line, sentence)];
    let kind = match keys.iter().find(|key| key.name == name) {
        Some(key) => key.kind,
        None if name == ARGUMENTS => Kind::Many,
        None => return Err(here(unknown(name, keys))),
    };
    match value.get_ref() {
        DeValue::Array(list) if kind == Kind::Many => {
            let (mut placed, mut mistakes) = (Vec::new(), Vec::new());
            for item in list.iter() {
                match item_of(name, item.get_ref(), line_of(item.span().start), line_of) {
                    Ok(value) => placed.push(value),
                    Err(more) => mistakes.extend(more),
                }
            }
            if mistakes.is_empty() { Ok(placed) } else { Err(mistakes) }
        }
        DeValue::Array(_) => Err(here(format!("{name} takes one value, not a list"))),
        DeValue::Boolean(_) if kind != Kind::Switch && !takes_words(name) => {
            Err(here(format!("{name} takes a value, not true or false")))
        }
        value => scalar(name, value).map(|text| vec![(text, line)]).map_err(here),
    }
}

/// Options of two words may be written as switches.
fn takes_words(name: &str) -> bool {
    matches!(name, "ws_compression" | "lifespan")
}

/// One of several values; those of some options may be tables.
fn item_of(
    name: &str,
    value: &DeValue<'_>,
    line: usize,
    line_of: &dyn Fn(usize) -> usize,
) -> Result<Placed, Vec<(usize, String)>> {
    match (value, TABLES.iter().find(|table| table.option == name)) {
        (DeValue::Table(content), Some(table)) => table.row(content, line, line_of),
        _ => scalar(name, value).map(|text| (text, line)).map_err(|sentence| vec![(line, sentence)]),
    }
}

/// A value that is neither a list nor a table.
pub fn scalar(name: &str, value: &DeValue<'_>) -> Result<String, String> {
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

    /// Entries, or all mistakes as a user sees them.
    fn parsed(text: &str) -> Result<Vec<Entry>, Vec<String>> {
        let content = parse(text, Path::new("f"), &catalogue(&crate::cli::CommandLine::command()))?;
        if content.mistakes.is_empty() {
            return Ok(content.entries);
        }
        Err(content.mistakes.into_iter().map(|(line, sentence)| format!("f:{line}: {sentence}")).collect())
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
        assert_eq!(entries[1].lines, [5, 11], "where the directories stand");
        assert_eq!(parsed("[[static]]\npath = '/a'\n").unwrap_err(), ["f:1: static needs path and directory"]);
        let comma = parsed("[[static]]\npath = '/a'\ndirectory = 'b,c'\n").unwrap_err();
        assert_eq!(comma, ["f:3: directory of static cannot have a comma in it"]);
        assert_eq!(parsed("[[workers]]\nx = 1\n").unwrap_err(), ["f:1: workers takes one value, not a list"]);
        assert_eq!(parsed("static = ['/a=b']\n").unwrap()[0].values, ["/a=b"]);
        let inline = parsed("static = [\n  { path = '/a', directory = 'b' },\n  '/c=d',\n]\n").unwrap();
        assert_eq!((&inline[0].values[..], &inline[0].lines[..]), (&["/a=b".into(), "/c=d".into()][..], &[2, 3][..]));
    }

    #[test]
    fn mistakes_in_tables_have_the_line_of_their_key() {
        let table = |name: &str, more: &str| {
            let content = if name == "mount" { "app" } else { "directory" };
            parsed(&format!("[[{name}]]\npath = '/a'\n{content} = 'b'\n{more}\n"))
        };
        for (more, row) in [
            ("index = false", "/a=b,no-index"),
            ("no_index = true", "/a=b,no-index"),
            ("index = 'home.htm'", "/a=b,index=home.htm"),
            ("no_listing = true", "/a=b,no-listing"),
            ("max_age = '60'", "/a=b,max-age=60"),
            ("host = 'A.example'", "/a=b,host=a.example"),
        ] {
            assert_eq!(table("static", more).unwrap()[0].values, [row], "{more}");
        }
        for (more, sentence) in [
            ("lisitng = true", "unknown key 'lisitng' of static; did you mean 'listing'?"),
            (
                "something_else = 1",
                "unknown key 'something_else' of static; there are path, directory, host, index, max_age, listing, \
                 fallthrough, precompressed, immutable",
            ),
            ("listing = 'yes'", "listing of static takes true or false"),
            ("no_index = 'x'", "no_index of static takes true or false"),
            ("index = true", "index of static takes the name of a file, or false"),
            ("index = 5", "index of static takes a text in quotes"),
            ("max_age = true", "max_age of static takes a whole number of seconds"),
            ("max_age = 'soon'", "max_age of static takes a whole number of seconds, got 'soon'"),
            ("max_age = -5", "max_age of static takes a whole number of seconds, got '-5'"),
            ("host = 'a b'", "host of static takes a host name without a port, got 'a b'"),
            ("host = ['a']", "host of static takes a text in quotes"),
        ] {
            assert_eq!(table("static", more).unwrap_err(), [format!("f:4: {sentence}")], "{more}");
        }
        assert_eq!(
            table("mount", "max_age = 5").unwrap_err()[0].split(';').next(),
            Some("f:4: unknown key 'max_age' of mount")
        );
        let both = parsed("[[mount]]\napp = ''\npath = 'a'\n").unwrap_err();
        let expected = [
            "f:2: app of mount must not be empty",
            "f:3: path of mount takes a path that starts with '/', not encoded, got 'a'",
        ];
        assert_eq!(both, expected);
    }

    #[test]
    fn mounts_have_constructor_arguments() {
        let row = |args: &str| parsed(&format!("\n[[mount]]\npath = '/a'\napp = 'X'\nargs = {args}\n"));
        let entries = row(r#"{ root = "/srv,x", index = false, level = 3, "a b" = 'c\d' }"#).unwrap();
        let mount = crate::cli::mount::Mount::parse(&entries[0].values[0]).unwrap();
        let mut arguments = mount.arguments.clone();
        arguments.sort();
        assert_eq!(arguments, [r"a b=c\d", "index=0", "level=3", "root=/srv,x"]);
        for (args, problem) in [
            ("'root=/srv'", "args of mount takes a table, such as { root = \"/srv\" }"),
            ("true", "args of mount takes a table, such as { root = \"/srv\" }"),
            ("{ root = [1] }", "root in args of mount takes no list within a list"),
            ("{ 'a=b' = 1 }", "args of mount cannot have the key 'a=b'"),
        ] {
            assert_eq!(row(args).unwrap_err(), [format!("f:5: {problem}")], "{args}");
        }
        assert_eq!(
            parsed("[[static]]\npath = '/a'\ndirectory = 'b'\nargs = { a = 1 }\n").unwrap_err(),
            [
                "f:4: unknown key 'args' of static; there are path, directory, host, index, max_age, listing, fallthrough, \
                 precompressed, immutable"
            ]
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
