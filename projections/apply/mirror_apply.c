/* mirror_apply.c - records of row topics for mirrored tables: one plan per schema that they were
 * written with, from leaves to columns.
 *
 * A column that a record's schema doesn't have is NULL: the record is older than the table. Whether
 * it is newer is seen when a plan is made, from the shape in the schema's text. While a version is
 * built all records are history, and lead to the table as it was when the build began; behind that
 * a column that came is asked for (kind_columns), and a table that has become another one ends the
 * version.
 *
 * A record of when a column that holds text now was a number gets the text that the server made of
 * it: the rows that an ALTER TABLE converts itself may never be delivered again.
 *
 * What a record says beside the row is rare, and takes slower ways: `absent` (columns that the
 * image lacks) makes an image with gaps; `exact` (values that their Avro type can't hold) is read
 * by SQLite's JSON functions. */
#include "projections/apply/kind_priv.h"

#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "core/value/real.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct mirror_plan {
	size_t topic;
	int32_t schema_id;
	struct decode_plan *decode;
	struct value *values; /* one per leaf */
	int op, absent, exact, parked, seq;
	struct mirror_rows *rows;
	const struct value **before, **after; /* per column, into values */
	struct value exact_text;              /* of MIRROR_EXACT; NULL but in rows that have one */
	int before_image, after_image;        /* a leaf of each: VALUE_ABSENT, no image */
	int64_t cleared_seq;
	bool *print; /* per column: a number that is text by now; NULL: none is */
};

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

/* ---- plans ----------------------------------------------------------------------------------- */

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

static void want_columns(struct mirror *m, size_t topic, const struct shape *now, const char *text,
			 struct err *e)
{
	const struct mirror_table *t = m->rows[topic].table;

	buf_reset(&m->add_sql);
	buf_reset(&m->add_file);
	buf_reset(&m->add_text);
	mirror_add_columns_sql(m->view, t, now, &m->add_sql);
	buf_add_format(&m->add_file, MIRROR_SHAPES "%s.avsc", m->view->inputs[topic]);
	buf_add_str(&m->add_text, text);
	m->wants = KIND_COLUMNS;
	err_retry(e, "table %s.%s has new columns", t->db, t->table);
}

static void want_version(struct mirror *m, const struct mirror_table *t, struct buf *why,
			 struct err *e)
{
	m->wants = KIND_VERSION;
	err_config(e, "table %s.%s has become another one: %s", t->db, t->table, buf_cstr(why));
	err_hint(e,
		 "A version with the new table is built by itself; `millrace replay %s` does "
		 "it by hand.",
		 m->view->name);
}

/* Does the table fit what the record was written from? */
static int check_shape(struct mirror *m, size_t topic, const char *text, struct err *e)
{
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
	if (change == MIRROR_OTHER && m->built) {
		want_version(m, t, &why, e);
		rc = -1;
	} else if (change == MIRROR_ADDED && m->view->kind == VIEW_MIRROR) {
		want_columns(m, topic, now, text, e);
		rc = -1;
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

static void find_printed(struct mirror_plan *p, const char *text)
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

		if (c == NULL || !column_is_character(is) || !is_number(c))
			continue;
		if (p->print == NULL)
			p->print = xcalloc(t->column_count + 1, sizeof(*p->print));
		p->print[i] = true;
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
	    check_shape(m, record->topic, text, e) < 0 ||
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
	find_printed(p, text);
	if (p->op < 0)
		err_data(e, "a record that is no change of a row");
	else
		rc = 0;
out:
	schema_free(schema);
	if (rc == 0)
		*ret_plan = p;
	else
		plan_free(p);
	return rc;
}

static int plan_for(struct mirror *m, const struct handlers_record *record,
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
	if (p == NULL) {
		if (compile(m, record, &p, e) < 0)
			return -1;
		m->plans = xrealloc(m->plans, (m->plan_count + 1) * sizeof(struct mirror_plan *));
		m->plans[m->plan_count++] = p;
	}
	*ret_plan = m->last = p;
	return 0;
}

/* ---- what stands beside a row ---------------------------------------------------------------- */

/* Is `image` + field of `leaf` among the words of a comma-joined list? */
static bool list_holds(struct slice list, const char *image, const char *leaf)
{
	size_t prefix = strlen(image), field = strcspn(leaf, ".");
	const char *at = (const char *)list.data, *end = at + list.size;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t word = (size_t)((comma != NULL ? comma : end) - at);

		if (word == prefix + field && memcmp(at, image, prefix) == 0 &&
		    memcmp(at + prefix, leaf, field) == 0)
			return true;
		at += word + 1;
	}
	return false;
}

/* The image without what is absent. */
static void make_gaps(const struct mirror_plan *p, const char *image, const struct value **values)
{
	const struct mirror_table *t = p->rows->table;
	struct slice list = p->values[p->absent].bytes;

	for (size_t i = 0; i < t->column_count; i++) {
		if (values[i] != NULL && values[i]->kind == VALUE_NULL &&
		    t->columns[i].leaf[0] != '\0' && list_holds(list, image, t->columns[i].leaf))
			values[i] = NULL;
	}
}

static int open_json(struct mirror *m, const char *sql, const struct mirror_plan *p,
		     struct sql_statement **ret_statement, struct err *e)
{
	if (m->json == NULL && sql_open_db(NULL, SQL_OPEN_MEMORY, &m->json, e) < 0)
		return -1;
	if (sql_prepare(m->json, "exact", sql, NULL, ret_statement, e) < 0)
		return -1;
	if (sql_bind(*ret_statement, 1, &p->values[p->exact], e) == 0)
		return 0;
	sql_finalize(*ret_statement);
	return -1;
}

/* Where columns take anything, the exact text stands in them. `texts` are per column. */
static int put_exact(struct mirror *m, const struct mirror_plan *p, const char *image,
		     const struct value **values, struct value *texts, struct err *e)
{
	const struct mirror_table *t = p->rows->table;
	struct sql_statement *s;
	size_t prefix = strlen(image);
	int rc;

	if (open_json(m, "SELECT key, value FROM json_each(?1)", p, &s, e) < 0)
		return -1;
	while ((rc = sql_step(s, e)) == 1) {
		struct value key, text;

		sql_column(s, 0, &key);
		sql_column(s, 1, &text);
		for (size_t i = 0; i < t->column_count; i++) {
			if (key.bytes.size != prefix + strlen(t->columns[i].leaf) ||
			    memcmp(key.bytes.data, image, prefix) != 0 ||
			    memcmp(key.bytes.data + prefix, t->columns[i].leaf,
				   key.bytes.size - prefix) != 0)
				continue;
			texts[i] = text;
			texts[i].bytes.data = (const uint8_t *)xstrndup(
				(const char *)text.bytes.data, text.bytes.size);
			values[i] = &texts[i];
		}
	}
	sql_finalize(s);
	return rc;
}

/* Where they don't, it stands beside them: the after-image's part of the map. */
static int put_exact_beside(struct mirror *m, struct mirror_plan *p, struct err *e)
{
	struct sql_statement *s;
	struct value text;
	int rc;

	if (open_json(m,
		      "SELECT json_group_object(substr(key, 7), value) FROM json_each(?1) WHERE "
		      "key LIKE 'after.%' HAVING count(*) > 0",
		      p, &s, e) < 0)
		return -1;
	rc = sql_step(s, e);
	if (rc == 1) {
		sql_column(s, 0, &text);
		buf_reset(&m->exact);
		buf_add_slice(&m->exact, text.bytes);
		p->exact_text = (struct value){ .kind = VALUE_TEXT, .bytes = buf_slice(&m->exact) };
	}
	sql_finalize(s);
	return rc < 0 ? -1 : 0;
}

/* Numbers that are text by now, as CAST(... AS CHAR) prints them. */
static void print_numbers(const struct mirror_plan *p, const struct value **values,
			  struct value *texts)
{
	for (size_t i = 0; i < p->rows->table->column_count; i++) {
		const struct value *v = values[i];
		char text[REAL_TEXT_MAX + 1];
		size_t size;

		if (!p->print[i] || v == NULL || (v->kind != VALUE_INT && v->kind != VALUE_DOUBLE))
			continue;
		if (v->kind == VALUE_INT)
			size = (size_t)snprintf(text, sizeof(text), "%lld", (long long)v->i);
		else
			size = real_text(v->d, text);
		texts[i].kind = VALUE_TEXT;
		texts[i].bytes = slice_of(xstrndup(text, size), size);
		values[i] = &texts[i];
	}
}

/* ---- applying -------------------------------------------------------------------------------- */

static bool is_text(const struct mirror_plan *p, int leaf)
{
	return leaf >= 0 && p->values[leaf].kind == VALUE_TEXT;
}

static struct mirror_image image_of(const struct mirror_plan *p, int leaf,
				    const struct value **values)
{
	bool none = leaf < 0 || p->values[leaf].kind == VALUE_ABSENT;

	return (struct mirror_image){ none ? NULL : values };
}

/* A row with something beside it. */
static int apply_special(struct mirror *m, struct mirror_plan *p, enum mirror_op op, struct err *e)
{
	size_t n = p->rows->table->column_count;
	const struct value **before = xcalloc(n + 1, sizeof(*before)),
			   **after = xcalloc(n + 1, sizeof(*after));
	struct value *texts = xcalloc(2 * n + 1, sizeof(*texts));
	bool loose = dialect_of(m->view->store)->loose;
	struct mirror_image was, is;
	int rc = 0;

	memcpy(before, p->before, n * sizeof(*before));
	memcpy(after, p->after, n * sizeof(*after));
	if (is_text(p, p->absent)) {
		make_gaps(p, "before.", before);
		make_gaps(p, "after.", after);
	}
	if (is_text(p, p->exact)) {
		m->counts.inexact++;
		rc = !loose ? put_exact_beside(m, p, e)
		     : put_exact(m, p, "before.", before, texts, e) < 0
			     ? -1
			     : put_exact(m, p, "after.", after, texts + n, e);
	}
	if (p->print != NULL) {
		print_numbers(p, before, texts);
		print_numbers(p, after, texts + n);
	}
	was = image_of(p, p->before_image, before);
	is = image_of(p, p->after_image, after);
	if (rc == 0)
		rc = mirror_row(m, p->rows, op, &was, &is, e);
	p->exact_text.kind = VALUE_NULL;
	for (size_t i = 0; i < 2 * n; i++)
		free((void *)(uintptr_t)texts[i].bytes.data);
	free(texts);
	free(before);
	free(after);
	return rc;
}

static int operation(const struct value *op, enum mirror_op *ret_op, struct err *e)
{
	if (op->kind != VALUE_TEXT || op->bytes.size != 1)
		return err_data(e, "row record without an operation");
	switch (op->bytes.data[0]) {
	case 'c':
	case 'r':
		*ret_op = MIRROR_PUT;
		return 0;
	case 'u':
		*ret_op = MIRROR_CHANGE;
		return 0;
	case 'd':
		*ret_op = MIRROR_REMOVE;
		return 0;
	case 't':
		*ret_op = MIRROR_CLEAR;
		return 0;
	default:
		return err_data(e, "row record with operation '%c', which a view can't apply",
				op->bytes.data[0]);
	}
}

static int apply_decoded(struct mirror *m, struct mirror_plan *p, struct err *e)
{
	struct mirror_image before = image_of(p, p->before_image, p->before),
			    after = image_of(p, p->after_image, p->after);
	int64_t seq = p->seq >= 0 ? p->values[p->seq].i : 0;
	enum mirror_op op = MIRROR_PUT;
	int rc;

	if (operation(&p->values[p->op], &op, e) < 0)
		return -1;
	if (op == MIRROR_CLEAR && seq != 0 && seq == p->cleared_seq)
		return 0; /* the same record, in another partition */
	if (op == MIRROR_CLEAR) {
		p->cleared_seq = seq;
		if (m->options.truncate != NULL &&
		    (rc = m->options.truncate(m->options.context, p->topic, seq, e)) <= 0)
			return rc;
	}
	m->counts.applied++;
	if (op != MIRROR_CLEAR &&
	    (p->print != NULL || is_text(p, p->absent) || is_text(p, p->exact)))
		return apply_special(m, p, op, e);
	return mirror_row(m, p->rows, op, &before, &after, e);
}

static int apply(struct mirror *m, const struct handlers_record *record, bool whole, struct err *e);

/* The record just decoded is a stand-in: what it stands for takes its place. */
static int apply_parked(struct mirror *m, const struct handlers_record *record,
			const struct mirror_plan *p, struct err *e)
{
	int64_t seq = p->seq >= 0 ? p->values[p->seq].i : 0, whole_seq;
	struct handlers_record whole = { .topic = record->topic };
	struct buf value = BUF_INIT;
	int rc = -1;

	if (m->options.parked == NULL)
		return err_data(e, "a stand-in, and nobody to ask for the whole record");
	if (m->options.parked(m->options.context, p->values[p->parked].bytes, seq, &value, e) < 0 ||
	    decode_wire_id(buf_slice(&value), &whole.schema_id, e) < 0 ||
	    decode_seq(buf_slice(&value), &whole_seq, e) < 0) {
		buf_done(&value);
		return -1;
	}
	if (whole_seq != seq) {
		err_data(e, "the stand-in has seq %lld, its parked record %lld", (long long)seq,
			 (long long)whole_seq);
	} else {
		whole.value =
			slice_of(value.data + DECODE_WIRE_HEADER, value.size - DECODE_WIRE_HEADER);
		rc = apply(m, &whole, true, e);
		if (rc == 0) /* values point into what is freed now */
			rc = m->target->ops->flush(m->target, e);
	}
	buf_done(&value);
	return rc;
}

static int apply(struct mirror *m, const struct handlers_record *record, bool whole, struct err *e)
{
	struct mirror_plan *p;

	if (plan_for(m, record, &p, e) < 0 ||
	    decode_run(p->decode, record->value, &m->scratch, p->values, e) < 0)
		return -1;
	if (is_text(p, p->parked))
		return whole ? err_data(e, "a parked record that is itself a stand-in")
			     : apply_parked(m, record, p, e);
	return apply_decoded(m, p, e);
}

int mirror_empties(struct mirror *m, const struct handlers_record *record, struct err *e)
{
	enum mirror_op op = MIRROR_PUT;
	struct mirror_plan *p;

	if (record->value.data == NULL)
		return 0;
	if (plan_for(m, record, &p, e) < 0 ||
	    decode_run(p->decode, record->value, &m->scratch, p->values, e) < 0 ||
	    operation(&p->values[p->op], &op, e) < 0)
		return -1;
	return op == MIRROR_CLEAR;
}

int mirror_apply(struct mirror *m, const struct handlers_record *record, struct err *e)
{
	return record->value.data == NULL ? 0 : apply(m, record, false, e);
}

/* ---- values by name -------------------------------------------------------------------------- */

static struct mirror_rows *rows_named(struct mirror *m, const char *name)
{
	for (size_t i = 0; i < m->view->mirror_count; i++) {
		const struct mirror_table *t = m->rows[i].table;
		size_t db = strlen(t->db);

		if (strncmp(name, t->db, db) == 0 && name[db] == '.' &&
		    strcmp(name + db + 1, t->table) == 0)
			return &m->rows[i];
	}
	return NULL;
}

/* Returns whether any field is of the image. */
static bool take_fields(const struct mirror_rows *r, const char *image,
			const struct handlers_field *fields, size_t count,
			const struct value **values)
{
	bool any = false;

	for (size_t f = 0; f < count; f++) {
		if (strncmp(fields[f].name, image, strlen(image)) != 0)
			continue;
		any = true;
		for (size_t i = 0; i < r->table->column_count; i++) {
			if (strcmp(fields[f].name + strlen(image), r->table->columns[i].leaf) == 0)
				values[i] = &fields[f].value;
		}
	}
	return any;
}

int mirror_run_fields(struct mirror *m, enum view_on on, const char *name,
		      const struct handlers_field *fields, size_t count, bool *ret_found,
		      struct err *e)
{
	static const enum mirror_op ops[] = { [VIEW_ON_EVENT] = MIRROR_PUT,
					      [VIEW_ON_INSERT] = MIRROR_PUT,
					      [VIEW_ON_UPDATE] = MIRROR_CHANGE,
					      [VIEW_ON_DELETE] = MIRROR_REMOVE,
					      [VIEW_ON_TRUNCATE] = MIRROR_CLEAR };
	struct mirror_rows *r = on != VIEW_ON_EVENT ? rows_named(m, name) : NULL;
	struct mirror_image before = { NULL }, after = { NULL };
	const struct value **was, **is;
	size_t n;
	int rc;

	*ret_found = r != NULL;
	if (r == NULL)
		return 0;
	n = r->table->column_count;
	was = xcalloc(n + 1, sizeof(*was));
	is = xcalloc(n + 1, sizeof(*is));
	for (size_t i = 0; i < n && on == VIEW_ON_INSERT; i++)
		is[i] = &mirror_null; /* a case needn't write out every column */
	if (take_fields(r, "before.", fields, count, was))
		before.values = was;
	if (take_fields(r, "after.", fields, count, is))
		after.values = is;
	rc = mirror_row(m, r, ops[on], &before, &after, e);
	free(was);
	free(is);
	return rc;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void forget_plans(struct mirror *m)
{
	for (size_t i = 0; i < m->plan_count; i++)
		plan_free(m->plans[i]);
	free(m->plans);
	m->plans = NULL;
	m->plan_count = 0;
	m->last = NULL;
}

int mirror_built(struct mirror *m, struct err *e)
{
	m->built = true;
	forget_plans(m); /* what was history is now news */
	return mirror_track(m, e);
}

int mirror_open(const struct kind_options *options, struct mirror **ret_mirror, struct err *e)
{
	struct mirror *m = xcalloc(1, sizeof(*m));

	m->options = options->handlers;
	m->view = options->handlers.view;
	m->target = options->handlers.target;
	if (mirror_prepare(m, e) < 0 || (options->built && mirror_built(m, e) < 0)) {
		mirror_close(m);
		return -1;
	}
	*ret_mirror = m;
	return 0;
}

void mirror_close(struct mirror *m)
{
	if (m == NULL)
		return;
	mirror_finalize(m);
	forget_plans(m);
	sql_close(m->json);
	buf_done(&m->scratch);
	buf_done(&m->exact);
	buf_done(&m->add_sql);
	buf_done(&m->add_file);
	buf_done(&m->add_text);
	free(m);
}
