/* Signals of Perl code: Perl's own C handlers, which note that a signal is pending, with two additions. The loop is
 * woken, because the runtime swallows EINTR; and a signal that stops the server is passed on to the handler that was
 * there before an event loop adapter took it (BIND-3). */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "signal.h"

static int wake_fd = -1;
static Sighandler3_t perl_csighandler3;
static Sighandler1_t perl_csighandler1;
static Sighandler_t perl_csighandler;

/* How the process itself handles a signal, where that is known. */
static struct sigaction own[NSIG];
static char is_known[NSIG];
/* Whether an event loop adapter watches it. */
static volatile sig_atomic_t is_claimed[NSIG];

void pagi_set_wake_fd(int fd) { wake_fd = fd; }

static void wake_loop(void)
{
    if (wake_fd >= 0) {
        uint64_t one = 1;
        int saved = errno;
        ssize_t written = write(wake_fd, &one, sizeof one);
        (void)written;
        errno = saved;
    }
}

static int is_perls(const struct sigaction *action);

/* The handler gets a description as the kernel would give it: not all of Perl's handlers are given one. */
static void pass_on(int signo)
{
    siginfo_t info;
    struct sigaction now;
    if (signo != SIGTERM && signo != SIGINT && signo != SIGQUIT)
        return;
    if (!is_claimed[signo] || !is_known[signo])
        return;
    /* The process's own handler was installed after Perl's: it has called this one and knows already. */
    if (sigaction(signo, NULL, &now) != 0 || !is_perls(&now))
        return;
    memset(&info, 0, sizeof info);
    info.si_signo = signo;
    info.si_code = SI_USER;
    if (own[signo].sa_flags & SA_SIGINFO)
        own[signo].sa_sigaction(signo, &info, NULL);
    else
        own[signo].sa_handler(signo);
}

static void waking_handler3(int sig, Siginfo_t *info, void *context)
{
    perl_csighandler3(sig, info, context);
    wake_loop();
    pass_on(sig);
}

static void waking_handler1(int sig)
{
    perl_csighandler1(sig);
    wake_loop();
    pass_on(sig);
}

/* The one that assignments to %SIG install. */
#ifdef PERL_USE_3ARG_SIGHANDLER
static void waking_handler(int sig, Siginfo_t *info, void *context)
{
    perl_csighandler(sig, info, context);
    wake_loop();
    pass_on(sig);
}
#else
static void waking_handler(int sig)
{
    perl_csighandler(sig);
    wake_loop();
    pass_on(sig);
}
#endif

static int is_perls(const struct sigaction *action)
{
    return action->sa_handler == (void (*)(int))waking_handler || action->sa_handler == waking_handler1
        || action->sa_handler == (void (*)(int))waking_handler3;
}

void pagi_wake_on_signals(void)
{
    perl_csighandler3 = PL_csighandler3p;
    perl_csighandler1 = PL_csighandler1p;
    perl_csighandler = PL_csighandlerp;
    PL_csighandlerp = waking_handler;
    PL_csighandler3p = waking_handler3;
    PL_csighandler1p = waking_handler1;
}

/* Remembers the process's handler, if it is one of the server's. */
static void get_to_know(int signo)
{
    struct sigaction now;
    if (is_known[signo] || sigaction(signo, NULL, &now) != 0)
        return;
    if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN || is_perls(&now))
        return;
    own[signo] = now;
    is_known[signo] = 1;
}

void pagi_claim_signal(int signo)
{
    get_to_know(signo);
    is_claimed[signo] = 1;
}

void pagi_release_signal(int signo)
{
    is_claimed[signo] = 0;
    /* Cannot fail with an action that the system itself has reported. */
    if (is_known[signo])
        (void)sigaction(signo, &own[signo], NULL);
}

void pagi_know_signals(void)
{
    int signo;
    for (signo = 1; signo < NSIG; signo++)
        get_to_know(signo);
}

/* `local $SIG{TERM} = ...` leaves the system's default behind: Perl does not know of handlers that are not its own. */
void pagi_repair_signals(void)
{
    struct sigaction now;
    int signo;
    for (signo = 1; signo < NSIG; signo++) {
        if (is_known[signo] && sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            (void)sigaction(signo, &own[signo], NULL);
    }
}
