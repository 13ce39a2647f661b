/* view_case_expect.c - expected rows are matched by key first, so that a failure shows which column
 * differs and not only that two rows do. */
#include "projections/apply/view_case_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct rows {
	struct row_copy *items;
	bool *matched;
	size_t count;
};

struct reading {
	struct rows *rows;
	size_t columns;
};

static void add_row(void *arg, const struct value *values)
{
	struct reading *reading = arg;
	struct rows *rows = reading->rows;

	rows->items = xrealloc(rows->items, (rows->count + 1) * sizeof(*rows->items));
	row_copy_init(&rows->items[rows->count++], values, reading->columns);
}

static int read_table(struct case_run *r, const struct view_table *t, struct rows *ret_rows,
		      struct err *e)
{
	struct reading reading = { ret_rows, t->column_count };
	int rc = r->place->rows(r->place->context, t->name, t->columns, t->column_count, add_row,
				&reading, e);

	ret_rows->matched = xcalloc(ret_rows->count + 1, sizeof(bool));
	return rc;
}

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		row_copy_done(&rows->items[i]);
	free(rows->items);
	free(rows->matched);
}

static int column_of(const struct view_table *t, const char *name)
{
	for (size_t i = 0; i < t->column_count; i++) {
		if (strcmp(t->columns[i], name) == 0)
			return (int)i;
	}
	return -1;
}

/* Does the row hold what is expected; only_key: as far as the key goes, and all of the key is
 * given. */
static bool row_fits(const struct view_table *t, const struct row_copy *row,
		     const struct case_fields *want, bool only_key)
{
	if (only_key && t->key_count == 0)
		return false;
	for (size_t i = 0; i < t->key_count && only_key; i++) {
		const struct value *v = case_field(want, t->key[i]);

		if (v == NULL || !value_equal(v, &row->values[column_of(t, t->key[i])]))
			return false;
	}
	for (size_t i = 0; i < want->count && !only_key; i++) {
		if (!value_equal(&want->items[i].value,
				 &row->values[column_of(t, want->items[i].name)]))
			return false;
	}
	return true;
}

static void describe(const struct case_fields *want, struct buf *out)
{
	for (size_t i = 0; i < want->count; i++) {
		buf_add_format(out, "%s%s=", i > 0 ? ", " : "", want->items[i].name);
		value_text(&want->items[i].value, out);
	}
}

static void describe_row(const struct view_table *t, const struct row_copy *row, struct buf *out)
{
	for (size_t i = 0; i < t->column_count; i++) {
		buf_add_format(out, "%s%s=", i > 0 ? ", " : "", t->columns[i]);
		value_text(&row->values[i], out);
	}
}

static void describe_changes(const struct view_table *t, const struct row_copy *row,
			     const struct case_fields *want, struct buf *out)
{
	for (size_t i = 0; i < want->count; i++) {
		const struct value *is = &row->values[column_of(t, want->items[i].name)];

		if (value_equal(&want->items[i].value, is))
			continue;
		buf_add_format(out, "; %s should be ", want->items[i].name);
		value_text(&want->items[i].value, out);
		buf_add_str(out, ", is ");
		value_text(is, out);
	}
}

static void match_one(struct case_run *r, const struct view_table *t, struct rows *rows,
		      const struct case_fields *want)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < want->count; i++) {
		if (column_of(t, want->items[i].name) < 0) {
			case_note(r, "table %s has no column %s", t->name, want->items[i].name);
			return;
		}
	}
	for (int only_key = 0; only_key < 2; only_key++) {
		for (size_t i = 0; i < rows->count; i++) {
			if (rows->matched[i] || !row_fits(t, &rows->items[i], want, only_key == 1))
				continue;
			rows->matched[i] = true;
			if (only_key == 1) {
				describe_row(t, &rows->items[i], &text);
				describe_changes(t, &rows->items[i], want, &text);
				case_note(r, "~ %s: %s", t->name, buf_cstr(&text));
				buf_done(&text);
			}
			return;
		}
	}
	describe(want, &text);
	case_note(r, "- %s: expected row is missing: %s", t->name, buf_cstr(&text));
	buf_done(&text);
}

/* Each expected row is matched with one row of the table; rows[] of the line, one after the other.
 */
static int match_all(struct case_run *r, const char *line, const struct view_table *t,
		     struct rows *rows, struct err *e)
{
	struct value text = { .kind = VALUE_TEXT, .bytes = slice_str(line) };
	struct sql_statement *s;
	int rc;

	if (sql_prepare(r->json, "case", "SELECT value FROM json_each(?1, '$.rows')", NULL, &s, e) <
	    0)
		return -1;
	rc = sql_bind(s, 1, &text, e);
	while (rc == 0 && (rc = sql_step(s, e)) == 1) {
		struct case_fields want = { 0 };
		struct value row;
		char *object;

		sql_column(s, 0, &row);
		object = xstrndup((const char *)row.bytes.data, row.bytes.size);
		rc = case_leaves(r, object, "$", "", &want, e);
		if (rc == 0)
			match_one(r, t, rows, &want);
		case_fields_done(&want);
		free(object);
	}
	sql_finalize(s);
	return rc;
}

static int expect_rows(struct case_run *r, const char *line, const struct view_table *t,
		       struct err *e)
{
	struct rows rows = { 0 };
	struct buf text = BUF_INIT;
	int rc;

	rc = read_table(r, t, &rows, e) < 0 ? -1 : match_all(r, line, t, &rows, e);
	for (size_t i = 0; rc == 0 && i < rows.count; i++) {
		if (rows.matched[i])
			continue;
		buf_reset(&text);
		describe_row(t, &rows.items[i], &text);
		case_note(r, "+ %s: row that is not expected: %s", t->name, buf_cstr(&text));
	}
	buf_done(&text);
	rows_done(&rows);
	return rc;
}

/* An SQL view of tables.sql, which services query, may be expected too: its columns are asked for;
 * it has no key. */
int case_expect(struct case_run *r, const char *line, const char *name, struct err *e)
{
	const struct view_table *t = view_table(r->view, name);
	struct view_table made = { .name = (char *)(uintptr_t)name };
	int rc;

	if (t != NULL)
		return expect_rows(r, line, t, e);
	rc = r->place->columns(r->place->context, name, &made.columns, &made.column_count, e);
	if (rc == 0 && made.column_count == 0)
		rc = err_config(e, "no table %s in the view", name);
	if (rc == 0)
		rc = expect_rows(r, line, &made, e);
	view_names_free(made.columns, made.column_count);
	return rc;
}
