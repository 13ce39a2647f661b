/* test_sweep_mangled.c - whole capture sessions on a binlog that has gone wrong in ways that no
 * checksum finds: bytes flipped, events cut short, left out, repeated, swapped, each with a right
 * size field and a right CRC32.
 *
 * Goal: never a crash, never a hang, nothing read outside (run it with SANITIZER=address): a
 * session ends with ERR_DATA or comes to the end, and either way seq and commit records agree with
 * the records on the topics. What such bytes mean is not judged: they say what they say. */
#include "test/unit/unit.h"

#include "cdc/binlog/event.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "test/script/script.h"
#include "test/script/script_fault.h"

#include <string.h>

#define RUNS 400
#define PATIENCE_MS 60

static struct script_binlog *binlog, pristine;

static void keep_pristine(void)
{
	pristine = *binlog;
	pristine.events = xcalloc(binlog->count, sizeof(*pristine.events));
	memcpy(pristine.events, binlog->events, binlog->count * sizeof(*pristine.events));
}

static void restore(void)
{
	binlog->bytes.size = pristine.bytes.size;
	binlog->count = pristine.count;
	memcpy(binlog->events, pristine.events, pristine.count * sizeof(*pristine.events));
}

/* A copy of the event that may be changed: behind the others. */
static uint8_t *own_copy(size_t i)
{
	struct script_event *ev = &binlog->events[i];
	size_t at = binlog->bytes.size;

	(void)buf_reserve(&binlog->bytes, ev->size);
	buf_add(&binlog->bytes, binlog->bytes.data + ev->at, ev->size);
	ev->at = at;
	return binlog->bytes.data + at;
}

static void flip(size_t i)
{
	uint8_t *event = own_copy(i);
	size_t size = binlog->events[i].size;

	for (uint64_t n = 1 + unit_random_below(3); n > 0; n--)
		event[unit_random_below(size - EVENT_CHECKSUM_SIZE)] ^=
			(uint8_t)(1u << unit_random_below(8));
	if (unit_random_below(8) > 0) /* else the size field may be wrong, too */
		script_seal(event, size);
}

static void shorten(size_t i)
{
	size_t least = EVENT_HEADER_SIZE + EVENT_CHECKSUM_SIZE, size = binlog->events[i].size;
	uint8_t *event = own_copy(i);

	if (size <= least)
		return;
	binlog->events[i].size = least + unit_random_below(size - least);
	script_seal(event, binlog->events[i].size);
}

static void move_events(size_t to, size_t from)
{
	memmove(&binlog->events[to], &binlog->events[from],
		(binlog->count - from) * sizeof(*binlog->events));
}

/* `last`: events from here on are left alone, so that a history that is read ends where it should.
 */
static void mangle(size_t last)
{
	size_t i = 1 + unit_random_below(last - 2);
	struct script_event ev = binlog->events[i];

	switch (unit_random_below(7)) {
	case 0:
		move_events(i, i + 1);
		binlog->count--;
		break;
	case 1:
		if (binlog->count == binlog->capacity)
			break;
		move_events(i + 1, i);
		binlog->count++;
		break;
	case 2:
		binlog->events[i] = binlog->events[i + 1];
		binlog->events[i + 1] = ev;
		break;
	case 3:
		shorten(i);
		break;
	default:
		flip(i);
		break;
	}
}

static size_t last_group(void)
{
	size_t i = binlog->count - 1;

	while (binlog->events[i].gtid == binlog->events[binlog->count - 1].gtid)
		i--;
	return i + 1;
}

START_TEST(test_mangled)
{
	int refused = 0, read = 0;

	(void)unit_seed();
	binlog = script_run_setup(false);
	(void)buf_reserve(&binlog->bytes, 1024 * 1024); /* pointers into it stay */
	keep_pristine();
	script_patience(PATIENCE_MS);
	for (int run = 0; run < RUNS; run++) {
		struct err e = ERR_INIT;
		size_t last;

		(void)snprintf(script_doing, sizeof(script_doing), "run %d", run); /* fits */
		script_brokers_reset();
		restore();
		last = last_group();
		for (uint64_t n = 1 + unit_random_below(2); n > 0; n--)
			mangle(last);
		if (script_live(&e) < 0) {
			ck_assert_msg(e.kind == ERR_DATA, "%s: kind %d: %s", script_doing,
				      (int)e.kind, e.msg);
			ck_assert(strlen(e.msg) > 10);
			refused++;
		} else {
			read++;
		}
		(void)script_check_commits();
	}
	printf("%d runs: %d refused, %d read\n", RUNS, refused, read);
	ck_assert(refused > RUNS / 10 && read > RUNS / 20);
	free(pristine.events);
	script_run_teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sweep_mangled");

	unit_test_slow(s, test_mangled, 120);
	return unit_run(s);
}
