/* test_encode_plan.c - the bytes of envelopes, keys and event fields against avro-c: random tables
 * of all column types, random images with NULLs, absent columns and values that no Avro type holds.
 *
 * The same datum is put together a second time by avro-c's generic values, with the registered
 * schema, from what the values mean: core/value/value.h's canonical form, decimals by long
 * multiplication, floats and geometries from the stored bytes. It must be written to the same
 * bytes. */
#include "cdc/publish/field_write.h"
#include "cdc/publish/row_plan.h"
#include "core/avro/row_schema.h"
#include "core/avro/schema.h"
#include "core/base/mem.h"
#include "core/value/value.h"
#include "test/lib/random_row.h"
#include "test/unit/unit.h"

#include <avro.h>
#include <math.h>
#include <string.h>

#define COLUMNS 60
#define DATUM_MAX (1024 * 1024)

static void must(int rc)
{
	ck_assert_msg(rc == 0, "avro-c: %s", avro_strerror());
}

/* ---- avro-c -----------------------------------------------------------------------------------
 */

struct oracle {
	avro_schema_t schema;
	avro_value_iface_t *iface;
	avro_value_t value;
};

static void oracle_begin(struct oracle *o, struct buf *schema)
{
	must(avro_schema_from_json_length((const char *)schema->data, schema->size, &o->schema));
	o->iface = avro_generic_class_from_schema(o->schema);
	ck_assert_ptr_nonnull(o->iface);
	must(avro_generic_value_new(o->iface, &o->value));
}

static void oracle_end(struct oracle *o)
{
	avro_value_decref(&o->value);
	avro_value_iface_decref(o->iface);
	avro_schema_decref(o->schema);
}

/* What avro-c writes is what we wrote. */
static void oracle_same(struct oracle *o, struct slice ours)
{
	char *room = xmalloc(DATUM_MAX);
	avro_writer_t writer = avro_writer_memory(room, DATUM_MAX);
	size_t size, at = 0;

	must(avro_value_write(writer, &o->value));
	size = (size_t)avro_writer_tell(writer);
	while (at < size && at < ours.size && (uint8_t)room[at] == ours.data[at])
		at++;
	ck_assert_msg(size == ours.size && at == size,
		      "%zu bytes, avro-c has %zu; they differ from byte %zu on", ours.size, size,
		      at);
	avro_writer_free(writer);
	free(room);
}

static avro_value_t field(avro_value_t *record, const char *name)
{
	avro_value_t f;

	ck_assert_msg(avro_value_get_by_name(record, name, &f, NULL) == 0, "no field %s", name);
	return f;
}

static avro_value_t branch(avro_value_t *parent, int which)
{
	avro_value_t b = { NULL, NULL };

	must(avro_value_set_branch(parent, which, &b));
	return b;
}

static void put_string(avro_value_t *v, struct slice text)
{
	char *copy = xstrndup("", 0); /* avro-c counts the NUL behind it */

	copy = xrealloc(copy, text.size + 1);
	if (text.size > 0)
		memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	must(avro_value_set_string_len(v, copy, text.size + 1));
	free(copy);
}

static void put_bytes(avro_value_t *v, const void *data, size_t size)
{
	must(avro_value_set_bytes(v, (void *)(uintptr_t)(size > 0 ? data : ""), size));
}

/* ---- what a value means -----------------------------------------------------------------------
 */

/* Decimal text as an unscaled two's complement number, big-endian, as short as it gets. */
static void put_decimal(avro_value_t *v, struct slice text)
{
	uint8_t number[40] = { 0 };
	bool negative = text.size > 0 && text.data[0] == '-', zero = true;
	size_t from = 0;

	for (size_t i = 0; i < text.size; i++) {
		unsigned carry;

		if (text.data[i] < '0' || text.data[i] > '9')
			continue;
		carry = text.data[i] - '0';
		for (size_t k = sizeof(number); k > 0; k--) {
			carry += number[k - 1] * 10u;
			number[k - 1] = (uint8_t)carry;
			carry >>= 8;
		}
	}
	for (size_t k = 0; k < sizeof(number); k++)
		zero = zero && number[k] == 0;
	if (negative && !zero) {
		unsigned carry = 1;

		for (size_t k = sizeof(number); k > 0; k--) {
			carry += (uint8_t)~number[k - 1];
			number[k - 1] = (uint8_t)carry;
			carry >>= 8;
		}
	}
	while (from + 1 < sizeof(number) && ((number[from] == 0 && number[from + 1] < 0x80) ||
					     (number[from] == 0xff && number[from + 1] >= 0x80)))
		from++;
	put_bytes(v, number + from, sizeof(number) - from);
}

static void put_labels(avro_value_t *v, struct slice text)
{
	avro_value_t item;

	while (text.size > 0) { /* no label of ours has a comma */
		const uint8_t *comma = memchr(text.data, ',', text.size);
		size_t size = comma == NULL ? text.size : (size_t)(comma - text.data);

		must(avro_value_append(v, &item, NULL));
		put_string(&item, slice_of(text.data, size));
		text = comma == NULL ? slice_of("", 0) : slice_of(comma + 1, text.size - size - 1);
	}
}

static void put_vector(avro_value_t *v, const struct cell *cell)
{
	avro_value_t item;
	float f;

	for (uint32_t at = 0; at < cell->size; at += 4) {
		memcpy(&f, cell->data + at, 4);
		must(avro_value_append(v, &item, NULL));
		must(avro_value_set_float(&item, f));
	}
}

static void put_geometry(avro_value_t *v, const struct cell *cell)
{
	avro_value_t srid = field(v, "srid"), wkb = field(v, "wkb");
	uint32_t number;

	memcpy(&number, cell->data, 4);
	must(avro_value_set_long(&srid, number));
	put_bytes(&wkb, cell->data + 4, cell->size - 4);
}

static void put_value(avro_value_t *v, const struct column *c, const struct cell *cell,
		      const struct value *own)
{
	bool decimal = c->type == COLUMN_NEWDECIMAL ||
		       (c->type == COLUMN_LONGLONG && c->is_unsigned);

	if (c->type == COLUMN_GEOMETRY) {
		put_geometry(v, cell);
	} else if (c->type == COLUMN_VECTOR) {
		put_vector(v, cell);
	} else if (c->type == COLUMN_SET) {
		put_labels(v, own->bytes);
	} else if (decimal) {
		put_decimal(v, own->bytes);
	} else if (own->kind == VALUE_TEXT) {
		put_string(v, own->bytes);
	} else if (own->kind == VALUE_BYTES) {
		put_bytes(v, own->bytes.data, own->bytes.size);
	} else if (own->kind == VALUE_DOUBLE) {
		must(c->type == COLUMN_FLOAT ? avro_value_set_float(v, (float)own->d)
					     : avro_value_set_double(v, own->d));
	} else if (avro_value_get_type(v) == AVRO_BOOLEAN) {
		must(avro_value_set_boolean(v, own->i == 1));
	} else if (avro_value_get_type(v) == AVRO_INT32) {
		must(avro_value_set_int(v, (int32_t)own->i));
	} else {
		must(avro_value_set_long(v, own->i));
	}
}

/* Not in Avro: GEOMETRY too short for its SRID. */
static bool is_exact(const struct column *c, const struct cell *cell, struct buf *scratch,
		     struct value *ret_own)
{
	bool exact = value_from_cell(c, cell, scratch, ret_own);

	return exact && !(c->type == COLUMN_GEOMETRY && cell->size < 4);
}

/* ---- the whole envelope -----------------------------------------------------------------------
 */

struct notes {
	size_t absent, exact;
	avro_value_t absent_list, exact_map;
};

static void note_absent(struct oracle *o, struct notes *n, const char *name)
{
	avro_value_t f = field(&o->value, "absent"), item;

	if (n->absent++ == 0)
		n->absent_list = branch(&f, 1);
	must(avro_value_append(&n->absent_list, &item, NULL));
	put_string(&item, slice_str(name));
}

static void note_exact(struct oracle *o, struct notes *n, const char *name, struct slice text)
{
	avro_value_t f = field(&o->value, "exact"), item;

	if (n->exact++ == 0)
		n->exact_map = branch(&f, 1);
	must(avro_value_add(&n->exact_map, name, &item, NULL, NULL));
	put_string(&item, text);
}

static void put_hex(struct buf *room, struct slice *bytes)
{
	size_t from = room->size;
	struct slice was = *bytes;
	struct buf hex = BUF_INIT;

	buf_add_str(&hex, "0x");
	for (size_t i = 0; i < was.size; i++)
		buf_add_format(&hex, "%02x", was.data[i]);
	buf_add_slice(room, buf_slice(&hex));
	*bytes = slice_of(room->data + from, hex.size);
	buf_done(&hex);
}

static void put_image(struct oracle *o, struct notes *n, const char *which, const struct shape *s,
		      const struct cell *cells)
{
	avro_value_t image = field(&o->value, which), row, f, present;
	struct buf scratch = BUF_INIT, name = BUF_INIT;
	struct value own;

	if (cells == NULL) {
		(void)branch(&image, 0);
		return;
	}
	row = branch(&image, 1);
	for (uint16_t i = 0; i < s->column_count; i++) {
		const struct column *c = &s->columns[i];
		bool exact = true;

		buf_reset(&scratch);
		buf_reset(&name);
		buf_add_format(&name, "%s.%s", which, c->name);
		must(avro_value_get_by_index(&row, i, &f, NULL));
		if (cells[i].state == CELL_VALUE)
			exact = is_exact(c, &cells[i], &scratch, &own);
		if (cells[i].state == CELL_VALUE && exact) {
			present = branch(&f, 1);
			put_value(&present, c, &cells[i], &own);
			continue;
		}
		(void)branch(&f, 0);
		if (cells[i].state == CELL_ABSENT)
			note_absent(o, n, buf_cstr(&name));
		if (!exact && own.kind == VALUE_BYTES) /* no text, no text of another form */
			put_hex(&scratch, &own.bytes);
		if (!exact)
			note_exact(o, n, buf_cstr(&name), own.bytes);
	}
	buf_done(&scratch);
	buf_done(&name);
}

static void put_source(struct oracle *o, const struct row_meta *meta)
{
	avro_value_t source = field(&o->value, "source"), f;

	f = field(&source, "seq");
	must(avro_value_set_long(&f, meta->seq));
	f = field(&source, "gtid");
	put_string(&f, slice_str(meta->transaction));
	f = field(&source, "ts_us");
	must(avro_value_set_long(&f, meta->commit_us));
	f = field(&source, "snapshot");
	must(avro_value_set_boolean(&f, meta->op == CHANGE_READ));
	f = field(&source, "name");
	put_string(&f, slice_str("cap"));
	f = field(&source, "db");
	put_string(&f, slice_str("db"));
	f = field(&source, "table");
	put_string(&f, slice_str("t"));
}

static void put_envelope(struct oracle *o, struct notes *n, const struct shape *s,
			 const struct row_meta *meta, const struct cell *before,
			 const struct cell *after)
{
	char op[2] = { (char)meta->op, '\0' };
	avro_value_t f, t;

	must(avro_value_reset(&o->value));
	put_source(o, meta);
	f = field(&o->value, "op");
	put_string(&f, slice_str(op));
	f = field(&o->value, "ts_ms");
	must(avro_value_set_long(&f, meta->now_ms));
	f = field(&o->value, "transaction");
	t = branch(&f, 1);
	f = field(&t, "id");
	put_string(&f, slice_str(meta->transaction));
	f = field(&t, "total_order");
	must(avro_value_set_long(&f, meta->order));
	f = field(&o->value, "absent");
	(void)branch(&f, 0);
	f = field(&o->value, "exact");
	(void)branch(&f, 0);
	f = field(&o->value, "parked");
	(void)branch(&f, 0);
	put_image(o, n, "before", s, before);
	put_image(o, n, "after", s, after);
}

static void drop_some(struct cell *cells)
{
	for (int i = 0; i < COLUMNS; i++)
		if (unit_random_below(5) == 0)
			cells[i] = (struct cell){ .state = CELL_ABSENT };
}

static struct row_meta random_meta(void)
{
	static const enum change_op ops[] = { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE,
					      CHANGE_READ };

	return (struct row_meta){ .op = ops[unit_random_below(4)],
				  .seq = (int64_t)unit_random64(),
				  .commit_us = (int64_t)unit_random64(),
				  .now_ms = (int64_t)(unit_random64() >> unit_random_below(64)),
				  .order = (int64_t)unit_random_below(1000),
				  .transaction = "0-1-2" };
}

START_TEST(test_envelopes)
{
	struct buf text = BUF_INIT, older = BUF_INIT, image = BUF_INIT, datum = BUF_INIT;
	struct cell before[COLUMNS], after[COLUMNS];
	struct err e = ERR_INIT;
	size_t exact = 0, absent = 0;

	(void)unit_seed();
	for (int round = 0; round < 15; round++) {
		struct shape *s = random_row_shape(unit_random_below, COLUMNS);
		struct row_plan *plan = row_plan_new("cap", s);
		struct oracle o;

		buf_reset(&text);
		ck_assert(row_schema_envelope("cap", s, &text, &e) == 0);
		oracle_begin(&o, &text);
		for (int row = 0; row < 40; row++) {
			struct row_meta meta = random_meta();
			struct notes n = { .absent = 0 };
			bool has_before = meta.op == CHANGE_UPDATE || meta.op == CHANGE_DELETE;
			bool has_after = meta.op != CHANGE_DELETE;
			size_t inexact;

			random_row(unit_random_below, s, &older, before);
			random_row(unit_random_below, s, &image, after);
			if (row % 3 == 0) {
				drop_some(before);
				drop_some(after);
			}
			put_envelope(&o, &n, s, &meta, has_before ? before : NULL,
				     has_after ? after : NULL);
			buf_reset(&datum);
			inexact = row_plan_envelope(plan, &meta, has_before ? before : NULL,
						    has_after ? after : NULL, &datum, NULL);
			ck_assert_uint_eq(inexact, n.exact);
			oracle_same(&o, buf_slice(&datum));
			exact += n.exact;
			absent += n.absent;
		}
		oracle_end(&o);
		row_plan_free(plan);
		shape_unref(s);
	}
	printf("%zu values inexact, %zu absent\n", exact, absent);
	ck_assert(exact > 100 && absent > 100);
	buf_done(&text);
	buf_done(&older);
	buf_done(&image);
	buf_done(&datum);
}
END_TEST

/* A few columns as the key; those of no exact value refuse it. */
static void check_key(struct shape *s, struct oracle *o, const struct cell *cells)
{
	struct row_plan *plan = row_plan_new("cap", s);
	struct buf datum = BUF_INIT, scratch = BUF_INIT;
	bool exact = true;
	struct err e = ERR_INIT;
	struct value own;
	avro_value_t f;

	must(avro_value_reset(&o->value));
	for (uint16_t k = 0; k < s->key_count && exact; k++) {
		const struct column *c = &s->columns[s->key[k]];
		const struct cell *cell = &cells[s->key[k]];

		buf_reset(&scratch);
		exact = cell->state == CELL_VALUE && is_exact(c, cell, &scratch, &own);
		if (!exact)
			break;
		must(avro_value_get_by_index(&o->value, k, &f, NULL));
		put_value(&f, c, cell, &own);
	}
	ck_assert((row_plan_key(plan, cells, &datum, &e) == 0) == exact);
	if (exact)
		oracle_same(o, buf_slice(&datum));
	row_plan_free(plan);
	buf_done(&datum);
	buf_done(&scratch);
}

START_TEST(test_keys)
{
	struct buf text = BUF_INIT, image = BUF_INIT;
	struct cell cells[COLUMNS];
	struct err e = ERR_INIT;

	(void)unit_seed();
	for (int round = 0; round < 100; round++) {
		struct shape *s = random_row_shape(unit_random_below, COLUMNS);
		uint16_t first = (uint16_t)unit_random_below(COLUMNS - 3);
		struct oracle o;

		s->key_count = (uint16_t)(1 + unit_random_below(3));
		s->key = xcalloc(s->key_count, sizeof(*s->key));
		for (uint16_t k = 0; k < s->key_count; k++)
			s->key[k] = (uint16_t)(first + s->key_count - 1 - k);
		buf_reset(&text);
		ck_assert(row_schema_key("cap", s, &text, &e) == 0);
		oracle_begin(&o, &text);
		for (int row = 0; row < 10; row++) {
			random_row(unit_random_below, s, &image, cells);
			check_key(s, &o, cells);
		}
		oracle_end(&o);
		shape_unref(s);
	}
	buf_done(&text);
	buf_done(&image);
}
END_TEST

/* ---- fields of published events ---------------------------------------------------------------
 */

static const char *const field_types[] = {
	"\"boolean\"",
	"\"int\"",
	"\"long\"",
	"\"float\"",
	"\"double\"",
	"\"string\"",
	"\"bytes\"",
	"{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}",
	"{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}",
};

static const double reals[] = { 0.0, -0.0, 1.0, 0.5, 0.1, -2.25, 1e300, 16777217.0, 9e15 };
/* as the servers print them */
static const char *const real_texts[] = { "0",	   "-0",    "1",	"0.5", "0.1",
					  "-2.25", "1e300", "16777217", "9e15" };

static const char *text_of_real(double d)
{
	for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++)
		if (memcmp(&reals[i], &d, sizeof(d)) == 0)
			return real_texts[i];
	ck_abort_msg("no text for %a", d);
}

static struct value random_value(struct buf *room)
{
	static const int64_t whole[] = { 0,          1,         2,
					 -1,         -999,      -1000,
					 -1001,      INT32_MAX, INT32_MIN,
					 2147483648, INT64_MAX, INT64_MIN,
					 1 << 24,    16777217,  9007199254740993 };

	buf_reset(room);
	switch (unit_random_below(5)) {
	case 0:
		return (struct value){ .kind = VALUE_INT, .i = whole[unit_random_below(15)] };
	case 1:
		return (struct value){ .kind = VALUE_INT,
				       .i = (int64_t)unit_random64() >> unit_random_below(64) };
	case 2:
		return (struct value){ .kind = VALUE_DOUBLE, .d = reals[unit_random_below(9)] };
	default:
		for (uint64_t n = unit_random_below(9); n > 0; n--)
			buf_add_u8(room, (uint8_t)('a' + unit_random_below(26)));
		return (struct value){ .kind = unit_random_below(2) ? VALUE_TEXT : VALUE_BYTES,
				       .bytes = slice_of(room->data, room->size) };
	}
}

/* Puts the value, if the type can hold it: by arithmetic that has room for all of them. */
static bool put_field(avro_value_t *f, bool millis, const struct value *v)
{
	bool is_int = v->kind == VALUE_INT, is_real = v->kind == VALUE_DOUBLE;
	bool is_whole = is_int || (is_real && fabs(v->d) <= 9.2e18 && floor(v->d) == v->d);
	__int128 n = is_int ? (__int128)v->i : is_whole ? (__int128)v->d : 0;
	double d = is_int ? (double)v->i : v->d;
	char text[64];

	if (millis)
		n = n >= 0 ? n / 1000 : (n - 999) / 1000;
	switch ((int)avro_value_get_type(f)) { /* int: not every type is expected */
	case AVRO_BOOLEAN:
		return is_int && (n == 0 || n == 1) && avro_value_set_boolean(f, n == 1) == 0;
	case AVRO_INT32:
		return is_whole && n >= INT32_MIN && n <= INT32_MAX &&
		       avro_value_set_int(f, (int32_t)n) == 0;
	case AVRO_INT64:
		return is_whole && avro_value_set_long(f, (int64_t)n) == 0;
	case AVRO_FLOAT:
		return (is_int ? (__int128)(float)v->i == n
			       : is_real && (double)(float)v->d == v->d) &&
		       avro_value_set_float(f, (float)d) == 0;
	case AVRO_DOUBLE:
		return (is_int ? (__int128)d == n : is_real) && avro_value_set_double(f, d) == 0;
	case AVRO_BYTES:
		if (is_int || is_real)
			return false;
		put_bytes(f, v->bytes.data, v->bytes.size);
		return true;
	default:
		if (v->kind == VALUE_BYTES)
			return false;
		if (is_int)
			snprintf(text, sizeof(text), "%" PRId64, v->i);
		else if (is_real)
			snprintf(text, sizeof(text), "%s", text_of_real(v->d));
		put_string(f, is_int || is_real ? slice_str(text) : v->bytes);
		return true;
	}
}

START_TEST(test_fields)
{
	struct buf room = BUF_INIT, datum = BUF_INIT, text = BUF_INIT;
	int refused = 0, written = 0;
	struct err e = ERR_INIT;

	(void)unit_seed();
	for (size_t t = 0; t < sizeof(field_types) / sizeof(field_types[0]); t++) {
		struct schema *type;
		struct oracle o;

		buf_reset(&text);
		buf_add_str(&text, field_types[t]);
		ck_assert(schema_parse(buf_slice(&text), &type, &e) == 0);
		ck_assert(field_write_accepts(type));
		oracle_begin(&o, &text);
		for (int i = 0; i < 2000; i++) {
			struct value v = random_value(&room);
			bool holds = put_field(&o.value, t == 7, &v);

			buf_reset(&datum);
			ck_assert_msg((field_write(type, &v, &datum) == 0) == holds,
				      "%s: kind %u, %" PRId64 ", %a", field_types[t], v.kind, v.i,
				      v.d);
			if (holds)
				oracle_same(&o, buf_slice(&datum));
			else
				ck_assert_uint_eq(datum.size, 0);
			refused += !holds;
			written += holds;
		}
		oracle_end(&o);
		schema_free(type);
	}
	printf("%d written, %d refused\n", written, refused);
	buf_done(&room);
	buf_done(&datum);
	buf_done(&text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("encode_plan");

	unit_test_slow(s, test_envelopes, 120);
	unit_test_slow(s, test_keys, 120);
	unit_test_slow(s, test_fields, 120);
	return unit_run(s);
}
