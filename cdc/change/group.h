/* group.h - raw events to the row changes of whole source transactions ("groups": what a GTID event
 * begins).
 *
 * First every packet is scanned: checksum, kind, and how the group ends (committed, rolled back, in
 * part rolled back to a savepoint). Only then are rows decoded, so that nothing is delivered that
 * did not commit (DESIGN 4.1):
 *
 *   group_scan(g, packet)  until group_complete(g); the packets must stay where they are
 *   group_next(g, &row)    until 0
 *   group_reset(g)
 *
 * A group that is too large to be kept is read twice. group_let_go(g) says that the packets scanned
 * so far are going away; scanning goes on to the end, for the outcome alone. Then group_again(g),
 * and the same group is fed to group_scan() once more: behind each packet group_next() gives its
 * rows, which need not be kept.
 *
 * Some statements change captured rows without naming them (TRUNCATE, ALTER, DML written as text);
 * some rows can't be read, because what their columns are is not known (catalog mode).
 * They come out of group_next() as effects, in their place among the rows. A statement is never
 * rolled back by the end of its group: DDL can't be, and text that could be only makes a
 * reconciling copy that finds nothing.
 *
 * A transaction that MySQL has compressed is one packet. It is inflated as a stream, for the scan
 * and once more for the rows; what is in memory is one event of it at a time.
 *
 * A prepared XA transaction is a group that ends in XA PREPARE: its rows come out like those of any
 * other, and info.xa says that they are not committed; the group of XA COMMIT or XA ROLLBACK has
 * the same xid and no rows.
 *
 * No I/O, no clock. All failures are ERR_DATA: corrupt or unknown events. */
#ifndef CDC_CHANGE_GROUP_H
#define CDC_CHANGE_GROUP_H

#include "cdc/binlog/event.h"
#include "cdc/catalog/catalog.h"
#include "cdc/change/change.h"

struct group;

/* What a group does to a captured table without naming the rows. */
enum group_effect_kind {
	GROUP_EMPTIES,  /* TRUNCATE, DROP, renamed away: the table has no rows now (op t) */
	GROUP_REWRITES, /* rows may have changed: only a reconciling copy tells how */
	GROUP_CREATES,  /* CREATE TABLE: it wasn't there, so all its rows lie ahead */
	GROUP_KEEPS,    /* ALTER, CREATE IF NOT EXISTS: rows are as they were, and it is there */
};

struct group_effect {
	enum group_effect_kind kind;
	/* table "": every captured table of the database; db "": every captured table */
	const char *db, *table;
	const char *why; /* "MODIFY COLUMN", "TRUNCATE", ...: for log and position; a literal */
	/* Empties, unless it was a temporary table of that name, which the binlog doesn't tell */
	bool unsure;
	/* One that empties or rewrites counts among the changes of the group, as rows do */
	int64_t order;
};

/* XA: what this group says of a transaction that another group began or will end. */
enum group_xa { GROUP_XA_NONE, GROUP_XA_PREPARE, GROUP_XA_COMMIT, GROUP_XA_ROLLBACK };

struct group_info {
	/* What it is called: core/base/gtid.h. By place: where it ends; until that is known, where
	 * it begins. */
	char gtid_text[GTID_ID_SIZE];
	int64_t commit_us;
	/* Rows of captured tables that were not all rolled back, or effects: group_next() has
	 * something to give */
	bool rows;
	bool shapes_changed; /* a captured table was made, altered or dropped: ask the catalog again
			      */
	size_t effect_count;
	enum group_xa xa;
	const char *xid; /* format:hex:hex; NULL when xa is NONE */
};

struct group_row {
	struct change change; /* transaction and commit_us filled in; order counts from 1 */
	struct slice before_image,
		after_image; /* row images with all columns; size 0 when there is none */
	bool full;           /* the images hold every column (binlog_row_image=FULL) */
	bool watched;        /* the table is not captured (catalog_watch): not to be delivered; its
			      * order is that of the change before it */
	bool prepared;       /* by an XA transaction: tables may have it later than the binlog */
	bool unchecked_keys; /* its session had foreign_key_checks off */
	struct group_effect effect;
};

enum group_gives { GROUP_GIVES_NOTHING, GROUP_GIVES_ROW, GROUP_GIVES_EFFECT };

struct group *group_new(const struct settings *settings, struct catalog *catalog);
void group_free(struct group *g); /* NULL is fine */
/* Transactions are called by where they end ("binlog.000003:1234"), not by their GTIDs, which they
 * may lack. Call it between two groups. */
void group_by_place(struct group *g, bool by_place);

int group_scan(struct group *g, struct slice packet, struct err *e);
bool group_open(const struct group *g); /* a GTID has come, the end has not */
bool group_complete(const struct group *g);
/* Of the group that is open or complete. */
const struct group_info *group_info(const struct group *g);
/* The group is complete: `set` contains it from now on. */
int group_add_to(const struct group *g, struct gtid_set *set, struct err *e);
/* enum group_gives, or -1. Of an effect only ret_row->effect is filled in; its texts are valid
 * until group_reset(). */
int group_next(struct group *g, struct group_row *ret_row, struct err *e);
void group_reset(struct group *g);

void group_let_go(struct group *g);
bool group_let_go_was_called(const struct group *g);
void group_again(struct group *g);
bool group_is_again(
	const struct group *g); /* between group_again() and the end of the second pass */

/* Bytes of binlog events scanned since the last call. */
int64_t group_take_bytes(struct group *g);
/* Binlog file of the last ROTATE, "" before; and the end of the last event that names one. */
const char *group_file(const struct group *g);
uint64_t group_file_position(const struct group *g);
/* When that file was begun, in seconds of the source's clock; 0 before its FORMAT_DESCRIPTION. */
uint32_t group_file_created(const struct group *g);

#endif
