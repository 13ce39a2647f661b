/* test_ring.c - the byte ring: order, wrap, full, lent packets, end and stop; then two threads
 * against each other. */
#include "cdc/source/ring.h"
#include "test/unit/unit.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static struct slice read_one(struct ring *r, uint64_t *cursor)
{
	struct slice s = { NULL, 0 };

	ck_assert_int_eq(ring_read(r, cursor, 0, &s), RING_EVENT);
	return s;
}

START_TEST(test_ring_order_and_cursors)
{
	struct ring *r = ring_new(0);
	uint64_t cursor = ring_begin(r), again;
	struct slice s;

	ck_assert_int_eq(ring_read(r, &cursor, 0, &s), RING_EMPTY);
	ck_assert(ring_push(r, slice_str("one")));
	ck_assert(ring_push(r, slice_str("twotwo")));
	ck_assert(slice_is(read_one(r, &cursor), "one"));
	ck_assert(slice_is(read_one(r, &cursor), "twotwo"));
	ck_assert_int_eq(ring_read(r, &cursor, 1, &s), RING_EMPTY);
	again = ring_begin(r);
	ck_assert(slice_is(read_one(r, &again), "one")); /* reading ahead releases nothing */
	ring_release(r, again);
	again = ring_begin(r);
	ck_assert(slice_is(read_one(r, &again), "twotwo"));
	ring_end(r);
	ck_assert_int_eq(ring_read(r, &cursor, 0, &s), RING_END);
	ring_free(r);
}
END_TEST

/* Sizes that don't divide the ring make it skip a rest at its end at ever other places. */
START_TEST(test_ring_wraps)
{
	struct ring *r = ring_new(RING_BYTES_MIN);
	uint64_t cursor = ring_begin(r);
	uint8_t packet[1000];

	for (size_t i = 0; i < 10000; i++) {
		size_t size = 1 + i * 7 % sizeof(packet);
		struct slice s;

		memset(packet, (int)(i & 0xff), size);
		ck_assert(ring_push(r, slice_of(packet, size)));
		s = read_one(r, &cursor);
		ck_assert(slice_equal(s, slice_of(packet, size)));
		ring_release(r, cursor);
	}
	ring_free(r);
}
END_TEST

struct side {
	struct ring *ring;
	size_t packets, size_max;
	uint64_t seed;
	bool pushed;
};

static uint64_t step(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static size_t make_packet(uint64_t *x, size_t size_max, uint8_t *packet)
{
	uint64_t v = step(x);
	size_t size = v % 50 == 0 ? 1 + (size_t)(v >> 20) % size_max : 1 + (size_t)(v >> 20) % 90;

	memset(packet, (int)(v & 0xff), size);
	return size;
}

static void *produce(void *context)
{
	struct side *side = context;
	uint8_t *packet = malloc(side->size_max);
	uint64_t x = side->seed;

	side->pushed = true;
	for (size_t i = 0; i < side->packets && side->pushed; i++) {
		size_t size = make_packet(&x, side->size_max, packet);

		side->pushed = ring_push(side->ring, slice_of(packet, size));
		memset(packet, 0xee, size); /* what was lent must have been released by now */
	}
	ring_end(side->ring);
	free(packet);
	return NULL;
}

static void run_two_threads(size_t packets, size_t size_max, size_t ahead)
{
	struct side side = { ring_new(RING_BYTES_MIN), packets, size_max, unit_random64() | 1,
			     false };
	uint8_t *packet = malloc(size_max);
	uint64_t x = side.seed, cursor = ring_begin(side.ring);
	size_t seen = 0, held = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, produce, &side), 0);
	for (;;) {
		struct slice s;
		enum ring_state state = ring_read(side.ring, &cursor, 50, &s);

		if (state == RING_END)
			break;
		if (state == RING_EVENT) {
			size_t size = make_packet(&x, size_max, packet);

			ck_assert(slice_equal(s, slice_of(packet, size)));
			seen++;
			held++;
		}
		if (state == RING_FULL)
			ck_assert_uint_gt(held, 0); /* nothing held: it would be stuck for ever */
		if (state == RING_FULL || held > ahead) {
			ring_release(side.ring, cursor);
			held = 0;
		}
	}
	ck_assert_uint_eq(seen, packets);
	pthread_join(thread, NULL);
	ck_assert(side.pushed);
	ring_free(side.ring);
	free(packet);
}

START_TEST(test_ring_two_threads)
{
	unit_seed();
	run_two_threads(300000, 90, 0);
	run_two_threads(300000, 1000, 20);
	run_two_threads(100000, 1000, 1000000); /* only RING_FULL releases */
	run_two_threads(20000, 20000, 3);       /* lent packets */
}
END_TEST

START_TEST(test_ring_full_is_seen)
{
	struct side side = { ring_new(RING_BYTES_MIN), 100000, 90, 7, false };
	uint64_t cursor = ring_begin(side.ring);
	enum ring_state state;
	pthread_t thread;
	struct slice s;

	ck_assert_int_eq(pthread_create(&thread, NULL, produce, &side), 0);
	while ((state = ring_read(side.ring, &cursor, 1000, &s)) == RING_EVENT)
		;
	ck_assert_int_eq(state, RING_FULL);
	ck_assert_int_eq(ring_read(side.ring, &cursor, 1000, &s), RING_FULL);
	ring_stop(side.ring);
	pthread_join(thread, NULL);
	ck_assert(!side.pushed);
	ck_assert(!ring_push(side.ring, slice_str("x")));
	ring_free(side.ring);
}
END_TEST

START_TEST(test_ring_stop_frees_a_lender)
{
	struct side side = { ring_new(RING_BYTES_MIN), 1, 90, 0, false };
	uint8_t big[5000];
	uint64_t cursor;
	pthread_t thread;
	struct slice s;

	memset(big, 3, sizeof(big));
	side.packets = 100000;
	side.size_max = 20000;
	side.seed = 99;
	cursor = ring_begin(side.ring);
	ck_assert_int_eq(pthread_create(&thread, NULL, produce, &side), 0);
	do { /* until one is lent: then nothing follows though there is room */
		ck_assert_int_eq(ring_read(side.ring, &cursor, 1000, &s), RING_EVENT);
		if (s.size <= RING_BYTES_MIN / 4)
			ring_release(side.ring, cursor);
	} while (s.size <= RING_BYTES_MIN / 4);
	ck_assert_int_eq(ring_read(side.ring, &cursor, 1000, &s), RING_FULL);
	ring_stop(side.ring);
	pthread_join(thread, NULL);
	ck_assert(!side.pushed);
	ring_free(side.ring);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");

	unit_test(s, test_ring_order_and_cursors);
	unit_test(s, test_ring_wraps);
	unit_test_slow(s, test_ring_two_threads, 60);
	unit_test(s, test_ring_full_is_seen);
	unit_test(s, test_ring_stop_frees_a_lender);
	return unit_run(s);
}
