/* clock.h - the two clocks. Decoders never call these; loops do. */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_now_us(void);       /* wall clock, microseconds since 1970 UTC */
int64_t clock_monotonic_us(void); /* never goes back; for intervals only */
void clock_sleep_us(int64_t us);  /* returns early on a signal */

#define CLOCK_TEXT_SIZE 32
/* "2026-11-21T06:00:00.123Z" into out (CLOCK_TEXT_SIZE bytes). Returns out. */
char *clock_text(int64_t wall_us, char *ret_text);

#endif
