/* test_mysql_event.c - MySQL's own events: each field that a version of the server added, random
 * ones from an independent writer, and bytes that lie. */
#include "unit.h"

#include "cdc/binlog/event.h"
#include "cdc/binlog/payload.h"
#include "cdc/binlog/rows.h"
#include "core/base/mem.h"
#include "test/lib/mysql_writer.h"

#include <string.h>
#include <zstd.h>

#define UUID "3e11fa47-71ca-11e1-9e33-c80aa9429562"

static struct event event_of(uint8_t type, const struct buf *body)
{
	return (struct event){ .header = { .type = type, .size = 99, .log_pos = 1234 },
			       .body = buf_slice(body) };
}

static struct gtid_range id_of(const char *text)
{
	struct gtid_ranges s = { NULL, 0, 0 };
	struct gtid_range id;
	struct err e = ERR_INIT;

	ck_assert_int_eq(gtid_ranges_parse(slice_str(text), &s, &e), 0);
	id = s.items[0];
	gtid_ranges_done(&s);
	return id;
}

static void assert_id(const struct event_mysql_gtid *g, const char *text)
{
	struct buf b = BUF_INIT;

	gtid_range_id(&g->id, &b);
	ck_assert_str_eq(buf_cstr(&b), text);
	ck_assert_uint_eq(g->id.first, g->id.last);
	buf_done(&b);
}

START_TEST(test_gtid_of_each_version)
{
	static const struct {
		enum writer_gtid fields;
		uint64_t commit_us, size;
	} versions[] = { { WRITER_56, 0, 0 },
			 { WRITER_57, 0, 0 },
			 { WRITER_80, 1700000000123456, 300 },
			 { WRITER_80_REPLICATED, 1700000000123456, 300 } };
	struct gtid_range id = id_of(UUID ":77");
	struct err e = ERR_INIT;

	for (size_t i = 0; i < 4; i++) {
		struct buf b = BUF_INIT;
		struct event_mysql_gtid g;
		struct event ev;

		writer_gtid_body(&b, &id, versions[i].fields, 1700000000123456);
		ev = event_of(EVENT_MYSQL_GTID, &b);
		ck_assert_msg(event_mysql_gtid_read(&ev, &g, &e) == 0, "%s", e.msg);
		assert_id(&g, UUID ":77");
		ck_assert(!g.anonymous && g.flags == 1);
		ck_assert_uint_eq(g.commit_us, versions[i].commit_us);
		ck_assert_uint_eq(g.size, versions[i].size);
		for (size_t cut = 0; cut < 25; cut++) {
			ev.body.size = cut;
			ck_assert_int_lt(event_mysql_gtid_read(&ev, &g, &e), 0);
		}
		ev = event_of(EVENT_MYSQL_ANONYMOUS_GTID, &b);
		ck_assert_int_eq(event_mysql_gtid_read(&ev, &g, &e), 0);
		ck_assert(g.anonymous);
		buf_done(&b);
	}
}
END_TEST

START_TEST(test_gtid_number_refused)
{
	static const uint64_t bad[] = { 0, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX };
	struct gtid_range id = id_of(UUID ":1");
	struct event_mysql_gtid g;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < 4; i++) {
		struct buf b = BUF_INIT;
		struct event ev;

		id.first = bad[i];
		writer_gtid_body(&b, &id, WRITER_57, 0);
		ev = event_of(EVENT_MYSQL_GTID, &b);
		ck_assert_int_lt(event_mysql_gtid_read(&ev, &g, &e), 0);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ev.header.type = EVENT_MYSQL_ANONYMOUS_GTID; /* there it means nothing */
		ck_assert_int_eq(event_mysql_gtid_read(&ev, &g, &e), 0);
		buf_done(&b);
	}
}
END_TEST

/* The bytes of a real event (9.7.4): behind it every number was checked by eye. */
START_TEST(test_tagged_of_a_server)
{
	static const uint8_t real[] = {
		0x02, 0x74, 0x00, 0x00, 0x00, 0x02, 0xbe, 0xe4, 0xd9, 0x03, 0x8d, 0x02,
		0x95, 0x03, 0xa9, 0x03, 0x22, 0xc5, 0x03, 0xfd, 0x02, 0x18, 0x04, 0xf1,
		0x03, 0x00, 0x00, 0x00, 0x02, 0x04, 0x0c, 0x06, 0x0a, 0x6d, 0x79, 0x74,
		0x61, 0x67, 0x08, 0x58, 0x0a, 0x5c, 0x0c, 0x7f, 0xe8, 0x47, 0x07, 0x41,
		0xcf, 0x60, 0x06, 0x10, 0x05, 0x05, 0x12, 0x83, 0x12, 0x0b,
	};
	struct event ev = { .header = { .type = EVENT_MYSQL_GTID_TAGGED },
			    .body = slice_of(real, sizeof(real)) };
	struct event_mysql_gtid g;
	struct err e = ERR_INIT;

	ck_assert_msg(event_mysql_gtid_read(&ev, &g, &e) == 0, "%s", e.msg);
	assert_id(&g, "5f72f6a3-e5ea-11f1-bf0c-02fc00000001:mytag:3");
	ck_assert_uint_eq(g.commit_us, 1795293125756904);
	ck_assert_uint_eq(g.size, 321);
	for (size_t cut = 0; cut < sizeof(real); cut++) {
		ev.body.size = cut;
		ck_assert_int_lt(event_mysql_gtid_read(&ev, &g, &e), 0);
	}
}
END_TEST

static struct gtid_range random_id(bool tagged)
{
	struct gtid_range id = { .first = 1 };
	size_t n = tagged ? 1 + unit_random_below(GTID_TAG_SIZE - 1) : 0;

	for (size_t i = 0; i < sizeof(id.uuid); i++)
		id.uuid[i] = (uint8_t)unit_random64();
	for (size_t i = 0; i < n; i++)
		id.tag[i] = (char)('a' + (char)unit_random_below(26));
	id.first = 1 + (unit_random64() >> (1 + unit_random_below(63))) % (INT64_MAX - 1);
	id.last = id.first;
	return id;
}

START_TEST(test_tagged_random)
{
	unit_seed();
	for (int i = 0; i < 5000; i++) {
		uint64_t us = unit_random64() >> unit_random_below(64), original = us + 1;
		struct gtid_range id = random_id(true);
		struct event_mysql_gtid g;
		struct buf b = BUF_INIT;
		struct event ev;
		struct err e = ERR_INIT;

		writer_tagged_body(&b, &id, us, i % 2 != 0 ? original : 0);
		ev = event_of(EVENT_MYSQL_GTID_TAGGED, &b);
		ck_assert_msg(event_mysql_gtid_read(&ev, &g, &e) == 0, "%s", e.msg);
		ck_assert_mem_eq(&g.id, &id, sizeof(id));
		ck_assert_uint_eq(g.commit_us, i % 2 != 0 && original != 0 ? original : us);
		ck_assert_uint_eq(g.size, 400);
		b.data[unit_random_below(b.size)] ^= (uint8_t)(1 + unit_random_below(255));
		if (event_mysql_gtid_read(&ev, &g, &e) < 0)
			ck_assert_int_eq(e.kind, ERR_DATA);
		else
			ck_assert(g.id.first >= 1 && g.id.tag[GTID_TAG_SIZE - 1] == '\0');
		buf_done(&b);
	}
}
END_TEST

/* version, last field that must be known, field behind the known ones */
START_TEST(test_tagged_of_later_servers)
{
	static const struct {
		uint64_t version, needed, field;
		bool good;
	} cases[] = { { 1, 0, 0, true },  { 1, 11, 0, true }, { 1, 12, 0, false },
		      { 2, 0, 0, false }, { 0, 0, 0, false }, { 1, 0, 12, true },
		      { 1, 0, 200, true } };
	struct gtid_range id = id_of(UUID ":x:7");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf whole = BUF_INIT, b = BUF_INIT;
		struct event_mysql_gtid g;
		struct event ev;
		struct err e = ERR_INIT;

		writer_tagged_body(&whole, &id, 5, 0);
		ck_assert(whole.size < 126);
		writer_varlen(&b, cases[i].version);
		buf_add_u8(&b, 0); /* the size, below */
		writer_varlen(&b, cases[i].needed);
		buf_add(&b, whole.data + 3, whole.size - 3);
		if (cases[i].field != 0) {
			writer_varlen(&b, cases[i].field);
			buf_add_str(&b, "anything");
		}
		b.data[1] = (uint8_t)(b.size << 1);
		ck_assert(b.size < 128);
		ev = event_of(EVENT_MYSQL_GTID_TAGGED, &b);
		ck_assert_msg((event_mysql_gtid_read(&ev, &g, &e) == 0) == cases[i].good,
			      "case %zu: %s", i, e.msg);
		buf_done(&whole);
		buf_done(&b);
	}
}
END_TEST

/* ---- sets ----------------------------------------------------------------------------------- */

START_TEST(test_previous_gtids)
{
	static const char tagged[] = "\1\2\0\0\0\0\0\1"
				     "aaaaaaaaaaaaaaaa\0" /* no tag */
				     "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0"
				     "aaaaaaaaaaaaaaaa\4Tg"
				     "\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0";
	struct gtid_set set = GTID_SET_INIT;
	struct buf text = BUF_INIT;
	struct event ev = { .header = { .type = EVENT_PREVIOUS_GTIDS } };
	struct err e = ERR_INIT;

	ev.body = slice_of("\0\0\0\0\0\0\0\0", 8);
	ck_assert_int_eq(event_previous_gtids_read(&ev, &set, &e), 0);
	ck_assert(gtid_set_is_empty(&set));
	ev.body = slice_of(tagged, sizeof(tagged) - 1);
	ck_assert_msg(event_previous_gtids_read(&ev, &set, &e) == 0, "%s", e.msg);
	gtid_set_text(&set, &text);
	ck_assert_str_eq(buf_cstr(&text), "61616161-6161-6161-6161-616161616161:1-5:tg:3");
	for (size_t cut = 0; cut < sizeof(tagged) - 1; cut++) {
		ev.body.size = cut;
		ck_assert_int_lt(event_previous_gtids_read(&ev, &set, &e), 0);
	}
	gtid_set_done(&set);
	buf_done(&text);
}
END_TEST

START_TEST(test_packed_sets_random)
{
	unit_seed();
	for (int i = 0; i < 2000; i++) {
		struct gtid_ranges s = { NULL, 0, 0 }, back = { NULL, 0, 0 };
		struct gtid_range some[3] = { random_id(false), random_id(i % 2 != 0),
					      random_id(i % 3 == 0) };
		struct buf b = BUF_INIT;
		struct err e = ERR_INIT;

		for (uint64_t n = unit_random_below(20); n > 0; n--) {
			struct gtid_range r = some[unit_random_below(3)];

			r.first = 1 + unit_random_below(60);
			r.last = r.first + unit_random_below(5);
			ck_assert_int_eq(gtid_ranges_add(&s, &r, &e), 0);
		}
		gtid_ranges_pack(&s, &b);
		ck_assert_msg(gtid_ranges_unpack(buf_slice(&b), &back, &e) == 0, "%s", e.msg);
		ck_assert(gtid_ranges_equal(&s, &back));
		b.data[unit_random_below(b.size)] ^= (uint8_t)(1 + unit_random_below(255));
		if (gtid_ranges_unpack(buf_slice(&b), &back, &e) < 0)
			ck_assert_int_eq(e.kind, ERR_DATA);
		gtid_ranges_done(&s);
		gtid_ranges_done(&back);
		buf_done(&b);
	}
}
END_TEST

/* ---- payloads ------------------------------------------------------------------------------- */

/* Events of random sizes; each body is its number, again and again. */
static void random_events(struct writer *w, size_t count, size_t size_max)
{
	struct buf body = BUF_INIT;

	w->bare = true;
	for (size_t i = 0; i < count; i++) {
		buf_reset(&body);
		for (uint64_t n = unit_random_below(size_max); n > 0; n--)
			buf_add_u8(&body, (uint8_t)(i + (unit_random_below(4) == 0)));
		writer_event(w, EVENT_ROWS_QUERY, 0, buf_slice(&body));
	}
	buf_done(&body);
}

/* What comes out is the bytes that went in, event by event. Returns payload_next()'s last. */
static int read_back(struct payload *p, struct slice body, struct slice inner, struct err *e)
{
	struct event ev = { .header = { .type = EVENT_TRANSACTION_PAYLOAD, .log_pos = 4321 },
			    .body = body };
	size_t at = 0;
	int rc;

	if (payload_open(p, &ev, e) < 0)
		return -1;
	while ((rc = payload_next(p, &ev, e)) == 1) {
		size_t size = EVENT_HEADER_SIZE + ev.body.size;

		ck_assert_uint_eq(ev.header.log_pos, 4321);
		ck_assert_uint_eq(ev.header.size, size);
		ck_assert(inner.size - at >= size);
		ck_assert(slice_equal(ev.body,
				      slice_of(inner.data + at + EVENT_HEADER_SIZE, ev.body.size)));
		at += size;
	}
	ck_assert(rc < 0 || at == inner.size);
	return rc;
}

START_TEST(test_payload_random)
{
	static const int levels[] = { 0, 1, 3 };
	struct payload *p = payload_new();

	unit_seed();
	for (int i = 0; i < 150; i++) {
		struct writer w = { .bare = true };
		struct buf body = BUF_INIT;
		struct err e = ERR_INIT;

		random_events(&w, unit_random_below(10), i % 25 == 0 ? 300000 : 500);
		writer_payload_body(&body, buf_slice(&w.out), levels[unit_random_below(3)]);
		ck_assert_msg(read_back(p, buf_slice(&body), buf_slice(&w.out), &e) == 0, "%s",
			      e.msg);
		writer_done(&w);
		buf_done(&body);
	}
	payload_free(p);
}
END_TEST

/* Damage anywhere: an error of the right kind, or the events that are still right; never a read
 * outside, never an end without all bytes. */
START_TEST(test_payload_damaged)
{
	struct payload *p = payload_new();
	struct writer w = { .bare = true };
	struct buf body = BUF_INIT;
	struct err e = ERR_INIT;

	unit_seed();
	random_events(&w, 9, 200);
	for (int level = 0; level < 4; level += 3) {
		buf_reset(&body);
		writer_payload_body(&body, buf_slice(&w.out), level);
		for (size_t i = 0; i < body.size; i++) {
			struct event ev = { .header = { .type = EVENT_TRANSACTION_PAYLOAD },
					    .body = slice_of(body.data, i) };
			int rc = payload_open(p, &ev, &e);

			while (rc >= 0 && (rc = payload_next(p, &ev, &e)) == 1)
				;
			ck_assert_msg(rc < 0, "level %d cut at %zu", level, i);
			ck_assert_int_eq(e.kind, ERR_DATA);
			uint8_t right = body.data[i];

			body.data[i] ^= (uint8_t)(1 + unit_random_below(255));
			ev.body = buf_slice(&body);
			rc = payload_open(p, &ev, &e);
			while (rc >= 0 && (rc = payload_next(p, &ev, &e)) == 1)
				;
			body.data[i] = right; /* a damaged size could make the next cut an end */
		}
	}
	writer_done(&w);
	buf_done(&body);
	payload_free(p);
}
END_TEST

static void add_field(struct buf *b, uint64_t kind, uint64_t value)
{
	struct buf number = BUF_INIT;

	writer_lenenc(&number, value);
	writer_lenenc(b, kind);
	writer_lenenc(b, number.size);
	buf_add_slice(b, buf_slice(&number));
	buf_done(&number);
}

/* Bytes as zstd packs them with a window of 1 << log, and without saying their size. */
static void pack(struct slice bytes, int log, struct buf *out)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	ZSTD_inBuffer in = { bytes.data, bytes.size, 0 };
	ZSTD_outBuffer to = { NULL, ZSTD_compressBound(bytes.size), 0 };

	ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, log);
	to.dst = buf_reserve(out, to.size);
	ck_assert_uint_eq(ZSTD_compressStream2(z, &to, &in, ZSTD_e_flush), 0);
	ck_assert_uint_eq(ZSTD_compressStream2(z, &to, &in, ZSTD_e_end), 0);
	out->size += to.pos;
	ZSTD_freeCCtx(z);
}

/* claims: what field 3 says of the size when inflated; 0: nothing */
static int read_packed(struct slice packed, uint64_t claims, uint64_t compression,
		       struct slice inner, struct err *e)
{
	struct payload *p = payload_new();
	struct buf body = BUF_INIT;
	int rc;

	add_field(&body, 2, compression);
	if (claims != 0)
		add_field(&body, 3, claims);
	writer_lenenc(&body, 0);
	buf_add_slice(&body, packed);
	rc = read_back(p, buf_slice(&body), inner, e);
	buf_done(&body);
	payload_free(p);
	return rc;
}

START_TEST(test_payload_frames_and_claims)
{
	struct writer w = { .bare = true };
	struct buf packed = BUF_INIT, twice = BUF_INIT;
	struct slice inner, half;
	struct err e = ERR_INIT;

	unit_seed();
	random_events(&w, 40, 5000);
	inner = buf_slice(&w.out);
	pack(inner, 20, &packed);
	ck_assert_int_eq(read_packed(buf_slice(&packed), 0, 0, inner, &e), 0);
	ck_assert_int_eq(read_packed(buf_slice(&packed), inner.size, 0, inner, &e), 0);
	ck_assert_int_lt(read_packed(buf_slice(&packed), inner.size + 1, 0, inner, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "less than it says"));
	ck_assert_int_lt(read_packed(buf_slice(&packed), inner.size - 1, 0, inner, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "more than it says"));
	ck_assert_int_lt(read_packed(buf_slice(&packed), 0, 7, inner, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "unknown algorithm 7"));
	/* two frames, cut inside of an event */
	half = slice_of(inner.data, inner.size / 2 + 3);
	pack(half, 20, &twice);
	ck_assert_int_lt(read_packed(buf_slice(&twice), 0, 0, inner, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "inside of one of its events"));
	pack(slice_of(inner.data + half.size, inner.size - half.size), 20, &twice);
	ck_assert_int_eq(read_packed(buf_slice(&twice), inner.size, 0, inner, &e), 0);
	/* an end of the frame that is missing */
	packed.size -= 3;
	ck_assert_int_lt(read_packed(buf_slice(&packed), 0, 0, inner, &e), 0);
	buf_done(&packed);
	buf_done(&twice);
	writer_done(&w);
}
END_TEST

START_TEST(test_payload_window)
{
	struct buf big = BUF_INIT, packed = BUF_INIT;
	struct err e = ERR_INIT;

	ck_assert_int_lt(read_packed(slice_of("\x28\xb5\x2f\xfd\x00\x90\0\0\0", 9), 0, 0,
				     slice_of("", 0), &e),
			 0); /* a head that asks for 1 << 28, and nothing behind it */
	ck_assert_msg(strstr(e.msg, "HINT") != NULL && strstr(e.msg, "128 MB") != NULL, "%s",
		      e.msg);
	buf_done(&big);
	buf_done(&packed);
}
END_TEST

/* 400 MB of events in 40 kB: memory is a window and one event, whatever comes out. */
START_TEST(test_payload_is_never_whole)
{
	struct payload *p = payload_new();
	ZSTD_CCtx *z = ZSTD_createCCtx();
	struct writer one = { .bare = true };
	struct buf body = BUF_INIT, zeros = BUF_INIT;
	size_t most = 0, count = 0;
	struct event ev;
	struct err e = ERR_INIT;
	int rc;

	memset(buf_reserve(&zeros, 100000), 0, 100000);
	zeros.size = 100000;
	writer_event(&one, EVENT_ROWS_QUERY, 0, buf_slice(&zeros));
	writer_lenenc(&body, 0);
	for (int i = 0; i <= 4000; i++) {
		ZSTD_inBuffer in = { one.out.data, i < 4000 ? one.out.size : 0, 0 };
		ZSTD_outBuffer out = { buf_reserve(&body, 200000), 200000, 0 };

		ck_assert(!ZSTD_isError(ZSTD_compressStream2(
			z, &out, &in, i < 4000 ? ZSTD_e_continue : ZSTD_e_end)));
		ck_assert_uint_eq(in.pos, in.size);
		body.size += out.pos;
	}
	ck_assert_uint_lt(body.size, 100000);
	ev = event_of(EVENT_TRANSACTION_PAYLOAD, &body);
	ck_assert_int_eq(payload_open(p, &ev, &e), 0);
	while ((rc = payload_next(p, &ev, &e)) == 1) {
		most = payload_memory(p) > most ? payload_memory(p) : most;
		count++;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(count, 4000);
	ck_assert_msg(most < 4 << 20, "%zu bytes", most);
	ZSTD_freeCCtx(z);
	writer_done(&one);
	buf_done(&zeros);
	buf_done(&body);
	payload_free(p);
}
END_TEST

/* A size that lies reserves nothing; what begins another group can't stand inside. */
START_TEST(test_payload_refused_inside)
{
	static const uint8_t foreign[] = { EVENT_TRANSACTION_PAYLOAD, EVENT_MYSQL_GTID,
					   EVENT_MYSQL_GTID_TAGGED,   EVENT_MYSQL_ANONYMOUS_GTID,
					   EVENT_FORMAT_DESCRIPTION,  EVENT_ROTATE };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(foreign); i++) {
		struct writer w = { .bare = true };

		writer_event(&w, foreign[i], 0, slice_str("body"));
		ck_assert_int_lt(read_packed(buf_slice(&w.out), 0, 255, buf_slice(&w.out), &e), 0);
		ck_assert_ptr_nonnull(strstr(e.msg, "event inside it"));
		writer_done(&w);
	}
	for (uint64_t size = 0; size <= UINT32_MAX; size = size * 3 + 17) {
		struct writer w = { .bare = true };

		writer_event(&w, EVENT_ROWS_QUERY, 0, slice_str("body"));
		for (int i = 0; i < 4; i++)
			w.out.data[9 + i] = (uint8_t)(size >> 8 * i);
		ck_assert_int_lt(read_packed(buf_slice(&w.out), 0, 255, buf_slice(&w.out), &e), 0);
		ck_assert_int_eq(e.kind, ERR_DATA);
		writer_done(&w);
	}
}
END_TEST

/* ---- partial updates ------------------------------------------------------------------------ */

/* t.t (id INT, a JSON, b JSON, c INT) */
static struct shape *shape_of_json(void)
{
	static const uint8_t types[] = { COLUMN_LONG, COLUMN_JSON, COLUMN_JSON, COLUMN_LONG };
	static const char *const names[] = { "id", "a", "b", "c" };
	struct shape *s = shape_new("t", "t", 4);

	for (size_t i = 0; i < 4; i++) {
		s->columns[i].type = types[i];
		s->columns[i].name = xstrdup(names[i]);
		s->columns[i].size_max = types[i] == COLUMN_JSON ? 4 : 0;
	}
	return s;
}

/* {"k": v} in binary form: object of one member, 13 bytes of it, key at 11, int16 within */
static void add_object(struct buf *b, int16_t v)
{
	buf_add(b, "\0\1\0\14\0\13\0\1\0\5", 10);
	writer_le(b, (uint16_t)v, 2);
	buf_add_u8(b, 'k');
}

static void add_json(struct buf *b, int16_t v)
{
	struct buf object = BUF_INIT;

	add_object(&object, v);
	writer_le(b, object.size, 4);
	buf_add_slice(b, buf_slice(&object));
	buf_done(&object);
}

/* replace $.k by v */
static void add_change(struct buf *b, int16_t v)
{
	writer_le(b, 1 + 1 + 3 + 1 + 3, 4);
	buf_add(b, "\0\3$.k\3\5", 7);
	writer_le(b, (uint16_t)v, 2);
}

/* A row (1, {"k": 10}, {"k": 20}, 7) whose a or b become 11 or 21, c becomes 8. bits: of a and b;
 * before: bitmap of the columns in the before image. */
static struct buf partial_body(uint8_t bits, uint8_t before)
{
	struct buf b = BUF_INIT;

	writer_le(&b, 5, 6);
	writer_le(&b, 1, 2);
	writer_le(&b, 2, 2);
	buf_add_u8(&b, 4);
	buf_add_u8(&b, before);
	buf_add_u8(&b, 0x0f);
	buf_add_u8(&b, 0); /* before: no NULLs */
	writer_le(&b, 1, 4);
	if (before & 2)
		add_json(&b, 10);
	if (before & 4)
		add_json(&b, 20);
	if (before & 8)
		writer_le(&b, 7, 4);
	buf_add_u8(&b, bits != 0); /* options */
	if (bits != 0)
		buf_add_u8(&b, bits);
	buf_add_u8(&b, 0);
	writer_le(&b, 1, 4);
	if (bits & 1)
		add_change(&b, 11);
	else
		add_json(&b, 11);
	if (bits & 2)
		add_change(&b, 21);
	else
		add_json(&b, 21);
	writer_le(&b, 8, 4);
	return b;
}

static int read_partial(const struct shape *shape, struct slice body, struct cell *after,
			struct buf *scratch, struct err *e)
{
	struct event ev = { .header = { .type = EVENT_PARTIAL_UPDATE_ROWS }, .body = body };
	struct event_format format = EVENT_FORMAT_INIT;
	struct cell before[4];
	struct rows r;

	if (rows_read(&ev, &format, scratch, &r, e) < 0)
		return -1;
	return rows_next(&r, shape, before, after, e);
}

START_TEST(test_partial_update)
{
	struct shape *shape = shape_of_json();
	struct buf want = BUF_INIT;
	struct err e = ERR_INIT;

	for (uint8_t bits = 0; bits < 4; bits++) {
		struct buf body = partial_body(bits, 0x0f), scratch = BUF_INIT;
		struct cell after[4];

		ck_assert_msg(read_partial(shape, buf_slice(&body), after, &scratch, &e) == 1,
			      "%u: %s", bits, e.msg);
		for (int i = 0; i < 2; i++) {
			buf_reset(&want);
			add_object(&want, (int16_t)(i == 0 ? 11 : 21));
			ck_assert(slice_equal(slice_of(after[1 + i].data, after[1 + i].size),
					      buf_slice(&want)));
		}
		ck_assert(after[0].size == 4 && after[3].size == 4 && after[3].data[0] == 8);
		for (size_t cut = 0; cut < body.size; cut++) { /* 0: a head without rows */
			int rc = read_partial(shape, slice_of(body.data, cut), after, &scratch, &e);

			ck_assert_msg(rc < 0 || (rc == 0 && cut == 13), "%d at %zu", rc, cut);
		}
		buf_done(&body);
		buf_done(&scratch);
	}
	buf_done(&want);
	shape_unref(shape);
}
END_TEST

START_TEST(test_partial_update_refused)
{
	struct shape *shape = shape_of_json();
	struct buf body = partial_body(2, 0x0b), scratch = BUF_INIT; /* b is not before it */
	struct cell after[4];
	struct err e = ERR_INIT;

	ck_assert_int_lt(read_partial(shape, buf_slice(&body), after, &scratch, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "column b"));
	ck_assert_ptr_nonnull(strstr(e.msg, "HINT: SET GLOBAL binlog_row_value_options = ''"));
	buf_done(&body);
	unit_seed();
	for (int i = 0; i < 5000; i++) {
		body = partial_body(3, 0x0f);
		body.data[unit_random_below(body.size)] ^= (uint8_t)(1 + unit_random_below(255));
		if (read_partial(shape, buf_slice(&body), after, &scratch, &e) < 0)
			ck_assert_int_eq(e.kind, ERR_DATA);
		buf_done(&body);
	}
	buf_done(&scratch);
	shape_unref(shape);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mysql_event");

	unit_test(s, test_gtid_of_each_version);
	unit_test(s, test_gtid_number_refused);
	unit_test(s, test_tagged_of_a_server);
	unit_test_slow(s, test_tagged_random, 60);
	unit_test(s, test_tagged_of_later_servers);
	unit_test(s, test_previous_gtids);
	unit_test_slow(s, test_packed_sets_random, 60);
	unit_test_slow(s, test_payload_random, 120);
	unit_test_slow(s, test_payload_damaged, 60);
	unit_test_slow(s, test_payload_frames_and_claims, 60);
	unit_test(s, test_payload_window);
	unit_test_slow(s, test_payload_is_never_whole, 120);
	unit_test(s, test_payload_refused_inside);
	unit_test(s, test_partial_update);
	unit_test_slow(s, test_partial_update_refused, 60);
	return unit_run(s);
}
