/* stop.h - SIGTERM and SIGINT as a flag and a file descriptor to poll.
 *
 * The first signal asks for a clean stop; a second one leaves at once with 128 + signal (what
 * was delivered stays delivered: the position decides). SIGPIPE is ignored. */
#ifndef CORE_BASE_STOP_H
#define CORE_BASE_STOP_H

#include <stdbool.h>
#include <stdint.h>

void stop_install(void); /* once, before threads are made */
bool stop_requested(void);
void stop_request(void); /* the same as a first signal; any thread */
int stop_fd(void);       /* readable once a stop was requested; never read from it */
/* Sleeps at most wait_ms, less when a stop is requested. True when one was. */
bool stop_wait_ms(int64_t wait_ms);

#endif
