/* verify_sort.h - rows in normal form put in the order of normal.h, where the source can't give
 * them so. In a temporary file: memory doesn't grow with them. */
#ifndef PROJECTIONS_VERIFY_VERIFY_SORT_H
#define PROJECTIONS_VERIFY_VERIFY_SORT_H

#include "projections/store/normal.h"

struct sorter;

/* Rows of column_count values; key: numbers of the columns they are ordered by; classes: by column.
 * Both outlive the sorter. */
int sorter_open(size_t column_count, const size_t *key, size_t key_count,
		const enum normal_class *classes, struct sorter **ret_sorter, struct err *e);
int sorter_add(struct sorter *s, const struct value *values, struct err *e);
/* Behind the last sorter_add(): 1 and a row, valid until the next call; 0 at the end. */
int sorter_next(struct sorter *s, const struct value **ret_values, struct err *e);
void sorter_close(struct sorter *s); /* NULL is fine */

#endif
