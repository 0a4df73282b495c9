//! How long to wait before a failed process is started again (D-12).

use std::time::Duration;

/// Waiting time doubles from here.
const FIRST: Duration = Duration::from_millis(500);
/// And never exceeds this.
const LONGEST: Duration = Duration::from_secs(30);
/// A process that lived so long after it had become ready has not failed to start: the count begins anew.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Waiting time after so many failures in a row. The first is repeated at once: a single crash should not cost
/// capacity.
#[must_use]
pub fn delay(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => FIRST.saturating_mul(1_u32.checked_shl(more - 2).unwrap_or(u32::MAX)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit() {
        let delays: Vec<u128> = (0..10).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(delays, [0, 0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(delay(u32::MAX), LONGEST);
    }
}
