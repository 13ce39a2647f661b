/* view_case.c - runs cases/ *.jsonl against the view's handlers, in a place that has its tables.
 *
 * Lines are taken apart by SQLite's own JSON functions, so that no JSON library is needed here and
 * numbers keep the types that the tables will see. Expected rows are matched by key first, so that
 * a failure shows which column differs and not only that two rows do. */
#include "projections/apply/view_case.h"

#include "core/base/mem.h"
#include "projections/apply/kind.h"
#include "projections/apply/row_copy.h"
#include "projections/apply/view_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct fields {
	struct handlers_field *items;
	struct row_copy *copies; /* one value each */
	size_t count;
};

struct run {
	const struct view *view;
	const char *file;
	struct sql_db *json; /* takes lines apart */
	const struct view_case_place *place;
	struct kind *kind;
	char *name;
	int line, case_line;
	int64_t seq;
	bool begun;
	struct buf failure; /* what went wrong in this case */
	view_case_fn report;
	void *context;
	struct view_case_counts counts;
};

/* ---- taking lines apart ---------------------------------------------------------------------- */

static void field_add(struct fields *f, const char *name, size_t size, const struct value *v)
{
	f->items = xrealloc(f->items, (f->count + 1) * sizeof(*f->items));
	f->copies = xrealloc(f->copies, (f->count + 1) * sizeof(*f->copies));
	row_copy_init(&f->copies[f->count], v, 1);
	f->items[f->count].name = xstrndup(name, size);
	f->items[f->count].value = f->copies[f->count].values[0];
	f->count++;
}

static void fields_done(struct fields *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free((char *)(uintptr_t)f->items[i].name);
		row_copy_done(&f->copies[i]);
	}
	free(f->items);
	free(f->copies);
	*f = (struct fields){ 0 };
}

/* Leaves of the object at `path` of the line; arrays come as their elements joined by ',', as
 * decode plans give them. */
static int read_leaves(struct run *r, const char *line, const char *path, const char *prefix,
		       struct fields *f, struct err *e)
{
	struct value text = { .kind = VALUE_TEXT, .bytes = slice_str(line) };
	struct value root = { .kind = VALUE_TEXT, .bytes = slice_str(path) };
	struct sql_statement *s;
	int rc;

	if (sql_prepare(
		    r->json, "case",
		    "SELECT replace(substr(t.fullkey, length(?2) + 2), '\"', ''), CASE t.type WHEN "
		    "'array' THEN (SELECT group_concat(value) FROM json_each(?1, t.fullkey)) ELSE "
		    "t.atom END FROM "
		    "json_tree(?1, ?2) t WHERE t.type <> 'object' AND t.fullkey NOT LIKE '%[%'",
		    NULL, &s, e) < 0)
		return -1;
	rc = sql_bind(s, 1, &text, e) < 0 || sql_bind(s, 2, &root, e) < 0 ? -1 : 0;
	while (rc == 0 && (rc = sql_step(s, e)) == 1) {
		struct value name, v;
		char *full;

		sql_column(s, 0, &name);
		sql_column(s, 1, &v);
		full = xasprintf("%s%.*s", prefix, (int)name.bytes.size,
				 (const char *)name.bytes.data);
		field_add(f, full, strlen(full), &v);
		free(full);
		rc = 0;
	}
	sql_finalize(s);
	return rc;
}

/* Text (or JSON text) at a path of the line, malloced; NULL when it isn't there. */
static int read_text(struct run *r, const char *line, const char *path, char **ret_text,
		     struct err *e)
{
	struct value text = { .kind = VALUE_TEXT, .bytes = slice_str(line) };
	struct value at = { .kind = VALUE_TEXT, .bytes = slice_str(path) };
	struct sql_statement *s;
	int rc;

	if (sql_prepare(r->json, "case", "SELECT CAST(json_extract(?1, ?2) AS TEXT)", NULL, &s, e) <
	    0)
		return -1;
	rc = sql_bind(s, 1, &text, e) < 0 || sql_bind(s, 2, &at, e) < 0 ? -1 : sql_step(s, e);
	*ret_text = NULL;
	if (rc == 1) {
		struct value v;

		sql_column(s, 0, &v);
		if (v.kind == VALUE_TEXT)
			*ret_text = xstrndup((const char *)v.bytes.data, v.bytes.size);
	}
	sql_finalize(s);
	return rc < 0 ? -1 : 0;
}

static const struct value *field(const struct fields *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->items[i].name, name) == 0)
			return &f->items[i].value;
	}
	return NULL;
}

/* ---- begin and end of a case ----------------------------------------------------------------- */

static void end_case(struct run *r)
{
	struct view_case_result result = {
		.file = r->file,
		.line = r->case_line,
		.name = r->name,
		.ok = r->failure.size == 0,
	};

	if (!r->begun)
		return;
	result.text = buf_cstr(&r->failure);
	if (result.ok)
		r->counts.passed++;
	else
		r->counts.failed++;
	r->report(r->context, &result);
	kind_close(r->kind);
	r->kind = NULL;
	r->place->end(r->place->context);
	r->begun = false;
	buf_reset(&r->failure);
	free(r->name);
	r->name = NULL;
}

static int begin_case(struct run *r, const char *name, struct err *e)
{
	struct kind_options k = { .handlers = { .view = r->view }, .built = true };
	const struct view_case_place *place = r->place;

	end_case(r);
	if (place->begin(place->context, r->view, &k.handlers.target, e) < 0 ||
	    kind_open(&k, &r->kind, e) < 0) {
		place->end(place->context);
		return -1;
	}
	r->name = xstrdup(name);
	r->case_line = r->line;
	r->seq = 0;
	r->begun = true;
	return 0;
}

static void note(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct run *r, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_add_format(&r->failure, "%s%s:%d: %s", r->failure.size > 0 ? "\n" : "", r->file,
		       r->line, text);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* seq, gtid and at of the record: the line's own, else counted. */
static void add_always(struct run *r, const struct fields *own, struct fields *f)
{
	const struct value *seq = field(own, "seq"), *gtid = field(own, "gtid"),
			   *at = field(own, "at");
	char text[40];
	struct value v = { .kind = VALUE_INT };

	r->seq = seq != NULL && seq->kind == VALUE_INT ? seq->i : r->seq + 1;
	v.i = r->seq;

	field_add(f, "meta.seq", 8, seq != NULL ? seq : &v);
	v.i = r->seq * 1000000;
	field_add(f, "meta.at", 7, at != NULL ? at : &v);
	snprintf(text, sizeof(text), "0-1-%lld", (long long)r->seq);
	v = (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(text) };
	field_add(f, "meta.gtid", 9, gtid != NULL ? gtid : &v);
}

/* What the handler refuses fails the case; it doesn't end the run. */
static void apply(struct run *r, enum view_on on, const char *name, const struct fields *own,
		  struct fields *f)
{
	const struct view_case_place *place = r->place;
	struct err refused = ERR_INIT, ignored = ERR_INIT;
	bool found = false, ok;

	add_always(r, own, f);
	if (place->event_begin(place->context, &refused) < 0) {
		note(r, "%s", refused.msg);
		return;
	}
	ok = kind_run_fields(r->kind, on, name, f->items, f->count, &found, &refused) == 0 &&
	     kind_settle(r->kind, &refused) == 0;
	if (place->event_end(place->context, ok, ok ? &refused : &ignored) < 0)
		ok = false;
	if (!ok)
		note(r, "%s", refused.msg);
	else if (!found && r->view->kind != VIEW_SQL)
		note(r, "%s is no input of the view", name);
	else if (!found)
		note(r, "no handler for %s", name);
}

static int line_event(struct run *r, const char *line, const char *name, struct err *e)
{
	struct fields own = { 0 }, f = { 0 };
	int rc = -1;

	if (read_leaves(r, line, "$", "", &own, e) == 0 &&
	    read_leaves(r, line, "$.value", "", &f, e) == 0) {
		apply(r, VIEW_ON_EVENT, name, &own, &f);
		rc = 0;
	}
	fields_done(&own);
	fields_done(&f);
	return rc;
}

static int line_row(struct run *r, const char *line, const char *name, struct err *e)
{
	struct fields own = { 0 }, f = { 0 };
	const struct value *op;
	int rc = -1;

	if (read_leaves(r, line, "$", "", &own, e) < 0 ||
	    read_leaves(r, line, "$.before", "before.", &f, e) < 0 ||
	    read_leaves(r, line, "$.after", "after.", &f, e) < 0)
		goto out;
	op = field(&own, "op");
	if (op == NULL || op->kind != VALUE_TEXT || op->bytes.size != 1 ||
	    strchr("crudt", op->bytes.data[0]) == NULL) {
		err_config(e, "\"op\" must be c, r, u, d or t");
		goto out;
	}
	apply(r,
	      op->bytes.data[0] == 'u'   ? VIEW_ON_UPDATE
	      : op->bytes.data[0] == 'd' ? VIEW_ON_DELETE
	      : op->bytes.data[0] == 't' ? VIEW_ON_TRUNCATE
					 : VIEW_ON_INSERT,
	      name, &own, &f);
	rc = 0;
out:
	fields_done(&own);
	fields_done(&f);
	return rc;
}

/* ---- expectations ---------------------------------------------------------------------------- */

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

static int read_table(struct run *r, const struct view_table *t, struct rows *ret_rows,
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
		     const struct fields *want, bool only_key)
{
	if (only_key && t->key_count == 0)
		return false;
	for (size_t i = 0; i < t->key_count && only_key; i++) {
		const struct value *v = field(want, t->key[i]);

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

static void describe(const struct fields *want, struct buf *out)
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
			     const struct fields *want, struct buf *out)
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

static void match_one(struct run *r, const struct view_table *t, struct rows *rows,
		      const struct fields *want)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < want->count; i++) {
		if (column_of(t, want->items[i].name) < 0) {
			note(r, "table %s has no column %s", t->name, want->items[i].name);
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
				note(r, "~ %s: %s", t->name, buf_cstr(&text));
				buf_done(&text);
			}
			return;
		}
	}
	describe(want, &text);
	note(r, "- %s: expected row is missing: %s", t->name, buf_cstr(&text));
	buf_done(&text);
}

/* Each expected row is matched with one row of the table; rows[] of the line, one after the other.
 */
static int match_all(struct run *r, const char *line, const struct view_table *t, struct rows *rows,
		     struct err *e)
{
	struct value text = { .kind = VALUE_TEXT, .bytes = slice_str(line) };
	struct sql_statement *s;
	int rc;

	if (sql_prepare(r->json, "case", "SELECT value FROM json_each(?1, '$.rows')", NULL, &s, e) <
	    0)
		return -1;
	rc = sql_bind(s, 1, &text, e);
	while (rc == 0 && (rc = sql_step(s, e)) == 1) {
		struct fields want = { 0 };
		struct value row;
		char *object;

		sql_column(s, 0, &row);
		object = xstrndup((const char *)row.bytes.data, row.bytes.size);
		rc = read_leaves(r, object, "$", "", &want, e);
		if (rc == 0)
			match_one(r, t, rows, &want);
		fields_done(&want);
		free(object);
	}
	sql_finalize(s);
	return rc;
}

static int expect_rows(struct run *r, const char *line, const struct view_table *t, struct err *e)
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
		note(r, "+ %s: row that is not expected: %s", t->name, buf_cstr(&text));
	}
	buf_done(&text);
	rows_done(&rows);
	return rc;
}

/* An SQL view of tables.sql, which services query, may be expected too: its columns are asked for;
 * it has no key. */
static int line_expect(struct run *r, const char *line, const char *name, struct err *e)
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

/* ---- files ----------------------------------------------------------------------------------- */

static int one_line(struct run *r, const char *line, struct err *e)
{
	static const struct {
		const char *path;
		int (*run)(struct run *r, const char *line, const char *name, struct err *e);
	} kinds[] = { { "$.event", line_event },
		      { "$.row", line_row },
		      { "$.expect", line_expect } };
	char *name = NULL;
	int rc;

	if (read_text(r, line, "$.case", &name, e) < 0)
		return err_config(e, "not a JSON object");
	if (name != NULL) {
		rc = begin_case(r, name, e);
		free(name);
		return rc;
	}
	if (!r->begun && begin_case(r, "(unnamed)", e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (read_text(r, line, kinds[i].path, &name, e) < 0)
			return -1;
		if (name == NULL)
			continue;
		rc = kinds[i].run(r, line, name, e);
		free(name);
		return rc;
	}
	err_config(e, "neither case, event, row nor expect");
	return err_hint(
		e, "Write {\"event\": NAME, \"value\": {...}} or {\"expect\": TABLE, \"rows\": "
		   "[...]}.");
}

static int one_file(struct run *r, const struct view_file *file, struct err *e)
{
	r->file = file->name;
	r->line = 0;
	for (const char *at = file->text; *at != '\0';) {
		size_t size = strcspn(at, "\n"), blank = strspn(at, " \t\r");
		char *line;
		int rc = 0;

		r->line++;
		line = xstrndup(at, size);
		if (blank < size && at[blank] != '#' && strncmp(at + blank, "//", 2) != 0)
			rc = one_line(r, line, e);
		free(line);
		if (rc < 0)
			return err_wrap(e, "%s/%s:%d", r->view->place, r->file, r->line);
		at += size + (at[size] == '\n');
	}
	end_case(r);
	return 0;
}

/* A view that mirrors tables, with those of cases/tables.sql. */
static int shape(const struct view *v, struct view **ret_view, struct err *e)
{
	const struct view_file *tables = view_file(v, "cases/tables.sql");
	struct view_files files = { 0 };

	if (tables == NULL) {
		err_config(e, "%s/cases/tables.sql: missing", v->place);
		return err_hint(e, "It says what the source's tables look like: CREATE TABLE for "
				   "each that the view reads.");
	}
	for (size_t i = 0; i < v->files.count; i++) {
		if (strncmp(v->files.items[i].name, "shape/", 6) != 0)
			view_files_add(&files, v->files.items[i].name,
				       xstrdup(v->files.items[i].text));
	}
	if (view_from_files(v->name, v->place, &files, ret_view, e) < 0)
		return -1;
	if (view_shape_sql(*ret_view, tables->name, tables->text, e) == 0)
		return 0;
	view_free(*ret_view);
	return -1;
}

static bool is_case(const char *name)
{
	size_t size = strlen(name);

	return strncmp(name, "cases/", 6) == 0 && strcmp(name + size - 6, ".jsonl") == 0;
}

static bool has_cases(const struct view *v)
{
	for (size_t i = 0; i < v->files.count; i++) {
		if (is_case(v->files.items[i].name))
			return true;
	}
	return false;
}

static int run_files(const struct view *v, const struct view_case_place *place, view_case_fn report,
		     void *context, struct view_case_counts *ret_counts, struct err *e)
{
	struct run r = { .view = v, .place = place, .report = report, .context = context };
	int rc = sql_open_db(NULL, SQL_OPEN_MEMORY, &r.json, e);

	for (size_t i = 0; rc == 0 && i < v->files.count; i++) {
		if (is_case(v->files.items[i].name))
			rc = one_file(&r, &v->files.items[i], e);
	}
	free(r.name);
	buf_done(&r.failure);
	kind_close(r.kind);
	if (r.begun)
		place->end(place->context);
	sql_close(r.json);
	if (rc == 0)
		*ret_counts = r.counts;
	return rc;
}

int view_case_run(const struct view *v, const struct view_case_place *place, view_case_fn report,
		  void *context, struct view_case_counts *ret_counts, struct err *e)
{
	struct view_case_place memory = { 0 };
	struct view_case_memory *m;
	struct view *shaped;
	int rc;

	if (v->kind == VIEW_SQL || !has_cases(v))
		return run_files(v, place, report, context, ret_counts, e);
	if (shape(v, &shaped, e) < 0)
		return -1;
	m = view_case_memory_new(&memory); /* wherever the view lives */
	rc = run_files(shaped, &memory, report, context, ret_counts, e);
	view_case_memory_free(m);
	view_free(shaped);
	return rc;
}
