//! What `--help` says, read as a person reads it.

/// An option as `--help` lists it.
#[derive(Debug, Default)]
pub struct Listed {
    /// The heading above it.
    pub group: String,
    /// The short name beside the long one.
    pub short: Option<String>,
    /// The long name, or the short one where there is no other.
    pub name: String,
    /// What stands for its value; empty when it takes none.
    pub value: String,
    /// The text below it, as one line.
    pub text: String,
    /// What the text says of the default.
    pub default: String,
}

/// All options, in order.
pub fn options(help: &str) -> Vec<Listed> {
    let mut options: Vec<Listed> = Vec::new();
    let mut group = String::new();
    for line in help.lines() {
        let words = line.trim_start();
        let indent = line.len() - words.len();
        match words.strip_suffix(':') {
            Some(heading) if indent == 0 => heading.clone_into(&mut group),
            _ if (1..10).contains(&indent) && words.starts_with('-') => options.push(listed(&group, words)),
            _ if indent >= 10 => {
                if let Some(option) = options.last_mut() {
                    option.text = [&option.text, words].join(" ").trim().to_owned();
                }
            }
            // Below the last option stands what is no option.
            _ if indent == 0 && !words.is_empty() && !options.is_empty() => break,
            _ => {}
        }
    }
    for option in &mut options {
        let default = option.text.rsplit_once("[default: ").and_then(|(_, rest)| rest.strip_suffix(']'));
        option.default = default.unwrap_or_default().to_owned();
    }
    options
}

fn listed(group: &str, words: &str) -> Listed {
    let (names, value) = words.split_once(" <").unwrap_or((words, ""));
    let (short, name) = match names.split_once(", ") {
        Some((short, name)) => (Some(short.to_owned()), name),
        None => (None, names),
    };
    Listed {
        group: group.to_owned(),
        short,
        name: name.trim().to_owned(),
        value: value.to_owned(),
        ..Listed::default()
    }
}
