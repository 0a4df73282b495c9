//! Declarations of `shim/bridge.c`, in its order.

use std::ffi::{c_char, c_int};

/// A Perl scalar; only ever behind a pointer.
#[repr(C)]
pub(super) struct Sv {
    _opaque: [u8; 0],
}
/// A Perl hash.
#[repr(C)]
pub(super) struct Hv {
    _opaque: [u8; 0],
}
/// A Perl array.
#[repr(C)]
pub(super) struct Av {
    _opaque: [u8; 0],
}
/// The four handles of one call.
#[repr(C)]
pub(super) struct HandleSet {
    _opaque: [u8; 0],
}

/// Borrowed bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Str {
    pub(super) ptr: *const u8,
    pub(super) len: usize,
}

impl Str {
    pub(super) const NONE: Self = Self { ptr: std::ptr::null(), len: 0 };
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

/// One request header.
#[repr(C)]
pub(super) struct Header {
    pub(super) name: Str,
    pub(super) value: Str,
}

/// Everything a request scope is built from.
#[repr(C)]
pub(super) struct Scope {
    pub(super) kind: c_int,
    pub(super) path_is_text: c_int,
    pub(super) fullflush: c_int,
    pub(super) http_version: Str,
    pub(super) method: Str,
    pub(super) scheme: Str,
    pub(super) path: Str,
    pub(super) raw_path: Str,
    pub(super) query_string: Str,
    pub(super) root_path: Str,
    pub(super) request_id: Str,
    pub(super) client_host: Str,
    pub(super) client_port: c_int,
    pub(super) server_host: Str,
    pub(super) server_port: c_int,
    pub(super) headers: *const Header,
    pub(super) header_count: usize,
    pub(super) subprotocols: *const Str,
    pub(super) subprotocol_count: usize,
    pub(super) tls: *const Tls,
}

/// The facts of a TLS session.
#[repr(C)]
pub(super) struct Tls {
    pub(super) server_cert: Str,
    pub(super) client_cert_name: Str,
    pub(super) client_cert_error: Str,
    pub(super) client_cert_chain: *const Str,
    pub(super) client_cert_count: usize,
    pub(super) version: c_int,
    pub(super) cipher_suite: c_int,
}

pub(super) const DIED: c_int = 1;
pub(super) const EXIT: c_int = 2;

unsafe extern "C" {
    pub(super) fn pagi_call(code: *mut Sv, arguments: *const *mut Sv, count: usize, result: *mut *mut Sv) -> c_int;
    pub(super) fn pagi_call_named(
        function: *const c_char,
        arguments: *const *mut Sv,
        count: usize,
        result: *mut *mut Sv,
    ) -> c_int;
    pub(super) fn pagi_require_file(path: *mut Sv, result: *mut *mut Sv) -> c_int;
    pub(super) fn pagi_dispatch_signals(error: *mut *mut Sv) -> c_int;

    pub(super) fn pagi_free_temporaries();

    pub(super) fn pagi_sv_bytes(ptr: *const u8, len: usize) -> *mut Sv;
    pub(super) fn pagi_sv_text(ptr: *const u8, len: usize) -> *mut Sv;
    pub(super) fn pagi_sv_int(value: i64) -> *mut Sv;
    pub(super) fn pagi_sv_num(value: f64) -> *mut Sv;
    pub(super) fn pagi_sv_undef() -> *mut Sv;
    pub(super) fn pagi_sv_copy(sv: *mut Sv) -> *mut Sv;
    pub(super) fn pagi_sv_dec(sv: *mut Sv);
    pub(super) fn pagi_exit_is_pending() -> c_int;
    pub(super) fn pagi_sv_is_code(sv: *mut Sv) -> c_int;
    pub(super) fn pagi_sv_is_characters(sv: *mut Sv) -> c_int;

    pub(super) fn pagi_sv_show(sv: *mut Sv) -> *mut Sv;
    pub(super) fn pagi_read_bytes(sv: *mut Sv, out: *mut Str) -> c_int;
    pub(super) fn pagi_read_text(sv: *mut Sv, out: *mut Str) -> c_int;
    pub(super) fn pagi_read_int(sv: *mut Sv, out: *mut i64) -> c_int;
    pub(super) fn pagi_read_num(sv: *mut Sv, out: *mut f64) -> c_int;
    pub(super) fn pagi_read_flag(sv: *mut Sv) -> c_int;
    pub(super) fn pagi_event_hash(event: *mut Sv) -> *mut Hv;
    pub(super) fn pagi_hash_get(hash: *mut Hv, key: c_int) -> *mut Sv;
    pub(super) fn pagi_read_array(sv: *mut Sv) -> *mut Av;
    pub(super) fn pagi_array_len(array: *mut Av) -> usize;
    pub(super) fn pagi_array_get(array: *mut Av, index: usize) -> *mut Sv;

    pub(super) fn pagi_event_simple(kind: *const c_char) -> *mut Sv;
    pub(super) fn pagi_event_request(kind: *const c_char, body: Str, more: c_int) -> *mut Sv;
    pub(super) fn pagi_event_reason(kind: *const c_char, reason: Str) -> *mut Sv;

    pub(super) fn pagi_event_message(message: Str, is_text: c_int) -> *mut Sv;
    pub(super) fn pagi_event_closed(code: c_int, reason: Str) -> *mut Sv;

    pub(super) fn pagi_future_new() -> *mut Sv;
    pub(super) fn pagi_future_done(value: *mut Sv) -> *mut Sv;
    pub(super) fn pagi_future_fail(ptr: *const u8, len: usize) -> *mut Sv;
    pub(super) fn pagi_future_state(sv: *mut Sv, failure: *mut *mut Sv) -> c_int;
    pub(super) fn pagi_future_is_ready(future: *mut Sv) -> c_int;
    pub(super) fn pagi_future_settle(future: *mut Sv, value: *mut Sv, error: *mut *mut Sv) -> c_int;
    pub(super) fn pagi_future_watch(future: *mut Sv, call: usize, error: *mut *mut Sv) -> c_int;
    pub(super) fn pagi_future_cancel(future: *mut Sv) -> c_int;

    pub(super) fn pagi_handles_new(call: usize) -> *mut HandleSet;
    pub(super) fn pagi_handles_bind(handles: *mut HandleSet, call: usize);
    pub(super) fn pagi_handles_idle(handles: *mut HandleSet) -> c_int;
    pub(super) fn pagi_handles_release(handles: *mut HandleSet);

    pub(super) fn pagi_new_state() -> *mut Sv;
    pub(super) fn pagi_call_application(
        app: *mut Sv,
        scope: *const Scope,
        handles: *mut HandleSet,
        state: *mut Sv,
        result: *mut *mut Sv,
    ) -> c_int;
    pub(super) fn pagi_call_lifespan(
        app: *mut Sv,
        worker_num: c_int,
        handles: *mut HandleSet,
        state: *mut Sv,
        result: *mut *mut Sv,
    ) -> c_int;

    pub(super) fn pagi_set_wake_fd(fd: c_int);
    pub(super) fn pagi_perl_start() -> c_int;
    pub(super) fn pagi_perl_end() -> c_int;
    pub(super) fn pagi_exit_status() -> c_int;
    pub(super) fn pagi_perl_after_fork();
    pub(super) fn pagi_know_signals();
    pub(super) fn pagi_repair_signals();
    pub(super) fn pagi_is_forked_child() -> c_int;
}
