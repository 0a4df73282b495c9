//! The status as text for people.

use std::fmt::Write;
use std::time::Duration;

use super::status::{Status, WorkerStatus};
use crate::staff::Short;

const HEADINGS: [&str; 15] = [
    "NUM",
    "PID",
    "GEN",
    "STATE",
    "UPTIME",
    "REQUESTS",
    "CONNS",
    "ACTIVE",
    "1XX",
    "2XX",
    "3XX",
    "4XX",
    "5XX",
    "REFUSED",
    "HEARTBEAT",
];

/// Writes a few lines about the server and a table of its workers.
#[must_use]
pub fn render(status: &Status) -> String {
    summary(status) + "\n" + &workers(&status.workers)
}

/// The lines about the server.
#[must_use]
pub fn summary(status: &Status) -> String {
    let mut text = String::new();
    let kind =
        if status.workers_wanted == 0 { "no workers".to_owned() } else { format!("{} workers", status.workers_wanted) };
    let stopping = if status.stopping { ", stopping" } else { "" };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "pagi-server {}, pid {}, up {}, generation {}, {kind}{stopping}",
        status.version,
        status.pid,
        span(status.uptime_ms),
        status.generation
    );
    let _ = writeln!(text, "listening on {}", status.listening.join(", "));
    if let Some(generation) = status.reloading {
        let _ = writeln!(text, "reloading to generation {generation}");
    }
    let restarts: Vec<String> = status.restarts.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
    if !restarts.is_empty() {
        let _ = writeln!(text, "workers replaced: {}", restarts.join(", "));
    }
    text
}

/// Writes the table of workers alone.
#[must_use]
pub fn workers(workers: &[WorkerStatus]) -> String {
    let mut text = String::new();
    let mut rows: Vec<Vec<String>> = vec![HEADINGS.iter().map(|&heading| heading.to_owned()).collect()];
    rows.extend(workers.iter().map(row));
    let widths: Vec<usize> =
        (0..HEADINGS.len()).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default()).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

fn row(worker: &WorkerStatus) -> Vec<String> {
    let mut cells = vec![
        Short(worker.num).to_string(),
        worker.pid.to_string(),
        worker.generation.to_string(),
        worker.state.word().to_owned(),
        span(worker.uptime_ms),
        worker.requests.to_string(),
        worker.connections.to_string(),
        worker.active.to_string(),
    ];
    cells.extend(worker.status.iter().map(u64::to_string));
    cells.push(worker.refused.to_string());
    cells.push(format!("{:.1}s", Duration::from_millis(worker.heartbeat_age_ms).as_secs_f64()));
    cells
}

/// `3d4h`, `2h5m`, `1m7s` or `8s`.
pub(super) fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes}m"),
        (days, hours, _, _) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::WorkerState;

    #[test]
    fn spans() {
        for (seconds, expected) in [(8, "8s"), (67, "1m7s"), (7505, "2h5m"), (274_000, "3d4h")] {
            assert_eq!(span(seconds * 1000), expected);
        }
    }

    #[test]
    fn columns_line_up() {
        let worker = WorkerStatus {
            num: 1,
            pid: 4711,
            generation: 1,
            state: WorkerState::Ready,
            uptime_ms: 61_000,
            heartbeat_age_ms: 240,
            requests: 123_456_789,
            accepted: 5,
            connections: 2,
            active: 1,
            refused: 3,
            status: [0, 123_456_700, 0, 80, 9],
            ..WorkerStatus::default()
        };
        let status = Status {
            version: "9.9.9".to_owned(),
            pid: 4700,
            uptime_ms: 62_000,
            generation: 1,
            workers_wanted: 1,
            restarts: std::collections::BTreeMap::from([("reload".to_owned(), 4)]),
            listening: vec!["http://127.0.0.1:5000/".to_owned(), "unix:/run/a.sock".to_owned()],
            workers: vec![worker],
            ..Status::default()
        };
        let text = render(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "pagi-server 9.9.9, pid 4700, up 1m2s, generation 1, 1 workers");
        assert_eq!(lines[1], "listening on http://127.0.0.1:5000/, unix:/run/a.sock");
        assert_eq!(lines[2], "workers replaced: reload 4");
        assert_eq!(
            lines[4],
            "NUM   PID  GEN  STATE  UPTIME   REQUESTS  CONNS  ACTIVE  1XX        2XX  3XX  4XX  5XX  REFUSED  HEARTBEAT"
        );
        assert_eq!(
            lines[5],
            "  1  4711    1  ready    1m1s  123456789      2       1    0  123456700    0   80    9        3       0.2s"
        );
    }
}
