/* reconcile_priv.h - what the files of the reconciling copy share: reconcile.c (the queue),
 * reconcile_step.c (which step comes next), reconcile_emit.c (the differences), reconcile_whole.c
 * (tables without a key), reconcile_report.c (records). */
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
	RECONCILE_LINKING, /* of keys: what was delivered must be in the state before they are used
			    */
	RECONCILE_WAIT,    /* after a failure: until retry_us */
	/* a table without a key (reconcile_whole.c) */
	RECONCILE_OPENING,  /* its snapshot is opened: the stream rests */
	RECONCILE_SPOOLING, /* its rows are read */
	RECONCILE_SPOOLED,  /* they are here; the stream has to pass the snapshot's place */
	RECONCILE_COUNTING, /* the state is caught up to that place, the rows are counted */
	RECONCILE_DIFFER,   /* what differs is delivered, part by part */
};

/* The snapshot of a table without a key. */
struct reconcile_whole {
	bool transactional;
	char file[CHUNK_FILE_SIZE]; /* its place, when known */
	uint64_t position;
	bool passed; /* the stream is behind the place */
	bool dirty;  /* changed while it was read, in a way that the place tells nothing of */
	int64_t seq; /* of the last change before the place */
	int64_t rows;
	/* what is delivered */
	struct buf image;
	int64_t left; /* of that image: > 0 to be deleted, < 0 to be created */
};

/* Keys of rows that are compared next, of a want that has keys (reconcile_keys.c). */
struct reconcile_batch_key {
	size_t at, size; /* in bytes: the key, then its condition */
	size_t sql_size;
};

struct reconcile_batch {
	struct buf bytes, sql;
	struct reconcile_batch_key *keys; /* in their order */
	size_t count;
	size_t value;     /* of the want's values: the one that is followed */
	struct buf after; /* the last key that it led to */
	bool linked;      /* the state has all that the want is about */
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
	/* columns, def, values: of reconcile_want_key(), owned; count 0: of all rows */
	struct record_texts keys;
	size_t keys_bytes;
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

	struct reconcile_whole whole;
	struct reconcile_batch batch;

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
/* ---- reconcile_step.c ---- */
void reconcile_begin_again(struct reconcile *r);
/* ---- reconcile_emit.c ---- */
void reconcile_name_chunk(struct reconcile *r);
/* The active want is done; its name. */
const char *reconcile_end(struct reconcile *r);
/* A new want in the queue; NULL: no room. */
struct reconcile_want *reconcile_add(struct reconcile *r, const char *db, const char *table,
				     const char *where, const char *why, struct err *e);
/* ---- reconcile_keys.c ---- */
static inline bool reconcile_has_keys(const struct reconcile_want *w)
{
	return w->keys.count > 0;
}
void reconcile_keys_add(struct reconcile_want *w, const char *text);
void reconcile_keys_done(struct reconcile_want *w); /* it is of all rows from now on */
/* Why its values say nothing about the child as it is now, or NULL. */
const char *reconcile_keys_unfit(const struct reconcile *r);
void reconcile_batch_reset(struct reconcile *r); /* nothing was followed yet */
void reconcile_batch_done(struct reconcile_batch *b);
/* Fills the batch where it is empty. It stays empty when all is compared. */
int reconcile_batch_fill(struct reconcile *r, struct err *e);
struct slice reconcile_batch_key(const struct reconcile *r, size_t i);
/* Those up to `high` are compared; NULL: all. */
void reconcile_batch_take(struct reconcile *r, const struct slice *high);
/* ---- reconcile_whole.c ---- */
void reconcile_whole_ask(struct reconcile *r, const struct copy_place *place);
void reconcile_whole_read(struct reconcile *r, struct chunk *chunk); /* takes it */
int reconcile_whole_step(struct reconcile *r, const struct copy_place *place, bool uncommitted,
			 enum reconcile_answer *answer, struct err *e);
void reconcile_whole_change(struct reconcile *r, bool prepared);
int reconcile_whole_emit(struct reconcile *r, int64_t commit_us,
			 int (*deliver)(void *context, const struct change *change, struct err *e),
			 void *context, const char **ret_ended, struct err *e);

#endif
