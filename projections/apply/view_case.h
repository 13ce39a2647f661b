/* view_case.h - a view's own test cases: given these events, expect these rows. Offline, in memory,
 * for SQLite; in a scratch version of its store for others.
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

#include "core/value/value.h"
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

/* Where cases run: SQLite in memory (view_case_sqlite.c), or a scratch version of the view's own
 * store (projections/store/store_case.h). */
struct target;
struct view_case_place {
	/* A case begins: the view's tables, as after a build, empty. `end` follows, whatever came
	 * of it. */
	int (*begin)(void *context, const struct view *v, struct target **ret_target,
		     struct err *e);
	void (*end)(void *context);
	/* Around each event: what it did is kept, or (`keep` false) taken back. ERR_DATA of
	 * event_end: refused. */
	int (*event_begin)(void *context, struct err *e);
	int (*event_end)(void *context, bool keep, struct err *e);
	/* Columns of a table or SQL view; count 0: there is none. Free with view_names_free(). */
	int (*columns)(void *context, const char *table, char ***ret_names, size_t *ret_count,
		       struct err *e);
	/* All rows with these columns, each given to `row`. */
	int (*rows)(void *context, const char *table, char *const *columns, size_t count,
		    void (*row)(void *arg, const struct value *values), void *arg,
		    struct err *e);
	void *context;
};

struct view_case_memory; /* context of the one in memory */
struct view_case_memory *view_case_memory_new(struct view_case_place *ret_place);
void view_case_memory_free(struct view_case_memory *m); /* NULL is fine */

/* Runs all cases. A case that fails is a result, not an error; ERR_CONFIG: a line can't be read. */
int view_case_run(const struct view *v, const struct view_case_place *place, view_case_fn report,
		  void *context, struct view_case_counts *ret_counts, struct err *e);

#endif
