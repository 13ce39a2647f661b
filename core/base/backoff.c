/* backoff.c - exponential waits. The jitter keeps many restarting workers from knocking at the
 * same moment. */
#include "core/base/backoff.h"

#include <stdlib.h>

int64_t backoff_next_ms(struct backoff *b)
{
	int64_t wait = b->next_ms != 0 ? b->next_ms : b->first_ms;

	b->next_ms = wait * 2 < b->longest_ms ? wait * 2 : b->longest_ms;
	b->tries++;
	return wait - (wait / 4 > 0 ? random() % (wait / 4) : 0);
}

void backoff_reset(struct backoff *b)
{
	b->next_ms = 0;
	b->tries = 0;
}
