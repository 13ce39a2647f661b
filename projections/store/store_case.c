/* store_case.c - a scratch version of any store as the place where test cases run.
 *
 * Each event is a store transaction of its own, so that what a store refuses only at the end of one
 * is the event's fault, and expected rows are read through a snapshot as a reader would. Rows come
 * in normal form; a decimal that a double holds as it is printed is given as one, because that is
 * how JSON writes it. */
#include "projections/store/store_case.h"

#include "core/base/mem.h"
#include "core/value/real.h"

#include <stdlib.h>

struct store_case {
	struct store *store;
	struct store_version *version;
	const struct view *view;
	int64_t seq;
};

static void case_end(void *context)
{
	struct store_case *c = context;
	const struct store_ops *ops = c->store->ops;
	struct err ignored = ERR_INIT;

	ops->version_close(c->version);
	c->version = NULL;
	/* the next case removes what this one may leave */
	(void)ops->remove(c->store, STORE_SCRATCH, &ignored);
}

static int case_begin(void *context, const struct view *v, struct target **ret_target,
		      struct err *e)
{
	struct store_case *c = context;
	const struct store_ops *ops = c->store->ops;

	c->view = v;
	if (ops->create(c->store, v, STORE_SCRATCH, false, e) < 0 ||
	    ops->version_open(c->store, STORE_SCRATCH, &c->version, e) < 0 ||
	    ops->finish(c->version, v->after_build_sql, e) < 0)
		return -1;
	*ret_target = ops->target(c->version);
	return 0;
}

static int case_event_begin(void *context, struct err *e)
{
	struct store_case *c = context;

	return c->store->ops->begin(c->version, e);
}

static int case_event_end(void *context, bool keep, struct err *e)
{
	struct store_case *c = context;
	struct store_mark mark = { .position = slice_str("{}"), .gtid_set = "" };

	if (!keep) {
		c->store->ops->rollback(c->version);
		return 0;
	}
	mark.seq = ++c->seq;
	return c->store->ops->commit(c->version, &mark, e);
}

static int case_columns(void *context, const char *table, char ***ret_names, size_t *ret_count,
			struct err *e)
{
	struct store_case *c = context;
	const struct store_ops *ops = c->store->ops;
	struct store_snapshot *n;
	int rc;

	if (ops->snapshot(c->store, STORE_SCRATCH, &n, e) < 0)
		return -1;
	rc = ops->columns(n, table, ret_names, ret_count, e);
	ops->snapshot_close(n);
	return rc;
}

static struct value as_json(struct value v)
{
	char text[64], again[REAL_TEXT_MAX];
	char *end;
	double d;

	if (v.kind != VALUE_TEXT || v.bytes.size == 0 || v.bytes.size >= sizeof(text) ||
	    memchr(v.bytes.data, '.', v.bytes.size) == NULL)
		return v;
	memcpy(text, v.bytes.data, v.bytes.size);
	text[v.bytes.size] = '\0';
	d = strtod(text, &end);
	if (*end != '\0' || d - d != 0)
		return v;
	real_short_text(d, false, again);
	return strcmp(text, again) == 0 ? (struct value){ .kind = VALUE_DOUBLE, .d = d } : v;
}

static int case_rows(void *context, const char *table, char *const *columns, size_t count,
		     void (*row)(void *arg, const struct value *values), void *arg, struct err *e)
{
	struct store_case *c = context;
	const struct store_ops *ops = c->store->ops;
	struct value *copy = xcalloc(count + 1, sizeof(*copy));
	struct store_snapshot *n = NULL;
	struct store_rows *rows = NULL;
	const struct view_table *t = view_table(c->view, table);
	const struct value *values;
	int rc = ops->snapshot(c->store, STORE_SCRATCH, &n, e);

	if (rc == 0)
		rc = ops->rows(n, table, columns, count, t != NULL ? t->key : NULL,
			       t != NULL ? t->key_count : 0, NULL, &rows, e);
	while (rc == 0 && (rc = ops->next(rows, &values, e)) == 1) {
		for (size_t i = 0; i < count; i++)
			copy[i] = as_json(values[i]);
		row(arg, copy);
		rc = 0;
	}
	ops->rows_close(rows);
	ops->snapshot_close(n);
	free(copy);
	return rc;
}

struct store_case *store_case_new(struct store *s, struct view_case_place *ret_place)
{
	struct store_case *c = xcalloc(1, sizeof(*c));

	c->store = s;
	*ret_place = (struct view_case_place){
		.begin = case_begin,
		.end = case_end,
		.event_begin = case_event_begin,
		.event_end = case_event_end,
		.columns = case_columns,
		.rows = case_rows,
		.context = c,
	};
	return c;
}

void store_case_free(struct store_case *c)
{
	free(c);
}
