/* Native versions of what Future::AsyncAwait does around a suspension; see await.c. */
#ifndef PAGI_AWAIT_H
#define PAGI_AWAIT_H

/* Of bridge.c. */
int pagi_is_fast_future(SV *sv);
/* Calls code in void context with one borrowed argument; *error is a new exception when the result is PAGI_DIED. */
int pagi_run(SV *code, SV *argument, SV **error);

void pagi_await_install(PerlInterpreter *perl);
int pagi_await_settle(SV *future, SV *value, SV **error);

#endif
