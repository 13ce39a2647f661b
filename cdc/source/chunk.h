/* chunk.h - reads one chunk of a table's first copy, in a thread and on a connection of its own
 * (DESIGN 4.7).
 *
 * A chunk is what one short consistent-snapshot transaction sees of the keys (low, high]. It comes
 * with a point of the binlog that holds everything it sees. The snapshot is taken again until it
 * sees all that the stream had read when it was asked for. One request at a time: chunk_request(),
 * then chunk_poll() until it answers.
 *
 * A table without a key has no chunks: all of it is read from one snapshot into a spool, whose
 * place in the binlog chunk_place() tells as soon as it is known. */
#ifndef CDC_SOURCE_CHUNK_H
#define CDC_SOURCE_CHUNK_H

#include "cdc/source/collator.h"
#include "cdc/source/spool.h"
#include "cdc/source/xa_list.h"
#include "core/base/gtid.h"
#include "core/mysql/db_watch.h"
#include "core/value/shape.h"

#define CHUNK_FILE_SIZE 512

struct chunk_reader;

struct chunk_request {
	const char *db, *table;
	const char *where; /* only rows for which this SQL condition holds; NULL or "": all */
	bool all_keys;     /* with `where`: borders count all rows, and `keys` has all their keys */
	bool bound_only;   /* read no rows: only the first border; without a key, only the shape */
	bool rows_only;    /* don't ask for the border of the next chunk */
	const struct key_border *low, *high; /* copied; NULL: from the first row, to the last one */
	/* the shape the borders were made with; NULL when there is none yet */
	const struct shape *key_shape;
	bool spool;                /* no key: everything, into a file */
	bool tell_place;           /* chunk_place() is going to be asked */
	struct collator *collator; /* these two must live as long as the reader */
	struct db_watch *watch;    /* NULL: the read gives way to nobody */
	int64_t rows;              /* of the next chunk */
	size_t bytes_max;          /* of images and keys; the chunk is cut there */
	/* What the snapshot must see: the stream's position, and its place in the binlog files (""
	 * when not known). */
	const struct gtid_set *seen;
	const char *seen_file;
	uint64_t seen_position;
	/* XA transactions that the stream has seen committed and the tables may not have yet: the
	 * snapshot is taken when they do. Copied; NULL: there are none. */
	const struct xa_list *unsettled;
	/* chunk_read() only: called when the snapshot is open, with tell_place. */
	void (*placed)(void *context, const char *file, uint64_t position);
	void *context;
};

struct chunk_row {
	uint32_t key_size, image_size;
	size_t at; /* in bytes: key, then image */
};

struct chunk {
	struct shape *shape;    /* one reference */
	struct gtid_set point;  /* everything the chunk sees lies before it */
	int64_t read_us;        /* how long the SELECT of the rows took */
	struct chunk_row *rows; /* in key order */
	size_t row_count;
	struct chunk_row *keys; /* all_keys: of every row of the range, also beyond a cut */
	size_t key_count;
	struct buf bytes;
	struct spool *spool; /* instead of rows */
	bool transactional;  /* of a table without a key: its engine has snapshots */
	/* The key is not that of key_shape (any more): nothing was read. shape is as of `point`. */
	bool rekeyed;
	bool cut; /* bytes_max was reached: it goes only to `high` */
	struct key_border high;
	bool has_next; /* border of the next chunk; else that one has an open end */
	struct key_border next;
};

static inline struct slice chunk_key(const struct chunk *c, size_t row)
{
	return slice_of(c->bytes.data + c->rows[row].at, c->rows[row].key_size);
}

static inline struct slice chunk_any_key(const struct chunk *c, size_t i)
{
	return slice_of(c->bytes.data + c->keys[i].at, c->keys[i].key_size);
}

static inline struct slice chunk_image(const struct chunk *c, size_t row)
{
	return slice_of(c->bytes.data + c->rows[row].at + c->rows[row].key_size,
			c->rows[row].image_size);
}

int chunk_reader_open(const struct settings *settings, struct chunk_reader **ret_reader,
		      struct err *e);
void chunk_reader_close(struct chunk_reader *r); /* ends a read that is under way; NULL is fine */
void chunk_request(struct chunk_reader *r, const struct chunk_request *request);
/* 1: the answer, to be freed with chunk_free(); 0: not yet, or nothing was asked; -1: it failed.
 * ERR_RETRY: the same request may be given again (with fewer rows). */
int chunk_poll(struct chunk_reader *r, struct chunk **ret_chunk, struct err *e);
/* Of the request with tell_place that is under way. false: not known yet. `file` has
 * CHUNK_FILE_SIZE bytes. */
bool chunk_place(struct chunk_reader *r, char *file, uint64_t *ret_position);
void chunk_free(struct chunk *c);

/* ---- without a thread ----------------------------------------------------------------------- */
struct db;
/* Reads one chunk on this connection, which must be in autocommit. */
int chunk_read(const struct settings *settings, struct db *db, const struct chunk_request *request,
	       struct chunk **ret_chunk, struct err *e);

#endif
