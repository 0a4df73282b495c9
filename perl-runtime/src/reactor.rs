//! Timers, descriptor watches and deferred calls of Perl code: what the loop adapters stand on.
//!
//! Descriptors are watched by an epoll set of their own, which the worker's runtime watches as one descriptor. The set is
//! made when first needed and made anew after a fork, so that a loop used while the application loads in the mold is
//! usable in the workers (BIND-5, FIO-7).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::perl::descriptor;
use crate::perl::value::Scalar;

/// Watches and timers handled per turn before connections get their turn again (FUT-10).
const EVENTS_PER_TURN: usize = 256;

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
    /// The peer has closed both ways, or the descriptor is broken.
    Hangup,
}

#[derive(Default)]
struct Watch {
    read: Option<Rc<Scalar>>,
    write: Option<Rc<Scalar>>,
    hangup: Option<Rc<Scalar>>,
}

impl Watch {
    fn slot(&mut self, direction: Direction) -> &mut Option<Rc<Scalar>> {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
            Direction::Hangup => &mut self.hangup,
        }
    }

    /// What to ask epoll for; it reports hang-ups and errors unasked.
    fn flags(&self) -> EpollFlags {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, self.read.is_some());
        flags.set(EpollFlags::EPOLLOUT, self.write.is_some());
        flags
    }

    fn is_empty(&self) -> bool {
        self.read.is_none() && self.write.is_none() && self.hangup.is_none()
    }
}

/// See the module documentation.
#[derive(Default)]
pub(crate) struct Reactor {
    epoll: RefCell<Option<Epoll>>,
    watches: RefCell<HashMap<RawFd, Watch>>,
    /// Descriptors that epoll does not take because they are always ready: regular files.
    always: RefCell<Vec<RawFd>>,
    timers: RefCell<BTreeMap<(Instant, u64), Scalar>>,
    deadlines: RefCell<HashMap<u64, Instant>>,
    later: RefCell<VecDeque<Scalar>>,
    next_timer: Cell<u64>,
}

impl Reactor {
    /// Calls `code` once, `delay` from now. The number cancels it.
    pub(crate) fn timer(&self, delay: Duration, code: Scalar) -> u64 {
        let id = self.next_timer.get() + 1;
        self.next_timer.set(id);
        // A delay beyond what the clock can express never fires.
        if let Some(deadline) = Instant::now().checked_add(delay) {
            self.timers.borrow_mut().insert((deadline, id), code);
            self.deadlines.borrow_mut().insert(id, deadline);
        }
        id
    }

    /// Forgets a timer; one that has fired is no error (FIO-6).
    pub(crate) fn cancel_timer(&self, id: u64) {
        let deadline = self.deadlines.borrow_mut().remove(&id);
        let code = deadline.and_then(|deadline| self.timers.borrow_mut().remove(&(deadline, id)));
        drop(code);
    }

    /// Calls `code` whenever the descriptor is ready in that direction; replaces an earlier watch.
    pub(crate) fn watch(&self, fd: RawFd, direction: Direction, code: Scalar) -> Result<(), Errno> {
        let replaced = {
            let mut watches = self.watches.borrow_mut();
            watches.entry(fd).or_default().slot(direction).replace(Rc::new(code))
        };
        drop(replaced);
        self.apply(fd)
    }

    /// Ends a watch; one that does not exist is no error.
    pub(crate) fn unwatch(&self, fd: RawFd, direction: Direction) -> Result<(), Errno> {
        let removed = self.watches.borrow_mut().get_mut(&fd).and_then(|watch| watch.slot(direction).take());
        if removed.is_none() {
            return Ok(());
        }
        let applied = self.apply(fd);
        drop(removed);
        applied
    }

    /// Calls `code` in the next turn (BIND-2).
    pub(crate) fn later(&self, code: Scalar) {
        self.later.borrow_mut().push_back(code);
    }

    fn apply(&self, fd: RawFd) -> Result<(), Errno> {
        let flags = {
            let mut watches = self.watches.borrow_mut();
            if watches.get(&fd).is_some_and(Watch::is_empty) {
                watches.remove(&fd);
            }
            watches.get(&fd).map(Watch::flags)
        };
        let mut epoll = self.epoll.borrow_mut();
        let set = match &mut *epoll {
            Some(set) => set,
            empty => empty.insert(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?),
        };
        let Some(flags) = flags else {
            self.always.borrow_mut().retain(|&always| always != fd);
            return match set.delete(descriptor::borrow(fd)) {
                // The application may have closed the descriptor first; the kernel has forgotten it then.
                Err(Errno::EBADF | Errno::ENOENT | Errno::EPERM) | Ok(()) => Ok(()),
                Err(error) => Err(error),
            };
        };
        let mut event = EpollEvent::new(flags, u64::try_from(fd).unwrap_or(0));
        let added = match set.modify(descriptor::borrow(fd), &mut event) {
            Err(Errno::ENOENT) => set.add(descriptor::borrow(fd), event),
            other => other,
        };
        match added {
            Err(Errno::EPERM) => {
                let mut always = self.always.borrow_mut();
                if !always.contains(&fd) {
                    always.push(fd);
                }
                Ok(())
            }
            Err(error) => {
                self.watches.borrow_mut().remove(&fd);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// In a forked child: the epoll set is shared with the parent, so make a new one with the same watches.
    pub(crate) fn after_fork(&self) {
        self.epoll.replace(None);
        let watched: Vec<RawFd> = self.watches.borrow().keys().copied().collect();
        for fd in watched {
            if let Err(error) = self.apply(fd) {
                tracing::warn!(fd, %error, "a descriptor watched before the fork cannot be watched any more");
            }
        }
    }

    /// In a child that the application has forked: nothing here is the child's. It must not touch the epoll set it shares
    /// with its parent, nor run the parent's callbacks when it waits for something of its own. The callbacks are leaked:
    /// this is called from inside fork(2), where no destructor of Perl's may run.
    pub(crate) fn abandon(&self) {
        if let Ok(mut epoll) = self.epoll.try_borrow_mut() {
            *epoll = None;
        }
        abandoned(&self.watches);
        abandoned(&self.always);
        abandoned(&self.timers);
        abandoned(&self.deadlines);
        abandoned(&self.later);
    }

    /// A second descriptor of the epoll set, for the runtime to watch; `None` while nothing was ever watched.
    pub(crate) fn descriptor(&self) -> Option<std::io::Result<OwnedFd>> {
        use std::os::fd::{AsFd, BorrowedFd};
        let epoll = self.epoll.borrow();
        let fd: BorrowedFd<'_> = descriptor::borrow(epoll.as_ref()?.0.as_raw_fd());
        Some(fd.as_fd().try_clone_to_owned())
    }

    /// Whether anything is due without waiting.
    pub(crate) fn is_due(&self) -> bool {
        !self.later.borrow().is_empty()
            || !self.always.borrow().is_empty()
            || self.next_deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// When the next timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.borrow().first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// Whether there is nothing that could ever happen.
    pub(crate) fn is_idle(&self) -> bool {
        self.watches.borrow().is_empty() && self.timers.borrow().is_empty() && self.later.borrow().is_empty()
    }

    /// Whether a watched descriptor is ready now.
    pub(crate) fn has_ready_watches(&self) -> bool {
        let mut event = [EpollEvent::empty()];
        let epoll = self.epoll.borrow();
        epoll.as_ref().is_some_and(|set| set.wait(&mut event, EpollTimeout::ZERO).is_ok_and(|count| count > 0))
    }

    /// Code for descriptors that are ready now; waits for at most `wait`.
    pub(crate) fn ready_watches(&self, wait: Duration) -> Vec<Rc<Scalar>> {
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
        let timeout = EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::MAX);
        let count = match &*self.epoll.borrow() {
            Some(set) => set.wait(&mut events, timeout).unwrap_or(0),
            None => 0,
        };
        let mut watches = self.watches.borrow_mut();
        let mut ready = Vec::with_capacity(count);
        for event in &events[..count] {
            let Some(watch) = i32::try_from(event.data()).ok().and_then(|fd| watches.get_mut(&fd)) else { continue };
            let broken = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
            if event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | broken) {
                ready.extend(watch.read.clone());
            }
            if event.events().intersects(EpollFlags::EPOLLOUT | broken) {
                ready.extend(watch.write.clone());
            }
            if event.events().intersects(broken) {
                ready.extend(watch.hangup.clone());
            }
        }
        for fd in &*self.always.borrow() {
            if let Some(watch) = watches.get(fd) {
                ready.extend(watch.read.iter().chain(&watch.write).cloned());
            }
        }
        ready
    }

    /// Takes the timers that are due.
    pub(crate) fn due_timers(&self) -> Vec<Scalar> {
        let now = Instant::now();
        let mut timers = self.timers.borrow_mut();
        let mut due = Vec::new();
        while due.len() < EVENTS_PER_TURN
            && let Some(entry) = timers.first_entry()
            && entry.key().0 <= now
        {
            self.deadlines.borrow_mut().remove(&entry.key().1);
            due.push(entry.remove());
        }
        due
    }

    /// Takes the deferred calls; those made while they run belong to the next turn (BIND-2).
    pub(crate) fn deferred(&self) -> VecDeque<Scalar> {
        std::mem::take(&mut self.later.borrow_mut())
    }
}

fn abandoned<T: Default>(cell: &RefCell<T>) {
    if let Ok(mut contents) = cell.try_borrow_mut() {
        std::mem::forget(std::mem::take(&mut *contents));
    }
}
