/* copy_report.c - the copy's progress as records want it. */
#include "cdc/copy/copy_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <stdio.h>

bool copy_pause(struct copy *c, const char *db, const char *table, bool paused)
{
	struct copy_table *t = copy_find(c, db, table);

	if (t == NULL || copy_is_done(t) || t->paused == paused)
		return false;
	t->paused = paused;
	return true;
}

bool copy_knows(const struct copy *c, const char *db, const char *table)
{
	return copy_find(c, db, table) != NULL;
}

bool copy_is_copying(const struct copy *c, const char *db, const char *table)
{
	const struct copy_table *t = copy_find(c, db, table);

	return t != NULL && !copy_is_done(t);
}

int64_t copy_rows_estimate(const struct copy *c, const char *db, const char *table)
{
	const struct copy_table *t = copy_find(c, db, table);

	return t != NULL ? t->rows_estimate : 0;
}

struct position_copy *copy_positions(struct copy *c, size_t room, size_t *ret_count)
{
	c->positions =
		xrealloc(c->positions, (c->table_count + room + 1) * sizeof(*c->positions));
	for (size_t i = 0; i < c->table_count; i++) {
		const struct copy_table *t = c->tables[i];

		c->positions[i] = (struct position_copy){ .db = t->shape->db,
							  .table = t->shape->table,
							  .done = copy_is_done(t),
							  .chunks = t->chunks,
							  .rows = t->rows,
							  .paused = t->paused,
							  .kind = "first" };
		if (!copy_is_done(t) && t->work->has_low)
			c->positions[i].last_key = (struct record_texts){
				t->work->last_key, t->shape->key_count + 1u
			};
	}
	*ret_count = c->table_count;
	return c->positions;
}

struct record_texts copy_copying(struct copy *c)
{
	size_t count = 0;

	c->copying = xrealloc(c->copying, (c->table_count + 1) * sizeof(*c->copying));
	for (size_t i = 0; i < c->table_count && !copy_all_done(c); i++)
		if (!copy_is_done(c->tables[i]))
			c->copying[count++] = c->tables[i]->name;
	return (struct record_texts){ c->copying, count };
}

struct status_copy *copy_status(struct copy *c, size_t room, size_t *ret_count)
{
	int64_t now = clock_monotonic_us();

	c->status = xrealloc(c->status, (c->table_count + room + 1) * sizeof(*c->status));
	for (size_t i = 0; i < c->table_count; i++) {
		const struct copy_table *t = c->tables[i];
		bool done = copy_is_done(t);

		c->status[i] = (struct status_copy){ .table = t->name,
						     .rows = t->rows,
						     .done = done,
						     .rows_estimate = t->rows_estimate,
						     .kind = "first",
						     .why = done	? ""
							    : t->paused ? "paused by hand"
									: copy_paused(c),
						     .paused = (t->paused || c->pace.loaded != 0) &&
							       !done };
		if (!done && t->work->started_us != 0 && now > t->work->started_us)
			c->status[i].rate = (double)(t->rows - t->work->rows_at_start) * 1e6 /
					    (double)(now - t->work->started_us);
	}
	*ret_count = c->table_count;
	return c->status;
}

const char *copy_paused(struct copy *c)
{
	c->paused[0] = '\0';
	if (c->pace.loaded != 0)
		(void)snprintf(c->paused, sizeof(c->paused),
			       "%lld threads run on the source (copy.max_load = %lld)",
			       (long long)c->pace.loaded, (long long)c->settings->copy_max_load);
	return c->paused;
}
