/* Where Perl code spends the time in which it holds the loop: the file and line to name when a call took too long.
 *
 * Two things are noted while a call runs. Operations that may block, and calls of XSUBs (database drivers, say), are
 * timed; the statement that took longest in all is remembered. And a timer of this thread's processor time looks now and
 * then which line is being run: it cannot interrupt a system call that waits, because a thread that waits uses no
 * processor time. */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "slow.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Characters of a file name that are kept. */
#define NAME 400
#define SECOND 1000000000u

struct place {
    char file[NAME];
    unsigned long line;
    uint64_t took;
};

static PerlInterpreter *watched;
static pid_t owner;
static volatile uint64_t threshold; /* nanoseconds; 0: nobody wants to know */
static volatile uint64_t began;     /* when the call began that runs now; 0: none does */
static uint64_t turns;              /* nested turns so far */
static struct place blocked;        /* the statement of this call that has waited longest */
static struct place sampled;        /* the line that was run last when somebody looked */

/* Good for about 4 ms, and nearly free. */
static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static void note(struct place *place, const COP *cop, uint64_t took)
{
    const char *file = cop ? CopFILE(cop) : NULL;
    /* Line 0 is our own entry into Perl. */
    if (!file || !CopLINE(cop))
        return;
    strncpy(place->file, file, NAME - 1);
    place->line = (unsigned long)CopLINE(cop);
    place->took = took;
}

/* Statements of the call that runs now, with what their operations have taken: many short waits are a long one. */
static struct piece {
    const COP *cop;
    uint64_t call;
    uint64_t took;
} pieces[8];
static uint64_t calls;

/* What this statement has taken so far, this included. A new one takes the place of the one that took least. */
static uint64_t add_up(const COP *cop, uint64_t took)
{
    struct piece *least = pieces;
    size_t i;
    for (i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct piece *piece = &pieces[i];
        if (piece->call != calls)
            piece->took = 0;
        else if (piece->cop == cop)
            return piece->took += took;
        if (piece->took < least->took)
            least = piece;
    }
    least->cop = cop;
    least->call = calls;
    return least->took = took;
}

static OP *timed(pTHX_ Perl_ppaddr_t operation)
{
    const COP *cop = PL_curcop;
    uint64_t turn = turns, start, took;
    OP *next;
    if (!threshold)
        return operation(aTHX);
    start = now();
    next = operation(aTHX);
    took = now() - start;
    /* What a nested turn waits for is not waited for here. */
    if (turn == turns && took) {
        took = add_up(cop, took);
        if (took * 2 >= threshold && took > blocked.took)
            note(&blocked, cop, took);
    }
    return next;
}

#define OPERATIONS                                                                                                    \
    TIMED(SLEEP) TIMED(SSELECT) TIMED(SYSTEM) TIMED(BACKTICK) TIMED(WAIT) TIMED(WAITPID) TIMED(FLOCK) TIMED(READLINE) \
    TIMED(READ) TIMED(SYSREAD) TIMED(SYSWRITE) TIMED(RECV) TIMED(SEND) TIMED(CONNECT) TIMED(ACCEPT) TIMED(OPEN)       \
    TIMED(CLOSE) TIMED(GLOB) TIMED(GHBYNAME)

#define TIMED(NAME)                                                                                                   \
    static Perl_ppaddr_t plain_##NAME;                                                                                \
    static OP *timed_##NAME(pTHX) { return timed(aTHX_ plain_##NAME); }
OPERATIONS
#undef TIMED

static Perl_ppaddr_t plain_entersub;

static OP *timed_entersub(pTHX)
{
    SV *callee = *PL_stack_sp;
    if (threshold && callee) {
        if (SvROK(callee))
            callee = SvRV(callee);
        if (SvTYPE(callee) == SVt_PVGV)
            callee = (SV *)GvCV((GV *)callee);
        if (callee && SvTYPE(callee) == SVt_PVCV && CvISXSUB((CV *)callee))
            return timed(aTHX_ plain_entersub);
    }
    return plain_entersub(aTHX);
}

/* Before any code is compiled: operations are bound to their functions then. */
void pagi_slow_install(void)
{
#define TIMED(NAME)                                                                                                   \
    plain_##NAME = PL_ppaddr[OP_##NAME];                                                                              \
    PL_ppaddr[OP_##NAME] = timed_##NAME;
    OPERATIONS
#undef TIMED
    plain_entersub = PL_ppaddr[OP_ENTERSUB];
    PL_ppaddr[OP_ENTERSUB] = timed_entersub;
}

/* Reads only the interpreter's own structures, as the handler in stack.c does, and writes only ours. */
static void look(int signo, siginfo_t *info, void *context)
{
    uint64_t start = began, took;
    PERL_UNUSED_ARG(signo);
    PERL_UNUSED_ARG(info);
    PERL_UNUSED_ARG(context);
    if (!start || getpid() != owner)
        return;
    took = now() - start;
    if (took * 2 >= threshold) {
        dTHXa(watched);
        note(&sampled, PL_curcop, took);
    }
}

/* From now on calls longer than this are explained. 0, or an error number. */
int pagi_slow_start(uint64_t nanoseconds)
{
    struct sigaction action;
    struct sigevent event;
    struct itimerspec interval;
    timer_t timer;
    uint64_t pause = nanoseconds / 4;
    watched = PERL_GET_THX;
    owner = getpid();
    memset(&action, 0, sizeof action);
    action.sa_sigaction = look;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGRTMIN + 3, &action, NULL) != 0)
        return errno;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGRTMIN + 3;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0)
        return errno;
    if (pause < SECOND / 200)
        pause = SECOND / 200;
    interval.it_value.tv_sec = (time_t)(pause / SECOND);
    interval.it_value.tv_nsec = (long)(pause % SECOND);
    interval.it_interval = interval.it_value;
    if (timer_settime(timer, 0, &interval, NULL) != 0)
        return errno;
    threshold = nanoseconds;
    return 0;
}

/* A call begins. */
void pagi_slow_begin(void)
{
    blocked.took = 0;
    sampled.took = 0;
    calls++;
    began = now();
}

/* A nested turn begins: what is known so far is no longer about the call that ends next. */
void pagi_slow_nested(void)
{
    turns++;
    pagi_slow_begin();
}

/* No call runs. The place to name for one that took so long; NULL when there is no line to name. */
const char *pagi_slow_end(uint64_t took, unsigned long *line)
{
    const struct place *place = blocked.took * 2 >= took ? &blocked : &sampled;
    began = 0;
    if (!place->took)
        place = &blocked;
    if (!place->took)
        return NULL;
    *line = place->line;
    return place->file;
}
