//! When to ping, and when a missing pong means that the peer is gone (WS-34 to WS-37). Times come from the caller.

use std::time::{Duration, Instant};

/// Shortest time between pings; a smaller interval would keep the worker busy with nothing else.
const SHORTEST: Duration = Duration::from_millis(1);

/// Longest time that is told from "never".
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A ping.
    Ping,
    /// The pong did not come in time (WS-36).
    PongMissing,
}

/// The keepalive of one connection; off until set.
#[derive(Debug, Default)]
pub struct Keepalive {
    interval: Duration,
    timeout: Option<Duration>,
    next_ping: Option<Instant>,
    /// When the pong of the oldest unanswered ping is overdue.
    pong_until: Option<Instant>,
    /// Nothing is read at the moment, so nobody can be missed.
    is_deaf: bool,
}

impl Keepalive {
    /// Takes over a `websocket.keepalive` event, in seconds; the latest one wins and 0 stops (WS-34, WS-35). The first
    /// ping goes out one interval from now. A timeout of 0 is none. The error is the sentence that fails the send
    /// (WS-37, DATA-4); the keepalive set before then goes on.
    pub fn set(&mut self, interval: f64, timeout: Option<f64>, now: Instant) -> Result<(), String> {
        let interval = seconds("interval", interval)?;
        let timeout = timeout.map(|timeout| seconds("timeout", timeout)).transpose()?;
        let is_deaf = self.is_deaf;
        *self = if interval.is_zero() {
            Self { is_deaf, ..Self::default() }
        } else {
            let interval = interval.max(SHORTEST);
            Self {
                interval,
                timeout: timeout.filter(|timeout| !timeout.is_zero()),
                next_ping: now.checked_add(interval),
                pong_until: None,
                is_deaf,
            }
        };
        Ok(())
    }

    /// When [`Keepalive::due`] has to be asked next; `None` when it need not be.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.next_ping, self.pong_until.filter(|_| !self.is_deaf)].into_iter().flatten().min()
    }

    /// What is due; a ping that is due counts as sent now.
    pub fn due(&mut self, now: Instant) -> Due {
        if !self.is_deaf && self.pong_until.is_some_and(|until| now >= until) {
            return Due::PongMissing;
        }
        if self.next_ping.is_none_or(|ping| now < ping) {
            return Due::Nothing;
        }
        // From now and not from when it was due: after a stall one ping is enough.
        self.next_ping = now.checked_add(self.interval);
        if let Some(timeout) = self.timeout {
            self.pong_until = self.pong_until.or_else(|| now.checked_add(timeout));
        }
        Due::Ping
    }

    /// A pong came, whatever its payload: the peer is there.
    pub fn pong(&mut self) {
        self.pong_until = None;
    }

    /// Reading pauses because the application is slow. A pong that waits in the socket is not missing (WS-36 looks for
    /// dead peers): until [`Keepalive::reading_again`] nobody is missed.
    pub fn reading_paused(&mut self) {
        self.is_deaf = true;
    }

    /// Reading goes on; the time of an unanswered ping starts again.
    pub fn reading_again(&mut self, now: Instant) {
        self.is_deaf = false;
        if let (Some(_), Some(timeout)) = (self.pong_until, self.timeout) {
            self.pong_until = now.checked_add(timeout);
        }
    }

    /// Stops for good.
    pub fn stop(&mut self) {
        *self = Self::default();
    }
}

fn seconds(name: &str, value: f64) -> Result<Duration, String> {
    if !value.is_finite() || value < 0.0 {
        return Err(format!("websocket.keepalive '{name}' must be a number of seconds, 0 or more, got {value}"));
    }
    Ok(Duration::try_from_secs_f64(value).unwrap_or(LONGEST).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn ws_34_pings_every_interval() {
        let start = Instant::now();
        let mut keepalive = Keepalive::default();
        assert_eq!((keepalive.deadline(), keepalive.due(start)), (None, Due::Nothing));
        keepalive.set(0.5, None, start).unwrap();
        assert_eq!(keepalive.deadline(), Some(after(start, 0.5)));
        assert_eq!(keepalive.due(after(start, 0.4)), Due::Nothing);
        assert_eq!(keepalive.due(after(start, 0.6)), Due::Ping);
        assert_eq!(keepalive.due(after(start, 0.6)), Due::Nothing);
        assert_eq!(keepalive.deadline(), Some(after(start, 0.6) + Duration::from_millis(500)));
        // After a stall of many intervals there is one ping.
        assert_eq!(keepalive.due(after(start, 60.0)), Due::Ping);
        assert_eq!(keepalive.due(after(start, 60.0)), Due::Nothing);
    }

    #[test]
    fn ws_35_the_latest_wins_and_0_stops() {
        let start = Instant::now();
        let mut keepalive = Keepalive::default();
        keepalive.set(1.0, Some(1.0), start).unwrap();
        assert_eq!(keepalive.due(after(start, 1.0)), Due::Ping);
        keepalive.set(5.0, None, after(start, 1.0)).unwrap();
        assert_eq!(keepalive.deadline(), Some(after(start, 6.0)), "the old timeout is gone too");
        keepalive.set(0.0, Some(1.0), after(start, 2.0)).unwrap();
        assert_eq!(keepalive.deadline(), None);
        assert_eq!(keepalive.due(after(start, 100.0)), Due::Nothing);
    }

    #[test]
    fn ws_36_a_missing_pong() {
        let start = Instant::now();
        let mut keepalive = Keepalive::default();
        keepalive.set(2.0, Some(5.0), start).unwrap();
        assert_eq!(keepalive.due(after(start, 2.0)), Due::Ping);
        assert_eq!(keepalive.due(after(start, 4.0)), Due::Ping, "pings go on meanwhile");
        keepalive.pong();
        assert_eq!(keepalive.due(after(start, 6.0)), Due::Ping);
        assert_eq!(keepalive.due(after(start, 8.0)), Due::Ping);
        assert_eq!(keepalive.due(after(start, 10.5)), Due::Ping);
        assert_eq!(keepalive.deadline(), Some(after(start, 11.0)), "counted from the oldest unanswered ping");
        assert_eq!(keepalive.due(after(start, 11.0)), Due::PongMissing);
    }

    #[test]
    fn ws_36_without_a_timeout_nobody_is_missed() {
        let start = Instant::now();
        for timeout in [None, Some(0.0)] {
            let mut keepalive = Keepalive::default();
            keepalive.set(1.0, timeout, start).unwrap();
            for second in 1..100 {
                assert_eq!(keepalive.due(after(start, f64::from(second))), Due::Ping);
            }
        }
    }

    #[test]
    fn ws_36_a_pong_that_we_do_not_read_is_not_missing() {
        let start = Instant::now();
        let mut keepalive = Keepalive::default();
        keepalive.set(1.0, Some(2.0), start).unwrap();
        keepalive.reading_again(start);
        assert_eq!(keepalive.deadline(), Some(after(start, 1.0)), "no ping is unanswered yet");
        assert_eq!(keepalive.due(after(start, 1.0)), Due::Ping);
        keepalive.reading_paused();
        assert_eq!(keepalive.due(after(start, 10.0)), Due::Ping);
        assert_eq!(keepalive.deadline(), Some(after(start, 11.0)), "the next ping, and no missing pong");
        keepalive.reading_again(after(start, 50.0));
        assert_eq!(keepalive.due(after(start, 51.0)), Due::Ping);
        assert_eq!(keepalive.due(after(start, 52.0)), Due::PongMissing);
    }

    #[test]
    fn ws_37_data_4_what_is_refused() {
        let start = Instant::now();
        let mut keepalive = Keepalive::default();
        keepalive.set(3.0, None, start).unwrap();
        for bad in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(keepalive.set(bad, None, start).is_err(), "{bad}");
            assert!(keepalive.set(1.0, Some(bad), start).is_err(), "{bad}");
        }
        assert_eq!(
            keepalive.set(-1.0, None, start).unwrap_err(),
            "websocket.keepalive 'interval' must be a number of seconds, 0 or more, got -1"
        );
        assert_eq!(keepalive.deadline(), Some(after(start, 3.0)), "the one before goes on");
        keepalive.set(1e300, Some(1e300), start).unwrap();
        assert_eq!(keepalive.due(after(start, 1e6)), Due::Nothing);
        keepalive.set(1e-9, None, start).unwrap();
        assert_eq!(keepalive.deadline(), Some(start + SHORTEST));
    }
}
