/* handlers_priv.h - what the parts of the handlers share: handlers_plan.c joins statements and
 * schemas, handlers.c applies records, handlers_fields.c values by name. */
#ifndef PROJECTIONS_APPLY_HANDLERS_PRIV_H
#define PROJECTIONS_APPLY_HANDLERS_PRIV_H

#include "core/avro/decode.h"
#include "projections/apply/handlers.h"

enum row_action { ROW_INSERT, ROW_UPDATE, ROW_DELETE, ROW_TRUNCATE };
#define ROW_ACTIONS 4

struct statement {
	struct target_statement *handle;
	const struct value **bind; /* one per parameter, into values of the plan */
	int count;
};

struct action {
	const struct view_handler *handler;
	struct statement *statements;
	size_t count;
};

struct plan {
	size_t topic;
	int32_t schema_id;
	struct decode_plan *decode;
	struct value *values;          /* one per leaf */
	int op, absent, exact, parked; /* leaves of a row envelope, or -1 */
	struct action event;
	struct action row[ROW_ACTIONS]; /* by op */
	int64_t truncated_seq;          /* of the last record `t` that was run */
	int seq;                        /* leaf */
	bool is_row, handled;
};

struct handlers {
	struct handlers_options options;
	struct plan **plans;
	size_t plan_count;
	struct plan *last; /* records come in runs of one schema */
	struct buf scratch;
	char **ignored;
	size_t ignored_count;
	struct handlers_counts counts;
};

/* The image that plain parameters mean; NULL: a handler without one. */
const char *handlers_image(enum view_on on);
/* One parameter against one leaf path; '.' of nested records is '_' in a parameter. */
bool handlers_path_is(const char *path, const char *prefix, const char *name);
int handlers_line_of(const char *text, const char *name); /* where a parameter stands */

const struct view_handler *handlers_find(const struct view *view, enum view_on on,
					 const char *name);
/* An event's handler: by full name first, then by the name without namespace. */
const struct view_handler *handlers_find_event(const struct view *view, const char *full);

/* Prepares every statement of a handler file; bind lists are made, but empty. */
int handlers_action_prepare(const struct view *view, struct target *target,
			    const struct view_handler *h, struct action *a, struct err *e);
void handlers_action_done(struct action *a, struct target *target);
int handlers_execute(const struct action *a, struct target *target, struct err *e);

int handlers_plan_new(const struct schema *schema, struct plan **ret_plan, struct err *e);
void handlers_plan_free(struct plan *plan, struct target *target); /* NULL is fine */
/* Join the plan with the handlers of an event, or of a table ("db.table"). */
int handlers_compile_event(const struct view *view, struct target *target, const char *name,
			   struct plan *plan, struct err *e);
int handlers_compile_row(const struct view *view, struct target *target, const char *table,
			 struct plan *plan, struct err *e);

#endif
