//! Where something was said that turns out to be wrong after all options have been understood: the beginning of a message.

use super::origin::{Effective, Origin};

/// `FILE:LINE: `, `Environment variable NAME (--option): ` or `--option: `; empty for a default, which nobody has said.
/// The line is that of one value, counted from 0, of those that an option has.
#[must_use]
pub fn place(effective: &[Effective], key: &str, value: usize) -> String {
    let Some(option) = effective.iter().find(|option| option.key == key) else { return String::new() };
    match &option.origin {
        Origin::File { path, line } => {
            let line = option.lines.get(value).unwrap_or(line);
            format!("{}:{line}: ", path.display())
        }
        Origin::Environment { variable } => format!("Environment variable {variable} ({}): ", spelling(key)),
        Origin::CommandLine => format!("{}: ", spelling(key)),
        Origin::Default | Origin::Told => String::new(),
    }
}

/// Where the one of these options was said that was said most strongly; the first of equals.
#[must_use]
pub fn strongest(effective: &[Effective], keys: &[&str]) -> String {
    let rank = |key: &str| effective.iter().find(|option| option.key == key).map_or(0, |option| option.origin.rank());
    // `max_by_key` takes the last of equals.
    let key = keys.iter().rev().max_by_key(|key| rank(key));
    key.map(|key| place(effective, key, 0)).unwrap_or_default()
}

fn spelling(key: &str) -> String {
    match key {
        "code" => "-e".to_owned(),
        "modules" => "-M".to_owned(),
        key => format!("--{}", key.replace('_', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_origin() {
        let effective = |key: &str, origin| Effective {
            key: key.to_owned(),
            values: vec!["a".to_owned(), "b".to_owned()],
            list: true,
            origin,
            lines: vec![3, 7],
        };
        let all = [
            effective("listen", Origin::File { path: "/f".into(), line: 2 }),
            effective("ssl_key", Origin::Environment { variable: "PAGI_SSL_KEY".to_owned() }),
            effective("code", Origin::CommandLine),
            effective("port", Origin::Default),
        ];
        assert_eq!(place(&all, "listen", 1), "/f:7: ");
        assert_eq!(place(&all, "listen", 2), "/f:2: ", "one that is not known stands where the option does");
        assert_eq!(place(&all, "ssl_key", 0), "Environment variable PAGI_SSL_KEY (--ssl-key): ");
        assert_eq!(place(&all, "code", 0), "-e: ");
        assert_eq!((place(&all, "port", 0), place(&all, "none", 0)), (String::new(), String::new()));
        assert_eq!(strongest(&all, &["port", "listen"]), "/f:3: ");
        assert_eq!(strongest(&all, &["port", "none"]), "");
    }
}
