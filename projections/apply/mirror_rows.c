/* mirror_rows.c - rows of mirrored tables into the store, and the keys that they count for.
 *
 * A row that is put: its keys as it was, put, its keys as it is. Whether it was there is nobody's
 * business: a row that wasn't has no keys. So a copied row that comes twice, or a row that capture
 * delivers again, is handled as what it is. */
#include "projections/apply/kind_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

const struct value mirror_null = { .kind = VALUE_NULL };

static const struct value yes = { .kind = VALUE_INT, .i = 1 };
static const struct value no = { .kind = VALUE_INT, .i = 0 };

/* ---- statements ------------------------------------------------------------------------------ */

/* ":p12" -> 12, ":h12" -> 12 with HAS_COLUMN. */
static size_t column_of_parameter(const char *name)
{
	size_t column = (size_t)strtoul(name + 1, NULL, 10);

	return name[0] == 'h' ? column | HAS_COLUMN : column;
}

static int prepare(struct mirror *m, struct buf *sql, struct mirror_statement *s, struct err *e)
{
	const struct target_ops *ops = m->target->ops;
	const char *text = buf_cstr(sql), *tail;

	if (ops->prepare(m->target, "millrace", text, text, &tail, &s->handle, e) < 0)
		return err_wrap(e, "view %s", m->view->name);
	s->count = ops->parameter_count(s->handle);
	s->columns = xcalloc((size_t)s->count + 1, sizeof(*s->columns));
	s->bind = xcalloc((size_t)s->count + 1, sizeof(*s->bind));
	for (int i = 0; i < s->count; i++)
		s->columns[i] = column_of_parameter(ops->parameter_name(s->handle, i + 1));
	buf_reset(sql);
	return 0;
}

static void finalize(struct mirror *m, struct mirror_statement *s)
{
	if (s->handle != NULL)
		m->target->ops->finalize(s->handle);
	free(s->columns);
	free(s->bind);
	*s = (struct mirror_statement){ 0 };
}

static int prepare_table(struct mirror *m, struct mirror_rows *r, struct err *e)
{
	const struct dialect *d = dialect_of(m->view->store);
	struct buf sql = BUF_INIT;
	int rc;

	mirror_upsert_sql(m->view, r->table, &sql);
	rc = prepare(m, &sql, &r->upsert, e);
	if (rc == 0) {
		mirror_remove_sql(m->view, r->table, &sql);
		rc = prepare(m, &sql, &r->remove, e);
	}
	if (rc == 0) {
		buf_add_str(&sql, "DELETE FROM ");
		dialect_name(d, r->table->name, &sql);
		rc = prepare(m, &sql, &r->clear, e);
	}
	buf_done(&sql);
	return rc;
}

int mirror_prepare(struct mirror *m, struct err *e)
{
	m->rows = xcalloc(m->view->mirror_count + 1, sizeof(*m->rows));
	for (size_t i = 0; i < m->view->mirror_count; i++) {
		m->rows[i].table = &m->view->mirrors[i];
		m->rows[i].touch = xcalloc(m->view->query_count + 1, sizeof(*m->rows[i].touch));
		if (prepare_table(m, &m->rows[i], e) < 0)
			return -1;
	}
	return 0;
}

static void finalize_list(struct mirror *m, struct mirror_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		m->target->ops->finalize(list->items[i]);
	free(list->items);
	*list = (struct mirror_list){ 0 };
}

void mirror_finalize(struct mirror *m)
{
	for (size_t i = 0; m->rows != NULL && i < m->view->mirror_count; i++) {
		struct mirror_rows *r = &m->rows[i];

		finalize(m, &r->upsert);
		finalize(m, &r->partial);
		finalize(m, &r->remove);
		finalize(m, &r->clear);
		for (size_t q = 0; r->touch != NULL && q < m->view->query_count; q++)
			finalize(m, &r->touch[q]);
		free(r->touch);
	}
	free(m->rows);
	for (size_t q = 0; m->settle != NULL && q < m->view->query_count; q++)
		finalize_list(m, &m->settle[q]);
	free(m->settle);
	m->settle = NULL;
	finalize_list(m, &m->fill);
}

/* Every statement of a script of our own, prepared. */
static int prepare_list(struct mirror *m, struct buf *sql, struct mirror_list *list, struct err *e)
{
	const char *text = buf_cstr(sql), *at = text;

	for (;;) {
		struct target_statement *s = NULL;

		if (m->target->ops->prepare(m->target, "query.sql", text, at, &at, &s, e) < 0)
			return err_wrap(e, "view %s", m->view->name);
		if (s == NULL)
			break;
		list->items = xrealloc(list->items,
				       (list->count + 1) * sizeof(struct target_statement *));
		list->items[list->count++] = s;
	}
	buf_reset(sql);
	return 0;
}

static int run_script(struct mirror *m, struct buf *sql, struct err *e)
{
	const struct target_ops *ops = m->target->ops;
	int rc;

	if (ops->script == NULL)
		return err_config(e, "store %s keeps up no views of kind query", m->view->store);
	rc = ops->script(m->target, buf_cstr(sql), e);
	buf_reset(sql);
	return rc < 0 ? err_wrap(e, "view %s", m->view->name) : 0;
}

static int prepare_touch(struct mirror *m, struct buf *sql, struct err *e)
{
	for (size_t i = 0; i < m->view->mirror_count; i++) {
		for (size_t q = 0; q < m->view->query_count; q++) {
			query_touch_sql(m->view, &m->view->queries[q], i, sql);
			if (sql->size > 0 && prepare(m, sql, &m->rows[i].touch[q], e) < 0)
				return err_wrap(e, "keys/%s.sql", m->view->mirrors[i].table);
		}
	}
	return 0;
}

int mirror_track(struct mirror *m, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc = 0;

	if (m->view->kind != VIEW_QUERY || m->tracking)
		return 0;
	for (size_t q = 0; q < m->view->query_count && rc == 0; q++) {
		query_open_sql(m->view, &m->view->queries[q], &sql);
		rc = run_script(m, &sql, e);
	}
	m->settle = xcalloc(m->view->query_count + 1, sizeof(*m->settle));
	for (size_t q = 0; q < m->view->query_count && rc == 0; q++) {
		query_settle_sql(m->view, &m->view->queries[q], &sql);
		rc = prepare_list(m, &sql, &m->settle[q], e);
	}
	for (size_t q = 0; q < m->view->query_count && rc == 0; q++) {
		query_fill_sql(m->view, &m->view->queries[q], &sql);
		rc = prepare_list(m, &sql, &m->fill, e);
	}
	if (rc == 0)
		rc = prepare_touch(m, &sql, e);
	buf_done(&sql);
	m->tracking = rc == 0;
	return rc;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int execute(struct mirror *m, struct mirror_statement *s, const struct mirror_image *image,
		   struct err *e)
{
	for (int i = 0; i < s->count; i++) {
		size_t column = s->columns[i] & ~HAS_COLUMN;
		const struct value *v = image->values[column];

		if (s->columns[i] & HAS_COLUMN)
			s->bind[i] = v != NULL ? &yes : &no;
		else
			s->bind[i] = v != NULL ? v : &mirror_null;
	}
	return m->target->ops->execute(s->handle, s->bind, e);
}

/* Notes the view's rows that the stored row of this key counts for, as it is now. */
static int touch(struct mirror *m, struct mirror_rows *r, const struct mirror_image *image,
		 struct err *e)
{
	if (!m->tracking || m->whole)
		return 0;
	for (size_t q = 0; q < m->view->query_count; q++) {
		if (r->touch[q].handle == NULL)
			continue;
		if (execute(m, &r->touch[q], image, e) < 0)
			return err_wrap(e, "keys/%s.sql", r->table->table);
		m->touched = true;
	}
	return 0;
}

static int check_key(const struct mirror_rows *r, const struct mirror_image *image, struct err *e)
{
	const struct mirror_table *t = r->table;

	for (size_t i = 0; i < t->key_count; i++) {
		const struct value *v = image->values[t->key[i]];

		if (v != NULL && v->kind != VALUE_NULL && v->kind != VALUE_ABSENT)
			continue;
		err_data(e, "table %s.%s: a row without %s, which is of the key", t->db, t->table,
			 t->columns[t->key[i]].name);
		return err_hint(e, "A key's columns are never NULL, and every row image has them: "
				   "set binlog_row_image = FULL, or give the table another key.");
	}
	return 0;
}

static bool same_key(const struct mirror_rows *r, const struct mirror_image *a,
		     const struct mirror_image *b)
{
	for (size_t i = 0; i < r->table->key_count; i++) {
		size_t k = r->table->key[i];

		if (!value_equal(a->values[k], b->values[k]))
			return false;
	}
	return true;
}

static int absent_column(const struct mirror_rows *r, const struct mirror_image *image)
{
	for (size_t i = 0; i < r->table->column_count; i++) {
		if (image->values[i] == NULL)
			return (int)i;
	}
	return -1;
}

static int take_away(struct mirror *m, struct mirror_rows *r, const struct mirror_image *image,
		     struct err *e)
{
	return touch(m, r, image, e) < 0 ? -1 : execute(m, &r->remove, image, e);
}

static int prepare_partial(struct mirror *m, struct mirror_rows *r, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	mirror_partial_sql(m->view, r->table, &sql);
	rc = prepare(m, &sql, &r->partial, e);
	buf_done(&sql);
	return rc;
}

/* The image lacks columns: the others are changed, and these stay what they are. Only a row that is
 * there can be changed so. */
static int put_partial(struct mirror *m, struct mirror_rows *r, enum mirror_op op, int absent,
		       const struct mirror_image *after, struct err *e)
{
	const struct mirror_table *t = r->table;

	if (op == MIRROR_PUT) {
		err_data(e, "table %s.%s: the row image lacks column %s", t->db, t->table,
			 t->columns[absent].name);
		return err_hint(e,
				"Set binlog_row_image = FULL in the sessions that write to %s.%s.",
				t->db, t->table);
	}
	if (r->partial.handle == NULL && prepare_partial(m, r, e) < 0)
		return -1;
	return execute(m, &r->partial, after, e);
}

static int put(struct mirror *m, struct mirror_rows *r, enum mirror_op op,
	       const struct mirror_image *after, struct err *e)
{
	int absent = absent_column(r, after), rc;

	if (touch(m, r, after, e) < 0)
		return -1;
	rc = absent < 0 ? execute(m, &r->upsert, after, e)
			: put_partial(m, r, op, absent, after, e);
	return rc < 0 ? -1 : touch(m, r, after, e);
}

int mirror_row(struct mirror *m, struct mirror_rows *r, enum mirror_op op,
	       const struct mirror_image *before, const struct mirror_image *after, struct err *e)
{
	const struct mirror_image *image = op == MIRROR_REMOVE ? before : after;

	if (op == MIRROR_CLEAR) {
		m->whole = m->tracking;
		return execute(m, &r->clear, &(struct mirror_image){ NULL }, e);
	}
	if (image->values == NULL)
		return err_data(e, "table %s.%s: a record without its row", r->table->db,
				r->table->table);
	if (check_key(r, image, e) < 0)
		return -1;
	if (op == MIRROR_REMOVE)
		return take_away(m, r, before, e);
	/* only a key of view.conf can change without a record for each */
	if (op == MIRROR_CHANGE && before->values != NULL && r->table->own_key) {
		if (check_key(r, before, e) < 0)
			return -1;
		if (!same_key(r, before, after)) {
			if (take_away(m, r, before, e) < 0)
				return -1;
			op = MIRROR_PUT;
		}
	}
	return put(m, r, op, after, e);
}

/* ---- settling -------------------------------------------------------------------------------- */

static int run_list(struct mirror *m, const struct mirror_list *list, struct err *e)
{
	static const struct value *const none[1];

	for (size_t i = 0; i < list->count; i++) {
		if (m->target->ops->execute(list->items[i], none, e) < 0)
			return err_wrap(e, "query.sql");
	}
	return 0;
}

static int settle_query(struct mirror *m, size_t number, struct err *e)
{
	const struct view_query *q = &m->view->queries[number];
	struct buf sql = BUF_INIT;
	int64_t touched = INT64_MAX;
	int rc = 0;

	if (query_one_by_one(m->view, q)) {
		query_touched_sql(m->view, q, &sql);
		rc = m->target->ops->number(m->target, buf_cstr(&sql), &touched, e);
		buf_reset(&sql);
	}
	if (rc == 0 && touched <= QUERY_ONE_BY_ONE_MAX) {
		query_settle_each_sql(m->view, q, touched, &sql);
		rc = run_script(m, &sql, e);
	} else if (rc == 0) {
		rc = run_list(m, &m->settle[number], e);
	}
	buf_done(&sql);
	return rc;
}

int mirror_settle(struct mirror *m, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc = 0;

	if (m->whole) {
		for (size_t q = 0; q < m->view->query_count; q++)
			query_forget_sql(m->view, &m->view->queries[q], &sql);
		rc = m->touched ? run_script(m, &sql, e) : 0;
		if (rc == 0)
			rc = run_list(m, &m->fill, e);
	} else if (m->touched) {
		for (size_t q = 0; q < m->view->query_count && rc == 0; q++)
			rc = settle_query(m, q, e);
	}
	buf_done(&sql);
	m->touched = m->whole = false;
	return rc;
}
