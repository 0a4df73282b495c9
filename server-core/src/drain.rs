//! Graceful shutdown of connections: one state that every connection looks at, and a way to wake them all.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

/// How far the shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Running,
    /// Current exchanges finish, responses announce `Connection: close`, idle connections get a short grace.
    Draining,
    /// Everything left is cut.
    Aborting,
}

/// Shared by all connections of a worker.
pub struct Drain {
    phase: Cell<Phase>,
    waiters: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { phase: Cell::new(Phase::Running), waiters: RefCell::default(), free: RefCell::default() }
    }
}

impl Drain {
    /// Current phase.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Moves on to a later phase and wakes every connection to look at it. Never goes back.
    pub fn advance(&self, phase: Phase) {
        if phase > self.phase.get() {
            self.phase.set(phase);
            for waiter in self.waiters.borrow().iter().flatten() {
                waiter.wake_by_ref();
            }
        }
    }

    /// A place for one connection's waker, given back when dropped.
    pub(crate) fn seat(&self) -> Seat<'_> {
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut waiters = self.waiters.borrow_mut();
            waiters.push(None);
            waiters.len() - 1
        });
        Seat { drain: self, index }
    }
}

/// One connection's registration.
pub(crate) struct Seat<'a> {
    drain: &'a Drain,
    index: usize,
}

impl Seat<'_> {
    /// Remembers whom to wake, and tells the phase.
    pub(crate) fn watch(&self, cx: &Context<'_>) -> Phase {
        let waiter = &mut self.drain.waiters.borrow_mut()[self.index];
        if !waiter.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waiter = Some(cx.waker().clone());
        }
        self.drain.phase.get()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.drain.waiters.borrow_mut()[self.index] = None;
        self.drain.free.borrow_mut().push(self.index);
    }
}
