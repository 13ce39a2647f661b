/* group_rows.c - decodes the row events that group.c has kept, one row at a time.
 *
 * Cells point into the packets (of partial updates: into images that were made whole); the two cell
 * arrays are reused, so nothing is allocated per row. Compressed events are inflated into one
 * buffer, which the rows of that event share. A row that takes no byte would make the walk endless
 * and is refused. */
#include "cdc/change/group_priv.h"

#include "core/base/mem.h"

/* Every column of the table is in the image. */
static bool is_full(const uint8_t *present, uint32_t columns)
{
	if (present == NULL)
		return true;
	for (uint32_t i = 0; i < columns / 8; i++)
		if (present[i] != 0xff)
			return false;
	return columns % 8 == 0 || (present[columns / 8] | (0xff << columns % 8 & 0xff)) == 0xff;
}

static bool leaves_some_out(const struct shape *shape)
{
	for (uint16_t i = 0; i < shape->column_count; i++)
		if (shape->columns[i].not_logged)
			return true;
	return false;
}

static int rows_begin(struct group *g, const struct group_event *ev, struct err *e)
{
	const struct shape *shape = ev->shape;

	if (rows_read(&ev->event, &g->format, &g->inflated, &g->rows, e) < 0)
		return -1;
	if (g->rows.column_count != shape->column_count)
		return err_data(e, "table %s.%s: row event with %u columns, the table has %u",
				shape->db, shape->table, g->rows.column_count, shape->column_count);
	if (shape->column_count > g->cell_capacity) {
		g->cell_capacity = shape->column_count;
		g->before = xrealloc(g->before, g->cell_capacity * sizeof(*g->before));
		g->after = xrealloc(g->after, g->cell_capacity * sizeof(*g->after));
	}
	g->not_logged = leaves_some_out(shape);
	g->before_full = !g->not_logged && is_full(g->rows.before, g->rows.column_count);
	g->after_full = !g->not_logged && is_full(g->rows.after, g->rows.column_count);
	g->rows_open = true;
	return 0;
}

static int no_column(const struct shape *shape, struct err *e)
{
	return err_data(e, "table %s.%s: a row without any column", shape->db, shape->table);
}

static int split(struct rd *in, const struct shape *shape, const uint8_t *present,
		 struct cell *cells, struct slice *ret_image, struct err *e)
{
	size_t from = in->at;

	if (row_split(in, shape, present, cells, e) < 0)
		return err_wrap(e, "table %s.%s", shape->db, shape->table);
	if (in->at == from)
		return no_column(shape, e);
	*ret_image = slice_of(in->data + from, in->at - from);
	return 0;
}

/* What stands in their places is nothing. */
static void leave_out(const struct shape *shape, struct cell *cells)
{
	for (uint16_t i = 0; i < shape->column_count; i++)
		if (shape->columns[i].not_logged)
			cells[i] = (struct cell){ NULL, 0, CELL_ABSENT };
}

static int row_read(struct group *g, const struct group_event *ev, struct group_row *row,
		    struct err *e)
{
	struct change *change = &row->change;

	row->before_image = row->after_image = slice_of(NULL, 0);
	change->before = change->after = NULL;
	if (g->rows.kind != ROWS_WRITE) {
		if (split(&g->rows.data, ev->shape, g->rows.before, g->before, &row->before_image,
			  e) < 0)
			return -1;
		change->before = g->before;
	}
	if (g->rows.kind != ROWS_DELETE) {
		if (rows_after(&g->rows, ev->shape, g->before, g->after, &row->after_image, e) < 0)
			return err_wrap(e, "table %s.%s", ev->shape->db, ev->shape->table);
		if (row->after_image.size == 0)
			return no_column(ev->shape, e);
		change->after = g->after;
	}
	if (g->not_logged && change->before != NULL)
		leave_out(ev->shape, g->before);
	if (g->not_logged && change->after != NULL)
		leave_out(ev->shape, g->after);
	change->op = g->rows.kind == ROWS_WRITE    ? CHANGE_CREATE
		     : g->rows.kind == ROWS_DELETE ? CHANGE_DELETE
						   : CHANGE_UPDATE;
	change->shape = ev->shape;
	change->transaction = g->info.gtid_text;
	change->commit_us = g->info.commit_us;
	g->order += !ev->watched;
	change->order = g->order;
	row->full = g->before_full && g->after_full;
	row->watched = ev->watched;
	row->unchecked_keys = (g->rows.flags & ROWS_FLAG_NO_FOREIGN_KEY_CHECKS) != 0;
	return 0;
}

/* The next effect, if it stands before row event `number`. */
static bool effect_comes(struct group *g, uint64_t number, struct group_row *row)
{
	if (g->effect_at == g->info.effect_count || g->effects[g->effect_at].number > number)
		return false;
	row->effect = g->effects[g->effect_at++].effect;
	g->order += row->effect.kind == GROUP_EMPTIES || row->effect.kind == GROUP_REWRITES;
	row->effect.order = g->order;
	return true;
}

/* The next row event to be decoded into g->current: 1, 0 when there is none, -1. */
static int next_event(struct group *g, struct err *e)
{
	int rc = 0;

	while (g->event_at < g->event_count && rc == 0) {
		const struct group_event *ev = &g->events[g->event_at];

		if (ev->shape == NULL) {
			rc = group_walk_payload(g, e);
		} else {
			g->current = *ev;
			g->current.shape = shape_ref(ev->shape);
			rc = 1;
		}
		if (rc == 0 || ev->shape != NULL)
			g->event_at++;
	}
	g->has_current = rc == 1;
	return rc;
}

static void leave_event(struct group *g)
{
	shape_unref(g->current.shape);
	g->has_current = false;
	g->rows_open = false;
}

static int next(struct group *g, struct group_row *ret_row, struct err *e)
{
	for (;;) {
		const struct group_event *ev = &g->current;
		int rc = g->has_current ? 1 : next_event(g, e);

		if (rc < 0)
			return -1;
		if (rc == 0)
			break;
		if (!g->rows_open && effect_comes(g, ev->number, ret_row))
			return GROUP_GIVES_EFFECT;
		if (!g->rows_open && cuts_has(&g->cuts, ev->number, &g->cut_at)) {
			leave_event(g);
			continue;
		}
		if (!g->rows_open && rows_begin(g, ev, e) < 0)
			return -1;
		if (rd_left(&g->rows.data) > 0)
			return row_read(g, ev, ret_row, e) < 0 ? -1 : GROUP_GIVES_ROW;
		leave_event(g);
	}
	return effect_comes(g, g->numbers, ret_row) ? GROUP_GIVES_EFFECT : GROUP_GIVES_NOTHING;
}

int group_next(struct group *g, struct group_row *ret_row, struct err *e)
{
	int gives = next(g, ret_row, e);

	return gives < 0 ? err_wrap(e, "transaction %s", g->info.gtid_text) : gives;
}
