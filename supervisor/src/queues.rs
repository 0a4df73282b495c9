//! Which accept queues a worker takes connections from. A pure function, because a queue that nobody accepts from is
//! an outage for the clients hashed to it.

/// Queues of a group (by index) that worker `worker` of `workers` (both counted from 0) accepts from.
///
/// Every worker takes its own queue and the next one: while it is blocked inside Perl, its predecessor empties its
/// queue. With fewer workers than queues the queues are dealt out; with more, workers share.
#[must_use]
pub fn assigned(worker: usize, workers: usize, queues: usize) -> Vec<usize> {
    if workers == 0 {
        return Vec::new();
    }
    let dealt = workers.min(queues).max(1);
    let own = worker % dealt;
    let next = (own + 1) % dealt;
    (0..queues).filter(|queue| queue % dealt == own || queue % dealt == next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_many_queues_as_workers() {
        assert_eq!(assigned(0, 4, 4), [0, 1]);
        assert_eq!(assigned(1, 4, 4), [1, 2]);
        assert_eq!(assigned(3, 4, 4), [0, 3]);
    }

    #[test]
    fn edges() {
        assert_eq!(assigned(0, 1, 1), [0]);
        assert_eq!(assigned(0, 1, 3), [0, 1, 2]);
        assert_eq!(assigned(5, 8, 1), [0]);
        assert_eq!(assigned(0, 2, 5), [0, 1, 2, 3, 4]);
        assert!(assigned(0, 0, 4).is_empty());
        assert!(assigned(0, 4, 0).is_empty());
    }

    proptest! {
        #[test]
        fn no_queue_is_left_alone(workers in 1usize..40, queues in 1usize..40) {
            let all: Vec<Vec<usize>> = (0..workers).map(|worker| assigned(worker, workers, queues)).collect();
            for queue in 0..queues {
                let takers = all.iter().filter(|taken| taken.contains(&queue)).count();
                prop_assert!(takers >= workers.min(2), "queue {queue} has {takers} takers");
            }
            for taken in &all {
                prop_assert!(!taken.is_empty());
                prop_assert!(taken.iter().all(|&queue| queue < queues));
                prop_assert!(taken.is_sorted());
            }
        }

        #[test]
        fn load_is_even(workers in 1usize..40) {
            for worker in 0..workers {
                prop_assert_eq!(assigned(worker, workers, workers).len(), workers.min(2));
            }
        }
    }
}
