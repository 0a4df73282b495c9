//! How long a worker may go without a sign of life.

use std::time::Duration;

use crate::messages::WorkerId;
use crate::roster::{Roster, Stage};
use crate::scoreboard::Scoreboard;
use crate::settings::optional;
use crate::staff;

/// How much longer than its request a pool process may live.
const POOL_MARGIN: Duration = Duration::from_secs(1);

/// The bounds; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    serving: Option<Duration>,
    starting: Option<Duration>,
    /// For a pool process, which blocks for as long as its request or job takes.
    pool: Option<Duration>,
}

impl Patience {
    /// From `--heartbeat-timeout` and `--lifespan-startup-timeout`, of which zero means none.
    #[must_use]
    pub fn new(heartbeat: Duration, startup: Duration) -> Self {
        let serving = optional(heartbeat);
        // Start-up may block in Perl for as long as start-up may take at all.
        let starting = serving.and_then(|serving| Some(serving.saturating_add(optional(startup)?)));
        Self { serving, starting, pool: None }
    }

    /// The same with `--pool-timeout`. A worker that waits for the process answers its client first.
    #[must_use]
    pub fn with_pool(self, timeout: Duration) -> Self {
        let pool = optional(timeout).map(|timeout| timeout.saturating_add(POOL_MARGIN));
        Self { pool, ..self }
    }

    /// How often to look: at least once a second, and a fifth of the bound, so that detection takes at most a fifth longer than promised.
    #[must_use]
    pub fn pulse(self) -> Duration {
        // Memory and the watchdog are looked after at the same time.
        let second = Duration::from_secs(1);
        self.serving.map_or(second, |bound| (bound / 5).clamp(Duration::from_millis(50), second))
    }

    /// Workers that were silent for too long.
    #[must_use]
    pub fn lost(self, roster: &Roster, scoreboard: &Scoreboard) -> Vec<WorkerId> {
        let is_lost = |num, stage, slot| {
            let age = scoreboard.slot(slot).map(|slot| Duration::from_millis(slot.heartbeat_age_ms()));
            self.bound(num, stage).is_some_and(|bound| age.is_some_and(|age| age > bound))
        };
        roster
            .workers
            .iter()
            .filter(|(_, worker)| is_lost(worker.num, worker.stage, worker.slot))
            .map(|(&id, _)| id)
            .collect()
    }

    fn bound(self, num: u32, stage: Stage) -> Option<Duration> {
        match stage {
            // Loading has no bound, and a killed worker is as good as gone.
            Stage::Requested | Stage::Killed => None,
            Stage::Starting => self.starting,
            _ if staff::is_pool(num) => self.pool,
            Stage::Ready | Stage::Leaving | Stage::Stopping | Stage::Hurrying => self.serving,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use std::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bounds_by_stage() {
        let patience = Patience::new(SECOND * 50, SECOND * 30);
        assert_eq!(patience.bound(1, Stage::Requested), None);
        assert_eq!(patience.bound(1, Stage::Starting), Some(SECOND * 80));
        assert_eq!(patience.bound(1, Stage::Ready), Some(SECOND * 50));
        assert_eq!(patience.bound(1, Stage::Stopping), Some(SECOND * 50));
        assert_eq!(patience.bound(1, Stage::Killed), None);
        assert_eq!(Patience::new(SECOND * 50, Duration::ZERO).bound(1, Stage::Starting), None);
        assert_eq!(Patience::new(Duration::ZERO, SECOND).bound(1, Stage::Ready), None);
    }

    #[test]
    fn a_pool_process_may_block_for_as_long_as_its_request() {
        let patience = Patience::new(SECOND * 5, SECOND).with_pool(SECOND * 30);
        assert_eq!(patience.bound(staff::POOL + 1, Stage::Ready), Some(SECOND * 31));
        assert_eq!(patience.bound(staff::POOL + 1, Stage::Starting), Some(SECOND * 6));
        assert_eq!(patience.with_pool(Duration::ZERO).bound(staff::POOL + 1, Stage::Ready), None);
    }

    #[test]
    fn looks_often_enough_but_not_too_often() {
        assert_eq!(Patience::new(SECOND * 50, SECOND).pulse(), SECOND);
        assert_eq!(Patience::new(SECOND * 2, SECOND).pulse(), SECOND * 2 / 5);
        assert_eq!(Patience::new(SECOND / 100, SECOND).pulse(), SECOND / 20);
        assert_eq!(Patience::new(Duration::ZERO, SECOND).pulse(), SECOND);
    }

    #[test]
    fn only_silent_workers_are_lost() {
        let now = Instant::now();
        let scoreboard = Scoreboard::create(2).unwrap();
        let mut roster = Roster::new(2, false, now);
        let [silent, lively] = [0, 1].map(|slot| {
            scoreboard.slot(slot).unwrap().assign(1, 1);
            let id = roster.note_requested(1, 1, slot, now);
            roster.apply(Event::WorkerReady { id }, now);
            id
        });
        std::thread::sleep(Duration::from_millis(300));
        scoreboard.slot(1).unwrap().beat();
        let patience = Patience::new(Duration::from_millis(200), SECOND);
        assert_eq!(patience.lost(&roster, &scoreboard), [silent]);
        assert_ne!(silent, lively);
    }
}
