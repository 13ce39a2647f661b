/* bulk.c - gathers writes and sends them as arrays.
 *
 * For each table a run: rows in one buffer, each as its shape's columns in the elements' wire form
 * (4 bytes size, then the value; size -1 is NULL), and an open-addressing table from key to row.
 * Sending copies the columns of all rows of a shape into one array each, and runs
 *
 *   INSERT INTO t (a, b) SELECT u.c1, u.c2 FROM unnest($1::bigint[], $2::text[]) u(c1, c2) ...
 *   DELETE FROM t USING unnest($1::bigint[]) u(c1) WHERE t.a = u.c1
 *
 * which costs the server a third of what the single statements do. Types without a binary form
 * here go as arrays of text, and are read by the server as a single value would be.
 *
 * Whether two keys are the same is decided by their bytes here. So only types of which equal values
 * have equal bytes may be keys: integers, dates, text with a deterministic collation, bytea, uuid,
 * and decimals that are whole. */
#include "projections/store/postgresql/bulk_priv.h"

#include "core/base/mem.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define ROWS_MAX 8192
#define BYTES_MAX (1024 * 1024)
#define SLOTS 32768 /* a power of two, several times ROWS_MAX */

struct bulk *bulk_new(struct pg *pg)
{
	struct bulk *b = xcalloc(1, sizeof(*b));

	b->pg = pg;
	return b;
}

void bulk_free(struct bulk *b)
{
	if (b == NULL)
		return;
	for (struct bulk_shape *s = b->shapes, *next; s != NULL; s = next) {
		next = s->next;
		bulk_shape_free(s);
	}
	for (struct bulk_table *t = b->tables, *next; t != NULL; t = next) {
		next = t->next;
		bulk_table_free(t);
	}
	free(b);
}

/* ---- gathering ------------------------------------------------------------------------------- */

static uint32_t hash_bytes(uint32_t hash, const uint8_t *data, size_t size)
{
	while (size >= 4) {
		uint32_t part;

		memcpy(&part, data, 4);
		hash = (hash ^ part) * 0x9e3779b1u;
		hash ^= hash >> 15;
		data += 4;
		size -= 4;
	}
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * 16777619u;
	return hash;
}

/* The element at `at` of a row's bytes, with its size in front. */
static struct slice element(const uint8_t *at)
{
	uint32_t size;

	memcpy(&size, at, 4);
	size = ntohl(size);
	return slice_of(at, size == UINT32_MAX ? 4 : size + 4);
}

static struct slice column_of(const struct bulk_table *t, uint32_t at, size_t column)
{
	const uint8_t *data = t->bytes.data + at;

	for (size_t i = 0; i < column; i++)
		data += element(data).size;
	return element(data);
}

static uint32_t hash_key(const struct bulk_shape *s, uint32_t at)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < s->table->key_count; i++) {
		struct slice e = column_of(s->table, at, s->key[i]);

		hash = hash_bytes(hash, e.data, e.size);
	}
	return hash ^ hash >> 16;
}

static bool same_key(const struct bulk_row *a, const struct bulk_shape *s, uint32_t at)
{
	for (size_t i = 0; i < s->table->key_count; i++) {
		struct slice x = column_of(s->table, a->at, a->shape->key[i]),
			     y = column_of(s->table, at, s->key[i]);

		if (x.size != y.size || memcmp(x.data, y.data, x.size) != 0)
			return false;
	}
	return true;
}

static bool is_whole_number(struct slice text)
{
	size_t from = text.size > 0 && text.data[0] == '-';

	if (text.size == from || (text.data[from] == '0' && text.size > 1))
		return false;
	for (size_t i = from; i < text.size; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return true;
}

/* Appends one element. False: the value needs its own statement. */
static bool add_element(uint32_t type, const struct value *v, struct buf *out)
{
	size_t from = out->size;
	uint32_t size = UINT32_MAX;

	buf_add(out, &size, 4);
	if (v->kind == VALUE_NULL || v->kind == VALUE_ABSENT)
		return true;
	if (pg_is_binary(type) || type == PG_UUID) {
		if (!pg_encode(type, v, out))
			return false;
	} else if (!pg_encode(PG_TEXT, v, out)) {
		return false;
	}
	size = htonl((uint32_t)(out->size - from - 4));
	memcpy(out->data + from, &size, 4);
	return true;
}

static bool add_row(struct bulk_shape *s, const struct value *const *values)
{
	struct buf *out = &s->table->bytes;

	for (size_t i = 0; i < s->column_count; i++)
		if (!add_element(s->types[i], values[s->parameters[i]], out))
			return false;
	for (size_t i = 0; i < s->table->key_count; i++) {
		const struct value *v = values[s->parameters[s->key[i]]];

		if (v->kind == VALUE_NULL || v->kind == VALUE_ABSENT)
			return false;
		if (s->types[s->key[i]] == PG_NUMERIC && v->kind != VALUE_INT &&
		    (v->kind != VALUE_TEXT || !is_whole_number(v->bytes)))
			return false;
	}
	return true;
}

/* May the row at hand take the place of the gathered one of its key? */
static bool may_replace(const struct bulk_shape *old, const struct bulk_shape *new)
{
	if (new->kind == BULK_DELETE)
		return old->kind != BULK_INSERT;
	if (new->kind == BULK_UPSERT)
		return old == new || (old->kind == BULK_DELETE && new->whole);
	return false;
}

static uint32_t *find_slot(struct bulk_table *t, const struct bulk_shape *s, uint32_t at,
			   uint32_t hash)
{
	uint32_t i = hash & (SLOTS - 1);

	while (t->slots[i] != 0) {
		const struct bulk_row *row = &t->rows[t->slots[i] - 1];

		if (row->hash == hash && same_key(row, s, at))
			break;
		i = (i + 1) & (SLOTS - 1);
	}
	return &t->slots[i];
}

static int queue_table(struct bulk_table *t, struct err *e);

int bulk_add(struct bulk_shape *s, const struct value *const *values, struct err *e)
{
	struct bulk_table *t = s->table;
	uint32_t at, hash, *slot;

	if (t->rows == NULL) {
		t->rows = xcalloc(ROWS_MAX, sizeof(*t->rows));
		t->slots = xcalloc(SLOTS, sizeof(*t->slots));
	}
	if ((t->row_count == ROWS_MAX || t->bytes.size > BYTES_MAX) && queue_table(t, e) < 0)
		return -1;
	at = (uint32_t)t->bytes.size;
	if (!add_row(s, values)) {
		t->bytes.size = at;
		return 0;
	}
	hash = hash_key(s, at);
	slot = find_slot(t, s, at, hash);
	if (*slot != 0) {
		struct bulk_row *row = &t->rows[*slot - 1];

		if (may_replace(row->shape, s)) {
			row->at = at;
			row->shape = s;
			return 1;
		}
		t->bytes.size = at; /* it is told again, behind what is there */
		if (queue_table(t, e) < 0)
			return -1;
		return bulk_add(s, values, e);
	}
	t->rows[t->row_count++] = (struct bulk_row){ .at = at, .hash = hash, .shape = s };
	*slot = (uint32_t)t->row_count;
	t->bulk->gathered++;
	return 1;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void put32(uint8_t *at, uint32_t v)
{
	v = htonl(v);
	memcpy(at, &v, 4);
}

/* The header of an array's binary form: dimensions, has NULLs, element type, size, lower bound. */
static void begin_array(struct buf *array, uint32_t type)
{
	uint8_t *at;

	buf_reset(array);
	at = buf_reserve(array, 20);
	put32(at, 1);
	put32(at + 4, 1);
	put32(at + 8, pg_is_binary(type) || type == PG_UUID ? type : PG_TEXT);
	put32(at + 12, 0);
	put32(at + 16, 1);
	array->size += 20;
}

static int queue_shape(struct bulk_table *t, struct bulk_shape *s, struct err *e)
{
	struct slice *parts = xcalloc(s->column_count + 1, sizeof(*parts));
	uint32_t count = 0;
	int rc = 0;

	for (size_t i = 0; i < s->column_count; i++)
		begin_array(&s->arrays[i], s->types[i]);
	for (size_t k = 0; k < t->row_count; k++) {
		const uint8_t *data = t->bytes.data + t->rows[k].at;

		if (t->rows[k].shape != s)
			continue;
		count++;
		for (size_t i = 0; i < s->column_count; i++) {
			struct slice x = element(data);

			buf_add_slice(&s->arrays[i], x);
			data += x.size;
		}
	}
	for (size_t i = 0; i < s->column_count; i++) {
		put32(s->arrays[i].data + 12, count);
		parts[i] = buf_slice(&s->arrays[i]);
	}
	if (count > 0)
		rc = pg_send_encoded(s->many, parts, e);
	free(parts);
	return rc;
}

static void empty(struct bulk_table *t)
{
	t->bulk->gathered -= t->row_count;
	for (size_t k = 0; k < t->row_count; k++) {
		uint32_t i = t->rows[k].hash & (SLOTS - 1);

		/* rows that were put behind it come to an empty place too */
		for (; t->slots[i] != 0; i = (i + 1) & (SLOTS - 1))
			t->slots[i] = 0;
	}
	t->row_count = 0;
	buf_reset(&t->bytes);
}

/* Deletes first: no key is in two of the runs. */
static int queue_table(struct bulk_table *t, struct err *e)
{
	int rc = 0;

	for (int deletes = 1; deletes >= 0 && rc == 0; deletes--)
		for (struct bulk_shape *s = t->bulk->shapes; s != NULL && rc == 0; s = s->next)
			if (s->table == t && (s->kind == BULK_DELETE) == (deletes == 1))
				rc = queue_shape(t, s, e);
	empty(t);
	return rc;
}

int bulk_queue(struct bulk *b, struct err *e)
{
	if (b->gathered == 0)
		return 0;
	for (struct bulk_table *t = b->tables; t != NULL; t = t->next)
		if (t->row_count > 0 && queue_table(t, e) < 0)
			return -1;
	return 0;
}

void bulk_forget(struct bulk *b)
{
	for (struct bulk_table *t = b->tables; t != NULL; t = t->next)
		if (t->row_count > 0)
			empty(t);
}
