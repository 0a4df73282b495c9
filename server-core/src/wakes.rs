//! Wake-ups of connections that are put off while applications run. Outside the runtime each would begin with a write to
//! its eventfd and end with an event to read it back; inside it is a push to a queue.

use std::cell::{Cell, RefCell};
use std::task::Waker;

/// Wake-ups of one worker.
#[derive(Default)]
pub struct Wakes {
    later: RefCell<Vec<Waker>>,
    is_outside: Cell<bool>,
}

impl Wakes {
    /// Says whether wake-ups are put off from now on; returns what was said before.
    pub fn put_off(&self, outside: bool) -> bool {
        self.is_outside.replace(outside)
    }

    /// To be called inside the runtime, before anything is waited for.
    pub fn catch_up(&self) {
        // A waker that runs code of ours may wake others.
        while let Some(waker) = self.take() {
            waker.wake();
        }
    }

    fn take(&self) -> Option<Waker> {
        self.later.borrow_mut().pop()
    }

    pub(crate) fn wake(&self, waker: Waker) {
        if self.is_outside.get() {
            self.later.borrow_mut().push(waker);
        } else {
            waker.wake();
        }
    }
}
