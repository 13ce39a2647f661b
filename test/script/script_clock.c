/* script_clock.c - clock and stop flag of the scripted tests, in place of core/base/clock.c and
 * stop.c: the wall clock stands still, so that equal histories give equal bytes; a sleep only
 * moves the other clock on; a stop can be taken back. */
#include "core/base/clock.h"
#include "core/base/stop.h"
#include "test/script/script.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define NOW_US INT64_C(1700000000123456)

static atomic_bool requested;
static _Atomic int64_t slept_us;

int64_t clock_now_us(void)
{
	return NOW_US;
}

int64_t clock_monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 + atomic_load(&slept_us);
}

void clock_sleep_us(int64_t us)
{
	if (us > 0)
		atomic_fetch_add(&slept_us, us);
	sched_yield();
}

char *clock_text(int64_t wall_us, char *ret_text)
{
	(void)snprintf(ret_text, CLOCK_TEXT_SIZE, "%lld", (long long)wall_us); /* fits */
	return ret_text;
}

void stop_install(void)
{
}

bool stop_requested(void)
{
	return atomic_load(&requested);
}

void stop_request(void)
{
	atomic_store(&requested, true);
}

int stop_fd(void)
{
	return -1;
}

bool stop_wait_ms(int64_t wait_ms)
{
	clock_sleep_us(wait_ms * 1000);
	return stop_requested();
}

void script_stop_take_back(void)
{
	atomic_store(&requested, false);
}
