//! Turns inside of turns: what a handler runs that waits for a Future without `await`.

use std::time::{Duration, Instant};

use super::{Loop, with};
use crate::call::Exited;
use crate::native;

/// Turns nested deeper than this are refused: each holds a piece of the C stack.
const DEEPEST: u32 = 200;
/// What a handler gets that waits in a nested turn while the server stops.
const GIVEN_UP: &str = "the server is stopping and does not wait any longer";

/// How a nested turn ended.
pub(crate) enum Turned {
    /// Normally.
    Done,
    /// The application called `exit`.
    Exit,
    /// It could not be run.
    Failed(String),
}

/// One turn on behalf of Perl code that waits: until something ran, or `wait` is over.
pub(crate) fn nested_turn(wait: Option<Duration>) -> Turned {
    match with(|worker| worker) {
        Some(worker) if !worker.is_forked_child() => worker.nest(wait),
        _ => native::turn_alone(wait),
    }
}

impl Loop {
    /// How many turns are nested in each other now; 0 outside of Perl code that waits.
    pub(crate) fn depth(&self) -> u32 {
        self.depth.get()
    }

    pub(super) fn nest(&'static self, wait: Option<Duration>) -> Turned {
        if self.depth.get() >= DEEPEST {
            return Turned::Failed(format!(
                "{DEEPEST} handlers wait inside each other (get, recv, one_tick, ...); await instead of blocking"
            ));
        }
        let until = wait.and_then(|wait| Instant::now().checked_add(wait));
        let before = self.activity.get();
        self.depth.set(self.depth.get() + 1);
        if self.is_overdue() {
            return Turned::Failed(GIVEN_UP.to_owned());
        }
        let turned = self.lag.nest(self.depth.get(), &self.core.stats, || {
            loop {
                let left = until.map_or(self.heartbeat, |until| until.saturating_duration_since(Instant::now()));
                if let Err(Exited) = self.turn(left.min(self.heartbeat)) {
                    break Turned::Exit;
                }
                if self.is_overdue() {
                    break Turned::Failed(GIVEN_UP.to_owned());
                }
                // The heartbeat ends a park, but is nothing that anybody waits for.
                if self.activity.get() != before || until.is_some_and(|until| until <= Instant::now()) {
                    break Turned::Done;
                }
            }
        });
        self.depth.set(self.depth.get() - 1);
        turned
    }

    /// The server is to stop: handlers that wait in nested turns, where nobody obeys commands, have so long.
    pub(crate) fn stop_within(&self, patience: Duration) {
        let limit = Instant::now() + patience;
        self.stop_by.set(Some(self.stop_by.get().map_or(limit, |earlier| earlier.min(limit))));
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.stop_by.get().is_some_and(|limit| limit <= Instant::now())
    }
}
