//! The worker's loop: one thread, Perl never inside a poll.
//!
//! ```text
//! loop {
//!     park    tokio runs connections until something is ready for Perl
//!     drain   Perl: call the application, settle Futures, run callbacks
//!     flush   connections write what the drain has queued (the next park does it first)
//! }
//! ```
//!
//! Because Perl runs outside the runtime, a handler may run a nested turn of the same loop (`$future->get` on a timer).
//! New requests are not started below [`MAX_DEPTH`]: handlers that each wait nest last-in first-out and would starve
//! the first.
//!
//! [`parking`] is how the loop waits, [`nesting`] are turns inside of turns, and [`entry`] is what Perl calls.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};
use pagi_server_core::exchange::{CallEnd, Exchange, Verdict};
use pagi_server_core::pool::gate::Gate;
use pagi_server_core::reason::Reason;
use pagi_server_core::scope::ScopeKind;
use pagi_server_core::stats::Stats;
use pagi_server_core::timer::Timer;
use pagi_server_core::worker::Worker as Core;
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::call::{Call, Exited};
use crate::foreign::{self, Foreign};
use crate::interpreter::Application;
use crate::lag::Lag;
use crate::lifespan::LifespanCall;
use crate::native;
use crate::perl::descriptor;
use crate::perl::future::{self, State};
use crate::perl::handles::Handles;
use crate::perl::interpreter;
use crate::perl::scope;
use crate::perl::stderr::OnBehalf;
use crate::perl::value::{Outcome, Scalar};
use crate::worker_api::Host;

mod entry;
mod explaining;
mod nesting;
mod parking;

pub(crate) use nesting::{Turned, nested_turn};

/// Nested turns below this depth start no new requests.
const MAX_DEPTH: u32 = 4;
/// Call number of the lifespan call.
pub(crate) const LIFESPAN: usize = usize::MAX - 1;
/// Sets of handles kept for reuse.
const SPARE_HANDLES: usize = 256;

thread_local! {
    static WORKER: Cell<Option<&'static Loop>> = const { Cell::new(None) };
    /// The loop this thread had before it became a mold.
    static PREVIOUS: Cell<Option<&'static Loop>> = const { Cell::new(None) };
}

/// Runs something with this thread's worker; `None` while there is none (loading, or after the end).
pub(crate) fn with<T>(use_it: impl FnOnce(&'static Loop) -> T) -> Option<T> {
    WORKER.try_with(Cell::get).ok().flatten().map(use_it)
}

/// What runs the connections.
struct Engine {
    runtime: Runtime,
    local: LocalSet,
}

/// How long threads of the runtime may take to end when the process becomes a mold.
const THREADS_END: Duration = Duration::from_secs(2);

/// See the module documentation. Leaked: a forked child's `exit` must not run destructors that would disturb the epoll
/// set it shares with its parent.
pub(crate) struct Loop {
    /// Gone when the process has become a mold.
    engine: RefCell<Option<Engine>>,
    pub(crate) core: Rc<Core>,
    app: Scalar,
    state: Scalar,
    calls: RefCell<Slab<Rc<Call>>>,
    spare: RefCell<Vec<Handles>>,
    /// Calls whose Future became ready inside some other Perl code.
    ready: RefCell<Vec<usize>>,
    /// Sends of which nothing left, in this turn.
    dropped: Cell<u32>,
    /// Those of them that are done in the next turn.
    dropped_sends: RefCell<Vec<Scalar>>,
    /// New exchanges put off because the loop was nested too deeply.
    put_off: RefCell<VecDeque<Rc<Exchange>>>,
    pub(crate) lifespan: LifespanCall,
    depth: Cell<u32>,
    /// Counts calls into Perl, so that a nested turn knows whether anything has happened.
    activity: Cell<u64>,
    /// When nested turns are given up, once the server is to stop.
    stop_by: Cell<Option<Instant>>,
    /// When signal handlers were last looked after.
    signals_seen: Cell<Instant>,
    wake: RefCell<Option<AsyncFd<EventFd>>>,
    perl_fds: RefCell<Option<AsyncFd<OwnedFd>>>,
    parking: RefCell<Timer>,
    app_name: String,
    app_is_blocking: bool,
    app_has_foreign_loop: bool,
    app_shows_errors: bool,
    /// Why newer code cannot be loaded.
    trouble: RefCell<Option<String>>,
    host: Rc<dyn Host>,
    /// The way into the pool, where there is one.
    pub(crate) gate: Option<Rc<Gate>>,
    /// The loop turns at least this often, nested or not.
    heartbeat: Duration,
    lag: Lag,
    /// Calls say for which request they are made.
    marks_stderr: Cell<bool>,
    /// The loop that drives this one, if any.
    foreign: OnceCell<Foreign>,
}

impl Loop {
    /// Makes the loop of this thread.
    pub(crate) fn install(
        core: Rc<Core>,
        app: Application,
        host: Rc<dyn Host>,
        gate: Option<Rc<Gate>>,
        heartbeat: Duration,
        slow_handler: Option<Duration>,
    ) -> Result<&'static Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let epoll_sets = if app.has_foreign_loop { foreign::epoll_sets().map_err(failed)? } else { HashSet::new() };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
        // Of all epoll sets the one that is new; any of its descriptors will do.
        let of_runtime = match app.has_foreign_loop {
            true => foreign::epoll_sets().map_err(failed)?.difference(&epoll_sets).next().copied(),
            false => None,
        };
        let wake = {
            let _inside = runtime.enter();
            let eventfd = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
                .map_err(|error| error.to_string())?;
            interpreter::set_wake_fd(eventfd.as_raw_fd());
            descriptor::watched(eventfd, Interest::READABLE).map_err(failed)?
        };
        interpreter::know_signals();
        native::reactor().adopt();
        let previous = PREVIOUS.take();
        let this = Box::leak(Box::new(Self {
            engine: RefCell::new(Some(Engine { runtime, local: LocalSet::new() })),
            core,
            app: app.code,
            state: Scalar::new_state(),
            // Numbers of calls whose handles the application still keeps must not be given to others.
            calls: RefCell::new(previous.map(|previous| previous.calls.take()).unwrap_or_default()),
            spare: RefCell::new(previous.map(|previous| previous.spare.take()).unwrap_or_default()),
            ready: RefCell::default(),
            dropped: Cell::new(0),
            dropped_sends: RefCell::default(),
            put_off: RefCell::default(),
            lifespan: LifespanCall::new(),
            depth: Cell::new(0),
            activity: Cell::new(0),
            stop_by: Cell::new(None),
            signals_seen: Cell::new(Instant::now()),
            wake: RefCell::new(Some(wake)),
            perl_fds: RefCell::new(None),
            parking: RefCell::default(),
            app_name: app.name,
            app_is_blocking: app.blocking,
            app_has_foreign_loop: app.has_foreign_loop,
            app_shows_errors: app.shows_errors,
            trouble: RefCell::default(),
            host,
            gate,
            heartbeat,
            lag: Lag::new(slow_handler),
            marks_stderr: Cell::new(false),
            foreign: OnceCell::new(),
        }));
        WORKER.set(Some(this));
        if let Some(fd) = of_runtime {
            // Only set here.
            let _ = this.foreign.set(Foreign::start(fd)?);
        }
        Ok(this)
    }

    /// Runs something inside the runtime, so that it can spawn tasks; `None` when it is gone.
    pub(crate) fn enter<T>(&'static self, work: impl FnOnce() -> T) -> Option<T> {
        let engine = self.engine.borrow();
        let Engine { runtime, local } = engine.as_ref()?;
        Some(local.block_on(runtime, async { work() }))
    }

    /// Starts a task; it first runs when the loop parks.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if let Some(engine) = &*self.engine.borrow() {
            engine.local.spawn_local(task);
        }
    }

    /// Ends the runtime with its connections, descriptors and threads, and gives the application back: this process is
    /// going to be a mold, whose children make loops of their own.
    pub(crate) fn dismantle(&'static self) -> Application {
        WORKER.set(None);
        PREVIOUS.set(Some(self));
        interpreter::set_wake_fd(-1);
        self.wake.take();
        self.perl_fds.take();
        self.parking.take();
        if let Some(Engine { runtime, local }) = self.engine.take() {
            let inside = runtime.enter();
            drop(local);
            drop(inside);
            runtime.shutdown_timeout(THREADS_END);
        }
        Application {
            code: self.app.view().copy(),
            name: self.app_name.clone(),
            blocking: self.app_is_blocking,
            has_foreign_loop: self.app_has_foreign_loop,
            shows_errors: self.app_shows_errors,
        }
    }

    /// Whether this process was forked by the application.
    pub(crate) fn is_forked_child(&self) -> bool {
        interpreter::is_forked_child()
    }

    /// Perl code ran.
    fn note_activity(&self, calls: usize) {
        self.activity.set(self.activity.get().wrapping_add(calls as u64));
    }

    // ---- park, drain ------------------------------------------------------------------------------------------------------

    /// One turn, waiting at most `wait`.
    pub(crate) fn turn(&'static self, wait: Duration) -> Result<(), Exited> {
        self.lag.released(&self.core.stats);
        match self.foreign.get() {
            None => self.park(wait),
            Some(foreign) => self.park_in(foreign, wait)?,
        }
        self.lag.held();
        self.repair_signals();
        // Another loop that waits is told by the eventfd alone.
        let outer = self.core.wakes.put_off(self.foreign.get().is_none());
        let drained = self.drain();
        self.core.wakes.put_off(outer);
        drained?;
        self.host.turn(&self.core.stats);
        if self.core.is_full() {
            self.core.others_are_full.set(self.host.others_are_full());
        }
        Ok(())
    }

    /// The application may end `local $SIG{TERM}` in any turn; looking at every heartbeat is often enough.
    fn repair_signals(&self) {
        let now = Instant::now();
        if now.duration_since(self.signals_seen.get()) >= self.heartbeat {
            self.signals_seen.set(now);
            interpreter::repair_signals();
        }
    }

    fn drain(&'static self) -> Result<(), Exited> {
        match interpreter::dispatch_signals() {
            Outcome::Returned(_) => {}
            Outcome::Died(error) => {
                tracing::error!("uncaught exception in a signal handler: {}", error.display().trim_end());
            }
            Outcome::Exit => return Err(Exited),
        }
        // What is queued now; what the application adds is for the next turn (FUT-10).
        for _ in 0..self.core.inbox.len() {
            let Some(exchange) = self.core.inbox.pop() else { break };
            self.note_activity(1);
            self.attend(exchange)?;
            interpreter::free_temporaries();
        }
        if self.depth.get() < MAX_DEPTH {
            // One at a time: when one runs a nested turn, those after it are not stuck behind it.
            let waiting = self.put_off.borrow().len();
            for _ in 0..waiting {
                let exchange = self.put_off.borrow_mut().pop_front();
                let Some(exchange) = exchange else { break };
                self.note_activity(1);
                self.start(exchange)?;
            }
        }
        self.settle_dropped_sends()?;
        self.run_job()?;
        self.run_reactor()?;
        loop {
            let Some(call) = self.ready.borrow_mut().pop() else { break };
            self.call_is_ready(call)?;
            interpreter::free_temporaries();
        }
        if self.is_forked_child() || interpreter::exit_is_pending() {
            return Err(Exited);
        }
        Ok(())
    }

    fn run_reactor(&'static self) -> Result<(), Exited> {
        let reactor = native::reactor();
        if let Some(fds) = &*self.perl_fds.borrow() {
            // Clears the runtime's note of readiness only when the set is empty; an event that comes in between sets it
            // again. The watches themselves are level-triggered, so nothing is lost by asking twice.
            let _ = fds.try_io(tokio::io::Interest::READABLE, |_| {
                if reactor.has_ready_watches() { Ok(()) } else { Err(std::io::ErrorKind::WouldBlock.into()) }
            });
        }
        match native::run_due(reactor, Duration::ZERO) {
            Ok(ran) => {
                self.note_activity(ran);
                Ok(())
            }
            Err(Turned::Exit) => Err(Exited),
            Err(_) => Ok(()),
        }
    }

    // ---- exchanges ----------------------------------------------------------------------------------------------------------

    fn attend(&'static self, exchange: Rc<Exchange>) -> Result<(), Exited> {
        exchange.taken();
        let Some(token) = exchange.token() else {
            if self.depth.get() >= MAX_DEPTH {
                self.put_off.borrow_mut().push_back(exchange);
                return Ok(());
            }
            return self.start(exchange);
        };
        let call = self.calls.borrow().get(token).cloned();
        let Some(call) = call.filter(|call| Rc::ptr_eq(&call.exchange, &exchange)) else { return Ok(()) };
        self.timed(&call.exchange, || call.catch_up())?;
        self.retire(token, &call);
        Ok(())
    }

    /// Runs a call that is about an exchange.
    fn timed<T>(&self, exchange: &Exchange, call: impl FnOnce() -> T) -> T {
        let what = || {
            let head = exchange.head();
            format!("{} {}", String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.raw_path()))
        };
        let _on_behalf = self.marks_stderr.get().then(|| OnBehalf::of(Some(exchange)));
        self.lag.call(&self.core.stats, what, call)
    }

    /// What Perl writes to standard error is marked from now on.
    pub(crate) fn set_marks_stderr(&self, marks: bool) {
        self.marks_stderr.set(marks);
    }

    /// Runs a timer, watch or deferred call.
    pub(crate) fn timed_callback<T>(&self, call: impl FnOnce() -> T) -> T {
        let _on_behalf = self.marks_stderr.get().then(|| OnBehalf::of(None));
        self.lag.call(&self.core.stats, || "a callback of the event loop".to_owned(), call)
    }

    fn start(&'static self, exchange: Rc<Exchange>) -> Result<(), Exited> {
        let (token, call) = {
            let mut calls = self.calls.borrow_mut();
            let entry = calls.vacant_entry();
            let token = entry.key();
            let handles = self.spare.borrow_mut().pop();
            let handles = match handles {
                Some(handles) => {
                    handles.bind(token);
                    handles
                }
                None => Handles::new(token),
            };
            let call = Rc::new(Call::new(exchange, handles));
            entry.insert(Rc::clone(&call));
            (token, call)
        };
        call.exchange.set_token(token);
        Stats::add(&self.core.stats.active, 1);
        let handles = call.waiting.borrow_mut().handles.take();
        let Some(handles) = handles else { return Ok(()) };
        if self.answers_with_trouble(token, &call)? {
            call.waiting.borrow_mut().handles = Some(handles);
            return self.end_call(token, &call, State::Done);
        }
        let exchange = &call.exchange;
        let outcome = self.timed(exchange, || {
            scope::call_application(
                &self.app,
                exchange.head(),
                exchange.peer(),
                &self.core.config,
                self.core.request_id_field().and_then(|field| exchange.head().headers().get(field.as_bytes())),
                &handles,
                &self.state,
            )
        });
        call.waiting.borrow_mut().handles = Some(handles);
        match outcome {
            _ if self.is_forked_child() => Err(Exited),
            Outcome::Exit => Err(Exited),
            Outcome::Died(error) => self.end_call(token, &call, State::Failed(error)),
            Outcome::Returned(value) => match future::state(&value) {
                State::Pending => {
                    if let Outcome::Exit = future::watch(&value, token) {
                        return Err(Exited);
                    }
                    call.waiting.borrow_mut().future = Some(value);
                    if call.exchange.reason().is_some() {
                        // The client was gone before the application was called: what it registered is due.
                        call.exchange.notify();
                    }
                    Ok(())
                }
                state => self.end_call(token, &call, state),
            },
        }
    }

    fn call_is_ready(&'static self, token: usize) -> Result<(), Exited> {
        if token == LIFESPAN {
            self.lifespan.ready();
            return Ok(());
        }
        let call = self.calls.borrow().get(token).cloned();
        let Some(call) = call else { return Ok(()) };
        let future = call.waiting.borrow_mut().future.take();
        let Some(future) = future else { return Ok(()) };
        let state = future::state(&future);
        drop(future);
        self.end_call(token, &call, state)
    }

    /// Section 8.6: what the end of an application call means for its response.
    fn end_call(&'static self, token: usize, call: &Rc<Call>, state: State) -> Result<(), Exited> {
        if self.is_forked_child() {
            return Err(Exited);
        }
        let had_started = call.exchange.is_started();
        if let State::Failed(error) = &state {
            self.explain(token, call, error)?;
        }
        let problem = match state {
            State::Done | State::Pending => None,
            State::Failed(error) => Some(error.display()),
            State::Cancelled => Some("the application's Future was cancelled".to_owned()),
            State::NotAFuture => {
                Some(format!("the application did not return a Future; is {} an async sub?", self.app_name))
            }
        };
        let end = if problem.is_none() { CallEnd::Resolved } else { CallEnd::Failed };
        let verdict = call.exchange.call_ended(end);
        self.report_end(call, verdict, problem.as_deref(), had_started);
        call.waiting.borrow_mut().ended = true;
        Stats::sub(&self.core.stats.active, 1);
        if matches!(verdict, Verdict::Backstop | Verdict::Truncated) {
            call.catch_up()?;
        }
        self.retire(token, call);
        Ok(())
    }

    fn report_end(&self, call: &Call, verdict: Verdict, problem: Option<&str>, had_started: bool) {
        let head = call.exchange.head();
        let method = String::from_utf8_lossy(head.method());
        let path = String::from_utf8_lossy(head.raw_path());
        let kind = match head.kind {
            ScopeKind::Http => "",
            ScopeKind::Sse => " (SSE)",
            ScopeKind::WebSocket => " (WebSocket)",
        };
        match (verdict, problem.map(str::trim_end)) {
            (Verdict::ClientGone, Some(problem)) => {
                tracing::debug!(%method, %path, "application error after the client had gone: {problem}");
            }
            (Verdict::ClientGone | Verdict::Complete, None) => {}
            (_, Some(problem)) if had_started => {
                tracing::error!(%method, %path, "PAGI application error{kind} (after response started): {problem}");
            }
            (_, Some(problem)) => tracing::error!(%method, %path, "PAGI application error{kind}: {problem}"),
            (Verdict::Backstop, None) => tracing::error!(
                %method, %path, "PAGI application returned without starting a response: {}", self.app_name
            ),
            (Verdict::Truncated, None) => tracing::error!(
                %method, %path, "PAGI application returned before its response was complete: {}", self.app_name
            ),
        }
    }

    /// Frees a call that is over; its handles serve another call when the application kept none of them.
    fn retire(&'static self, token: usize, call: &Rc<Call>) {
        if !call.is_over() {
            return;
        }
        let mut waiting = call.take_waiting();
        let Some(handles) = waiting.handles.take() else { return };
        drop(waiting);
        if handles.is_idle() {
            let freed = self.calls.borrow_mut().try_remove(token);
            drop(freed);
            if self.spare.borrow().len() < SPARE_HANDLES {
                self.spare.borrow_mut().push(handles);
            } else {
                drop(handles);
            }
        } else {
            // The application still holds one: the record stays for it, and goes with the last handle (CONN-24, MID-3).
            drop(handles);
        }
    }

    /// In a forked child: closes the parent's clients and listeners. Their owners here are never dropped (the loop is
    /// leaked), so nothing closes them twice.
    pub(crate) fn close_descriptors(&'static self) {
        for fd in self.core.descriptors.all() {
            // An error would mean that it is closed, which is what was wanted.
            let _ = nix::unistd::close(fd);
        }
    }

    // ---- lifespan and shutdown --------------------------------------------------------------------------------------------------

    /// Calls the application with the lifespan scope.
    pub(crate) fn start_lifespan(&'static self, worker_num: Option<u32>) -> Result<(), Exited> {
        let handles = Handles::new(LIFESPAN);
        let outcome = scope::call_lifespan(&self.app, worker_num, &handles, &self.state);
        self.lifespan.called(handles, outcome, LIFESPAN)
    }

    /// Application calls that have not ended.
    pub(crate) fn active(&self) -> u64 {
        self.core.stats.active.get()
    }

    /// Ends open event streams at the beginning of a drain (SHUT-1, SHUT-2).
    pub(crate) fn end_streams(&'static self) {
        let calls: Vec<Rc<Call>> = self.calls.borrow().iter().map(|(_, call)| Rc::clone(call)).collect();
        for call in calls {
            call.exchange.end_stream(Reason::ServerShutdown);
        }
    }

    /// Cancels what is left after the bound (CXL-2).
    pub(crate) fn cancel_calls(&'static self) -> Result<u64, Exited> {
        let calls: Vec<Rc<Call>> = self.calls.borrow().iter().map(|(_, call)| Rc::clone(call)).collect();
        let mut cancelled = 0;
        for call in calls {
            let future = call.waiting.borrow_mut().future.take();
            if let Some(future) = future {
                cancelled += 1;
                if let Outcome::Exit = future::cancel(&future) {
                    return Err(Exited);
                }
            }
        }
        Ok(cancelled)
    }
}
