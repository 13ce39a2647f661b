/*
 * json_binary_apply.c - a partial update of a JSON value.
 *
 * The value is not taken apart: only the containers that a path leads through are opened, into a
 * list of members that point to their bytes as they were. A replaced or inserted value points into
 * the change. At the end the opened containers are written anew around those bytes - offsets count
 * from their own container, so a closed one can be copied as it is.
 *
 * An opened container is written in the small form where it fits; sizes are computed first, from
 * the innermost out, so that nothing is written twice.
 *
 * Limits: the number of changes, the members that inserts and removes may move in all, and the size
 * of the result: no more than what went in can become, so that parts which overlap are found out.
 */
#include "core/value/json_binary_priv.h"

#include "core/base/le.h"
#include "core/base/mem.h"

#include <stdlib.h>

/* What inserting into and removing from the middle may cost: a second or two. */
#define MOVES_MAX (UINT64_C(1) << 31)

#define OVERLAP "the value before has parts that overlap"

struct whole;

struct member {
	const uint8_t *key; /* objects only */
	uint16_t key_size;
	uint8_t type;
	bool open;     /* `whole` holds it, else `raw` */
	uint32_t size; /* of raw */
	union {
		const uint8_t *raw;
		struct whole *whole;
	};
};

/* An opened container. */
struct whole {
	bool object, large;
	uint32_t count, capacity;
	size_t size; /* once written; set by measure() */
	struct member *members;
};

struct editor {
	struct member root;
	struct buf names;
	uint64_t moves;
	size_t unopened; /* bytes of headers that may be opened yet */
	size_t size_max;
	const char *wrong;
};

static bool refuse(struct editor *ed, const char *what)
{
	ed->wrong = what;
	return false;
}

static struct member member_of(const struct json_part *part)
{
	return (struct member){ .type = part->type,
				.size = (uint32_t)part->raw.size,
				.raw = part->raw.data };
}

static void member_done(struct member *m)
{
	if (!m->open)
		return;
	for (uint32_t i = 0; i < m->whole->count; i++)
		member_done(&m->whole->members[i]);
	free(m->whole->members);
	free(m->whole);
}

/* Opens a container; true when it was open already. */
static bool open_member(struct editor *ed, struct member *m)
{
	struct json_part part = { .type = m->type, .raw = slice_of(m->raw, m->size) };
	struct rd in = rd_from(part.raw);
	struct whole *w;
	size_t stored, header;

	if (m->open)
		return true;
	part.count = (uint32_t)rd_le(&in, json_binary_offset_size(json_binary_is_large(m->type)));
	header = json_binary_header_size(json_binary_is_object(m->type),
					 json_binary_is_large(m->type), part.count);
	if (header > ed->unopened)
		return refuse(ed, OVERLAP);
	ed->unopened -= header;
	w = xcalloc(1, sizeof(*w));
	w->object = json_binary_is_object(m->type);
	w->members = xcalloc(part.count + 1u, sizeof(w->members[0]));
	w->capacity = part.count + 1u;
	m->open = true;
	m->whole = w;
	for (uint32_t i = 0; i < part.count; i++) {
		struct json_part inner;
		struct slice key = { NULL, 0 };

		if (!json_binary_member(&part, i, &inner, &stored) ||
		    (w->object && !json_binary_key(&part, i, &key)))
			return refuse(ed, "the value before is damaged");
		w->members[i] = member_of(&inner);
		w->members[i].key = key.data;
		w->members[i].key_size = (uint16_t)key.size;
		w->count++;
	}
	return true;
}

/* ---- finding ---- */

/* Keys are sorted by size, then by bytes. */
static int compare_keys(struct slice a, const struct member *b)
{
	if (a.size != b->key_size)
		return a.size < b->key_size ? -1 : 1;
	return a.size == 0 ? 0 : memcmp(a.data, b->key, a.size);
}

/* Where the key is, or belongs. */
static bool find_key(const struct whole *w, struct slice key, uint32_t *ret_at)
{
	uint32_t low = 0, high = w->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare_keys(key, &w->members[middle]);

		if (order == 0) {
			*ret_at = middle;
			return true;
		}
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_at = low;
	return false;
}

/* Where the leg leads in an opened container; for one that leads nowhere, where it belongs: beyond
 * the end of an array that is its end, before its beginning the beginning. */
static bool find_leg(const struct whole *w, const struct json_leg *leg, uint32_t *ret_at)
{
	switch (leg->kind) {
	case JSON_LEG_MEMBER:
		return find_key(w, leg->name, ret_at);
	case JSON_LEG_CELL:
		*ret_at = leg->index < w->count ? leg->index : w->count;
		return leg->index < w->count;
	case JSON_LEG_FROM_LAST:
		*ret_at = leg->index < w->count ? w->count - 1 - leg->index : 0;
		return leg->index < w->count;
	}
	return false;
}

/* Opens what the leg leads into: an object for a name, an array for a cell. */
static bool open_for(struct editor *ed, struct member *m, const struct json_leg *leg)
{
	if (!m->open && !json_binary_is_container(m->type))
		return refuse(ed, "a path leads into a scalar");
	if ((m->open ? m->whole->object : json_binary_is_object(m->type)) !=
	    (leg->kind == JSON_LEG_MEMBER))
		return refuse(ed, "a path has a name for an array, or a number for an object");
	return open_member(ed, m);
}

/* The opened container that the last leg is about. */
static struct whole *find_parent(struct editor *ed, const struct json_leg *legs, size_t count)
{
	struct member *m = &ed->root;
	uint32_t at;

	for (size_t i = 0; i + 1 < count; i++) {
		if (!open_for(ed, m, &legs[i]))
			return NULL;
		if (!find_leg(m->whole, &legs[i], &at)) {
			ed->wrong = "a path leads nowhere";
			return NULL;
		}
		m = &m->whole->members[at];
	}
	return open_for(ed, m, &legs[count - 1]) ? m->whole : NULL;
}

/* ---- changing ---- */

static bool spend_moves(struct editor *ed, uint32_t moves)
{
	ed->moves += moves;
	return ed->moves <= MOVES_MAX || refuse(ed, "its changes move too many members");
}

static bool insert(struct editor *ed, struct whole *w, uint32_t at, struct member fresh)
{
	if (!spend_moves(ed, w->count - at))
		return false;
	if (w->count == w->capacity) {
		w->capacity *= 2;
		w->members = xrealloc(w->members, w->capacity * sizeof(w->members[0]));
	}
	memmove(w->members + at + 1, w->members + at, (w->count - at) * sizeof(w->members[0]));
	w->members[at] = fresh;
	w->count++;
	return true;
}

static bool remove_at(struct editor *ed, struct whole *w, uint32_t at)
{
	if (!spend_moves(ed, w->count - at))
		return false;
	member_done(&w->members[at]);
	w->count--;
	memmove(w->members + at, w->members + at + 1, (w->count - at) * sizeof(w->members[0]));
	return true;
}

enum operation { OPERATION_REPLACE, OPERATION_INSERT, OPERATION_REMOVE, OPERATION_COUNT };

static bool change(struct editor *ed, enum operation operation, const struct json_leg *legs,
		   size_t count, struct member fresh)
{
	const struct json_leg *last = &legs[count - 1];
	struct whole *w = find_parent(ed, legs, count);
	uint32_t at;
	bool found;

	if (w == NULL)
		return false;
	found = find_leg(w, last, &at);
	if (operation == OPERATION_INSERT) {
		if (w->object && found)
			return refuse(ed, "a member to be inserted is there already");
		if (last->name.size > UINT16_MAX)
			return refuse(ed, "a key is too long");
		fresh.key = last->name.data;
		fresh.key_size = (uint16_t)last->name.size;
		return insert(ed, w, at, fresh);
	}
	if (!found)
		return refuse(ed, "a path leads nowhere");
	if (operation == OPERATION_REMOVE)
		return remove_at(ed, w, at);
	fresh.key = w->members[at].key;
	fresh.key_size = w->members[at].key_size;
	member_done(&w->members[at]);
	w->members[at] = fresh;
	return true;
}

/* operation (1), path and, but for remove, value; both with their size before them */
static bool take_diff(struct editor *ed, struct rd *in)
{
	struct json_leg legs[JSON_BINARY_DEPTH_MAX];
	uint8_t operation = rd_u8(in);
	struct slice path = rd_lenenc_bytes(in), value = { NULL, 0 };
	struct json_part part = { 0 };
	size_t count;

	if (operation != OPERATION_REMOVE)
		value = rd_lenenc_bytes(in);
	if (!rd_ok(in) || operation >= OPERATION_COUNT)
		return refuse(ed, "the changes are damaged");
	if (!json_binary_path(path, &ed->names, legs, &count))
		return refuse(ed, "a path can't be read");
	if (operation != OPERATION_REMOVE && !json_binary_read(value, &part))
		return refuse(ed, "a new value is damaged");
	return change(ed, (enum operation)operation, legs, count, member_of(&part));
}

/* ---- writing ---- */

/* Bytes of the member outside its container's header. */
static size_t stored_size(const struct member *m, bool large)
{
	if (m->open)
		return m->whole->size;
	return json_binary_is_inline(m->type, large) ? 0 : m->size;
}

static size_t container_size(const struct whole *w, bool large)
{
	size_t size = json_binary_header_size(w->object, large, w->count);

	for (uint32_t i = 0; i < w->count; i++)
		size += w->members[i].key_size + stored_size(&w->members[i], large);
	return size;
}

static void measure(struct whole *w)
{
	for (uint32_t i = 0; i < w->count; i++)
		if (w->members[i].open)
			measure(w->members[i].whole);
	w->size = container_size(w, false);
	w->large = w->size > UINT16_MAX;
	if (w->large)
		w->size = container_size(w, true);
}

static uint8_t type_of(const struct member *m)
{
	if (!m->open)
		return m->type;
	if (m->whole->object)
		return m->whole->large ? JSON_LARGE_OBJECT : JSON_SMALL_OBJECT;
	return m->whole->large ? JSON_LARGE_ARRAY : JSON_SMALL_ARRAY;
}

static void put_header(const struct whole *w, struct buf *out)
{
	size_t bytes = json_binary_offset_size(w->large);
	size_t at = json_binary_header_size(w->object, w->large, w->count);

	le_add(out, w->count, bytes);
	le_add(out, w->size, bytes);
	for (uint32_t i = 0; w->object && i < w->count; i++) {
		le_add(out, at, bytes);
		le_add(out, w->members[i].key_size, 2);
		at += w->members[i].key_size;
	}
	for (uint32_t i = 0; i < w->count; i++) {
		const struct member *m = &w->members[i];

		buf_add_u8(out, type_of(m));
		if (!m->open && json_binary_is_inline(m->type, w->large)) {
			buf_add(out, m->raw, m->size);
			le_add(out, 0, bytes - m->size);
			continue;
		}
		le_add(out, at, bytes);
		at += stored_size(m, w->large);
	}
}

static void put_whole(const struct whole *w, struct buf *out)
{
	put_header(w, out);
	for (uint32_t i = 0; w->object && i < w->count; i++)
		buf_add(out, w->members[i].key, w->members[i].key_size);
	for (uint32_t i = 0; i < w->count; i++) {
		const struct member *m = &w->members[i];

		if (m->open)
			put_whole(m->whole, out);
		else if (!json_binary_is_inline(m->type, w->large))
			buf_add(out, m->raw, m->size);
	}
}

static bool put_result(struct editor *ed, struct buf *out)
{
	const struct member *root = &ed->root;

	if (root->open)
		measure(root->whole);
	if ((root->open ? root->whole->size : root->size) > ed->size_max)
		return refuse(ed, OVERLAP);
	buf_add_u8(out, type_of(root));
	if (root->open)
		put_whole(root->whole, out);
	else
		buf_add(out, root->raw, root->size);
	return true;
}

static bool apply(struct editor *ed, struct slice before, struct slice diffs)
{
	struct rd in = rd_from(diffs);
	struct json_part part;
	size_t n = 0;

	if (before.size > UINT32_MAX || diffs.size > UINT32_MAX)
		return refuse(ed, "it is larger than 4 GiB");
	if (!json_binary_read(before, &part))
		return refuse(ed, "the value before is damaged");
	ed->root = member_of(&part);
	(void)buf_reserve(&ed->names, diffs.size);
	while (rd_ok(&in) && rd_left(&in) > 0) {
		if (n++ == JSON_BINARY_DIFFS_MAX)
			return refuse(ed, "it has too many changes");
		if (!take_diff(ed, &in))
			return false;
	}
	return true;
}

int json_binary_apply(struct slice before, struct slice diffs, struct buf *ret_binary,
		      struct err *e)
{
	/* turning small into large at most doubles a container's header */
	struct editor ed = { .unopened = before.size + diffs.size,
			     .size_max = 2 * (before.size + diffs.size) + 64 };
	bool good = apply(&ed, before, diffs) && put_result(&ed, ret_binary);

	member_done(&ed.root);
	buf_done(&ed.names);
	if (good)
		return 0;
	return err_data(e, "a partial update of a JSON value of %zu bytes: %s", before.size,
			ed.wrong);
}
