/* What one `await` of a pending Future costs, without Perl code: the AWAIT_* methods that Future::AsyncAwait calls around
 * a suspension, and completing the Future that it waits for.
 *
 * Only for Futures of exactly the classes Future and PAGI::Native::Future in the pure-Perl layout that was compared at
 * start-up, and only for what `await` leaves in them: plain callbacks, a chain to the async sub's own Future. Everything
 * else goes to Future's own method, before anything was changed. The fields are those of Future::PP:
 *
 *     callbacks           [ [ flags, code ], ... ]
 *     on_cancel           [ code or Future, or undef where one was revoked, ... ]
 *     revoke_when_ready   [ [ weak Future, weak reference to its element of on_cancel ], ... ]
 *     empty_on_cancel_slots
 */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include "await.h"
#include "bridge.h"

/* Future::PP's CB_ALWAYS | CB_SELF: called however the Future ends, with the Future. */
#define CALL_ALWAYS_WITH_SELF 15
/* As in Future::PP::_revoke_on_cancel: a list this long that is half empty is compacted. */
#define COMPACT_FROM 8

static PerlInterpreter *my_perl;

enum { F_READY, F_CALLBACKS, F_RESULT, F_CANCELLED, F_SUBS, F_ON_CANCEL, F_REVOKE, F_EMPTY_SLOTS, F_COUNT };
static const char *const field_names[F_COUNT] = {
    "ready", "callbacks", "result", "cancelled", "subs", "on_cancel", "revoke_when_ready", "empty_on_cancel_slots",
};
static SV *fields[F_COUNT];
static U32 hashes[F_COUNT];

static SV *get(HV *hash, int field)
{
    HE *entry = (HE *)hv_common(hash, fields[field], NULL, 0, 0, 0, NULL, hashes[field]);
    return entry ? HeVAL(entry) : NULL;
}

static int is_true(HV *hash, int field)
{
    SV *value = get(hash, field);
    return value && SvTRUE_nomg(value);
}

static void put(HV *hash, int field, SV *value)
{
    (void)hv_common(hash, fields[field], NULL, 0, 0, HV_FETCH_ISSTORE | HV_FETCH_JUST_SV, value, hashes[field]);
}

static void forget(HV *hash, int field)
{
    (void)hv_common(hash, fields[field], NULL, 0, 0, HV_DELETE | G_DISCARD, NULL, hashes[field]);
}

/* The array that a reference points to; NULL when it is something else. */
static AV *array_of(SV *value)
{
    return value && SvROK(value) && SvTYPE(SvRV(value)) == SVt_PVAV && !SvRMAGICAL(SvRV(value)) ? (AV *)SvRV(value) : NULL;
}

static AV *array_for_push(HV *hash, int field)
{
    AV *array = array_of(get(hash, field));
    if (!array) {
        array = newAV();
        put(hash, field, newRV_noinc((SV *)array));
    }
    return array;
}

static int is_plain_code(SV *value)
{
    return value && SvROK(value) && SvTYPE(SvRV(value)) == SVt_PVCV && !SvOBJECT(SvRV(value));
}

static int is_pending(SV *future)
{
    return pagi_is_fast_future(future) && !is_true((HV *)SvRV(future), F_READY);
}

static SV *new_in(HV *stash)
{
    HV *hash = newHV();
    SV *future = newRV_noinc((SV *)hash);
    put(hash, F_READY, newSViv(0));
    put(hash, F_CALLBACKS, newRV_noinc((SV *)newAV()));
    return sv_bless(future, stash);
}

/* ---- completing ------------------------------------------------------------------------------------------------ */

static int callbacks_are_plain(AV *callbacks)
{
    SSize_t i;
    for (i = 0; i <= AvFILLp(callbacks); i++) {
        AV *callback = array_of(AvARRAY(callbacks)[i]);
        if (!callback || AvFILLp(callback) != 1 || !AvARRAY(callback)[0] || !SvIOK(AvARRAY(callback)[0])
            || SvIVX(AvARRAY(callback)[0]) != CALL_ALWAYS_WITH_SELF || !is_plain_code(AvARRAY(callback)[1]))
            return 0;
    }
    return 1;
}

static int revocations_are_plain(AV *list)
{
    SSize_t i;
    for (i = 0; i <= AvFILLp(list); i++) {
        AV *pair = array_of(AvARRAY(list)[i]);
        if (!pair || AvFILLp(pair) != 1 || !AvARRAY(pair)[0] || !AvARRAY(pair)[1])
            return 0;
        if (SvROK(AvARRAY(pair)[0]) && !pagi_is_fast_future(AvARRAY(pair)[0]))
            return 0;
    }
    return 1;
}

/* Whether a Future is one that settle() completes as `done` would. */
static int can_settle(SV *future)
{
    HV *hash;
    AV *callbacks, *revocations;
    SV *revoke;
    if (!is_pending(future))
        return 0;
    hash = (HV *)SvRV(future);
    callbacks = array_of(get(hash, F_CALLBACKS));
    revoke = get(hash, F_REVOKE);
    revocations = array_of(revoke);
    return callbacks && callbacks_are_plain(callbacks) && (!revoke || (revocations && revocations_are_plain(revocations)))
        && !is_true(hash, F_CANCELLED) && !is_true(hash, F_SUBS);
}

/* Drops the empty elements. The others keep their scalars, to which revocations refer. */
static void compact(AV *list)
{
    SSize_t from, to = 0;
    SV **elements = AvARRAY(list);
    for (from = 0; from <= AvFILLp(list); from++) {
        SV *element = elements[from];
        if (element && SvOK(element)) {
            elements[from] = NULL;
            elements[to++] = element;
        } else {
            elements[from] = NULL;
            SvREFCNT_dec(element);
        }
    }
    AvFILLp(list) = to - 1;
}

/* This Future needs not be cancelled any more when the one that awaits it is. */
static void revoke_one(AV *pair)
{
    SV *awaiting = AvARRAY(pair)[0], *element = AvARRAY(pair)[1];
    HV *hash;
    SV *slots;
    AV *list;
    if (!SvROK(awaiting))
        return;
    hash = (HV *)SvRV(awaiting);
    if (SvROK(element))
        sv_setsv(SvRV(element), &PL_sv_undef);
    slots = get(hash, F_EMPTY_SLOTS);
    if (!slots) {
        slots = newSViv(0);
        put(hash, F_EMPTY_SLOTS, slots);
    }
    sv_setiv(slots, SvIV_nomg(slots) + 1);
    list = array_of(get(hash, F_ON_CANCEL));
    if (list && AvFILLp(list) + 1 >= COMPACT_FROM && 2 * SvIVX(slots) >= AvFILLp(list) + 1) {
        compact(list);
        sv_setiv(slots, 0);
    }
}

/* Future::PP::done and _mark_ready up to the callbacks, which are returned: a new reference to their array. */
static AV *mark_done(SV *future, AV *result)
{
    HV *hash = (HV *)SvRV(future);
    AV *callbacks = array_of(get(hash, F_CALLBACKS)), *revocations;
    SvREFCNT_inc_simple_void_NN((SV *)callbacks);
    put(hash, F_RESULT, newRV_noinc((SV *)result));
    put(hash, F_READY, newSViv(1));
    forget(hash, F_ON_CANCEL);
    revocations = array_of(get(hash, F_REVOKE));
    if (revocations) {
        SSize_t i;
        for (i = 0; i <= AvFILLp(revocations); i++)
            revoke_one(array_of(AvARRAY(revocations)[i]));
        forget(hash, F_REVOKE);
    }
    forget(hash, F_CALLBACKS);
    return callbacks;
}

/* Completes a pending Future with a value (borrowed; NULL: none) and runs its callbacks, unless that takes Future's own
 * method: then nothing was changed, and the result is PAGI_NOT_A_FUTURE. */
int pagi_await_settle(SV *future, SV *value, SV **error)
{
    AV *callbacks, *result;
    SV *self;
    SSize_t i;
    int outcome = PAGI_OK;
    if (!can_settle(future))
        return PAGI_NOT_A_FUTURE;
    result = newAV();
    if (value)
        av_push(result, newSVsv(value));
    self = newRV_inc(SvRV(future));
    callbacks = mark_done(future, result);
    for (i = 0; i <= AvFILLp(callbacks) && outcome == PAGI_OK; i++)
        outcome = pagi_run(AvARRAY(array_of(AvARRAY(callbacks)[i]))[1], self, error);
    if (outcome != PAGI_EXIT) {
        SvREFCNT_dec_NN((SV *)callbacks);
        SvREFCNT_dec_NN(self);
    }
    return outcome;
}

/* ---- methods --------------------------------------------------------------------------------------------------- */

enum { IS_CANCELLED, ON_READY, CHAIN_CANCEL, CLONE, NEW, DONE, IS_READY, ON_CANCEL, METHODS };
static const char *const method_names[METHODS] = {
    "AWAIT_IS_CANCELLED", "AWAIT_ON_READY", "AWAIT_CHAIN_CANCEL", "AWAIT_CLONE", "new", "done", "is_ready", "on_cancel",
};
static SV *originals[METHODS]; /* Future's own */

#define FALL_BACK(method)                                                                                             \
    PL_stack_sp = PL_stack_base + ax + items - 1;                                                                     \
    PUSHMARK(PL_stack_base + ax - 1);                                                                                 \
    call_sv(originals[method], GIMME_V);                                                                              \
    return

/* Whoever calls in void context does not look for a value on the stack. */
#define RETURN_SELF                                                                                                   \
    if (GIMME_V == G_VOID)                                                                                            \
        XSRETURN_EMPTY;                                                                                               \
    XSRETURN(1)

static XSPROTO(xs_is_cancelled)
{
    dXSARGS;
    if (items == 1 && pagi_is_fast_future(ST(0))) {
        ST(0) = boolSV(is_true((HV *)SvRV(ST(0)), F_CANCELLED));
        XSRETURN(1);
    }
    FALL_BACK(IS_CANCELLED);
}

static XSPROTO(xs_on_ready)
{
    dXSARGS;
    if (items == 2 && is_pending(ST(0)) && is_plain_code(ST(1))) {
        AV *callback = newAV();
        av_extend(callback, 1);
        av_push(callback, newSViv(CALL_ALWAYS_WITH_SELF));
        av_push(callback, newSVsv(ST(1)));
        av_push(array_for_push((HV *)SvRV(ST(0)), F_CALLBACKS), newRV_noinc((SV *)callback));
        RETURN_SELF;
    }
    FALL_BACK(ON_READY);
}

static XSPROTO(xs_chain_cancel)
{
    dXSARGS;
    if (items == 2 && is_pending(ST(0)) && is_pending(ST(1))) {
        SV *element = newSVsv(ST(1));
        SV *awaiting = newRV_inc(SvRV(ST(0))), *place = newRV_inc(element);
        AV *pair = newAV();
        av_push(array_for_push((HV *)SvRV(ST(0)), F_ON_CANCEL), element);
        av_extend(pair, 1);
        av_push(pair, awaiting);
        av_push(pair, place);
        av_push(array_for_push((HV *)SvRV(ST(1)), F_REVOKE), newRV_noinc((SV *)pair));
        sv_rvweaken(awaiting);
        sv_rvweaken(place);
        RETURN_SELF;
    }
    FALL_BACK(CHAIN_CANCEL);
}

static XSPROTO(xs_clone)
{
    dXSARGS;
    if (items == 1 && pagi_is_fast_future(ST(0))) {
        ST(0) = sv_2mortal(new_in(SvSTASH(SvRV(ST(0)))));
        XSRETURN(1);
    }
    FALL_BACK(CLONE);
}

/* The rest are methods of PAGI::Native::Future, which the loop's own Futures are made with. */

static XSPROTO(xs_new)
{
    dXSARGS;
    static const char name[] = "PAGI::Native::Future";
    if (items == 1 && SvPOK(ST(0)) && SvCUR(ST(0)) == sizeof name - 1 && memEQ(SvPVX(ST(0)), name, sizeof name - 1)) {
        ST(0) = sv_2mortal(new_in(gv_stashpvn(name, sizeof name - 1, GV_ADD)));
        XSRETURN(1);
    }
    FALL_BACK(NEW);
}

static XSPROTO(xs_done)
{
    dXSARGS;
    if (items >= 1 && can_settle(ST(0))) {
        SV *self = sv_mortalcopy(ST(0));
        AV *result = newAV(), *callbacks;
        SSize_t i;
        for (i = 1; i < items; i++)
            av_push(result, newSVsv(ST(i)));
        callbacks = (AV *)sv_2mortal((SV *)mark_done(self, result));
        for (i = 0; i <= AvFILLp(callbacks); i++) {
            dSP;
            ENTER;
            SAVETMPS;
            PUSHMARK(SP);
            XPUSHs(self);
            PUTBACK;
            /* An exception goes to whoever called done(), as with Future's own. */
            call_sv(AvARRAY(array_of(AvARRAY(callbacks)[i]))[1], G_VOID | G_DISCARD);
            FREETMPS;
            LEAVE;
        }
        /* The stack may have moved. */
        PL_stack_base[ax] = self;
        PL_stack_sp = PL_stack_base + ax - (GIMME_V == G_VOID);
        return;
    }
    FALL_BACK(DONE);
}

static XSPROTO(xs_is_ready)
{
    dXSARGS;
    if (items == 1 && pagi_is_fast_future(ST(0))) {
        ST(0) = boolSV(is_true((HV *)SvRV(ST(0)), F_READY));
        XSRETURN(1);
    }
    FALL_BACK(IS_READY);
}

static XSPROTO(xs_on_cancel)
{
    dXSARGS;
    if (items == 2 && is_pending(ST(0)) && is_plain_code(ST(1))) {
        av_push(array_for_push((HV *)SvRV(ST(0)), F_ON_CANCEL), newSVsv(ST(1)));
        RETURN_SELF;
    }
    FALL_BACK(ON_CANCEL);
}

/* Takes the methods over. Called once Perl has compared the layout. */
void pagi_await_install(PerlInterpreter *perl)
{
    static const XSUBADDR_t native[METHODS] = {
        xs_is_cancelled, xs_on_ready, xs_chain_cancel, xs_clone, xs_new, xs_done, xs_is_ready, xs_on_cancel,
    };
    int i;
    my_perl = perl;
    for (i = 0; i < F_COUNT; i++) {
        I32 length = (I32)strlen(field_names[i]);
        PERL_HASH(hashes[i], field_names[i], length);
        fields[i] = newSVpvn_share(field_names[i], length, hashes[i]);
    }
    for (i = 0; i < METHODS; i++) {
        GV *method = gv_fetchmethod_autoload(gv_stashpvs("Future", GV_ADD), method_names[i], FALSE);
        const char *package = i < NEW ? "Future" : "PAGI::Native::Future";
        if (!method)
            croak("Future has no method %s", method_names[i]);
        originals[i] = newRV_inc((SV *)GvCV(method));
        (void)newXS(Perl_form(aTHX_ "%s::%s", package, method_names[i]), native[i], __FILE__);
    }
}
