//! Is there a test, and does it say the option? Whether it would fail without the option only a reader can tell; that it
//! cannot be about something else is found here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::row::Row;

/// What is wrong with a reference, if anything is.
pub fn problem(row: &Row, file: &str, test: &str) -> Option<String> {
    let path = path(file);
    let Ok(text) = std::fs::read_to_string(&path) else { return Some(format!("{} cannot be read", path.display())) };
    let Some(reach) = (if file.ends_with(".t") { subtest(&text, test) } else { reach(&text, test) }) else {
        return Some("there is no such test".to_owned());
    };
    (!is_said(row, &reach)).then(|| "it does not say the option".to_owned())
}

fn path(file: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    match file.split_once('/') {
        Some(("supervisor", file)) => tests.join("../supervisor/tests").join(file),
        Some(("perl", file)) => tests.join("../perl-runtime/t").join(file),
        _ => tests.join("tests").join(file),
    }
}

/// A test and everything of its file that it uses, directly or by way of others.
fn reach(text: &str, test: &str) -> Option<String> {
    let items = items(text);
    let mut found: BTreeSet<usize> = BTreeSet::new();
    let mut waiting = vec![items.iter().position(|item| item.name == test && item.is_test)?];
    while let Some(index) = waiting.pop() {
        if found.insert(index) {
            let used = |other: &Item| words(items[index].text).any(|word| word == other.name);
            waiting.extend(items.iter().enumerate().filter(|(_, other)| used(other)).map(|(index, _)| index));
        }
    }
    Some(found.into_iter().map(|index| items[index].text).collect())
}

/// A function or constant of a file.
struct Item<'a> {
    name: &'a str,
    is_test: bool,
    text: &'a str,
}

/// The items of a file that is formatted: each begins in the first column, and so does its last line. What raw strings have
/// there belongs to other languages, so a function ends with its brace alone.
fn items(text: &str) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut is_test = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let plain = line.strip_prefix("pub ").unwrap_or(line);
        let (function, constant) = (plain.strip_prefix("fn "), plain.strip_prefix("const "));
        if let Some(rest) = function.or(constant) {
            let name = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
            let end = match function {
                Some(_) => "\n}\n",
                None if line.contains("r#\"") => "\"#;\n",
                None => ";\n",
            };
            let body = &text[start..];
            let length = body.find(end).map_or(body.len(), |at| at + end.len());
            items.push(Item { name, is_test, text: &body[..length] });
        }
        is_test = line == "#[test]\n" || (is_test && line.starts_with("#["));
        start += line.len();
    }
    items
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

/// A subtest of a Perl file that is formatted.
fn subtest(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("\nsubtest '{name}' => sub {{\n"))?;
    Some(rest.split("\n};\n").next().unwrap_or_default().to_owned())
}

/// Whether a text says the option: as an argument, as a key, as an environment variable, or in the harness's words.
fn is_said(row: &Row, text: &str) -> bool {
    let key = row.key();
    let long = |name: &str| {
        let rest = |index: usize| text[index + name.len()..].chars().next();
        text.match_indices(name)
            .any(|(index, _)| !rest(index).is_some_and(|next| next.is_alphanumeric() || next == '-'))
    };
    let short = || text.contains(&format!("\"{}", row.name)) || text.contains(&format!(" {} ", row.name));
    (if row.name.starts_with("--") { long(row.name) } else { short() })
        || text.contains(&format!("{key} = "))
        || text.contains(&format!("PAGI_{}\"", key.to_uppercase()))
        || (!row.also_said.is_empty() && text.contains(row.also_said))
}
