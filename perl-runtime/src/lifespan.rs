//! The lifespan exchange of one worker (protocol section 17).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use pagi_server_core::sequence::{Lifespan as Progress, Sequence, Step};

use crate::decode::Fields;
use crate::perl::event::Key;
use crate::perl::future::{self, State};
use crate::perl::handles::Handles;
use crate::perl::value::{Outcome, Scalar, View};

/// Where the exchange stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    /// Start-up is unanswered.
    Starting,
    /// Start-up is complete; the application waits for shutdown.
    Running,
    /// The application declined: no further events (LIFE-6). The text is what it raised, if anything.
    Declined(Option<String>),
    /// The handler has returned, or failed, after start-up was complete (LIFE-11, LIFE-20): no further events.
    Ended,
    /// `lifespan.startup.failed` with its message.
    Failed(String),
    /// Shutdown is unanswered.
    Stopping,
    /// Shutdown was answered, with the message of a failure if any.
    Stopped(Option<String>),
}

/// See the module documentation.
pub(crate) struct LifespanCall {
    sequence: Cell<Sequence>,
    status: RefCell<Status>,
    /// Events to deliver.
    inbox: RefCell<VecDeque<&'static std::ffi::CStr>>,
    receives: RefCell<VecDeque<Scalar>>,
    future: RefCell<Option<Scalar>>,
    handles: RefCell<Option<Handles>>,
}

impl LifespanCall {
    pub(crate) fn new() -> Self {
        Self {
            sequence: Cell::new(Sequence::Lifespan(Progress::Starting)),
            status: RefCell::new(Status::Starting),
            inbox: RefCell::new(VecDeque::from([c"lifespan.startup"])),
            receives: RefCell::default(),
            future: RefCell::new(None),
            handles: RefCell::new(None),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Keeps what the application call came to, for the worker's whole life when it is pending (APP-10).
    pub(crate) fn called(&self, handles: Handles, outcome: Outcome, call: usize) -> Result<(), crate::call::Exited> {
        self.handles.replace(Some(handles));
        match outcome {
            Outcome::Exit => return Err(crate::call::Exited),
            Outcome::Died(error) => self.ended(Some(error.display())),
            Outcome::Returned(future) => match future::state(&future) {
                State::Pending => {
                    if let Outcome::Exit = future::watch(&future, call) {
                        return Err(crate::call::Exited);
                    }
                    self.future.replace(Some(future));
                }
                state => self.ended_as(state),
            },
        }
        Ok(())
    }

    /// The application's Future is ready.
    pub(crate) fn ready(&self) {
        let future = self.future.borrow_mut().take();
        if let Some(future) = future {
            self.ended_as(future::state(&future));
        }
    }

    fn ended_as(&self, state: State) {
        self.ended(match state {
            State::Failed(error) => Some(error.display()),
            State::NotAFuture => Some("the application did not return a Future for the lifespan scope".to_owned()),
            State::Cancelled => Some("the application cancelled its lifespan Future".to_owned()),
            State::Done | State::Pending => None,
        });
    }

    /// LIFE-6, LIFE-11, LIFE-20: what the end of the handler means depends on how far the exchange had come.
    fn ended(&self, raised: Option<String>) {
        let mut status = self.status.borrow_mut();
        match &*status {
            Status::Starting => *status = Status::Declined(raised),
            Status::Running => {
                if let Some(error) = raised {
                    tracing::error!("Lifespan app failed after startup: {}", error.trim_end());
                }
                *status = Status::Ended;
            }
            Status::Stopping => *status = Status::Stopped(raised),
            Status::Declined(_) | Status::Ended | Status::Failed(_) | Status::Stopped(_) => {}
        }
    }

    pub(crate) fn receive(&self) -> Scalar {
        if let Some(event) = self.inbox.borrow_mut().pop_front() {
            return future::done(Some(Scalar::simple_event(event)));
        }
        let future = future::pending();
        self.receives.borrow_mut().push_back(future.view().copy());
        future
    }

    pub(crate) fn send(&self, event: View<'_>) -> Scalar {
        match self.take(event) {
            Ok(()) => future::done(None),
            Err(message) => future::failed(&message),
        }
    }

    fn take(&self, event: View<'_>) -> Result<(), String> {
        let hash = event.event_hash().ok_or("an event must be a hash reference with a 'type'")?;
        let kind = hash
            .get(Key::Type)
            .and_then(|kind| kind.bytes().ok())
            .ok_or("an event must be a hash reference with a 'type'")?;
        let message = || -> Result<String, String> {
            let text = Fields { hash, event: kind }.text(Key::Message)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(text).into_owned())
        };
        let (step, status) = match kind {
            b"lifespan.startup.complete" => (Step::StartupComplete, Status::Running),
            b"lifespan.startup.failed" => (Step::StartupFailed, Status::Failed(message()?)),
            b"lifespan.shutdown.complete" => (Step::ShutdownAnswered, Status::Stopped(None)),
            b"lifespan.shutdown.failed" => (Step::ShutdownAnswered, Status::Stopped(Some(message()?))),
            _ => {
                return Err(format!(
                    "Unrecognized event type '{}' for lifespan protocol",
                    String::from_utf8_lossy(kind)
                ));
            }
        };
        let next = self.sequence.get().after(step).map_err(|violation| violation.to_string())?;
        self.sequence.set(next);
        self.status.replace(status);
        Ok(())
    }

    /// Delivers `lifespan.shutdown`; `false` when nobody would answer it.
    pub(crate) fn shut_down(&self) -> Result<bool, crate::call::Exited> {
        if *self.status.borrow() != Status::Running {
            return Ok(false);
        }
        if let Ok(next) = self.sequence.get().after(Step::ShutdownDelivered) {
            self.sequence.set(next);
        }
        self.status.replace(Status::Stopping);
        self.inbox.borrow_mut().push_back(c"lifespan.shutdown");
        loop {
            let Some(waiting) = self.receives.borrow_mut().pop_front() else { return Ok(true) };
            if future::is_ready(&waiting) {
                continue;
            }
            let Some(event) = self.inbox.borrow_mut().pop_front() else {
                self.receives.borrow_mut().push_front(waiting);
                return Ok(true);
            };
            match future::settle(&waiting, Some(Scalar::simple_event(event))) {
                Outcome::Exit => return Err(crate::call::Exited),
                Outcome::Died(error) => tracing::error!("lifespan error: {}", error.display().trim_end()),
                Outcome::Returned(_) => {}
            }
        }
    }
}
