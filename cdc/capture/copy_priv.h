/* copy_priv.h - what copy.c (decisions) and copy_report.c (records) share. */
#ifndef CDC_CAPTURE_COPY_PRIV_H
#define CDC_CAPTURE_COPY_PRIV_H

#include "cdc/capture/copy.h"
#include "cdc/capture/fold.h"
#include "cdc/source/chunk.h"

#include <uthash.h>

enum copy_state {
	COPY_BORDER_WANTED, /* the next chunk's border is not known */
	COPY_BORDER_ASKED,
	COPY_BORDER_KNOWN, /* the window can be opened at the next border between source
			      transactions */
	COPY_READING,      /* window open, the thread reads */
	COPY_READ,         /* the chunk is here; the stream has to reach its point */
	COPY_PAUSED,       /* after a failed read: until retry_us */
};

struct copy_table {
	char *db, *table, *name; /* name: db.table */
	struct fold *fold;
	struct shape *shape; /* of keys and last chunk */
	int64_t chunks, rows, rows_estimate;
	int64_t started_us, rows_at_start; /* for the rate */
	struct key_border low;             /* last key copied; empty: none */
	const char **last_key;
	UT_hash_handle hh; /* by name */
};

/* A shape of the stream, and whose it is: the hot path looks tables up by this pointer. The
 * reference keeps the pointer from being used again for another table. */
struct copy_seen {
	struct shape *shape;
	struct copy_table *table;
	UT_hash_handle hh;
};

struct copy {
	const struct settings *settings;
	struct copy_table *by_name;
	struct copy_table **tables;
	size_t table_count, table_capacity;
	struct copy_seen *seen, *last;
	size_t done_count;
	struct chunk_reader *reader;

	struct copy_table *active;
	enum copy_state state;
	struct chunk *chunk;
	struct collator *collator;
	struct key_border border; /* of the next chunk */
	bool has_border;          /* else an open end */
	bool discard; /* the answer that is to come belongs to a window that was given up */
	struct shape *fold_shape; /* of the images folded in this window */
	int64_t chunk_rows;
	size_t bytes_max;
	unsigned failures;
	int64_t retry_us;
	char *chunk_name;
	struct buf before_key, after_key;
	struct cell *cells;

	struct position_copy *positions;
	struct status_copy *status;
	const char **copying;
};

#endif
