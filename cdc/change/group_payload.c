/* group_payload.c - a transaction that MySQL has compressed (TRANSACTION_PAYLOAD).
 *
 * The events inside live in a window that moves on, so none of them can be kept for later, as those
 * outside are. The payload is read twice instead: scanned like the events it stands for, which
 * tells how it ends and whether it holds captured rows; and walked by group_next(), event by event,
 * for the rows. The table maps inside are taken in both times: ids mean what the last map said. */
#include "cdc/change/group_priv.h"

#include "core/base/log.h"

#include <inttypes.h>

/* A window beyond this is worth a word: it comes on top of capture.memory. */
static void say_large(const struct group *g)
{
	size_t bytes = payload_memory(g->payload);

	if ((int64_t)bytes > g->settings->capture_memory)
		log_warning(
			"capture",
			"transaction %s: its compressed events take a window of %zu bytes, more "
			"than capture.memory (%" PRId64 ")",
			g->info.gtid_text, bytes, g->settings->capture_memory);
}

static int scan_events(struct group *g, struct err *e)
{
	struct event inner;
	int rc;

	while ((rc = payload_next(g->payload, &inner, e)) == 1)
		if (group_scan_inside(g, &inner, e) < 0)
			return -1;
	return rc;
}

int group_scan_payload(struct group *g, const struct event *ev, struct err *e)
{
	uint64_t first = g->numbers;
	int rc;

	if (g->payload == NULL)
		g->payload = payload_new();
	if (payload_open(g->payload, ev, e) < 0)
		return -1;
	g->in_payload = true;
	rc = scan_events(g, e);
	g->in_payload = false;
	g->last_table = NULL;
	if (rc < 0)
		return err_wrap(e, "transaction %s", g->info.gtid_text);
	say_large(g);
	if (g->numbers > first && g->pass != GROUP_LOOKING && !g->rolled_back)
		group_keep(g, ev, NULL, first, false);
	return 0;
}

/* Its table is known, and captured or watched. */
static int take_rows(struct group *g, const struct event *ev, bool *ret_taken, struct err *e)
{
	const struct catalog_table *table;
	uint64_t id;

	*ret_taken = false;
	if (rows_table_id(ev, &g->format, &id, e) < 0)
		return -1;
	table = catalog_find(g->catalog, id);
	if (table == NULL)
		return err_data(e, "rows of table id %" PRIu64 " without a table map before them",
				id);
	if ((!table->captured && !table->watched) || table->unknown)
		return 0;
	g->current = (struct group_event){ *ev, shape_ref(table->shape), g->payload_number++,
					   table->watched };
	*ret_taken = true;
	return 0;
}

int group_walk_payload(struct group *g, struct err *e)
{
	const struct group_event *whole = &g->events[g->event_at];
	const struct catalog_table *table;
	struct event inner;
	bool taken;
	int rc;

	if (!g->payload_open) {
		if (payload_open(g->payload, &whole->event, e) < 0)
			return -1;
		g->payload_open = true;
		g->payload_number = whole->number;
	}
	while ((rc = payload_next(g->payload, &inner, e)) == 1) {
		if (inner.header.type == EVENT_TABLE_MAP &&
		    catalog_table_map(g->catalog, inner.body, &table, e) < 0)
			return -1;
		if (!rows_is(inner.header.type))
			continue;
		if (take_rows(g, &inner, &taken, e) < 0)
			return -1;
		if (taken)
			return 1;
	}
	g->payload_open = false;
	return rc;
}
