//! The sockets of a worker by number, so that a child which the application forks can close them: a client whose
//! connection the parent has closed must see the end of it, whatever the child goes on doing.

use std::cell::RefCell;
use std::collections::HashSet;
use std::os::fd::RawFd;

/// Numbers of open sockets.
#[derive(Default)]
pub struct Descriptors(RefCell<HashSet<RawFd>>);

impl Descriptors {
    /// Remembers a socket that was opened.
    pub fn opened(&self, fd: RawFd) {
        self.0.borrow_mut().insert(fd);
    }

    /// Forgets a socket that is about to be closed.
    pub fn closing(&self, fd: RawFd) {
        self.0.borrow_mut().remove(&fd);
    }

    /// All of them.
    pub fn all(&self) -> Vec<RawFd> {
        self.0.borrow().iter().copied().collect()
    }
}
