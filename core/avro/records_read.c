/*
 * records_read.c - Avro into structs, by the schema the record was written with.
 *
 * The writer's fields are walked in their order and looked up by name in the struct's table (the
 * next one in the table is tried first, so with our own schema a look-up is one comparison). What
 * the table doesn't know is walked over. Unions are unwrapped whatever they are; null gives zero.
 *
 * All that a record points to lies in chunks of one chain, released together. Counts come from
 * outside: an array grows with the items that are really there, up to RECORDS_ITEMS_MAX.
 */
#include "core/avro/records_priv.h"

#include "core/avro/decode.h"
#include "core/avro/decode_priv.h"
#include "core/base/mem.h"

#include <stdlib.h>

/* Ten thousand small ones are kept side by side when a position is read: the first block of each
 * is small. */
#define BLOCK_FIRST 256
#define BLOCK_MAX 4096

struct records_memory {
	struct records_memory *next;
	size_t used, size;
	max_align_t data[];
};

struct known {
	int32_t id;
	struct schema *schema;
};

struct records_reader {
	records_lookup_fn lookup;
	void *context;
	struct known *known;
	size_t known_count;
	struct schema *own[RECORD_KINDS]; /* parsed when first needed */
	struct buf passed_over;
};

struct reading {
	struct rd in;
	int64_t steps;
	int64_t previous; /* MEMBER_DELTA of the item before */
	struct records_memory *memory;
	struct buf *passed_over;
	const char *unfit; /* first field whose type can't be its member's */
};

static void read_record(struct reading *r, const struct schema *s, const struct record_type *type,
			void *record);

/* ---- memory -------------------------------------------------------------------------------- */

static void *take(struct reading *r, size_t size)
{
	struct records_memory *m = r->memory;
	void *at;

	size = (size + 15) & ~(size_t)15;
	if (m == NULL || m->size - m->used < size) {
		size_t room = m == NULL ? BLOCK_FIRST : m->size * 2;

		room = room < BLOCK_MAX ? room : BLOCK_MAX;
		room = room > size ? room : size;
		m = xmalloc(sizeof(*m) + room);
		m->next = r->memory;
		m->used = 0;
		m->size = room;
		r->memory = m;
	}
	at = (char *)m->data + m->used;
	m->used += size;
	return at;
}

static void memory_free(struct records_memory *m)
{
	while (m != NULL) {
		struct records_memory *next = m->next;

		free(m);
		m = next;
	}
}

/* Room for one more item in an array of `count` that has room for *capacity. The old place stays
 * unused in its chunk. */
static void *grown(struct reading *r, void *items, size_t count, size_t *capacity, size_t expected,
		   size_t size)
{
	void *larger;

	if (count < *capacity)
		return items;
	if (expected > rd_left(&r->in))
		expected = rd_left(&r->in);
	*capacity = 2 * count > expected ? 2 * count : expected;
	if (*capacity < 4)
		*capacity = 4;
	if (*capacity > RECORDS_ITEMS_MAX)
		*capacity = RECORDS_ITEMS_MAX;
	larger = take(r, *capacity * size);
	if (count > 0)
		memcpy(larger, items, count * size);
	return larger;
}

/* ---- members ------------------------------------------------------------------------------- */

static const struct schema *unwrapped(struct reading *r, const struct schema *s)
{
	int64_t branch;

	if (s->type != SCHEMA_UNION)
		return s;
	branch = read_long(&r->in);
	if (branch >= 0 && (uint64_t)branch < s->count)
		return s->branches[branch];
	rd_fail(&r->in);
	return s->branches[0];
}

static bool unfit(struct reading *r, const struct member *m, bool fits)
{
	if (!fits && r->unfit == NULL)
		r->unfit = m->name;
	if (!fits)
		rd_fail(&r->in);
	return !fits;
}

static const char *take_text(struct reading *r)
{
	struct slice s = read_bytes(&r->in);
	char *text = take(r, s.size + 1);

	memcpy(text, s.data, s.size);
	text[s.size] = '\0';
	return text;
}

static struct slice take_bytes(struct reading *r)
{
	struct slice s = read_bytes(&r->in);
	void *bytes = take(r, s.size + 1); /* never NULL: that would be null */

	memcpy(bytes, s.data, s.size);
	return slice_of(bytes, s.size);
}

/* Items left in an array: the next block when the last one is through. */
static bool next_item(struct reading *r, int64_t *left)
{
	if (*left == 0)
		*left = read_block(&r->in);
	if (*left == 0 || !rd_ok(&r->in))
		return false;
	--*left;
	if (--r->steps < 0)
		rd_fail(&r->in);
	return rd_ok(&r->in);
}

static void read_texts(struct reading *r, const struct member *m, const struct schema *s,
		       struct record_texts *texts)
{
	size_t capacity = 0;
	int64_t left = 0;

	if (unfit(r, m, s->type == SCHEMA_ARRAY && s->items->type == SCHEMA_STRING))
		return;
	while (next_item(r, &left)) {
		if (texts->count >= RECORDS_ITEMS_MAX) {
			rd_fail(&r->in);
			return;
		}
		texts->items = grown(r, texts->items, texts->count, &capacity, (size_t)left + 1,
				     sizeof(*texts->items));
		texts->items[texts->count++] = take_text(r);
	}
}

static void read_records(struct reading *r, const struct member *m, const struct schema *s,
			 void *record)
{
	size_t capacity = 0, *count = records_count(m, record);
	void *items = NULL;
	int64_t left = 0;

	if (unfit(r, m, s->type == SCHEMA_ARRAY && s->items->type == SCHEMA_RECORD))
		return;
	r->previous = 0;
	while (next_item(r, &left)) {
		if (*count >= RECORDS_ITEMS_MAX) {
			rd_fail(&r->in);
			return;
		}
		items = grown(r, items, *count, &capacity, (size_t)left + 1, m->type->size);
		read_record(r, s->items, m->type, (char *)items + *count * m->type->size);
		++*count;
	}
	*(void **)records_at(m, record) = items;
}

static int64_t read_number(struct reading *r, const struct member *m, const struct schema *s)
{
	if (unfit(r, m, s->type == SCHEMA_INT || s->type == SCHEMA_LONG))
		return 0;
	return read_long(&r->in);
}

static void read_delta(struct reading *r, const struct member *m, const struct schema *s,
		       int64_t *at)
{
	*at = (int64_t)((uint64_t)r->previous + (uint64_t)read_number(r, m, s));
	r->previous = *at;
}

static void read_part(struct reading *r, const struct member *m, const struct schema *s,
		      void *record)
{
	void *part;

	if (unfit(r, m, s->type == SCHEMA_RECORD))
		return;
	part = take(r, m->type->size);
	read_record(r, s, m->type, part);
	*(void **)records_at(m, record) = part;
}

static void read_member(struct reading *r, const struct member *m, const struct schema *s,
			void *record)
{
	void *at = records_at(m, record);
	int64_t v;

	switch (m->kind) {
	case MEMBER_LONG:
		*(int64_t *)at = read_number(r, m, s);
		break;
	case MEMBER_DELTA:
		read_delta(r, m, s, at);
		break;
	case MEMBER_INT:
		v = read_number(r, m, s);
		if (!unfit(r, m, v >= INT32_MIN && v <= INT32_MAX))
			*(int32_t *)at = (int32_t)v;
		break;
	case MEMBER_BOOL:
		if (!unfit(r, m, s->type == SCHEMA_BOOLEAN))
			*(bool *)at = read_bool(&r->in);
		break;
	case MEMBER_DOUBLE:
		if (!unfit(r, m, s->type == SCHEMA_DOUBLE))
			*(double *)at = read_double(&r->in);
		break;
	case MEMBER_TEXT:
	case MEMBER_TEXT_OR_NULL:
		if (!unfit(r, m, s->type == SCHEMA_STRING))
			*(const char **)at = take_text(r);
		break;
	case MEMBER_BYTES:
	case MEMBER_BYTES_OR_NULL:
		if (!unfit(r, m, s->type == SCHEMA_BYTES))
			*(struct slice *)at = take_bytes(r);
		break;
	case MEMBER_TEXTS:
		read_texts(r, m, s, at);
		break;
	case MEMBER_RECORD_OR_NULL:
		read_part(r, m, s, record);
		break;
	case MEMBER_RECORDS:
		read_records(r, m, s, record);
		break;
	}
}

static const struct member *find_member(const struct record_type *type, const char *name,
					size_t *next)
{
	for (size_t i = 0; i < type->member_count; i++) {
		size_t at = *next + i < type->member_count ? *next + i
							   : *next + i - type->member_count;

		if (strcmp(type->members[at].name, name) == 0) {
			*next = at + 1;
			return &type->members[at];
		}
	}
	return NULL;
}

static void read_record(struct reading *r, const struct schema *s, const struct record_type *type,
			void *record)
{
	size_t next = 0;

	memset(record, 0, type->size);
	for (size_t i = 0; i < type->member_count; i++) {
		if (type->members[i].kind == MEMBER_TEXT)
			*(const char **)records_at(&type->members[i], record) = "";
	}
	for (size_t i = 0; i < s->count && rd_ok(&r->in); i++) {
		const struct member *m = find_member(type, s->fields[i].name, &next);
		const struct schema *field = s->fields[i].schema;

		if (m == NULL) {
			buf_reset(r->passed_over);
			decode_json_value(field, &r->in, &r->steps, r->passed_over);
			continue;
		}
		field = unwrapped(r, field);
		if (field->type != SCHEMA_NULL)
			read_member(r, m, field, record);
	}
}

/* ---- schemas ------------------------------------------------------------------------------- */

struct records_reader *records_reader_new(records_lookup_fn lookup, void *context)
{
	struct records_reader *reader = xcalloc(1, sizeof(*reader));

	reader->lookup = lookup;
	reader->context = context;
	return reader;
}

void records_reader_free(struct records_reader *reader)
{
	if (reader == NULL)
		return;
	for (size_t i = 0; i < reader->known_count; i++)
		schema_free(reader->known[i].schema);
	for (size_t i = 0; i < RECORD_KINDS; i++)
		schema_free(reader->own[i]);
	buf_done(&reader->passed_over);
	free(reader->known);
	free(reader);
}

static int schema_of(struct records_reader *reader, enum record_kind kind, int32_t id,
		     const struct schema **ret_schema, struct err *e)
{
	struct schema *schema;
	const char *text;

	if (reader->lookup == NULL) {
		if (reader->own[kind] == NULL &&
		    schema_parse(slice_str(records_schema_text(kind)), &reader->own[kind], e) < 0)
			return -1;
		*ret_schema = reader->own[kind];
		return 0;
	}
	for (size_t i = 0; i < reader->known_count; i++) {
		if (reader->known[i].id == id) {
			*ret_schema = reader->known[i].schema;
			return 0;
		}
	}
	if (reader->lookup(reader->context, id, &text, e) < 0 ||
	    schema_parse(slice_str(text), &schema, e) < 0)
		return err_wrap(e, "schema %d", id);
	reader->known = xrealloc(reader->known, (reader->known_count + 1) * sizeof(*reader->known));
	reader->known[reader->known_count++] = (struct known){ id, schema };
	*ret_schema = schema;
	return 0;
}

/* *record is as large as its type says. */
static int read_kind(struct records_reader *reader, enum record_kind kind, struct slice wire,
		     void *record, struct records_memory **ret_memory, struct err *e)
{
	static const char *const names[] = { "commit", "position", "status", "parked" };
	struct reading r = { .in = rd_from(wire), .steps = decode_steps(wire.size) };
	const struct schema *schema = NULL;
	int32_t id;

	if (decode_wire_id(wire, &id, e) < 0 || schema_of(reader, kind, id, &schema, e) < 0)
		return err_wrap(e, "%s record", names[kind]);
	if (schema->type != SCHEMA_RECORD)
		return err_data(e, "%s record: schema %d is no record", names[kind], id);
	r.passed_over = &reader->passed_over;
	rd_skip(&r.in, DECODE_WIRE_HEADER);
	read_record(&r, schema, &records_types[kind], record);
	if (rd_end(&r.in)) {
		*ret_memory = r.memory;
		return 0;
	}
	memory_free(r.memory);
	if (r.unfit != NULL)
		return err_data(e, "%s record: schema %d has another type for field %s",
				names[kind], id, r.unfit);
	if (!rd_ok(&r.in))
		return err_data(e, "%s record: no value of schema %d at byte %zu of %zu",
				names[kind], id, r.in.at, r.in.size);
	return err_data(e, "%s record: %zu bytes left over behind its %zu", names[kind],
			rd_left(&r.in), r.in.at);
}

/* clang-format off */
#define READ_KIND(KIND, kind) \
	int records_read_##kind(struct records_reader *reader, struct slice wire, \
		struct kind##_record *ret_record, struct err *e) \
	{ \
		struct kind##_record record; \
		struct records_memory *memory; \
\
		if (read_kind(reader, KIND, wire, &record, &memory, e) < 0) \
			return -1; \
		record.memory = memory; \
		*ret_record = record; \
		return 0; \
	} \
\
	void records_done_##kind(struct kind##_record *r) \
	{ \
		memory_free(r->memory); \
		memset(r, 0, sizeof(*r)); \
	}
/* clang-format on */

READ_KIND(RECORD_COMMIT, commit)
READ_KIND(RECORD_POSITION, position)
READ_KIND(RECORD_STATUS, status)
READ_KIND(RECORD_PARKED, parked)
