/* Where Perl code spends too much time, see slow.c. */
#ifndef PAGI_SLOW_H
#define PAGI_SLOW_H

#include <stdint.h>

void pagi_slow_install(void);
int pagi_slow_start(uint64_t nanoseconds);
void pagi_slow_begin(void);
void pagi_slow_nested(void);
const char *pagi_slow_end(uint64_t took, unsigned long *line);

#endif
