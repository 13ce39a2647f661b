/* test_row_back.c - envelopes back into cells: for random tables of all types and random values
 * (also those that no Avro type holds), what was encoded comes back byte for byte; across shapes
 * that differ, what is left means the same; cut and changed bytes are refused or harmless. */
#include "cdc/publish/row_back.h"
#include "cdc/publish/row_plan.h"
#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "test/lib/random_row.h"
#include "test/unit/unit.h"

#include <string.h>

#define COLUMNS 60
#define LATIN1 8

static uint64_t below(uint64_t n)
{
	return unit_random64() % n;
}

static void encode(const struct shape *s, const struct cell *before, const struct cell *after,
		   struct buf *datum)
{
	struct row_plan *plan = row_plan_new("n", (struct shape *)(uintptr_t)s);
	struct row_meta meta = { .op = before == NULL ? CHANGE_CREATE : CHANGE_UPDATE,
				 .seq = 77,
				 .transaction = "0-1-2" };

	buf_reset(datum);
	(void)row_plan_envelope(plan, &meta, before, after, datum, NULL);
	row_plan_free(plan);
}

static struct row_back *back_of(const struct shape *written, struct shape *now)
{
	struct buf text = BUF_INIT;
	struct row_back *b = NULL;
	struct err e = ERR_INIT;

	ck_assert(row_schema_envelope("n", written, &text, &e) == 0);
	ck_assert_msg(row_back_new(buf_slice(&text), now, &b, &e) == 0, "%s", e.msg);
	buf_done(&text);
	return b;
}

static void same_cells(const struct shape *s, const struct cell *want, const struct cell *got)
{
	char type[64];

	for (uint16_t i = 0; i < s->column_count; i++) {
		if (row_cell_same(&s->columns[i], &want[i], &got[i]))
			continue;
		for (uint32_t k = 0; k < want[i].size && k < 40; k++)
			printf("%02x", want[i].data[k]);
		printf(" -> ");
		for (uint32_t k = 0; k < got[i].size && k < 40; k++)
			printf("%02x", got[i].data[k]);
		ck_abort_msg("\ncolumn %u (%s, collation %u, fraction %u): state %u -> %u, size %u "
			     "-> %u",
			     i, column_type_text(&s->columns[i], type, sizeof(type)),
			     s->columns[i].collation, s->columns[i].fraction, want[i].state,
			     got[i].state, want[i].size, got[i].size);
	}
}

START_TEST(test_every_value_comes_back)
{
	struct buf image = BUF_INIT, older = BUF_INIT, datum = BUF_INIT, bytes = BUF_INIT;
	struct cell cells[COLUMNS], before[COLUMNS], got[COLUMNS];

	unit_seed();
	for (int round = 0; round < 40; round++) {
		struct shape *s = random_row_shape(below, COLUMNS);
		struct row_back *b = back_of(s, s);

		for (int row = 0; row < 100; row++) {
			struct row_back_record r;
			struct err e = ERR_INIT;

			random_row(below, s, &image, cells);
			random_row(below, s, &older, before);
			encode(s, before, cells, &datum);
			ck_assert_msg(row_back_read(b, buf_slice(&datum), &r, &e) == 0, "%s",
				      e.msg);
			ck_assert(r.has_before && r.has_after && !r.parked);
			ck_assert_int_eq(r.op, 'u');
			ck_assert_int_eq(r.seq, 77);
			ck_assert_msg(row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, got, &e) == 0,
				      "%s", e.msg);
			same_cells(s, cells, got);
			ck_assert_msg(row_back_cells(b, &r, ROW_BACK_BEFORE, &bytes, got, &e) == 0,
				      "%s", e.msg);
			same_cells(s, before, got);
		}
		row_back_free(b);
		shape_unref(s);
	}
	buf_done(&image);
	buf_done(&older);
	buf_done(&datum);
	buf_done(&bytes);
}
END_TEST

/* Columns that an image lacked stay absent. */
START_TEST(test_absent_columns)
{
	struct buf image = BUF_INIT, datum = BUF_INIT, bytes = BUF_INIT;
	struct cell cells[COLUMNS], got[COLUMNS];
	struct shape *s = random_row_shape(below, COLUMNS);
	struct row_back *b = back_of(s, s);
	struct row_back_record r;
	struct err e = ERR_INIT;

	unit_seed();
	for (int row = 0; row < 50; row++) {
		random_row(below, s, &image, cells);
		for (int i = 0; i < COLUMNS; i += 3)
			cells[i] = (struct cell){ .state = CELL_ABSENT };
		encode(s, NULL, cells, &datum);
		ck_assert(row_back_read(b, buf_slice(&datum), &r, &e) == 0);
		ck_assert(row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, got, &e) == 0);
		same_cells(s, cells, got);
	}
	row_back_free(b);
	shape_unref(s);
	buf_done(&image);
	buf_done(&datum);
	buf_done(&bytes);
}
END_TEST

static struct shape *shape_of(const char *const *names, const uint8_t *types, uint16_t count)
{
	struct shape *s = shape_new("db", "t", count);

	for (uint16_t i = 0; i < count; i++) {
		struct column *c = &s->columns[i];

		c->name = xstrdup(names[i]);
		c->type = types[i];
		c->nullable = true;
		if (c->type == COLUMN_VARCHAR) {
			c->size_max = 100;
			c->collation = LATIN1;
		}
		if (c->type == COLUMN_ENUM) {
			c->labels = xcalloc(3, sizeof(*c->labels));
			c->label_count = 3;
			for (int k = 0; k < 3; k++)
				c->labels[k] = xasprintf("label %d", k);
			c->pack_bytes = 1;
		}
	}
	return s;
}

/* Moved, added, dropped and retyped columns. */
START_TEST(test_across_shapes)
{
	static const char *const old_names[] = { "id", "gone", "day", "n", "label", "big" };
	static const uint8_t old_types[] = { COLUMN_LONG, COLUMN_LONG, COLUMN_DATE,
					     COLUMN_LONG, COLUMN_ENUM, COLUMN_LONGLONG };
	static const char *const new_names[] = { "added", "label", "n", "day", "id", "big" };
	static const uint8_t new_types[] = { COLUMN_LONG,      COLUMN_ENUM,     COLUMN_VARCHAR,
					     COLUMN_DATETIME2, COLUMN_LONGLONG, COLUMN_TINY };
	static const uint8_t day[] = { 0x21, 0xd0, 0x0f }, label[] = { 2 };
	static const uint8_t expected_day[] = { 0x99, 0xb2, 0x42, 0x00, 0x00 };
	struct shape *old = shape_of(old_names, old_types, 6),
		     *now = shape_of(new_names, new_types, 6);
	struct row_back *b = back_of(old, now);
	int32_t id = -5, n = 42;
	int64_t big = 1000;
	struct cell cells[6] = {
		{ (const uint8_t *)&id, 4, CELL_VALUE }, { (const uint8_t *)&n, 4, CELL_VALUE },
		{ day, 3, CELL_VALUE },			 { (const uint8_t *)&n, 4, CELL_VALUE },
		{ label, 1, CELL_VALUE },		 { (const uint8_t *)&big, 8, CELL_VALUE },
	}, got[6];
	struct buf datum = BUF_INIT, bytes = BUF_INIT;
	struct row_back_record r;
	struct err e = ERR_INIT;
	int64_t wide;

	encode(old, NULL, cells, &datum);
	ck_assert(row_back_read(b, buf_slice(&datum), &r, &e) == 0);
	ck_assert_msg(row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, got, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(got[0].state, CELL_NULL);
	ck_assert_int_eq(got[1].data[0], 2);
	ck_assert_int_eq(got[2].size, 2);
	ck_assert(memcmp(got[2].data, "42", 2) == 0);
	ck_assert_int_eq(got[3].size, 5);
	ck_assert_msg(memcmp(got[3].data, expected_day, 5) == 0, "%02x%02x%02x%02x%02x",
		      got[3].data[0], got[3].data[1], got[3].data[2], got[3].data[3],
		      got[3].data[4]);
	memcpy(&wide, got[4].data, 8);
	ck_assert_int_eq(wide, -5);
	ck_assert_int_eq(got[5].state, CELL_NULL); /* 1000 is no TINYINT */
	buf_done(&datum);
	buf_done(&bytes);
	row_back_free(b);
	shape_unref(old);
	shape_unref(now);
}
END_TEST

START_TEST(test_hostile_bytes)
{
	struct buf image = BUF_INIT, datum = BUF_INIT, bytes = BUF_INIT;
	struct cell cells[COLUMNS], got[COLUMNS];
	struct shape *s = random_row_shape(below, COLUMNS);
	struct row_back *b = back_of(s, s);
	struct row_back_record r;
	struct err e = ERR_INIT;

	unit_seed();
	random_row(below, s, &image, cells);
	encode(s, NULL, cells, &datum);
	for (size_t cut = 0; cut < datum.size; cut++)
		ck_assert(row_back_read(b, slice_of(datum.data, cut), &r, &e) < 0);
	for (int i = 0; i < 20000; i++) {
		size_t at = below(datum.size);
		uint8_t kept = datum.data[at];

		datum.data[at] = (uint8_t)unit_random64();
		if (row_back_read(b, buf_slice(&datum), &r, &e) == 0 && r.has_after)
			(void)row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, got, &e);
		datum.data[at] = kept;
	}
	row_back_free(b);
	shape_unref(s);
	buf_done(&image);
	buf_done(&datum);
	buf_done(&bytes);
}
END_TEST

START_TEST(test_keys)
{
	static const char *const names[] = { "a", "b", "c" };
	static const uint8_t types[] = { COLUMN_LONG, COLUMN_VARCHAR, COLUMN_LONG };
	struct shape *s = shape_of(names, types, 3);
	struct buf text = BUF_INIT, datum = BUF_INIT, bytes = BUF_INIT;
	struct row_plan *plan;
	struct row_back *b;
	struct err e = ERR_INIT;
	int32_t n = 7;
	struct cell cells[3] = { { (const uint8_t *)&n, 4, CELL_VALUE },
				 { (const uint8_t *)"\xe9", 1, CELL_VALUE },
				 { NULL, 0, CELL_NULL } },
		    got[3];
	bool whole;

	s->key = xcalloc(2, sizeof(*s->key));
	s->key_count = 2;
	s->key[0] = 1;
	ck_assert(row_schema_key("n", s, &text, &e) == 0);
	ck_assert_msg(row_back_new(buf_slice(&text), s, &b, &e) == 0, "%s", e.msg);
	plan = row_plan_new("n", s);
	ck_assert(row_plan_key(plan, cells, &datum, &e) == 0);
	ck_assert(row_back_key(b, buf_slice(&datum), &bytes, got, &whole, &e) == 0);
	ck_assert(whole);
	ck_assert_int_eq(got[2].state, CELL_ABSENT);
	ck_assert_int_eq(got[1].size, 1);
	ck_assert_int_eq(got[1].data[0], 0xe9);
	ck_assert(memcmp(got[0].data, &n, 4) == 0);
	s->key[1] = 2; /* another column became part of the key */
	ck_assert(row_back_key(b, buf_slice(&datum), &bytes, got, &whole, &e) == 0);
	ck_assert(!whole);
	row_plan_free(plan);
	row_back_free(b);
	shape_unref(s);
	buf_done(&text);
	buf_done(&datum);
	buf_done(&bytes);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("row_back");

	unit_test_slow(s, test_every_value_comes_back, 60);
	unit_test(s, test_absent_columns);
	unit_test(s, test_across_shapes);
	unit_test_slow(s, test_hostile_bytes, 60);
	unit_test(s, test_keys);
	return unit_run(s);
}
