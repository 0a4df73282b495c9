//! A task of the runtime in the application's place: what native services do with an exchange.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Exchange, Interest, Sent};
use crate::event::{ReceiveEvent, SendEvent};
use crate::reason::Reason;

/// Whether a task serves the exchange, and how to wake it.
#[derive(Default)]
pub(super) enum Attendance {
    /// The application does.
    #[default]
    Application,
    /// A task does.
    Task(Option<Waker>),
}

impl Exchange {
    /// Whether the application has touched neither body nor response, so that something else can still answer.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        let inner = self.inner.borrow();
        !inner.sequence.is_started() && !inner.body_wanted && !inner.final_delivered
    }

    /// From now on a task serves the exchange.
    pub fn begin_task(&self) {
        self.interest.set(Interest { receive: true, drain: true, end: true });
        *self.task.borrow_mut() = Attendance::Task(None);
    }

    /// Gives the exchange back to the application that handed it over, and tells it.
    pub fn end_task(self: &Rc<Self>) {
        *self.task.borrow_mut() = Attendance::Application;
        self.notify();
    }

    /// The task has not touched the exchange: it is for somebody else.
    pub(crate) fn leave_task(&self) {
        self.interest.set(Interest::default());
        *self.task.borrow_mut() = Attendance::Application;
    }

    /// Whether a task serves the exchange.
    #[must_use]
    pub fn is_served_by_task(&self) -> bool {
        matches!(*self.task.borrow(), Attendance::Task(_))
    }

    /// Wakes the task; `false` when there is none.
    pub(super) fn wake_task(&self) -> bool {
        match &mut *self.task.borrow_mut() {
            Attendance::Application => false,
            Attendance::Task(waker) => {
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
                true
            }
        }
    }

    fn wait(&self, cx: &Context<'_>) {
        if let Attendance::Task(waker) = &mut *self.task.borrow_mut() {
            *waker = Some(cx.waker().clone());
        }
    }

    /// The next event for the task.
    pub async fn next_event(&self) -> ReceiveEvent {
        poll_fn(|cx| {
            let event = self.receive();
            if event.is_none() {
                self.wait(cx);
            }
            event.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Sends an event, and waits while more than `buffer` bytes are queued for a client that is behind.
    ///
    /// # Errors
    /// The sentence that says why the event cannot be sent now.
    pub async fn deliver(&self, event: SendEvent<'_>, buffer: usize) -> Result<(), String> {
        if self.send(event)? == Sent::Behind && self.buffered_amount() > buffer {
            poll_fn(|cx| {
                if self.send_released() {
                    return Poll::Ready(());
                }
                self.wait(cx);
                Poll::Pending
            })
            .await;
        }
        Ok(())
    }

    /// Waits until the client has gone.
    pub async fn gone(&self) -> Reason {
        poll_fn(|cx| {
            let reason = self.reason();
            if reason.is_none() {
                self.wait(cx);
            }
            reason.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
