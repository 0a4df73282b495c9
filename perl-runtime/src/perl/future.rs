//! Futures: made, watched and settled by us, always real objects of class `Future` (FUT-1).

use super::ffi;
use super::value::{Outcome, Scalar};

/// State of what an application returned.
pub(crate) enum State {
    /// Not ready.
    Pending,
    /// Resolved; the value has no meaning (APP-6).
    Done,
    /// Failed with this exception.
    Failed(Scalar),
    /// Cancelled (CXL-3).
    Cancelled,
    /// Not a Future at all (APP-9).
    NotAFuture,
}

/// A pending Future.
pub(crate) fn pending() -> Scalar {
    // SAFETY: one thread, no longjmp.
    Scalar::made(unsafe { ffi::pagi_future_new() })
}

/// A Future that is done with one value or none (EMB-17).
pub(crate) fn done(value: Option<Scalar>) -> Scalar {
    let value = value.map_or(std::ptr::null_mut(), Scalar::into_raw);
    // SAFETY: one thread, no longjmp; the shim takes the reference over.
    Scalar::made(unsafe { ffi::pagi_future_done(value) })
}

/// A Future that failed with a message, which gets the place in the Perl code that is running.
pub(crate) fn failed(message: &str) -> Scalar {
    // SAFETY: one thread, no longjmp; the message outlives the call.
    Scalar::made(unsafe { ffi::pagi_future_fail(message.as_ptr(), message.len()) })
}

/// State of an application's return value.
pub(crate) fn state(value: &Scalar) -> State {
    let mut failure = std::ptr::null_mut();
    // SAFETY: one thread, no longjmp; the value is owned.
    match unsafe { ffi::pagi_future_state(value.as_ptr(), &raw mut failure) } {
        0 => State::Pending,
        1 => State::Done,
        2 => State::Failed(Scalar::own(failure).unwrap_or_else(Scalar::undef)),
        3 => State::Cancelled,
        _ => State::NotAFuture,
    }
}

/// Whether a Future is ready, which for ours means that the application cancelled it (EMB-9).
pub(crate) fn is_ready(future: &Scalar) -> bool {
    // SAFETY: one thread, no longjmp; the value is owned.
    unsafe { ffi::pagi_future_is_ready(future.as_ptr()) != 0 }
}

/// Resolves a Future; runs the application's continuation.
pub(crate) fn settle(future: &Scalar, value: Option<Scalar>) -> Outcome {
    let value = value.map_or(std::ptr::null_mut(), Scalar::into_raw);
    let mut error = std::ptr::null_mut();
    // SAFETY: one thread, no longjmp; the shim takes the value's reference over.
    let outcome = unsafe { ffi::pagi_future_settle(future.as_ptr(), value, &raw mut error) };
    Outcome::from_raw(outcome, error)
}

/// Asks to be told when the application's Future is ready.
pub(crate) fn watch(future: &Scalar, call: usize) -> Outcome {
    let mut error = std::ptr::null_mut();
    // SAFETY: one thread, no longjmp.
    let outcome = unsafe { ffi::pagi_future_watch(future.as_ptr(), call, &raw mut error) };
    Outcome::from_raw(outcome, error)
}

/// Cancels an application's Future: only after the shutdown bound (CXL-2).
pub(crate) fn cancel(future: &Scalar) -> Outcome {
    // SAFETY: one thread, no longjmp.
    let outcome = unsafe { ffi::pagi_future_cancel(future.as_ptr()) };
    Outcome::from_raw(outcome, std::ptr::null_mut())
}
