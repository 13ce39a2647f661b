/* fuzz_gtid.c - GTIDs, sets of them in every dialect, and places (core/base/gtid*.c, the GTID
 * events of cdc/binlog): text and bytes come back as they were, and the algebra of sets holds.
 * Input: a byte, a part with one set, and another set. */
#include "test/fuzz/fuzz.h"

#include "cdc/binlog/event.h"
#include "core/base/gtid.h"

static void check_text(const struct gtid_set *s)
{
	struct gtid_set back = GTID_SET_INIT;
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;

	gtid_set_text(s, &text);
	fuzz_check(gtid_set_parse(buf_slice(&text), &back, &e) == 0, "%s", e.msg);
	gtid_set_text(&back, &again);
	fuzz_check_same(buf_slice(&text), buf_slice(&again));
	fuzz_check(gtid_set_equal(s, &back), "%s", buf_cstr(&text));
	gtid_set_copy(&back, s);
	fuzz_check(gtid_set_equal(s, &back), "the copy");
	fuzz_check(gtid_set_is_empty(s) == (text.size == 0), "empty");
	buf_reset(&again);
	gtid_set_missing(s, &back, &again);
	fuzz_check(again.size == 0, "it lacks itself");
	gtid_set_done(&back);
	buf_done(&text);
	buf_done(&again);
}

static void check_packed(const struct gtid_ranges *s)
{
	struct gtid_ranges back = { NULL, 0, 0 };
	struct buf packed = BUF_INIT;
	struct err e = ERR_INIT;

	gtid_ranges_pack(s, &packed);
	fuzz_check(gtid_ranges_unpack(buf_slice(&packed), &back, &e) == 0, "%s", e.msg);
	fuzz_check(gtid_ranges_equal(s, &back), "packed and unpacked");
	gtid_ranges_done(&back);
	buf_done(&packed);
}

static void check_ranges(const struct gtid_ranges *a, const struct gtid_ranges *b)
{
	struct gtid_ranges left = { NULL, 0, 0 }, again = { NULL, 0, 0 }, both = { NULL, 0, 0 };
	struct err e = ERR_INIT;

	check_packed(a);
	gtid_ranges_minus(a, b, &left);
	fuzz_check(gtid_ranges_contain(a, &left), "a - b is in a");
	fuzz_check((left.count == 0) == gtid_ranges_contain(b, a), "a - b is empty: a is in b");
	gtid_ranges_minus(&left, b, &again);
	fuzz_check(gtid_ranges_equal(&left, &again), "a - b - b");
	gtid_ranges_copy(&both, a);
	if (gtid_ranges_union(&both, b, &e) == 0) {
		fuzz_check(gtid_ranges_contain(&both, a) && gtid_ranges_contain(&both, b), "union");
		if (gtid_ranges_size(&both) != UINT64_MAX)
			fuzz_check(gtid_ranges_size(&both) ==
					   gtid_ranges_size(b) + gtid_ranges_size(&left),
				   "size of the union");
		gtid_ranges_minus(&both, b, &again);
		fuzz_check(gtid_ranges_equal(&left, &again), "(a + b) - b");
	}
	gtid_ranges_done(&left);
	gtid_ranges_done(&again);
	gtid_ranges_done(&both);
}

static void check_two(struct gtid_set *a, const struct gtid_set *b)
{
	struct gtid_set was = GTID_SET_INIT;
	struct buf missing = BUF_INIT;
	struct err e = ERR_INIT;
	bool has = gtid_set_contains_set(b, a);

	gtid_set_missing(a, b, &missing);
	fuzz_check(has == (missing.size == 0), "%s: %d", buf_cstr(&missing), has);
	fuzz_check(gtid_set_equal(a, b) == gtid_set_equal(b, a), "equal");
	if (has && gtid_set_contains_set(a, b) && !gtid_set_is_mysql(a))
		fuzz_check(gtid_set_distance(a, b) == 0, "distance");
	check_ranges(&a->ranges, &b->ranges);
	gtid_set_copy(&was, a);
	if (gtid_set_union(a, b, &e) == 0)
		fuzz_check(gtid_set_contains_set(a, &was) && gtid_set_contains_set(a, b), "union");
	else
		fuzz_check(gtid_set_equal(a, &was), "changed, and failed");
	gtid_set_done(&was);
	buf_done(&missing);
}

static void check_id(const struct gtid_set *s, struct slice id)
{
	struct gtid_set more = GTID_SET_INIT;
	struct err e = ERR_INIT;

	gtid_set_copy(&more, s);
	if (gtid_set_add(&more, id, &e) == 0) {
		fuzz_check(gtid_is_id(id), "no id");
		fuzz_check(gtid_set_has(&more, id), "added, and not there");
		check_text(&more);
	} else {
		fuzz_check_error(&e, ERR_DATA);
		fuzz_check(!gtid_is_id(id) || more.count >= GTID_DOMAINS_MAX ||
				   more.ranges.count >= GTID_RANGES_MAX,
			   "%s", e.msg);
	}
	gtid_set_done(&more);
}

static void check_events(struct slice body)
{
	struct gtid_set s = GTID_SET_INIT;
	struct event ev = { .body = body };
	struct event_mysql_gtid mysql;
	struct event_gtid maria;
	struct buf id = BUF_INIT;
	struct err e = ERR_INIT;

	if (event_previous_gtids_read(&ev, &s, &e) == 0)
		check_text(&s);
	if (event_gtid_list_read(&ev, &s, &e) == 0)
		check_text(&s);
	(void)event_gtid_read(&ev, &maria, &e);
	for (int type = EVENT_MYSQL_GTID; type <= EVENT_MYSQL_GTID_TAGGED; type++) {
		ev.header.type = (uint8_t)type;
		if (event_mysql_gtid_read(&ev, &mysql, &e) < 0 || mysql.anonymous)
			continue;
		buf_reset(&id);
		gtid_range_id(&mysql.id, &id);
		fuzz_check(id.size < GTID_ID_SIZE && gtid_is_id(buf_slice(&id)), "%s",
			   buf_cstr(&id));
	}
	gtid_set_done(&s);
	buf_done(&id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gtid_set a = GTID_SET_INIT, b = GTID_SET_INIT;
	struct buf missing = BUF_INIT;
	struct err e = ERR_INIT;
	struct slice first, second;
	enum gtid_known known;
	bool packed;

	fuzz_input = rd_of(data, size);
	packed = fuzz_pick(2) == 1;
	first = fuzz_part();
	second = rd_rest(&fuzz_input);
	check_events(second);
	if (packed) {
		(void)gtid_ranges_unpack(first, &a.ranges, &e);
		(void)gtid_ranges_unpack(second, &b.ranges, &e);
	} else {
		(void)gtid_set_parse(first, &a, &e); /* else they stay empty */
		if (gtid_set_parse(second, &b, &e) < 0)
			(void)gtid_set_parse_state(second, &b, &e);
		if (gtid_known(&a, second, &known, &missing, &e) == 0)
			fuzz_check((known == GTID_KNOWN) == (missing.size == 0), "%d: %s",
				   (int)known, buf_cstr(&missing));
		check_id(&a, second);
	}
	check_text(&a);
	check_two(&a, &b);
	gtid_set_done(&a);
	gtid_set_done(&b);
	buf_done(&missing);
	return 0;
}
