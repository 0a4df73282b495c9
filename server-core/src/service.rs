//! Native services: what answers a request without the application.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::event::{Content, SendEvent};
use crate::exchange::{CallEnd, Exchange};
use crate::header::HeaderList;
use crate::stats::Stats;

/// The work of answering one request.
pub type Task = Pin<Box<dyn Future<Output = TaskEnd>>>;

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEnd {
    /// It has answered, or failed to.
    Ended(CallEnd),
    /// It has found out, without touching the exchange, that the request is not for it.
    Declined,
}

/// What a service says to a request.
pub enum Claim {
    /// It is for the next service, or for the application.
    Pass,
    /// It is answered already, by [`answer`].
    Answered,
    /// This answers it.
    Task(Task),
}

/// Something that answers requests natively. Services are asked in order before the application is called.
pub trait Service {
    /// Takes the request, or leaves it.
    fn claim(&self, exchange: &Rc<Exchange>) -> Claim;
}

/// Starts an exchange: with the first service that claims it, or with the application. To be called inside the worker's
/// `LocalSet`.
pub(crate) fn begin(exchange: &Rc<Exchange>) {
    offer(exchange, 0);
}

/// Asks the services from a place on.
fn offer(exchange: &Rc<Exchange>, from: usize) {
    for (index, service) in exchange.worker().services().iter().enumerate().skip(from) {
        match service.claim(exchange) {
            Claim::Pass => {}
            Claim::Answered => return,
            Claim::Task(task) => return run(Rc::clone(exchange), task, index + 1),
        }
    }
    exchange.notify();
}

fn run(exchange: Rc<Exchange>, task: Task, next: usize) {
    exchange.begin_task();
    Stats::add(&exchange.worker().stats.active, 1);
    tokio::task::spawn_local(async move {
        match task.await {
            // The exchange stays with its task, whatever the connection has still to say: no application knows of it.
            TaskEnd::Ended(end) => drop(exchange.call_ended(end)),
            TaskEnd::Declined => {
                exchange.leave_task();
                offer(&exchange, next);
            }
        }
        let worker = exchange.worker();
        Stats::sub(&worker.stats.active, 1);
        // Whoever drains waits for the last one.
        worker.inbox.rouse();
    });
}

/// Answers at once, without a task: for what is known when the request comes.
pub(crate) fn answer(exchange: &Rc<Exchange>, status: u16, headers: HeaderList, content: Content<'_>) -> Claim {
    exchange.begin_task();
    exchange.call_ended(respond(exchange, status, headers, content));
    Claim::Answered
}

/// A whole response.
pub(crate) fn respond(exchange: &Exchange, status: u16, headers: HeaderList, content: Content<'_>) -> CallEnd {
    let start = SendEvent::ResponseStart { status, headers, trailers: false };
    let body = SendEvent::ResponseBody { content, more: false };
    match exchange.send(start).and_then(|_| exchange.send(body)) {
        Ok(_) => CallEnd::Resolved,
        Err(reason) => {
            tracing::error!("a response of the server's own could not be sent: {reason}");
            CallEnd::Failed
        }
    }
}
