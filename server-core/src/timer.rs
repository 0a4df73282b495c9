//! A timer, moved as rarely as possible.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

thread_local! {
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<BinaryHeap<Reverse<Instant>>> = const { RefCell::new(BinaryHeap::new()) };
}

/// From now on the deadlines of this thread's timers can be asked for: by a loop that waits outside of the runtime.
pub fn keep_deadlines() {
    IS_KEPT.set(true);
}

/// The next moment at which a timer of this thread may fire. It may be one that nobody waits for any more.
#[must_use]
pub fn next_deadline() -> Option<Instant> {
    let now = Instant::now();
    KEPT.with_borrow_mut(|kept| {
        while kept.peek().is_some_and(|Reverse(deadline)| *deadline <= now) {
            kept.pop();
        }
        kept.peek().map(|Reverse(deadline)| *deadline)
    })
}

fn keep(deadline: tokio::time::Instant) {
    if IS_KEPT.get() {
        // The runtime's clock is good for a millisecond; what is asked for must not be before the timer fires.
        let deadline = deadline.into_std() + Duration::from_millis(1);
        KEPT.with_borrow_mut(|kept| kept.push(Reverse(deadline)));
    }
}

/// A timer whose deadline mostly moves later: it is left alone then, and looks again when it fires.
#[derive(Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once the deadline has passed; never without one.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let deadline = tokio::time::Instant::from_std(deadline);
        let sleep = self.0.get_or_insert_with(|| {
            keep(deadline);
            Box::pin(tokio::time::sleep_until(deadline))
        });
        if sleep.deadline() > deadline {
            keep(deadline);
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if tokio::time::Instant::now() >= deadline {
                return Poll::Ready(());
            }
            keep(deadline);
            sleep.as_mut().reset(deadline);
        }
    }
}

/// The earlier of two deadlines, either of which may be none.
pub(crate) fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
