/* view_generate.c - what a view of kind mirror or query does not write down: its tables, what runs
 * behind the build, and the questions for verify.
 *
 * The texts take the place of tables.sql, so every store makes such a view as it makes any other. A
 * build keeps the mirrored tables only; what the SELECTs make of them is computed once, behind the
 * build. Nobody sees the states between. */
#include "projections/apply/query.h"

#include "core/base/mem.h"
#include "core/sql/store_db.h"
#include "projections/apply/view_priv.h"

#include <stdlib.h>
#include <strings.h>

static void drop_table(struct view *v, size_t i)
{
	struct view_table *t = &v->tables[i];

	view_table_done(t);
	v->table_count--;
	memmove(t, t + 1, (v->table_count - i) * sizeof(*t));
}

void view_hide_mirrors(struct view *v)
{
	for (size_t i = v->table_count; i > 0 && v->kind == VIEW_QUERY; i--) {
		if (mirror_find(v, v->tables[i - 1].name) != NULL)
			drop_table(v, i - 1);
	}
}

static void put_indexes(const struct view *v, const struct view_query *q, struct buf *out)
{
	for (size_t i = 0; i < v->mirror_count; i++) {
		struct buf name = BUF_INIT;

		if (q->indexes[i] == NULL)
			continue;
		buf_add_format(&name, "%s by key of %s", v->mirrors[i].name, q->table);
		buf_add_str(out, "CREATE INDEX ");
		dialect_name(dialect_of(v->store), buf_cstr(&name), out);
		buf_add_str(out, " ON ");
		dialect_name(dialect_of(v->store), v->mirrors[i].name, out);
		buf_add_format(out, " (%s);\n", q->indexes[i]);
		buf_done(&name);
	}
}

static void take_text(char **field, struct buf *text)
{
	free(*field);
	*field = xstrdup(buf_cstr(text));
	buf_done(text);
}

void view_generate_sql(struct view *v, struct view_mistakes *m)
{
	const struct view_file *indexes = view_file(v, "indexes.sql");
	struct buf create = BUF_INIT, after = BUF_INIT;
	size_t before = m->count;

	for (size_t i = 0; i < v->mirror_count; i++)
		mirror_create_sql(v, &v->mirrors[i], &create);
	if (v->kind == VIEW_QUERY) {
		query_parse(v, m);
		if (m->count == before && dialect_of(v->store)->loose)
			query_create_sqlite(v, m, &create);
		else if (m->count == before)
			query_create_other(v, m, &create);
		view_hide_mirrors(v);
	}
	if (indexes != NULL) /* first, so that its lines are what messages say */
		buf_add_format(&after, "%s\n;\n", indexes->text);
	for (size_t i = 0; i < v->query_count && m->count == before; i++)
		put_indexes(v, &v->queries[i], &after);
	for (size_t i = 0; i < v->query_count && m->count == before; i++)
		query_fill_sql(v, &v->queries[i], &after);
	take_text(&v->create_sql, &create);
	take_text(&v->after_build_sql, &after);
	if (m->count == before)
		view_generated(v, m);
}

static const char *question_of(const struct view *v, const char *table, struct buf *scratch)
{
	const struct mirror_table *t = mirror_find(v, table);

	buf_reset(scratch);
	if (v->kind == VIEW_MIRROR && t != NULL && t->shape != NULL) {
		mirror_source_sql(t, scratch);
		return buf_cstr(scratch);
	}
	for (size_t i = 0; i < v->query_count; i++) {
		if (strcasecmp(v->queries[i].table, table) == 0)
			query_source_sql(&v->queries[i], scratch);
	}
	return scratch->size > 0 ? buf_cstr(scratch) : NULL;
}

void view_generate_source(struct view *v)
{
	struct buf scratch = BUF_INIT;

	for (size_t i = 0; i < v->table_count; i++) {
		const char *question = question_of(v, v->tables[i].name, &scratch);

		if (question == NULL)
			continue;
		free(v->tables[i].source);
		v->tables[i].source = xstrdup(question);
	}
	buf_done(&scratch);
}
