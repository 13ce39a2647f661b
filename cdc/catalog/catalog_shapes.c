/* catalog_shapes.c - the shapes of many tables from information_schema.
 *
 * Asked for one table, the server opens that one; asked for a database, all of it, in one go: some
 * thirty times faster for each. So a database of which a good part is captured is asked for as a
 * whole, and another one table by table.
 *
 * Names that differ in case only are mixed by the server's order, so rows find their table by its
 * exact name; a table's columns come in their order. The numbers of collations are read once: a
 * join with their list would cost more than all the rest. */
#include "cdc/catalog/catalog_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <uthash.h>

#define WHOLE_MIN 8   /* tables */
#define WHOLE_SHARE 4 /* at least every fourth of the database */

struct collation {
	UT_hash_handle hh;
	char id[12];
	char name[];
};

struct target {
	UT_hash_handle hh; /* by name */
	const struct catalog_name *name;
	struct shape **shape;
};

struct reading {
	struct db *db;
	struct collation *collations;
	struct target *targets, *items, *last;
};

/* ---- collations ------------------------------------------------------------------------------ */

static int read_collations(struct reading *r, struct err *e)
{
	const struct slice *row;
	struct db_result *result;
	char *full_names;
	int rc;

	if (db_get_text(r->db, CATALOG_SQL_HAS_FULL_NAMES, &full_names, e) < 0)
		return -1;
	rc = db_query(r->db,
		      full_names != NULL
			      ? "SELECT FULL_COLLATION_NAME, ID FROM information_schema."
				CATALOG_APPLICABILITY
			      : "SELECT COLLATION_NAME, ID FROM information_schema.COLLATIONS",
		      &result, e);
	free(full_names);
	if (rc < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1) {
		struct collation *c;

		if (row[0].data == NULL || row[1].data == NULL || row[1].size >= sizeof(c->id))
			continue;
		c = xcalloc(1, sizeof(*c) + row[0].size + 1);
		memcpy(c->name, row[0].data, row[0].size);
		memcpy(c->id, row[1].data, row[1].size);
		HASH_ADD_KEYPTR(hh, r->collations, c->name, row[0].size, c);
	}
	db_result_free(result);
	return rc;
}

static struct slice collation_id(const struct reading *r, struct slice name)
{
	struct collation *c = NULL;

	if (name.data != NULL)
		HASH_FIND(hh, r->collations, name.data, name.size, c);
	return c != NULL ? slice_str(c->id) : slice_of(NULL, 0);
}

/* ---- one database ---------------------------------------------------------------------------- */

static void set_targets(struct reading *r, const struct catalog_name *names, size_t count,
			struct shape **shapes)
{
	HASH_CLEAR(hh, r->targets);
	free(r->items);
	r->items = xcalloc(count, sizeof(*r->items));
	r->last = NULL;
	for (size_t i = 0; i < count; i++) {
		struct target *t = &r->items[i];

		t->name = &names[i];
		t->shape = &shapes[i];
		HASH_ADD_KEYPTR(hh, r->targets, names[i].table, strlen(names[i].table), t);
	}
}

/* NULL: not wanted. */
static struct target *find(struct reading *r, struct slice table)
{
	if (r->last == NULL || !slice_is(table, r->last->name->table))
		HASH_FIND(hh, r->targets, table.data, table.size, r->last);
	return r->last;
}

static int take_column(struct reading *r, const struct slice *row, struct err *e)
{
	struct target *t = find(r, row[CATALOG_FIELD_COUNT - 1]);
	struct slice fields[CATALOG_FIELD_COUNT];
	struct shape *s;

	if (t == NULL)
		return 0;
	if (*t->shape == NULL)
		*t->shape = shape_new(t->name->db, t->name->table, 0);
	s = *t->shape;
	if (s->column_count == SHAPE_COLUMNS_MAX)
		return err_config(e, "table %s.%s: more than %d columns", s->db, s->table,
				  SHAPE_COLUMNS_MAX);
	memcpy(fields, row, sizeof(fields));
	fields[CATALOG_FIELD_COLLATION_ID] = collation_id(r, row[CATALOG_FIELD_COLLATION]);
	s->columns = xrealloc(s->columns, (s->column_count + 1u) * sizeof(*s->columns));
	s->columns[s->column_count] = (struct column){ .name = NULL };
	s->column_count++; /* also a column that is refused is freed with the shape */
	return catalog_take_column(s, &s->columns[s->column_count - 1u], db_server_version(r->db),
				   fields, e);
}

static int take_key(struct reading *r, const struct slice *row, struct err *e)
{
	struct target *t = find(r, row[1]);
	struct shape *s = t != NULL ? *t->shape : NULL;
	int column = s != NULL ? shape_column(s, row[0]) : -1;

	if (t == NULL)
		return 0;
	if (column < 0 || s->key_count == s->column_count)
		return err_retry(e, "table %s.%s changed while it was looked at", t->name->db,
				 t->name->table);
	s->key = xrealloc(s->key, (s->key_count + 1u) * sizeof(*s->key));
	s->key[s->key_count++] = (uint16_t)column;
	return 0;
}

static int each_row(struct reading *r, const char *sql,
		    int (*take)(struct reading *r, const struct slice *row, struct err *e),
		    struct err *e)
{
	const struct slice *row;
	struct db_result *result;
	int rc;

	if (db_query(r->db, sql, &result, e) < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1)
		if (take(r, row, e) < 0) {
			rc = -1;
			break;
		}
	db_result_free(result);
	return rc;
}

static int read_whole(struct reading *r, const struct catalog_name *names, size_t count,
		      struct shape **shapes, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	set_targets(r, names, count, shapes);
	buf_add_str(&sql, "SELECT " CATALOG_FIELDS(
				  "") ", TABLE_NAME"
				      " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ");
	db_quote(slice_str(names[0].db), &sql);
	buf_add_str(&sql, " ORDER BY TABLE_NAME, ORDINAL_POSITION");
	rc = each_row(r, buf_cstr(&sql), take_column, e);
	buf_reset(&sql);
	buf_add_str(&sql, "SELECT COLUMN_NAME, TABLE_NAME FROM information_schema.STATISTICS "
			  "WHERE INDEX_NAME = 'PRIMARY' AND TABLE_SCHEMA = ");
	db_quote(slice_str(names[0].db), &sql);
	buf_add_str(&sql, " ORDER BY TABLE_NAME, SEQ_IN_INDEX");
	if (rc == 0)
		rc = each_row(r, buf_cstr(&sql), take_key, e);
	buf_done(&sql);
	for (size_t i = 0; i < count && rc == 0; i++)
		if (shapes[i] == NULL) /* listed a moment ago */
			rc = err_retry(e, "table %s.%s has just been dropped", names[i].db,
				       names[i].table);
		else if ((rc = catalog_settle_labels(r->db, shapes[i], e)) == 0)
			shapes[i] = shape_pack(shapes[i]);
	return rc;
}

static int is_worth(struct db *db, const char *schema, size_t count, bool *ret_worth, struct err *e)
{
	struct buf sql = BUF_INIT;
	char *all = NULL;
	int rc = 0;

	if (count >= WHOLE_MIN) {
		buf_add_str(&sql, "SELECT COUNT(*) FROM information_schema.TABLES WHERE "
				  "TABLE_SCHEMA = ");
		db_quote(slice_str(schema), &sql);
		rc = db_get_text(db, buf_cstr(&sql), &all, e);
	}
	*ret_worth = all != NULL && strtoull(all, NULL, 10) / WHOLE_SHARE <= count;
	free(all);
	buf_done(&sql);
	return rc;
}

static int read_database(struct reading *r, const struct catalog_name *names, size_t count,
			 struct shape **shapes, struct err *e)
{
	bool worth;

	if (is_worth(r->db, names[0].db, count, &worth, e) < 0)
		return -1;
	if (worth)
		return read_whole(r, names, count, shapes, e);
	for (size_t i = 0; i < count; i++)
		if (catalog_read_shape(r->db, names[i].db, names[i].table, &shapes[i], e) < 0)
			return -1;
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void reading_done(struct reading *r)
{
	struct collation *c, *next;

	HASH_CLEAR(hh, r->targets);
	free(r->items);
	HASH_ITER(hh, r->collations, c, next)
	{
		HASH_DEL(r->collations, c);
		free(c);
	}
}

int catalog_read_shapes(struct db *db, const struct catalog_name *names, size_t count,
			struct shape **ret_shapes, struct err *e)
{
	struct shape **shapes = xcalloc(count + 1, sizeof(struct shape *));
	struct reading r = { .db = db };
	int rc = count >= WHOLE_MIN ? read_collations(&r, e) : 0;

	for (size_t from = 0, to; from < count && rc == 0; from = to) {
		for (to = from + 1; to < count && strcmp(names[to].db, names[from].db) == 0;)
			to++;
		rc = read_database(&r, names + from, to - from, shapes + from, e);
	}
	for (size_t i = 0; i < count; i++)
		if (rc == 0)
			ret_shapes[i] = shapes[i];
		else
			shape_unref(shapes[i]);
	free(shapes);
	reading_done(&r);
	return rc;
}
