/* copy_priv.h - what the files of the first copy share: copy.c (tables and streamed changes),
 * copy_step.c (what is read next), copy_exact.c (tables without a key), copy_emit.c (what is
 * delivered), copy_place.c (windows that images in part fall into), copy_pace.c (how fast),
 * copy_report.c (records). */
#ifndef CDC_COPY_COPY_PRIV_H
#define CDC_COPY_COPY_PRIV_H

#include "cdc/copy/copy.h"
#include "cdc/copy/fold.h"
#include "cdc/source/chunk.h"

#include <uthash.h>

#define COPY_ROWS_MIN 10
#define COPY_FAILURES_MAX 8

enum lane_state {
	LANE_FREE,
	LANE_BORDER_ASKED, /* the next chunk's border is asked for */
	LANE_READING,      /* its window is open, the thread reads */
	LANE_READ,         /* the chunk is here; the stream has to reach its point */
	LANE_DISCARD,      /* the window was given up: the answer that is to come is dropped */
	LANE_REKEYED,      /* the table's key changed; the stream has to reach that place */
};

/* One connection and what it does. */
struct copy_lane {
	struct chunk_reader *reader;
	enum lane_state state;
	struct copy_table *table;
	struct fold_window *window; /* READING, READ */
	struct key_border low, high;
	bool has_low, has_high;
	struct chunk *chunk;
	struct shape *fold_shape; /* of the images folded in this window */
	/* The window is delivered exactly at its snapshot's place, where the stream rests
	 * (copy_place.c). */
	bool exact;
	char file[CHUNK_FILE_SIZE]; /* "": not known yet */
	uint64_t position;
};

enum exact_state {
	EXACT_NONE,
	EXACT_OPENING,  /* the place of the snapshot isn't known yet: the stream rests */
	EXACT_SPOOLING, /* the stream goes on up to that place */
	EXACT_SPOOLED,  /* all rows are here; the stream has to reach the place */
};

/* The table without a key that is being copied. */
struct copy_exact {
	struct chunk_reader *reader;
	enum exact_state state;
	struct copy_table *table; /* NULL: none */
	struct chunk *chunk;
	char file[CHUNK_FILE_SIZE];
	uint64_t position;
	/* Changed since it was asked for, and not transactional, or by an XA transaction: the
	 * snapshot's place does not say whether the rows are as before or behind that. */
	bool dirty;
	bool discard; /* the table was emptied meanwhile */
	unsigned tries;
};

/* What a table needs while it is copied. */
struct copy_work {
	struct fold *fold;
	int64_t started_us, rows_at_start; /* for the rate */
	struct key_border low;             /* last key copied */
	bool has_low;
	struct buf key_names;
	const char **last_key; /* literals, and key_names behind them */
	/* Where the next window begins: behind the last open one. */
	struct key_border edge;
	bool has_edge, edge_end; /* edge_end: the last window goes to the end */
	struct copy_lane *asking;
	int64_t chunk_rows;
	unsigned failures;
	unsigned partial; /* windows given up one after the other for images that lack columns */
	int64_t retry_us;
};

/* There may be ten thousand, nearly all of them done: their size counts. */
struct copy_table {
	char *name;             /* db.table */
	struct copy_work *work; /* NULL: done */
	struct shape *shape;    /* of keys and last chunk */
	int64_t chunks, rows, rows_estimate;
	bool transactional;
	bool restart; /* what was delivered of it doesn't count: op t, and from the beginning */
	bool paused;  /* by hand */
	UT_hash_handle hh; /* by name */
};

/* A shape of the stream, and whose it is: the hot path looks tables up by this pointer. The
 * reference keeps the pointer from being used again for another table. */
struct copy_seen {
	struct shape *shape;
	struct copy_table *table;
	UT_hash_handle hh;
};

struct copy_pace {
	int64_t next_us; /* rate: no read begins before */
	int64_t loaded;  /* threads that run on the source, when that is too many; else 0 */
	int64_t reported_us, reported_rows; /* progress in the log */
	int reported_percent;
};

struct copy {
	const struct settings *settings;
	struct copy_table *by_name;
	struct copy_table **tables;
	size_t table_count, table_capacity;
	struct copy_seen *seen, *last;
	size_t done_count;
	struct collator *collator;
	struct db_watch *watch;
	struct copy_lane *lanes; /* opened when there is something to copy */
	size_t lane_count;
	struct copy_exact exact;
	struct copy_pace pace;
	size_t bytes_max; /* of one chunk, and of one window's fold */

	/* what copy_emit() is to deliver */
	struct copy_lane *ready_lane;
	struct copy_table *ready_table;

	char *chunk_name;
	struct buf before_key, after_key;
	struct cell *cells, *key_cells;

	struct position_copy *positions;
	struct status_copy *status;
	const char **copying;
	char paused[100];
};

static inline bool copy_is_done(const struct copy_table *t)
{
	return t->work == NULL;
}

/* ---- copy.c ---- */
/* NULL: not known. */
struct copy_table *copy_find(const struct copy *c, const char *db, const char *table);
/* Nothing of the table counts as copied; windows are given up. */
void copy_begin_anew(struct copy *c, struct copy_table *t, struct shape *shape);
/* Frees what is needed only while it is copied. */
void copy_set_done(struct copy *c, struct copy_table *t);
void copy_set_low(struct copy_table *t, const struct key_border *low);
/* ---- copy_step.c ---- */
void copy_lane_free(struct copy_lane *lane);
void copy_lane_give_up(struct copy *c, struct copy_lane *lane);
void copy_shrink(struct copy_table *t);
/* ---- copy_place.c ---- */
/* The table's next window has to be exact. */
bool copy_place_wanted(const struct copy_table *t);
void copy_place_emitted(const struct copy_lane *lane);
/* The lane's snapshot may have been opened meanwhile. */
void copy_place_learn(struct copy_lane *lane);
bool copy_place_reached(const struct copy_lane *lane, const struct copy_place *place);
/* ---- copy_exact.c ---- */
bool copy_exact_holds(const struct copy *c, const char *file, uint64_t position);
int copy_exact_step(struct copy *c, const struct copy_place *place, struct err *e);
void copy_exact_change(struct copy *c, const struct copy_table *t, bool prepared);
void copy_exact_give_up(struct copy *c, const struct copy_table *t);
void copy_exact_done(struct copy *c);
/* ---- copy_pace.c ---- */
/* May a read begin now? */
bool copy_pace_allows(struct copy *c);
void copy_pace_read(struct copy *c, int64_t rows);
int64_t copy_pace_rows(const struct copy *c, int64_t rows);
void copy_pace_report(struct copy *c);

#endif
