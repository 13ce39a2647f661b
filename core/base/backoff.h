/* backoff.h - how long to wait before the next try: doubling from a first wait to a longest,
 * with jitter. */
#ifndef CORE_BASE_BACKOFF_H
#define CORE_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t first_ms, longest_ms; /* set by the caller */
	int64_t next_ms;              /* 0: start at first_ms */
	uint32_t tries;
};

#define BACKOFF_INIT                                 \
	{                                            \
		.first_ms = 100, .longest_ms = 10000 \
	}

int64_t backoff_next_ms(
	struct backoff *b); /* the wait before the coming try; 75..100 % of the doubled value */
void backoff_reset(struct backoff *b); /* after a success */

#endif
