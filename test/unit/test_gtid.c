/* test_gtid.c - GTIDs and positions: text both ways, hostile text, MariaDB's positions against a
 * naive model, and dialects together. MySQL's sets: test_gtid_ranges.c. */
#include "unit.h"

#include "core/base/gtid.h"

#include <string.h>

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

START_TEST(test_one)
{
	struct gtid g;
	struct err e = ERR_INIT;
	char text[GTID_TEXT_SIZE];
	const char *max = "4294967295-4294967295-18446744073709551615";

	ck_assert_int_eq(gtid_parse(slice_str("0-1-5"), &g, &e), 0);
	ck_assert_uint_eq(g.domain, 0);
	ck_assert_uint_eq(g.server, 1);
	ck_assert_uint_eq(g.seq, 5);
	ck_assert_int_eq(gtid_parse(slice_str(max), &g, &e), 0);
	ck_assert_str_eq(gtid_text(&g, text), max);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const bad[] = {
		"-",
		"0",
		"0-1",
		"0-1-",
		"0--1",
		"-1-1-1",
		"0-1-5-6",
		"+0-1-5",
		"0- 1-5",
		"0-1-5x",
		"x",
		"0-1-0x5",
		"0-1-5,",
		",",
		",0-1-5",
		"0-1-5,,1-1-1",
		"0-1-5 1-1-1",
		"0-1-5,0-2-6",
		"4294967296-1-1",
		"1-4294967296-1",
		"0-1-18446744073709551616",
		"0-1-99999999999999999999999",
		"0_1_5",
		"0-1-5;1-1-1",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gtid_set s = set_of("7-7-7");
		struct err e = ERR_INIT;

		ck_assert_msg(gtid_set_parse(slice_str(bad[i]), &s, &e) < 0, "'%s' was taken",
			      bad[i]);
		ck_assert_int_eq(e.kind, ERR_DATA);
		assert_text(&s, "7-7-7");
		gtid_set_done(&s);
	}
}
END_TEST

START_TEST(test_text)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "  ", "" },
		{ "0-1-5", "0-1-5" },
		{ " 5-1-2 ,\n3-9-1,\t0-1-0", "0-1-0,3-9-1,5-1-2" },
		{ "00-01-005", "0-1-5" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gtid_set s = set_of(cases[i].in);

		assert_text(&s, cases[i].out);
		gtid_set_done(&s);
	}
}
END_TEST

START_TEST(test_domains_limit)
{
	struct gtid_set s = GTID_SET_INIT;
	struct err e = ERR_INIT;
	struct gtid g = { 0, 1, 1 };

	for (uint32_t i = 0; i < GTID_DOMAINS_MAX; i++) {
		g.domain = GTID_DOMAINS_MAX - i;
		ck_assert_int_eq(gtid_set_update(&s, &g, &e), 0);
	}
	ck_assert_int_eq(gtid_set_update(&s, &g, &e), 0);
	g.domain = 0;
	ck_assert_int_lt(gtid_set_update(&s, &g, &e), 0);
	ck_assert_uint_eq(s.count, GTID_DOMAINS_MAX);
	gtid_set_done(&s);
}
END_TEST

START_TEST(test_compare)
{
	struct gtid_set a = set_of("0-1-5,1-2-7"), b = set_of("0-9-5"), c = set_of("0-1-6"),
			none = set_of("");
	struct gtid_set far = set_of("0-1-18446744073709551615,1-1-18446744073709551615");

	ck_assert(gtid_set_contains_set(&a, &b));
	ck_assert(!gtid_set_contains_set(&b, &a));
	ck_assert(!gtid_set_contains_set(&a, &c));
	ck_assert(gtid_set_contains_set(&a, &none));
	ck_assert(!gtid_set_contains_set(&none, &a));
	ck_assert(gtid_set_contains_set(&a, &a));
	ck_assert(!gtid_set_equal(&a, &b));
	ck_assert_uint_eq(gtid_set_distance(&b, &a), 7);
	ck_assert_uint_eq(gtid_set_distance(&a, &b), 0);
	ck_assert_uint_eq(gtid_set_distance(&a, &c), 1);
	ck_assert_uint_eq(gtid_set_distance(&none, &a), 12);
	ck_assert(gtid_set_distance(&a, &far) == UINT64_MAX);
	gtid_set_done(&a);
	gtid_set_done(&b);
	gtid_set_done(&c);
	gtid_set_done(&far);
}
END_TEST

#define MODEL_DOMAINS 9

static void assert_like_model(const struct gtid_set *s, const struct gtid *model, const bool *known)
{
	struct gtid_set again = GTID_SET_INIT;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t sum = 0;
	size_t count = 0;

	for (uint32_t d = 0; d < MODEL_DOMAINS; d++) {
		struct gtid probe = { d, 1, model[d].seq };
		const struct gtid *found = gtid_set_find(s, d);

		ck_assert((found != NULL) == known[d]);
		ck_assert(gtid_set_contains(s, &probe) == known[d]);
		probe.seq++;
		ck_assert(!gtid_set_contains(s, &probe));
		if (!known[d])
			continue;
		ck_assert_uint_eq(found->seq, model[d].seq);
		sum += model[d].seq;
		count++;
	}
	ck_assert_uint_eq(s->count, count);
	ck_assert_uint_eq(gtid_set_distance(&again, s), sum);
	gtid_set_text(s, &text);
	ck_assert_int_eq(gtid_set_parse(buf_slice(&text), &again, &e), 0);
	ck_assert(gtid_set_equal(s, &again));
	ck_assert(gtid_set_contains_set(s, &again) && gtid_set_contains_set(&again, s));
	gtid_set_done(&again);
	buf_done(&text);
}

START_TEST(test_random)
{
	unit_seed();
	for (int round = 0; round < 60; round++) {
		struct gtid_set s = GTID_SET_INIT, copy = GTID_SET_INIT;
		struct gtid model[MODEL_DOMAINS] = { 0 };
		bool known[MODEL_DOMAINS] = { false };
		struct err e = ERR_INIT;

		for (int step = 0; step < 30; step++) {
			uint32_t d = (uint32_t)unit_random_below(MODEL_DOMAINS);
			struct gtid g = { d, (uint32_t)unit_random_below(3),
					  unit_random_below(1000) };

			model[d] = g;
			known[d] = true;
			ck_assert_int_eq(gtid_set_update(&s, &g, &e), 0);
			assert_like_model(&s, model, known);
			gtid_set_copy(&copy, &s);
			assert_like_model(&copy, model, known);
		}
		gtid_set_done(&s);
		gtid_set_done(&copy);
	}
}
END_TEST

#define U1 "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define U2 "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

START_TEST(test_dialects_do_not_mix)
{
	struct gtid_set a = set_of("0-1-5"), m = set_of(U1 ":1-5"), none = set_of("");
	struct err e = ERR_INIT;

	ck_assert(!gtid_set_contains_set(&a, &m) && !gtid_set_contains_set(&m, &a));
	ck_assert(!gtid_set_equal(&a, &m));
	ck_assert(gtid_set_contains_set(&a, &none) && gtid_set_contains_set(&m, &none));
	ck_assert(gtid_set_is_empty(&none) && !gtid_set_is_empty(&m));
	ck_assert_int_lt(gtid_set_union(&a, &m, &e), 0);
	ck_assert_int_lt(gtid_set_union(&m, &a, &e), 0);
	assert_text(&a, "0-1-5");
	ck_assert_int_eq(gtid_set_union(&none, &m, &e), 0);
	assert_text(&none, U1 ":1-5");
	gtid_set_done(&a);
	gtid_set_done(&m);
	gtid_set_done(&none);
}
END_TEST

/* ---- what a server knows --------------------------------------------------------------------- */

START_TEST(test_known)
{
	static const struct {
		const char *position, *state;
		enum gtid_known known;
		const char *missing;
	} cases[] = {
		{ "", "", GTID_KNOWN, "" },
		{ "0-1-5", "0-1-5", GTID_KNOWN, "" },
		{ "0-1-5", "0-1-7,0-2-9", GTID_KNOWN, "" },
		{ "0-1-5", "", GTID_BEHIND, "0-1-1 to 0-1-5" },
		{ "0-1-105", "0-1-100", GTID_BEHIND, "0-1-101 to 0-1-105" },
		{ "0-1-101", "0-1-100,", GTID_BEHIND, "0-1-101" },
		{ "0-1-105", "0-1-100,0-2-130", GTID_DIVERGED, "0-1-101 to 0-1-105" },
		{ "0-1-105", "0-2-130", GTID_DIVERGED, "0-1-105" },
		{ "0-1-5,3-1-9", "0-1-5,3-1-4", GTID_BEHIND, "3-1-5 to 3-1-9" },
		{ "0-1-5,3-1-9", "0-1-4,0-7-6,3-1-4", GTID_DIVERGED, "0-1-5, 3-1-5 to 3-1-9" },
		{ "0-1-100", ",0-1-100", GTID_KNOWN, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gtid_set position = set_of(cases[i].position);
		struct buf missing = BUF_INIT;
		struct err e = ERR_INIT;
		enum gtid_known known;

		ck_assert_int_eq(
			gtid_known(&position, slice_str(cases[i].state), &known, &missing, &e), 0);
		ck_assert_msg(known == cases[i].known, "case %zu: %d", i, (int)known);
		ck_assert_str_eq(buf_cstr(&missing), cases[i].missing);
		buf_done(&missing);
		gtid_set_done(&position);
	}
}
END_TEST

START_TEST(test_state)
{
	struct gtid_set s = set_of("9-9-9");
	struct err e = ERR_INIT;

	ck_assert_int_eq(gtid_set_parse_state(slice_str("0-1-5,0-2-9,0-3-7,1-1-1"), &s, &e), 0);
	assert_text(&s, "0-2-9,1-1-1");
	ck_assert_int_lt(gtid_set_parse_state(slice_str("0-1-5,x"), &s, &e), 0);
	assert_text(&s, "0-2-9,1-1-1");
	gtid_set_done(&s);
}
END_TEST

START_TEST(test_place)
{
	static const char *const bad[] = { "binlog.:4",
					   "binlog.1x:4",
					   "binlog.000001",
					   ".000001:4",
					   "binlog.000001:",
					   "binlog.000001:-1",
					   "a:b.000001:4",
					   "binlog.000001:4,binlog.000002:4",
					   "binlog.000001:99999999999999999999" };
	struct gtid_set a = set_of(" my-bin.999999:1234 "), b = set_of("my-bin.1000000:4"),
			g = set_of(U1 ":1-5"), m = set_of("0-1-5"), none = set_of("");
	struct buf missing = BUF_INIT;
	struct err e = ERR_INIT;

	assert_text(&a, "my-bin.999999:1234");
	ck_assert(gtid_set_is_place(&a) && !gtid_set_is_place(&g) && !gtid_set_is_empty(&a));
	ck_assert(gtid_set_contains_set(&b, &a) && !gtid_set_contains_set(&a, &b));
	ck_assert(gtid_set_contains_set(&a, &a) && gtid_set_contains_set(&a, &none));
	ck_assert(!gtid_set_contains_set(&a, &g) && !gtid_set_contains_set(&g, &a) &&
		  !gtid_set_contains_set(&m, &a) && !gtid_set_contains_set(&none, &a));
	ck_assert(gtid_set_equal(&a, &a) && !gtid_set_equal(&a, &b) && !gtid_set_equal(&a, &none));
	ck_assert_uint_eq(gtid_set_distance(&a, &b), 1);
	ck_assert_uint_eq(gtid_set_distance(&b, &a), 0);
	gtid_set_missing(&b, &a, &missing);
	ck_assert_str_eq(buf_cstr(&missing), "my-bin.1000000:4");
	ck_assert_int_lt(gtid_set_union(&a, &g, &e), 0);
	ck_assert_int_eq(gtid_set_union(&a, &b, &e), 0);
	assert_text(&a, "my-bin.1000000:4");
	gtid_set_move(&a, a.file, 99);
	assert_text(&a, "my-bin.1000000:99");
	gtid_set_copy(&b, &m);
	assert_text(&b, "0-1-5");
	gtid_set_copy(&b, &a);
	gtid_set_copy(&none, &a);
	assert_text(&none, "my-bin.1000000:99");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(gtid_set_parse(slice_str(bad[i]), &a, &e) < 0, "%s", bad[i]);
	gtid_set_done(&a);
	gtid_set_done(&b);
	gtid_set_done(&g);
	gtid_set_done(&m);
	gtid_set_done(&none);
	buf_done(&missing);
}
END_TEST

/* One transaction, named by its text, in each dialect. */
START_TEST(test_ids)
{
	static const struct {
		const char *set, *id;
		bool has;
		const char *after; /* adding it; NULL: it is no id */
	} cases[] = {
		{ "0-1-5", "0-2-5", true, "0-2-5" },
		{ "0-1-5", "0-2-6", false, "0-2-6" },
		{ "0-1-5", "1-1-1", false, "0-1-5,1-1-1" },
		{ "", "0-1-1", false, "0-1-1" },
		{ "", U1 ":7", false, U1 ":7" },
		{ U1 ":1-5", U1 ":5", true, U1 ":1-5" },
		{ U1 ":1-5", U1 ":6", false, U1 ":1-6" },
		{ U1 ":1-5", U1 ":tag:5", false, U1 ":1-5:tag:5" },
		{ U1 ":1-5", U1 ":4-5", false, NULL },
		{ "binlog.000002:100", "binlog.000002:100", true, "binlog.000002:100" },
		{ "binlog.000002:100", "binlog.000002:101", false, "binlog.000002:101" },
		{ "binlog.000002:100", "binlog.000003:4", false, "binlog.000003:4" },
		{ "binlog.000002:100", U1 ":1", false, U1 ":1" },
		{ U1 ":1-5", "0-1-1", false, "0-1-1" },
		{ "0-1-5", "snapshot:db.table:3", false, NULL },
		{ "binlog.000002:100", "snapshot:db.1:3", false, NULL },
		{ "0-1-5", "0-1-5,1-1-1", false, NULL },
		{ "0-1-5", "", false, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gtid_set s = set_of(cases[i].set);
		struct slice id = slice_str(cases[i].id);
		struct err e = ERR_INIT;

		ck_assert_msg(gtid_set_has(&s, id) == cases[i].has, "case %zu", i);
		ck_assert_msg(gtid_is_id(id) == (cases[i].after != NULL), "case %zu", i);
		ck_assert_int_eq(gtid_set_add(&s, id, &e), cases[i].after != NULL ? 0 : -1);
		assert_text(&s, cases[i].after != NULL ? cases[i].after : cases[i].set);
		gtid_set_done(&s);
	}
}
END_TEST

START_TEST(test_cut)
{
	char out[12];
	struct gtid_set s = GTID_SET_INIT;
	struct err e = ERR_INIT;

	gtid_text_cut(slice_str("0-1-2345678"), out, sizeof(out));
	ck_assert_str_eq(out, "0-1-2345678");
	gtid_text_cut(slice_str("0-1-23456789"), out, sizeof(out));
	ck_assert_str_eq(out, "0-1-2345...");
	ck_assert_int_eq(gtid_set_parse(slice_str(out), &s, &e), -1);
	gtid_text_cut(slice_of(NULL, 0), out, sizeof(out));
	ck_assert_str_eq(out, "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gtid");

	unit_test(s, test_one);
	unit_test(s, test_refused);
	unit_test(s, test_text);
	unit_test(s, test_cut);
	unit_test(s, test_domains_limit);
	unit_test(s, test_compare);
	unit_test_slow(s, test_random, 60);
	unit_test(s, test_dialects_do_not_mix);
	unit_test(s, test_place);
	unit_test(s, test_ids);
	unit_test(s, test_known);
	unit_test(s, test_state);
	return unit_run(s);
}
