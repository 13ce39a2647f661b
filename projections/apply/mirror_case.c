/* mirror_case.c - mirrored tables for test cases, where no schema is registered: cases/tables.sql
 * says what the source's tables look like, in SQLite's words or in as much of the source's own as
 * SQLite understands. Types only matter as far as SQLite's affinities do. */
#include "projections/apply/mirror.h"

#include "core/avro/schema.h"
#include "core/base/mem.h"
#include "core/sql/store_db.h"
#include "projections/apply/view_priv.h"

#include <stdlib.h>
#include <strings.h>

static char *copy(const struct value *v)
{
	return xstrndup((const char *)v->bytes.data, v->bytes.size);
}

static void add_column(struct mirror_table *t, const struct value *name, const struct value *type)
{
	struct mirror_column *c;
	struct buf leaf = BUF_INIT;

	t->columns = xrealloc(t->columns, (t->column_count + 1) * sizeof(*t->columns));
	c = &t->columns[t->column_count++];
	*c = (struct mirror_column){ .name = copy(name), .type = copy(type) };
	schema_escape_name(c->name, &leaf);
	c->leaf = xstrdup(buf_cstr(&leaf));
	c->of = NULL;
	buf_done(&leaf);
}

static void add_key(struct mirror_table *t, const char *name)
{
	size_t i = 0;

	while (i < t->column_count && strcasecmp(t->columns[i].name, name) != 0)
		i++;
	if (i == t->column_count)
		return;
	t->key = xrealloc(t->key, (t->key_count + 1) * sizeof(*t->key));
	t->key[t->key_count++] = i;
}

static int read_table(struct sql_db *db, struct mirror_table *t, struct err *e)
{
	struct value name = { .kind = VALUE_TEXT, .bytes = slice_str(t->table) };
	struct sql_statement *s;
	int rc;

	if (sql_prepare(db, "cases/tables.sql",
			"SELECT name, 0, type FROM pragma_table_info(?1) UNION ALL SELECT * FROM "
			"(SELECT name, pk, type FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY "
			"pk)",
			NULL, &s, e) < 0)
		return -1;
	rc = sql_bind(s, 1, &name, e);
	while (rc == 0 && (rc = sql_step(s, e)) == 1) {
		struct value column, key, type;
		char *text;

		rc = 0;
		sql_column(s, 0, &column);
		sql_column(s, 1, &key);
		sql_column(s, 2, &type);
		text = copy(&column);
		if (key.i == 0)
			add_column(t, &column, &type);
		else if (!t->own_key)
			add_key(t, text);
		free(text);
	}
	sql_finalize(s);
	return rc;
}

static void take_table(struct view *v, struct sql_db *db, const char *topic,
		       struct view_mistakes *m)
{
	struct mirror_table *t = mirror_add_table(v, topic, m);
	const struct view_table *given;
	struct err e = ERR_INIT;

	if (t == NULL)
		return;
	given = view_table(v, t->name);
	t->own_key = given != NULL && given->key_line > 0;
	if (read_table(db, t, &e) < 0)
		view_mistake_err(m, &e);
	else if (t->column_count == 0)
		view_mistake(m, "cases/tables.sql", 0, NULL, "makes no table %s", t->table);
	for (size_t i = 0; t->own_key && i < given->key_count; i++)
		add_key(t, given->key[i]);
	if (t->column_count > 0 && t->key_count == 0)
		view_mistake(m, "cases/tables.sql", 0, "Give it a PRIMARY KEY.",
			     "table %s has no key", t->table);
}

int view_shape_sql(struct view *v, const char *file, const char *text, struct err *e)
{
	struct view_mistakes m = { .place = v->place };
	struct sql_db *db = NULL;
	struct err why = ERR_INIT;
	int rc;

	free(v->store); /* cases run in memory, wherever the view lives */
	v->store = xstrdup("sqlite");
	if (sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &why) < 0 ||
	    sql_script(db, file, text, &why) < 0)
		view_mistake_err(&m, &why);
	for (size_t i = 0; i < v->input_count && m.count == 0; i++)
		take_table(v, db, v->inputs[i], &m);
	sql_close(db);
	if (m.count == 0)
		view_generate_sql(v, &m);
	rc = m.count > 0 ? err_config(e, "%s", buf_cstr(&m.text)) : 0;
	buf_done(&m.text);
	return rc;
}
