//! The functions of package `PAGI::Native`, on which the Perl side of the loop adapters is built.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use crate::perl::descriptor;
use crate::perl::interpreter;
use crate::perl::value::{Outcome, Scalar, View};
use crate::reactor::{Direction, Reactor};
use crate::worker;

thread_local! {
    static REACTOR: OnceCell<&'static Reactor> = const { OnceCell::new() };
}

/// The reactor of this process; made on first use and never freed, because global destruction may still cancel timers.
pub(crate) fn reactor() -> &'static Reactor {
    REACTOR.with(|cell| *cell.get_or_init(|| Box::leak(Box::default())))
}

/// In the child of any fork, inside the fork handler. A thread that has no reactor has nothing to take note of.
pub(crate) fn forked() {
    let reactor = REACTOR.try_with(|cell| cell.get().copied());
    if let Ok(Some(reactor)) = reactor {
        reactor.forked();
    }
}

/// What a function of `PAGI::Native` comes to.
pub(crate) enum LoopResult {
    /// A value, or nothing (undef).
    Value(Option<Scalar>),
    /// An exception with this message.
    Error(String),
    /// The application has called `exit` in a nested turn.
    Exit,
}

/// Runs one function. Numbers as in the shim's table.
pub(crate) fn operate(operation: i32, arguments: &[View<'_>]) -> LoopResult {
    reactor().begin_anew_if_copied();
    let result = match operation {
        0 => return turn(arguments),
        1 => timer(arguments),
        2 => cancel_timer(arguments),
        3 => watch(arguments),
        4 => unwatch(arguments),
        5 => later(arguments),
        6 => Ok(Some(Scalar::num(now()))),
        7 => put_job(arguments),
        8 => Ok(Some(Scalar::int(worker::with(|worker| i64::from(worker.depth())).unwrap_or(0)))),
        9 => Ok(Some(Scalar::int(i64::try_from(reactor().era()).unwrap_or(i64::MAX)))),
        10 => post_fork(),
        11 => Ok(reactor().due_in().map(|left| Scalar::num(left.as_secs_f64()))),
        12 => jobs_wait(arguments),
        13 => Ok(pool_limits().map(|(processes, _)| Scalar::int(processes.into()))),
        14 => Ok(pool_limits().map(|(_, queue)| count(queue))),
        _ => Err("unknown function of PAGI::Native".to_owned()),
    };
    match result {
        Ok(value) => LoopResult::Value(value),
        Err(message) => LoopResult::Error(message),
    }
}

/// `turn($seconds)`: one turn of the loop, waiting at most that long (undef: until something happens).
fn turn(arguments: &[View<'_>]) -> LoopResult {
    let wait = match arguments.first().map(|wait| wait.num()) {
        Some(Ok(seconds)) => Some(duration(seconds)),
        _ => None,
    };
    match worker::nested_turn(wait) {
        worker::Turned::Done => LoopResult::Value(None),
        worker::Turned::Exit => LoopResult::Exit,
        worker::Turned::Failed(message) => LoopResult::Error(message),
    }
}

/// `timer($seconds, $code)`: the timer's number.
fn timer(arguments: &[View<'_>]) -> Result<Option<Scalar>, String> {
    let [delay, code] = arguments else { return Err("timer takes seconds and a code reference".to_owned()) };
    let delay = delay.num().map_err(|_| "timer: the delay must be a number of seconds".to_owned())?;
    let id = reactor().timer(duration(delay), code_of(*code)?);
    Ok(Some(Scalar::int(i64::try_from(id).unwrap_or(i64::MAX))))
}

fn cancel_timer(arguments: &[View<'_>]) -> Result<Option<Scalar>, String> {
    if let Some(id) = arguments.first().and_then(|id| id.int().ok()).and_then(|id| u64::try_from(id).ok()) {
        reactor().cancel_timer(id);
    }
    Ok(None)
}

/// `watch($fd, $direction, $code)`: direction 0 reads, 1 writes, 2 waits for the hang-up. The watch's number.
fn watch(arguments: &[View<'_>]) -> Result<Option<Scalar>, String> {
    let [fd, direction, code] = arguments else {
        return Err("watch takes fd, direction and a code reference".to_owned());
    };
    let fd = descriptor_of(*fd)?;
    let id = reactor()
        .watch(fd, direction_of(*direction)?, code_of(*code)?)
        .map_err(|error| format!("cannot watch fd {fd}: {error}"))?;
    Ok(Some(Scalar::int(i64::try_from(id).unwrap_or(i64::MAX))))
}

/// `unwatch($id)`.
fn unwatch(arguments: &[View<'_>]) -> Result<Option<Scalar>, String> {
    if let Some(id) = arguments.first().and_then(|id| id.int().ok()).and_then(|id| u64::try_from(id).ok()) {
        reactor().unwatch(id).map_err(|error| format!("cannot stop watching a descriptor: {error}"))?;
    }
    Ok(None)
}

/// `post_fork()`: a child that the application forked goes on with everything its parent waits for.
fn post_fork() -> Result<Option<Scalar>, String> {
    if interpreter::is_forked_child() {
        reactor().adopt();
    }
    Ok(None)
}

/// `later($code)`.
fn later(arguments: &[View<'_>]) -> Result<Option<Scalar>, String> {
    let code = arguments.first().ok_or_else(|| "later takes a code reference".to_owned())?;
    reactor().later(code_of(*code)?);
    Ok(None)
}

/// `put_job($fd)`: gives one end of a stream to the pool; true, or false when the queue is full.
fn put_job(arguments: &[View<'_>]) -> Result<Option<Scalar>, String> {
    let [fd] = arguments else { return Err("put_job takes a file descriptor number".to_owned()) };
    let stream = descriptor::borrow(descriptor_of(*fd)?);
    let put =
        worker::with(|worker| worker.put_job(&stream)).unwrap_or_else(|| Err("no worker runs here".to_owned()))?;
    Ok(Some(Scalar::int(put.into())))
}

/// `jobs_wait($change)`: counts jobs that began or ceased to wait; how much waits in all workers, undef without a pool.
fn jobs_wait(arguments: &[View<'_>]) -> Result<Option<Scalar>, String> {
    let [change] = arguments else { return Err("jobs_wait takes a number".to_owned()) };
    let change = change.int().map_err(|_| "jobs_wait takes a number".to_owned())?;
    Ok(worker::with(|worker| worker.jobs_wait(change)).flatten().map(count))
}

/// Processes and queue limit of the pool.
fn pool_limits() -> Option<(u32, u64)> {
    worker::with(|worker| worker.pool_limits()).flatten()
}

fn count(number: u64) -> Scalar {
    Scalar::int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn code_of(code: View<'_>) -> Result<Scalar, String> {
    let code = code.copy();
    if code.is_code() { Ok(code) } else { Err("expected a code reference".to_owned()) }
}

fn descriptor_of(fd: View<'_>) -> Result<i32, String> {
    fd.int()
        .ok()
        .and_then(|fd| i32::try_from(fd).ok())
        .filter(|&fd| fd >= 0)
        .ok_or_else(|| "expected a file descriptor number".to_owned())
}

fn direction_of(direction: View<'_>) -> Result<Direction, String> {
    match direction.int() {
        Ok(0) => Ok(Direction::Read),
        Ok(1) => Ok(Direction::Write),
        Ok(2) => Ok(Direction::Hangup),
        _ => Err("a direction is 0 (read), 1 (write) or 2 (hang-up)".to_owned()),
    }
}

/// Negative and absurd delays become the nearest sensible one.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// Seconds of the monotonic clock since the first call.
fn now() -> f64 {
    thread_local! { static START: Instant = Instant::now(); }
    START.with(Instant::elapsed).as_secs_f64()
}

/// One turn without a worker: while the application loads, or in a forked child.
pub(crate) fn turn_alone(wait: Option<Duration>) -> worker::Turned {
    let reactor = reactor();
    if wait.is_none() && reactor.is_idle() {
        return worker::Turned::Failed(
            "the loop would wait for ever: nothing is watched and no timer is set".to_owned(),
        );
    }
    let wait = match reactor.next_deadline() {
        _ if reactor.is_due() => Duration::ZERO,
        Some(deadline) => deadline.duration_since(Instant::now()).min(wait.unwrap_or(Duration::MAX)),
        None => wait.unwrap_or(Duration::MAX),
    };
    match run_due(reactor, wait) {
        Ok(_) => worker::Turned::Done,
        Err(turned) => turned,
    }
}

/// Runs what is ready in the order of BIND-2: descriptors, timers, deferred calls. Returns how many callbacks ran.
pub(crate) fn run_due(reactor: &Reactor, wait: Duration) -> Result<usize, worker::Turned> {
    let turn = reactor.begin_turn();
    let mut ran = 0;
    for (id, code) in reactor.ready_watches(wait) {
        // A nested turn has looked at descriptors anew: what was found before it is no longer true.
        if !reactor.is_latest(turn) {
            break;
        }
        if reactor.is_watched(id) {
            run(&code)?;
            ran += 1;
        }
    }
    let moment = Instant::now();
    for _ in 0..Reactor::TIMERS_PER_TURN {
        let Some(code) = reactor.take_due(moment) else { break };
        run(&code)?;
        ran += 1;
    }
    while let Some(code) = reactor.take_deferred(turn) {
        run(&code)?;
        ran += 1;
    }
    Ok(ran)
}

fn run(code: &Scalar) -> Result<(), worker::Turned> {
    let outcome = match worker::with(|worker| worker) {
        Some(worker) => worker.timed_callback(|| code.call(&[])),
        None => code.call(&[]),
    };
    match outcome {
        Outcome::Returned(_) => Ok(()),
        Outcome::Died(error) => {
            tracing::error!("uncaught exception in a loop callback: {}", error.display().trim_end());
            Ok(())
        }
        Outcome::Exit => Err(worker::Turned::Exit),
    }
}
