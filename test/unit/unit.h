/*
 * unit.h - what every unit test file needs: check, a short main, and random numbers whose seed is
 * known.
 *
 *   int main(void)
 *   {
 *           Suite *s = suite_create("slice");
 *           unit_test(s, test_slice_empty);      // a case named after the function
 *           return unit_run(s);
 *   }
 *
 * Each test runs in a process of its own (CK_FORK=no for a debugger), so a crash fails one test.
 * A test that uses random numbers calls unit_seed() first: it prints the seed, SEED=... repeats it.
 */
#pragma once

#include <check.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Adds FN, made with START_TEST, to suite S as a case of its own. */
#define unit_test(s, fn) unit_add((s), #fn, (fn), 0)

/* The same with a limit of SECONDS (check's own is 4). */
#define unit_test_slow(s, fn, seconds) unit_add((s), #fn, (fn), (seconds))

static inline void unit_add(Suite *s, const char *name, const TTest *fn, double seconds)
{
	TCase *c = tcase_create(name);

	if (seconds > 0)
		tcase_set_timeout(c, seconds);
	tcase_add_test(c, fn);
	suite_add_tcase(s, c);
}

/* Runs the suite; prints a line per failure and check's summary. Returns main's status; takes S. */
static inline int unit_run(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	if (srunner_ntests_run(r) == 0) {
		printf("no test ran\n");
		failed = 1;
	}
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static uint64_t unit_random_state __attribute__((unused));

/* SplitMix64 (Steele, Lea, Flood 2014): any seed is a good one, the same on every machine. */
static inline uint64_t unit_random64(void)
{
	uint64_t z = unit_random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 .. below-1; BELOW must not be 0. (The bias of the remainder does not matter to a test.) */
static inline uint64_t unit_random_below(uint64_t below)
{
	return unit_random64() % below;
}

/* Starts the random numbers from SEED in the environment, else from the clock; prints the seed. */
static inline uint64_t unit_seed(void)
{
	const char *given = getenv("SEED");
	struct timespec now;

	if (given != NULL) {
		unit_random_state = strtoull(given, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		unit_random_state = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	}
	printf("SEED=%" PRIu64 "\n", unit_random_state);
	return unit_random_state;
}
