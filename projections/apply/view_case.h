/* view_case.h - a view's own test cases: given these events, expect these rows. Offline, in memory.
 *
 * cases/NAME.jsonl, one JSON object a line; empty lines and lines that begin with '#' or '//' are
 * skipped:
 *   {"case": "a ban takes the member out"}                        begins a case, with empty tables
 *   {"event": "UserJoinedGroup", "value": {"group_id": 1, ...}}   applies the handler of that event
 *   {"row": "shop.item", "op": "c", "after": {...}}               c, r, u, d or t; "before" and
 * "after" as in a row topic (t: neither)
 *   (a view of kind mirror or query takes rows of its inputs; cases/tables.sql says what the
 *   source's tables look like: CREATE TABLE for each, as SQLite understands it)
 *   {"expect": "members", "rows": [{"group_id": 1}, ...]}         the table holds these rows and no
 * other; columns that a row leaves out may hold anything "seq", "gtid" and "at" (microseconds) may
 * be given for each event; else they count up from 1. */
#ifndef PROJECTIONS_APPLY_VIEW_CASE_H
#define PROJECTIONS_APPLY_VIEW_CASE_H

#include "projections/apply/view.h"

struct view_case_result {
	const char *file; /* "cases/joins.jsonl" */
	int line;         /* where the case begins */
	const char *name;
	bool ok;
	const char *text; /* when not ok: what differs, lines */
};

typedef void (*view_case_fn)(void *context, const struct view_case_result *result);

struct view_case_counts {
	size_t passed, failed;
};

/* Runs all cases. A case that fails is a result, not an error; ERR_CONFIG: a line can't be read. */
int view_case_run(const struct view *v, view_case_fn report, void *context,
		  struct view_case_counts *ret_counts, struct err *e);

#endif
