//! What a slot says, taken out of shared memory.

use pagi_server_core::histogram::CLASSES;
use serde::{Deserialize, Serialize};

use super::State;

/// A slot's contents. Counters are totals since the worker started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Worker number from 1; 0 for a server without workers.
    pub worker_num: u32,
    /// Process id.
    pub pid: u32,
    /// Generation of the application code.
    pub generation: u32,
    /// What the worker is doing.
    pub state: State,
    /// Milliseconds since the process was asked for.
    pub uptime_ms: u64,
    /// Milliseconds since its loop last turned.
    pub heartbeat_age_ms: u64,
    /// Finished requests.
    pub requests: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub connections: u64,
    /// Exchanges under way now.
    pub active: u64,
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes written to clients.
    pub bytes_out: u64,
    /// Requests refused by the server itself.
    pub refused: u64,
    /// HTTP/2 connections.
    pub http2_connections: u64,
    /// HTTP/2 streams.
    pub http2_streams: u64,
    /// HTTP/2 connections cut because the client sent too much of what carries nothing.
    pub http2_cut: u64,
    /// Finished TLS handshakes.
    pub tls_handshakes: u64,
    /// Those of them that resumed a session.
    pub tls_resumed: u64,
    /// TLS handshakes that came to nothing.
    pub tls_failed: u64,
    /// Responses from 1xx to 5xx.
    pub status: [u64; 5],
    /// Requests and jobs that wait for a pool process.
    pub pool_waiting: u64,
    /// Bytes of responses in memory that clients have not taken.
    pub buffered: u64,
    /// What is open now.
    pub kinds: Kinds,
    /// How long the event loop was held.
    pub event_loop: EventLoop,
    /// How long requests took.
    pub durations: Durations,
}

/// What is open now: connections by version, and what runs on them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    /// Connections that speak HTTP/1, or have not said anything yet.
    pub http1: u64,
    /// Connections that speak HTTP/2.
    pub http2: u64,
    /// WebSockets, over either.
    pub websockets: u64,
    /// Event streams, over either.
    pub event_streams: u64,
}

/// How a worker's event loop has been held: while a turn holds it, nothing else of the worker runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLoop {
    /// Turns in which application code ran or could run.
    pub turns: u64,
    /// Microseconds they held the loop, in all.
    pub busy_us: u64,
    /// The longest of them, in microseconds.
    pub max_us: u64,
    /// The longest of the last ten to twenty seconds, in microseconds.
    pub recent_us: u64,
    /// Calls of the application that held the loop longer than `--slow-handler`.
    pub slow_calls: u64,
    /// The longest call of the application, in microseconds.
    pub longest_call_us: u64,
    /// Most turns that were nested in each other.
    pub deepest: u64,
}

/// How long requests took, in the classes of [`BOUNDS_US`](pagi_server_core::histogram::BOUNDS_US).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// Requests of each class, not those below it.
    pub counts: [u64; CLASSES],
    /// Microseconds in all.
    pub sum_us: u64,
}

impl Durations {
    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(sum, count)| *sum += count);
        self.sum_us += other.sum_us;
    }
}
