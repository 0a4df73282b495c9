#ifndef PAGI_STACK_H
#define PAGI_STACK_H

/* From now on the signal makes this process write to standard error where its Perl is: one line for the current
 * statement and one for each caller. Returns 0 or an errno. To be called by the thread that runs Perl, after each
 * fork. */
int pagi_install_stack_signal(int signo);

#endif
