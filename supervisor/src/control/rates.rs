//! What happens per second, from two looks at the same server.

use std::collections::BTreeMap;

use pagi_server_core::histogram::BOUNDS_US;

use super::status::Status;
use crate::scoreboard::Durations;

/// Numbers per second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    /// Finished requests.
    pub requests: f64,
    /// Responses of class 5xx.
    pub errors: f64,
    /// Connections accepted.
    pub accepted: f64,
    /// Bytes read from clients.
    pub bytes_in: f64,
    /// Bytes written to clients.
    pub bytes_out: f64,
    /// Requests of each worker process.
    pub workers: BTreeMap<u32, f64>,
    /// How long the requests between the two looks took.
    durations: Durations,
}

impl Rates {
    /// `None` when the two are not the same server, or the same moment.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "rates are for people, who see three digits")]
    pub fn between(before: &Status, after: &Status) -> Option<Self> {
        let elapsed = after.uptime_ms.checked_sub(before.uptime_ms).filter(|&elapsed| elapsed > 0)?;
        if before.pid != after.pid {
            return None;
        }
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 * 1000.0 / elapsed as f64;
        let known: BTreeMap<u32, u64> = before.workers.iter().map(|worker| (worker.pid, worker.requests)).collect();
        let workers = after.workers.iter().map(|worker| {
            let before = known.get(&worker.pid).copied().unwrap_or_default();
            (worker.pid, rate(before, worker.requests))
        });
        let (first, second) = (&before.totals, &after.totals);
        let mut durations = Durations::default();
        for (class, count) in durations.counts.iter_mut().enumerate() {
            *count = second.durations.counts[class].saturating_sub(first.durations.counts[class]);
        }
        Some(Self {
            requests: rate(first.requests, second.requests),
            errors: rate(first.status[4], second.status[4]),
            accepted: rate(first.accepted, second.accepted),
            bytes_in: rate(first.bytes_in, second.bytes_in),
            bytes_out: rate(first.bytes_out, second.bytes_out),
            workers: workers.collect(),
            durations,
        })
    }

    /// The class that so many of a hundred requests do not exceed, in words; `None` when there were none.
    #[must_use]
    pub fn latency(&self, percent: u64) -> Option<String> {
        let total: u64 = self.durations.counts.iter().sum();
        if total == 0 {
            return None;
        }
        let wanted = (total * percent).div_ceil(100);
        let mut below = 0;
        let class = self.durations.counts.iter().position(|count| {
            below += count;
            below >= wanted
        })?;
        Some(match BOUNDS_US.get(class) {
            Some(&bound) => format!("≤{}", span(bound)),
            None => format!(">{}", span(BOUNDS_US[BOUNDS_US.len() - 1])),
        })
    }
}

/// Microseconds in a unit that suits them.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "for people, who see three digits")]
pub fn span(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros}µs"),
        1000..1_000_000 => format!("{}ms", trimmed(micros as f64 / 1000.0)),
        _ => format!("{}s", trimmed(micros as f64 / 1_000_000.0)),
    }
}

/// A number with a unit of thousands.
#[must_use]
pub fn scaled(number: f64) -> String {
    let (mut number, mut unit) = (number, "");
    for next in ["k", "M", "G", "T"] {
        if number < 999.5 {
            break;
        }
        number /= 1000.0;
        unit = next;
    }
    format!("{}{unit}", trimmed(number))
}

/// Three digits at most, and no zeros behind the point.
fn trimmed(number: f64) -> String {
    let text = match number {
        _ if number < 9.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    };
    text.strip_suffix(".0").map_or(text.clone(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::{Totals, WorkerStatus};

    fn status(uptime_ms: u64, requests: u64, counts: &[(usize, u64)]) -> Status {
        let mut totals = Totals { requests, bytes_out: requests * 100, ..Totals::default() };
        counts.iter().for_each(|&(class, count)| totals.durations.counts[class] = count);
        let worker = |pid, requests| WorkerStatus { pid, requests, ..WorkerStatus::default() };
        let workers = vec![worker(1, requests), worker(u32::try_from(uptime_ms).unwrap(), 10)];
        Status { pid: 7, uptime_ms, totals, workers, ..Status::default() }
    }

    #[test]
    fn per_second() {
        let rates = Rates::between(&status(1000, 100, &[]), &status(3000, 300, &[(1, 98), (3, 2)])).unwrap();
        assert_eq!((rates.requests, rates.bytes_out, rates.errors), (100.0, 10_000.0, 0.0));
        assert_eq!(rates.workers, BTreeMap::from([(1, 100.0), (3000, 5.0)]), "a new worker began with nothing");
        assert_eq!(rates.latency(50).unwrap(), "≤1ms");
        assert_eq!(rates.latency(98).unwrap(), "≤1ms");
        assert_eq!(rates.latency(99).unwrap(), "≤5ms");
        let slow = Rates::between(&status(1, 0, &[]), &status(2, 0, &[(14, 1)])).unwrap();
        assert_eq!(slow.latency(99).unwrap(), ">10s");
    }

    #[test]
    fn another_server_has_no_rates() {
        let first = status(1000, 1, &[]);
        assert_eq!(Rates::between(&first, &first), None);
        assert_eq!(Rates::between(&status(2000, 1, &[]), &first), None);
        assert_eq!(Rates::between(&first, &Status { pid: 8, ..status(2000, 2, &[]) }), None);
        let idle = Rates::between(&first, &status(2000, 1, &[])).unwrap();
        assert_eq!((idle.requests, idle.latency(50)), (0.0, None));
    }

    #[test]
    fn numbers_for_people() {
        let spans =
            [(0, "0µs"), (999, "999µs"), (1000, "1ms"), (2500, "2.5ms"), (250_000, "250ms"), (2_500_000, "2.5s")];
        for (micros, text) in spans {
            assert_eq!(span(micros), text);
        }
        for (number, text) in
            [(0.0, "0"), (1.25, "1.2"), (12.5, "12"), (999.0, "999"), (1500.0, "1.5k"), (2.5e7, "25M")]
        {
            assert_eq!(scaled(number), text);
        }
    }
}
