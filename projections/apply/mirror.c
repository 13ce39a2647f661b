/* mirror.c - mirrored tables: from registered schemas to columns, and the statements that make and
 * keep them.
 *
 * The shape comes out of the schema text of the rows (core/avro/row_schema.h), which holds all of
 * it: types, labels, key. A column's place in a record is its escaped name. */
#include "projections/apply/mirror.h"

#include "core/avro/row_schema.h"
#include "core/avro/schema.h"
#include "core/base/mem.h"
#include "projections/apply/view_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

void mirror_table_done(struct mirror_table *t)
{
	for (size_t i = 0; i < t->column_count; i++) {
		free(t->columns[i].name);
		free(t->columns[i].leaf);
		free(t->columns[i].type);
	}
	free(t->columns);
	free(t->key);
	free(t->db);
	free(t->table);
	free(t->name);
	shape_unref(t->shape);
	*t = (struct mirror_table){ 0 };
}

const struct mirror_table *mirror_find(const struct view *v, const char *name)
{
	for (size_t i = 0; i < v->mirror_count; i++) {
		if (strcasecmp(v->mirrors[i].name, name) == 0)
			return &v->mirrors[i];
	}
	return NULL;
}

bool view_is_shaped(const struct view *v)
{
	return v->kind == VIEW_SQL || v->mirror_count > 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* What schema_escape_name() made, back. */
static char *unescape(const char *start, size_t size)
{
	char *out = xmalloc(size + 1);
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned code;

		if (start[i] == '_' && i + 3 < size && start[i + 1] == 'x' &&
		    sscanf(start + i + 2, "%2x", &code) == 1) {
			out[n++] = (char)code;
			i += 3;
		} else {
			out[n++] = start[i];
		}
	}
	out[n] = '\0';
	return out;
}

bool mirror_topic_parts(const char *topic, char **ret_db, char **ret_table)
{
	const char *table = strrchr(topic, '.'), *db = table;

	while (db != NULL && db > topic && db[-1] != '.')
		db--;
	if (table == NULL || db <= topic + 1 || table[1] == '\0' || db == table)
		return false;
	*ret_db = unescape(db, (size_t)(table - db));
	*ret_table = unescape(table + 1, strlen(table + 1));
	return true;
}

/* ---- columns --------------------------------------------------------------------------------- */

static struct mirror_column *add_column(struct mirror_table *t)
{
	t->columns = xrealloc(t->columns, (t->column_count + 1) * sizeof(*t->columns));
	t->columns[t->column_count] = (struct mirror_column){ 0 };
	return &t->columns[t->column_count++];
}

static void add_part(const struct view *v, struct mirror_table *t, const struct column *c,
		     enum dialect_part part, bool key)
{
	static const char *const ends[] = {
		[DIALECT_WHOLE] = "", [DIALECT_SRID] = "srid", [DIALECT_WKB] = "wkb"
	};
	struct buf leaf = BUF_INIT, type = BUF_INIT;
	struct mirror_column *m = add_column(t);
	bool whole = part == DIALECT_WHOLE;

	schema_escape_name(c->name, &leaf);
	if (!whole)
		buf_add_format(&leaf, ".%s", ends[part]);
	dialect_type(dialect_of(v->store), c, part, key, &type);
	m->name = mirror_part_name(t->shape, c->name, part);
	m->leaf = xstrdup(buf_cstr(&leaf));
	m->type = xstrdup(buf_cstr(&type));
	m->of = c;
	m->part = part;
	buf_done(&leaf);
	buf_done(&type);
}

static void add_exact(const struct view *v, struct mirror_table *t)
{
	struct mirror_column *m;

	if (dialect_of(v->store)->loose)
		return;
	m = add_column(t);
	m->name = mirror_exact_name(t->shape);
	m->leaf = xstrdup("");
	m->type = xstrdup(dialect_of(v->store)->key_bytes_max > 0 ? "LONGTEXT" : "text");
}

static bool in_key(const struct mirror_table *t, const struct view_table *given, size_t column)
{
	const struct shape *s = t->shape;

	for (size_t i = 0; given == NULL && i < s->key_count; i++) {
		if (s->key[i] == column)
			return true;
	}
	for (size_t i = 0; given != NULL && i < given->key_count; i++) {
		if (strcasecmp(given->key[i], s->columns[column].name) == 0)
			return true;
	}
	return false;
}

static int column_named(const struct mirror_table *t, const char *name)
{
	for (size_t i = 0; i < t->column_count; i++) {
		if (strcasecmp(t->columns[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

static void add_key(const struct view *v, struct mirror_table *t, const char *name, int line,
		    struct view_mistakes *m)
{
	int column = column_named(t, name);

	if (column < 0) {
		view_mistake(m, "view.conf", line, NULL, "table %s.%s has no column %s", t->db,
			     t->table, name);
		return;
	}
	if (t->columns[column].of != NULL && t->columns[column].of->type == COLUMN_GEOMETRY) {
		view_mistake(m, "view.conf", line, NULL, "%s of table %s.%s can't be a key", name,
			     t->db, t->table);
		return;
	}
	t->key = xrealloc(t->key, (t->key_count + 1) * sizeof(*t->key));
	t->key[t->key_count++] = (size_t)column;
	(void)v;
}

/* The primary key, or what view.conf says. */
static void take_key(const struct view *v, struct mirror_table *t, const struct view_table *given,
		     struct view_mistakes *m)
{
	size_t before = m->count;

	t->own_key = given != NULL;
	for (size_t i = 0; given != NULL && i < given->key_count; i++)
		add_key(v, t, given->key[i], given->key_line, m);
	for (size_t i = 0; given == NULL && t->shape != NULL && i < t->shape->key_count; i++)
		add_key(v, t, t->shape->columns[t->shape->key[i]].name, 0, m);
	if (t->key_count == 0 && m->count == before) {
		char *hint = xasprintf("Write key.%s = COLUMN, COLUMN: columns that tell its rows "
				       "apart and are never NULL.",
				       t->name);

		view_mistake(m, "view.conf", 0, hint,
			     "table %s.%s has no primary key: which row a change is of can't be "
			     "told",
			     t->db, t->table);
		free(hint);
	}
}

static const struct view_table *given_key(const struct view *v, const struct mirror_table *t)
{
	for (size_t i = 0; i < v->table_count; i++) {
		if (v->tables[i].key_line > 0 && strcasecmp(v->tables[i].name, t->name) == 0)
			return &v->tables[i];
	}
	return NULL;
}

static void take_shape(const struct view *v, struct mirror_table *t, struct shape *take_shape,
		       struct view_mistakes *m)
{
	const struct view_table *given = given_key(v, t);

	t->shape = take_shape;
	for (uint16_t i = 0; i < t->shape->column_count; i++) {
		const struct column *c = &t->shape->columns[i];

		if (c->type == COLUMN_GEOMETRY) {
			add_part(v, t, c, DIALECT_SRID, false);
			add_part(v, t, c, DIALECT_WKB, false);
		} else {
			add_part(v, t, c, DIALECT_WHOLE, in_key(t, given, i));
		}
	}
	add_exact(v, t);
	take_key(v, t, given, m);
}

/* ---- from the files -------------------------------------------------------------------------- */

static void check_name(struct view *v, const struct mirror_table *t, struct view_mistakes *m)
{
	const struct mirror_table *other = mirror_find(v, t->name);

	if (other != NULL)
		view_mistake(m, "view.conf", 0, "Make a view for each.",
			     "tables %s.%s and %s.%s have one name, and can't stand in one view",
			     other->db, other->table, t->db, t->table);
	if (strncasecmp(t->name, "millrace_", 9) == 0 || strncasecmp(t->name, "sqlite_", 7) == 0 ||
	    strncasecmp(t->name, "touched ", 8) == 0)
		view_mistake(m, "view.conf", 0, NULL,
			     "table %s.%s can't be mirrored: names like its own are the store's",
			     t->db, t->table);
}

struct mirror_table *mirror_add_table(struct view *v, const char *topic, struct view_mistakes *m)
{
	struct mirror_table t = { 0 };

	if (!mirror_topic_parts(topic, &t.db, &t.table)) {
		view_mistake(m, "view.conf", 0, "A row topic is called NAME.DATABASE.TABLE.",
			     "%s is no topic of rows: kind = %s reads tables", topic,
			     v->kind == VIEW_MIRROR ? "mirror" : "query");
		return NULL;
	}
	t.name = xstrdup(t.table);
	check_name(v, &t, m);
	v->mirrors = xrealloc(v->mirrors, (v->mirror_count + 1) * sizeof(*v->mirrors));
	v->mirrors[v->mirror_count] = t;
	return &v->mirrors[v->mirror_count++];
}

static void set_source_db(struct view *v)
{
	for (size_t i = 1; i < v->mirror_count; i++) {
		if (strcmp(v->mirrors[i].db, v->mirrors[0].db) != 0)
			return;
	}
	free(v->source_db);
	v->source_db = v->mirror_count > 0 ? xstrdup(v->mirrors[0].db) : NULL;
}

static void shape_one(struct view *v, const char *topic, const char *text, struct view_mistakes *m)
{
	struct mirror_table *t = mirror_add_table(v, topic, m);
	struct err e = ERR_INIT;
	struct shape *shape;

	if (t == NULL)
		return;
	if (row_schema_shape(slice_str(text), t->db, t->table, &shape, &e) < 0)
		view_mistake(m, "view.conf", 0,
			     "It was written by an older release: let capture "
			     "write a row of the table.",
			     "%s: %s", topic, e.msg);
	else
		take_shape(v, t, shape, m);
}

void view_generate(struct view *v, struct view_mistakes *m)
{
	size_t before = m->count;

	if (dialect_of(v->store) == NULL) {
		view_mistake(m, "view.conf", 0, "Use kind = sql.", "kind = %s: store %s has no SQL",
			     v->kind == VIEW_MIRROR ? "mirror" : "query", v->store);
		return;
	}
	for (size_t i = 0; i < v->input_count; i++) {
		char *name = xasprintf(MIRROR_SHAPES "%s.avsc", v->inputs[i]);
		const struct view_file *file = view_file(v, name);

		free(name);
		if (file == NULL)
			return; /* read from a folder: nobody has said yet what is registered */
		shape_one(v, v->inputs[i], file->text, m);
	}
	if (m->count > before)
		return;
	set_source_db(v);
	view_generate_sql(v, m);
}

int view_shape(struct view *v, view_schema_fn schema, void *context, struct err *e)
{
	struct view_mistakes m = { .place = v->place };
	int rc = 0;

	if (view_is_shaped(v))
		return 0;
	for (size_t i = 0; i < v->input_count && rc >= 0; i++) {
		const char *text = NULL;

		rc = schema(context, v->inputs[i], &text, e);
		if (rc == 0) {
			err_retry(e, "view %s: no schema is registered for %s yet", v->name,
				  v->inputs[i]);
			rc = err_hint(e, "It is registered when `millrace run` begins to capture "
					 "the table: is it among capture.tables, and the name "
					 "NAME.DATABASE.TABLE?");
		} else if (rc > 0) {
			char *name = xasprintf(MIRROR_SHAPES "%s.avsc", v->inputs[i]);

			view_files_add(&v->files, name, xstrdup(text));
			free(name);
		}
	}
	if (rc < 0)
		return -1;
	view_generate(v, &m);
	rc = m.count > 0 ? err_config(e, "%s", buf_cstr(&m.text)) : 0;
	buf_done(&m.text);
	return rc;
}
