/* compare.c - merges two ordered readers and counts what differs.
 *
 * Both sides are ordered by the key. The smaller key is a row that the other side lacks; equal keys
 * are compared column by column. Keys that come twice (a view whose key isn't unique) are paired in
 * order. */
#include "projections/verify/compare.h"

#include "core/base/mem.h"

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
		if (view_names_find(columns, column_count, key[i]) >= 0)
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
		t->key[i] = (size_t)view_names_find(columns, column_count, key[i]);
	*ret_table = t;
	return 0;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

void compare_piece(const struct compare_table *t, struct compare_table *ret_piece)
{
	*ret_piece = (struct compare_table){ .name = xstrdup(t->name), .key_count = t->key_count };
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
