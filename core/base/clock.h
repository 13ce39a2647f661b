/* clock.h - the two clocks. Decoders never call these; loops do. */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

int64_t clock_now_us(void);       /* wall clock, microseconds since 1970 UTC */
int64_t clock_monotonic_us(void); /* never goes back; for intervals only */
void clock_sleep_us(int64_t us);  /* returns early on a signal */

/* A time of either clock as pthread_cond_timedwait() and its like want it. */
static inline struct timespec clock_timespec(int64_t us)
{
	return (struct timespec){ .tv_sec = (time_t)(us / 1000000),
				  .tv_nsec = (long)(us % 1000000) * 1000 };
}

/* A condition whose timed waits take clock_monotonic_us(), by clock_timespec(). */
void clock_condition(pthread_cond_t *ret_condition);

#define CLOCK_TEXT_SIZE 32
/* "2026-11-21T06:00:00.123Z" into out (CLOCK_TEXT_SIZE bytes). Returns out. */
char *clock_text(int64_t wall_us, char *ret_text);

#endif
