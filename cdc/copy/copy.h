/* copy.h - the first copy of all captured tables, while the stream goes on (DESIGN 4.7).
 *
 * Sits between the group and the publisher: copy_change() says what becomes of each streamed
 * change, copy_step() is called between source transactions and may answer that a chunk is ready,
 * copy_emit() hands out its rows. Progress is part of the position.
 *
 * Tables with a primary key are copied in chunks, several at once (copy.connections). A table
 * without one is read whole from one snapshot; the stream is held at the snapshot's place until all
 * its rows are there (copy_holds()), and they are one source transaction, which must fit into one
 * Kafka transaction.
 *
 * When a table's key is changed, its copy begins anew: what was delivered of it is taken back by
 * one change with op t, then it is copied from its first row on. */
#ifndef CDC_COPY_COPY_H
#define CDC_COPY_COPY_H

#include "cdc/change/group.h"
#include "core/avro/records.h"
#include "cdc/source/xa_list.h"
#include "core/base/gtid.h"

struct copy;

struct copy_place { /* where the stream stands, between two source transactions */
	const struct gtid_set *gtid_set;
	const char *file; /* "" when nothing was read on this connection yet */
	uint64_t position;
	int64_t seq; /* of the last change sent before it */
	const struct xa_list *unsettled; /* as in struct chunk_request */
};

/* The order of two places: binlog files are numbered, a longer name is a higher number. */
/* The stream has everything up to `point`, which is of its dialect or a place in the files. */
bool copy_passed(const struct copy_place *place, const struct gtid_set *point);
int copy_compare_places(const char *file, uint64_t position, const char *other, uint64_t than);

struct copy_source { /* what is known of a table besides its shape */
	int64_t rows_estimate;
	bool transactional;
};

int copy_new(const struct settings *settings, struct copy **ret_copy, struct err *e);
void copy_free(struct copy *c); /* NULL is fine */

/* Before the first change: a table that exists. from: its entry in the position, or NULL when it
 * has none: then it is to be copied unless `done`. ERR_CONFIG when it must be copied and its key
 * does not allow that; ERR_RETRY when the source cannot be asked. Takes a reference of shape. */
int copy_table(struct copy *c, struct shape *shape, const struct copy_source *source,
	       const struct position_copy *from, bool done, struct err *e);
bool copy_all_done(const struct copy *c);
size_t copy_table_count(const struct copy *c);
/* Lets the table's first copy rest behind the chunks in hand, or go on. True: that was not so
 * already. Part of the position. */
bool copy_pause(struct copy *c, const char *db, const char *table, bool paused);
/* It exists, or was seen in the stream. */
bool copy_knows(const struct copy *c, const char *db, const char *table);
/* As it was at the start; 0: not known. */
int64_t copy_rows_estimate(const struct copy *c, const char *db, const char *table);
bool copy_is_copying(const struct copy *c, const char *db, const char *table);

/* A table that has no rows which are not in the stream. */
void copy_created(struct copy *c, const char *db, const char *table);
/* What to do with one streamed change: 1 deliver (row->change may have been cut down to one half,
 * or be an op t now), 0 nothing, -1. COPY_UNKNOWN: neither copy_table() nor copy_created() has told
 * of its table. */
#define COPY_UNKNOWN 2
int copy_change(struct copy *c, struct group_row *row, struct err *e);
/* The table has no rows now (TRUNCATE, DROP; op t is delivered by the caller). True: that ends its
 * first copy. */
bool copy_emptied(struct copy *c, const char *db, const char *table);

/* Between source transactions: takes the next step. 1: a chunk is ready for copy_emit(). */
int copy_step(struct copy *c, const struct copy_place *place, struct err *e);
/* The source transaction that was emitted last: "snapshot:<db>.<table>:<n>". */
const char *copy_chunk_name(const struct copy *c);
/* What is ready must be in a Kafka transaction of its own: commit before and behind it, and don't
 * cut it. */
bool copy_is_whole(const struct copy *c);
/* What doesn't fit into one Kafka transaction: the error to stop with. */
int copy_too_long(const struct copy *c, struct err *e);
/* Every row of the chunk as a change with op r (or the one change with op t); deliver returns -1
 * with *e filled to stop. *ret_ended: name of the table (db.table) whose copy ends with this chunk,
 * or NULL. */
int copy_emit(struct copy *c, int64_t commit_us,
	      int (*deliver)(void *context, const struct change *change, struct err *e),
	      void *context, const char **ret_ended, struct err *e);
/* The stream must rest at this place (the end of the last group, or of the GTID event of the one
 * that begins): copy_step() has to be called until this is false. */
bool copy_holds(const struct copy *c, const char *file, uint64_t position);
/* The longest the loop should wait before it calls copy_step() again; -1: as long as it likes. */
int copy_wait_ms(const struct copy *c);

/* For position, commit and status records. Valid until the next call that changes something. room:
 * so many entries may be written behind them. */
struct position_copy *copy_positions(struct copy *c, size_t room, size_t *ret_count);
struct record_texts copy_copying(struct copy *c);
struct status_copy *copy_status(struct copy *c, size_t room, size_t *ret_count);
/* Why nothing is read now: "" or e.g. "12 threads run on the source (copy.max_load = 8)". */
const char *copy_paused(struct copy *c);

#endif
