/* bulk_priv.h - what the parts of the bulk writer share: postgresql/bulk_shape.c reads
 * statements and the catalog, postgresql/bulk.c gathers rows and sends them. */
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

void bulk_shape_free(struct bulk_shape *s);
void bulk_table_free(struct bulk_table *t);

#endif
