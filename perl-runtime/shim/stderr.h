/* Marks what Perl writes to standard error, see stderr.c. */
#ifndef PAGI_STDERR_H
#define PAGI_STDERR_H

#include <stddef.h>

/* From now on what Perl writes to standard error, which is the descriptor 2 of this moment, is marked with this token while
 * a request has a name. An empty token ends that. Returns 0, or -1 when the handle cannot be had. */
int pagi_mark_stderr(const char *token, size_t length);

#endif
