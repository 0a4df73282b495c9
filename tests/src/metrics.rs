//! The admin listener's metrics, read by a parser that forgives nothing.

use std::collections::BTreeMap;

use crate::curl::curl;
use crate::server::Server;

/// A family of metrics.
#[derive(Debug, Default)]
pub struct Family {
    /// What it is: counter, gauge or histogram.
    pub kind: String,
    /// The unit, where it has one.
    pub unit: Option<String>,
    /// What it says of itself.
    pub help: String,
}

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    /// All families by name.
    pub families: BTreeMap<String, Family>,
    /// All samples: name with labels as written, and value.
    pub samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Asks a server for its metrics. Its address has to be in the log.
    #[track_caller]
    pub fn of(server: &Server) -> Self {
        Self::parse(&page(server, ""))
    }

    /// Reads a page in Prometheus' own form; panics at whatever is wrong with it.
    #[track_caller]
    pub fn parse(page: &str) -> Self {
        let mut metrics = Self::default();
        let mut current = String::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# ") {
                let (word, rest) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                let (name, text) = rest.split_once(' ').unwrap_or_else(|| panic!("nothing is said: {line}"));
                assert!(is_name(name), "{line}");
                if word == "HELP" {
                    let family = Family { help: text.to_owned(), ..Family::default() };
                    assert!(metrics.families.insert(name.to_owned(), family).is_none(), "twice: {line}");
                    name.clone_into(&mut current);
                }
                assert_eq!(name, current, "{line} is not with its family");
                let family = metrics.families.get_mut(name).expect("just seen");
                match word {
                    "HELP" => assert!(text.ends_with('.'), "no sentence: {line}"),
                    "TYPE" => {
                        assert!(matches!(text, "counter" | "gauge" | "histogram"), "{line}");
                        assert_eq!(text == "counter", name.ends_with("_total"), "{line}");
                        text.clone_into(&mut family.kind);
                    }
                    "UNIT" => {
                        let stem = name.strip_suffix("_total").unwrap_or(name);
                        assert!(stem.ends_with(&format!("_{text}")), "{line}");
                        family.unit = Some(text.to_owned());
                    }
                    _ => panic!("{line}"),
                }
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            let name = sample.split('{').next().expect("a split has a part");
            let family = metrics.families.get(&current).unwrap_or_else(|| panic!("{line} has no family"));
            let suffixes: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.iter().any(|suffix| name == format!("{current}{suffix}")), "{line} is not in {current}");
            if let Some(labels) = sample.strip_prefix(name).filter(|labels| !labels.is_empty()) {
                check_labels(labels);
            }
            let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(value >= 0.0 && value.is_finite(), "{line}");
            assert!(metrics.samples.insert(sample.to_owned(), value).is_none(), "twice: {line}");
        }
        assert!(page.ends_with('\n'), "the last line is not ended");
        metrics
    }

    /// A sample by its name with labels, as written; panics when there is none.
    #[track_caller]
    pub fn get(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples))
    }

    /// All samples of a name, whatever their labels.
    pub fn all(&self, name: &str) -> Vec<f64> {
        let of_name = |sample: &str| sample.split('{').next() == Some(name);
        self.samples.iter().filter(|(sample, _)| of_name(sample)).map(|(_, &value)| value).collect()
    }
}

/// The page as it is, for a client that sends this `Accept` field.
#[track_caller]
pub fn page(server: &Server, accept: &str) -> String {
    let address = server
        .log()
        .lines()
        .find_map(|line| line.split_once("Admin listener on http://").map(|(_, address)| address.to_owned()))
        .expect("the server has an admin listener");
    curl(["-H".to_owned(), format!("Accept: {accept}"), format!("http://{address}metrics")]).text().to_owned()
}

fn is_name(name: &str) -> bool {
    name.starts_with("pagi_")
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// `{name="value",…}`, with quotes and backslashes escaped.
#[track_caller]
fn check_labels(labels: &str) {
    let mut rest =
        labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_else(|| panic!("{labels}"));
    loop {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{labels}"));
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()), "{labels}");
        let mut escaped = false;
        let end = value.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        let end = end.unwrap_or_else(|| panic!("{labels}"));
        match value[end + 1..].strip_prefix(',') {
            Some(more) => rest = more,
            None => return assert_eq!(&value[end + 1..], "", "{labels}"),
        }
    }
}
