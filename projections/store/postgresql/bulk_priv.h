/* bulk_priv.h - what the parts of the bulk writer share: bulk_read.c reads statements,
 * bulk_shape.c the catalog, bulk.c gathers rows and sends them. */
#ifndef PROJECTIONS_STORE_POSTGRESQL_BULK_PRIV_H
#define PROJECTIONS_STORE_POSTGRESQL_BULK_PRIV_H

#include "projections/store/postgresql/bulk.h"

enum bulk_kind { BULK_UPSERT, BULK_INSERT, BULK_DELETE };

struct bulk_row {
	uint32_t at, hash;
	struct bulk_shape *shape;
};

struct bulk_table {
	struct bulk *bulk;
	char *name;
	struct bulk_table *next;
	char **key; /* of its one unique index */
	uint32_t *key_types;
	size_t key_count;
	char **columns;
	bool *has_default;
	size_t column_count;
	struct buf bytes;
	struct bulk_row *rows;
	uint32_t *slots; /* number of the row, from 1 */
	size_t row_count;
};

struct bulk_shape {
	struct bulk_table *table;
	struct bulk_shape *next;
	enum bulk_kind kind;
	char *text; /* what it does: equal shapes are one */
	char **columns;
	int *parameters; /* from 0, by column */
	uint32_t *types; /* of the elements */
	size_t *key;     /* columns that are the key, in its order */
	size_t column_count;
	bool whole; /* writes all columns of the table */
	struct pg_statement *many;
	struct buf *arrays;
};

struct bulk {
	struct pg *pg;
	struct bulk_table *tables;
	struct bulk_shape *shapes;
	size_t gathered;
};

#define BULK_COLUMNS_MAX 200

/* A statement, as its tokens have it. */
struct bulk_reading {
	const struct pg_token *at, *end;
	struct bulk_shape *shape;
	char *table;
	char **conflict, **set;
	size_t conflict_count, set_count, value_count;
};

/* False: it isn't plain. What was read until then is in r in any case. */
bool bulk_read_shape(struct bulk_reading *r, const struct pg_script *script);
void bulk_reading_done(struct bulk_reading *r); /* its shape too, unless it was taken */
void bulk_add_name(char ***names, size_t *count, const char *text);
void bulk_names_free(char **names, size_t count);
void bulk_shape_free(struct bulk_shape *s);
void bulk_table_free(struct bulk_table *t);

#endif
