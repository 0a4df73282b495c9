//! Development mode: the client sees the exception of an application that has not begun its response.

use std::rc::Rc;

use pagi_server_core::scope::ScopeKind;

use super::Loop;
use crate::call::{Call, Exited};
use crate::perl::value::{Outcome, Scalar};

impl Loop {
    /// Sends the page for an exception; outside development mode, and when it is too late for a response, nothing.
    pub(super) fn explain(&'static self, token: usize, call: &Rc<Call>, error: &Scalar) -> Result<(), Exited> {
        let exchange = &call.exchange;
        let may_answer = exchange.head().kind == ScopeKind::Http && !exchange.is_started() && !exchange.is_gone();
        if !self.app_shows_errors || !may_answer || call.waiting.borrow().handed_over.is_some() {
            return Ok(());
        }
        self.answer_with(token, call, error, "The application has failed")
    }

    /// What browsers are shown from now on.
    pub(crate) fn show_trouble(&self, trouble: Option<String>) {
        *self.trouble.borrow_mut() = trouble;
    }

    /// While newer code cannot be loaded, whoever navigates sees why; all other requests get the code that serves.
    pub(super) fn answers_with_trouble(&'static self, token: usize, call: &Rc<Call>) -> Result<bool, Exited> {
        let Some(trouble) = self.trouble.borrow().as_deref().map(Scalar::text) else { return Ok(false) };
        let head = call.exchange.head();
        if !self.app_shows_errors || head.kind != ScopeKind::Http {
            return Ok(false);
        }
        let accept = Scalar::bytes(head.headers().get(b"accept").unwrap_or_default());
        match Scalar::call_named(c"PAGI::Native::ErrorPage::accepts_html", &[&accept]) {
            Outcome::Returned(accepts) if accepts.view().flag() => {
                self.answer_with(token, call, &trouble, "The last change cannot be loaded")?;
                Ok(true)
            }
            Outcome::Exit => Err(Exited),
            _ => Ok(false),
        }
    }

    fn answer_with(&'static self, token: usize, call: &Rc<Call>, error: &Scalar, heading: &str) -> Result<(), Exited> {
        let head = call.exchange.head();
        let accept = Scalar::bytes(head.headers().get(b"accept").unwrap_or_default());
        let request = [head.method(), b" ", head.raw_path()].concat();
        let arguments = [error, &Scalar::text(heading), &accept, &Scalar::bytes(&request)];
        match Scalar::call_named(c"PAGI::Native::ErrorPage::events", &arguments) {
            Outcome::Returned(events) => {
                let events = events.view().array();
                for event in (0..2).filter_map(|index| events?.get(index)) {
                    // A client that is behind gets the rest later, as with any response.
                    drop(self.send(token, event));
                }
                Ok(())
            }
            Outcome::Died(problem) => {
                tracing::error!("The exception cannot be shown to the client: {}", problem.display().trim_end());
                Ok(())
            }
            Outcome::Exit => Err(Exited),
        }
    }
}
