/* mirror_beside.c - rows with something beside them, which is rare and takes slower ways.
 *
 * `absent` (columns that the image lacks) makes an image with gaps. `exact` (values that their Avro
 * type can't hold) is read by SQLite's JSON functions. A record of when a column that holds text
 * now was a number gets the text that the server made of it: the rows that an ALTER TABLE converts
 * itself may never be delivered again. */
#include "projections/apply/mirror_plan.h"

#include "core/base/mem.h"
#include "core/value/real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool mirror_is_special(const struct mirror_plan *p)
{
	return p->print != NULL || mirror_is_text(p, p->absent) || mirror_is_text(p, p->exact);
}

int mirror_apply_special(struct mirror *m, struct mirror_plan *p, enum mirror_op op, struct err *e)
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
	if (mirror_is_text(p, p->absent)) {
		make_gaps(p, "before.", before);
		make_gaps(p, "after.", after);
	}
	if (mirror_is_text(p, p->exact)) {
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
	was = mirror_image_of(p, p->before_image, before);
	is = mirror_image_of(p, p->after_image, after);
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
