//! Jobs of the application that this pool process has taken: streams for whoever runs Perl.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// Jobs taken and not finished; at most one at a time.
#[derive(Default)]
pub struct Jobs {
    waiting: RefCell<VecDeque<OwnedFd>>,
    running: Cell<bool>,
}

impl Jobs {
    pub(crate) fn push(&self, stream: OwnedFd) {
        self.waiting.borrow_mut().push_back(stream);
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
