/* progress.h - how far a long piece of work is: a bar with rate and time left on a terminal,
 * else a plain line every few seconds (a log, a pipe). One thread. */
#ifndef CORE_BASE_PROGRESS_H
#define CORE_BASE_PROGRESS_H

#include "core/base/buf.h"

#include <stdio.h>

struct progress;

/* `label` and `unit` ("events", "rows") are copied. Colour and bar only when `out` is a
 * terminal.
 */
struct progress *progress_new(FILE *out, const char *label, const char *unit);
/* Another phase of the same work: the one before ends with a line that shows its last state; what
 * is known of the rate is dropped. */
void progress_label(struct progress *p, const char *label);
/* total 0: unknown (a counter instead of a bar); done below 0: nothing to count, only the time
 * that the phase has taken. Redraws at most ten times a second; cheap to call. */
void progress_update(struct progress *p, int64_t done, int64_t total);
/* As progress_update, with a rate that somebody else measured (units a second). */
void progress_update_rate(struct progress *p, int64_t done, int64_t total, double rate);
/* What stands behind the numbers from the next update on, where there is room; "" nothing. */
void progress_note(struct progress *p, const char *note);
void progress_clear(struct progress *p); /* takes the bar off the terminal, so that a line can be
					    printed; the next update redraws it */
/* Draws the last state, if there ever was one, ends the line, frees p. NULL is fine. */
void progress_free(struct progress *p);

/* The line itself, without colour or line end, at most `width` columns. bar: with a bar. */
void progress_line(struct buf *out, const char *label, const char *unit, int64_t done,
		   int64_t total, double rate, size_t width, bool bar);
void progress_number(struct buf *out, int64_t n); /* 1,234,567 */
void progress_duration(struct buf *out,
		       int64_t us); /* 0.3 s, 12 s, 3 min 20 s, 2 h 05 min, 4 d 3 h */
void progress_bytes(struct buf *out,
		    int64_t bytes); /* 812 B, 3.4 kB, 12 MB, 1.5 GB (powers of 1000) */

#endif
