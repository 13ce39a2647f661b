/* view_case.c - runs cases/ *.jsonl against the view's handlers, in a place that has its tables. */
#include "projections/apply/view_case_priv.h"

#include "core/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- begin and end of a case ----------------------------------------------------------------- */

static void end_case(struct case_run *r)
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

static int begin_case(struct case_run *r, const char *name, struct err *e)
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

void case_note(struct case_run *r, const char *format, ...)
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
static void add_always(struct case_run *r, const struct case_fields *own, struct case_fields *f)
{
	const struct value *seq = case_field(own, "seq"), *gtid = case_field(own, "gtid"),
			   *at = case_field(own, "at");
	char text[40];
	struct value v = { .kind = VALUE_INT };

	r->seq = seq != NULL && seq->kind == VALUE_INT ? seq->i : r->seq + 1;
	v.i = r->seq;

	case_field_add(f, "meta.seq", 8, seq != NULL ? seq : &v);
	v.i = r->seq * 1000000;
	case_field_add(f, "meta.at", 7, at != NULL ? at : &v);
	snprintf(text, sizeof(text), "0-1-%lld", (long long)r->seq);
	v = (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(text) };
	case_field_add(f, "meta.gtid", 9, gtid != NULL ? gtid : &v);
}

/* What the handler refuses fails the case; it doesn't end the run. */
static void apply(struct case_run *r, enum view_on on, const char *name,
		  const struct case_fields *own, struct case_fields *f)
{
	const struct view_case_place *place = r->place;
	struct err refused = ERR_INIT, ignored = ERR_INIT;
	bool found = false, ok;

	add_always(r, own, f);
	if (place->event_begin(place->context, &refused) < 0) {
		case_note(r, "%s", refused.msg);
		return;
	}
	ok = kind_run_fields(r->kind, on, name, f->items, f->count, &found, &refused) == 0 &&
	     kind_settle(r->kind, &refused) == 0;
	if (place->event_end(place->context, ok, ok ? &refused : &ignored) < 0)
		ok = false;
	if (!ok)
		case_note(r, "%s", refused.msg);
	else if (!found && r->view->kind != VIEW_SQL)
		case_note(r, "%s is no input of the view", name);
	else if (!found)
		case_note(r, "no handler for %s", name);
}

static int line_event(struct case_run *r, const char *line, const char *name, struct err *e)
{
	struct case_fields own = { 0 }, f = { 0 };
	int rc = -1;

	if (case_leaves(r, line, "$", "", &own, e) == 0 &&
	    case_leaves(r, line, "$.value", "", &f, e) == 0) {
		apply(r, VIEW_ON_EVENT, name, &own, &f);
		rc = 0;
	}
	case_fields_done(&own);
	case_fields_done(&f);
	return rc;
}

static int line_row(struct case_run *r, const char *line, const char *name, struct err *e)
{
	struct case_fields own = { 0 }, f = { 0 };
	const struct value *op;
	int rc = -1;

	if (case_leaves(r, line, "$", "", &own, e) < 0 ||
	    case_leaves(r, line, "$.before", "before.", &f, e) < 0 ||
	    case_leaves(r, line, "$.after", "after.", &f, e) < 0)
		goto out;
	op = case_field(&own, "op");
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
	case_fields_done(&own);
	case_fields_done(&f);
	return rc;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int one_line(struct case_run *r, const char *line, struct err *e)
{
	static const struct {
		const char *path;
		int (*run)(struct case_run *r, const char *line, const char *name, struct err *e);
	} kinds[] = { { "$.event", line_event },
		      { "$.row", line_row },
		      { "$.expect", case_expect } };
	char *name = NULL;
	int rc;

	if (case_text(r, line, "$.case", &name, e) < 0)
		return err_config(e, "not a JSON object");
	if (name != NULL) {
		rc = begin_case(r, name, e);
		free(name);
		return rc;
	}
	if (!r->begun && begin_case(r, "(unnamed)", e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (case_text(r, line, kinds[i].path, &name, e) < 0)
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

static int one_file(struct case_run *r, const struct view_file *file, struct err *e)
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
	return strncmp(name, "cases/", 6) == 0 && view_ends_with(name, ".jsonl");
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
	struct case_run r = { .view = v, .place = place, .report = report, .context = context };
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
