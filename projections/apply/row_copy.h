/* row_copy.h - a row of values that owns its bytes: samples of a diff, rows of a test case. */
#ifndef PROJECTIONS_APPLY_ROW_COPY_H
#define PROJECTIONS_APPLY_ROW_COPY_H

#include "core/value/value.h"

struct row_copy {
	struct value *values;
	size_t count;
	void *bytes; /* all text of the row */
};

void row_copy_init(struct row_copy *r, const struct value *values, size_t count);
void row_copy_done(struct row_copy *r); /* zeroed memory is fine */

#endif
