/* kind_priv.h - between kind.c and the kinds that mirror tables (mirror_apply.c, mirror_rows.c). */
#ifndef PROJECTIONS_APPLY_KIND_PRIV_H
#define PROJECTIONS_APPLY_KIND_PRIV_H

#include "core/avro/decode.h"
#include "projections/apply/kind.h"
#include "projections/apply/query.h"

/* A statement over a table's columns, prepared once. */
struct mirror_statement {
	struct target_statement *handle; /* NULL: there is none */
	int count;
	size_t *columns; /* per parameter: its column; with HAS_COLUMN: whether it is known */
	const struct value **bind;
};

#define HAS_COLUMN ((size_t)1 << 32)

struct mirror_list { /* statements of a script of our own */
	struct target_statement **items;
	size_t count;
};

struct mirror_rows {
	const struct mirror_table *table;
	struct mirror_statement upsert, partial, remove, clear;
	struct mirror_statement *touch; /* per query; query_count of them */
	int32_t schema_id;              /* of the record before */
};

/* A row: by column of the table, NULL where the image lacks it. */
struct mirror_image {
	const struct value **values; /* column_count of them; NULL: no image at all */
};

struct mirror_plan; /* mirror_plan.h */

struct mirror {
	struct handlers_options options;
	const struct view *view;
	struct target *target;
	struct mirror_rows *rows;   /* per mirrored table */
	struct mirror_list *settle; /* per query */
	struct mirror_list fill;
	bool built;          /* the build has ended */
	bool tracking;       /* keys are noted */
	bool touched, whole; /* some keys were; everything must be computed */
	struct mirror_plan **plans;
	size_t plan_count;
	struct mirror_plan *last;
	struct buf scratch, exact;
	struct sql_db *json; /* reads `exact`; opened when the first one comes */
	struct handlers_counts counts;
	enum kind_wants wants;
	struct buf add_sql, add_file, add_text; /* kind_shape() */
	int64_t add_seq;
};

/* ---- statements and rows (mirror_rows.c) ---- */
int mirror_prepare(struct mirror *m, struct err *e);
void mirror_finalize(struct mirror *m);
int mirror_track(struct mirror *m, struct err *e);
enum mirror_op { MIRROR_PUT, MIRROR_CHANGE, MIRROR_REMOVE, MIRROR_CLEAR };
int mirror_row(struct mirror *m, struct mirror_rows *r, enum mirror_op op,
	       const struct mirror_image *before, const struct mirror_image *after, struct err *e);
int mirror_settle(struct mirror *m, struct err *e);

/* ---- records (mirror_apply.c) ---- */
int mirror_open(const struct kind_options *options, struct mirror **ret_mirror, struct err *e);
void mirror_close(struct mirror *m);
int mirror_built(struct mirror *m, struct err *e);
int mirror_apply(struct mirror *m, const struct handlers_record *record, struct err *e);
int mirror_empties(struct mirror *m, const struct handlers_record *record, struct err *e);
/* By the fields' names: a case of `view test` (mirror_fields.c). *ret_found: is it such a table? */
int mirror_run_fields(struct mirror *m, enum view_on on, const char *name,
		      const struct handlers_field *fields, size_t count, bool *ret_found,
		      struct err *e);
extern const struct value mirror_null;

#endif
