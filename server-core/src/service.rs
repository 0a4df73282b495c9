//! Native services: what answers a request without the application.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::exchange::{CallEnd, Exchange};
use crate::stats::Stats;

/// The work of answering one request.
pub type Task = Pin<Box<dyn Future<Output = CallEnd>>>;

/// Something that answers requests natively. Services are asked in order before the application is called.
pub trait Service {
    /// The work of answering this request, or `None` to leave it to the next service or to the application.
    fn claim(&self, exchange: &Rc<Exchange>) -> Option<Task>;
}

/// Starts an exchange: with the first service that claims it, or with the application. To be called inside the worker's
/// `LocalSet`.
pub(crate) fn begin(exchange: &Rc<Exchange>) {
    match exchange.worker().services().iter().find_map(|service| service.claim(exchange)) {
        Some(task) => run(Rc::clone(exchange), task),
        None => exchange.notify(),
    }
}

fn run(exchange: Rc<Exchange>, task: Task) {
    exchange.begin_task();
    Stats::add(&exchange.worker().stats.active, 1);
    tokio::task::spawn_local(async move {
        let end = task.await;
        // The exchange stays with its task, whatever the connection has still to say: no application knows of it.
        exchange.call_ended(end);
        let worker = exchange.worker();
        Stats::sub(&worker.stats.active, 1);
        // Whoever drains waits for the last one.
        worker.inbox.rouse();
    });
}
