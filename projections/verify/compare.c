/* compare.c - merges two ordered readers and counts what differs; and its result as JSON.
 *
 * Both sides are ordered by the key. The smaller key is a row that the other side lacks; equal keys
 * are compared column by column. Keys that come twice (a view whose key isn't unique) are paired in
 * order. */
#include "projections/verify/compare.h"

#include "core/base/mem.h"
#include "core/base/quote.h"

#include <stdio.h>
#include <stdlib.h>

#define PROGRESS_ROWS 4096

struct compare *compare_new(const char *left, const char *right)
{
	struct compare *c = xcalloc(1, sizeof(*c));

	c->left = left;
	c->right = right;
	return c;
}

static void done_table(struct compare_table *t)
{
	compare_clear(t);
	view_names_free(t->columns, t->column_count);
	free(t->classes);
	free(t->key);
	free(t->name);
	free(t->note);
	free(t->column_changes);
	free(t->differing);
}

void compare_free(struct compare *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->table_count; i++)
		done_table(&c->tables[i]);
	free(c->tables);
	free(c);
}

static int find_name(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return (int)i;
	}
	return -1;
}

static void set_columns(struct compare_table *t, char *const *columns,
			const enum normal_class *classes, size_t column_count)
{
	t->columns = xcalloc(column_count + 1, sizeof(*t->columns));
	t->classes = xcalloc(column_count + 1, sizeof(*t->classes));
	t->column_changes = xcalloc(column_count + 1, sizeof(*t->column_changes));
	t->column_count = column_count;
	for (size_t i = 0; i < column_count; i++) {
		t->columns[i] = xstrdup(columns[i]);
		t->classes[i] = classes != NULL ? classes[i] : NORMAL_LOOSE;
	}
}

int compare_add(struct compare *c, const char *name, char *const *columns,
		const enum normal_class *classes, size_t column_count, char *const *key,
		size_t key_count, char *take_note, struct compare_table **ret_table, struct err *e)
{
	struct compare_table *t;

	for (size_t i = 0; i < key_count; i++) {
		if (find_name(columns, column_count, key[i]) >= 0)
			continue;
		err_config(e, "table %s: key column %s is not on both sides", name, key[i]);
		free(take_note);
		return -1;
	}
	c->tables = xrealloc(c->tables, (c->table_count + 1) * sizeof(*c->tables));
	t = &c->tables[c->table_count++];
	*t = (struct compare_table){ .name = xstrdup(name),
				     .note = take_note,
				     .key_count = key_count };
	set_columns(t, columns, classes, column_count);
	t->key = xcalloc(key_count + 1, sizeof(*t->key));
	for (size_t i = 0; i < key_count; i++)
		t->key[i] = (size_t)find_name(columns, column_count, key[i]);
	*ret_table = t;
	return 0;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

void compare_piece(const struct compare_table *t, struct compare_table *ret_piece)
{
	*ret_piece = (struct compare_table){ .name = xstrdup(t->name),
					     .key_count = t->key_count };
	set_columns(ret_piece, t->columns, t->classes, t->column_count);
	ret_piece->key = xcalloc(t->key_count + 1, sizeof(*t->key));
	memcpy(ret_piece->key, t->key, t->key_count * sizeof(*t->key));
}

static void empty_piece(struct compare_table *piece)
{
	piece->left_rows = piece->right_rows = piece->late = 0;
	piece->differing_count = 0;
	memset(piece->counts, 0, sizeof(piece->counts));
	memset(piece->samples, 0, sizeof(piece->samples)); /* moved, or none */
	memset(piece->column_changes, 0, piece->column_count * sizeof(*piece->column_changes));
}

void compare_merge(struct compare_table *t, struct compare_table *piece)
{
	for (int k = 0; k < 3; k++) {
		int64_t had = t->counts[k], has = piece->counts[k];

		for (int64_t i = 0; i < has && i < COMPARE_SAMPLES_MAX; i++) {
			struct compare_sample *s = &piece->samples[k][i];

			if (had + i < COMPARE_SAMPLES_MAX) {
				t->samples[k][had + i] = *s;
				continue;
			}
			row_copy_done(&s->left);
			row_copy_done(&s->right);
		}
		t->counts[k] += has;
	}
	for (size_t i = 0; i < t->column_count; i++)
		t->column_changes[i] += piece->column_changes[i];
	t->left_rows += piece->left_rows;
	t->right_rows += piece->right_rows;
	t->late += piece->late;
	empty_piece(piece);
}

void compare_clear(struct compare_table *t)
{
	for (size_t s = 0; s < 3 * COMPARE_SAMPLES_MAX; s++) {
		struct compare_sample *sample =
			&t->samples[s / COMPARE_SAMPLES_MAX][s % COMPARE_SAMPLES_MAX];

		row_copy_done(&sample->left);
		row_copy_done(&sample->right);
	}
	empty_piece(t);
}

void compare_piece_done(struct compare_table *piece)
{
	done_table(piece);
	*piece = (struct compare_table){ 0 };
}

/* ---- the merge ------------------------------------------------------------------------------- */

struct side {
	const struct compare_reader *reader;
	const struct value *row; /* NULL: at the end */
	int64_t rows;
};

static int compare_keys(const struct compare_table *t, const struct value *a, const struct value *b)
{
	for (size_t i = 0; i < t->key_count; i++) {
		size_t c = t->key[i];
		int order = normal_compare(t->classes[c], &a[c], &b[c]);

		if (order != 0)
			return order;
	}
	return 0;
}

static int step(struct side *s, struct err *e)
{
	int rc = s->reader->next(s->reader->context, &s->row, e);

	if (rc != 1)
		s->row = NULL;
	else
		s->rows++;
	return rc < 0 ? -1 : 0;
}

/* FNV-1a over the key: to find the same row again. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ p[i]) * 0x100000001b3;
	return hash;
}

static uint64_t hash_key(const struct compare_table *t, const struct value *row)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < t->key_count; i++) {
		const struct value *v = &row[t->key[i]];

		hash = hash_bytes(hash, &v->kind, sizeof(v->kind));
		if (v->kind == VALUE_INT)
			hash = hash_bytes(hash, &v->i, sizeof(v->i));
		else if (v->kind == VALUE_DOUBLE)
			hash = hash_bytes(hash, &v->d, sizeof(v->d));
		else if (v->kind >= VALUE_TEXT)
			hash = hash_bytes(hash, v->bytes.data, v->bytes.size);
	}
	return hash;
}

static void differs(struct compare_table *t, enum compare_kind kind, const struct value *left,
		    const struct value *right)
{
	struct compare_sample *s;

	if (t->differing_count < COMPARE_DIFFERING_MAX) {
		if ((t->differing_count & (t->differing_count - 1)) == 0)
			t->differing = xrealloc(t->differing,
						(2 * t->differing_count + 1) * sizeof(uint64_t));
		t->differing[t->differing_count++] = hash_key(t, left != NULL ? left : right);
	}
	if (t->counts[kind]++ >= COMPARE_SAMPLES_MAX)
		return;
	s = &t->samples[kind][t->counts[kind] - 1];
	if (left != NULL)
		row_copy_init(&s->left, left, t->column_count);
	if (right != NULL)
		row_copy_init(&s->right, right, t->column_count);
}

static void compare_columns(struct compare_table *t, const struct value *left,
			    const struct value *right)
{
	bool changed = false;

	for (size_t i = 0; i < t->column_count; i++) {
		if (normal_equal(t->classes[i], &left[i], &right[i]))
			continue;
		t->column_changes[i]++;
		changed = true;
	}
	if (changed)
		differs(t, COMPARE_CHANGED, left, right);
}

static bool piece_ended(const struct side *r)
{
	return r->row == NULL && r->reader->goes_on != NULL &&
	       r->reader->goes_on(r->reader->context);
}

static int merge(struct compare_table *t, struct side *l, struct side *r,
		 bool (*progress)(void *context, int64_t rows), void *context, struct err *e)
{
	int64_t turns = 0;

	while ((l->row != NULL || r->row != NULL) && !piece_ended(r)) {
		int order = l->row == NULL   ? 1
			    : r->row == NULL ? -1
					     : compare_keys(t, l->row, r->row);

		if (order < 0)
			differs(t, COMPARE_ONLY_LEFT, l->row, NULL);
		else if (order > 0)
			differs(t, COMPARE_ONLY_RIGHT, NULL, r->row);
		else
			compare_columns(t, l->row, r->row);
		if ((order <= 0 && step(l, e) < 0) || (order >= 0 && step(r, e) < 0))
			return err_wrap(e, "table %s", t->name);
		if (++turns % PROGRESS_ROWS == 0 && progress != NULL && !progress(context, turns))
			return err_retry(e, "table %s: stopped", t->name);
	}
	return 0;
}

int compare_run(struct compare_table *t, const struct compare_reader *left,
		const struct compare_reader *right, bool (*progress)(void *context, int64_t rows),
		void *context, struct err *e)
{
	struct side l = { .reader = left }, r = { .reader = right };

	if (step(&l, e) < 0 || step(&r, e) < 0 || merge(t, &l, &r, progress, context, e) < 0)
		return -1;
	t->left_rows = l.rows - (l.row != NULL); /* one is the next piece's */
	t->right_rows = r.rows;
	return 0;
}

int64_t compare_table_differences(const struct compare_table *t)
{
	return t->counts[0] + t->counts[1] + t->counts[2];
}

int64_t compare_differences(const struct compare *c)
{
	int64_t sum = 0;

	for (size_t i = 0; i < c->table_count; i++)
		sum += compare_table_differences(&c->tables[i]);
	return sum;
}

int64_t compare_rows(const struct compare *c)
{
	int64_t sum = 0;

	for (size_t i = 0; i < c->table_count; i++) {
		const struct compare_table *t = &c->tables[i];

		sum += t->left_rows > t->right_rows ? t->left_rows : t->right_rows;
	}
	return sum;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_value(const struct value *v, struct buf *out)
{
	struct buf text = BUF_INIT;

	value_text(v, &text);
	quote_json(out, buf_slice(&text));
	buf_done(&text);
}

static void add_names_json(char *const *names, size_t count, struct buf *out)
{
	buf_add_u8(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		quote_json(out, slice_str(names[i]));
	}
	buf_add_u8(out, ']');
}

static void add_key(const struct compare_table *t, const struct row_copy *row, struct buf *out)
{
	buf_add_u8(out, '{');
	for (size_t i = 0; i < t->key_count; i++) {
		quote_json_key(out, t->columns[t->key[i]]);
		add_value(&row->values[t->key[i]], out);
	}
	buf_add_u8(out, '}');
}

static void add_row(const struct compare_table *t, const struct row_copy *row, struct buf *out)
{
	buf_add_u8(out, '{');
	for (size_t i = 0; i < t->column_count; i++) {
		quote_json_key(out, t->columns[i]);
		add_value(&row->values[i], out);
	}
	buf_add_u8(out, '}');
}

static void add_changed(const struct compare_table *t, const struct compare_sample *s,
			struct buf *out)
{
	buf_add_str(out, "{\"key\":");
	add_key(t, &s->left, out);
	buf_add_str(out, ",\"columns\":{");
	for (size_t i = 0; i < t->column_count; i++) {
		if (normal_equal(t->classes[i], &s->left.values[i], &s->right.values[i]))
			continue;
		quote_json_key(out, t->columns[i]);
		buf_add_u8(out, '[');
		add_value(&s->left.values[i], out);
		buf_add_u8(out, ',');
		add_value(&s->right.values[i], out);
		buf_add_u8(out, ']');
	}
	buf_add_str(out, "}}");
}

static void add_samples(const struct compare_table *t, enum compare_kind kind, struct buf *out)
{
	buf_add_u8(out, '[');
	for (int64_t i = 0; i < t->counts[kind] && i < COMPARE_SAMPLES_MAX; i++) {
		const struct compare_sample *s = &t->samples[kind][i];

		if (i > 0)
			buf_add_u8(out, ',');
		if (kind == COMPARE_CHANGED)
			add_changed(t, s, out);
		else
			add_row(t, kind == COMPARE_ONLY_LEFT ? &s->left : &s->right, out);
	}
	buf_add_u8(out, ']');
}

static void add_table_json(const struct compare_table *t, struct buf *out)
{
	static const char *const names[] = { "only_left", "only_right", "changed" };
	char *key[64];
	size_t keys = t->key_count < 64 ? t->key_count : 64;

	for (size_t i = 0; i < keys; i++)
		key[i] = t->columns[t->key[i]];
	buf_add_str(out, "{\"table\":");
	quote_json(out, slice_str(t->name));
	buf_add_str(out, ",\"key\":");
	add_names_json(key, keys, out);
	buf_add_str(out, ",\"columns\":");
	add_names_json(t->columns, t->column_count, out);
	if (t->note != NULL) {
		quote_json_key(out, "note");
		quote_json(out, slice_str(t->note));
	}
	buf_add_format(out, ",\"left_rows\":%lld,\"right_rows\":%lld", (long long)t->left_rows,
		       (long long)t->right_rows);
	for (int k = 0; k < 3; k++)
		buf_add_format(out, ",\"%s\":%lld", names[k], (long long)t->counts[k]);
	if (t->late > 0)
		buf_add_format(out, ",\"late\":%lld", (long long)t->late);
	buf_add_str(out, ",\"changed_columns\":{");
	for (size_t i = 0; i < t->column_count; i++) {
		if (t->column_changes[i] == 0)
			continue;
		quote_json_key(out, t->columns[i]);
		buf_add_format(out, "%lld", (long long)t->column_changes[i]);
	}
	buf_add_str(out, "},\"samples\":{");
	for (int k = 0; k < 3; k++) {
		quote_json_key(out, names[k]);
		add_samples(t, (enum compare_kind)k, out);
	}
	buf_add_str(out, "}}");
}

void compare_json(const struct compare *c, struct buf *out)
{
	buf_add_format(
		out,
		"{\"left\":\"%s\",\"right\":\"%s\",\"rows\":%lld,\"differences\":%lld,\"tables\":[",
		c->left, c->right, (long long)compare_rows(c), (long long)compare_differences(c));
	for (size_t i = 0; i < c->table_count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		add_table_json(&c->tables[i], out);
	}
	buf_add_str(out, "]}");
}

/* ---- two versions ---------------------------------------------------------------------------- */

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
		if (find_name(old->names, old->count, new->names[i]) >= 0) {
			ret_both->names =
				xrealloc(ret_both->names, (ret_both->count + 1) * sizeof(char *));
			ret_both->names[ret_both->count++] = xstrdup(new->names[i]);
		} else {
			buf_add_format(&note, "%s%s is new", note.size > 0 ? ", " : "",
				       new->names[i]);
		}
	}
	for (size_t i = 0; i < old->count; i++) {
		if (find_name(new->names, new->count, old->names[i]) < 0)
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
		int at = find_name(t->columns, t->column_count, columns->names[i]);

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
