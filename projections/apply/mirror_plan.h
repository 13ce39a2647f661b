/* mirror_plan.h - what a record of a row topic is for a mirrored table: its leaves, by column.
 *
 * A plan is made once per topic and schema that its records were written with, and kept with the
 * mirror. Between the files mirror_plan.c, mirror_beside.c and mirror_apply.c. */
#ifndef PROJECTIONS_APPLY_MIRROR_PLAN_H
#define PROJECTIONS_APPLY_MIRROR_PLAN_H

#include "projections/apply/kind_priv.h"

struct mirror_plan {
	size_t topic;
	int32_t schema_id;
	struct decode_plan *decode;
	struct value *values; /* one per leaf */
	int op, absent, exact, parked, seq;
	struct mirror_rows *rows;
	const struct value **before, **after; /* per column, into values */
	struct value exact_text;              /* of MIRROR_EXACT; NULL but in rows that have one */
	int before_image, after_image;        /* a leaf of each: VALUE_ABSENT, no image */
	int64_t cleared_seq;
	bool passes; /* over columns that have gone again */
	bool other;  /* its table was, or has become, another one than the version's */
	bool *print; /* per column: a number that is text by now; NULL: none is */
};

/* The plan of a record, made when there is none: then it is seen, too, whether the table has become
 * another one (mirror->wants). The mirror owns it. Errors are those of the schema; ERR_RETRY: new
 * columns are wanted; ERR_CONFIG: another version is. */
int mirror_plan_for(struct mirror *m, const struct handlers_record *record,
		    struct mirror_plan **ret_plan, struct err *e);
void mirror_plans_forget(struct mirror *m);
/* At the end of a build: has a table become another one while it was built? Then another version is
 * wanted (mirror->wants) without an error: this one is whole as far as it goes. */
void mirror_plans_look_back(struct mirror *m);

/* The record that was decoded has something beside its row, or columns that are text by now. */
bool mirror_is_special(const struct mirror_plan *p);
/* Applies such a one. */
int mirror_apply_special(struct mirror *m, struct mirror_plan *p, enum mirror_op op, struct err *e);

static inline bool mirror_is_text(const struct mirror_plan *p, int leaf)
{
	return leaf >= 0 && p->values[leaf].kind == VALUE_TEXT;
}

static inline struct mirror_image mirror_image_of(const struct mirror_plan *p, int leaf,
						  const struct value **values)
{
	bool none = leaf < 0 || p->values[leaf].kind == VALUE_ABSENT;

	return (struct mirror_image){ none ? NULL : values };
}

#endif
