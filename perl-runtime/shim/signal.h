/* Signals of Perl code, see signal.c. */
#ifndef PAGI_SIGNAL_H
#define PAGI_SIGNAL_H

/* The descriptor to write to when a Perl signal is pending; -1 for none. */
void pagi_set_wake_fd(int fd);
/* Has Perl use the handlers that wake the loop. Once, before any code runs. */
void pagi_wake_on_signals(void);
/* Remembers which handlers the process has that are not Perl's. */
void pagi_know_signals(void);
/* Restores those that Perl code has left at the system's default. */
void pagi_repair_signals(void);
/* Keeps the process's own handling of a signal, before Perl code takes it, and restores it. */
void pagi_claim_signal(int signo);
void pagi_release_signal(int signo);

#endif
