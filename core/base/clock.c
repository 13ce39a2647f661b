/* clock.c - thin wrappers over clock_gettime, so that units are in the names. */
#include "core/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void clock_sleep_us(int64_t us)
{
	struct timespec t = clock_timespec(us);

	if (us > 0)
		nanosleep(&t, NULL);
}

void clock_condition(pthread_cond_t *ret_condition)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(ret_condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

char *clock_text(int64_t wall_us, char *ret_text)
{
	time_t seconds = (time_t)(wall_us / 1000000);
	int ms = (int)(wall_us / 1000 % 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(ret_text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text + n, CLOCK_TEXT_SIZE - n, ".%03dZ", ms);
	return ret_text;
}
