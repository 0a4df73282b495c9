//! The status as metrics. Written by hand: numbers that somebody else counts need no registry. Counters include workers
//! that are gone, so that they never go back. docs/operations.md lists them.

use pagi_server_core::histogram::BOUNDS_US;

use super::exposition::{Format, Kind, Labels, Page, seconds};
use crate::cause::Cause;
use crate::control::status::{Status, WorkerState, WorkerStatus};
use crate::staff;

/// Writes all metrics.
#[must_use]
pub fn render(status: &Status, format: Format) -> String {
    let mut page = Page::new(format);
    requests(&mut page, status);
    connections(&mut page, status);
    processes(&mut page, status);
    each_worker(&mut page, status);
    page.finish()
}

fn requests(page: &mut Page, status: &Status) {
    let totals = &status.totals;
    page.single("pagi_requests_total", Kind::Counter, "Finished requests.", totals.requests);
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| Labels::one("class", class));
    let responses = classes.into_iter().zip(totals.status);
    page.family("pagi_responses_total", Kind::Counter, "Responses by class of their status.", responses);
    let text = "Requests the server refused by itself.";
    page.single("pagi_requests_refused_total", Kind::Counter, text, totals.refused);
    let text =
        "Seconds from the complete head of a request to the end of its response; WebSockets and event streams apart.";
    let durations = &totals.durations;
    page.histogram("pagi_request_duration_seconds", text, &BOUNDS_US, &durations.counts, durations.sum_us);
    let active: u64 = workers(status).map(|worker| worker.active).sum();
    page.single("pagi_requests_active", Kind::Gauge, "Application calls under way now.", active);
    let text = "Turns of the event loops of all workers in which application code ran or could run.";
    page.single("pagi_loop_turns_total", Kind::Counter, text, totals.loop_turns);
    let text = "Seconds that those turns held their loops: what approaches one per second and worker is saturation.";
    page.single("pagi_loop_busy_seconds_total", Kind::Counter, text, seconds(totals.loop_busy_us));
    let text = "Calls of the application that held a loop longer than --slow-handler.";
    page.single("pagi_slow_calls_total", Kind::Counter, text, totals.slow_calls);
}

fn connections(page: &mut Page, status: &Status) {
    let totals = &status.totals;
    page.single("pagi_connections_accepted_total", Kind::Counter, "Connections accepted.", totals.accepted);
    let text = "HTTP/2 connections.";
    page.single("pagi_http2_connections_total", Kind::Counter, text, totals.http2_connections);
    page.single("pagi_http2_streams_total", Kind::Counter, "HTTP/2 streams.", totals.http2_streams);
    let text = "HTTP/2 connections cut because the client sent too much of what carries nothing.";
    page.single("pagi_http2_cut_total", Kind::Counter, text, totals.http2_cut);
    page.single("pagi_tls_handshakes_total", Kind::Counter, "Finished TLS handshakes.", totals.tls_handshakes);
    let text = "TLS handshakes that resumed a session.";
    page.single("pagi_tls_resumptions_total", Kind::Counter, text, totals.tls_resumed);
    let text = "TLS handshakes that came to nothing.";
    page.single("pagi_tls_handshake_failures_total", Kind::Counter, text, totals.tls_failed);
    page.single("pagi_received_bytes_total", Kind::Counter, "Bytes read from clients.", totals.bytes_in);
    page.single("pagi_sent_bytes_total", Kind::Counter, "Bytes written to clients.", totals.bytes_out);
    let sum = |number: fn(&WorkerStatus) -> u64| workers(status).map(number).sum::<u64>();
    let text = "Connections open now.";
    page.single("pagi_connections", Kind::Gauge, text, sum(|worker| worker.connections));
    let kinds = [
        ("http1", sum(|worker| worker.open.http1)),
        ("http2", sum(|worker| worker.open.http2)),
        ("websocket", sum(|worker| worker.open.websockets)),
        ("sse", sum(|worker| worker.open.event_streams)),
    ];
    let text = "What is open now: HTTP/1 and HTTP/2 connections, and the WebSockets and event streams on them.";
    let kinds = kinds.map(|(kind, number)| (Labels::one("kind", kind), number));
    page.family("pagi_connections_by_kind", Kind::Gauge, text, kinds);
    let text = "Bytes of responses in memory that clients have not taken.";
    page.single("pagi_buffered_bytes", Kind::Gauge, text, sum(|worker| worker.buffered_bytes));
    let queue = |queue: u32| queue.to_string();
    let queues: Vec<_> = status
        .queues
        .iter()
        .map(|found| (Labels::of([("address", &*found.address), ("queue", &queue(found.queue))]), found))
        .collect();
    let lengths = queues.iter().map(|(labels, queue)| (labels.clone(), queue.length));
    let text = "Connections that wait to be accepted, by accept queue of a TCP address.";
    page.family("pagi_accept_queue_length", Kind::Gauge, text, lengths);
    let limits = queues.iter().map(|(labels, queue)| (labels.clone(), queue.limit));
    page.family("pagi_accept_queue_limit", Kind::Gauge, "Connections that may wait there.", limits);
}

fn processes(page: &mut Page, status: &Status) {
    page.single("pagi_workers_wanted", Kind::Gauge, "Workers wanted.", status.workers_wanted);
    page.family("pagi_workers", Kind::Gauge, "Worker processes by state.", by_state(workers(status)));
    let pool = || status.workers.iter().filter(|worker| staff::is_pool(worker.num));
    page.family("pagi_pool_processes", Kind::Gauge, "Pool processes by state.", by_state(pool()));
    let waiting: u64 = status.workers.iter().map(|worker| worker.pool_waiting).sum();
    let text = "Requests and jobs that wait for a pool process.";
    page.single("pagi_pool_queue_length", Kind::Gauge, text, waiting);
    let causes = Cause::ALL.map(|cause| {
        let count = status.restarts.get(cause.name()).copied().unwrap_or_default();
        (Labels::one("cause", cause.name()), count)
    });
    let text = "Workers replaced or lost, by cause.";
    page.family("pagi_worker_replacements_total", Kind::Counter, text, causes);
    let text = "Resident memory of the master, or of a server without workers.";
    let own = status.memory_bytes.map(|bytes| (Labels::none(), bytes));
    page.family("pagi_master_resident_bytes", Kind::Gauge, text, own);
    let molds = status
        .molds
        .iter()
        .filter_map(|mold| Some((Labels::one("generation", &mold.generation.to_string()), mold.memory_bytes?)));
    let text = "Resident memory of the process that has loaded a generation and forks its workers.";
    page.family("pagi_mold_resident_bytes", Kind::Gauge, text, molds);
    page.single("pagi_generation", Kind::Gauge, "Generation of the application code.", status.generation);
    let reloading = u8::from(status.reloading.is_some());
    page.single("pagi_reloading", Kind::Gauge, "Whether a reload is under way.", reloading);
    let text = "Seconds since the server started.";
    page.single("pagi_uptime_seconds", Kind::Gauge, text, seconds(status.uptime_ms.saturating_mul(1000)));
    let version = [(Labels::one("version", &status.version), 1)];
    page.family("pagi_build_info", Kind::Gauge, "Version of the server.", version);
}

/// What is told of each process by itself: to find the one that behaves unlike the others.
fn each_worker(page: &mut Page, status: &Status) {
    let all: Vec<_> = status
        .workers
        .iter()
        .map(|worker| {
            let name = staff::Short(worker.num).to_string();
            (Labels::of([("worker", &*name), ("pid", &worker.pid.to_string())]), worker)
        })
        .collect();
    let mut gauge = |name: &str, text: &str, number: fn(&WorkerStatus) -> Option<f64>| {
        let samples = all.iter().filter_map(|(labels, worker)| Some((labels.clone(), number(worker)?)));
        page.family(name, Kind::Gauge, text, samples);
    };
    gauge("pagi_worker_heartbeat_age_seconds", "Seconds since a worker's loop last turned.", |worker| {
        Some(seconds(worker.heartbeat_age_ms.saturating_mul(1000)))
    });
    let text = "Resident memory of a worker, pages shared with others included.";
    #[allow(clippy::cast_precision_loss, reason = "memory is far below 2^53 bytes")]
    gauge("pagi_worker_resident_bytes", text, |worker| worker.memory_bytes.map(|bytes| bytes as f64));
    let text = "Longest turn of a worker's event loop in the last ten to twenty seconds: nothing else ran meanwhile.";
    gauge("pagi_worker_loop_lag_seconds", text, |worker| Some(seconds(worker.event_loop.recent_us)));
    let text = "Longest turn of a worker's event loop since it started.";
    gauge("pagi_worker_loop_lag_max_seconds", text, |worker| Some(seconds(worker.event_loop.max_us)));
    let text = "Longest call of the application in a worker since it started, without what it waited in nested turns.";
    gauge("pagi_worker_longest_call_seconds", text, |worker| Some(seconds(worker.event_loop.longest_call_us)));
    let text = "Most turns of a worker's event loop that were nested in each other.";
    #[allow(clippy::cast_precision_loss, reason = "turns are nested two hundred deep at most")]
    gauge("pagi_worker_nested_turns_max", text, |worker| Some(worker.event_loop.deepest as f64));
}

/// Those with clients. What pool processes do is counted by the workers they do it for.
fn workers(status: &Status) -> impl Iterator<Item = &WorkerStatus> {
    status.workers.iter().filter(|worker| !staff::is_pool(worker.num))
}

fn by_state<'a>(processes: impl Iterator<Item = &'a WorkerStatus>) -> Vec<(Labels, usize)> {
    let states: Vec<WorkerState> = processes.map(|process| process.state).collect();
    let number = |state| states.iter().filter(|&&found| found == state).count();
    WorkerState::ALL.map(|state| (Labels::one("state", state.word()), number(state))).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staff::POOL;

    #[test]
    fn pool_processes_are_counted_apart() {
        let worker = |num| WorkerStatus { num, connections: 3, state: WorkerState::Ready, ..WorkerStatus::default() };
        let status = Status { workers: vec![worker(1), worker(2), worker(POOL + 1)], ..Status::default() };
        let page = render(&status, Format::Text);
        let has = |line: &str| assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        has("pagi_connections 6");
        has("pagi_workers{state=\"ready\"} 2");
        has("pagi_pool_processes{state=\"ready\"} 1");
        has("pagi_worker_heartbeat_age_seconds{worker=\"pool-1\",pid=\"0\"} 0");
        has("pagi_worker_replacements_total{cause=\"crash\"} 0");
    }
}
