/* reconcile_priv.h - what the files of the reconciling copy share: reconcile.c (the queue),
 * reconcile_step.c (which step comes next), reconcile_emit.c (the differences), reconcile_report.c
 * (records). */
#ifndef CDC_COPY_RECONCILE_PRIV_H
#define CDC_COPY_RECONCILE_PRIV_H

#include "cdc/copy/marks.h"
#include "cdc/copy/reconcile.h"
#include "cdc/copy/state.h"
#include "cdc/source/chunk.h"

#include <uthash.h>

enum reconcile_place {
	RECONCILE_IDLE,   /* nothing to do */
	RECONCILE_OPEN,   /* the table's shape is asked for, its state opened */
	RECONCILE_STATE,  /* the state is built or caught up the first time; no window is open */
	RECONCILE_BORDER, /* the end of the next chunk is to be asked for */
	RECONCILE_ASKED,
	RECONCILE_WINDOW,  /* the border is known; everything before must be committed */
	RECONCILE_READING, /* window open: state and chunk are read */
	RECONCILE_READ,    /* both are here; the stream has to reach the chunk's point */
	RECONCILE_WAIT,    /* after a failure: until retry_us */
};

/* One reconciling copy, queued or under way. */
struct reconcile_want {
	char *db, *table, *name; /* name: db.table */
	char *where, *why;
	int64_t id;
	int64_t chunks, rows; /* rows: compared so far */
	int64_t created, updated, deleted, unknown;
	int64_t rows_estimate;
	struct record_texts last_key; /* SQL literals, owned; count 0: not begun */
	bool paused;
	char *failure;                     /* why it pauses by itself; NULL: it does not */
	int64_t started_us, rows_at_start; /* for the rate */
};

/* Last seq that was committed to each partition of a row topic, in this session. */
struct reconcile_topic {
	char *name;
	int64_t *seqs;
	size_t partitions;
	UT_hash_handle hh;
};

struct reconcile {
	struct reconcile_options options;
	struct reconcile_want **wants; /* in the order of their ids */
	size_t want_count, want_capacity;
	int64_t last_id;
	struct reconcile_want *last_done; /* its id keeps the numbers rising across restarts */
	struct reconcile_want *active;    /* one of wants, or NULL */
	struct reconcile_topic *topics;

	/* the active table */
	enum reconcile_place place;
	struct chunk_reader *reader;
	struct db_watch *watch;
	struct state *state;
	char *state_table;   /* db.table that the state is of */
	struct shape *shape; /* as last read from the source; shared by all chunks while equal */
	struct chunk *chunk;
	bool state_there;
	bool asked;   /* the reader owes an answer */
	bool discard; /* it belongs to a window that was given up */
	bool state_busy;
	bool has_low, has_high; /* of the next chunk */
	struct key_border low, high;
	struct collator *collator;
	int64_t chunk_rows;
	size_t bytes_max;
	unsigned failures;
	int64_t retry_us;

	/* the open window */
	bool open;
	struct marks marks;
	struct shape *stream_shape; /* of changes seen in it */

	struct buf key, bytes;
	struct cell *before, *after;
	char *chunk_name, *ended;
	struct {
		char *table;
		int64_t id, rows, created, updated, deleted, unknown;
	} ends[RECONCILE_ENDED_MAX]; /* ring */
	size_t end_count;

	struct position_copy *positions;
	struct status_copy *status;
	const char **names; /* of the tables in wants, sorted, when names_known */
	size_t name_count;
	bool names_known;
};

void reconcile_want_free(struct reconcile_want *w);
void reconcile_forget_key(struct reconcile_want *w);
/* Whatever is open for the active table is forgotten; its next chunk begins behind last_key. */
void reconcile_give_up(struct reconcile *r);
/* The active want ends: it leaves the queue. */
void reconcile_finish(struct reconcile *r);
/* For reconcile_json(). */
void reconcile_note_end(struct reconcile *r, const struct reconcile_want *w);
void reconcile_close_window(struct reconcile *r);

#endif
