//! Perl values as Rust holds and reads them.

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use super::ffi::{self, Av, Hv, Str, Sv};

/// One owned reference to a Perl scalar. Dropping it may run Perl destructors: never drop one while a `RefCell` that
/// application code can reach is borrowed (EMB-2).
pub(crate) struct Scalar(NonNull<Sv>);

/// How a call into Perl ended.
pub(crate) enum Outcome {
    /// With a value.
    Returned(Scalar),
    /// With an exception.
    Died(Scalar),
    /// The code called `exit`; nothing may be called any more but the end of the interpreter.
    Exit,
}

/// Why a field cannot be read as what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A character above 0xFF in a byte field (DATA-8).
    Wide,
    /// A reference, a value of another type, or a fetch that died.
    Type,
    /// Surrogates or code points beyond Unicode (DATA-11).
    Unicode,
}

impl Scalar {
    /// Takes over a reference that the shim has made.
    pub(super) fn own(sv: *mut Sv) -> Option<Self> {
        NonNull::new(sv).map(Self)
    }

    /// As [`Self::own`], where the shim never returns null.
    pub(super) fn made(sv: *mut Sv) -> Self {
        Self::own(sv).unwrap_or_else(|| std::process::abort())
    }

    pub(super) fn as_ptr(&self) -> *mut Sv {
        self.0.as_ptr()
    }

    /// Gives up ownership to the shim.
    pub(super) fn into_raw(self) -> *mut Sv {
        let sv = self.0.as_ptr();
        std::mem::forget(self);
        sv
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        // SAFETY: one thread; the pointer and length come from a slice that outlives the call.
        Self::made(unsafe { ffi::pagi_sv_bytes(bytes.as_ptr(), bytes.len()) })
    }

    pub(crate) fn text(text: &str) -> Self {
        // SAFETY: as above, and a str is valid UTF-8.
        Self::made(unsafe { ffi::pagi_sv_text(text.as_ptr(), text.len()) })
    }

    pub(crate) fn int(value: i64) -> Self {
        // SAFETY: one thread.
        Self::made(unsafe { ffi::pagi_sv_int(value) })
    }

    pub(crate) fn num(value: f64) -> Self {
        // SAFETY: one thread.
        Self::made(unsafe { ffi::pagi_sv_num(value) })
    }

    pub(crate) fn undef() -> Self {
        // SAFETY: one thread.
        Self::made(unsafe { ffi::pagi_sv_undef() })
    }

    /// A new hash reference for lifespan state.
    pub(crate) fn new_state() -> Self {
        // SAFETY: one thread.
        Self::made(unsafe { ffi::pagi_new_state() })
    }

    /// `{ type => KIND }`.
    pub(crate) fn simple_event(kind: &CStr) -> Self {
        // SAFETY: one thread; the string is NUL-terminated.
        Self::made(unsafe { ffi::pagi_event_simple(kind.as_ptr()) })
    }

    /// `{ type => KIND, body => BODY, more => 0 or 1 }`.
    pub(crate) fn request_event(kind: &CStr, body: &[u8], more: bool) -> Self {
        // SAFETY: one thread; the slice outlives the call, which copies it.
        Self::made(unsafe { ffi::pagi_event_request(kind.as_ptr(), body.into(), c_int::from(more)) })
    }

    /// `{ type => KIND, reason => REASON }`.
    pub(crate) fn reason_event(kind: &CStr, reason: &str) -> Self {
        // SAFETY: as above.
        Self::made(unsafe { ffi::pagi_event_reason(kind.as_ptr(), reason.into()) })
    }

    /// `websocket.receive`.
    pub(crate) fn message_event(message: &[u8], is_text: bool) -> Self {
        // SAFETY: as above.
        Self::made(unsafe { ffi::pagi_event_message(message.into(), c_int::from(is_text)) })
    }

    /// `websocket.disconnect`.
    pub(crate) fn closed_event(code: u16, reason: &str) -> Self {
        // SAFETY: as above.
        Self::made(unsafe { ffi::pagi_event_closed(c_int::from(code), reason.into()) })
    }

    pub(crate) fn is_code(&self) -> bool {
        // SAFETY: one thread; the reference is owned.
        unsafe { ffi::pagi_sv_is_code(self.as_ptr()) != 0 }
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { sv: self.0, _owner: std::marker::PhantomData }
    }

    /// Calls a code reference.
    pub(crate) fn call(&self, arguments: &[&Scalar]) -> Outcome {
        let arguments: smallvec::SmallVec<[*mut Sv; 4]> = arguments.iter().map(|argument| argument.as_ptr()).collect();
        let mut result = std::ptr::null_mut();
        // SAFETY: one thread, no longjmp; the arguments are owned by the caller for the length of the call.
        let outcome = unsafe { ffi::pagi_call(self.as_ptr(), arguments.as_ptr(), arguments.len(), &raw mut result) };
        Outcome::from_raw(outcome, result)
    }

    /// Calls a named function.
    pub(crate) fn call_named(function: &CStr, arguments: &[&Scalar]) -> Outcome {
        let arguments: smallvec::SmallVec<[*mut Sv; 4]> = arguments.iter().map(|argument| argument.as_ptr()).collect();
        let mut result = std::ptr::null_mut();
        // SAFETY: as in `call`; the name is NUL-terminated.
        let outcome =
            unsafe { ffi::pagi_call_named(function.as_ptr(), arguments.as_ptr(), arguments.len(), &raw mut result) };
        Outcome::from_raw(outcome, result)
    }

    /// The value for a log line, as Perl would print it (EMB-16).
    pub(crate) fn display(&self) -> String {
        // SAFETY: one thread, no longjmp: the shim stringifies under its guard.
        let shown = Self::own(unsafe { ffi::pagi_sv_show(self.as_ptr()) });
        let text = shown.as_ref().and_then(|shown| shown.view().utf8().ok());
        text.map_or_else(
            || "(an exception that cannot be shown)".to_owned(),
            |text| String::from_utf8_lossy(text).into(),
        )
    }
}

impl Drop for Scalar {
    fn drop(&mut self) {
        // SAFETY: one thread; this is the one reference that was owned. The shim keeps `exit` in a destructor from
        // unwinding this frame.
        unsafe { ffi::pagi_sv_dec(self.as_ptr()) }
    }
}

impl Outcome {
    pub(super) fn from_raw(outcome: c_int, result: *mut Sv) -> Self {
        match outcome {
            ffi::EXIT => Self::Exit,
            ffi::DIED => Self::Died(Scalar::own(result).unwrap_or_else(Scalar::undef)),
            _ => Self::Returned(Scalar::own(result).unwrap_or_else(Scalar::undef)),
        }
    }
}

/// A borrowed scalar.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    sv: NonNull<Sv>,
    _owner: std::marker::PhantomData<&'a Scalar>,
}

impl<'a> View<'a> {
    /// A scalar that Perl lends for the length of a callback.
    pub(super) fn lent(sv: *mut Sv) -> Option<Self> {
        NonNull::new(sv).map(|sv| Self { sv, _owner: std::marker::PhantomData })
    }

    /// The bytes of a byte field, from a downgraded copy where needed. They live until Perl frees its temporaries, which
    /// it cannot do before the callback that lent this scalar has returned.
    pub(crate) fn bytes(self) -> Result<&'a [u8], Unreadable> {
        let mut out = Str::NONE;
        // SAFETY: one thread, no longjmp; the scalar is lent for 'a.
        read(unsafe { ffi::pagi_read_bytes(self.sv.as_ptr(), &raw mut out) })?;
        // SAFETY: the shim has set pointer and length of memory that lives as long as Perl's current temporaries.
        Ok(unsafe { slice(out) })
    }

    /// The UTF-8 bytes of a text field (DATA-9); lifetime as for [`Self::bytes`].
    pub(crate) fn utf8(self) -> Result<&'a [u8], Unreadable> {
        let mut out = Str::NONE;
        // SAFETY: as above.
        read(unsafe { ffi::pagi_read_text(self.sv.as_ptr(), &raw mut out) })?;
        // SAFETY: as above.
        Ok(unsafe { slice(out) })
    }

    pub(crate) fn int(self) -> Result<i64, Unreadable> {
        let mut out = 0;
        // SAFETY: as above.
        read(unsafe { ffi::pagi_read_int(self.sv.as_ptr(), &raw mut out) })?;
        Ok(out)
    }

    pub(crate) fn num(self) -> Result<f64, Unreadable> {
        let mut out = 0.0;
        // SAFETY: as above.
        read(unsafe { ffi::pagi_read_num(self.sv.as_ptr(), &raw mut out) })?;
        Ok(out)
    }

    /// What Perl's own `open` takes as a file name: the octets, or the UTF-8 of a character string (AMB-14).
    pub(crate) fn file_name(self) -> Result<&'a [u8], Unreadable> {
        // SAFETY: one thread; a flag is looked at.
        if unsafe { ffi::pagi_sv_is_characters(self.sv.as_ptr()) != 0 } { self.utf8() } else { self.bytes() }
    }

    /// Perl's truth.
    pub(crate) fn flag(self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::pagi_read_flag(self.sv.as_ptr()) != 0 }
    }

    /// The hash behind an event (EVT-7).
    pub(crate) fn event_hash(self) -> Option<Hash<'a>> {
        // SAFETY: as above.
        NonNull::new(unsafe { ffi::pagi_event_hash(self.sv.as_ptr()) })
            .map(|hash| Hash { hash, _owner: std::marker::PhantomData })
    }

    /// The array behind a reference.
    pub(crate) fn array(self) -> Option<Array<'a>> {
        // SAFETY: as above.
        NonNull::new(unsafe { ffi::pagi_read_array(self.sv.as_ptr()) })
            .map(|array| Array { array, _owner: std::marker::PhantomData })
    }

    /// A new scalar with the same value: what to keep of an argument, whose own scalar the caller may change.
    pub(crate) fn copy(self) -> Scalar {
        // SAFETY: as above.
        Scalar::made(unsafe { ffi::pagi_sv_copy(self.sv.as_ptr()) })
    }
}

/// A borrowed hash.
#[derive(Clone, Copy)]
pub(crate) struct Hash<'a> {
    hash: NonNull<Hv>,
    _owner: std::marker::PhantomData<&'a Scalar>,
}

impl<'a> Hash<'a> {
    /// A field, or `None` when it is missing or undef (DATA-5).
    pub(crate) fn get(self, key: super::event::Key) -> Option<View<'a>> {
        // SAFETY: one thread, no longjmp; the hash is lent for 'a.
        View::lent(unsafe { ffi::pagi_hash_get(self.hash.as_ptr(), key as c_int) })
    }
}

/// A borrowed array.
#[derive(Clone, Copy)]
pub(crate) struct Array<'a> {
    array: NonNull<Av>,
    _owner: std::marker::PhantomData<&'a Scalar>,
}

impl<'a> Array<'a> {
    pub(crate) fn len(self) -> usize {
        // SAFETY: one thread; the array is lent for 'a.
        unsafe { ffi::pagi_array_len(self.array.as_ptr()) }
    }

    pub(crate) fn get(self, index: usize) -> Option<View<'a>> {
        // SAFETY: as above.
        View::lent(unsafe { ffi::pagi_array_get(self.array.as_ptr(), index) })
    }
}

fn read(code: c_int) -> Result<(), Unreadable> {
    match code {
        0 => Ok(()),
        1 => Err(Unreadable::Wide),
        3 => Err(Unreadable::Unicode),
        _ => Err(Unreadable::Type),
    }
}

/// # Safety
/// `out` must have been filled by the shim, and the result must not outlive the temporaries of the Perl code running.
unsafe fn slice<'a>(out: Str) -> &'a [u8] {
    if out.ptr.is_null() {
        return &[];
    }
    // SAFETY: by the contract above.
    unsafe { std::slice::from_raw_parts(out.ptr, out.len) }
}
