/* read.c - the rows of a version, from its copy (copy.c), in the order of a key. */
#include "projections/store/dynamo/copy_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

struct store_rows {
	struct sql_statement *statement;
	struct value *values;
	size_t count;
	struct buf sort[2]; /* bound */
};

int store_dynamo_columns(struct store_snapshot *n, const char *table, char ***ret_names,
			 size_t *ret_count, struct err *e)
{
	const struct dynamo_table *t = dynamo_table_find(n->tables, table);
	size_t count = t != NULL ? t->attribute_count : 0;
	char **names = xcalloc(count + 1, sizeof(*names));

	(void)e;
	for (size_t i = 0; i < count; i++)
		names[i] = xstrdup(t->attributes[i]);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

/* `key` as numbers of attributes. */
static int read_key(const struct dynamo_table *t, char *const *key, size_t count,
		    struct dynamo_key *ret_key, struct err *e)
{
	*ret_key = (struct dynamo_key){ .count = count };
	for (size_t i = 0; i < count; i++) {
		int at = dynamo_attribute_find(t, key[i]);

		if (at < 0 || count > 2)
			return err_config(e, "table %s: %s can't be part of its key", t->name,
					  key[i]);
		ret_key->attributes[i] = (size_t)at;
	}
	return 0;
}

static bool same_key(const struct dynamo_key *a, const struct dynamo_key *b)
{
	return a->count == b->count && a->attributes[0] == b->attributes[0] &&
	       (a->count < 2 || a->attributes[1] == b->attributes[1]);
}

/* The name that the table has when it is sorted by that key: "", or "/1,0" ..., made when it is
 * asked for first. Versions of different keys are compared by the new one's. */
static int sorted_by(struct store_snapshot *n, const struct dynamo_table *t,
		     const struct dynamo_key *key, char *ret_suffix, size_t size, struct err *e)
{
	struct copy_sorter s = { .table = t, .key = *key };
	struct sql_statement *all = NULL;
	struct value *values;
	char *name, *there;
	int64_t count = 0;
	int rc;

	ret_suffix[0] = '\0';
	if (same_key(key, &t->key))
		return 0;
	snprintf(ret_suffix, size, "/%zu,%zu", key->attributes[0],
		 key->count > 1 ? key->attributes[1] : SIZE_MAX);
	there = xasprintf("SELECT count(*) FROM sqlite_schema WHERE name = '%s%s'", t->name,
			  ret_suffix);
	rc = sql_get_int(n->db, there, &count, e);
	free(there);
	if (rc < 0 || count > 0)
		return rc;
	name = copy_table_name(t, "");
	there = xasprintf("SELECT * FROM %s", name);
	values = xcalloc(t->attribute_count + 1, sizeof(*values));
	if (copy_make_table(n->db, t, ret_suffix, &s.insert, e) < 0 ||
	    sql_prepare(n->db, "snapshot", there, NULL, &all, e) < 0)
		rc = -1;
	while (rc == 0 && (rc = sql_step(all, e)) == 1) {
		for (size_t i = 0; i < t->attribute_count; i++)
			sql_column(all, (int)i + 3, &values[i]);
		rc = copy_sorter_add(&s, values, e);
	}
	sql_finalize(all);
	copy_sorter_done(&s);
	free(values);
	free(there);
	free(name);
	return rc;
}

static int bind_after(struct store_rows *r, const struct dynamo_table *t,
		      const struct dynamo_key *key, const struct value *after, struct err *e)
{
	for (size_t i = 0; i < 2; i++) {
		struct value bytes = { .kind = VALUE_BYTES };

		(void)buf_reserve(&r->sort[i], 0);
		if (i < key->count)
			copy_sort_bytes(t->types[key->attributes[i]], &after[i], &r->sort[i]);
		bytes.bytes = buf_slice(&r->sort[i]);
		if (sql_bind(r->statement, (int)i + 1, &bytes, e) < 0)
			return -1;
	}
	return 0;
}

static int add_columns(const struct dynamo_table *t, char *const *columns, size_t count,
		       struct buf *sql, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		int at = dynamo_attribute_find(t, columns[i]);

		if (at < 0)
			return err_config(e, "table %s has no attribute %s", t->name, columns[i]);
		buf_add_format(sql, "%s\"%d\"", i > 0 ? ", " : "", at);
	}
	return 0;
}

int store_dynamo_rows(struct store_snapshot *n, const char *table, char *const *columns,
		      size_t column_count, char *const *key, size_t key_count,
		      const struct value *after, struct store_rows **ret_rows, struct err *e)
{
	const struct dynamo_table *t = dynamo_table_find(n->tables, table);
	struct dynamo_key sort_key;
	struct store_rows *r;
	struct buf sql = BUF_INIT;
	char suffix[64], *name;
	int rc;

	if (t == NULL)
		return err_config(e, "there is no table %s", table);
	if (read_key(t, key, key_count, &sort_key, e) < 0 ||
	    sorted_by(n, t, &sort_key, suffix, sizeof(suffix), e) < 0)
		return -1;
	r = xcalloc(1, sizeof(*r));
	name = copy_table_name(t, suffix);
	buf_add_str(&sql, "SELECT ");
	rc = add_columns(t, columns, column_count, &sql, e);
	buf_add_format(&sql, " FROM %s%s ORDER BY \"/0\", \"/1\"", name,
		       after != NULL ? " WHERE (\"/0\", \"/1\") > (?1, ?2)" : "");
	if (rc == 0)
		rc = sql_prepare(n->db, "snapshot", buf_cstr(&sql), NULL, &r->statement, e);
	free(name);
	buf_done(&sql);
	r->count = column_count;
	r->values = xcalloc(column_count + 1, sizeof(*r->values));
	if (rc == 0 && after != NULL)
		rc = bind_after(r, t, &sort_key, after, e);
	if (rc < 0)
		store_dynamo_rows_close(r);
	else
		*ret_rows = r;
	return rc;
}

int store_dynamo_next(struct store_rows *r, const struct value **ret_values, struct err *e)
{
	*ret_values = r->values;
	return sql_step_row(r->statement, r->values, r->count, e);
}

void store_dynamo_rows_close(struct store_rows *r)
{
	if (r == NULL)
		return;
	sql_finalize(r->statement);
	buf_done(&r->sort[0]);
	buf_done(&r->sort[1]);
	free(r->values);
	free(r);
}

int store_dynamo_row_count(struct store_snapshot *n, const char *table, int64_t *ret_count,
			   struct err *e)
{
	return sql_row_count(n->db, table, ret_count, e);
}
