/* test_binlog_rows.c - row events and table maps made by hand: MySQL's v2, compressed ones, short
 * table ids, lies. */
#include "unit.h"

#include "cdc/binlog/inflate.h"
#include "cdc/binlog/rows.h"
#include "cdc/binlog/table_map.h"
#include "core/base/mem.h"

#include <string.h>
#include <zlib.h>

static const struct event_format format8 = EVENT_FORMAT_INIT;

static struct event event_of(uint8_t type, struct slice body)
{
	return (struct event){ .header = { .type = type, .log_pos = 1234 }, .body = body };
}

/* Two columns: id INT NOT NULL, v INT NULL. */
static struct shape *two_ints(void)
{
	struct shape *s = shape_new("d", "t", 2);

	for (int i = 0; i < 2; i++) {
		s->columns[i].name = xstrdup(i == 0 ? "id" : "v");
		s->columns[i].type = COLUMN_LONG;
		s->columns[i].nullable = i == 1;
	}
	return s;
}

/* Images: (1, 2) as after image, or before (1, 2), after (3, NULL). */
#define IMAGE_ONE "\0\1\0\0\0\2\0\0\0"
#define IMAGE_TWO "\2\3\0\0\0"

static struct slice packed(struct slice plain, struct buf *out)
{
	uLongf size = compressBound((uLong)plain.size);

	buf_add_u8(out, 0x80 | 2);
	buf_add_u8(out, (uint8_t)(plain.size >> 8));
	buf_add_u8(out, (uint8_t)plain.size);
	ck_assert_int_eq(compress(buf_reserve(out, size), &size, plain.data, (uLong)plain.size),
			 Z_OK);
	out->size += size;
	return buf_slice(out);
}

struct kind {
	uint8_t type;
	enum rows_kind kind;
	bool v2, compressed;
};

static const struct kind kinds[] = {
	{ EVENT_WRITE_ROWS_V1, ROWS_WRITE, false, false },
	{ EVENT_UPDATE_ROWS_V1, ROWS_UPDATE, false, false },
	{ EVENT_DELETE_ROWS_V1, ROWS_DELETE, false, false },
	{ EVENT_WRITE_ROWS, ROWS_WRITE, true, false },
	{ EVENT_UPDATE_ROWS, ROWS_UPDATE, true, false },
	{ EVENT_DELETE_ROWS, ROWS_DELETE, true, false },
	{ EVENT_WRITE_ROWS_COMPRESSED_V1, ROWS_WRITE, false, true },
	{ EVENT_UPDATE_ROWS_COMPRESSED_V1, ROWS_UPDATE, false, true },
	{ EVENT_DELETE_ROWS_COMPRESSED_V1, ROWS_DELETE, false, true },
	{ EVENT_WRITE_ROWS_COMPRESSED, ROWS_WRITE, true, true },
	{ EVENT_UPDATE_ROWS_COMPRESSED, ROWS_UPDATE, true, true },
	{ EVENT_DELETE_ROWS_COMPRESSED, ROWS_DELETE, true, true },
};

static struct buf rows_body(const struct kind *k, size_t *ret_head)
{
	struct buf b = BUF_INIT, images = BUF_INIT, small = BUF_INIT;

	buf_add(&b, "\x39\x30\0\0\0\0", 6); /* table id 12345 */
	buf_add(&b, "\1\0", 2);
	if (k->v2)
		buf_add(&b, "\4\0xx", 4);
	buf_add(&b, "\2\3", 2);
	if (k->kind == ROWS_UPDATE)
		buf_add(&b, "\3", 1);
	*ret_head = b.size;
	buf_add(&images, IMAGE_ONE, 9);
	if (k->kind == ROWS_UPDATE)
		buf_add(&images, IMAGE_TWO, 5);
	buf_add_slice(&b, k->compressed ? packed(buf_slice(&images), &small) : buf_slice(&images));
	buf_done(&images);
	buf_done(&small);
	return b;
}

START_TEST(test_all_kinds)
{
	struct shape *shape = two_ints();
	struct buf scratch = BUF_INIT;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *k = &kinds[i];
		struct cell before[2] = { { 0 } }, after[2] = { { 0 } },
			    *first = k->kind == ROWS_WRITE ? after : before;
		size_t head;
		struct buf b = rows_body(k, &head);
		struct event ev = event_of(k->type, buf_slice(&b));
		struct rows r;
		struct err e = ERR_INIT;
		uint64_t id;

		ck_assert(rows_is(k->type));
		ck_assert_int_eq(rows_table_id(&ev, &format8, &id, &e), 0);
		ck_assert_uint_eq(id, 12345);
		ck_assert_msg(rows_read(&ev, &format8, &scratch, &r, &e) == 0, "%s", e.msg);
		ck_assert(r.kind == k->kind && r.table_id == 12345 &&
			  r.flags == ROWS_FLAG_STATEMENT_END && r.column_count == 2);
		ck_assert((r.before != NULL) == (k->kind != ROWS_WRITE) &&
			  (r.after != NULL) == (k->kind != ROWS_DELETE));
		ck_assert_int_eq(rows_next(&r, shape, before, after, &e), 1);
		ck_assert(first[0].state == CELL_VALUE && first[0].size == 4 &&
			  first[0].data[0] == 1);
		ck_assert(first[1].state == CELL_VALUE && first[1].data[0] == 2);
		if (k->kind == ROWS_UPDATE)
			ck_assert(after[0].data[0] == 3 && after[1].state == CELL_NULL);
		ck_assert_int_eq(rows_next(&r, shape, before, after, &e), 0);
		for (size_t cut = 0; cut < head; cut++) {
			ev.body.size = cut;
			ck_assert_int_lt(rows_read(&ev, &format8, &scratch, &r, &e), 0);
			ck_assert_int_eq(e.kind, ERR_DATA);
		}
		buf_done(&b);
	}
	shape_unref(shape);
	buf_done(&scratch);
}
END_TEST

START_TEST(test_short_table_id)
{
	struct event_format f = EVENT_FORMAT_INIT;
	struct event ev = event_of(EVENT_WRITE_ROWS_V1, slice_of("\7\0\0\0\0\0\2\3" IMAGE_ONE, 17));
	struct buf scratch = BUF_INIT;
	struct rows r;
	struct err e = ERR_INIT;

	f.rows_header_size = 6;
	ck_assert_int_eq(rows_read(&ev, &f, &scratch, &r, &e), 0);
	ck_assert_uint_eq(r.table_id, 7);
	ck_assert_uint_eq(rd_left(&r.data), 9);
}
END_TEST

START_TEST(test_rows_refused)
{
	struct shape *shape = two_ints();
	struct buf scratch = BUF_INIT;
	struct cell before[2], after[2];
	struct event ev =
		event_of(EVENT_WRITE_ROWS_V1, slice_of("\7\0\0\0\0\0\0\0\3\7\0\1\0\0\0", 15));
	struct rows r;
	struct err e = ERR_INIT;

	ck_assert_int_eq(rows_read(&ev, &format8, &scratch, &r, &e), 0);
	ck_assert_int_lt(rows_next(&r, shape, before, after, &e),
			 0); /* three columns, the shape has two */
	ev.body = slice_of("\7\0\0\0\0\0\0\0\0\7", 10);
	ck_assert_int_lt(rows_read(&ev, &format8, &scratch, &r, &e), 0); /* no columns */
	ev.body = slice_of("\7\0\0\0\0\0\0\0\376\377\377\377\377\377\377\377\377\7", 18);
	ck_assert_int_lt(rows_read(&ev, &format8, &scratch, &r, &e), 0); /* too many */
	ev.body = slice_of("\7\0\0\0\0\0\0\0\2\0\0\0\0", 13); /* images without columns */
	ck_assert_int_eq(rows_read(&ev, &format8, &scratch, &r, &e), 0);
	for (int i = 0; i < 10; i++)
		if (rows_next(&r, shape, before, after, &e) <= 0)
			break;
	ev = event_of(EVENT_WRITE_ROWS, slice_of("\7\0\0\0\0\0\0\0\1\0\2\3", 12));
	ck_assert_int_lt(rows_read(&ev, &format8, &scratch, &r, &e),
			 0); /* extra data shorter than its length */
	ev.header.type = EVENT_XID;
	ck_assert_int_lt(rows_read(&ev, &format8, &scratch, &r, &e), 0);
	ck_assert(!rows_is(EVENT_XID));
	shape_unref(shape);
	buf_done(&scratch);
}
END_TEST

START_TEST(test_inflate)
{
	static const char text[] = "packed packed packed packed packed";
	struct buf small = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	struct slice s = packed(slice_str(text), &small);

	ck_assert_int_eq(inflate_part(s, &out, &e), 0);
	ck_assert(slice_is(buf_slice(&out), text));
	for (size_t cut = 0; cut < s.size; cut++)
		ck_assert_int_lt(inflate_part(slice_of(s.data, cut), &out, &e), 0);
	for (size_t at = 0; at < s.size; at++)
		for (int bit = 0; bit < 8; bit++) {
			small.data[at] ^= (uint8_t)(1 << bit);
			if (inflate_part(s, &out, &e) == 0)
				ck_assert_uint_eq(out.size, strlen(text));
			small.data[at] ^= (uint8_t)(1 << bit);
		}
	small.data[0] = 0x90 | 2;
	ck_assert_int_lt(inflate_part(s, &out, &e), 0);
	ck_assert(strstr(e.msg, "algorithm") != NULL);
	/* a few bytes that claim to be a gigabyte */
	ck_assert_int_lt(inflate_part(slice_of("\x84\x40\0\0\0xxxxxxxx", 13), &out, &e), 0);
	ck_assert_uint_lt(out.capacity, 1u << 20);
	buf_done(&small);
	buf_done(&out);
}
END_TEST

START_TEST(test_table_map)
{
	static const char body[] =
		"\7\0\0\0\0\0\1\0\1d\0\2tt\0\3\3\17\376\4\1\1\xce\x20\5\1\1\200\144\1y";
	size_t size = sizeof(body) - 1;
	struct table_map m;
	struct table_map_column c;
	struct slice db, table;
	struct rd metadata;
	struct err e = ERR_INIT;

	ck_assert_msg(table_map_read(slice_of(body, size), 8, &m, &e) == 0, "%s", e.msg);
	ck_assert(m.id == 7 && m.flags == 1 && slice_is(m.db, "d") && slice_is(m.table, "tt") &&
		  m.column_count == 3);
	ck_assert(m.has[TABLE_MAP_SIGNEDNESS] && !m.has[TABLE_MAP_COLUMN_NAME]);
	ck_assert_uint_eq(m.nullable[0], 5);
	metadata = rd_from(m.metadata);
	ck_assert_int_eq(table_map_column(m.types[0], &metadata, &c, &e), 0);
	ck_assert_int_eq(table_map_column(m.types[1], &metadata, &c, &e), 0);
	ck_assert_uint_eq(c.meta, 257);
	ck_assert_int_eq(table_map_column(m.types[2], &metadata, &c, &e), 0);
	ck_assert(c.type == COLUMN_STRING && c.meta == 800); /* CHAR(200) in utf8mb4 */
	ck_assert(rd_end(&metadata));
	ck_assert_int_eq(table_map_names(slice_of(body, 15), 8, &db, &table, &e), 0);
	ck_assert(slice_is(db, "d") && slice_is(table, "tt"));
	for (size_t cut = 0; cut < 24; cut++)
		ck_assert_int_lt(table_map_read(slice_of(body, cut), 8, &m, &e), 0);
}
END_TEST

START_TEST(test_table_map_refused)
{
	struct table_map_column c;
	struct table_map m;
	struct rd none = rd_of("", 0), four = rd_of("1234", 4);
	struct err e = ERR_INIT;

	ck_assert_int_lt(table_map_column(COLUMN_VARCHAR, &none, &c, &e), 0);
	ck_assert_int_lt(table_map_column(200, &four, &c, &e), 0);
	ck_assert(strstr(e.msg, "200") != NULL);
	/* the same kind of metadata twice; a name with a NUL inside; no columns */
	ck_assert_int_lt(table_map_read(slice_str("12345678\1d"), 8, &m, &e), 0);
	ck_assert_int_lt(
		table_map_read(slice_of("\7\0\0\0\0\0\1\0\1d\0\1t\0\1\3\0\0\1\1\0\1\1\0", 24), 8,
			       &m, &e),
		0);
	ck_assert_int_lt(
		table_map_read(slice_of("\7\0\0\0\0\0\1\0\2\0d\0\1t\0\1\3\0\0", 19), 8, &m, &e), 0);
	ck_assert_int_lt(table_map_read(slice_of("\7\0\0\0\0\0\1\0\1d\0\1t\0\0\0", 16), 8, &m, &e),
			 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("binlog_rows");

	unit_test(s, test_all_kinds);
	unit_test(s, test_short_table_id);
	unit_test(s, test_rows_refused);
	unit_test(s, test_inflate);
	unit_test(s, test_table_map);
	unit_test(s, test_table_map_refused);
	return unit_run(s);
}
