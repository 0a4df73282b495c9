//! How long turns, and single calls into the application, hold the loop. While one does, nothing else of the worker
//! runs (event-loops.md section 3), so operators have to hear of it: in numbers always, in the log from a threshold on.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use pagi_server_core::stats::Stats;

use crate::perl::slow;

/// Each place is named in the log at most once in this time.
const SILENCE: Duration = Duration::from_secs(60);
/// Places remembered for that.
const PLACES: usize = 1000;
/// Length of the windows of which the longest recent turn is taken.
const WINDOW: Duration = Duration::from_secs(10);

/// See the module documentation.
pub(crate) struct Lag {
    threshold: Option<Duration>,
    /// When the runtime gave the loop to Perl.
    held_since: Cell<Option<Instant>>,
    /// Time spent in nested turns so far: what they wait, no call is to blame for.
    nested: Cell<Duration>,
    recent: Cell<Recent>,
    told: RefCell<Told>,
}

impl Lag {
    /// With a threshold for the log, if any.
    pub(crate) fn new(threshold: Option<Duration>) -> Self {
        let threshold = threshold.filter(|&threshold| match slow::start(threshold) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!("Slow handlers will not be reported: {error}");
                false
            }
        });
        Self {
            threshold,
            held_since: Cell::new(None),
            nested: Cell::default(),
            recent: Cell::new(Recent::new(Instant::now())),
            told: RefCell::default(),
        }
    }

    /// Perl holds the loop from now on.
    pub(crate) fn held(&self) {
        self.held_since.set(Some(Instant::now()));
    }

    /// The runtime has it again.
    pub(crate) fn released(&self, stats: &Stats) {
        let Some(since) = self.held_since.take() else { return };
        let now = Instant::now();
        let micros = micros(now.duration_since(since));
        Stats::add(&stats.loop_lag_turns, 1);
        Stats::add(&stats.loop_lag_total_us, micros);
        stats.loop_lag_max_us.set(stats.loop_lag_max_us.get().max(micros));
        let recent = self.recent.get().with(now, micros);
        self.recent.set(recent);
        stats.loop_lag_recent_us.set(recent.longest());
    }

    /// Runs a nested turn on behalf of a call.
    pub(crate) fn nest<T>(&self, depth: u32, stats: &Stats, turn: impl FnOnce() -> T) -> T {
        stats.loop_lag_deepest.set(stats.loop_lag_deepest.get().max(u64::from(depth)));
        let began = Instant::now();
        let before = self.nested.get();
        if self.threshold.is_some() {
            slow::nested();
        }
        let turned = turn();
        // Turns nested in this one have added their part already; it is in ours.
        self.nested.set(before + began.elapsed());
        if self.threshold.is_some() {
            slow::begin();
        }
        turned
    }

    /// Runs a call into the application; `what` names it when it was slow.
    pub(crate) fn call<T>(&self, stats: &Stats, what: impl FnOnce() -> String, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let nested = self.nested.get();
        if self.threshold.is_some() {
            slow::begin();
        }
        let result = call();
        let took = began.elapsed().saturating_sub(self.nested.get().saturating_sub(nested));
        stats.loop_lag_longest_call_us.set(stats.loop_lag_longest_call_us.get().max(micros(took)));
        if let Some(threshold) = self.threshold {
            let place = slow::end(took);
            if took >= threshold {
                Stats::add(&stats.loop_lag_slow_calls, 1);
                self.tell(&what(), took, place);
            }
        }
        result
    }

    fn tell(&self, what: &str, took: Duration, place: Option<(String, u64)>) {
        let place = place.map_or_else(|| "an unknown line".to_owned(), |(file, line)| format!("{file} line {line}"));
        if self.told.borrow_mut().is_news(&place, Instant::now()) {
            tracing::warn!("Slow handler: {what} held the event loop for {} ms, at {place}", took.as_millis());
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The longest turn of this window and of the one before.
#[derive(Debug, Clone, Copy)]
struct Recent {
    since: Instant,
    now: u64,
    before: u64,
}

impl Recent {
    fn new(now: Instant) -> Self {
        Self { since: now, now: 0, before: 0 }
    }

    fn with(self, now: Instant, micros: u64) -> Self {
        let age = now.saturating_duration_since(self.since);
        if age < WINDOW {
            return Self { now: self.now.max(micros), ..self };
        }
        Self { since: now, now: micros, before: if age < 2 * WINDOW { self.now } else { 0 } }
    }

    fn longest(self) -> u64 {
        self.now.max(self.before)
    }
}

/// What was said when.
#[derive(Debug, Default)]
struct Told(HashMap<String, Instant>);

impl Told {
    fn is_news(&mut self, place: &str, now: Instant) -> bool {
        if self.0.get(place).is_some_and(|&said| now.saturating_duration_since(said) < SILENCE) {
            return false;
        }
        if self.0.len() >= PLACES {
            self.0.retain(|_, said| now.saturating_duration_since(*said) < SILENCE);
        }
        if self.0.len() >= PLACES {
            self.0.clear();
        }
        self.0.insert(place.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_news_once_a_minute() {
        let (mut told, start) = (Told::default(), Instant::now());
        assert!(told.is_news("app.pl line 1", start));
        assert!(told.is_news("app.pl line 2", start));
        assert!(!told.is_news("app.pl line 1", start + SILENCE / 2));
        assert!(told.is_news("app.pl line 1", start + SILENCE));
        assert!(!told.is_news("app.pl line 1", start + SILENCE + SILENCE / 2));
    }

    #[test]
    fn what_was_said_does_not_fill_memory() {
        let (mut told, start) = (Told::default(), Instant::now());
        for line in 0..10 * PLACES {
            assert!(told.is_news(&format!("app.pl line {line}"), start));
            assert!(told.0.len() <= PLACES);
        }
    }

    #[test]
    fn the_longest_recent_turn_is_forgotten_after_two_windows() {
        let start = Instant::now();
        let recent = Recent::new(start).with(start, 500).with(start + WINDOW / 2, 20);
        assert_eq!(recent.longest(), 500);
        let next = recent.with(start + WINDOW, 30);
        assert_eq!(next.longest(), 500, "the window before still counts");
        assert_eq!(next.with(start + 2 * WINDOW, 10).longest(), 30);
        assert_eq!(recent.with(start + 5 * WINDOW, 10).longest(), 10, "a long silence forgets both");
    }
}
