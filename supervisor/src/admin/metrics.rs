//! The status in the text format of Prometheus. Written by hand: a few numbers that somebody else counts need no
//! registry. Counters include workers that are gone, so that they never go back.

use std::fmt::{Display, Write};

use crate::control::status::{Status, WorkerState};
use crate::memory;

/// Writes all metrics.
#[must_use]
pub fn render(status: &Status) -> String {
    let mut page = Page(String::new());
    let totals = &status.totals;
    page.family("pagi_requests_total", "counter", "Finished requests.", [("", totals.requests)]);
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| format!("class=\"{class}\""));
    let responses = classes.iter().map(String::as_str).zip(totals.status);
    page.family("pagi_responses_total", "counter", "Responses by class of their status.", responses);
    let text = "Requests the server refused by itself.";
    page.family("pagi_requests_refused_total", "counter", text, [("", totals.refused)]);
    let text = "HTTP/2 connections.";
    page.family("pagi_http2_connections_total", "counter", text, [("", totals.http2_connections)]);
    page.family("pagi_http2_streams_total", "counter", "HTTP/2 streams.", [("", totals.http2_streams)]);
    let text = "HTTP/2 connections cut because the client sent too much of what carries nothing.";
    page.family("pagi_http2_cut_total", "counter", text, [("", totals.http2_cut)]);
    page.family("pagi_connections_accepted_total", "counter", "Connections accepted.", [("", totals.accepted)]);
    let handshakes = [("", totals.tls_handshakes)];
    page.family("pagi_tls_handshakes_total", "counter", "Finished TLS handshakes.", handshakes);
    let text = "TLS handshakes that resumed a session.";
    page.family("pagi_tls_resumptions_total", "counter", text, [("", totals.tls_resumed)]);
    let text = "TLS handshakes that came to nothing.";
    page.family("pagi_tls_handshake_failures_total", "counter", text, [("", totals.tls_failed)]);
    page.family("pagi_received_bytes_total", "counter", "Bytes read from clients.", [("", totals.bytes_in)]);
    page.family("pagi_sent_bytes_total", "counter", "Bytes written to clients.", [("", totals.bytes_out)]);
    let connections: u64 = status.workers.iter().map(|worker| worker.connections).sum();
    page.family("pagi_connections", "gauge", "Connections open now.", [("", connections)]);
    let active: u64 = status.workers.iter().map(|worker| worker.active).sum();
    page.family("pagi_requests_active", "gauge", "Application calls under way now.", [("", active)]);
    page.family("pagi_workers_wanted", "gauge", "Workers wanted.", [("", status.workers_wanted)]);
    let states = WorkerState::ALL.map(|state| {
        let number = status.workers.iter().filter(|worker| worker.state == state).count();
        (format!("state=\"{}\"", state.word()), number)
    });
    let states = states.iter().map(|(label, number)| (label.as_str(), *number));
    page.family("pagi_workers", "gauge", "Worker processes by state.", states);
    let causes: Vec<_> = status.restarts.iter().map(|(cause, count)| (format!("cause=\"{cause}\""), *count)).collect();
    let text = "Workers replaced or lost, by cause.";
    let causes = causes.iter().map(|(label, count)| (label.as_str(), *count));
    page.family("pagi_worker_replacements_total", "counter", text, causes);
    let workers: Vec<_> = status
        .workers
        .iter()
        .map(|worker| (format!("worker=\"{}\",pid=\"{}\"", worker.num, worker.pid), worker))
        .collect();
    let ages = workers.iter().map(|(label, worker)| (label.as_str(), seconds(worker.heartbeat_age_ms)));
    let text = "Seconds since a worker's loop last turned.";
    page.family("pagi_worker_heartbeat_age_seconds", "gauge", text, ages);
    let sizes = workers
        .iter()
        .filter_map(|(label, worker)| Some((label.as_str(), memory::resident(i32::try_from(worker.pid).ok()?)?)));
    let text = "Resident memory of a worker, pages shared with others included.";
    page.family("pagi_worker_resident_bytes", "gauge", text, sizes);
    page.family("pagi_generation", "gauge", "Generation of the application code.", [("", status.generation)]);
    let reloading = u8::from(status.reloading.is_some());
    page.family("pagi_reloading", "gauge", "Whether a reload is under way.", [("", reloading)]);
    page.family("pagi_uptime_seconds", "gauge", "Seconds since the server started.", [("", seconds(status.uptime_ms))]);
    page.0
}

fn seconds(milliseconds: u64) -> f64 {
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}

struct Page(String);

impl Page {
    /// Labels are finished text, and empty where there are none.
    fn family<'a, V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = match labels {
                "" => writeln!(self.0, "{name} {value}"),
                labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
            };
        }
    }
}
