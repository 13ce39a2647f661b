/* catalog_priv.h - for the files of cdc/catalog only. */
#ifndef CDC_CATALOG_CATALOG_PRIV_H
#define CDC_CATALOG_CATALOG_PRIV_H

#include "cdc/binlog/table_map.h"
#include "cdc/catalog/catalog.h"

#define CATALOG_HINT "Leave the table out of capture.tables, or change the column."

/* What is to be known of the server that wrote a TABLE_MAP. */
struct catalog_server {
	bool mysql; /* else MariaDB */
	bool json_5_7;
	bool gaps; /* catalog_take_gaps() */
	const struct catalog_hints *hints;
	/* Statements on the table lie between this place and the hints, which say nothing of it
	 * then: what is hidden is so as in this shape, which is in force here, or NULL. */
	bool hints_are_late;
	const struct shape *in_force;
};
/* Shape from a TABLE_MAP with FULL metadata. ERR_DATA as catalog_table_map says. */
int catalog_map_shape(const struct table_map *map, const struct catalog_server *server,
		      bool captured, struct shape **ret_shape, struct err *e);
/* Is it a TABLE_MAP of this shape, as far as it goes? Columns' names are not compared. */
bool catalog_map_is_of(const struct table_map *map, const struct catalog_server *server,
		       bool captured, const struct shape *known);
/* "int, varchar of 80 bytes, blob or text null, ...": what a TABLE_MAP without names says. */
void catalog_map_text(const struct table_map *map, struct buf *out);
void catalog_column_text(const struct column *c, struct buf *out);
/* Catalog mode: the shape in force (a reference), after asking for it if need be. ERR_DATA: it is
 * not known, or the TABLE_MAP is none of it. */
int catalog_known_shape(const struct table_map *map, const struct catalog_server *server,
			bool captured, const struct catalog_source *source, struct lineage *line,
			struct shape **ret_shape, struct err *e);
bool catalog_prints_json_as_5_7(const char *version);

/* NULL when columns like this one can be delivered, else why not. Both ways to a shape ask it. */
const char *catalog_column_refused(const struct column *column);

/* ---- information_schema.COLUMNS: catalog_schema.c, catalog_shapes.c ---- */

#define CATALOG_FIELDS(of)                                                             \
	of "COLUMN_NAME, " of "DATA_TYPE, " of "COLUMN_TYPE, " of "IS_NULLABLE, " of   \
	   "CHARACTER_OCTET_LENGTH, " of "NUMERIC_PRECISION, " of "NUMERIC_SCALE, " of \
	   "DATETIME_PRECISION, " of "EXTRA, " of "COLLATION_NAME"
enum {
	CATALOG_FIELD_NAME,
	CATALOG_FIELD_TYPE,
	CATALOG_FIELD_FULL_TYPE,
	CATALOG_FIELD_NULLABLE,
	CATALOG_FIELD_BYTES,
	CATALOG_FIELD_PRECISION,
	CATALOG_FIELD_SCALE,
	CATALOG_FIELD_FRACTION,
	CATALOG_FIELD_EXTRA,
	CATALOG_FIELD_COLLATION,
	CATALOG_FIELD_COLLATION_ID, /* its number, or NULL */
	CATALOG_FIELD_COUNT,
};

/* Servers with UCA 14 collations list their ids in one table, older ones in COLLATIONS. */
#define CATALOG_APPLICABILITY "COLLATION_CHARACTER_SET_APPLICABILITY"
#define CATALOG_SQL_HAS_FULL_NAMES                                                           \
	"SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema'" \
	" AND TABLE_NAME = '" CATALOG_APPLICABILITY "' AND COLUMN_NAME = 'FULL_COLLATION_NAME'"

/* One column of `s` from one row of these fields. version: the server's. */
int catalog_take_column(const struct shape *s, struct column *c, const char *version,
			const struct slice *row, struct err *e);

/* ---- ENUM and SET labels: catalog_labels.c ---- */

/* Of a column from its COLUMN_TYPE. False: one has a NUL in it. */
bool catalog_take_labels(struct column *c, struct slice full_type);
/* Labels with a '?' in them, which may stand for another character, as they really are. The shape
 * is not packed yet. ERR_CONFIG: the server doesn't tell. */
int catalog_settle_labels(struct db *db, struct shape *s, struct err *e);

/* Columns whose TABLE_MAP hides their type. */
struct catalog_hidden {
	char *db, *table, *column, *type; /* DATA_TYPE: "uuid", ... */
	uint8_t fraction;                 /* digits of dates and times */
};
struct catalog_hints {
	struct catalog_hidden *items;
	size_t count, capacity;
};
void catalog_hints_done(struct catalog_hints *h);
struct catalog_hints *catalog_hints_of(struct catalog *c);
const struct text_list *catalog_patterns(const struct catalog *c);
/* Names given to catalog_may_lack(); one may stand there several times. */
const struct text_list *catalog_lacking(const struct catalog *c);
/* A pattern that may match no table (catalog_may_lack). */
bool catalog_lacks(const struct catalog *c, const char *pattern);

#endif
