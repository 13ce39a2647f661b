/* change.h - one captured row change, as it goes from the decoder to the publisher. Plain data,
 * valid during one call. */
#ifndef CDC_CHANGE_CHANGE_H
#define CDC_CHANGE_CHANGE_H

#include "core/value/row.h"

#include <stdint.h>

enum change_op {
	CHANGE_CREATE = 'c',
	CHANGE_UPDATE = 'u',
	CHANGE_DELETE = 'd',
	CHANGE_READ = 'r',
	CHANGE_TRUNCATE = 't', /* the table is empty now: no images; a record in every partition */
};

struct change {
	enum change_op op;
	struct shape *shape;
	const struct cell *before; /* column_count cells, or NULL (c, r, t) */
	const struct cell *after;  /* or NULL (d, t) */
	const char *transaction;   /* GTID text, snapshot:<db>.<table>:<chunk>,
				    * reconcile:<db>.<table>:<id>.<chunk> */
	int64_t commit_us;         /* the source's clock */
	int64_t order; /* 1-based position among the captured changes of its source transaction */
};

#endif
