/* row_plan.h - how the rows of one table shape become envelopes and keys: compiled once, then bytes
 * to bytes.
 *
 * The layout of the envelope is core/avro/row_schema.h; a test holds the bytes against avro-c. No
 * allocation per row once the caller's buffers are warm. */
#ifndef CDC_PUBLISH_ROW_PLAN_H
#define CDC_PUBLISH_ROW_PLAN_H

#include "cdc/change/change.h"
#include "core/base/buf.h"

struct row_plan;

/* What the envelope says beside the row images. */
struct row_meta {
	enum change_op op;
	int64_t seq, commit_us, now_ms, order;
	const char *transaction;
};

struct row_plan *row_plan_new(const char *name,
			      struct shape *shape); /* takes a reference to shape */
void row_plan_free(struct row_plan *plan);
/* Appends the key datum. ERR_DATA when a key column is missing from the image or has no exact Avro
 * form. */
int row_plan_key(const struct row_plan *plan, const struct cell *row, struct buf *out,
		 struct err *e);
/* Appends the envelope datum. Returns the number of values that were inexact (carried in `exact`);
 * *ret_column: the first of their columns (NULL: not asked for). */
size_t row_plan_envelope(struct row_plan *plan, const struct row_meta *meta,
			 const struct cell *before, const struct cell *after, struct buf *out,
			 const struct column **ret_column);
/* How many inexact values each column has had since the last call go to its counter. */
void row_plan_commit(struct row_plan *plan);
/* Appends the datum of the stand-in for a record that is parked: where the whole one is. */
void row_plan_stand_in(const struct row_plan *plan, const struct row_meta *meta, const char *parked,
		       struct buf *out);
/* Do both images have the same key, byte for byte? */
bool row_plan_same_key(const struct row_plan *plan, const struct cell *before,
		       const struct cell *after);

#endif
