/* state.h - the last state of a row topic: key -> the row as it was delivered last, in a local
 * SQLite file that is built from the topic and kept up with it.
 *
 * The file is a cache: it stands in millrace.state/rows, holds the offsets that it was built up to,
 * and is deleted when it belongs to another topic or key, or when the topic is not the one that it
 * was built from. Read committed, from offset zero on. op t empties the partition it stands in.
 *
 * A row that is parked is fetched whole. A table without a primary key has no rows that could be
 * found again: the state counts its row images.
 *
 * A thread reads; the owner asks it to catch up and looks at the rows only while it rests. */
#ifndef CDC_COPY_STATE_H
#define CDC_COPY_STATE_H

#include "core/base/buf.h"
#include "core/base/settings.h"
#include "core/registry/registry.h"
#include "core/value/row.h"

struct state;

/* shape: of the table as it is now; decides what keys and rows look like. user: whose file it is,
 * "" or a name: two that look at the same topic must not meet. Nothing is read yet. */
int state_open(const struct settings *settings, struct registry *registry, const char *topic,
	       const char *user, struct shape *shape, struct state **ret_state, struct err *e);
void state_close(struct state *s); /* the file stays; NULL is fine */
/* The table has another shape now. Only while the thread rests. ERR_*: as state_open. */
int state_reshape(struct state *s, struct shape *shape, struct err *e);

/* Catches up with the topic's end, and at least to last_seqs[p] of each partition p (0: nothing is
 * known of it). Only while the thread rests. */
void state_catch_up(struct state *s, const int64_t *last_seqs, size_t partitions);
/* Later catch-ups leave out what has a seq beyond this one; at first there is no limit. Never goes
 * back in one file. Only while the thread rests. */
void state_limit(struct state *s, int64_t seq_max);
/* 1: it is there and rests; 0: under way; -1: it failed and rests. */
int state_poll(struct state *s, struct err *e);
/* Records read and to be read by the catch-up that is under way; from any thread. */
void state_progress(const struct state *s, int64_t *ret_done, int64_t *ret_total);

struct state_row { /* valid until the next call */
	struct slice key;
	bool unknown; /* a stand-in of a parked record: there is a row, but its values are not here
		       */
	int32_t schema;
	struct slice body;
};

/* The rows of (low, high] in key order; NULL: no border. Then state_next() until it answers 0. */
int state_seek(struct state *s, const struct slice *low, const struct slice *high, struct err *e);
int state_next(struct state *s, struct state_row *ret_row, struct err *e);
/* 1: found, 0: no such row. */
int state_find(struct state *s, struct slice key, struct state_row *ret_row, struct err *e);
/* The row's cells in the present shape; they point into `bytes`. Of an unknown row only the key's:
 * all others are absent. */
int state_cells(struct state *s, const struct state_row *row, struct buf *bytes,
		struct cell *ret_cells, struct err *e);
/* Was a value of that row written as another type than its column has now? */
bool state_converted(const struct state *s);

/* ---- rows by the columns of a foreign key: state_link.c ------------------------------------- */

/* names: `a`,`b`. From the next catch-up on rows can be found by these columns. */
void state_want_link(struct state *s, const char *names);
/* The next key behind `after` (empty: the first) of a row that has, or had, this value there: a key
 * of state_view(). Value empty: of one whose value is not known. 1, or 0. */
int state_linked(struct state *s, const char *names, struct slice value, struct slice after,
		 struct buf *ret_key, struct err *e);
/* Numbers of the columns (room for KEY_PARTS_MAX); 0: one does not exist. */
size_t state_columns(const struct shape *shape, const char *names, uint16_t *ret_columns);
/* The shape with these columns as its key; borrows everything. */
struct shape state_view(const struct shape *shape, uint16_t *columns, size_t count);
/* Appends what decides how values of the column are compared. */
void state_describe(const struct column *c, struct buf *out);

/* ---- tables without a key: state_count.c ---------------------------------------------------- */
struct spool;

/* Catches up as state_catch_up(), then counts the snapshot's rows, images in the shape of the
 * state. Takes the spool. */
void state_catch_up_with(struct state *s, const int64_t *last_seqs, size_t partitions,
			 struct spool *spool);
/* The next image of which state and snapshot have different numbers: *ret_n is how many more the
 * state has (below zero: fewer). 1, or 0 at the end. The image is valid until the next call. */
int state_differ(struct state *s, struct slice *ret_image, int64_t *ret_n, struct err *e);
/* They point into the image. */
int state_image_cells(const struct state *s, struct slice image, struct cell *ret_cells,
		      struct err *e);

#endif
