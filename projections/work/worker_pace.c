/* worker_pace.c - a replay takes no more than its share of one core (`replay --nice`).
 *
 * Measured is what the thread itself used: its CPU clock against the wall clock. Every so many
 * records it sleeps until its share is kept again, counted over a short while: what was not used
 * (waiting for the brokers) is not saved up. The threads of the Kafka client follow, because its
 * queue is bounded and the worker empties it. Only a build is paced: what keeps a version up to
 * date must keep up. */
#include "projections/work/worker_priv.h"

#include "core/base/clock.h"

#include <time.h>

#define RECORDS_PER_LOOK 64
#define WINDOW_US 1000000
#define SLEEP_US_MAX 2000000

static int64_t thread_cpu_us(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0
		       ? 0
		       : (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void worker_pace_begin(struct worker_pace *p, int64_t share)
{
	*p = (struct worker_pace){ .share = share > 0 && share < 100 ? share : 0 };
}

int64_t worker_pace_due_us(struct worker_pace *p)
{
	int64_t now, cpu, due;

	if (p->share == 0 || ++p->calls % RECORDS_PER_LOOK != 0)
		return 0;
	now = clock_monotonic_us();
	cpu = thread_cpu_us();
	if (p->wall_us == 0 || now - p->wall_us > WINDOW_US) {
		due = p->wall_us == 0 ? 0 : (cpu - p->cpu_us) * 100 / p->share - (now - p->wall_us);
		p->wall_us = now;
		p->cpu_us = cpu;
		if (due > 0) /* the debt is carried into the window that begins */
			p->wall_us += due < SLEEP_US_MAX ? due : SLEEP_US_MAX;
	} else {
		due = (cpu - p->cpu_us) * 100 / p->share - (now - p->wall_us);
	}
	return due < 0 ? 0 : due < SLEEP_US_MAX ? due : SLEEP_US_MAX;
}

void worker_pace(struct worker *w)
{
	int64_t due = w->built ? 0 : worker_pace_due_us(&w->pace), until;

	if (due < 1000)
		return;
	until = clock_monotonic_us() + due;
	pthread_mutex_lock(&w->lock);
	while (!w->stop && clock_monotonic_us() < until)
		worker_wait_until(w, until);
	pthread_mutex_unlock(&w->lock);
}
