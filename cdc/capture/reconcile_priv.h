/* reconcile_priv.h - what the files of the reconciling copy share: reconcile.c (the queue),
 * reconcile_step.c (which step comes next), reconcile_emit.c (the differences), reconcile_report.c
 * (records). */
#ifndef CDC_CAPTURE_RECONCILE_PRIV_H
#define CDC_CAPTURE_RECONCILE_PRIV_H

#include "cdc/capture/reconcile.h"

#include <uthash.h>

/* One reconciling copy, queued or under way. */
struct reconcile_want {
	char *db, *table, *name; /* name: db.table */
	char *where, *why;
	int64_t id;
	int64_t chunks, rows; /* rows: compared so far */
	int64_t differences;
	int64_t rows_estimate;
	struct record_texts last_key; /* SQL literals, owned; count 0: not begun */
	bool paused;
	int64_t started_us, rows_at_start; /* for the rate */
};

struct reconcile {
	struct reconcile_options options;
	struct reconcile_want **wants; /* in the order of their ids */
	size_t want_count, want_capacity;
	int64_t last_id;
	struct reconcile_want *last_done; /* its id keeps the numbers rising across restarts */
	struct reconcile_want *active;    /* one of wants, or NULL */

	char *chunk_name, *ended;

	struct position_copy *positions;
	struct status_copy *status;
	const char **names;
};

void reconcile_want_free(struct reconcile_want *w);
/* Whatever is open for the active table is forgotten; its next chunk begins behind last_key. */
void reconcile_give_up(struct reconcile *r);
/* The active want ends: it leaves the queue. */
void reconcile_finish(struct reconcile *r);

#endif
