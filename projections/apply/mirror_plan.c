/* mirror_plan.c - plans of mirror_plan.h: which leaf is which column, and whether the table still
 * is what the record was written from.
 *
 * A column that a record's schema doesn't have is NULL: the record is older than the table. Whether
 * it is newer is seen when a plan is made, from the shape in the schema's text. While a version is
 * built records are history, and lead to the table as it was when the build began, unless the
 * newest schema says that columns have come since; behind that a column that came is asked for
 * (kind_columns), and a table that has become another one ends the version. */
#include "projections/apply/mirror_plan.h"

#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "projections/apply/view_priv.h"

#include <stdlib.h>
#include <strings.h>

static void plan_free(struct mirror_plan *p)
{
	if (p == NULL)
		return;
	decode_plan_free(p->decode);
	free(p->values);
	free(p->before);
	free(p->after);
	free(p->print);
	free(p);
}

static const struct value **join(struct mirror_plan *p, const char *image, int *ret_any)
{
	const struct mirror_table *t = p->rows->table;
	const struct value **values = xcalloc(t->column_count + 1, sizeof(*values));

	*ret_any = -1;
	for (size_t i = 0; i < t->column_count; i++) {
		char *path = xasprintf("%s%s", image, t->columns[i].leaf);
		int leaf = t->columns[i].leaf[0] != '\0' ? decode_leaf_find(p->decode, path) : -1;

		values[i] = t->columns[i].leaf[0] == '\0' ? &p->exact_text
			    : leaf >= 0                   ? &p->values[leaf]
							  : &mirror_null;
		if (leaf >= 0)
			*ret_any = leaf;
		free(path);
	}
	return values;
}

/* What the table is like by now. */
static void note_shape(struct mirror *m, size_t topic, const char *text, int64_t seq)
{
	buf_reset(&m->add_sql);
	buf_reset(&m->add_file);
	buf_reset(&m->add_text);
	buf_add_format(&m->add_file, MIRROR_SHAPES "%s.avsc", m->view->inputs[topic]);
	buf_add_str(&m->add_text, text);
	m->add_seq = seq;
}

static void want_columns(struct mirror *m, size_t topic, const struct shape *now, struct err *e)
{
	const struct mirror_table *t = m->rows[topic].table;

	mirror_add_columns_sql(m->view, t, now, &m->add_sql);
	m->wants = KIND_COLUMNS;
	err_retry(e, "table %s.%s has new columns", t->db, t->table);
}

static void want_version(struct mirror *m, size_t topic, struct buf *why, struct err *e)
{
	const struct mirror_table *t = m->rows[topic].table;

	m->wants = KIND_VERSION;
	err_config(e, "table %s.%s has become another one: %s", t->db, t->table, buf_cstr(why));
	err_hint(e,
		 "A version with the new table is built by itself; `millrace replay %s` does "
		 "it by hand.",
		 m->view->name);
}

/* The record that said what the table is like, when the version was made because of it; 0: what was
 * registered last said so. */
static int64_t shape_seq(const struct mirror *m, size_t topic)
{
	char *name = xasprintf(MIRROR_SHAPES "%s.seq", m->view->inputs[topic]);
	const struct view_file *file = view_file(m->view, name);

	free(name);
	return file != NULL ? strtoll(file->text, NULL, 10) : 0;
}

/* While a version is built: did the columns that the table lacks come since it was made? Else they
 * have gone before. 1, 0 or -1. */
static int is_newer(struct mirror *m, size_t topic, int64_t seq, struct err *e)
{
	const struct mirror_table *t = m->rows[topic].table;
	int64_t known = shape_seq(m, topic);
	struct shape *last = NULL;
	const char *text;
	int rc = 0;

	if (known > 0)
		return seq > known;
	if (m->options.latest != NULL)
		rc = m->options.latest(m->options.context, m->view->inputs[topic], &text, e);
	if (rc == 1)
		rc = row_schema_shape(slice_str(text), t->db, t->table, &last, e) < 0 ? -1 : 1;
	if (rc == 1)
		rc = mirror_compare(m->view, t, last, NULL) == MIRROR_ADDED;
	shape_unref(last);
	return rc;
}

/* The same of a table that was, or has become, another one. */
static bool is_outgrown(struct mirror *m, const struct mirror_plan *p, const char *text)
{
	int64_t known = shape_seq(m, p->topic);
	struct err ignored = ERR_INIT; /* then its next row tells */
	const char *last;

	if (known > 0)
		return p->values[p->seq].i > known;
	return m->options.latest != NULL &&
	       m->options.latest(m->options.context, m->view->inputs[p->topic], &last, &ignored) ==
		       1 &&
	       strcmp(last, text) == 0;
}

/* Does the table fit what the record was written from? */
static int check_shape(struct mirror *m, struct mirror_plan *p, const char *text, struct err *e)
{
	size_t topic = p->topic;
	int64_t seq = p->values[p->seq].i;
	const struct mirror_table *t = m->rows[topic].table;
	struct buf why = BUF_INIT;
	enum mirror_change change;
	struct shape *now;
	int rc = 0;

	if (t->shape == NULL)
		return 0;
	if (row_schema_shape(slice_str(text), t->db, t->table, &now, e) < 0) {
		if (m->built)
			return -1;
		err_clear(e); /* of an older release: its columns are found by name */
		return 0;
	}
	change = mirror_compare(m->view, t, now, &why);
	note_shape(m, topic, text, seq);
	p->other = change == MIRROR_OTHER;
	if (p->other && m->built) {
		want_version(m, topic, &why, e);
		rc = -1;
	} else if (change == MIRROR_ADDED && m->view->kind == VIEW_MIRROR) {
		rc = m->built ? 1 : is_newer(m, topic, seq, e);
		if (rc == 1)
			want_columns(m, topic, now, e);
		p->passes = rc == 0;
		rc = rc == 0 ? 0 : -1;
	}
	shape_unref(now);
	buf_done(&why);
	return rc;
}

static const struct column *column_named(const struct shape *s, const char *name)
{
	for (uint16_t i = 0; i < s->column_count; i++) {
		if (strcasecmp(s->columns[i].name, name) == 0)
			return &s->columns[i];
	}
	return NULL;
}

static bool is_number(const struct column *c)
{
	return c->type == COLUMN_TINY || c->type == COLUMN_SHORT || c->type == COLUMN_INT24 ||
	       c->type == COLUMN_LONG || c->type == COLUMN_LONGLONG || c->type == COLUMN_FLOAT ||
	       c->type == COLUMN_DOUBLE || c->type == COLUMN_YEAR;
}

static bool is_in_key(const struct mirror_table *t, size_t column)
{
	for (size_t k = 0; k < t->key_count; k++) {
		if (t->key[k] == column)
			return true;
	}
	return false;
}

/* Are values that were written of the one column values of the other, as they stand? */
static bool holds(const struct column *is, const struct column *was)
{
	struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	struct schema *schema = NULL;
	bool same;

	row_schema_column(was, &text);
	same = (column_is_character(is) && was->type == COLUMN_NEWDECIMAL) ||
	       schema_parse(buf_slice(&text), &schema, &ignored) < 0 ||
	       row_schema_holds(is, schema);
	schema_free(schema);
	buf_done(&text);
	return same;
}

/* A value of another type than its column has now is printed, where it is a number that became
 * text; else it is NULL until the row comes with the new type, which the reconciling copy behind
 * the ALTER brings (a column of the key keeps it: the row must be found). */
static void find_converted(struct mirror_plan *p, const char *text)
{
	const struct mirror_table *t = p->rows->table;
	struct err ignored = ERR_INIT;
	struct shape *was;

	if (t->shape == NULL ||
	    row_schema_shape(slice_str(text), t->db, t->table, &was, &ignored) < 0)
		return;
	for (size_t i = 0; i < t->column_count; i++) {
		const struct column *is = t->columns[i].of,
				    *c = is != NULL ? column_named(was, is->name) : NULL;

		if (c == NULL)
			continue;
		if (column_is_character(is) && is_number(c)) {
			if (p->print == NULL)
				p->print = xcalloc(t->column_count + 1, sizeof(*p->print));
			p->print[i] = true;
		} else if (!holds(is, c) && !is_in_key(t, i)) {
			p->before[i] = p->after[i] = &mirror_null;
		}
	}
	shape_unref(was);
}

static int compile(struct mirror *m, const struct handlers_record *record,
		   struct mirror_plan **ret_plan, struct err *e)
{
	struct mirror_plan *p = NULL;
	struct schema *schema = NULL;
	const char *text;
	int rc = -1;

	if (m->options.schema(m->options.context, record->schema_id, &text, e) < 0 ||
	    schema_parse(slice_str(text), &schema, e) < 0)
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->topic = record->topic;
	p->schema_id = record->schema_id;
	p->rows = &m->rows[record->topic];
	p->exact_text.kind = VALUE_NULL;
	if (decode_plan_new(schema, &p->decode, e) < 0)
		goto out;
	p->values = xcalloc(decode_leaf_count(p->decode) + 1, sizeof(*p->values));
	p->op = decode_leaf_find(p->decode, "op");
	p->seq = decode_leaf_find(p->decode, "source.seq");
	p->absent = decode_leaf_find(p->decode, "absent");
	p->exact = decode_leaf_find(p->decode, "exact");
	p->parked = decode_leaf_find(p->decode, "parked");
	p->before = join(p, "before.", &p->before_image);
	p->after = join(p, "after.", &p->after_image);
	find_converted(p, text);
	if (p->op < 0 || p->seq < 0)
		err_data(e, "a record that is no change of a row");
	else if (decode_run(p->decode, record->value, &m->scratch, p->values, e) == 0)
		rc = check_shape(m, p, text, e);
out:
	schema_free(schema);
	if (rc == 0)
		*ret_plan = p;
	else
		plan_free(p);
	return rc;
}

static void plan_forget(struct mirror *m, struct mirror_plan *p)
{
	for (size_t i = 0; i < m->plan_count; i++) {
		if (m->plans[i] == p)
			m->plans[i--] = m->plans[--m->plan_count];
	}
	if (m->last == p)
		m->last = NULL;
	plan_free(p);
}

int mirror_plan_for(struct mirror *m, const struct handlers_record *record,
		    struct mirror_plan **ret_plan, struct err *e)
{
	struct mirror_plan *p = m->last;

	if (p == NULL || p->schema_id != record->schema_id || p->topic != record->topic)
		p = NULL;
	for (size_t i = 0; i < m->plan_count && p == NULL; i++) {
		if (m->plans[i]->schema_id == record->schema_id &&
		    m->plans[i]->topic == record->topic)
			p = m->plans[i];
	}
	if (p != NULL && p->passes && m->rows[p->topic].schema_id != p->schema_id) {
		plan_forget(m, p); /* the columns that had gone may be there again */
		p = NULL;
	}
	m->rows[record->topic].schema_id = record->schema_id;
	if (p == NULL) {
		if (compile(m, record, &p, e) < 0)
			return -1;
		m->plans = xrealloc(m->plans, (m->plan_count + 1) * sizeof(struct mirror_plan *));
		m->plans[m->plan_count++] = p;
	}
	*ret_plan = m->last = p;
	return 0;
}

void mirror_plans_forget(struct mirror *m)
{
	for (size_t i = 0; i < m->plan_count; i++)
		plan_free(m->plans[i]);
	free(m->plans);
	m->plans = NULL;
	m->plan_count = 0;
	m->last = NULL;
}

void mirror_plans_look_back(struct mirror *m)
{
	for (size_t i = 0; i < m->plan_count; i++) {
		const struct mirror_plan *p = m->plans[i];
		struct err ignored = ERR_INIT;
		const char *text;

		if (!p->other || m->rows[p->topic].schema_id != p->schema_id ||
		    m->options.schema(m->options.context, p->schema_id, &text, &ignored) < 0 ||
		    !is_outgrown(m, p, text))
			continue;
		note_shape(m, p->topic, text, p->values[p->seq].i);
		m->wants = KIND_VERSION;
		return;
	}
}
