/* mirror.h - tables of the source inside a view: what they look like, the statements that make and
 * keep them, and how one compares with what a record was written from.
 *
 * A view of kind mirror is such tables; one of kind query reads them. What they look like comes
 * from the registered schemas of the row topics, newest first. The texts that a version was made
 * with are files of its definition, shape/TOPIC.avsc: so a version is read back as it was made, and
 * they are no part of the fingerprint.
 *
 * Where a store's columns have strict types, each table has one column more, MIRROR_EXACT: JSON
 * text, {"column": "exact text"}, for values that the column's type can't hold (a zero date); NULL
 * in all other rows. Its name has underscores behind it where the source has a column of the name
 * already. */
#ifndef PROJECTIONS_APPLY_MIRROR_H
#define PROJECTIONS_APPLY_MIRROR_H

#include "projections/apply/dialect.h"
#include "projections/apply/view.h"

#define MIRROR_EXACT "exact_values"
#define MIRROR_SHAPES "shape/" /* folder of the files in a version's definition */

struct mirror_column {
	char *name;              /* in the store */
	char *leaf;              /* below a row record's image: "name", "place.srid" */
	char *type;              /* as declared in the store */
	const struct column *of; /* NULL: MIRROR_EXACT */
	enum dialect_part part;
};

struct mirror_table {
	char *db, *table;    /* at the source */
	char *name;          /* in the store */
	struct shape *shape; /* NULL: made from SQL (view_shape_sql) */
	struct mirror_column *columns;
	size_t column_count;
	size_t *key; /* column numbers */
	size_t key_count;
	bool own_key; /* given in view.conf */
};

void mirror_table_done(struct mirror_table *t);
/* Finds by the name in the store; NULL: there is none. */
const struct mirror_table *mirror_find(const struct view *v, const char *name);

/* Names of the columns that aren't the source's own (mallocs): those of a GEOMETRY, g_srid and
 * g_wkb, and MIRROR_EXACT. */
char *mirror_part_name(const struct shape *s, const char *column, enum dialect_part part);
char *mirror_exact_name(const struct shape *s);

/* What has happened to a table between two shapes. */
enum mirror_change {
	MIRROR_SAME,
	MIRROR_ADDED, /* columns came to it, and nothing else */
	MIRROR_OTHER  /* a column has gone or has another type, or the key is another one */
};
/* *ret_why (a buffer, may be NULL) says what, in words. */
enum mirror_change mirror_compare(const struct view *v, const struct mirror_table *t,
				  const struct shape *now, struct buf *ret_why);
/* ALTER TABLE for each column that `now` has and t hasn't. */
void mirror_add_columns_sql(const struct view *v, const struct mirror_table *t,
			    const struct shape *now, struct buf *out);

/* Statements; all append. Parameters: dialect.h; :hN in `partial`: 1 when column N is known. */
void mirror_create_sql(const struct view *v, const struct mirror_table *t, struct buf *out);
void mirror_upsert_sql(const struct view *v, const struct mirror_table *t, struct buf *out);
void mirror_partial_sql(const struct view *v, const struct mirror_table *t, struct buf *out);
void mirror_remove_sql(const struct view *v, const struct mirror_table *t, struct buf *out);
void mirror_source_sql(const struct mirror_table *t, struct buf *out);
/* "k1" = :p0 AND "k2" = :p1 */
void mirror_key_sql(const struct view *v, const struct mirror_table *t, struct buf *out);

/* Which shape a column list is of, db and table of a row topic; false: no row topic's name. */
bool mirror_topic_parts(const char *topic, char **ret_db, char **ret_table);

#endif
