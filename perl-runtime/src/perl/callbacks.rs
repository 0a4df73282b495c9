//! What Perl calls. Each function finds the worker of this thread and hands over; none of them unwinds (a panic aborts,
//! and `extern "C"` guarantees it).

use std::ffi::c_int;

use super::ffi::Sv;
use super::future;
use super::value::{Scalar, View};
use crate::native::{self, LoopResult};
use crate::worker;

/// `$receive->()`: a new Future.
#[unsafe(no_mangle)]
extern "C" fn pagi_rs_receive(call: usize) -> *mut Sv {
    worker::with(|worker| worker.receive(call)).unwrap_or_else(future::pending).into_raw()
}

/// `$send->($event)`: a new Future.
#[unsafe(no_mangle)]
extern "C" fn pagi_rs_send(call: usize, event: *mut Sv) -> *mut Sv {
    let sent = View::lent(event).and_then(|event| worker::with(|worker| worker.send(call, event)));
    sent.unwrap_or_else(|| future::done(None)).into_raw()
}

/// A method of `pagi.connection` or `pagi.transport`; null means "the object itself".
#[unsafe(no_mangle)]
extern "C" fn pagi_rs_method(call: usize, method: c_int, argument: *mut Sv) -> *mut Sv {
    worker::with(|worker| worker.method(call, method, View::lent(argument)))
        .flatten()
        .map_or(std::ptr::null_mut(), Scalar::into_raw)
}

/// The application's Future is ready.
#[unsafe(no_mangle)]
extern "C" fn pagi_rs_call_ready(call: usize) {
    worker::with(|worker| worker.call_ready(call));
}

/// The last of a call's handles was freed.
#[unsafe(no_mangle)]
extern "C" fn pagi_rs_handles_freed(call: usize) {
    worker::with(|worker| worker.handles_freed(call));
}

/// This is the child of a fork: it must not keep the parent's clients and listeners open, nor use its reactor.
#[unsafe(no_mangle)]
extern "C" fn pagi_rs_forked() {
    native::forked();
    worker::with(|worker| worker.close_descriptors());
}

/// A function of `PAGI::Native`.
///
/// # Safety
/// `arguments` points to `count` scalars on Perl's stack; `error` and `exit` to variables of the shim.
#[unsafe(no_mangle)]
unsafe extern "C" fn pagi_rs_loop(
    operation: c_int,
    arguments: *const *mut Sv,
    count: usize,
    error: *mut *mut Sv,
    exit: *mut c_int,
) -> *mut Sv {
    let arguments: smallvec::SmallVec<[View<'_>; 4]> =
        // SAFETY: by the contract above; Perl's stack holds no null pointers below its top.
        (0..count).filter_map(|index| View::lent(unsafe { *arguments.add(index) })).collect();
    match native::operate(operation, &arguments) {
        LoopResult::Value(value) => value.map_or(std::ptr::null_mut(), Scalar::into_raw),
        LoopResult::Error(message) => {
            // SAFETY: by the contract above.
            unsafe { *error = Scalar::text(&message).into_raw() };
            std::ptr::null_mut()
        }
        LoopResult::Exit => {
            // SAFETY: by the contract above.
            unsafe { *exit = 1 };
            std::ptr::null_mut()
        }
    }
}
