/* normal_source.h - the source's answer in normal form (normal.h): what a column of that class
 * holds when a handler was given the same value. */
#ifndef PROJECTIONS_STORE_NORMAL_SOURCE_H
#define PROJECTIONS_STORE_NORMAL_SOURCE_H

#include "projections/store/normal.h"

struct normal_source;

int normal_source_open(struct normal_source **ret_source, struct err *e);
void normal_source_close(struct normal_source *n); /* NULL is fine */
/* One value out of the text protocol (value_from_text() says how the session must be set). What it
 * points into lives as long as the text and the scratch; scratch grows by at most
 * NORMAL_SOURCE_ROOM more than four times the text's size. */
#define NORMAL_SOURCE_ROOM 64
int normal_from_source(struct normal_source *n, enum normal_class c,
		       const struct value_source_type *type, struct slice text, struct buf *scratch,
		       struct value *ret_value, struct err *e);
/* Does the source order values of this type, by itself, as normal_compare() orders them in that
 * class? `ret_bytes`: yes, when it is asked to compare their bytes. */
bool normal_source_orders(enum normal_class c, const struct value_source_type *type,
			  bool *ret_bytes);

#endif
