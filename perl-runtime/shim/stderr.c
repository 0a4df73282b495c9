/* A layer on Perl's STDERR that says for which request something is written: `warn`, `die` that nobody catches and
 * `print STDERR` go through it, what other programs and C libraries write to the descriptor does not.
 *
 * It costs nothing but where something is written: only then Rust is asked for the request's name. The mark stands before
 * the bytes it is about, in the same write where that is short enough to be atomic:
 *
 *     NUL token SP name SP number-of-bytes LF bytes
 *
 * Whoever reads the pipe takes it off again. Code that has put another file under descriptor 2 gets no marks: the device
 * and inode are compared. */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "perliol.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "stderr.h"

#define LONGEST_TOKEN 64
#define LONGEST_NAME 128
#define LONGEST_MARK (LONGEST_TOKEN + LONGEST_NAME + 32)

/* Copies the name of the request that runs now; its length, or 0 when there is none. */
extern size_t pagi_rs_request_name(char *buffer, size_t capacity);

static char token[LONGEST_TOKEN + 1];
static dev_t device;
static ino_t inode;

static int is_marked(void)
{
    struct stat now;
    return *token && fstat(STDERR_FILENO, &now) == 0 && now.st_dev == device && now.st_ino == inode;
}

static SSize_t named_write(pTHX_ PerlIO *f, const void *bytes, Size_t count)
{
    char whole[LONGEST_MARK + 2048], name[LONGEST_NAME + 1];
    PerlIO *below = PerlIONext(f);
    size_t length = 0, mark;
    SSize_t written;
    if (count > 0 && is_marked())
        length = pagi_rs_request_name(name, LONGEST_NAME);
    if (!length)
        return PerlIO_write(below, bytes, count);
    name[length] = 0;
    whole[0] = 0;
    mark = 1 + (size_t)snprintf(whole + 1, LONGEST_MARK, "%s %s %lu\n", token, name, (unsigned long)count);
    if (mark + count <= sizeof whole) {
        memcpy(whole + mark, bytes, count);
        written = PerlIO_write(below, whole, mark + count);
        return written == (SSize_t)(mark + count) ? (SSize_t)count : -1;
    }
    if (PerlIO_write(below, whole, mark) != (SSize_t)mark)
        return -1;
    return PerlIO_write(below, bytes, count);
}

static IV named_flush(pTHX_ PerlIO *f)
{
    return PerlIO_flush(PerlIONext(f));
}

/* Everything else is the business of the layers below. */
static PERLIO_FUNCS_DECL(layer) = {
    .fsize = sizeof(PerlIO_funcs),
    .name = "pagi",
    .size = sizeof(struct _PerlIO),
    .kind = PERLIO_K_RAW,
    .Pushed = PerlIOBase_pushed,
    .Popped = PerlIOBase_popped,
    .Binmode = PerlIOBase_binmode,
    .Fileno = PerlIOBase_fileno,
    .Dup = PerlIOBase_dup,
    .Write = named_write,
    .Close = PerlIOBase_close,
    .Flush = named_flush,
    .Eof = PerlIOBase_eof,
    .Error = PerlIOBase_error,
    .Clearerr = PerlIOBase_clearerr,
    .Setlinebuf = PerlIOBase_setlinebuf,
};

int pagi_mark_stderr(const char *text, size_t length)
{
    dTHX;
    PerlIO *handle, *below;
    struct stat now;
    IO *io = PL_stderrgv ? GvIO(PL_stderrgv) : NULL;
    *token = 0;
    if (!length)
        return 0;
    handle = io ? IoOFP(io) : NULL;
    if (length > LONGEST_TOKEN || !handle || PerlIO_fileno(handle) != STDERR_FILENO || fstat(STDERR_FILENO, &now) != 0)
        return -1;
    /* A worker that became a mold has it already. */
    for (below = handle; PerlIOValid(below); below = PerlIONext(below))
        if (PerlIOBase(below)->tab == &layer)
            break;
    if (!PerlIOValid(below)) {
        U32 flags = PerlIOBase(handle)->flags & (PERLIO_F_UTF8 | PERLIO_F_UNBUF | PERLIO_F_LINEBUF);
        if (!PerlIO_push(aTHX_ handle, PERLIO_FUNCS_CAST(&layer), NULL, NULL))
            return -1;
        PerlIOBase(handle)->flags |= flags;
    }
    device = now.st_dev;
    inode = now.st_ino;
    memcpy(token, text, length);
    token[length] = 0;
    return 0;
}
