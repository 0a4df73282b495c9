//! The ready list: exchanges that have something for the application side.
//!
//! Connection tasks only queue here; whoever runs applications takes the exchanges out when the runtime has returned.
//! That is the rule of the house that lets application code run a nested turn of the same loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::exchange::Exchange;

/// Exchanges waiting for the application side, in order.
#[derive(Default)]
pub struct Inbox {
    queue: RefCell<VecDeque<Rc<Exchange>>>,
    waker: RefCell<Option<Waker>>,
    roused: Cell<bool>,
}

impl Inbox {
    pub(crate) fn push(&self, exchange: Rc<Exchange>) {
        self.queue.borrow_mut().push_back(exchange);
        self.rouse();
    }

    /// Ends the current or next wait even though no exchange is ready.
    pub fn rouse(&self) {
        self.roused.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Takes the next exchange.
    pub fn pop(&self) -> Option<Rc<Exchange>> {
        self.queue.borrow_mut().pop_front()
    }

    /// How many exchanges wait.
    pub fn len(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Whether no exchange waits.
    pub fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// Ready when an exchange waits or [`Self::rouse`] was called since the last time this was ready.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.roused.replace(false) || !self.is_empty() {
            return Poll::Ready(());
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
