//! Waiting: the runtime runs connections until something is ready for Perl. With `--loop` another loop waits, and the
//! runtime gets what it needs around that.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::Interest;

use super::{Engine, Loop};
use crate::call::Exited;
use crate::foreign::Foreign;
use crate::native;
use crate::perl::descriptor;
use crate::perl::interpreter;
use crate::perl::value::Outcome;

impl Loop {
    pub(super) fn park(&'static self, wait: Duration) {
        let reactor = native::reactor();
        self.watch_perl_descriptors();
        let wait = if reactor.is_due() || self.has_more_to_do() { Duration::ZERO } else { wait };
        let latest = Instant::now().checked_add(wait);
        let deadline = match (latest, reactor.next_deadline()) {
            (Some(latest), Some(timer)) => Some(latest.min(timer)),
            (latest, timer) => latest.or(timer),
        };
        // The first poll comes before the connections were given their turn: let them write first.
        let mut first = true;
        let engine = self.engine.borrow();
        let Some(Engine { runtime, local }) = engine.as_ref() else { return };
        let outer = self.core.wakes.put_off(false);
        local.block_on(
            runtime,
            poll_fn(|cx| {
                if std::mem::replace(&mut first, false) {
                    self.core.wakes.catch_up();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.poll_parked(cx, deadline)
            }),
        );
        self.core.wakes.put_off(outer);
    }

    /// Whether the last turn has left something for the next one.
    fn has_more_to_do(&self) -> bool {
        !self.ready.borrow().is_empty() || !self.dropped_sends.borrow().is_empty()
    }

    /// The same in another loop: what the runtime has to do at once, then a wait there, then what came of it.
    pub(super) fn park_in(&'static self, foreign: &Foreign, wait: Duration) -> Result<(), Exited> {
        self.watch_perl_descriptors();
        let reactor = native::reactor();
        let is_due = self.poll_runtime() || reactor.is_due() || self.has_more_to_do();
        let until = match (Instant::now().checked_add(wait), reactor.next_deadline()) {
            _ if is_due => None,
            (Some(latest), Some(timer)) => Some(latest.min(timer)),
            (latest, timer) => latest.or(timer),
        };
        match foreign.run_once(until) {
            Outcome::Returned(_) => {}
            Outcome::Died(error) => {
                tracing::error!("uncaught exception in a loop callback: {}", error.display().trim_end());
            }
            Outcome::Exit => return Err(Exited),
        }
        if self.is_forked_child() || interpreter::exit_is_pending() {
            return Err(Exited);
        }
        self.poll_runtime();
        // Whether it ran a callback of the application is its own affair; it may have.
        self.note_activity(1);
        Ok(())
    }

    /// Lets connections do what they can without waiting; whether something is ready for Perl.
    pub(super) fn poll_runtime(&'static self) -> bool {
        let mut polls = 0;
        let engine = self.engine.borrow();
        let Some(Engine { runtime, local }) = engine.as_ref() else { return false };
        let outer = self.core.wakes.put_off(false);
        let is_ready = local.block_on(
            runtime,
            poll_fn(|cx| {
                self.core.wakes.catch_up();
                polls += 1;
                let is_ready = self.poll_parked(cx, None).is_ready();
                // Once for tasks that are awake, once for those that descriptors and timers have woken after that.
                if polls < 3 {
                    cx.waker().wake_by_ref();
                    if is_ready {
                        self.core.inbox.rouse();
                    }
                    return Poll::Pending;
                }
                Poll::Ready(is_ready)
            }),
        );
        self.core.wakes.put_off(outer);
        is_ready
    }

    pub(super) fn poll_parked(&self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        if self.core.inbox.poll_ready(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Some(wake) = &*self.wake.borrow()
            && let Poll::Ready(Ok(mut guard)) = wake.poll_read_ready(cx)
        {
            // A Perl signal is pending; its handler runs when Perl does.
            let _ = wake.get_ref().read();
            guard.clear_ready();
            self.note_activity(1);
            return Poll::Ready(());
        }
        if let Some(fds) = &*self.perl_fds.borrow()
            && fds.poll_read_ready(cx).is_ready()
        {
            return Poll::Ready(());
        }
        self.parking.borrow_mut().poll_until(cx, deadline)
    }

    /// The reactor's epoll set comes into being with its first watch.
    pub(super) fn watch_perl_descriptors(&'static self) {
        if self.perl_fds.borrow().is_some() {
            return;
        }
        if let Some(fd) = native::reactor().descriptor() {
            let engine = self.engine.borrow();
            let _inside = engine.as_ref().map(|engine| engine.runtime.enter());
            match fd.and_then(|fd| descriptor::watched(fd, Interest::READABLE)) {
                Ok(fd) => *self.perl_fds.borrow_mut() = Some(fd),
                Err(error) => tracing::error!(%error, "descriptors of the application cannot be watched"),
            }
        }
    }
}
