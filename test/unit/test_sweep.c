/* test_sweep.c - a whole capture session without a server, and each call in it that can fail failed
 * once, in turn.
 *
 * Goal: whatever fails, and whether or not its effect happened before the answer was lost, the
 * sessions that follow bring the topics to the same records in the same order as if nothing had
 * failed: every seq once, from 1, and commit records that agree with what is there.
 *
 * Method: source and brokers are scripts (test/script/script.h). One run without a fault counts the
 * calls of each kind; then, for each kind and each number, a session meets that fault, and sessions
 * without one go on until the last source transaction stands in the position. A fault is a lost
 * connection before the effect, one behind it, or a crash from there on; the other kinds of error
 * are tried at a few places of each call. Calls that come very often are failed at SPREAD places.
 *
 * Not swept: allocation (it aborts), and the copying of tables (source.start = earliest). */
#include "test/unit/unit.h"

#include "test/script/script.h"
#include "test/script/script_fault.h"

#include <string.h>

#define SPREAD 24
#define KINDS_AT 3     /* places at which the other kinds of error are tried */
#define SESSIONS_MAX 6 /* more to come to the end is a fault in itself */

/* ---- sessions -------------------------------------------------------------------------------- */

static void to_the_end(void)
{
	struct err e = ERR_INIT;

	for (int i = 0; i < SESSIONS_MAX; i++) {
		e = (struct err)ERR_INIT;
		if (script_live(&e) == 0 && script_is_final())
			return;
		script_fault_heal();
	}
	ck_abort_msg("%s: does not come to the end: %s", script_doing, e.msg);
}

static struct buf reference;

static void run(void)
{
	struct buf data = BUF_INIT;

	script_brokers_reset();
	to_the_end();
	script_take_data(&data);
	ck_assert_msg(script_check_commits() > SCRIPT_BIG_ROWS, "%s", script_doing);
	if (reference.size == 0)
		buf_add_slice(&reference, buf_slice(&data));
	ck_assert_msg(slice_equal(buf_slice(&data), buf_slice(&reference)),
		      "%s: %zu bytes of records instead of %zu, or others", script_doing, data.size,
		      reference.size);
	buf_done(&data);
}

static void fail_at(enum script_call call, int64_t n, enum script_mode mode, enum err_kind kind)
{
	static const char *const modes[] = { "fails", "fails behind its effect", "crashes" };

	(void)snprintf(script_doing, sizeof(script_doing), "%s number %lld %s (kind %d)",
		       script_call_name(call), (long long)n, modes[mode], (int)kind); /* fits */
	script_fault_reset();
	script_fault_arm(call, n, mode, kind);
	run();
	script_fault_heal();
}

static int64_t sweep_call(enum script_call call, int64_t count)
{
	int64_t step = count > SPREAD ? count / SPREAD : 1, struck = 0;

	for (int64_t n = 1; n <= count; n += n + step > count && n < count ? count - n : step) {
		fail_at(call, n, SCRIPT_BEFORE, ERR_RETRY);
		struck += script_fault_struck();
		if (script_call_has_effect(call))
			fail_at(call, n, SCRIPT_AFTER, ERR_RETRY);
		if (call != SCRIPT_PRODUCER_LATER)
			fail_at(call, n, SCRIPT_CRASH, ERR_RETRY);
	}
	for (int i = 0; i < KINDS_AT && count > 0; i++)
		for (enum err_kind kind = ERR_DATA; kind <= ERR_FATAL; kind++)
			fail_at(call, 1 + (count - 1) * i / (KINDS_AT - 1), SCRIPT_BEFORE, kind);
	return struck;
}

static void sweep(const char *delivery)
{
	int64_t counts[SCRIPT_CALL_COUNT], struck = 0, runs = 0;

	script_delivery = delivery;
	(void)script_run_setup(true);
	run();
	for (enum script_call c = 0; c < SCRIPT_CALL_COUNT; c++)
		counts[c] = script_fault_count(c);
	for (enum script_call c = 0; c < SCRIPT_CALL_COUNT; c++) {
		int64_t hits = sweep_call(c, counts[c]);

		printf("%-16s %5lld calls, failed at %lld of them\n", script_call_name(c),
		       (long long)counts[c], (long long)hits);
		struck += hits;
		runs += counts[c] > 0;
	}
	ck_assert_msg(struck > 100 && runs > 10, "the sweep struck only %lld times",
		      (long long)struck);
	buf_done(&reference);
	script_run_teardown();
}

START_TEST(test_sweep)
{
	sweep("exactly-once");
}
END_TEST

/* Without transactions: between the acknowledged steps of a group commit lie windows that only the
 * reading back of what is there can close. */
START_TEST(test_sweep_in_steps)
{
	sweep("at-least-once");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sweep");

	unit_test_slow(s, test_sweep, 240);
	unit_test_slow(s, test_sweep_in_steps, 240);
	return unit_run(s);
}
