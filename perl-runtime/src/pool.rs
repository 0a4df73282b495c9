//! The pool as seen from Perl: handing a request over to it, putting jobs into it, and running them in a pool process.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::rc::Rc;

use pagi_server_core::exchange::{CallEnd, Exchange};
use pagi_server_core::pool::gate::{Gate, Surroundings};
use pagi_server_core::scope::ScopeKind;
use pagi_server_core::service::{Claim, Service, TaskEnd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::call::{Call, Exited};
use crate::perl::descriptor;
use crate::perl::future;
use crate::perl::value::{Outcome, Scalar};
use crate::worker::Loop;
use crate::worker_api::Host;

/// A request that the application has handed over and whose answer is under way.
pub(crate) struct HandedOver {
    pub(crate) future: Scalar,
    pub(crate) end: Rc<Cell<Option<CallEnd>>>,
}

/// A blocking application: its requests go to the pool without a call of the application in this worker.
pub(crate) struct WholePool(pub(crate) Rc<Gate>);

impl Service for WholePool {
    fn claim(&self, exchange: &Rc<Exchange>) -> Claim {
        if exchange.head().kind == ScopeKind::WebSocket {
            // What is loaded here refuses it just as well.
            return Claim::Pass;
        }
        let (gate, exchange) = (Rc::clone(&self.0), Rc::clone(exchange));
        Claim::Task(Box::pin(async move { TaskEnd::Ended(gate.hand_over(exchange).await) }))
    }
}

/// What a gate needs of this process and its host.
pub(crate) struct GateHost(pub(crate) Rc<dyn Host>);

impl Surroundings for GateHost {
    fn waiting_elsewhere(&self) -> u64 {
        self.0.pool_waiting_elsewhere()
    }

    fn publish_waiting(&self, waiting: u64) {
        self.0.pool_waiting(waiting);
    }

    fn watch(&self, stream: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
        descriptor::watched(stream, interest)
    }

    fn unread(&self, stream: BorrowedFd<'_>) -> io::Result<usize> {
        descriptor::unread(stream)
    }
}

impl Loop {
    /// `$scope->{'pagi.connection'}->hand_over`: a Future for the end of the answer, or undef where the application has
    /// to answer by itself: there is no pool, or this is a pool process.
    pub(crate) fn hand_over(&'static self, call: &Call) -> Scalar {
        let Some(gate) = &self.gate else { return Scalar::undef() };
        let exchange = &call.exchange;
        if !exchange.is_untouched() {
            return future::failed("hand_over: the request was read or answered already");
        }
        let future = future::pending();
        let end = Rc::new(Cell::new(None));
        call.waiting.borrow_mut().handed_over = Some(HandedOver { future: future.view().copy(), end: Rc::clone(&end) });
        exchange.begin_task();
        let (gate, exchange) = (Rc::clone(gate), Rc::clone(exchange));
        self.spawn(async move {
            end.set(Some(gate.hand_over(Rc::clone(&exchange)).await));
            exchange.end_task();
        });
        future
    }

    /// Puts one end of a stream into the queue, for a job. `Ok(false)` when the queue is full.
    pub(crate) fn put_job(&self, stream: &impl AsFd) -> Result<bool, String> {
        let gate = self.gate.as_ref().ok_or("there is no pool: start the server with --pool")?;
        gate.put_job(stream).map_err(|error| format!("the pool cannot be reached: {error}"))
    }

    /// Counts jobs that began or ceased to wait; how much waits in all workers, or `None` where there is no pool.
    pub(crate) fn jobs_wait(&self, change: i64) -> Option<u64> {
        self.gate.as_ref().map(|gate| gate.jobs_wait(change))
    }

    /// How many jobs of this worker no pool process has taken yet: while there are some it may not leave (WP-15).
    pub(crate) fn jobs_waiting(&self) -> u64 {
        self.gate.as_ref().map_or(0, |gate| gate.jobs_waiting())
    }

    /// How many processes the pool has and how much may wait for them, where there is one; no process in one of them.
    pub(crate) fn pool_limits(&self) -> Option<(u32, u64)> {
        match &self.gate {
            Some(gate) => Some((gate.options().processes, gate.options().queue_limit)),
            None => self.core.jobs.are_taken_here().then_some((0, 0)),
        }
    }

    /// In a pool process: runs the job that was taken.
    pub(crate) fn run_job(&'static self) -> Result<(), Exited> {
        let Some(stream) = self.core.jobs.begin() else { return Ok(()) };
        // From here on the descriptor belongs to Perl.
        let number = Scalar::int(stream.into_raw_fd().into());
        let outcome = Scalar::call_named(c"PAGI::WorkerPool::Process::run", &[&number]);
        self.core.job_finished();
        match outcome {
            Outcome::Returned(_) => Ok(()),
            Outcome::Died(error) => {
                tracing::error!("a job could not be run: {}", error.display().trim_end());
                Ok(())
            }
            Outcome::Exit => Err(Exited),
        }
    }
}

/// Settles the Future of a request that was handed over once its answer has ended.
pub(crate) fn settle(call: &Call) -> Result<(), Exited> {
    let ended = call.waiting.borrow().handed_over.as_ref().and_then(|handed| handed.end.get());
    let Some(end) = ended else { return Ok(()) };
    let Some(handed) = call.waiting.borrow_mut().handed_over.take() else { return Ok(()) };
    let outcome = match end {
        CallEnd::Resolved => future::settle(&handed.future, None),
        CallEnd::Failed => {
            let message = Scalar::text("the pool process that answered this request failed\n");
            Scalar::call_named(c"PAGI::Native::fail_future", &[&handed.future, &message])
        }
    };
    match outcome {
        Outcome::Exit => Err(Exited),
        Outcome::Returned(_) => Ok(()),
        Outcome::Died(error) => {
            tracing::error!("hand_over continuation error: {}", error.display().trim_end());
            Ok(())
        }
    }
}
