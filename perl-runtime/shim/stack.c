/* Says where Perl is stuck, from a signal handler: while Perl loops, or blocks in C, nothing else runs in the process.
 *
 * Only write(2) and reads of the interpreter's own structures are used. They may be read in the middle of a change, so
 * that a caller's line can be an old one; the current line is set by a single store. */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stack.h"

/* Frames shown, and characters of a file name. */
#define FRAMES 20
#define NAME 400

static PerlInterpreter *watched;
static pid_t owner;

struct line {
    char text[NAME + 100];
    size_t length;
};

static void add(struct line *line, const char *text)
{
    size_t length = strnlen(text, NAME);
    if (line->length + length <= sizeof line->text) {
        memcpy(line->text + line->length, text, length);
        line->length += length;
    }
}

static void add_number(struct line *line, unsigned long number)
{
    char digits[24];
    char *start = digits + sizeof digits - 1;
    *start = 0;
    do {
        *--start = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    add(line, start);
}

/* One write for each line, so that those of several processes do not mix. */
static void say(const COP *cop, const char *what)
{
    struct line line = { .length = 0 };
    const char *file = cop ? CopFILE(cop) : NULL;
    /* Line 0 is our own entry into Perl. */
    if (!file || !CopLINE(cop))
        return;
    add(&line, "Worker process ");
    add_number(&line, (unsigned long)owner);
    add(&line, what);
    add(&line, file);
    add(&line, " line ");
    add_number(&line, (unsigned long)CopLINE(cop));
    add(&line, "\n");
    if (write(STDERR_FILENO, line.text, line.length) < 0)
        return; /* nobody can be told */
}

static void tell(int signo, siginfo_t *info, void *context)
{
    PERL_UNUSED_ARG(context);
    int saved = errno;
    if (getpid() != owner) {
        /* A child the application forked inherits the handler; the signal has its usual effect there. */
        signal(signo, SIG_DFL);
        raise(signo);
        return;
    }
    dTHXa(watched);
    say(PL_curcop, " is at ");
    const PERL_SI *stack = PL_curstackinfo;
    int left = FRAMES;
    for (; stack && left > 0; stack = stack->si_prev) {
        for (I32 index = stack->si_cxix; index >= 0 && left > 0; index--) {
            const PERL_CONTEXT *frame = &stack->si_cxstack[index];
            if (CxTYPE(frame) == CXt_SUB || CxTYPE(frame) == CXt_EVAL) {
                say(frame->blk_oldcop, CxTYPE(frame) == CXt_SUB ? " called from " : " in eval at ");
                left--;
            }
        }
    }
    /* The parent asks before it kills. Returning would end a sleep() early and let the application go on for the
     * moment it has left, with a state it did not expect. */
    if (info && info->si_code == SI_USER && info->si_pid == getppid()) {
        struct timespec rest = { .tv_sec = 5, .tv_nsec = 0 };
        while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
            ;
    }
    errno = saved;
}

int pagi_install_stack_signal(int signo)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    watched = PERL_GET_THX;
    owner = getpid();
    action.sa_sigaction = tell;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    return sigaction(signo, &action, NULL) < 0 ? errno : 0;
}
