/* query.c - reads query.sql and keys/, and decides whether the view can be kept up by them. */
#include "projections/apply/query.h"

#include "core/base/mem.h"
#include "core/base/settings.h"
#include "core/sql/store_db.h"
#include "projections/apply/view_priv.h"

#include <stdlib.h>
#include <strings.h>

void view_query_done(struct view_query *q, size_t mirrors)
{
	free(q->table);
	free(q->source);
	free(q->text);
	view_names_free(q->key, q->key_count);
	if (q->types != NULL)
		view_names_free(q->types, q->key_count);
	if (q->keys != NULL)
		view_names_free(q->keys, mirrors);
	if (q->indexes != NULL)
		view_names_free(q->indexes, mirrors);
	*q = (struct view_query){ 0 };
}

static int line_at(const struct query_block *b, const char *at)
{
	int line = b->line;

	for (const char *p = b->text; p < at; p++)
		line += *p == '\n';
	return line;
}

static bool begins_as_select(const char *text)
{
	const char *at = text, *end = text + strlen(text);
	struct query_token t;

	do {
		t = query_next(&at, end);
	} while (t.kind == QUERY_SPACE || (t.kind == QUERY_OTHER && *t.start == '('));
	return query_word_is(t, "select") || query_word_is(t, "with") || query_word_is(t, "values");
}

/* ---- query.sql ------------------------------------------------------------------------------- */

static bool check_block(const struct view *v, const struct query_block *b, struct view_mistakes *m)
{
	const char *at = b->text, *why = query_refuse(b->text, &at);

	if (b->table == NULL) {
		view_mistake(m, "query.sql", b->line,
			     "Put a line '-- table: NAME' before each SELECT.",
			     "a SELECT that belongs to no table");
	} else if (!begins_as_select(b->text)) {
		view_mistake(m, "query.sql", b->line, NULL, "table %s: not a SELECT", b->table);
	} else if (why != NULL) {
		const char *start = at;
		struct query_token t = query_next(&start, at + strlen(at));

		view_mistake(m, "query.sql", line_at(b, at),
			     "Use kind = sql, or ask this when the view is read.",
			     "%.*s can't be kept up: %s", (int)(t.size > 40 ? 40 : t.size), t.start,
			     why);
	} else {
		for (size_t i = 0; i < v->query_count; i++) {
			if (strcasecmp(v->queries[i].table, b->table) != 0)
				continue;
			view_mistake(m, "query.sql", b->line, NULL, "table %s has two SELECTs",
				     b->table);
			return false;
		}
		return true;
	}
	return false;
}

static void take_key(struct view *v, struct view_query *q, struct view_mistakes *m)
{
	const struct view_table *given = view_table(v, q->table);
	char *hint;

	for (size_t i = 0; given != NULL && i < given->key_count; i++)
		view_words_add(&q->key, &q->key_count, given->key[i], strlen(given->key[i]));
	if (q->key_count > 0)
		return;
	hint = xasprintf("Write key.%s = COLUMN, COLUMN: columns of the SELECT that tell its rows "
			 "apart.",
			 q->table);
	view_mistake(m, "view.conf", 0, hint, "table %s has no key", q->table);
	free(hint);
}

static void add_query(struct view *v, const struct query_block *b, struct view_mistakes *m)
{
	struct buf text = BUF_INIT;
	struct view_query *q;

	v->queries = xrealloc(v->queries, (v->query_count + 1) * sizeof(*v->queries));
	q = &v->queries[v->query_count++];
	query_rewrite(v, b->text, &text);
	*q = (struct view_query){ .table = xstrdup(b->table),
				  .source = xstrdup(b->text),
				  .text = buf_cstr(&text),
				  .line = b->line };
	take_key(v, q, m);
	if (mirror_find(v, b->table) != NULL)
		view_mistake(m, "query.sql", b->line, "Give it another name.",
			     "table %s: a table that the view reads is called so", b->table);
}

void query_parse(struct view *v, struct view_mistakes *m)
{
	const struct view_file *file = view_file(v, "query.sql");
	struct query_block *blocks = NULL;
	size_t count = 0, before = m->count;

	if (file == NULL) {
		view_mistake(m, "query.sql", 0,
			     "It is the view: a SELECT after a line '-- table: "
			     "NAME'.",
			     "missing");
		return;
	}
	query_blocks(file->text, &blocks, &count);
	for (size_t i = 0; i < count; i++) {
		if (check_block(v, &blocks[i], m))
			add_query(v, &blocks[i], m);
	}
	query_blocks_free(blocks, count);
	if (count == 0 && m->count == before)
		view_mistake(m, "query.sql", 0, NULL, "holds no SELECT");
}

/* ---- keys/ ----------------------------------------------------------------------------------- */

static const struct view_file *keys_file(const struct view *v, const struct mirror_table *t)
{
	char *plain = xasprintf("keys/%s.sql", t->table);
	char *full = xasprintf("keys/%s.%s.sql", t->db, t->table);
	const struct view_file *file = view_file(v, full);

	if (file == NULL)
		file = view_file(v, plain);
	free(plain);
	free(full);
	return file;
}

static bool unknown_column(const struct mirror_table *t, const char *file, int line,
			   const char *name, struct view_mistakes *m)
{
	const char **known = xcalloc(t->column_count + 1, sizeof(*known)), *near;
	char hint[200];

	for (size_t i = 0; i < t->column_count; i++)
		known[i] = t->columns[i].name;
	near = settings_nearest(name, known, t->column_count);
	snprintf(hint, sizeof(hint), "Did you mean :%.150s?", near != NULL ? near : "");
	view_mistake(m, file, line, near != NULL ? hint : NULL, ":%s is not a column of %s.%s",
		     name, t->db, t->table);
	free(known);
	return false;
}

/* Every parameter is a column of the table. */
static bool check_parameters(const struct mirror_table *t, const char *file,
			     const struct query_block *b, struct view_mistakes *m)
{
	const char *at = b->text, *end = b->text + strlen(b->text);
	struct query_token token;
	bool fine = true;

	while ((token = query_next(&at, end)).kind != QUERY_END) {
		char *name;
		size_t i = 0;

		if (token.kind != QUERY_PARAMETER)
			continue;
		name = xstrndup(token.start + 1, token.size - 1);
		while (i < t->column_count && strcasecmp(t->columns[i].name, name) != 0)
			i++;
		if (i == t->column_count)
			fine = unknown_column(t, file, line_at(b, token.start), name, m);
		free(name);
	}
	return fine;
}

static bool block_is_for(const struct view *v, const struct query_block *b,
			 const struct view_query *q)
{
	return b->table == NULL ? v->query_count == 1 : strcasecmp(b->table, q->table) == 0;
}

/* The SELECT for this query out of the table's file; NULL: none. */
static char *keys_from_file(struct view *v, const struct view_file *file,
			    const struct mirror_table *t, const struct view_query *q,
			    struct view_mistakes *m)
{
	struct query_block *blocks;
	struct buf text = BUF_INIT;
	size_t count;

	query_blocks(file->text, &blocks, &count);
	for (size_t i = 0; i < count && text.size == 0; i++) {
		struct query_block *b = &blocks[i];

		if (!block_is_for(v, b, q))
			continue;
		if (!begins_as_select(b->text))
			view_mistake(m, file->name, b->line, NULL, "not a SELECT");
		else if (check_parameters(t, file->name, b, m))
			query_rewrite(v, b->text, &text);
		if (text.size == 0)
			buf_add_u8(&text, ' '); /* a mistake was said */
	}
	query_blocks_free(blocks, count);
	return text.size > 0 ? buf_cstr(&text) : NULL;
}

static void missing_keys(const struct mirror_table *t, const struct view_query *q,
			 struct view_mistakes *m)
{
	struct buf key = BUF_INIT;
	char *hint, *file = xasprintf("keys/%s.sql", t->table);

	for (size_t i = 0; i < q->key_count; i++)
		buf_add_format(&key, "%s%s", i > 0 ? ", " : "", q->key[i]);
	hint = xasprintf("Write a SELECT of %s with :COLUMN for the columns of the row, for "
			 "instance SELECT ... WHERE ... = :%s",
			 buf_cstr(&key), t->columns[t->key[0]].name);
	view_mistake(m, file, 0, hint,
		     "missing: it says which rows of %s a row of %s.%s counts for", q->table, t->db,
		     t->table);
	free(hint);
	free(file);
	buf_done(&key);
}

/* origins: per key column the table's column that it is, or NULL (no default). */
static void find_keys(struct view *v, struct view_query *q, size_t mirror, const char *origins,
		      struct view_mistakes *m)
{
	const struct mirror_table *t = &v->mirrors[mirror];
	const struct view_file *file = keys_file(v, t);
	size_t mentions = query_mentions(q->source, t);

	if (mentions == 0)
		return;
	if (file != NULL)
		q->keys[mirror] = keys_from_file(v, file, t, q, m);
	else if (origins != NULL && mentions == 1)
		q->keys[mirror] = xstrdup(origins);
	if (q->keys[mirror] == NULL)
		missing_keys(t, q, m);
}

static bool is_mirror_key_prefix(const struct mirror_table *t, const struct view_query *q,
				 const char *const *columns)
{
	for (size_t i = 0; i < q->key_count; i++) {
		size_t k = 0;

		while (k < q->key_count && k < t->key_count &&
		       strcasecmp(t->columns[t->key[k]].name, columns[i]) != 0)
			k++;
		if (k == q->key_count || k == t->key_count)
			return false;
	}
	return true;
}

/* "SELECT :a, :b" when the key's columns are the table's own, as the store tells; else NULL. */
static char *own_keys(struct view_query *q, size_t mirror, const struct mirror_table *t,
		      const struct dialect *d, struct sql_statement *s)
{
	const char **columns = xcalloc(q->key_count + 1, sizeof(*columns));
	struct buf text = BUF_INIT, index = BUF_INIT;
	bool all = true;

	for (size_t i = 0; i < q->key_count && all; i++) {
		const char *table = NULL;
		int c = 0;

		while (c < sql_column_count(s) && strcasecmp(sql_column_name(s, c), q->key[i]) != 0)
			c++;
		all = c < sql_column_count(s) && sql_column_origin(s, c, &table, &columns[i]) &&
		      strcasecmp(table, t->name) == 0;
	}
	for (size_t i = 0; i < q->key_count && all; i++) {
		buf_add_format(&text, "%s:%s", i > 0 ? ", " : "SELECT ", columns[i]);
		buf_add_str(&index, i > 0 ? ", " : "");
		dialect_name(d, columns[i], &index);
	}
	if (all && !is_mirror_key_prefix(t, q, columns)) {
		q->indexes[mirror] = buf_cstr(&index);
		index = (struct buf)BUF_INIT;
	}
	buf_done(&index);
	free(columns);
	return all ? buf_cstr(&text) : NULL;
}

static bool has_with(const char *text)
{
	const char *at = text, *end = text + strlen(text);
	struct query_token t;

	while ((t = query_next(&at, end)).kind != QUERY_END) {
		if (query_word_is(t, "with"))
			return true;
	}
	return false;
}

/* Of what `check` can't look into: a column's name that isn't plain has no default. */
void query_find_keys(struct view *v, struct view_query *q, struct sql_statement *s,
		     struct view_mistakes *m)
{
	q->keys = xcalloc(v->mirror_count + 1, sizeof(*q->keys));
	q->indexes = xcalloc(v->mirror_count + 1, sizeof(*q->indexes));
	for (size_t i = 0; i < v->mirror_count; i++) {
		char *own = s != NULL && !has_with(q->source)
				    ? own_keys(q, i, &v->mirrors[i], dialect_of(v->store), s)
				    : NULL;

		find_keys(v, q, i, own, m);
		free(own);
	}
}
