/* view_case_line.c - lines are taken apart by SQLite's own JSON functions, so that no JSON library
 * is needed here and numbers keep the types that the tables will see. */
#include "projections/apply/view_case_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

void case_field_add(struct case_fields *f, const char *name, size_t size, const struct value *v)
{
	f->items = xrealloc(f->items, (f->count + 1) * sizeof(*f->items));
	f->copies = xrealloc(f->copies, (f->count + 1) * sizeof(*f->copies));
	row_copy_init(&f->copies[f->count], v, 1);
	f->items[f->count].name = xstrndup(name, size);
	f->items[f->count].value = f->copies[f->count].values[0];
	f->count++;
}

void case_fields_done(struct case_fields *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free((char *)(uintptr_t)f->items[i].name);
		row_copy_done(&f->copies[i]);
	}
	free(f->items);
	free(f->copies);
	*f = (struct case_fields){ 0 };
}

int case_leaves(struct case_run *r, const char *line, const char *path, const char *prefix,
		struct case_fields *f, struct err *e)
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
		case_field_add(f, full, strlen(full), &v);
		free(full);
		rc = 0;
	}
	sql_finalize(s);
	return rc;
}

int case_text(struct case_run *r, const char *line, const char *path, char **ret_text,
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

const struct value *case_field(const struct case_fields *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->items[i].name, name) == 0)
			return &f->items[i].value;
	}
	return NULL;
}
