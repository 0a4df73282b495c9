//! Jobs of the application that this pool process has taken: streams for whoever runs Perl.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// Jobs taken and not finished; at most one at a time.
#[derive(Default)]
pub struct Jobs {
    waiting: RefCell<VecDeque<OwnedFd>>,
    running: Cell<bool>,
    taken_here: Cell<bool>,
}

impl Jobs {
    pub(crate) fn push(&self, stream: OwnedFd) {
        self.waiting.borrow_mut().push_back(stream);
    }

    /// Says that this is a pool process.
    pub fn take_here(&self) {
        self.taken_here.set(true);
    }

    /// Whether this is a pool process: what it has to do it does itself.
    #[must_use]
    pub fn are_taken_here(&self) -> bool {
        self.taken_here.get()
    }

    /// Takes the next job; [`crate::worker::Worker::job_finished`] must follow.
    pub fn begin(&self) -> Option<OwnedFd> {
        let job = self.waiting.borrow_mut().pop_front();
        self.running.set(job.is_some());
        job
    }

    pub(crate) fn finish(&self) {
        self.running.set(false);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.running.get() || !self.waiting.borrow().is_empty()
    }
}
