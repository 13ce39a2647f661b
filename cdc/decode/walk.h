/* walk.h - binlog events in their order, each with the transaction that it belongs to.
 *
 * The decoders are those of capture. Other than capture, which delivers what committed, a walk
 * shows what stands in the file, as it stands there: rows of transactions that roll back, and of
 * tables that nobody captures. Nothing is kept but the transaction in hand: its name, when it was,
 * and what it counted so far. A compressed transaction is inflated as a stream.
 *
 *   walk_file(w, "binlog.000003")
 *   walk_packet(w, at, packet, fn, context, &e)    for each event of the file
 *   walk_end(w, &e)                                at its end
 *
 * Pure. All failures are ERR_DATA, beginning with "file:offset: ". */
#ifndef CDC_DECODE_WALK_H
#define CDC_DECODE_WALK_H

#include "cdc/binlog/event.h"
#include "cdc/binlog/rows.h"
#include "cdc/binlog/statement.h"
#include "cdc/catalog/catalog.h"

struct walk;

enum walk_end {
	WALK_GOES_ON, /* the event ends no transaction */
	WALK_COMMIT,
	WALK_ROLLBACK,
	WALK_PREPARE, /* XA PREPARE: committed or rolled back by a later transaction */
	WALK_XA_COMMIT,
	WALK_XA_ROLLBACK,
};

/* A transaction, or a statement that stands alone. */
struct walk_transaction {
	char id[GTID_ID_SIZE]; /* "" when it has no GTID */
	int64_t time_us;       /* as MySQL 8 says when it was committed; else of its first event */
	uint64_t at;           /* where it begins in its file */
	uint64_t bytes;        /* of its events in the file, so far */
	uint64_t rows;         /* of its events that were looked into (walk_rows_begin) */
};

struct walk_event {
	const struct event *event;
	uint64_t at; /* in the file; of an event that was compressed: where the payload stands */
	bool inside; /* of a TRANSACTION_PAYLOAD, which came just before */
	struct walk_transaction *transaction; /* NULL: outside of any */
	bool begins;                          /* it is the first event of the transaction */
	enum walk_end end;                    /* it is the last one */
	/* QUERY and its like only */
	struct event_query query;
	enum statement_kind kind; /* as statement_peek() has it */
	/* TABLE_MAP and rows only; its shape is NULL when its rows are not wanted */
	const struct catalog_table *table;
};

/* 0, or -1: the walk ends with that error. */
typedef int walk_fn(void *context, struct walk *w, const struct walk_event *ev, struct err *e);

/* tables: patterns as in capture.tables, whose rows are wanted; count 0: all. */
struct walk *walk_new(char *const *tables, size_t count);
void walk_free(struct walk *w); /* NULL is fine */
/* The name is for errors, and must stay until the next one. */
void walk_file(struct walk *w, const char *name);
const char *walk_file_name(const struct walk *w);
int walk_packet(struct walk *w, uint64_t at, struct slice packet, walk_fn *fn, void *context,
		struct err *e);
/* The file has ended at `at`. ERR_DATA: inside of a transaction, which files don't share. */
int walk_end(struct walk *w, uint64_t at, struct err *e);

/* True when the patterns name db.table; "" for a whole database. */
bool walk_wants(const struct walk *w, const char *db, const char *table);
const struct event_format *walk_format(const struct walk *w);

/* The rows of an event whose table has a shape, from inside of fn: rows_begin, then rows_next until
 * 0. Cells and rows are valid until the next call. */
struct walk_rows {
	struct rows rows;
	const struct shape *shape;
	const struct cell *before, *after; /* NULL: it has none */
};
int walk_rows_begin(struct walk *w, const struct walk_event *ev, struct walk_rows *ret_rows,
		    struct err *e);
int walk_rows_next(struct walk *w, const struct walk_event *ev, struct walk_rows *r, struct err *e);

const char *walk_end_name(enum walk_end end); /* "commit", "rollback", "prepare", ... */

#endif
