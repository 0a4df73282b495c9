/* The libperl binding: keeps Perl's macros on this side and gives Rust plain functions.
 *
 * Three rules make it sound.
 *  - Perl code is entered only through guarded(), which stops `die` (G_EVAL) and `exit` (a JMPENV of its own), so no
 *    longjmp ever crosses a Rust frame.
 *  - Rust callbacks (pagi_rs_*) return values; when one wants an exception or an exit, this file raises it after the
 *    Rust frame has returned.
 *  - Values with magic or overloading are copied inside guarded() before they are read.
 */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include <pthread.h>
#include <unistd.h>

#include "await.h"
#include "bridge.h"
#include "signal.h"
#include "slow.h"

/* The one interpreter. Functions without a pTHX parameter use it through the macros' `my_perl`. */
static PerlInterpreter *my_perl;

static HV *future_stash;      /* package Future */
static HV *loop_future_stash; /* package PAGI::Native::Future, which has the same layout */
static int fast_futures;      /* whether Future's pure-Perl layout is the known one */
static int xs_depth;          /* how many of our XSUBs are on the C stack */
static SV *copy_guard;        /* XSUB that reads a value with magic */
static SV *show_guard;        /* XSUB that makes a string of a value */
static HEK *scope_types[3];
static SV *native_get, *native_is_ready, *native_new_done; /* Future's own methods, for what the fast ones leave */

static const char *const key_names[K_COUNT] = {
    "type", "status", "headers", "trailers", "body", "file", "fh", "offset", "length", "more", "data", "event", "id",
    "retry", "comment", "interval", "reason", "message", "text", "bytes", "code", "subprotocol", "timeout", "pagi", "version", "spec_version", "is_worker", "worker_num",
    "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "client", "server", "state",
    "extensions", "pagi.connection", "pagi.transport", "fullflush", "subprotocols",
    "websocket.http.response", "ready", "result", "failure", "cancelled",
    "callbacks",
    "tls", "server_cert", "client_cert_chain", "client_cert_name", "client_cert_error", "tls_version", "cipher_suite",
    "pagi_server.request_id",
};
static SV *keys[K_COUNT];
static U32 key_hashes[K_COUNT];

/* ---- what Rust provides ---------------------------------------------------------------------------------------- */

extern SV *pagi_rs_receive(size_t call);
extern SV *pagi_rs_send(size_t call, SV *event);
extern SV *pagi_rs_method(size_t call, int method, SV *argument);
extern void pagi_rs_call_ready(size_t call);
extern void pagi_rs_handles_freed(size_t call);
extern void pagi_rs_forked(void);
/* A loop operation. Returns a new value or NULL; *error is a new string to croak with; *exit is set when the
 * application has called exit in a nested turn. */
extern SV *pagi_rs_loop(int operation, SV **arguments, size_t count, SV **error, int *exit);

/* ---- guarded calls --------------------------------------------------------------------------------------------- */

/* Calls code with arguments already between PUSHMARK and PUTBACK. Captures its scalar result or its exception as a new
 * reference. Called from inside an XSUB it leaves the caller's $@ alone (EMB-14). */
static int guarded(SV *code, I32 flags, SV **result)
{
    int ret;
    volatile int outcome = PAGI_OK;
    dJMPENV;

    *result = NULL;
    JMPENV_PUSH(ret);
    if (ret == 0) {
        dSP;
        I32 count;
        count = call_sv(code, flags | G_EVAL);
        SPAGAIN;
        if (SvROK(ERRSV) || (SvPOK(ERRSV) && SvCUR(ERRSV) > 0)) {
            outcome = PAGI_DIED;
            *result = newSVsv(ERRSV);
            sv_setpvs(ERRSV, "");
            SP -= count;
        } else if ((flags & G_WANT) == G_SCALAR && count > 0) {
            *result = newSVsv(POPs);
        } else {
            SP -= count;
        }
        PUTBACK;
    } else {
        outcome = ret == 2 ? PAGI_EXIT : PAGI_DIED;
    }
    JMPENV_POP;
    return outcome;
}

#define ENTER_CALL                                                                                                    \
    dSP;                                                                                                              \
    ENTER;                                                                                                            \
    SAVETMPS;                                                                                                         \
    if (xs_depth > 0)                                                                                                 \
        save_scalar(PL_errgv);                                                                                        \
    PUSHMARK(SP)

/* After an exit the scopes have been unwound by my_exit_jump already. */
#define LEAVE_CALL(outcome)                                                                                           \
    if ((outcome) != PAGI_EXIT) {                                                                                     \
        FREETMPS;                                                                                                     \
        LEAVE;                                                                                                        \
    }

/* Calls a code reference with borrowed arguments; *result is a new scalar: the value, or the exception. */
int pagi_call(SV *code, SV **arguments, size_t count, SV **result)
{
    int outcome;
    size_t i;
    ENTER_CALL;
    EXTEND(SP, (SSize_t)count);
    for (i = 0; i < count; i++)
        PUSHs(arguments[i]);
    PUTBACK;
    outcome = guarded(code, G_SCALAR, result);
    LEAVE_CALL(outcome);
    return outcome;
}

int pagi_run(SV *code, SV *argument, SV **error)
{
    int outcome;
    ENTER_CALL;
    EXTEND(SP, 1);
    PUSHs(argument);
    PUTBACK;
    outcome = guarded(code, G_VOID | G_DISCARD, error);
    LEAVE_CALL(outcome);
    return outcome;
}

static int invoke_method(SV *invocant, const char *method, SV *argument, SV **result)
{
    int outcome;
    SV *name;
    ENTER_CALL;
    EXTEND(SP, 2);
    PUSHs(invocant);
    if (argument)
        PUSHs(argument);
    PUTBACK;
    name = sv_2mortal(newSVpv(method, 0));
    outcome = guarded(name, G_SCALAR | G_METHOD, result);
    LEAVE_CALL(outcome);
    return outcome;
}

int pagi_call_named(const char *function, SV **arguments, size_t count, SV **result)
{
    CV *cv = get_cv(function, 0);
    if (!cv) {
        *result = newSVpvf("internal error: no Perl function %s", function);
        return PAGI_DIED;
    }
    return pagi_call((SV *)cv, arguments, count, result);
}

/* require FILE, by path. */
static XSPROTO(xs_require)
{
    dXSARGS;
    PERL_UNUSED_VAR(items);
    require_pv(SvPV_nolen(ST(0)));
    XSRETURN_EMPTY;
}

int pagi_require_file(SV *path, SV **result)
{
    SV *code = sv_2mortal(newRV_noinc((SV *)newXS(NULL, xs_require, __FILE__)));
    return pagi_call(code, &path, 1, result);
}

/* Runs Perl's pending signal handlers (%SIG) at a safe point. */
static XSPROTO(xs_dispatch_signals)
{
    dXSARGS;
    PERL_UNUSED_VAR(items);
    PERL_ASYNC_CHECK();
    XSRETURN_EMPTY;
}

static SV *signal_guard;

int pagi_dispatch_signals(SV **error)
{
    *error = NULL;
    if (!PL_sig_pending)
        return PAGI_OK;
    return pagi_call(signal_guard, NULL, 0, error);
}

/* Frees the temporaries that were made between calls into Perl (EMB-4). A nested turn has a floor of its own (xs_loop),
 * so the temporaries of the code that waits are left alone. */
void pagi_free_temporaries(void)
{
    FREETMPS;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

SV *pagi_sv_bytes(const char *ptr, size_t len) { return newSVpvn(ptr, len); }

SV *pagi_sv_text(const char *ptr, size_t len)
{
    SV *sv = newSVpvn(ptr, len);
    /* Perl takes a length of 0 for "ask strlen", and an empty Rust slice points nowhere. */
    if (len > 0 && !is_utf8_invariant_string((const U8 *)ptr, len))
        SvUTF8_on(sv);
    return sv;
}

SV *pagi_sv_int(int64_t value) { return newSViv((IV)value); }
SV *pagi_sv_num(double value) { return newSVnv(value); }
SV *pagi_sv_undef(void) { return newSV(0); }
SV *pagi_sv_copy(SV *sv) { return newSVsv_nomg(sv); }

static int exit_pending; /* an object's destructor called exit where nobody could be told at once */

/* Gives up a reference. A destructor that runs here may call exit: that must not unwind the Rust frame above. */
void pagi_sv_dec(SV *sv)
{
    int ret;
    dJMPENV;
    if (SvREFCNT(sv) > 1 || SvTYPE(sv) < SVt_PVMG) {
        if (!SvROK(sv)) {
            SvREFCNT_dec_NN(sv);
            return;
        }
    }
    JMPENV_PUSH(ret);
    if (ret == 0)
        SvREFCNT_dec_NN(sv);
    else
        exit_pending = 1;
    JMPENV_POP;
}

int pagi_exit_is_pending(void) { return exit_pending; }
int pagi_sv_is_code(SV *sv) { return SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVCV; }
int pagi_sv_is_characters(SV *sv) { return SvUTF8(sv) != 0; }

/* Reads a value with magic or overloading; runs under guarded(). */
static XSPROTO(xs_copy_guard)
{
    dXSARGS;
    SV *value = ST(0);
    SV *copy;
    PERL_UNUSED_VAR(items);
    if (SvGMAGICAL(value))
        mg_get(value);
    if (SvROK(value) && SvAMAGIC(value) && SvTYPE(SvRV(value)) != SVt_PVAV && SvTYPE(SvRV(value)) != SVt_PVHV) {
        STRLEN len;
        const char *ptr = SvPV_nomg(value, len);
        copy = newSVpvn_flags(ptr, len, SvUTF8(value) ? SVf_UTF8 : 0);
    } else {
        copy = newSVsv_nomg(value);
    }
    ST(0) = sv_2mortal(copy);
    XSRETURN(1);
}

/* Makes a string of anything, as print would; runs under guarded(). */
static XSPROTO(xs_show_guard)
{
    dXSARGS;
    STRLEN len;
    const char *ptr;
    PERL_UNUSED_VAR(items);
    ptr = SvPV(ST(0), len);
    ST(0) = newSVpvn_flags(ptr, len, SVs_TEMP | (SvUTF8(ST(0)) ? SVf_UTF8 : 0));
    XSRETURN(1);
}

/* A string for a log line: exception objects and what else may come. A new value, or NULL when it has none. */
SV *pagi_sv_show(SV *sv)
{
    SV *result;
    if (!SvOK(sv))
        return newSVpvs("undef");
    if (pagi_call(show_guard, &sv, 1, &result) == PAGI_OK)
        return result;
    if (result)
        SvREFCNT_dec_NN(result);
    return NULL;
}

/* The value without magic, fetched once (EMB-8). NULL when fetching died. The result is mortal or the value itself. */
static SV *plain(SV *sv)
{
    SV *result;
    if (!SvGMAGICAL(sv) && !(SvROK(sv) && SvAMAGIC(sv)))
        return sv;
    if (pagi_call(copy_guard, &sv, 1, &result) != PAGI_OK) {
        if (result)
            SvREFCNT_dec_NN(result);
        return NULL;
    }
    return sv_2mortal(result);
}

/* The value as octets: never touches the scalar itself (EMB-7). Valid until the caller's temporaries are freed. */
int pagi_read_bytes(SV *sv, struct pagi_str *out)
{
    STRLEN len;
    sv = plain(sv);
    if (!sv || !SvOK(sv) || SvROK(sv))
        return PAGI_READ_TYPE;
    if (!SvPOK(sv))
        sv = sv_2mortal(newSVsv_nomg(sv));
    if (SvUTF8(sv)) {
        sv = sv_2mortal(newSVsv_nomg(sv));
        if (!sv_utf8_downgrade(sv, TRUE))
            return PAGI_READ_WIDE;
    }
    out->ptr = SvPV_nomg(sv, len);
    out->len = len;
    return PAGI_READ_OK;
}

/* The value as UTF-8, encoded character by character (DATA-9); surrogates and beyond Unicode are refused (DATA-11). */
int pagi_read_text(SV *sv, struct pagi_str *out)
{
    STRLEN len;
    const U8 *ptr;
    sv = plain(sv);
    if (!sv || !SvOK(sv) || SvROK(sv))
        return PAGI_READ_TYPE;
    if (!SvPOK(sv))
        sv = sv_2mortal(newSVsv_nomg(sv));
    ptr = (const U8 *)SvPV_nomg(sv, len);
    if (!SvUTF8(sv)) {
        if (!is_utf8_invariant_string(ptr, len)) {
            sv = sv_2mortal(newSVsv_nomg(sv));
            sv_utf8_upgrade_nomg(sv);
            ptr = (const U8 *)SvPV_nomg(sv, len);
        }
    } else if (!is_c9strict_utf8_string(ptr, len)) {
        return PAGI_READ_UNICODE;
    }
    out->ptr = (const char *)ptr;
    out->len = len;
    return PAGI_READ_OK;
}

/* DATA-12: an integer in any of Perl's representations. */
int pagi_read_int(SV *sv, int64_t *out)
{
    sv = plain(sv);
    if (!sv || SvROK(sv))
        return PAGI_READ_TYPE;
    if (SvIOK(sv)) {
        if (SvIsUV(sv) && SvUVX(sv) > (UV)IV_MAX)
            return PAGI_READ_TYPE;
        *out = SvIVX(sv);
        return PAGI_READ_OK;
    }
    if (SvNOK(sv)) {
        NV value = SvNVX(sv);
        if (value != Perl_floor(value) || value < -9007199254740992.0 || value > 9007199254740992.0)
            return PAGI_READ_TYPE;
        *out = (int64_t)value;
        return PAGI_READ_OK;
    }
    if (SvPOK(sv)) {
        UV value;
        int kind = grok_number(SvPVX(sv), SvCUR(sv), &value);
        if (kind == IS_NUMBER_IN_UV && value <= (UV)IV_MAX && isDIGIT(*SvPVX(sv)))
            *out = (int64_t)value;
        else if (kind == (IS_NUMBER_IN_UV | IS_NUMBER_NEG) && value <= (UV)IV_MAX && *SvPVX(sv) == '-')
            *out = -(int64_t)value;
        else
            return PAGI_READ_TYPE;
        return PAGI_READ_OK;
    }
    return PAGI_READ_TYPE;
}

/* DATA-4: a finite number. */
int pagi_read_num(SV *sv, double *out)
{
    sv = plain(sv);
    if (!sv || SvROK(sv) || !SvOK(sv) || !looks_like_number(sv))
        return PAGI_READ_TYPE;
    if (!SvNIOK(sv))
        sv = sv_2mortal(newSVsv_nomg(sv));
    *out = SvNV_nomg(sv);
    return Perl_isfinite(*out) ? PAGI_READ_OK : PAGI_READ_TYPE;
}

/* A flag: Perl's truth. */
int pagi_read_flag(SV *sv)
{
    sv = plain(sv);
    return sv && SvTRUE_nomg(sv);
}

/* The hash behind an event, or NULL. A tied hash is not one of ours to read: it is refused (EVT-7). */
HV *pagi_event_hash(SV *event)
{
    SV *sv = plain(event);
    if (!sv || !SvROK(sv) || SvTYPE(SvRV(sv)) != SVt_PVHV || SvRMAGICAL(SvRV(sv)))
        return NULL;
    return (HV *)SvRV(sv);
}

/* A field, or NULL when missing or undef (DATA-5). Borrowed. */
SV *pagi_hash_get(HV *hash, int key)
{
    HE *entry = (HE *)hv_common(hash, keys[key], NULL, 0, 0, 0, NULL, key_hashes[key]);
    SV *value = entry ? HeVAL(entry) : NULL;
    if (!value)
        return NULL;
    if (SvGMAGICAL(value))
        value = plain(value);
    return value && SvOK(value) ? value : NULL;
}

/* Array reference to array, or NULL. */
AV *pagi_read_array(SV *sv)
{
    sv = plain(sv);
    return sv && SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVAV && !SvRMAGICAL(SvRV(sv)) ? (AV *)SvRV(sv) : NULL;
}

size_t pagi_array_len(AV *array) { return (size_t)(av_top_index(array) + 1); }

SV *pagi_array_get(AV *array, size_t index)
{
    SV **slot = av_fetch(array, (SSize_t)index, 0);
    return slot ? *slot : NULL;
}

static void store(HV *hash, int key, SV *value)
{
    (void)hv_common(hash, keys[key], NULL, 0, 0, HV_FETCH_ISSTORE | HV_FETCH_JUST_SV, value, key_hashes[key]);
}

static SV *str(struct pagi_str s) { return newSVpvn(s.ptr, s.len); }

/* ---- events for the application -------------------------------------------------------------------------------- */

static SV *new_event(const char *type, HV **hash)
{
    *hash = newHV();
    store(*hash, K_TYPE, newSVpv(type, 0));
    return newRV_noinc((SV *)*hash);
}

SV *pagi_event_simple(const char *type)
{
    HV *hash;
    return new_event(type, &hash);
}

SV *pagi_event_request(const char *type, struct pagi_str body, int more)
{
    HV *hash;
    SV *event = new_event(type, &hash);
    store(hash, K_BODY, str(body));
    store(hash, K_MORE, newSViv(more));
    return event;
}

SV *pagi_event_reason(const char *type, struct pagi_str reason)
{
    HV *hash;
    SV *event = new_event(type, &hash);
    store(hash, K_REASON, pagi_sv_text(reason.ptr, reason.len));
    return event;
}

/* websocket.receive: only the defined key is present (WS-18). */
SV *pagi_event_message(struct pagi_str message, int is_text)
{
    HV *hash;
    SV *event = new_event("websocket.receive", &hash);
    if (is_text)
        store(hash, K_TEXT, pagi_sv_text(message.ptr, message.len));
    else
        store(hash, K_BYTES, str(message));
    return event;
}

SV *pagi_event_closed(int code, struct pagi_str reason)
{
    HV *hash;
    SV *event = new_event("websocket.disconnect", &hash);
    store(hash, K_CODE, newSViv(code));
    store(hash, K_REASON, pagi_sv_text(reason.ptr, reason.len));
    return event;
}

/* ---- Futures --------------------------------------------------------------------------------------------------- */

/* A fresh Future in the pure-Perl layout, which was compared with the real one at start-up. */
static SV *fast_future(void)
{
    HV *hash = newHV();
    SV *future = newRV_noinc((SV *)hash);
    sv_bless(future, future_stash);
    return future;
}

static SV *method_future(const char *method, SV *argument)
{
    SV *future, *class_name = sv_2mortal(newSVpvs("Future"));
    if (invoke_method(class_name, method, argument, &future) == PAGI_OK && future)
        return future;
    if (future)
        SvREFCNT_dec_NN(future);
    return newSV(0);
}

SV *pagi_future_new(void)
{
    SV *future;
    if (!fast_futures)
        return method_future("new", NULL);
    future = fast_future();
    store((HV *)SvRV(future), K_READY, newSViv(0));
    store((HV *)SvRV(future), K_CALLBACKS, newRV_noinc((SV *)newAV()));
    return future;
}

/* A done Future of one value (consumed), or of none. */
SV *pagi_future_done(SV *value)
{
    SV *future;
    AV *result;
    if (!fast_futures)
        return method_future("done", value ? sv_2mortal(value) : NULL);
    future = fast_future();
    result = newAV();
    if (value)
        av_push(result, value);
    store((HV *)SvRV(future), K_READY, newSViv(1));
    store((HV *)SvRV(future), K_RESULT, newRV_noinc((SV *)result));
    return future;
}

/* A failed Future; the message gets " at FILE line N." of the Perl code that is running. */
SV *pagi_future_fail(const char *ptr, size_t len)
{
    SV *text = sv_2mortal(pagi_sv_text(ptr, len));
    return method_future("fail", mess_sv(text, 0));
}

static int is_fast_future(SV *sv)
{
    return fast_futures && SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVHV && SvOBJECT(SvRV(sv))
        && (SvSTASH(SvRV(sv)) == future_stash || SvSTASH(SvRV(sv)) == loop_future_stash) && !SvRMAGICAL(SvRV(sv));
}

int pagi_is_fast_future(SV *sv) { return is_fast_future(sv); }

static int field_is_true(HV *hash, int key)
{
    HE *entry = (HE *)hv_common(hash, keys[key], NULL, 0, 0, 0, NULL, key_hashes[key]);
    return entry && SvTRUE_nomg(HeVAL(entry));
}

static int method_is_true(SV *invocant, const char *method)
{
    SV *result;
    int outcome = invoke_method(invocant, method, NULL, &result);
    int truth = outcome == PAGI_OK && result && SvTRUE_nomg(result);
    if (result)
        SvREFCNT_dec_NN(result);
    return truth;
}

/* State of what an application returned. *failure is a new copy of the exception of a failed one (EMB-16). */
int pagi_future_state(SV *sv, SV **failure)
{
    *failure = NULL;
    if (is_fast_future(sv)) {
        HV *hash = (HV *)SvRV(sv);
        HE *entry;
        if (!field_is_true(hash, K_READY))
            return PAGI_PENDING;
        entry = (HE *)hv_common(hash, keys[K_FAILURE], NULL, 0, 0, 0, NULL, key_hashes[K_FAILURE]);
        if (entry && SvROK(HeVAL(entry)) && SvTYPE(SvRV(HeVAL(entry))) == SVt_PVAV) {
            SV **first = av_fetch((AV *)SvRV(HeVAL(entry)), 0, 0);
            *failure = first ? newSVsv(*first) : newSVpvs("unknown failure");
            return PAGI_FAILED;
        }
        return field_is_true(hash, K_CANCELLED) ? PAGI_CANCELLED : PAGI_DONE;
    }
    if (!SvROK(sv) || !SvOBJECT(SvRV(sv)) || !gv_fetchmethod_autoload(SvSTASH(SvRV(sv)), "AWAIT_IS_READY", FALSE))
        return PAGI_NOT_A_FUTURE;
    if (!method_is_true(sv, "AWAIT_IS_READY"))
        return PAGI_PENDING;
    if (method_is_true(sv, "AWAIT_IS_CANCELLED"))
        return PAGI_CANCELLED;
    {
        SV *result;
        int outcome = invoke_method(sv, "AWAIT_GET", NULL, &result);
        if (outcome == PAGI_DIED) {
            *failure = result;
            return PAGI_FAILED;
        }
        if (result)
            SvREFCNT_dec_NN(result);
        return PAGI_DONE;
    }
}

int pagi_future_is_ready(SV *future)
{
    if (is_fast_future(future))
        return field_is_true((HV *)SvRV(future), K_READY);
    return method_is_true(future, "is_ready");
}

/* Resolves a Future with a value (consumed; NULL: with nothing). One that is ready already was cancelled by the
 * application: it is left alone (EMB-9). The result is that of the continuation: PAGI_OK, or PAGI_DIED with *error. */
int pagi_future_settle(SV *future, SV *value, SV **error)
{
    SV *result;
    int outcome;
    *error = NULL;
    if (value)
        sv_2mortal(value);
    if (pagi_future_is_ready(future))
        return PAGI_OK;
    outcome = fast_futures ? pagi_await_settle(future, value, error) : PAGI_NOT_A_FUTURE;
    if (outcome != PAGI_NOT_A_FUTURE)
        return outcome;
    outcome = invoke_method(future, "done", value, &result);
    if (outcome == PAGI_DIED)
        *error = result;
    else if (result)
        SvREFCNT_dec_NN(result);
    return outcome;
}

static XSPROTO(xs_call_ready)
{
    dXSARGS;
    PERL_UNUSED_VAR(items);
    pagi_rs_call_ready((size_t)CvXSUBANY(cv).any_uv);
    XSRETURN_EMPTY;
}

/* Has pagi_rs_call_ready called once the application's Future is ready. */
int pagi_future_watch(SV *future, size_t call, SV **error)
{
    CV *cv = newXS(NULL, xs_call_ready, __FILE__);
    SV *callback = sv_2mortal(newRV_noinc((SV *)cv));
    SV *result;
    int outcome;
    /* A promise has only the methods that `await` needs. */
    const char *method
        = gv_fetchmethod_autoload(SvSTASH(SvRV(future)), "on_ready", FALSE) ? "on_ready" : "AWAIT_ON_READY";
    CvXSUBANY(cv).any_uv = (UV)call;
    outcome = invoke_method(future, method, callback, &result);
    *error = outcome == PAGI_DIED ? result : NULL;
    if (outcome != PAGI_DIED && result)
        SvREFCNT_dec_NN(result);
    return outcome;
}

int pagi_future_cancel(SV *future)
{
    SV *result;
    int outcome = invoke_method(future, "cancel", NULL, &result);
    if (result)
        SvREFCNT_dec_NN(result);
    return outcome;
}

/* Native AWAIT_* for exactly class Future; everything else goes to Future's own method. */
static void fall_back(pTHX_ SV *original, SV **sp, I32 ax, I32 items)
{
    PERL_UNUSED_VAR(sp);
    PL_stack_sp = PL_stack_base + ax + items - 1;
    PUSHMARK(PL_stack_base + ax - 1);
    call_sv(original, GIMME_V);
}

static XSPROTO(xs_await_is_ready)
{
    dXSARGS;
    if (items == 1 && is_fast_future(ST(0))) {
        ST(0) = boolSV(field_is_true((HV *)SvRV(ST(0)), K_READY));
        XSRETURN(1);
    }
    fall_back(aTHX_ native_is_ready, sp, ax, items);
}

static XSPROTO(xs_await_get)
{
    dXSARGS;
    if (items == 1 && is_fast_future(ST(0))) {
        HV *hash = (HV *)SvRV(ST(0));
        HE *failure = (HE *)hv_common(hash, keys[K_FAILURE], NULL, 0, 0, 0, NULL, key_hashes[K_FAILURE]);
        HE *entry = (HE *)hv_common(hash, keys[K_RESULT], NULL, 0, 0, 0, NULL, key_hashes[K_RESULT]);
        if (!failure && entry && SvROK(HeVAL(entry)) && field_is_true(hash, K_READY)
            && !field_is_true(hash, K_CANCELLED)) {
            AV *values = (AV *)SvRV(HeVAL(entry));
            SSize_t count = av_top_index(values) + 1, i;
            if (GIMME_V == G_SCALAR) {
                SV **first = count > 0 ? av_fetch(values, 0, 0) : NULL;
                ST(0) = first ? sv_mortalcopy(*first) : &PL_sv_undef;
                XSRETURN(1);
            }
            SP -= items;
            EXTEND(SP, count);
            for (i = 0; i < count; i++) {
                SV **value = av_fetch(values, i, 0);
                PUSHs(value ? sv_mortalcopy(*value) : &PL_sv_undef);
            }
            XSRETURN(count);
        }
    }
    fall_back(aTHX_ native_get, sp, ax, items);
}

static XSPROTO(xs_await_new_done)
{
    dXSARGS;
    if (items >= 1
        && (is_fast_future(ST(0)) || (SvPOK(ST(0)) && SvCUR(ST(0)) == 6 && memEQ(SvPVX(ST(0)), "Future", 6)))) {
        SV *future = fast_future();
        AV *result = newAV();
        I32 i;
        if (items > 1)
            av_extend(result, items - 2);
        for (i = 1; i < items; i++)
            av_push(result, newSVsv(ST(i)));
        store((HV *)SvRV(future), K_READY, newSViv(1));
        store((HV *)SvRV(future), K_RESULT, newRV_noinc((SV *)result));
        ST(0) = sv_2mortal(future);
        XSRETURN(1);
    }
    fall_back(aTHX_ native_new_done, sp, ax, items);
}

/* PAGI::Native::use_fast_futures($is_ready, $get, $new_done): called by Perl after it has compared layouts. */
static XSPROTO(xs_use_fast_futures)
{
    dXSARGS;
    if (items != 3)
        croak("use_fast_futures takes Future's three AWAIT_ methods");
    native_is_ready = newSVsv(ST(0));
    native_get = newSVsv(ST(1));
    native_new_done = newSVsv(ST(2));
    newXS("Future::AWAIT_IS_READY", xs_await_is_ready, __FILE__);
    newXS("Future::AWAIT_GET", xs_await_get, __FILE__);
    newXS("Future::AWAIT_NEW_DONE", xs_await_new_done, __FILE__);
    pagi_await_install(my_perl);
    fast_futures = 1;
    XSRETURN_EMPTY;
}

/* ---- the handles of one call: $receive, $send, pagi.connection, pagi.transport ----------------------------------- */

struct handles {
    size_t call;
    int alive; /* how many of the four still exist */
    SV *receive, *send, *connection, *transport;
};

static int free_handle(pTHX_ SV *sv, MAGIC *mg)
{
    struct handles *handles = (struct handles *)mg->mg_ptr;
    PERL_UNUSED_VAR(sv);
    if (--handles->alive == 0) {
        if (PL_phase != PERL_PHASE_DESTRUCT)
            pagi_rs_handles_freed(handles->call);
        Safefree(handles);
    }
    return 0;
}

static MGVTBL handle_vtbl = { NULL, NULL, NULL, NULL, free_handle, NULL, NULL, NULL };

static struct handles *handles_of(SV *sv)
{
    MAGIC *mg = SvROK(sv) && SvTYPE(SvRV(sv)) >= SVt_PVMG ? mg_findext(SvRV(sv), PERL_MAGIC_ext, &handle_vtbl) : NULL;
    return mg ? (struct handles *)mg->mg_ptr : NULL;
}

static XSPROTO(xs_receive)
{
    dXSARGS;
    struct handles *handles = (struct handles *)CvXSUBANY(cv).any_ptr;
    SV *future;
    PERL_UNUSED_VAR(items);
    xs_depth++;
    future = pagi_rs_receive(handles->call);
    xs_depth--;
    EXTEND(SP, 1);
    ST(0) = sv_2mortal(future);
    XSRETURN(1);
}

static XSPROTO(xs_send)
{
    dXSARGS;
    struct handles *handles = (struct handles *)CvXSUBANY(cv).any_ptr;
    SV *future;
    xs_depth++;
    future = pagi_rs_send(handles->call, items > 0 ? ST(0) : &PL_sv_undef);
    xs_depth--;
    EXTEND(SP, 1);
    ST(0) = sv_2mortal(future);
    XSRETURN(1);
}

/* A method of pagi.connection or pagi.transport; any_i32 says which. */
static XSPROTO(xs_method)
{
    dXSARGS;
    struct handles *handles;
    SV *result;
    if (items < 1 || !(handles = handles_of(ST(0))))
        croak("not a connection or transport object of this server");
    xs_depth++;
    result = pagi_rs_method(handles->call, CvXSUBANY(cv).any_i32, items > 1 ? ST(1) : NULL);
    xs_depth--;
    ST(0) = result ? sv_2mortal(result) : ST(0);
    XSRETURN(1);
}

static SV *new_closure(XSUBADDR_t function, struct handles *handles)
{
    CV *cv = newXS(NULL, function, __FILE__);
    CvXSUBANY(cv).any_ptr = handles;
    sv_magicext((SV *)cv, NULL, PERL_MAGIC_ext, &handle_vtbl, (char *)handles, 0);
    return newRV_noinc((SV *)cv);
}

static SV *new_object(const char *package, struct handles *handles)
{
    SV *object = newSV_type(SVt_PVMG);
    sv_magicext(object, NULL, PERL_MAGIC_ext, &handle_vtbl, (char *)handles, 0);
    return sv_bless(newRV_noinc(object), gv_stashpv(package, GV_ADD));
}

struct handles *pagi_handles_new(size_t call)
{
    struct handles *handles;
    Newxz(handles, 1, struct handles);
    handles->call = call;
    handles->alive = 4;
    handles->receive = new_closure(xs_receive, handles);
    handles->send = new_closure(xs_send, handles);
    handles->connection = new_object("PAGI::Server::ConnectionState", handles);
    handles->transport = new_object("PAGI::Server::TransportState", handles);
    return handles;
}

void pagi_handles_bind(struct handles *handles, size_t call) { handles->call = call; }

static int is_ours_alone(SV *rv) { return SvREFCNT(rv) == 1 && SvREFCNT(SvRV(rv)) == 1; }

/* Whether nothing but us refers to any of the four, so that they may serve another call. */
int pagi_handles_idle(struct handles *handles)
{
    return is_ours_alone(handles->receive) && is_ours_alone(handles->send) && is_ours_alone(handles->connection)
        && is_ours_alone(handles->transport);
}

/* Gives up our references; what the application still holds stays usable, and the last one tells Rust. */
void pagi_handles_release(struct handles *handles)
{
    SV *receive = handles->receive, *send = handles->send;
    SV *connection = handles->connection, *transport = handles->transport;
    SvREFCNT_dec_NN(receive);
    SvREFCNT_dec_NN(send);
    SvREFCNT_dec_NN(connection);
    SvREFCNT_dec_NN(transport);
}

/* ---- calling the application ----------------------------------------------------------------------------------- */

static SV *versions(const char *spec_version)
{
    HV *pagi = newHV();
    store(pagi, K_VERSION, newSVpvs("0.5"));
    store(pagi, K_SPEC_VERSION, newSVpv(spec_version, 0));
    return newRV_noinc((SV *)pagi);
}

static SV *address(struct pagi_str host, int port)
{
    AV *pair = newAV();
    av_extend(pair, 1);
    AvARRAY(pair)[0] = pagi_sv_text(host.ptr, host.len);
    AvARRAY(pair)[1] = port < 0 ? newSV(0) : newSViv(port);
    AvFILLp(pair) = 1;
    return newRV_noinc((SV *)pair);
}

static SV *header_list(const struct pagi_scope *scope)
{
    AV *list = newAV();
    size_t i;
    if (scope->header_count > 0)
        av_extend(list, (SSize_t)scope->header_count - 1);
    for (i = 0; i < scope->header_count; i++) {
        AV *pair = newAV();
        av_extend(pair, 1);
        AvARRAY(pair)[0] = str(scope->headers[i].name);
        AvARRAY(pair)[1] = str(scope->headers[i].value);
        AvFILLp(pair) = 1;
        AvARRAY(list)[i] = newRV_noinc((SV *)pair);
    }
    AvFILLp(list) = (SSize_t)scope->header_count - 1;
    return newRV_noinc((SV *)list);
}

static SV *text_list(const struct pagi_str *texts, size_t count)
{
    AV *list = newAV();
    size_t i;
    for (i = 0; i < count; i++)
        av_push(list, pagi_sv_text(texts[i].ptr, texts[i].len));
    return newRV_noinc((SV *)list);
}

static SV *text_or_undef(struct pagi_str text)
{
    return text.ptr ? pagi_sv_text(text.ptr, text.len) : newSV(0);
}

/* extensions.tls: all six keys, and a copy of its own for each scope (TLS-3, TLS-9). */
static SV *tls_facts(const struct pagi_tls *in)
{
    HV *tls = newHV();
    store(tls, K_SERVER_CERT, text_or_undef(in->server_cert));
    store(tls, K_CLIENT_CERT_CHAIN, text_list(in->client_cert_chain, in->client_cert_count));
    store(tls, K_CLIENT_CERT_NAME, text_or_undef(in->client_cert_name));
    store(tls, K_CLIENT_CERT_ERROR, text_or_undef(in->client_cert_error));
    store(tls, K_TLS_VERSION, newSViv(in->version));
    store(tls, K_CIPHER_SUITE, newSViv(in->cipher_suite));
    return newRV_noinc((SV *)tls);
}

/* Builds a fresh scope (SCOPE-1, SCOPE-14). */
static SV *build_scope(const struct pagi_scope *in, struct handles *handles, HV *state)
{
    HV *scope = newHV();
    HV *extensions = newHV();
    hv_ksplit(scope, 16);
    store(scope, K_TYPE, newSVhek(scope_types[in->kind]));
    store(scope, K_PAGI, versions("0.4"));
    store(scope, K_HTTP_VERSION, str(in->http_version));
    if (in->kind == SCOPE_WEBSOCKET)
        store(scope, K_SUBPROTOCOLS, text_list(in->subprotocols, in->subprotocol_count));
    else
        store(scope, K_METHOD, str(in->method));
    store(scope, K_SCHEME, str(in->scheme));
    store(scope, K_PATH, in->path_is_text ? pagi_sv_text(in->path.ptr, in->path.len) : str(in->path));
    store(scope, K_RAW_PATH, str(in->raw_path));
    store(scope, K_QUERY_STRING, str(in->query_string));
    store(scope, K_ROOT_PATH, pagi_sv_text(in->root_path.ptr, in->root_path.len));
    store(scope, K_HEADERS, header_list(in));
    if (in->client_host.ptr)
        store(scope, K_CLIENT, address(in->client_host, in->client_port));
    if (in->request_id.ptr)
        store(scope, K_REQUEST_ID, str(in->request_id));
    store(scope, K_SERVER, address(in->server_host, in->server_port));
    store(scope, K_STATE, newRV_noinc((SV *)newHVhv(state)));
    if (in->kind == SCOPE_WEBSOCKET)
        store(extensions, K_WS_DENIAL, newRV_noinc((SV *)newHV()));
    else if (in->fullflush)
        store(extensions, K_FULLFLUSH, newRV_noinc((SV *)newHV()));
    if (in->tls)
        store(extensions, K_TLS, tls_facts(in->tls));
    store(scope, K_EXTENSIONS, newRV_noinc((SV *)extensions));
    if (in->kind == SCOPE_HTTP)
        store(scope, K_CONNECTION, newSVsv(handles->connection));
    store(scope, K_TRANSPORT, newSVsv(handles->transport));
    return newRV_noinc((SV *)scope);
}

static int call_application(SV *app, SV *scope, struct handles *handles, SV **result)
{
    int outcome;
    ENTER_CALL;
    EXTEND(SP, 3);
    PUSHs(sv_2mortal(scope));
    PUSHs(sv_2mortal(newSVsv(handles->receive)));
    PUSHs(sv_2mortal(newSVsv(handles->send)));
    PUTBACK;
    outcome = guarded(app, G_SCALAR, result);
    LEAVE_CALL(outcome);
    return outcome;
}

int pagi_call_application(SV *app, const struct pagi_scope *scope, struct handles *handles, SV *state, SV **result)
{
    return call_application(app, build_scope(scope, handles, (HV *)SvRV(state)), handles, result);
}

/* A hash reference for lifespan state. */
SV *pagi_new_state(void) { return newRV_noinc((SV *)newHV()); }

int pagi_call_lifespan(SV *app, int worker_num, struct handles *handles, SV *state, SV **result)
{
    HV *scope = newHV();
    SV *pagi = versions("0.3");
    store(scope, K_TYPE, newSVpvs("lifespan"));
    store((HV *)SvRV(pagi), K_IS_WORKER, newSViv(worker_num > 0));
    store((HV *)SvRV(pagi), K_WORKER_NUM, worker_num > 0 ? newSViv(worker_num) : newSV(0));
    store(scope, K_PAGI, pagi);
    store(scope, K_STATE, newSVsv(state));
    return call_application(app, newRV_noinc((SV *)scope), handles, result);
}

/* ---- the loop, as Perl calls it ---------------------------------------------------------------------------------- */

static XSPROTO(xs_loop)
{
    dXSARGS;
    SV *error = NULL, *result;
    int exits = 0;
    SV **arguments = items > 0 ? &ST(0) : NULL;
    ENTER;
    SAVETMPS;
    /* A nested turn runs other handlers: the caller's own variables stay its own (EMB-14). */
    save_scalar(PL_errgv);
    SAVE_DEFSV;
    xs_depth++;
    result = pagi_rs_loop(CvXSUBANY(cv).any_i32, arguments, (size_t)items, &error, &exits);
    xs_depth--;
    if (exits)
        my_exit(STATUS_EXIT);
    FREETMPS;
    LEAVE;
    if (error)
        croak("%" SVf, SVfARG(sv_2mortal(error)));
    EXTEND(SP, 1);
    ST(0) = result ? sv_2mortal(result) : &PL_sv_undef;
    XSRETURN(1);
}

/* ---- forks ------------------------------------------------------------------------------------------------------- */

static int forked;

/* In every child that Perl code forks: it must not hold on to clients (pagi_rs_forked closes them). */
static void in_forked_child(void)
{
    forked = 1;
    pagi_set_wake_fd(-1); /* the parent's */
    pagi_rs_forked();
}

int pagi_is_forked_child(void) { return forked; }

/* In a child that is going to be a worker of its own: nothing was wrong with the fork, and its random numbers are its
 * own. */
void pagi_perl_after_fork(void)
{
    forked = 0;
    PL_srand_called = FALSE;
}

static int signal_number(pTHX_ SV *sv)
{
    IV number = SvIV(sv);
    if (number < 1 || number >= NSIG)
        croak("%" IVdf " is not the number of a signal", number);
    return (int)number;
}

/* PAGI::Native::claim_signal($number), release_signal($number) */
static XSPROTO(xs_claim_signal)
{
    dXSARGS;
    if (items != 1)
        croak("claim_signal takes the number of a signal");
    pagi_claim_signal(signal_number(aTHX_ ST(0)));
    XSRETURN_EMPTY;
}

static XSPROTO(xs_release_signal)
{
    dXSARGS;
    if (items != 1)
        croak("release_signal takes the number of a signal");
    pagi_release_signal(signal_number(aTHX_ ST(0)));
    XSRETURN_EMPTY;
}

/* ---- start and end ----------------------------------------------------------------------------------------------- */

EXTERN_C void boot_DynaLoader(pTHX_ CV *cv);

struct method_name {
    const char *name;
    int code;
};

/* Same numbers as `Method` in handle.rs and `Operation` in native.rs. */
static const struct method_name methods[] = {
    { "PAGI::Server::ConnectionState::is_connected", 0 },
    { "PAGI::Server::ConnectionState::disconnect_reason", 1 },
    { "PAGI::Server::ConnectionState::response_started", 2 },
    { "PAGI::Server::ConnectionState::response_complete", 3 },
    { "PAGI::Server::ConnectionState::on_disconnect", 4 },
    { "PAGI::Server::ConnectionState::on_complete", 5 },
    { "PAGI::Server::ConnectionState::disconnect_future", 6 },
    { "PAGI::Server::TransportState::buffered_amount", 7 },
    { "PAGI::Server::TransportState::high_water_mark", 8 },
    { "PAGI::Server::TransportState::low_water_mark", 9 },
    { "PAGI::Server::TransportState::on_high_water", 10 },
    { "PAGI::Server::TransportState::on_drain", 11 },
    { "PAGI::Server::ConnectionState::hand_over", 12 },
};

static const struct method_name operations[] = {
    { "PAGI::Native::turn", 0 },     { "PAGI::Native::timer", 1 }, { "PAGI::Native::cancel_timer", 2 },
    { "PAGI::Native::watch", 3 },    { "PAGI::Native::unwatch", 4 }, { "PAGI::Native::later", 5 },
    { "PAGI::Native::now", 6 },      { "PAGI::Native::put_job", 7 }, { "PAGI::Native::depth", 8 },
    { "PAGI::Native::era", 9 },      { "PAGI::Native::post_fork", 10 }, { "PAGI::Native::due_in", 11 },
    { "PAGI::Native::jobs_wait", 12 }, { "PAGI::Native::pool_size", 13 }, { "PAGI::Native::pool_limit", 14 },
};

static void xs_init(pTHX)
{
    size_t i;
    newXS("DynaLoader::boot_DynaLoader", boot_DynaLoader, __FILE__);
    newXS("PAGI::Native::use_fast_futures", xs_use_fast_futures, __FILE__);
    newXS("PAGI::Native::claim_signal", xs_claim_signal, __FILE__);
    newXS("PAGI::Native::release_signal", xs_release_signal, __FILE__);
    for (i = 0; i < sizeof methods / sizeof *methods; i++)
        CvXSUBANY(newXS(methods[i].name, xs_method, __FILE__)).any_i32 = methods[i].code;
    for (i = 0; i < sizeof operations / sizeof *operations; i++)
        CvXSUBANY(newXS(operations[i].name, xs_loop, __FILE__)).any_i32 = operations[i].code;
}

static void intern(void)
{
    int i;
    for (i = 0; i < K_COUNT; i++) {
        I32 length = (I32)strlen(key_names[i]);
        PERL_HASH(key_hashes[i], key_names[i], length);
        keys[i] = newSVpvn_share(key_names[i], length, key_hashes[i]);
    }
    scope_types[SCOPE_HTTP] = SvSHARED_HEK_FROM_PV(SvPVX(newSVpvn_share("http", 4, 0)));
    scope_types[SCOPE_SSE] = SvSHARED_HEK_FROM_PV(SvPVX(newSVpvn_share("sse", 3, 0)));
    scope_types[SCOPE_WEBSOCKET] = SvSHARED_HEK_FROM_PV(SvPVX(newSVpvn_share("websocket", 9, 0)));
    copy_guard = (SV *)newXS(NULL, xs_copy_guard, __FILE__);
    show_guard = (SV *)newXS(NULL, xs_show_guard, __FILE__);
    signal_guard = (SV *)newXS(NULL, xs_dispatch_signals, __FILE__);
    future_stash = gv_stashpvs("Future", GV_ADD);
    loop_future_stash = gv_stashpvs("PAGI::Native::Future", GV_ADD);
}

/* Starts Perl with an empty program. Non-zero: it could not. */
int pagi_perl_start(void)
{
    static char name[] = "pagi-server", option[] = "-e", program[] = "0";
    static char *arguments[] = { name, option, program, NULL };
    static char **argv = arguments;
    static int argc = 3;
    PERL_SYS_INIT3(&argc, &argv, &environ);
    my_perl = perl_alloc();
    if (!my_perl)
        return 1;
    PERL_SET_CONTEXT(my_perl);
    if (pthread_atfork(NULL, NULL, in_forked_child) != 0)
        return 1;
    perl_construct(my_perl);
    pagi_slow_install();
    /* END blocks run in perl_destruct; and $0 must not be written over our process title. */
    PL_exit_flags |= PERL_EXIT_DESTRUCT_END;
    if (perl_parse(my_perl, xs_init, argc, argv, NULL) != 0 || perl_run(my_perl) != 0)
        return 1;
    PL_origalen = 1;
    intern();
    pagi_wake_on_signals();
    return 0;
}

/* Runs END blocks and global destruction; the result is the exit status. */
int pagi_perl_end(void)
{
    fast_futures = 0;
    return perl_destruct(my_perl);
}

/* The status an application gave to exit. */
int pagi_exit_status(void) { return STATUS_EXIT; }
