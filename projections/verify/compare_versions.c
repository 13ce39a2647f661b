/* compare_versions.c - two versions of a view, table by table: columns that both have, in the order
 * of the new one's key. */
#include "projections/verify/compare.h"

#include "core/base/mem.h"

#include <stdlib.h>

struct snapshot_reader {
	const struct store_ops *ops;
	struct store_rows *rows;
};

static int next_row(void *context, const struct value **ret_values, struct err *e)
{
	struct snapshot_reader *r = context;

	return r->ops->next(r->rows, ret_values, e);
}

struct columns {
	char **names;
	size_t count;
};

/* Columns that both have, in the new one's order; the others go into the note. */
static char *common(const struct columns *old, const struct columns *new, struct columns *ret_both)
{
	struct buf note = BUF_INIT;
	char *text = NULL;

	for (size_t i = 0; i < new->count; i++) {
		if (view_names_find(old->names, old->count, new->names[i]) >= 0) {
			ret_both->names =
				xrealloc(ret_both->names, (ret_both->count + 1) * sizeof(char *));
			ret_both->names[ret_both->count++] = xstrdup(new->names[i]);
		} else {
			buf_add_format(&note, "%s%s is new", note.size > 0 ? ", " : "",
				       new->names[i]);
		}
	}
	for (size_t i = 0; i < old->count; i++) {
		if (view_names_find(new->names, new->count, old->names[i]) < 0)
			buf_add_format(&note, "%s%s is gone", note.size > 0 ? ", " : "",
				       old->names[i]);
	}
	if (note.size > 0)
		text = xasprintf("columns not compared: %s", buf_cstr(&note));
	buf_done(&note);
	return text;
}

/* By the new version's types. */
static enum normal_class *classes_of(const char *store, const struct view_table *t,
				     const struct columns *columns)
{
	enum normal_class *classes = xcalloc(columns->count + 1, sizeof(*classes));

	for (size_t i = 0; i < columns->count; i++) {
		int at = view_names_find(t->columns, t->column_count, columns->names[i]);

		classes[i] = normal_class(store, at >= 0 ? t->types[at] : "");
	}
	return classes;
}

static int compare_versions(const struct store_ops *ops, const struct view_table *t,
			    const struct columns *both, char *take_note, struct store_snapshot *old,
			    struct store_snapshot *new, struct compare *c,
			    bool (*progress)(void *context, int64_t rows), void *context,
			    struct err *e)
{
	struct snapshot_reader left = { ops, NULL }, right = { ops, NULL };
	struct compare_reader l = { next_row, &left, NULL }, r = { next_row, &right, NULL };
	enum normal_class *classes = classes_of(ops->name, t, both);
	struct compare_table *table;
	int rc = -1;

	if (compare_add(c, t->name, both->names, classes, both->count, t->key, t->key_count,
			take_note, &table, e) == 0 &&
	    ops->rows(old, t->name, both->names, both->count, t->key, t->key_count, NULL,
		      &left.rows, e) == 0 &&
	    ops->rows(new, t->name, both->names, both->count, t->key, t->key_count, NULL,
		      &right.rows, e) == 0)
		rc = compare_run(table, &l, &r, progress, context, e);
	ops->rows_close(left.rows);
	ops->rows_close(right.rows);
	free(classes);
	return rc;
}

/* A table that one version lacks is not compared, but named with its rows. */
static int compare_missing(const struct store_ops *ops, const struct view_table *t,
			   struct store_snapshot *new, struct compare *c, struct err *e)
{
	struct compare_table *table;
	char *note = xstrdup("the old version has no such table: not compared");

	if (compare_add(c, t->name, t->columns, NULL, t->column_count, t->key, t->key_count, note,
			&table, e) < 0)
		return -1;
	return ops->row_count(new, t->name, &table->right_rows, e);
}

int compare_snapshots(const struct store_ops *ops, const struct view *view,
		      struct store_snapshot *old, struct store_snapshot *new,
		      bool (*progress)(void *context, int64_t rows), void *context,
		      struct compare **ret_compare, struct err *e)
{
	struct compare *c = compare_new("old", "new");
	int rc = 0;

	for (size_t i = 0; i < view->table_count && rc == 0; i++) {
		const struct view_table *t = &view->tables[i];
		struct columns before = { 0 }, both = { 0 },
			       after = { t->columns, t->column_count };

		rc = ops->columns(old, t->name, &before.names, &before.count, e);
		if (rc == 0 && before.count == 0) {
			rc = compare_missing(ops, t, new, c, e);
		} else if (rc == 0) {
			char *note = common(&before, &after, &both);

			rc = compare_versions(ops, t, &both, note, old, new, c, progress, context,
					      e);
		}
		view_names_free(before.names, before.count);
		view_names_free(both.names, both.count);
	}
	if (rc < 0)
		compare_free(c);
	else
		*ret_compare = c;
	return rc;
}
