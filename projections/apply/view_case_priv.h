/* view_case_priv.h - between view_case.c (cases and their events), view_case_line.c (JSON taken
 * apart) and view_case_expect.c (rows that are expected). */
#ifndef PROJECTIONS_APPLY_VIEW_CASE_PRIV_H
#define PROJECTIONS_APPLY_VIEW_CASE_PRIV_H

#include "projections/apply/kind.h"
#include "projections/apply/row_copy.h"
#include "projections/apply/view_case.h"
#include "projections/apply/view_priv.h"

struct case_fields {
	struct handlers_field *items;
	struct row_copy *copies; /* one value each */
	size_t count;
};

struct case_run {
	const struct view *view;
	const char *file;
	struct sql_db *json; /* takes lines apart */
	const struct view_case_place *place;
	struct kind *kind;
	char *name;
	int line, case_line;
	int64_t seq;
	bool begun;
	struct buf failure; /* what went wrong in this case */
	view_case_fn report;
	void *context;
	struct view_case_counts counts;
};

/* What went wrong in this case, with the line. */
void case_note(struct case_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- lines (view_case_line.c) ---- */
/* Leaves of the object at `path` of the line; arrays come as their elements joined by ',', as
 * decode plans give them. */
int case_leaves(struct case_run *r, const char *line, const char *path, const char *prefix,
		struct case_fields *f, struct err *e);
/* Text (or JSON text) at a path of the line, malloced; NULL when it isn't there. */
int case_text(struct case_run *r, const char *line, const char *path, char **ret_text,
	      struct err *e);
void case_field_add(struct case_fields *f, const char *name, size_t size, const struct value *v);
const struct value *case_field(const struct case_fields *f, const char *name); /* or NULL */
void case_fields_done(struct case_fields *f);

/* ---- {"expect": TABLE, "rows": [...]} (view_case_expect.c) ---- */
int case_expect(struct case_run *r, const char *line, const char *name, struct err *e);

#endif
