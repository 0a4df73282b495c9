//! How long requests take, counted in fixed classes: an observation costs a short search and two additions.

use std::cell::Cell;
use std::time::Duration;

/// Upper bounds of the classes, in microseconds, each included in its class. What takes longer than the last is counted
/// in one class more.
pub const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// Number of classes.
pub const CLASSES: usize = BOUNDS_US.len() + 1;

/// Counts of durations by class, and their sum.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Durations in each class, not in those below it.
    pub counts: [Cell<u64>; CLASSES],
    /// Microseconds in all.
    pub sum_us: Cell<u64>,
}

impl Histogram {
    /// Counts a duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_US.partition_point(|&bound| bound < micros);
        if let Some(count) = self.counts.get(class) {
            count.set(count.get().wrapping_add(1));
        }
        self.sum_us.set(self.sum_us.get().wrapping_add(micros));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_class_below() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        histogram.observe(Duration::from_secs(3600));
        let counts = histogram.counts.map(Cell::into_inner);
        assert_eq!((counts[0], counts[1], counts[13], counts[14]), (2, 1, 1, 2));
        assert_eq!(counts.iter().sum::<u64>(), 6);
        assert_eq!(histogram.sum_us.get(), 500 + 501 + 20_000_001 + 3_600_000_000);
        assert!(BOUNDS_US.is_sorted());
    }
}
