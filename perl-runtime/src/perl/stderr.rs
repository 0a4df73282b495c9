//! For which request Perl writes to standard error, see `shim/stderr.c`.

use std::cell::Cell;
use std::ffi::{c_char, c_int};
use std::marker::PhantomData;
use std::ptr;

use pagi_server_core::exchange::Exchange;

unsafe extern "C" {
    fn pagi_mark_stderr(token: *const c_char, length: usize) -> c_int;
}

thread_local! {
    static CURRENT: Cell<*const Exchange> = const { Cell::new(ptr::null()) };
}

/// From now on what Perl writes to standard error on behalf of a request is marked with this token; `None` ends it. By the
/// thread that runs Perl, when standard error is what it will be. `false` when Perl's STDERR is something else.
pub(crate) fn mark(token: Option<&str>) -> bool {
    let token = token.unwrap_or_default();
    // SAFETY: Perl was started on this thread, and no Perl code runs now. The bytes are copied before this returns.
    unsafe { pagi_mark_stderr(token.as_ptr().cast(), token.len()) == 0 }
}

/// Perl code runs on behalf of a request, or of none, until this is dropped. Those in between are restored: they may be nested.
pub(crate) struct OnBehalf<'e> {
    before: *const Exchange,
    exchange: PhantomData<&'e Exchange>,
}

impl<'e> OnBehalf<'e> {
    /// Begins.
    pub(crate) fn of(exchange: Option<&'e Exchange>) -> Self {
        let before = CURRENT.replace(exchange.map_or(ptr::null(), ptr::from_ref));
        Self { before, exchange: PhantomData }
    }
}

impl Drop for OnBehalf<'_> {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// Copies the name of the request on whose behalf Perl runs; its length, 0 when there is none or it is too long.
#[unsafe(no_mangle)]
extern "C" fn pagi_rs_request_name(buffer: *mut c_char, capacity: usize) -> usize {
    // At the very end of the process there are no thread-local variables any more.
    let current = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: not null only while an `OnBehalf` lives that borrows the exchange; it is only read here.
    let Some(exchange) = (unsafe { current.as_ref() }) else { return 0 };
    let field = exchange.worker().request_id_field();
    let name = field.and_then(|field| exchange.head().headers().get(field.as_bytes())).unwrap_or_default();
    if name.len() > capacity {
        return 0;
    }
    // SAFETY: the shim gives a buffer of that capacity, which nobody else uses meanwhile.
    unsafe { ptr::copy_nonoverlapping(name.as_ptr(), buffer.cast(), name.len()) };
    name.len()
}
