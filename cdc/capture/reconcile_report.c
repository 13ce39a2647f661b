/* reconcile_report.c - reconciling copies as records want them. */
#include "cdc/capture/reconcile_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

static struct position_copy position_of(const struct reconcile_want *w, bool done)
{
	return (struct position_copy){ .db = w->db,
				       .table = w->table,
				       .done = done,
				       .chunks = w->chunks,
				       .rows = w->rows,
				       .last_key = w->last_key,
				       .kind = "reconcile",
				       .id = w->id,
				       .why = w->why,
				       .where = w->where,
				       .paused = w->paused };
}

const struct position_copy *reconcile_positions(struct reconcile *r, size_t *ret_count)
{
	size_t count = 0;

	r->positions = xrealloc(r->positions, (r->want_count + 1) * sizeof(*r->positions));
	if (r->last_done != NULL)
		r->positions[count++] = position_of(r->last_done, true);
	for (size_t i = 0; i < r->want_count; i++)
		r->positions[count++] = position_of(r->wants[i], false);
	*ret_count = count;
	return r->positions;
}

struct record_texts reconcile_reconciling(struct reconcile *r)
{
	size_t count = 0;

	r->names = xrealloc(r->names, (r->want_count + 1) * sizeof(*r->names));
	for (size_t i = 0; i < r->want_count; i++) {
		bool known = false;

		for (size_t k = 0; k < count && !known; k++)
			known = strcmp(r->names[k], r->wants[i]->name) == 0;
		if (!known)
			r->names[count++] = r->wants[i]->name;
	}
	return (struct record_texts){ r->names, count };
}

const struct status_copy *reconcile_status(struct reconcile *r, size_t *ret_count)
{
	int64_t now = clock_monotonic_us();
	size_t count = 0;

	r->status = xrealloc(r->status, (r->want_count + 1) * sizeof(*r->status));
	for (size_t i = 0; i < r->want_count; i++) {
		const struct reconcile_want *w = r->wants[i];
		struct status_copy *s = &r->status[count++];

		*s = (struct status_copy){ .table = w->name,
					   .rows = w->rows,
					   .rows_estimate = w->rows_estimate,
					   .kind = "reconcile",
					   .id = w->id,
					   .why = w->why,
					   .paused = w->paused };
		if (w == r->active && w->started_us != 0 && now > w->started_us)
			s->rate = (double)(w->rows - w->rows_at_start) * 1e6 /
				  (double)(now - w->started_us);
	}
	*ret_count = count;
	return r->status;
}
