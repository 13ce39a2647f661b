/* test_lineage.c - which shape is in force: against a model that knows the whole history of a
 * table, and shapes through the text of their schema; matching of TABLE_MAPs without names, against
 * a naive comparison of what such an event can say. */
#include "cdc/catalog/catalog.h"
#include "cdc/catalog/catalog_priv.h"
#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "test/unit/unit.h"

#include <string.h>

/* ---- histories ------------------------------------------------------------------------------ */

#define SPANS 12

static struct shape *numbered(unsigned n)
{
	struct shape *s = shape_new("d", "t", 1);

	s->columns[0] = (struct column){ .name = xasprintf("c%u", n), .type = COLUMN_LONG };
	return s;
}

/* The table's span k lasts from statement k (at 100 * k) on. What was asked for while the source
 * was in a span is known of that span from then on. */
struct history {
	struct shape *shapes[SPANS];
	bool known[SPANS];
	unsigned source, stream, scanned;
	struct lineage line;
};

static void ask_now(struct history *h)
{
	for (; h->scanned < h->source; h->scanned++)
		lineage_found(&h->line, 100 * (h->scanned + 1));
	lineage_told(&h->line, h->shapes[h->source]);
	h->known[h->source] = true;
}

static void step(struct history *h)
{
	switch (unit_random_below(3)) {
	case 0:
		h->source += h->source + 1 < SPANS;
		return;
	case 1:
		if (h->stream == h->source)
			return;
		lineage_met(&h->line, 100 * ++h->stream);
		h->scanned = h->scanned < h->stream ? h->stream : h->scanned;
		return;
	default:
		if (unit_random_below(2) == 0)
			ask_now(h);
	}
}

START_TEST(test_histories)
{
	unit_seed();
	for (int run = 0; run < 20000; run++) {
		struct history h = { .source = 0 };

		for (unsigned i = 0; i < SPANS; i++)
			h.shapes[i] = numbered(unit_random_below(4) == 0 ? 0 : i);
		if (unit_random_below(2) == 0) { /* a restart: the position knows it */
			lineage_was(&h.line, h.shapes[0]);
			h.known[0] = true;
		}
		for (int i = 0; i < 60; i++) {
			struct shape *here;

			step(&h);
			here = h.line.here.shape;
			ck_assert_int_eq(here != NULL, h.known[h.stream]);
			ck_assert(here == NULL || shape_equal(here, h.shapes[h.stream]));
			ck_assert(lineage_wants(&h.line) ==
				  (here == NULL && h.scanned <= h.stream));
			ck_assert(h.line.doubt == NULL);
		}
		lineage_done(&h.line);
		for (unsigned i = 0; i < SPANS; i++)
			shape_unref(h.shapes[i]);
	}
}
END_TEST

/* No statement was seen, and the table is another one. */
START_TEST(test_doubt)
{
	struct shape *a = numbered(1), *b = numbered(2);
	struct lineage l = { .told = false };

	lineage_was(&l, a);
	lineage_told(&l, a);
	ck_assert(l.doubt == NULL && l.here.shape == a);
	lineage_told(&l, b);
	ck_assert(l.doubt == a && l.here.shape == b);
	lineage_take_doubt(&l);
	ck_assert(l.doubt == NULL && l.here.shape == a);
	lineage_told(&l, b);
	lineage_met(&l, 5);
	ck_assert(l.doubt == NULL && l.here.shape == NULL && lineage_wants(&l));
	lineage_told(&l, NULL);
	ck_assert(lineage_wants(&l));
	lineage_done(&l);
	shape_unref(a);
	shape_unref(b);
}
END_TEST

/* ---- random shapes -------------------------------------------------------------------------- */

#define COLUMNS 8

static unsigned below(unsigned n)
{
	return (unsigned)unit_random_below(n);
}

/* Types as the wire has them, with its metadata; what isn't set is random_column()'s. */
static void random_type(struct column *c)
{
	static const uint8_t types[] = { COLUMN_TINY,    COLUMN_LONG,     COLUMN_LONGLONG,
					 COLUMN_VARCHAR, COLUMN_STRING,   COLUMN_BLOB,
					 COLUMN_ENUM,    COLUMN_SET,      COLUMN_NEWDECIMAL,
					 COLUMN_BIT,     COLUMN_DATETIME2 };

	c->type = types[below(sizeof(types))];
	c->is_unsigned = (c->type == COLUMN_TINY || c->type == COLUMN_LONG ||
			  c->type == COLUMN_LONGLONG || c->type == COLUMN_NEWDECIMAL) &&
			 below(2) == 0;
	if (c->type == COLUMN_VARCHAR || c->type == COLUMN_STRING)
		c->size_max = 1 + below(2) * 19;
	if (c->type == COLUMN_BLOB)
		c->size_max = 1 + below(4);
	if (column_is_character(c) || c->type == COLUMN_ENUM || c->type == COLUMN_SET)
		c->collation = below(2) == 0 ? 45 : 8;
	if (c->type == COLUMN_ENUM || c->type == COLUMN_SET) {
		c->pack_bytes = 1;
		c->label_count = (uint16_t)(1 + below(2));
		c->labels = xcalloc(c->label_count, sizeof(c->labels[0]));
		for (uint16_t i = 0; i < c->label_count; i++)
			c->labels[i] = xasprintf("l\"%u", below(3));
	}
	if (c->type == COLUMN_NEWDECIMAL) {
		c->precision = (uint8_t)(5 + below(2));
		c->scale = (uint8_t)below(2);
	}
	if (c->type == COLUMN_BIT)
		c->bits = (uint16_t)(1 + below(2) * 8);
	if (c->type == COLUMN_DATETIME2)
		c->fraction = (uint8_t)(below(2) * 3);
}

static void column_free(struct column *c)
{
	for (uint16_t i = 0; i < c->label_count; i++)
		free(c->labels[i]);
	free(c->labels);
	free(c->name);
}

static void random_column(struct column *c, unsigned number)
{
	*c = (struct column){ .name = xasprintf("%s%u", below(2) == 0 ? "a-b" : "x", number),
			      .nullable = below(2) == 0 };
	random_type(c);
}

/* Another one that differs in a column or two, or not at all; column count alike. */
static struct shape *random_shape(const struct shape *like)
{
	uint16_t n = like != NULL ? like->column_count : (uint16_t)(1 + below(COLUMNS));
	struct shape *s = shape_new("d", "t", n);

	for (uint16_t i = 0; i < n; i++) {
		struct column *c = &s->columns[i];
		unsigned change = below(12);

		random_column(c, i);
		if (like == NULL || change == 0)
			continue;
		column_free(c);
		*c = like->columns[i];
		c->name = xstrdup(c->name);
		c->labels = c->label_count > 0 ? xcalloc(c->label_count, sizeof(char *)) : NULL;
		for (uint16_t k = 0; k < c->label_count; k++)
			c->labels[k] = xstrdup(like->columns[i].labels[k]);
		if (change == 1)
			c->nullable = !c->nullable;
		if (change == 2)
			c->name[0] = 'z';
		if (change == 3 && c->type == COLUMN_LONG)
			c->is_unsigned = !c->is_unsigned;
		if (change == 4 && c->label_count > 0)
			c->labels[0][0] = 'm';
		if (change == 5 && c->collation == 8)
			c->collation = 45;
	}
	if (below(2) == 0) {
		s->key = xcalloc(1, sizeof(s->key[0]));
		s->key[0] = (uint16_t)below(n);
		s->key_count = 1;
	}
	return s;
}

START_TEST(test_a_shape_is_whole_in_its_schema)
{
	unit_seed();
	for (int run = 0; run < 3000; run++) {
		struct shape *s = random_shape(NULL), *back = NULL;
		struct buf text = BUF_INIT;
		struct err e = ERR_INIT;

		ck_assert_int_eq(row_schema_envelope("m", s, &text, &e), 0);
		ck_assert_msg(row_schema_shape(buf_slice(&text), "d", "t", &back, &e) == 0, "%s",
			      e.msg);
		ck_assert_msg(shape_equal(s, back), "%s", buf_cstr(&text));
		/* cut anywhere, it is refused */
		text.size = below((unsigned)text.size);
		shape_unref(back);
		ck_assert_int_eq(row_schema_shape(buf_slice(&text), "d", "t", &back, &e), -1);
		buf_done(&text);
		shape_unref(s);
	}
}
END_TEST

/* ---- TABLE_MAPs without names --------------------------------------------------------------- */

/* Metadata bytes of one column, as the servers write them. */
static void put_meta(const struct column *c, struct buf *types, struct buf *meta)
{
	uint8_t type = c->type;

	if (type == COLUMN_ENUM || type == COLUMN_SET) {
		buf_add_u8(types, COLUMN_STRING);
		buf_add_u8(meta, type);
		buf_add_u8(meta, c->pack_bytes);
		return;
	}
	buf_add_u8(types, type);
	if (type == COLUMN_VARCHAR) {
		buf_add_u8(meta, (uint8_t)c->size_max);
		buf_add_u8(meta, (uint8_t)(c->size_max >> 8));
	} else if (type == COLUMN_STRING) {
		buf_add_u8(meta, COLUMN_STRING);
		buf_add_u8(meta, (uint8_t)c->size_max);
	} else if (type == COLUMN_BLOB) {
		buf_add_u8(meta, (uint8_t)c->size_max);
	} else if (type == COLUMN_NEWDECIMAL) {
		buf_add_u8(meta, c->precision);
		buf_add_u8(meta, c->scale);
	} else if (type == COLUMN_BIT) {
		buf_add_u8(meta, (uint8_t)(c->bits % 8));
		buf_add_u8(meta, (uint8_t)(c->bits / 8));
	} else if (type == COLUMN_DATETIME2) {
		buf_add_u8(meta, c->fraction);
	}
}

static bool has_sign(const struct column *c)
{
	return c->type == COLUMN_TINY || c->type == COLUMN_LONG || c->type == COLUMN_LONGLONG ||
	       c->type == COLUMN_NEWDECIMAL;
}

static struct buf map_of(const struct shape *s, bool signs)
{
	struct buf b = BUF_INIT, types = BUF_INIT, meta = BUF_INIT;
	uint8_t nulls[COLUMNS / 8 + 1] = { 0 }, bits[COLUMNS / 8 + 1] = { 0 };
	unsigned n = 0;

	buf_add(&b, "\7\0\0\0\0\0\1\0\1d\0\1t\0", 14);
	buf_add_u8(&b, (uint8_t)s->column_count);
	for (uint16_t i = 0; i < s->column_count; i++) {
		put_meta(&s->columns[i], &types, &meta);
		nulls[i / 8] |= (uint8_t)(s->columns[i].nullable << (i % 8));
		if (has_sign(&s->columns[i])) {
			bits[n / 8] |= (uint8_t)(s->columns[i].is_unsigned ? 0x80 >> n % 8 : 0);
			n++;
		}
	}
	buf_add_slice(&b, buf_slice(&types));
	buf_add_u8(&b, (uint8_t)meta.size);
	buf_add_slice(&b, buf_slice(&meta));
	buf_add(&b, nulls, (s->column_count + 7u) / 8);
	if (signs && n > 0) {
		buf_add_u8(&b, TABLE_MAP_SIGNEDNESS);
		buf_add_u8(&b, (uint8_t)((n + 7) / 8));
		buf_add(&b, bits, (n + 7) / 8);
	}
	buf_done(&types);
	buf_done(&meta);
	return b;
}

/* What such an event says is the same of both. */
static bool look_alike(const struct shape *a, const struct shape *b, bool signs)
{
	for (uint16_t i = 0; i < a->column_count; i++) {
		const struct column *x = &a->columns[i], *y = &b->columns[i];

		if (x->type != y->type || x->nullable != y->nullable ||
		    x->size_max != y->size_max || x->precision != y->precision ||
		    x->scale != y->scale || x->bits != y->bits || x->fraction != y->fraction ||
		    (signs && x->is_unsigned != y->is_unsigned))
			return false;
	}
	return true;
}

START_TEST(test_a_table_map_is_of_a_shape)
{
	char *patterns[] = { xstrdup("d.t") };
	struct settings settings = { .capture_tables = { patterns, 1 } };
	int alike = 0, runs = 20000;

	unit_seed();
	for (int run = 0; run < runs; run++) {
		struct shape *known = random_shape(NULL), *written = random_shape(known);
		struct catalog *c = catalog_new(&settings);
		const struct catalog_table *table;
		bool signs = below(2) == 0;
		struct buf body = map_of(written, signs);
		struct err e = ERR_INIT;
		int rc;

		catalog_found(c, "d", "t", 9); /* so that there is nothing to ask for */
		catalog_was(c, known);
		rc = catalog_table_map(c, buf_slice(&body), &table, &e);
		ck_assert_msg((rc == 0) == look_alike(known, written, signs), "run %d: %s", run,
			      e.msg);
		ck_assert(rc < 0 || table->shape == known);
		ck_assert(rc == 0 || strstr(e.msg, "d.t") != NULL);
		alike += rc == 0;
		catalog_met(c, "d", "t",
			    9); /* from here on nobody knows, and nobody can be asked */
		ck_assert_int_eq(catalog_table_map(c, buf_slice(&body), &table, &e), -1);
		buf_done(&body);
		catalog_free(c);
		shape_unref(known);
		shape_unref(written);
	}
	printf("%d of %d looked alike\n", alike, runs);
	ck_assert_int_gt(alike, runs / 20);
	ck_assert_int_lt(alike, runs - runs / 20);
	free(patterns[0]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lineage");

	unit_test_slow(s, test_histories, 60);
	unit_test(s, test_doubt);
	unit_test_slow(s, test_a_shape_is_whole_in_its_schema, 60);
	unit_test_slow(s, test_a_table_map_is_of_a_shape, 60);
	return unit_run(s);
}
