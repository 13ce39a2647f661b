/* copy_pace.c - how fast tables are copied, and what is said of it.
 *
 * The rate is kept by when reads begin: rows that were read push the next beginning back. With a
 * rate, chunks are no larger than what a second allows, so that it holds within any few seconds. */
#include "cdc/copy/copy_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"

#define REPORT_US 60000000
#define REPORT_PERCENT 10

static bool too_loaded(struct copy *c)
{
	int64_t load, most = c->settings->copy_max_load;
	bool was = c->pace.loaded != 0;

	if (most == 0)
		return false;
	load = db_watch_load(c->watch);
	c->pace.loaded = load > most ? load : 0;
	if (c->pace.loaded != 0 && !was)
		log_info("copy", "paused: %lld threads run on the source (copy.max_load = %lld)",
			 (long long)load, (long long)most);
	else if (c->pace.loaded == 0 && was)
		log_info("copy", "goes on: %lld threads run on the source", (long long)load);
	return c->pace.loaded != 0;
}

bool copy_pace_allows(struct copy *c)
{
	if (too_loaded(c))
		return false;
	return c->settings->copy_rate == 0 || clock_monotonic_us() >= c->pace.next_us;
}

void copy_pace_read(struct copy *c, int64_t rows)
{
	int64_t now = clock_monotonic_us();

	if (c->settings->copy_rate == 0)
		return;
	if (c->pace.next_us < now)
		c->pace.next_us = now;
	c->pace.next_us += rows * 1000000 / c->settings->copy_rate;
}

int64_t copy_pace_rows(const struct copy *c, int64_t rows)
{
	int64_t rate = c->settings->copy_rate / (int64_t)c->lane_count;

	if (c->settings->copy_rate == 0 || rows <= rate)
		return rows;
	return rate > COPY_ROWS_MIN ? rate : COPY_ROWS_MIN;
}

/* A line per minute, or per tenth of the whole, whichever comes first. */
void copy_pace_report(struct copy *c)
{
	int64_t now = clock_monotonic_us(), rows = 0, estimate = 0;
	double rate;
	int percent;

	if (copy_all_done(c) || now - c->pace.reported_us < 1000000)
		return;
	for (size_t i = 0; i < c->table_count; i++) {
		const struct copy_table *t = c->tables[i];
		bool done = copy_is_done(t);

		rows += t->rows;
		estimate += done || t->rows > t->rows_estimate ? t->rows : t->rows_estimate;
	}
	percent = estimate > 0 ? (int)(rows * 100 / estimate) : 0;
	if (c->pace.reported_us != 0 && now - c->pace.reported_us < REPORT_US &&
	    percent < c->pace.reported_percent + REPORT_PERCENT)
		return;
	rate = c->pace.reported_us == 0 ? 0
					: (double)(rows - c->pace.reported_rows) * 1e6 /
						  (double)(now - c->pace.reported_us);
	if (c->pace.reported_us != 0)
		log_info("copy",
			 "%zu of %zu tables, %lld rows of about %lld (%d %%), %.0f rows/s, about "
			 "%.0f s to go%s%s",
			 c->done_count, c->table_count, (long long)rows, (long long)estimate,
			 percent, rate, rate > 0 ? (double)(estimate - rows) / rate : 0,
			 c->pace.loaded != 0 ? ", paused: " : "", copy_paused(c));
	c->pace.reported_rows = rows;
	c->pace.reported_us = now;
	c->pace.reported_percent = percent;
}
