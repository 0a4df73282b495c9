//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

pub use crate::raw::PATIENCE;

/// Asks again and again until the answer is yes or the time is over; returns the answer.
pub fn poll(time: Duration, mut question: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    loop {
        if question() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a yes; gives up after [`PATIENCE`], and leaves it to the caller to notice.
pub fn wait_until(question: impl FnMut() -> bool) {
    poll(PATIENCE, question);
}

/// Waits for a yes; panics after [`PATIENCE`].
#[track_caller]
pub fn await_that(what: &str, question: impl FnMut() -> bool) {
    assert!(poll(PATIENCE, question), "waited in vain: {what}");
}
