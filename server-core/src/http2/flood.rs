//! When a client sends too many frames that cost us work and carry nothing: pure policy, over the frames of one
//! connection and a clock.

use std::time::Instant;

use super::frames::{Frame, Kind};
use super::options::{Http2Options, RateLimit};

/// Why a client is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flood {
    /// Streams are opened and reset at a rate (CVE-2023-44487).
    Resets,
    /// SETTINGS, PING, PRIORITY, WINDOW_UPDATE, CONTINUATION, empty DATA or unknown frames (CVE-2019-9512 and its kin).
    Control,
}

impl Flood {
    /// For the log.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Resets => "too many RST_STREAM frames (--h2-rst-rate-limit)",
            Self::Control => "too many control or empty frames (--h2-control-rate-limit)",
        }
    }
}

/// What a request lets its client send along: priorities, a window update, an early SETTINGS.
const PER_REQUEST: f64 = 2.0;
/// Bytes of response that call for a WINDOW_UPDATE. Clients that send smaller ones keep us sending tiny DATA frames.
const BYTES_PER_UPDATE: f64 = 512.0;
/// A message that left the stream's queue empty may be acknowledged at stream and connection level, however small.
const PER_MESSAGE: f64 = 2.0;

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    limit: RateLimit,
    filled: Instant,
}

impl Bucket {
    fn new(limit: RateLimit, now: Instant) -> Self {
        Self { tokens: limit.burst.into(), limit, filled: now }
    }

    fn earn(&mut self, tokens: f64) {
        self.tokens = (self.tokens + tokens).min(self.limit.burst.into());
    }

    /// Takes one; `false` when none is left.
    fn take(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.earn(seconds * f64::from(self.limit.per_second));
        self.tokens -= 1.0;
        self.tokens >= 0.0
    }
}

/// The frames of one connection.
#[derive(Debug)]
pub(super) struct FloodGauge {
    resets: Bucket,
    control: Bucket,
}

impl FloodGauge {
    pub(super) fn new(options: &Http2Options, now: Instant) -> Self {
        Self { resets: Bucket::new(options.rst_rate_limit, now), control: Bucket::new(options.control_rate_limit, now) }
    }

    /// Counts a frame; the error says that the client has to go.
    pub(super) fn count(&mut self, frame: Frame, now: Instant) -> Result<(), Flood> {
        let fine = match frame.kind {
            Kind::ResetStream if !self.resets.take(now) => return Err(Flood::Resets),
            Kind::ResetStream => true,
            Kind::Headers => {
                self.control.earn(PER_REQUEST);
                true
            }
            Kind::Data => frame.length > 0 || frame.ends_stream || self.control.take(now),
            Kind::Control => self.control.take(now),
        };
        if fine { Ok(()) } else { Err(Flood::Control) }
    }

    /// DATA was sent, which clients answer with WINDOW_UPDATE; `emptied` when it was all that the stream had.
    pub(super) fn sent(&mut self, bytes: usize, emptied: bool) {
        // Precise far beyond the size of a write.
        let updates = bytes as f64 / BYTES_PER_UPDATE;
        self.control.earn(updates + if emptied { PER_MESSAGE } else { 0.0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PING: Frame = Frame { kind: Kind::Control, length: 8, ends_stream: false };
    const RESET: Frame = Frame { kind: Kind::ResetStream, length: 4, ends_stream: false };
    const HEADERS: Frame = Frame { kind: Kind::Headers, length: 20, ends_stream: true };

    fn gauge(now: Instant) -> FloodGauge {
        let limit = RateLimit { burst: 10, per_second: 5 };
        FloodGauge::new(
            &Http2Options { rst_rate_limit: limit, control_rate_limit: limit, ..Http2Options::default() },
            now,
        )
    }

    fn accepted(gauge: &mut FloodGauge, frame: Frame, now: Instant) -> usize {
        (0..1000).take_while(|_| gauge.count(frame, now).is_ok()).count()
    }

    #[test]
    fn a_burst_then_a_rate() {
        let start = Instant::now();
        let mut gauge = gauge(start);
        assert_eq!(accepted(&mut gauge, RESET, start), 10);
        assert_eq!(gauge.count(RESET, start), Err(Flood::Resets));
        // The refused ones count too: half a second refills two and a half, and two are owed.
        assert_eq!(accepted(&mut gauge, RESET, start + Duration::from_secs(2)), 8);
        assert_eq!(accepted(&mut gauge, PING, start), 10, "kinds have buckets of their own");
    }

    #[test]
    fn empty_data_counts_unless_it_ends_the_stream() {
        let now = Instant::now();
        let data = |length, ends_stream| Frame { kind: Kind::Data, length, ends_stream };
        assert_eq!(accepted(&mut gauge(now), data(0, false), now), 10);
        assert_eq!(accepted(&mut gauge(now), data(0, true), now), 1000);
        assert_eq!(accepted(&mut gauge(now), data(1, false), now), 1000);
    }

    #[test]
    fn requests_and_responses_pay_for_what_they_call_for() {
        let now = Instant::now();
        let mut gauge = gauge(now);
        for _ in 0..1000 {
            gauge.count(HEADERS, now).unwrap();
            gauge.count(PING, now).unwrap();
            gauge.count(PING, now).unwrap();
        }
        for _ in 0..1000 {
            gauge.sent(512, false);
            gauge.count(PING, now).unwrap();
        }
        for _ in 0..1000 {
            gauge.sent(1, true);
            gauge.count(PING, now).unwrap();
            gauge.count(PING, now).unwrap();
        }
        // A window that is opened byte by byte earns nothing (CVE-2019-9511).
        let dribbled = (0..1000).take_while(|_| {
            gauge.sent(1, false);
            gauge.count(PING, now).is_ok()
        });
        assert!(dribbled.count() <= 10);
    }
}
