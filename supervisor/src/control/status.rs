//! `GET /v1/status`: what a server tells about itself. Fields may be added within a version, never removed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::memory;
use crate::scoreboard::{Durations, EventLoop, Kinds, Reading};

/// A server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the server.
    pub version: String,
    /// Process id of the master, or of a server without workers.
    pub pid: u32,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Generation of the application code that new workers get.
    pub generation: u32,
    /// Workers wanted; 0 for a server without workers.
    pub workers_wanted: u32,
    /// Generation that is being loaded, tried or rolled out.
    #[serde(default)]
    pub reloading: Option<u32>,
    /// Workers replaced or lost, by cause.
    #[serde(default)]
    pub restarts: BTreeMap<String, u64>,
    /// Whether it is going down.
    pub stopping: bool,
    /// Addresses, as in the banner.
    pub listening: Vec<String>,
    /// Everything the server has done since it started, workers that are gone included.
    #[serde(default)]
    pub totals: Totals,
    /// Resident memory of the process that answers, in bytes, shared pages included.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// The processes that load the application and fork workers.
    #[serde(default)]
    pub molds: Vec<MoldStatus>,
    /// Accept queues of TCP addresses.
    #[serde(default)]
    pub queues: Vec<QueueStatus>,
    /// Worker processes by number; a server without workers shows itself as number 0.
    pub workers: Vec<WorkerStatus>,
}

/// A mold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoldStatus {
    /// Generation of its code.
    pub generation: u32,
    /// Process id.
    pub pid: u32,
    /// Resident memory in bytes, shared pages included.
    pub memory_bytes: Option<u64>,
}

/// Connections that wait to be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Where it listens, as in the banner.
    pub address: String,
    /// Number within the address, from 0.
    pub queue: u32,
    /// How many wait.
    pub length: u32,
    /// How many may; the kernel lets those who come then try again later.
    pub limit: u32,
}

/// Sums over all workers there ever were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Finished requests.
    pub requests: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Requests the server refused by itself.
    pub refused: u64,
    /// HTTP/2 connections.
    #[serde(default)]
    pub http2_connections: u64,
    /// HTTP/2 streams.
    #[serde(default)]
    pub http2_streams: u64,
    /// HTTP/2 connections cut because the client sent too much of what carries nothing.
    #[serde(default)]
    pub http2_cut: u64,
    /// Finished TLS handshakes.
    #[serde(default)]
    pub tls_handshakes: u64,
    /// Those of them that resumed a session.
    #[serde(default)]
    pub tls_resumed: u64,
    /// TLS handshakes that came to nothing.
    #[serde(default)]
    pub tls_failed: u64,
    /// Turns of event loops.
    #[serde(default)]
    pub loop_turns: u64,
    /// Microseconds that they held their loops.
    #[serde(default)]
    pub loop_busy_us: u64,
    /// Calls of the application that held a loop longer than `--slow-handler`.
    #[serde(default)]
    pub slow_calls: u64,
    /// How long requests took.
    #[serde(default)]
    pub durations: Durations,
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes written to clients.
    pub bytes_out: u64,
    /// Responses from 1xx to 5xx.
    pub status: [u64; 5],
}

impl Totals {
    /// Adds a worker's counters.
    pub fn add(&mut self, reading: &Reading) {
        self.requests += reading.requests;
        self.accepted += reading.accepted;
        self.refused += reading.refused;
        self.http2_connections += reading.http2_connections;
        self.http2_streams += reading.http2_streams;
        self.http2_cut += reading.http2_cut;
        self.tls_handshakes += reading.tls_handshakes;
        self.tls_resumed += reading.tls_resumed;
        self.tls_failed += reading.tls_failed;
        self.loop_turns += reading.event_loop.turns;
        self.loop_busy_us += reading.event_loop.busy_us;
        self.slow_calls += reading.event_loop.slow_calls;
        self.durations.add(&reading.durations);
        self.bytes_in += reading.bytes_in;
        self.bytes_out += reading.bytes_out;
        for (sum, count) in self.status.iter_mut().zip(reading.status) {
            *sum += count;
        }
    }
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// Asked for; perhaps loading the application.
    #[default]
    Loading,
    /// In lifespan start-up.
    Starting,
    /// Serving.
    Ready,
    /// Serving until its replacement is ready.
    Retiring,
    /// Finishing its connections.
    Draining,
    /// Killed, and about to be gone.
    Killed,
}

impl WorkerState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Loading, Self::Starting, Self::Ready, Self::Retiring, Self::Draining, Self::Killed];

    /// The word users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Retiring => "retiring",
            Self::Draining => "draining",
            Self::Killed => "killed",
        }
    }
}

/// A worker process. Counters are totals since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Number from 1; those of pool processes begin with 100001.
    pub num: u32,
    /// Process id; 0 while it does not exist yet.
    pub pid: u32,
    /// Generation of its code.
    pub generation: u32,
    /// What it is doing.
    pub state: WorkerState,
    /// Milliseconds since it was asked for.
    pub uptime_ms: u64,
    /// Milliseconds since its loop last turned.
    pub heartbeat_age_ms: u64,
    /// Finished requests.
    pub requests: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub connections: u64,
    /// Application calls under way now.
    pub active: u64,
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes written to clients.
    pub bytes_out: u64,
    /// Requests the server refused by itself.
    pub refused: u64,
    /// Responses from 1xx to 5xx.
    pub status: [u64; 5],
    /// Requests and jobs of its clients that wait for a pool process.
    #[serde(default)]
    pub pool_waiting: u64,
    /// Bytes of responses in memory that its clients have not taken.
    #[serde(default)]
    pub buffered_bytes: u64,
    /// Resident memory in bytes, pages shared with others included.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// What is open now.
    #[serde(default)]
    pub open: Kinds,
    /// How long its event loop was held.
    #[serde(default)]
    pub event_loop: EventLoop,
}

impl WorkerStatus {
    /// Puts a slot's reading beside the state its supervisor knows.
    #[must_use]
    pub fn new(state: WorkerState, reading: &Reading) -> Self {
        Self {
            num: reading.worker_num,
            pid: reading.pid,
            generation: reading.generation,
            state,
            uptime_ms: reading.uptime_ms,
            heartbeat_age_ms: reading.heartbeat_age_ms,
            requests: reading.requests,
            accepted: reading.accepted,
            connections: reading.connections,
            active: reading.active,
            bytes_in: reading.bytes_in,
            bytes_out: reading.bytes_out,
            refused: reading.refused,
            status: reading.status,
            pool_waiting: reading.pool_waiting,
            buffered_bytes: reading.buffered,
            memory_bytes: i32::try_from(reading.pid).ok().filter(|&pid| pid > 0).and_then(memory::resident),
            open: reading.kinds,
            event_loop: reading.event_loop,
        }
    }
}
