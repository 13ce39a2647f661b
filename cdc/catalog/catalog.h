/* catalog.h - what tables look like, and which of them are captured.
 *
 * Streams: from TABLE_MAP events, cached by table id: an unchanged event body is a memcmp. With
 * FULL metadata such an event says everything; else (catalog mode) the shape is the one that is
 * known to be in force, from information_schema and the statements of the stream (lineage.h).
 * Copies: from information_schema. Hints (what TABLE_MAP can't say, e.g. JSON as an alias) come
 * from information_schema too. */
#ifndef CDC_CATALOG_CATALOG_H
#define CDC_CATALOG_CATALOG_H

#include "cdc/catalog/foreign.h"
#include "cdc/catalog/lineage.h"
#include "core/base/settings.h"
#include "core/mysql/db.h"
#include "core/value/shape.h"

struct catalog;

struct catalog_table {
	uint64_t id;   /* table id of the stream, changes with every DDL or restart */
	bool captured; /* else rows are skipped undecoded, unless */
	bool watched;  /* they are looked at (catalog_watch), and not delivered */
	bool unknown;  /* captured, but what its rows' columns are can't be known: no shape. Only
			* with  capture.unknown_columns = reconcile */
	struct shape *shape; /* NULL when neither; replaced when the table changes (compare
				pointers to notice) */
	const char *db, *table;
};

struct catalog *catalog_new(const struct settings *settings);
void catalog_free(struct catalog *c);
/* true when db.table matches capture.tables ("db.table", "db.*"); names compared exactly. */
bool catalog_captures(const struct catalog *c, struct slice db, struct slice table);
/* The server that writes what comes now, as its FORMAT_DESCRIPTION names itself
 * ("11.8.6-MariaDB-log"): the TABLE_MAPs of MySQL and MariaDB differ in what they say of some
 * types. A catalog that wasn't told takes it for MariaDB. */
void catalog_server(struct catalog *c, const char *version);
/* TABLE_MAPs that say less than binlog_row_metadata=FULL are taken as they are, and shape->unknown
 * tells what they leave open: for showing a file, not for delivering it. */
void catalog_take_gaps(struct catalog *c);
/* Rows of this table are decoded although it is not captured. Columns of a type that no shape holds
 * are bytes then, for a comparison; and collations don't matter. */
void catalog_watch(struct catalog *c, const char *db, const char *table);
/* What a captured table is like now: where its TABLE_MAPs say the same, they have this very shape,
 * so that list, copy and stream share one. Takes a reference. */
void catalog_know(struct catalog *c, struct shape *shape);

/* ---- catalog mode ---- */

struct catalog_source {
	void *context;
	/* Reads on to the end of the binlog for statements (catalog_found), and asks
	 * information_schema for this table behind them (catalog_told). NULL: offline, nobody to
	 * ask. */
	int (*ask)(void *context, const char *db, const char *table, struct err *e);
};
void catalog_ask_by(struct catalog *c, const struct catalog_source *source);
/* As capture.unknown_columns = reconcile says. */
void catalog_go_on(struct catalog *c);
/* Captured or watched. */
bool catalog_tracks(const struct catalog *c, const char *db, const char *table);
/* lineage.h, by name; table "": all of the database, db "": all. Tables that are neither captured
 * nor watched are passed over. catalog_met also in the other mode: a table's next TABLE_MAP is then
 * read anew. */
void catalog_was(struct catalog *c, struct shape *shape);
void catalog_found(struct catalog *c, const char *db, const char *table, uint64_t at);
void catalog_met(struct catalog *c, const char *db, const char *table, uint64_t at);
void catalog_told(struct catalog *c, const char *db, const char *table, struct shape *shape);
bool catalog_has_ahead(const struct catalog *c, const char *db, const char *table);
/* The shape in force where the stream stands, and where it is kept. NULL: not known. */
const struct lineage_span *catalog_in_force(const struct catalog *c, const char *db,
					    const char *table);
void catalog_kept(struct catalog *c, const char *db, const char *table, int32_t id);
/* A table of which nothing is known here and nothing lies ahead: it is to be asked for. Each in
 * turn: *at is where to look on, 0 first. false: no more. */
bool catalog_next_wanted(const struct catalog *c, size_t *at, const char **ret_db,
			 const char **ret_table);

/* Takes in the body of a TABLE_MAP event (behind the common header, without checksum). ERR_DATA:
 * bytes cut short, a column type we don't support (named, with table and column), metadata that is
 * missing (hint: binlog_row_metadata=FULL). *ret_table is valid until the next call with a
 * TABLE_MAP of the same table, or until 10,000 TABLE_MAPs later. */
int catalog_table_map(struct catalog *c, struct slice body, const struct catalog_table **ret_table,
		      struct err *e);
/* Table of a rows event by id; NULL when no TABLE_MAP came before (corrupt stream). */
const struct catalog_table *catalog_find(const struct catalog *c, uint64_t id);
/* Forget table ids (at a ROTATE to a new server session, at a FORMAT_DESCRIPTION of a restarted
 * server). Shapes are kept: a table that looks the same afterwards has the same shape pointer. */
void catalog_reset(struct catalog *c);

/* Columns of captured tables whose type MariaDB's TABLE_MAPs don't show: UUID, INET4 and INET6 look
 * like BINARY, VECTOR like VARBINARY, and dates in the format of MariaDB 5.3 don't say how many
 * digits they have. Noted by name, for the TABLE_MAPs to come. Call at start, and after a DDL on a
 * captured table. */
int catalog_read_hints(struct catalog *c, struct db *db, struct err *e);
/* There are some: like a shape, they hold from behind the last statement that lies ahead, so the
 * binlog is to be read ahead (catalog_found). */
bool catalog_has_hints(const struct catalog *c);

/* Shape of one existing table from information_schema; equal to what its TABLE_MAP gives.
 * ERR_CONFIG: it doesn't exist, a type we don't support (named), labels that information_schema
 * cannot show exactly. */
int catalog_read_shape(struct db *db, const char *schema, const char *table,
		       struct shape **ret_shape, struct err *e);
/* The same of many tables, in a few questions where most tables of a database are wanted.
 * ret_shapes: one for each name, all of them or none. The error names the table. */
struct catalog_name;
int catalog_read_shapes(struct db *db, const struct catalog_name *names, size_t count,
			struct shape **ret_shapes, struct err *e);
/* This table was captured before: capture.tables may name it although it doesn't exist any more. */
void catalog_may_lack(struct catalog *c, const char *db, const char *table);
/* All existing base tables that capture.tables names; ERR_CONFIG when a named one doesn't exist or
 * a pattern matches nothing. */
struct catalog_name {
	char *db, *table;
	int64_t rows_estimate;
	bool transactional;       /* engine InnoDB */
	struct foreign_keys keys; /* that cascade or set null: rows change without row events */
};
int catalog_list(struct catalog *c, struct db *db, struct catalog_name **ret_names,
		 size_t *ret_count, struct err *e);
void catalog_names_free(struct catalog_name *names, size_t count);

#endif
