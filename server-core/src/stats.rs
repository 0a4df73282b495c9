//! Running totals of one worker, kept as plain cells: only the worker's thread writes them, and the process that
//! wants to see them copies them out once a turn.

use std::cell::Cell;

use crate::histogram::Histogram;

/// Totals since the worker started, and current levels.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests whose response is finished, whatever the outcome.
    pub requests: Cell<u64>,
    /// Connections accepted.
    pub accepted: Cell<u64>,
    /// Connections open now.
    pub connections: Cell<u64>,
    /// Exchanges under way now (an application call that has not finished).
    pub active: Cell<u64>,
    /// Bytes read from clients.
    pub bytes_in: Cell<u64>,
    /// Bytes written to clients.
    pub bytes_out: Cell<u64>,
    /// Responses by first digit of the status: index 0 holds 1xx, index 4 holds 5xx.
    pub status: [Cell<u64>; 5],
    /// How long plain requests took, from the complete head to the end of the response. A request that was refused before
    /// it was understood has no duration, and the life of a WebSocket or event stream is none.
    pub durations: Histogram,
    /// Connections open now that speak HTTP/2.
    pub http2_open: Cell<u64>,
    /// WebSockets open now, over either version of HTTP.
    pub websockets: Cell<u64>,
    /// Event streams open now, over either version of HTTP.
    pub event_streams: Cell<u64>,
    /// Bytes of responses that are held in memory because their clients have not taken them.
    pub buffered: Cell<u64>,
    /// Turns of the event loop in which application code ran or could run.
    pub loop_lag_turns: Cell<u64>,
    /// Microseconds that turns held the loop, in all: while one does, nothing else of this worker runs.
    pub loop_lag_total_us: Cell<u64>,
    /// The longest of them since the worker started, in microseconds.
    pub loop_lag_max_us: Cell<u64>,
    /// The longest of the last ten to twenty seconds, in microseconds.
    pub loop_lag_recent_us: Cell<u64>,
    /// Calls into the application that held the loop longer than `--slow-handler`.
    pub loop_lag_slow_calls: Cell<u64>,
    /// The longest single call into the application, in microseconds; without what it waited in nested turns.
    pub loop_lag_longest_call_us: Cell<u64>,
    /// Most turns that were ever nested in each other.
    pub loop_lag_deepest: Cell<u64>,
    /// Requests refused by the server itself (400, 408, 413, 414, 431, 501, 503, 505).
    pub refused: Cell<u64>,
    /// HTTP/2 connections.
    pub http2_connections: Cell<u64>,
    /// HTTP/2 streams accepted.
    pub http2_streams: Cell<u64>,
    /// HTTP/2 connections that were cut because the client sent too much of what carries nothing.
    pub http2_cut: Cell<u64>,
    /// Finished TLS handshakes.
    pub tls_handshakes: Cell<u64>,
    /// Those of them that resumed a session.
    pub tls_resumed: Cell<u64>,
    /// TLS handshakes that came to nothing.
    pub tls_failed: Cell<u64>,
}

impl Stats {
    /// Adds `n` to a total.
    pub fn add(cell: &Cell<u64>, n: u64) {
        cell.set(cell.get().wrapping_add(n));
    }

    /// Takes `n` off a level.
    pub fn sub(cell: &Cell<u64>, n: u64) {
        cell.set(cell.get().saturating_sub(n));
    }

    /// Counts one response by its status class.
    pub fn count_status(&self, status: u16) {
        if let Some(cell) = self.status.get(usize::from(status / 100).wrapping_sub(1)) {
            Self::add(cell, 1);
        }
    }
}

/// Raises a level for as long as it lives.
#[must_use]
pub(crate) struct Raised<'s>(&'s Cell<u64>);

impl<'s> Raised<'s> {
    /// Adds one.
    pub(crate) fn by_one(level: &'s Cell<u64>) -> Self {
        Stats::add(level, 1);
        Self(level)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        Stats::sub(self.0, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_level_falls_again() {
        let stats = Stats::default();
        let one = Raised::by_one(&stats.http2_open);
        let other = Raised::by_one(&stats.http2_open);
        drop(one);
        assert_eq!(stats.http2_open.get(), 1);
        drop(other);
        assert_eq!(stats.http2_open.get(), 0);
    }
}
