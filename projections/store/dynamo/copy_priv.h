/* copy_priv.h - a copy of a version in a temporary SQLite file: between copy.c, which makes it, and
 * read.c. */
#ifndef PROJECTIONS_STORE_DYNAMO_COPY_PRIV_H
#define PROJECTIONS_STORE_DYNAMO_COPY_PRIV_H

#include "projections/store/dynamo/dynamo_priv.h"

struct store_snapshot {
	struct sql_db *db;
	struct dynamo_tables *tables;
	struct store_info info;
};

/* Inserts rows with the bytes that sort them. */
struct copy_sorter {
	const struct dynamo_table *table;
	struct dynamo_key key;
	struct sql_statement *insert;
	struct buf sort[2];
	int64_t rows;
};

int copy_sorter_add(struct copy_sorter *s, const struct value *values, struct err *e);
void copy_sorter_done(struct copy_sorter *s); /* the bytes and the statement */
/* What stands in a key's column, so that bytes sort as keys do (normal.h). */
void copy_sort_bytes(enum dynamo_type type, const struct value *v, struct buf *out);
/* The table's name in the file, quoted and malloced. `suffix`: "", or of a table that is sorted by
 * another key. */
char *copy_table_name(const struct dynamo_table *t, const char *suffix);
/* Makes that table; *ret_insert takes its rows. */
int copy_make_table(struct sql_db *db, const struct dynamo_table *t, const char *suffix,
		    struct sql_statement **ret_insert, struct err *e);

#endif
