/* test_event.c - events made by hand: those that the golden files lack, limits, and lengths that
 * lie. */
#include "unit.h"

#include "cdc/binlog/event.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

#include <string.h>
#include <zlib.h>

static void add_le(struct buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_add_u8(b, (uint8_t)(v >> (8 * i)));
}

/* An event around `body`, with a checksum when asked for. */
static struct buf make(uint8_t type, uint16_t flags, struct slice body, bool checksum)
{
	size_t size = EVENT_HEADER_SIZE + body.size + (checksum ? EVENT_CHECKSUM_SIZE : 0);
	struct buf b = BUF_INIT;

	add_le(&b, 1700000000, 4);
	add_le(&b, type, 1);
	add_le(&b, 77, 4);
	add_le(&b, size, 4);
	add_le(&b, 1234, 4);
	add_le(&b, flags, 2);
	buf_add_slice(&b, body);
	if (checksum)
		add_le(&b, crc32(0, b.data, (uInt)b.size), 4);
	return b;
}

static struct event event_of(uint8_t type, struct slice body)
{
	return (struct event){ .header = { .type = type, .server_id = 77, .log_pos = 1234 },
			       .body = body };
}

static struct buf format_body(const char *version, uint8_t table_map_size, uint8_t algorithm)
{
	struct buf b = BUF_INIT;
	size_t at;

	add_le(&b, 4, 2);
	buf_add_str(&b, version);
	while (b.size < 52)
		buf_add_u8(&b, 0);
	add_le(&b, 1, 4);
	add_le(&b, EVENT_HEADER_SIZE, 1);
	at = b.size;
	for (int i = 0; i < 171; i++)
		buf_add_u8(&b, 0);
	b.data[at + EVENT_TABLE_MAP - 1] = table_map_size;
	add_le(&b, algorithm, 1);
	return b;
}

START_TEST(test_header)
{
	struct buf b = make(EVENT_XID, EVENT_FLAG_IGNORABLE, slice_str("12345678"), false);
	struct event_header h;
	struct err e = ERR_INIT;

	ck_assert_int_eq(event_header_read(buf_slice(&b), &h, &e), 0);
	ck_assert_uint_eq(h.timestamp, 1700000000);
	ck_assert_uint_eq(h.type, EVENT_XID);
	ck_assert_uint_eq(h.server_id, 77);
	ck_assert_uint_eq(h.size, 27);
	ck_assert_uint_eq(h.log_pos, 1234);
	ck_assert_uint_eq(h.flags, EVENT_FLAG_IGNORABLE);
	for (size_t cut = 0; cut < b.size; cut++)
		ck_assert_int_lt(event_header_read(slice_of(b.data, cut), &h, &e), 0);
	buf_done(&b);
}
END_TEST

/* Before FORMAT_DESCRIPTION only ROTATE may come, with a checksum or without. */
START_TEST(test_rotate_first)
{
	struct buf body = BUF_INIT;

	add_le(&body, 4, 8);
	buf_add_str(&body, "binlog.000007");
	for (int checksum = 0; checksum < 2; checksum++) {
		struct buf b =
			make(EVENT_ROTATE, EVENT_FLAG_ARTIFICIAL, buf_slice(&body), checksum);
		struct buf other = make(EVENT_XID, 0, slice_str("12345678"), checksum);
		struct event_format f = EVENT_FORMAT_INIT;
		struct event_rotate r;
		struct event ev;
		struct err e = ERR_INIT;

		ck_assert_int_eq(event_read(buf_slice(&b), &f, &ev, &e), 0);
		ck_assert_int_eq(event_rotate_read(&ev, &r, &e), 0);
		ck_assert_uint_eq(r.position, 4);
		ck_assert(slice_is(r.file, "binlog.000007"));
		ck_assert_int_lt(event_read(buf_slice(&other), &f, &ev, &e), 0);
		buf_done(&b);
		buf_done(&other);
	}
	buf_done(&body);
}
END_TEST

START_TEST(test_format)
{
	struct buf body = format_body("10.11.19-MariaDB-log", 8, 1), old = format_body("5.0", 6, 0);
	struct buf b = make(EVENT_FORMAT_DESCRIPTION, 0, buf_slice(&body), true);
	struct event_format f = EVENT_FORMAT_INIT;
	struct event ev;
	struct err e = ERR_INIT;

	ck_assert_int_eq(event_read(buf_slice(&b), &f, &ev, &e), 0);
	ck_assert_int_eq(event_format_read(&ev, &f, &e), 0);
	ck_assert_str_eq(f.server_version, "10.11.19-MariaDB-log");
	ck_assert_int_eq(f.checksum, EVENT_CHECKSUM_CRC32);
	ck_assert_uint_eq(f.rows_header_size, 8);
	b.data[17] |= EVENT_FLAG_IN_USE; /* a file that is still open: the checksum was made without
					    the flag */
	ck_assert_int_eq(event_read(buf_slice(&b), &f, &ev, &e), 0);
	b.data[17] |= EVENT_FLAG_ARTIFICIAL;
	ck_assert_int_lt(event_read(buf_slice(&b), &f, &ev, &e), 0);
	ck_assert(strstr(e.msg, "CRC32") != NULL);

	ev = event_of(EVENT_FORMAT_DESCRIPTION, buf_slice(&old));
	ck_assert_int_eq(event_format_read(&ev, &f, &e), 0);
	ck_assert_int_eq(f.checksum, EVENT_CHECKSUM_NONE);
	ck_assert_uint_eq(f.rows_header_size, 6);
	old.data[0] = 3;
	ck_assert_int_lt(event_format_read(&ev, &f, &e), 0);
	buf_done(&body);
	buf_done(&old);
	buf_done(&b);
}
END_TEST

START_TEST(test_format_refused)
{
	static const uint8_t bad[][2] = { { 7, 1 }, { 8, 2 }, { 8, 255 } };
	struct event_format f = EVENT_FORMAT_INIT;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf body = format_body("10.11", bad[i][0], bad[i][1]);
		struct event ev = event_of(EVENT_FORMAT_DESCRIPTION, buf_slice(&body));

		ck_assert_int_lt(event_format_read(&ev, &f, &e), 0);
		ck_assert_int_eq(e.kind, ERR_DATA);
		for (size_t cut = 0; cut < 85; cut++) {
			ev.body.size = cut;
			ck_assert_int_lt(event_format_read(&ev, &f, &e), 0);
		}
		buf_done(&body);
	}
}
END_TEST

START_TEST(test_gtid)
{
	struct buf b = BUF_INIT;
	struct event_gtid g;
	struct event ev;
	struct err e = ERR_INIT;

	add_le(&b, UINT64_C(18446744073709551615), 8);
	add_le(&b, 5, 4);
	add_le(&b, 2 | 4 | 128, 1);
	add_le(&b, 99, 8);
	add_le(&b, 7, 4);
	add_le(&b, 2, 1);
	add_le(&b, 1, 1);
	buf_add_str(&b, "abc");
	ev = event_of(EVENT_GTID, buf_slice(&b));
	ck_assert_int_eq(event_gtid_read(&ev, &g, &e), 0);
	ck_assert(g.gtid.seq == UINT64_MAX && g.gtid.domain == 5 && g.gtid.server == 77);
	ck_assert(g.transactional && g.xa_completed && !g.xa_prepared && !g.standalone && !g.ddl);
	ck_assert_uint_eq(g.commit_id, 99);
	ck_assert(slice_is(g.xid_gtrid, "ab") && slice_is(g.xid_bqual, "c"));
	for (size_t cut = 0; cut < b.size; cut++) {
		ev.body.size = cut;
		ck_assert_int_lt(event_gtid_read(&ev, &g, &e), 0);
	}
	ev.body.size = b.size;
	b.data[25] = 65;
	ck_assert_int_lt(event_gtid_read(&ev, &g, &e), 0);
	buf_done(&b);
}
END_TEST

START_TEST(test_gtid_list)
{
	struct gtid_set set = GTID_SET_INIT;
	struct buf b = BUF_INIT, text = BUF_INIT;
	struct event ev;
	struct err e = ERR_INIT;

	add_le(&b, 0x10000003, 4);
	for (uint32_t i = 0; i < 3; i++) {
		add_le(&b, i == 0 ? 9 : 0, 4);
		add_le(&b, i, 4);
		add_le(&b, 100 + i, 8);
	}
	ev = event_of(EVENT_GTID_LIST, buf_slice(&b));
	ck_assert_int_eq(event_gtid_list_read(&ev, &set, &e), 0);
	gtid_set_text(&set, &text);
	ck_assert_str_eq(buf_cstr(&text), "0-2-102,9-0-100");
	for (size_t cut = 0; cut < b.size; cut++) {
		ev.body.size = cut;
		ck_assert_int_lt(event_gtid_list_read(&ev, &set, &e), 0);
	}
	memset(b.data, 0xff, 4); /* a count that would overflow */
	ev.body.size = b.size;
	ck_assert_int_lt(event_gtid_list_read(&ev, &set, &e), 0);
	ck_assert_uint_eq(set.count, 2);
	gtid_set_done(&set);
	buf_done(&b);
	buf_done(&text);
}
END_TEST

START_TEST(test_small_bodies)
{
	struct event ev = event_of(EVENT_XID, slice_str("\1\0\0\0\0\0\0"));
	struct event_xa_prepare xa;
	struct event_incident incident;
	struct slice file;
	struct err e = ERR_INIT;
	uint64_t xid;

	ck_assert_int_lt(event_xid_read(&ev, &xid, &e), 0);
	ev.body = slice_of("\1\0\0\0\0\0\0\2", 8);
	ck_assert_int_eq(event_xid_read(&ev, &xid, &e), 0);
	ck_assert(xid == UINT64_C(0x0200000000000001));
	ev.body = slice_of("\1\0\0\0\0\0\0\0\0", 9);
	ck_assert_int_lt(event_xid_read(&ev, &xid, &e), 0);

	ev = event_of(EVENT_XA_PREPARE, slice_of("\1\2\0\0\0\1\0\0\0\1\0\0\0gb", 15));
	ck_assert_int_eq(event_xa_prepare_read(&ev, &xa, &e), 0);
	ck_assert(xa.one_phase && xa.format == 2 && slice_is(xa.gtrid, "g") &&
		  slice_is(xa.bqual, "b"));
	ev.body = slice_of("\1\2\0\0\0\377\377\377\377\1\0\0\0gb", 15);
	ck_assert_int_lt(event_xa_prepare_read(&ev, &xa, &e), 0);

	ev = event_of(EVENT_INCIDENT, slice_of("\1\0\4lost", 7));
	ck_assert_int_eq(event_incident_read(&ev, &incident, &e), 0);
	ck_assert(incident.number == 1 && slice_is(incident.message, "lost"));
	ev.body.size = 6;
	ck_assert_int_lt(event_incident_read(&ev, &incident, &e), 0);

	ev = event_of(EVENT_BINLOG_CHECKPOINT, slice_of("\3\0\0\0abc", 7));
	ck_assert_int_eq(event_checkpoint_read(&ev, &file, &e), 0);
	ck_assert(slice_is(file, "abc"));
	ev.body = slice_of("\377\377\377\377abc", 7);
	ck_assert_int_lt(event_checkpoint_read(&ev, &file, &e), 0);
}
END_TEST

START_TEST(test_query)
{
	const char bytes[] = "\1\0\0\0\0\0\0\0\2\x05\0\3\0vvvdb\0SELECT 1";
	const char load[] = "\1\0\0\0\0\0\0\0\2\0\0\3\0ffffssssddddevvvdb\0LOAD DATA";
	struct event ev = event_of(EVENT_QUERY, slice_of(bytes, sizeof(bytes) - 1));
	struct event_query q;
	struct buf scratch = BUF_INIT;
	struct err e = ERR_INIT;

	ck_assert_int_eq(event_query_read(&ev, &scratch, &q, &e), 0);
	ck_assert(slice_is(q.db, "db") && slice_is(q.text, "SELECT 1") && q.error_code == 5 &&
		  q.thread_id == 1);
	for (size_t cut = 0; cut < 19; cut++) {
		ev.body.size = cut;
		ck_assert_int_lt(event_query_read(&ev, &scratch, &q, &e), 0);
	}
	ev = event_of(EVENT_EXECUTE_LOAD_QUERY, slice_of(load, sizeof(load) - 1));
	ck_assert_int_eq(event_query_read(&ev, &scratch, &q, &e), 0);
	ck_assert(slice_is(q.db, "db") && slice_is(q.text, "LOAD DATA"));
	buf_done(&scratch);
}
END_TEST

START_TEST(test_unknown)
{
	struct event_header h = { .type = 200, .size = 30, .log_pos = 55 };
	struct err e = ERR_INIT;

	ck_assert_int_lt(event_refuse_unknown(&h, &e), 0);
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert(strstr(e.msg, "200") != NULL && strstr(e.msg, "HINT") != NULL);
	h.flags = EVENT_FLAG_IGNORABLE;
	ck_assert_int_eq(event_refuse_unknown(&h, &e), 0);
	h = (struct event_header){ .type = 10 };
	ck_assert_int_lt(event_refuse_unknown(&h, &e), 0);
	ck_assert(strstr(e.msg, "Exec_load") != NULL);
	h = (struct event_header){ .type = 43 };
	ck_assert_int_lt(event_refuse_unknown(&h, &e), 0);
	h.type = EVENT_XID;
	ck_assert_int_eq(event_refuse_unknown(&h, &e), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("event");

	unit_test(s, test_header);
	unit_test(s, test_rotate_first);
	unit_test(s, test_format);
	unit_test(s, test_format_refused);
	unit_test(s, test_gtid);
	unit_test(s, test_gtid_list);
	unit_test(s, test_small_bodies);
	unit_test(s, test_query);
	unit_test(s, test_unknown);
	return unit_run(s);
}
