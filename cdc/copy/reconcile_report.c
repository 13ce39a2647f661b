/* reconcile_report.c - reconciling copies as records want them. */
#include "cdc/copy/reconcile_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <inttypes.h>
#include <stdlib.h>

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
				       .paused = w->paused,
				       .keys = w->keys };
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

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A table may be wanted several times. */
struct record_texts reconcile_reconciling(struct reconcile *r)
{
	size_t count = 0;

	if (r->names_known)
		return (struct record_texts){ r->names, r->name_count };
	r->names = xrealloc(r->names, (r->want_count + 1) * sizeof(*r->names));
	for (size_t i = 0; i < r->want_count; i++)
		r->names[i] = r->wants[i]->name;
	qsort(r->names, r->want_count, sizeof(*r->names), by_name);
	for (size_t i = 0; i < r->want_count; i++)
		if (count == 0 || strcmp(r->names[count - 1], r->names[i]) != 0)
			r->names[count++] = r->names[i];
	r->name_count = count;
	r->names_known = true;
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

/* ---- for people ----------------------------------------------------------------------------- */

void reconcile_note_end(struct reconcile *r, const struct reconcile_want *w)
{
	size_t at = r->end_count++ % RECONCILE_ENDED_MAX;

	free(r->ends[at].table);
	r->ends[at].table = xstrdup(w->name);
	r->ends[at].id = w->id;
	r->ends[at].rows = w->rows;
	r->ends[at].created = w->created;
	r->ends[at].updated = w->updated;
	r->ends[at].deleted = w->deleted;
	r->ends[at].unknown = w->unknown;
}

static void put_text(struct buf *out, const char *key, const char *text)
{
	quote_json_key(out, key);
	quote_json(out, slice_str(text));
}

static void put_number(struct buf *out, const char *key, int64_t number)
{
	quote_json_key(out, key);
	buf_add_format(out, "%" PRId64, number);
}

static void put_counts(struct buf *out, int64_t created, int64_t updated, int64_t deleted,
		       int64_t unknown)
{
	put_number(out, "created", created);
	put_number(out, "updated", updated);
	put_number(out, "deleted", deleted);
	put_number(out, "unknown", unknown);
}

/* While the row topic is read, that is what takes the time: its records are counted. */
static void put_want(const struct reconcile *r, const struct reconcile_want *w, struct buf *out)
{
	bool active = w == r->active, reading = active && r->place == RECONCILE_STATE;
	int64_t done = 0, total = 0;

	if (reading)
		state_progress(r->state, &done, &total);
	put_number(out, "id", w->id);
	put_text(out, "table", w->name);
	put_text(out, "why", w->why);
	put_text(out, "where", w->where);
	put_text(out, "state",
		 w->paused ? "paused"
		 : !active ? "waiting"
		 : reading ? "reading"
			   : "comparing");
	put_text(out, "failure", w->failure != NULL ? w->failure : "");
	put_number(out, "rows", w->rows);
	put_number(out, "rows_estimate", w->rows_estimate);
	put_number(out, "records", done);
	put_number(out, "records_total", total);
	put_counts(out, w->created, w->updated, w->deleted, w->unknown);
}

void reconcile_json(const struct reconcile *r, struct buf *out)
{
	size_t from = r->end_count > RECONCILE_ENDED_MAX ? r->end_count - RECONCILE_ENDED_MAX : 0;
	const char *comma = "";

	buf_add_u8(out, '[');
	for (size_t i = from; i < r->end_count; i++, comma = ",") {
		size_t at = i % RECONCILE_ENDED_MAX;

		buf_add_format(out, "%s{", comma);
		put_number(out, "id", r->ends[at].id);
		put_text(out, "table", r->ends[at].table);
		put_text(out, "state", "done");
		put_number(out, "rows", r->ends[at].rows);
		put_counts(out, r->ends[at].created, r->ends[at].updated, r->ends[at].deleted,
			   r->ends[at].unknown);
		buf_add_u8(out, '}');
	}
	for (size_t i = 0; i < r->want_count; i++, comma = ",") {
		buf_add_format(out, "%s{", comma);
		put_want(r, r->wants[i], out);
		buf_add_u8(out, '}');
	}
	buf_add_u8(out, ']');
}
