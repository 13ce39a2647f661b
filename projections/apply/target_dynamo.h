/* target_dynamo.h - item templates (core/dynamo/dynamo_template.h) as the statements of handlers.
 *
 * A handler's file is one statement. What executing it means is the owner's: the store puts items
 * into its next request; the check of a view never executes. */
#ifndef PROJECTIONS_APPLY_TARGET_DYNAMO_H
#define PROJECTIONS_APPLY_TARGET_DYNAMO_H

#include "core/dynamo/dynamo_template.h"
#include "projections/apply/target.h"

struct target_dynamo {
	struct target target;               /* first: a target is the address of this */
	const struct dynamo_tables *tables; /* not owned */
	/* As target_ops has them; values[i] is parameter i's, from 0. NULL: nothing happens. */
	int (*execute)(void *context, const struct dynamo_template *t,
		       const struct value *const *values, struct err *e);
	int (*flush)(void *context, struct err *e);
	void *context;
};

void target_dynamo_init(struct target_dynamo *t, const struct dynamo_tables *tables);

/* The tables of a view, from its tables.json. */
struct view;
int view_dynamo_tables(const struct view *v, struct dynamo_tables **ret_tables, struct err *e);

#endif
