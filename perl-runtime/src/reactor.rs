//! Timers, descriptor watches and deferred calls of Perl code: what the loop adapters stand on.
//!
//! Descriptors are watched by an epoll set of their own, which the worker's runtime watches as one descriptor. The set is
//! made when first needed.
//!
//! A worker forked from a mold takes over what was set up while the application loaded ([`Reactor::adopt`]; BIND-5,
//! FIO-7). A child that the application forks starts with an empty reactor: what its parent waits for is its parent's
//! to answer, and the parent's epoll set is left alone.

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

struct Watch {
    id: u64,
    direction: Direction,
    code: Rc<Scalar>,
}

/// Everything that is waited for.
#[derive(Default)]
struct Waiting {
    epoll: Option<Epoll>,
    /// Watches by descriptor, in the order in which they were made.
    watches: HashMap<RawFd, Vec<Watch>>,
    /// The descriptor of each watch.
    watched: HashMap<u64, RawFd>,
    /// Descriptors that epoll does not take because they are always ready: regular files.
    always: Vec<RawFd>,
    timers: BTreeMap<(Instant, u64), Scalar>,
    deadlines: HashMap<u64, Instant>,
    later: VecDeque<(u64, Scalar)>,
}

impl Waiting {
    fn set(&mut self) -> Result<&Epoll, Errno> {
        match &mut self.epoll {
            Some(set) => Ok(set),
            empty => Ok(empty.insert(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?)),
        }
    }

    /// Tells epoll what this descriptor is watched for; it reports hang-ups and errors unasked.
    fn apply(&mut self, fd: RawFd) -> Result<(), Errno> {
        let Some(watches) = self.watches.get(&fd) else { return self.let_go(fd) };
        let mut flags = EpollFlags::empty();
        for watch in watches {
            match watch.direction {
                Direction::Read => flags |= EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP,
                Direction::Write => flags |= EpollFlags::EPOLLOUT,
                Direction::Hangup => {}
            }
        }
        let mut event = EpollEvent::new(flags, u64::try_from(fd).unwrap_or(0));
        let set = self.set()?;
        let added = match set.modify(descriptor::borrow(fd), &mut event) {
            Err(Errno::ENOENT) => set.add(descriptor::borrow(fd), event),
            other => other,
        };
        match added {
            Err(Errno::EPERM) => {
                if !self.always.contains(&fd) {
                    self.always.push(fd);
                }
                Ok(())
            }
            other => other,
        }
    }

    fn let_go(&mut self, fd: RawFd) -> Result<(), Errno> {
        self.always.retain(|&always| always != fd);
        match self.set()?.delete(descriptor::borrow(fd)) {
            // The application may have closed the descriptor first; the kernel has forgotten it then.
            Err(Errno::EBADF | Errno::ENOENT | Errno::EPERM) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn remove(&mut self, id: u64) -> Option<(RawFd, Watch)> {
        let fd = self.watched.remove(&id)?;
        let watches = self.watches.get_mut(&fd)?;
        let removed = watches.iter().position(|watch| watch.id == id).map(|index| watches.remove(index));
        if watches.is_empty() {
            self.watches.remove(&fd);
        }
        removed.map(|watch| (fd, watch))
    }
}

/// What a fork made of this process.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Lineage {
    /// Nothing: everything here is its own.
    #[default]
    Own,
    /// It is a copy, and has not looked at its reactor yet.
    Copied,
}

/// See the module documentation. No cell is borrowed while Perl values are freed: their destructors may come back here.
#[derive(Default)]
pub(crate) struct Reactor {
    waiting: RefCell<Waiting>,
    /// What the parent waited for, in a child that the application forked.
    inherited: RefCell<Waiting>,
    lineage: Cell<Lineage>,
    last_id: Cell<u64>,
    latest_turn: Cell<u64>,
    /// How often this began anew.
    era: Cell<u64>,
}

impl Reactor {
    fn next_id(&self) -> u64 {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        id
    }

    /// Calls `code` once, `delay` from now. The number cancels it.
    pub(crate) fn timer(&self, delay: Duration, code: Scalar) -> u64 {
        let id = self.next_id();
        // A delay beyond what the clock can express never fires.
        if let Some(deadline) = Instant::now().checked_add(delay) {
            let mut waiting = self.waiting.borrow_mut();
            waiting.timers.insert((deadline, id), code);
            waiting.deadlines.insert(id, deadline);
        }
        id
    }

    /// Forgets a timer; one that has fired is no error (FIO-6).
    pub(crate) fn cancel_timer(&self, id: u64) {
        let mut waiting = self.waiting.borrow_mut();
        let deadline = waiting.deadlines.remove(&id);
        let code = deadline.and_then(|deadline| waiting.timers.remove(&(deadline, id)));
        drop(waiting);
        drop(code);
    }

    /// Calls `code` whenever the descriptor is ready in that direction, beside other watches of it. The number ends
    /// the watch.
    pub(crate) fn watch(&self, fd: RawFd, direction: Direction, code: Scalar) -> Result<u64, Errno> {
        let id = self.next_id();
        let mut waiting = self.waiting.borrow_mut();
        waiting.watches.entry(fd).or_default().push(Watch { id, direction, code: Rc::new(code) });
        waiting.watched.insert(id, fd);
        let applied = waiting.apply(fd);
        let refused = applied.is_err().then(|| waiting.remove(id));
        drop(waiting);
        drop(refused);
        applied.map(|()| id)
    }

    /// Ends a watch; one that does not exist is no error.
    pub(crate) fn unwatch(&self, id: u64) -> Result<(), Errno> {
        let mut waiting = self.waiting.borrow_mut();
        let Some((fd, watch)) = waiting.remove(id) else { return Ok(()) };
        let applied = waiting.apply(fd);
        drop(waiting);
        drop(watch);
        match applied {
            // Closed by the application before another watch of it was ended.
            Err(Errno::EBADF) => Ok(()),
            other => other,
        }
    }

    /// Calls `code` in the next turn (BIND-2).
    pub(crate) fn later(&self, code: Scalar) {
        let id = self.next_id();
        self.waiting.borrow_mut().later.push_back((id, code));
    }

    /// In the child of a fork, from the fork handler: only takes a note.
    pub(crate) fn forked(&self) {
        self.lineage.set(Lineage::Copied);
    }

    /// In a child that the application forked, before its first use of the reactor: begins with an empty one. The
    /// parent's is kept, neither used nor freed, because destructors of its values are not this process's to run.
    pub(crate) fn begin_anew_if_copied(&self) {
        if self.lineage.replace(Lineage::Own) == Lineage::Copied {
            let inherited = self.waiting.take();
            std::mem::forget(self.inherited.replace(inherited));
            self.era.set(self.era.get() + 1);
        }
    }

    /// Changes when everything that was waited for is forgotten, so that adapters forget theirs.
    pub(crate) fn era(&self) -> u64 {
        self.era.get()
    }

    /// In a forked process that goes on with its parent's work: takes over everything, with an epoll set of its own.
    pub(crate) fn adopt(&self) {
        if self.lineage.replace(Lineage::Own) == Lineage::Own {
            self.take_back_inheritance();
        }
        let mut waiting = self.waiting.borrow_mut();
        // Closing our descriptor leaves the parent's set as it is.
        waiting.epoll = None;
        waiting.always.clear();
        let watched: Vec<RawFd> = waiting.watches.keys().copied().collect();
        for fd in watched {
            if let Err(error) = waiting.apply(fd) {
                tracing::warn!(fd, %error, "a descriptor watched before the fork cannot be watched any more");
            }
        }
    }

    fn take_back_inheritance(&self) {
        let inherited = self.inherited.take();
        let mut waiting = self.waiting.borrow_mut();
        for (fd, mut watches) in inherited.watches {
            watches.append(waiting.watches.entry(fd).or_default());
            waiting.watches.insert(fd, watches);
        }
        waiting.watched.extend(inherited.watched);
        waiting.timers.extend(inherited.timers);
        waiting.deadlines.extend(inherited.deadlines);
        waiting.later.extend(inherited.later);
    }

    /// A second descriptor of the epoll set, for the runtime to watch; `None` while nothing was ever watched.
    pub(crate) fn descriptor(&self) -> Option<std::io::Result<OwnedFd>> {
        use std::os::fd::{AsFd, BorrowedFd};
        let waiting = self.waiting.borrow();
        let fd: BorrowedFd<'_> = descriptor::borrow(waiting.epoll.as_ref()?.0.as_raw_fd());
        Some(fd.as_fd().try_clone_to_owned())
    }

    /// Whether anything is due without waiting.
    pub(crate) fn is_due(&self) -> bool {
        let waiting = self.waiting.borrow();
        !waiting.later.is_empty()
            || !waiting.always.is_empty()
            || waiting.timers.first_key_value().is_some_and(|(&(deadline, _), _)| deadline <= Instant::now())
    }

    /// When the next timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.borrow().timers.first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// How long until something of this is due; `None` when nothing is.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        if self.is_due() {
            return Some(Duration::ZERO);
        }
        self.next_deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether there is nothing that could ever happen.
    pub(crate) fn is_idle(&self) -> bool {
        let waiting = self.waiting.borrow();
        waiting.watches.is_empty() && waiting.timers.is_empty() && waiting.later.is_empty()
    }

    /// Whether a watched descriptor is ready now.
    pub(crate) fn has_ready_watches(&self) -> bool {
        let mut event = [EpollEvent::empty()];
        let waiting = self.waiting.borrow();
        waiting.epoll.as_ref().is_some_and(|set| set.wait(&mut event, EpollTimeout::ZERO).is_ok_and(|count| count > 0))
    }

    /// The watches whose descriptors are ready now; waits for at most `wait`, even when nothing is watched.
    pub(crate) fn ready_watches(&self, wait: Duration) -> Vec<(u64, Rc<Scalar>)> {
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
        let mut waiting = self.waiting.borrow_mut();
        let count = if wait.is_zero() && waiting.epoll.is_none() {
            0
        } else {
            let timeout = timeout(wait);
            waiting.set().and_then(|set| set.wait(&mut events, timeout)).unwrap_or(0)
        };
        let mut ready = Vec::with_capacity(count);
        let broken = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        for event in &events[..count] {
            let watches = i32::try_from(event.data()).ok().and_then(|fd| waiting.watches.get(&fd));
            for watch in watches.into_iter().flatten() {
                let wanted = match watch.direction {
                    Direction::Read => EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | broken,
                    Direction::Write => EpollFlags::EPOLLOUT | broken,
                    Direction::Hangup => broken,
                };
                if event.events().intersects(wanted) {
                    ready.push((watch.id, Rc::clone(&watch.code)));
                }
            }
        }
        for fd in &waiting.always {
            for watch in waiting.watches.get(fd).into_iter().flatten() {
                if watch.direction != Direction::Hangup {
                    ready.push((watch.id, Rc::clone(&watch.code)));
                }
            }
        }
        ready
    }

    /// Whether this watch is still wanted: a callback before it may have ended it.
    pub(crate) fn is_watched(&self, id: u64) -> bool {
        self.waiting.borrow().watched.contains_key(&id)
    }

    /// Takes the next timer that was due at this moment.
    pub(crate) fn take_due(&self, moment: Instant) -> Option<Scalar> {
        let mut waiting = self.waiting.borrow_mut();
        let entry = waiting.timers.first_entry().filter(|entry| entry.key().0 <= moment)?;
        let ((_, id), code) = entry.remove_entry();
        waiting.deadlines.remove(&id);
        Some(code)
    }

    /// Most timers to run in one turn.
    pub(crate) const TIMERS_PER_TURN: usize = EVENTS_PER_TURN;

    /// A moment for [`Self::take_deferred`], and the number of a turn that begins.
    pub(crate) fn begin_turn(&self) -> u64 {
        let turn = self.next_id();
        self.latest_turn.set(turn);
        turn
    }

    /// Whether no turn has begun since that one.
    pub(crate) fn is_latest(&self, turn: u64) -> bool {
        self.latest_turn.get() == turn
    }

    /// Takes the next call that was deferred before this turn began (BIND-2). One at a time: when it runs a nested turn,
    /// those after it run there.
    pub(crate) fn take_deferred(&self, turn: u64) -> Option<Scalar> {
        let mut waiting = self.waiting.borrow_mut();
        let is_older = waiting.later.front().is_some_and(|&(id, _)| id < turn);
        if is_older { waiting.later.pop_front().map(|(_, code)| code) } else { None }
    }
}

/// Rounded up: a turn that ends a fraction of a millisecond before its timer would only be taken once more.
fn timeout(wait: Duration) -> EpollTimeout {
    let wait = wait.checked_add(Duration::from_micros(999)).unwrap_or(wait);
    EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::MAX)
}
