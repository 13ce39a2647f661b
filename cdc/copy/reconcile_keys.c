/* reconcile_keys.c - the rows of a child that referred to some values of its parent, found in the
 * state (state_link.c) and compared by their primary keys.
 *
 * What a cascade has changed are rows that were delivered with such a value: the child's changes
 * that are in the binlog made the state right by themselves. So it suffices that the state has all
 * that was delivered up to the parent's change when the keys are followed.
 *
 * Values are kept as the parent's cells were stored, as text (the position holds them); they become
 * keys when they are needed, as only the server knows what text weighs. */
#include "cdc/copy/reconcile_priv.h"

#include "cdc/change/key.h"
#include "core/avro/read.h"
#include "core/base/hex.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define BATCH_MAX 500     /* keys in one condition */
#define WANTS_KEYED_MAX 8 /* the position holds their values */
#define VALUE_BYTES_MAX (64 * 1024)

enum { COLUMNS, DEF, VALUES }; /* in keys.items */

/* ---- wants ---------------------------------------------------------------------------------- */

void reconcile_keys_done(struct reconcile_want *w)
{
	for (size_t i = 0; i < w->keys.count; i++)
		free((char *)(uintptr_t)w->keys.items[i]);
	free(w->keys.items);
	w->keys = (struct record_texts){ NULL, 0 };
	w->keys_bytes = 0;
}

void reconcile_keys_add(struct reconcile_want *w, const char *text)
{
	w->keys.items = xrealloc(w->keys.items, (w->keys.count + 1) * sizeof(*w->keys.items));
	w->keys.items[w->keys.count++] = xstrdup(text);
	w->keys_bytes += strlen(text);
}

static bool begun(const struct reconcile *r, const struct reconcile_want *w)
{
	return w == r->active || w->chunks > 0 || w->paused;
}

/* One that waits for the same foreign key; *ret_keyed: how many have keys. */
static struct reconcile_want *find(struct reconcile *r, const struct reconcile_key *key,
				   size_t *ret_keyed)
{
	struct reconcile_want *found = NULL;

	*ret_keyed = 0;
	for (size_t i = 0; i < r->want_count; i++) {
		struct reconcile_want *w = r->wants[i];

		if (!reconcile_has_keys(w))
			continue;
		++*ret_keyed;
		if (!begun(r, w) && strcmp(w->db, key->db) == 0 &&
		    strcmp(w->table, key->table) == 0 &&
		    strcmp(w->keys.items[COLUMNS], key->columns) == 0 &&
		    strcmp(w->keys.items[DEF], key->def) == 0)
			found = w;
	}
	return found;
}

static int want_all(struct reconcile *r, const struct reconcile_key *key, const char *why,
		    const char *reason, struct err *e)
{
	log_info("copy", "%s.%s is compared whole: %s", key->db, key->table, reason);
	return reconcile_want(r, key->db, key->table, "", why, e);
}

int reconcile_want_key(struct reconcile *r, const struct reconcile_key *key, const char *why,
		       struct err *e)
{
	struct reconcile_want *w;
	size_t keyed;

	if (reconcile_id_of(r, key->db, key->table, "") != 0)
		return 0;
	w = find(r, key, &keyed);
	if (w != NULL && strcmp(w->keys.items[w->keys.count - 1], key->value) == 0)
		return 0;
	if (w != NULL && (w->keys.count >= RECONCILE_KEYS_MAX + VALUES ||
			  w->keys_bytes + strlen(key->value) > VALUE_BYTES_MAX))
		return want_all(r, key, why, "too many rows of its parent have changed", e);
	if (strlen(key->value) > VALUE_BYTES_MAX || (w == NULL && keyed >= WANTS_KEYED_MAX))
		return want_all(r, key, why, "too much waits to be compared", e);
	if (w == NULL) {
		w = reconcile_add(r, key->db, key->table, "", why, e);
		if (w == NULL)
			return -1;
		reconcile_keys_add(w, key->columns);
		reconcile_keys_add(w, key->def);
		log_info("copy", "%s.%s will be reconciled by %s (%lld): %s", key->db, key->table,
			 key->columns, (long long)w->id, why);
	}
	reconcile_keys_add(w, key->value);
	return 0;
}

/* ---- do they fit? --------------------------------------------------------------------------- */

static bool is_in_key(const struct shape *shape, uint16_t column)
{
	for (uint16_t k = 0; k < shape->key_count; k++)
		if (shape->key[k] == column)
			return true;
	return false;
}

const char *reconcile_keys_unfit(const struct reconcile *r)
{
	const struct reconcile_want *w = r->active;
	const char *def = w->keys.items[DEF];
	uint16_t columns[KEY_PARTS_MAX];
	struct buf now = BUF_INIT;
	const char *reason = NULL;
	size_t count;

	if (r->shape->key_count == 0)
		return "it has no primary key";
	count = state_columns(r->shape, w->keys.items[COLUMNS], columns);
	for (size_t i = 0; i < count; i++)
		state_describe(&r->shape->columns[columns[i]], &now);
	if (count == 0 || def[0] == '\0' || strcmp(buf_cstr(&now), def + 1) != 0)
		reason = "columns of its foreign key are not of the parent's types";
	for (size_t i = 0; reason == NULL && def[0] == 'u' && i < count; i++)
		if (is_in_key(r->shape, columns[i]))
			reason = "a cascade has changed primary keys";
	buf_done(&now);
	return reason;
}

/* ---- the batch ------------------------------------------------------------------------------ */

void reconcile_batch_reset(struct reconcile *r)
{
	r->batch.count = r->batch.value = 0;
	r->batch.linked = false;
	buf_reset(&r->batch.after);
}

void reconcile_batch_done(struct reconcile_batch *b)
{
	buf_done(&b->bytes);
	buf_done(&b->sql);
	buf_done(&b->after);
	free(b->keys);
}

struct slice reconcile_batch_key(const struct reconcile *r, size_t i)
{
	return slice_of(r->batch.bytes.data + r->batch.keys[i].at, r->batch.keys[i].size);
}

/* The value as a key of the child's columns. */
static int value_key(struct reconcile *r, const char *hex, struct buf *key, struct err *e)
{
	uint16_t columns[KEY_PARTS_MAX];
	size_t count = state_columns(r->shape, r->active->keys.items[COLUMNS], columns);
	struct shape view = state_view(r->shape, columns, count);
	struct buf bytes = BUF_INIT;
	struct rd in;
	int high, low, rc = -1;

	while ((high = hex_value_lower((uint8_t)hex[0])) >= 0 &&
	       (low = hex_value_lower((uint8_t)hex[1])) >= 0) {
		buf_add_u8(&bytes, (uint8_t)(high << 4 | low));
		hex += 2;
	}
	in = rd_from(buf_slice(&bytes));
	for (size_t i = 0; i < count; i++) {
		struct slice value = read_bytes(&in);

		r->after[columns[i]] =
			(struct cell){ value.data, (uint32_t)value.size, CELL_VALUE };
	}
	buf_reset(key);
	if (!rd_end(&in) || *hex != '\0')
		err_data(e, "reconciling %s: a value of the position is damaged", r->active->name);
	else if (collator_prepare(r->collator, &view, e) == 0)
		rc = key_from_cells(&view, r->after, collator_weigher(r->collator), key, e);
	buf_done(&bytes);
	return rc;
}

/* A row that a link leads to. 1: into the batch; 0: it is gone. */
static int add_row(struct reconcile *r, struct slice key, struct err *e)
{
	struct reconcile_batch *b = &r->batch;
	struct reconcile_batch_key *one;
	struct state_row row;
	size_t from;
	int rc = state_find(r->state, key, &row, e);

	if (rc != 1)
		return rc;
	if (state_cells(r->state, &row, &r->bytes, r->before, e) < 0)
		return -1;
	b->keys = xrealloc(b->keys, (b->count + 1) * sizeof(*b->keys));
	one = &b->keys[b->count];
	*one = (struct reconcile_batch_key){ .at = b->bytes.size, .size = key.size };
	buf_add_slice(&b->bytes, key);
	from = b->bytes.size;
	if (!key_equals(r->shape, r->before, collator_weigher(r->collator), &b->bytes))
		return err_data(e, "reconciling %s: the key of a row can't be told",
				r->active->name);
	one->sql_size = b->bytes.size - from;
	b->count++;
	return 1;
}

static int by_key(const void *a, const void *b, void *context)
{
	const struct reconcile_batch_key *x = a, *y = b;
	const struct reconcile_batch *batch = context;

	return key_compare(slice_of(batch->bytes.data + x->at, x->size),
			   slice_of(batch->bytes.data + y->at, y->size));
}

static void sort_out(struct reconcile *r)
{
	struct reconcile_batch *b = &r->batch;
	size_t kept = 0;

	if (b->count > 1)
		qsort_r(b->keys, b->count, sizeof(*b->keys), by_key, b);
	for (size_t i = 0; i < b->count; i++)
		if (kept == 0 || by_key(&b->keys[kept - 1], &b->keys[i], b) != 0)
			b->keys[kept++] = b->keys[i];
	b->count = kept;
}

static void write_condition(struct reconcile *r)
{
	struct reconcile_batch *b = &r->batch;

	buf_reset(&b->sql);
	for (size_t i = 0; i < b->count; i++) {
		const struct reconcile_batch_key *one = &b->keys[i];

		buf_add_str(&b->sql, i > 0 ? " OR " : "");
		buf_add(&b->sql, b->bytes.data + one->at + one->size, one->sql_size);
	}
	(void)buf_cstr(&b->sql);
}

/* Behind the last value come the rows of which it is not known. */
static int follow(struct reconcile *r, struct err *e)
{
	struct reconcile_batch *b = &r->batch;
	const struct reconcile_want *w = r->active;
	size_t values = w->keys.count - VALUES;
	struct buf value = BUF_INIT;
	int rc = 0;

	while (rc >= 0 && b->value <= values && b->count < BATCH_MAX) {
		buf_reset(&value);
		rc = b->value < values ? value_key(r, w->keys.items[VALUES + b->value], &value, e)
				       : 0;
		while (rc >= 0 && b->count < BATCH_MAX &&
		       (rc = state_linked(
				r->state, w->keys.items[COLUMNS],
				slice_of(value.size > 0 ? value.data : (uint8_t *)"", value.size),
				slice_of(b->after.size > 0 ? b->after.data : (uint8_t *)"",
					 b->after.size),
				&b->after, e)) == 1)
			rc = add_row(r, buf_slice(&b->after), e);
		if (rc == 0 && b->count < BATCH_MAX) {
			b->value++;
			buf_reset(&b->after);
		}
	}
	buf_done(&value);
	return rc < 0 ? -1 : 0;
}

int reconcile_batch_fill(struct reconcile *r, struct err *e)
{
	if (r->batch.count == 0) {
		buf_reset(&r->batch.bytes);
		if (follow(r, e) < 0)
			return -1;
		sort_out(r);
	}
	write_condition(r);
	return 0;
}

void reconcile_batch_take(struct reconcile *r, const struct slice *high)
{
	struct reconcile_batch *b = &r->batch;
	size_t kept = 0;

	for (size_t i = 0; i < b->count && high != NULL; i++)
		if (key_compare(reconcile_batch_key(r, i), *high) > 0)
			b->keys[kept++] = b->keys[i];
	b->count = kept;
}
