/* test_gtid_ranges.c - MySQL's sets of GTIDs: text, packed bytes, and random histories against
 * bits.
 *
 * The model is one bit for each number of each source (uuid and tag) in a small universe, which
 * lies at the beginning or at the very end of the numbers. Whatever is done to a set is done to the
 * bits, and after each step everything that can be asked of the set is asked. */
#include "unit.h"

#include "core/base/gtid.h"

#include <ctype.h>
#include <string.h>

#define U1 "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define U2 "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

static struct gtid_set set_of(const char *text)
{
	struct gtid_set s = GTID_SET_INIT;
	struct err e = ERR_INIT;

	ck_assert_msg(gtid_set_parse(slice_str(text), &s, &e) == 0, "%s: %s", text, e.msg);
	return s;
}

static void assert_text(const struct gtid_set *s, const char *expected)
{
	struct buf b = BUF_INIT;

	gtid_set_text(s, &b);
	ck_assert_str_eq(buf_cstr(&b), expected);
	buf_done(&b);
}

START_TEST(test_mysql_text)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ U1 ":1", U1 ":1" },
		{ U1 ":1-5:7-9", U1 ":1-5:7-9" },
		{ U1 ":7-9:1-5:6", U1 ":1-9" },
		{ U1 ":3:3:2-4", U1 ":2-4" },
		{ " " U2 ":5 ,\n" U1 ":1-1", U1 ":1," U2 ":5" },
		{ "3E11FA47-71CA-11E1-9E33-C80AA9429562:1", U1 ":1" },
		{ U1 ":Tag_1:1-3", U1 ":tag_1:1-3" },
		{ U1 ":b:2:1-4:a:9", U1 ":a:9:b:1-4" },
		{ U1 ":1-2:t:1-2," U1 ":t:3", U1 ":1-2:t:1-3" },
		{ U1 ":9223372036854775806", U1 ":9223372036854775806" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gtid_set s = set_of(cases[i].in);

		ck_assert(gtid_set_is_mysql(&s));
		assert_text(&s, cases[i].out);
		gtid_set_done(&s);
	}
}
END_TEST

START_TEST(test_mysql_refused)
{
	static const char *const bad[] = {
		":",
		U1,
		U1 ":",
		U1 ":0",
		U1 ":1-",
		U1 ":-1",
		U1 ":5-4",
		U1 ":1-2-3",
		U1 ":+1",
		U1 ":1:",
		U1 ":t",
		U1 ":t:",
		U1 ":1:t",
		U1 ":t:u:1",
		U1 ":9t:1",
		U1 ":t-x:1",
		U1 ":aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1",
		U1 ":9223372036854775807",
		U1 ":99999999999999999999999",
		U1 "," U1 ":1",
		U1 ":1,",
		"," U1 ":1",
		U1 ":1,0-1-5",
		"3e11fa4771ca11e19e33c80aa9429562:1",
		"3e11fa47-71ca-11e1-9e33-c80aa942956g:1",
		"3e11fa47-71ca-11e1-9e33-c80aa94295621:1",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gtid_set s = set_of(U2 ":1");
		struct err e = ERR_INIT;

		ck_assert_msg(gtid_set_parse(slice_str(bad[i]), &s, &e) < 0, "'%s' was taken",
			      bad[i]);
		ck_assert_int_eq(e.kind, ERR_DATA);
		assert_text(&s, U2 ":1");
		gtid_set_done(&s);
	}
}
END_TEST

START_TEST(test_mysql_limit)
{
	struct gtid_ranges s = { NULL, 0, 0 };
	struct gtid_range r = { .first = 0 };
	struct err e = ERR_INIT;

	for (uint64_t i = 0; i < GTID_RANGES_MAX; i++) {
		r.first = r.last = 2 + i * 2;
		ck_assert_int_eq(gtid_ranges_add(&s, &r, &e), 0);
	}
	r.first = r.last = GTID_NUMBER_MAX;
	ck_assert_int_lt(gtid_ranges_add(&s, &r, &e), 0);
	ck_assert_uint_eq(s.count, GTID_RANGES_MAX);
	r.first = 1; /* joins them all */
	r.last = GTID_NUMBER_MAX;
	ck_assert_int_eq(gtid_ranges_add(&s, &r, &e), 0);
	ck_assert_uint_eq(s.count, 1);
	gtid_ranges_done(&s);
}
END_TEST

/* ---- a set as bits --------------------------------------------------------------------------- */

#define SOURCES 9 /* three uuids, each without a tag and with two */
#define NUMBERS 40

struct bits {
	uint64_t base; /* the number of bit 0 is base + 1 */
	bool has[SOURCES][NUMBERS];
};

static const char *const uuids[] = { "11111111-0000-4000-8000-00000000000f", U1, U2 };
static const uint8_t uuid_bytes[][GTID_UUID_SIZE] = {
	{ 0x11, 0x11, 0x11, 0x11, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x0f },
	{ 0x3e, 0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42, 0x95,
	  0x62 },
	{ 0xaa, 0xaa, 0xaa, 0xaa, 0xbb, 0xbb, 0xcc, 0xcc, 0xdd, 0xdd, 0xee, 0xee, 0xee, 0xee, 0xee,
	  0xee },
};
static const char *const tags[] = { "", "a", "tag_9_of_32_letters_is_the_limit" };

static struct gtid_range range_of(const struct bits *b, size_t source, size_t first, size_t last)
{
	struct gtid_range r = { .first = b->base + 1 + first, .last = b->base + 1 + last };

	memcpy(r.uuid, uuid_bytes[source / 3], sizeof(r.uuid));
	ck_assert(gtid_tag_read(slice_str(tags[source % 3]), r.tag));
	return r;
}

static void set_bits(struct bits *b, size_t source, size_t first, size_t last)
{
	for (size_t i = first; i <= last; i++)
		b->has[source][i] = true;
}

static void random_range(size_t *source, size_t *first, size_t *last)
{
	*source = unit_random_below(SOURCES);
	*first = unit_random_below(NUMBERS);
	*last = *first + unit_random_below(unit_random_below(2) == 0 ? 1 : NUMBERS - *first);
}

static bool within(const struct bits *a, const struct bits *b)
{
	for (size_t s = 0; s < SOURCES; s++)
		for (size_t i = 0; i < NUMBERS; i++)
			if (a->has[s][i] && !b->has[s][i])
				return false;
	return true;
}

static uint64_t count(const struct bits *b)
{
	uint64_t n = 0;

	for (size_t s = 0; s < SOURCES; s++)
		for (size_t i = 0; i < NUMBERS; i++)
			n += b->has[s][i];
	return n;
}

static void blanks(struct buf *out)
{
	static const char *const some[] = { "", "", "", " ", "\n", "\r\n", "\t ", "  " };

	buf_add_str(out, some[unit_random_below(8)]);
}

/* The server's own form by its manual, from the bits alone. */
static void expected_text(const struct bits *b, struct buf *out)
{
	for (size_t s = 0; s < SOURCES; s++) {
		bool begun = false;

		for (size_t i = 0, end; i < NUMBERS; i = end + 1) {
			end = i;
			if (!b->has[s][i])
				continue;
			while (end + 1 < NUMBERS && b->has[s][end + 1])
				end++;
			if (!begun &&
			    (out->size == 0 || strstr(buf_cstr(out), uuids[s / 3]) == NULL))
				buf_add_format(out, "%s%s", out->size > 0 ? "," : "", uuids[s / 3]);
			if (!begun && s % 3 != 0)
				buf_add_format(out, ":%s", tags[s % 3]);
			begun = true;
			buf_add_format(out, ":%" PRIu64, b->base + 1 + i);
			if (end > i)
				buf_add_format(out, "-%" PRIu64, b->base + 1 + end);
		}
	}
}

/* Ranges in any order, several times, overlapping, in any case, with blanks where they may be. */
static void random_text(struct bits *b, struct buf *out)
{
	for (uint64_t parts = 1 + unit_random_below(6); parts > 0; parts--) {
		size_t uuid = unit_random_below(3), source, first, last, from;

		blanks(out);
		from = out->size;
		buf_add_str(out, uuids[uuid]);
		for (uint64_t n = 1 + unit_random_below(4); n > 0; n--) {
			random_range(&source, &first, &last);
			source = uuid * 3 + source % 3;
			if (source % 3 == 0 && n != 0 &&
			    memchr(out->data + from + 36, ':', out->size - from - 36) != NULL)
				continue; /* behind a tag there are only its ranges */
			if (source % 3 != 0)
				buf_add_format(out, ":%s", tags[source % 3]);
			buf_add_format(out, ":%" PRIu64, b->base + 1 + first);
			if (last > first || unit_random_below(4) == 0)
				buf_add_format(out, "-%" PRIu64, b->base + 1 + last);
			set_bits(b, source, first, last);
		}
		if (memchr(out->data + from, ':', out->size - from) == NULL) {
			buf_add_format(out, ":%" PRIu64, b->base + 1);
			set_bits(b, uuid * 3, 0, 0);
		}
		if (unit_random_below(3) == 0)
			for (size_t i = from; i < out->size; i++)
				out->data[i] = (uint8_t)toupper(out->data[i]);
		blanks(out);
		if (parts > 1)
			buf_add_u8(out, ',');
	}
}

/* ---- what is asked of a set -------------------------------------------------------------------
 */

static void assert_runs(const struct gtid_ranges *s, const struct bits *b)
{
	size_t runs = 0;

	for (size_t source = 0; source < SOURCES; source++)
		for (size_t i = 0; i < NUMBERS; i++) {
			struct gtid_range one = range_of(b, source, i, i);
			struct gtid_ranges probe = { &one, 1, 1 };

			ck_assert(gtid_ranges_contain(s, &probe) == b->has[source][i]);
			runs += b->has[source][i] && (i == 0 || !b->has[source][i - 1]);
		}
	ck_assert_uint_eq(s->count, runs); /* sorted, joined, none left out */
	ck_assert_uint_eq(gtid_ranges_size(s), count(b));
}

static void assert_both_forms(const struct gtid_set *s, const struct bits *b)
{
	struct gtid_set back = GTID_SET_INIT;
	struct buf text = BUF_INIT, expected = BUF_INIT, packed = BUF_INIT;
	struct gtid_ranges unpacked = { NULL, 0, 0 };
	struct err e = ERR_INIT;

	gtid_set_text(s, &text);
	expected_text(b, &expected);
	ck_assert_str_eq(buf_cstr(&text), buf_cstr(&expected));
	ck_assert_msg(gtid_set_parse(buf_slice(&text), &back, &e) == 0, "%s", e.msg);
	ck_assert(gtid_set_equal(s, &back));
	gtid_ranges_pack(&s->ranges, &packed);
	ck_assert_msg(gtid_ranges_unpack(buf_slice(&packed), &unpacked, &e) == 0, "%s", e.msg);
	ck_assert(gtid_ranges_equal(&s->ranges, &unpacked));
	assert_runs(&unpacked, b);
	for (size_t cut = 0; cut < packed.size; cut++)
		ck_assert(gtid_ranges_unpack(slice_of(packed.data, cut), &unpacked, &e) < 0);
	gtid_set_done(&back);
	gtid_ranges_done(&unpacked);
	buf_done(&text);
	buf_done(&expected);
	buf_done(&packed);
}

static void assert_pair(const struct gtid_set *a, const struct bits *in_a, const struct gtid_set *b,
			const struct bits *in_b)
{
	struct gtid_ranges difference = { NULL, 0, 0 };
	struct bits left = *in_a;
	struct buf missing = BUF_INIT, expected = BUF_INIT;

	for (size_t s = 0; s < SOURCES; s++)
		for (size_t i = 0; i < NUMBERS; i++)
			left.has[s][i] = in_a->has[s][i] && !in_b->has[s][i];
	gtid_ranges_minus(&a->ranges, &b->ranges, &difference);
	assert_runs(&difference, &left);
	ck_assert(gtid_set_contains_set(b, a) == within(in_a, in_b));
	ck_assert(gtid_set_contains_set(a, b) == within(in_b, in_a));
	ck_assert(gtid_set_equal(a, b) == (within(in_a, in_b) && within(in_b, in_a)));
	ck_assert_uint_eq(gtid_set_distance(b, a), count(&left));
	gtid_set_missing(a, b, &missing);
	expected_text(&left, &expected);
	ck_assert_str_eq(buf_cstr(&missing), buf_cstr(&expected));
	gtid_ranges_done(&difference);
	buf_done(&missing);
	buf_done(&expected);
}

/* ---- random histories -------------------------------------------------------------------------
 */

static uint64_t random_base(void)
{
	return unit_random_below(2) == 0 ? 0 : (uint64_t)GTID_NUMBER_MAX - NUMBERS;
}

static void add_text(struct gtid_set *s, struct bits *b)
{
	struct gtid_set more = GTID_SET_INIT;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	random_text(b, &text);
	ck_assert_msg(gtid_set_parse(buf_slice(&text), &more, &e) == 0, "'%s': %s", buf_cstr(&text),
		      e.msg);
	ck_assert_int_eq(gtid_set_union(s, &more, &e), 0);
	gtid_set_done(&more);
	buf_done(&text);
}

static void step(struct gtid_set *s, struct bits *b)
{
	struct gtid_set copy = GTID_SET_INIT;
	struct buf id = BUF_INIT;
	struct err e = ERR_INIT;
	struct gtid_range r;
	size_t source, first, last;

	random_range(&source, &first, &last);
	switch (unit_random_below(4)) {
	case 0:
		r = range_of(b, source, first, last);
		ck_assert_int_eq(gtid_ranges_add(&s->ranges, &r, &e), 0);
		set_bits(b, source, first, last);
		break;
	case 1:
		r = range_of(b, source, first, first);
		gtid_range_id(&r, &id);
		ck_assert(gtid_is_id(buf_slice(&id)));
		ck_assert(gtid_set_has(s, buf_slice(&id)) == b->has[source][first]);
		ck_assert_int_eq(gtid_set_add(s, buf_slice(&id), &e), 0);
		ck_assert(gtid_set_has(s, buf_slice(&id)));
		set_bits(b, source, first, first);
		break;
	case 2:
		gtid_set_copy(&copy, s);
		gtid_set_done(s);
		gtid_set_copy(s, &copy);
		gtid_set_done(&copy);
		break;
	default:
		add_text(s, b);
		break;
	}
	buf_done(&id);
}

START_TEST(test_histories)
{
	(void)unit_seed();
	for (int round = 0; round < 150; round++) {
		struct bits in_a = { .base = random_base() }, in_b = { .base = in_a.base };
		struct gtid_set a = GTID_SET_INIT, b = GTID_SET_INIT;
		struct err e = ERR_INIT;

		for (int i = 0; i < 6; i++) {
			step(&a, &in_a);
			assert_runs(&a.ranges, &in_a);
			if (unit_random_below(2) == 0)
				step(&b, &in_b);
			assert_pair(&a, &in_a, &b, &in_b);
		}
		assert_both_forms(&a, &in_a);
		ck_assert_int_eq(gtid_set_union(&b, &a, &e), 0);
		for (size_t s = 0; s < SOURCES; s++)
			for (size_t i = 0; i < NUMBERS; i++)
				in_b.has[s][i] = in_b.has[s][i] || in_a.has[s][i];
		assert_runs(&b.ranges, &in_b);
		assert_pair(&a, &in_a, &b, &in_b);
		gtid_set_done(&a);
		gtid_set_done(&b);
	}
}
END_TEST

/* ---- hostile bytes ----------------------------------------------------------------------------
 */

START_TEST(test_packed_hostile)
{
	struct gtid_ranges s = { NULL, 0, 0 };
	struct gtid_set set = set_of(U1 ":1-5:9:tag:3-4," U2 ":7");
	struct buf packed = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;
	int taken = 0;

	(void)unit_seed();
	gtid_ranges_pack(&set.ranges, &packed);
	for (int i = 0; i < 20000; i++) {
		size_t at = unit_random_below(packed.size);
		uint8_t was = packed.data[at];

		packed.data[at] = (uint8_t)unit_random64();
		if (gtid_ranges_unpack(buf_slice(&packed), &s, &e) == 0) {
			struct gtid_ranges back = { NULL, 0, 0 };

			taken++;
			buf_reset(&again);
			gtid_ranges_pack(&s, &again);
			ck_assert(gtid_ranges_unpack(buf_slice(&again), &back, &e) == 0);
			ck_assert(gtid_ranges_equal(&s, &back));
			gtid_ranges_done(&back);
		} else {
			ck_assert_int_eq(e.kind, ERR_DATA);
		}
		packed.data[at] = was;
	}
	ck_assert_int_gt(taken, 100);
	gtid_ranges_done(&s);
	gtid_set_done(&set);
	buf_done(&packed);
	buf_done(&again);
}
END_TEST

/* A set that claims more than its bytes hold asks for no memory. */
START_TEST(test_packed_claims)
{
	struct gtid_ranges s = { NULL, 0, 0 };
	struct buf packed = BUF_INIT;
	struct err e = ERR_INIT;

	for (int i = 0; i < 7; i++)
		buf_add_u8(&packed, 0xff);
	buf_add_u8(&packed, 0); /* 2^56 - 1 sources */
	ck_assert_int_lt(gtid_ranges_unpack(buf_slice(&packed), &s, &e), 0);
	buf_reset(&packed);
	buf_add(&packed, "\1\0\0\0\0\0\0\0", 8);
	buf_add(&packed, uuid_bytes[1], GTID_UUID_SIZE);
	for (int i = 0; i < 8; i++)
		buf_add_u8(&packed, 0xff); /* 2^64 - 1 intervals */
	ck_assert_int_lt(gtid_ranges_unpack(buf_slice(&packed), &s, &e), 0);
	ck_assert_uint_eq(s.count, 0);
	buf_done(&packed);
}
END_TEST

/* Sets as large as there can be; what saturates says so. */
START_TEST(test_huge)
{
	struct gtid_set a = set_of(U1 ":1-9223372036854775806:a:1-9223372036854775806," U2
				      ":1-9223372036854775806"),
			b = set_of(U1 ":1-9223372036854775805"), none = GTID_SET_INIT;
	struct buf missing = BUF_INIT;

	ck_assert(gtid_ranges_size(&a.ranges) == UINT64_MAX);
	ck_assert(gtid_set_distance(&none, &a) == UINT64_MAX);
	ck_assert_uint_eq(gtid_ranges_size(&b.ranges), (uint64_t)INT64_MAX - 2);
	gtid_set_missing(&a, &b, &missing);
	ck_assert_str_eq(buf_cstr(&missing), U1 ":9223372036854775806:a:1-9223372036854775806," U2
						":1-9223372036854775806");
	ck_assert(gtid_set_contains_set(&a, &b) && !gtid_set_contains_set(&b, &a));
	gtid_set_done(&a);
	gtid_set_done(&b);
	buf_done(&missing);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gtid_ranges");

	unit_test(s, test_mysql_text);
	unit_test(s, test_mysql_refused);
	unit_test(s, test_mysql_limit);
	unit_test_slow(s, test_histories, 60);
	unit_test_slow(s, test_packed_hostile, 60);
	unit_test(s, test_packed_claims);
	unit_test(s, test_huge);
	return unit_run(s);
}
