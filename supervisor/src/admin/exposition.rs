//! The two text forms in which Prometheus reads metrics. They differ in how counters are introduced, in units and in the
//! mark at the end.

use std::fmt::{Display, Write};

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Version 0.0.4 of Prometheus.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What a client that sends this `Accept` field gets. Prometheus names OpenMetrics first when it understands it.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let is_open = |range: &str| range.trim().starts_with("application/openmetrics-text");
        if accept.split(',').any(is_open) { Self::OpenMetrics } else { Self::Text }
    }

    /// The content type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; the name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Units that are part of a name.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// A page of metrics being written.
#[derive(Debug)]
pub struct Page {
    format: Format,
    text: String,
}

impl Page {
    /// An empty one.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// The finished page.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Writes one number without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help, [(Labels::none(), value)]);
    }

    /// Writes a number for each set of labels.
    pub fn family<V: Display>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, V)>,
    ) {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.introduce(name, word, help);
        for (labels, value) in samples {
            self.sample(name, &labels, value);
        }
    }

    /// Writes a histogram of seconds: how many there are in each class, its upper bound in microseconds, and their sum.
    pub fn histogram(&mut self, name: &str, help: &str, bounds_us: &[u64], counts: &[u64], sum_us: u64) {
        self.introduce(name, "histogram", help);
        let mut below = 0;
        let bounds = bounds_us.iter().map(|&bound| seconds(bound).to_string()).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(counts) {
            below += count;
            self.sample(&format!("{name}_bucket"), &Labels::one("le", &bound), below);
        }
        self.sample(&format!("{name}_sum"), &Labels::none(), seconds(sum_us));
        self.sample(&format!("{name}_count"), &Labels::none(), below);
    }

    fn introduce(&mut self, name: &str, kind: &str, help: &str) {
        let family = name.strip_suffix("_total").unwrap_or(name);
        let shown = if self.format == Format::OpenMetrics { family } else { name };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {shown} {help}\n# TYPE {shown} {kind}");
        if let Some(unit) = UNITS.iter().find(|&&unit| family.rsplit('_').next() == Some(unit)) {
            let _ = writeln!(self.text, "# UNIT {shown} {unit}");
        }
    }

    fn sample(&mut self, name: &str, labels: &Labels, value: impl Display) {
        let _ = writeln!(self.text, "{name}{} {value}", labels.0);
    }
}

/// Microseconds as seconds.
#[must_use]
pub fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

/// The labels of a sample, in the form they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One.
    #[must_use]
    pub fn one(name: &str, value: &str) -> Self {
        Self::of([(name, value)])
    }

    /// Several, in this order.
    #[must_use]
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let written: Vec<String> =
            pairs.into_iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        Self(format!("{{{}}}", written.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(format: Format) -> String {
        let mut page = Page::new(format);
        page.single("x_sent_bytes_total", Kind::Counter, "Bytes.", 7);
        let samples = [(Labels::of([("a", "1"), ("b", "say \"\\\"\n")]), 1.5)];
        page.family("x_workers", Kind::Gauge, "Workers.", samples);
        page.histogram("x_time_seconds", "Times.", &[500, 2_000_000], &[1, 0, 3], 1_500_000);
        page.finish()
    }

    #[test]
    fn both_forms() {
        let text = "\
# HELP x_sent_bytes_total Bytes.
# TYPE x_sent_bytes_total counter
# UNIT x_sent_bytes_total bytes
x_sent_bytes_total 7
# HELP x_workers Workers.
# TYPE x_workers gauge
x_workers{a=\"1\",b=\"say \\\"\\\\\\\"\\n\"} 1.5
# HELP x_time_seconds Times.
# TYPE x_time_seconds histogram
# UNIT x_time_seconds seconds
x_time_seconds_bucket{le=\"0.0005\"} 1
x_time_seconds_bucket{le=\"2\"} 1
x_time_seconds_bucket{le=\"+Inf\"} 4
x_time_seconds_sum 1.5
x_time_seconds_count 4
";
        assert_eq!(page(Format::Text), text);
        let open = text.replace(" x_sent_bytes_total ", " x_sent_bytes ") + "# EOF\n";
        assert_eq!(page(Format::OpenMetrics), open);
    }

    #[test]
    fn clients_choose() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted("text/plain, application/openmetrics-text"), Format::OpenMetrics);
        assert_eq!((Format::accepted("*/*"), Format::accepted("")), (Format::Text, Format::Text));
    }
}
