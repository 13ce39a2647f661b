/* row_copy.c - copies a row: one block for the values, one for their bytes. */
#include "projections/apply/row_copy.h"

#include "core/base/mem.h"

#include <stdlib.h>

void row_copy_init(struct row_copy *r, const struct value *values, size_t count)
{
	size_t total = 0, at = 0;

	for (size_t i = 0; i < count; i++)
		total += values[i].kind >= VALUE_TEXT ? values[i].bytes.size : 0;
	r->count = count;
	r->values = xcalloc(count + 1, sizeof(*r->values));
	r->bytes = xmalloc(total + 1);
	for (size_t i = 0; i < count; i++) {
		size_t size = values[i].bytes.size;

		r->values[i] = values[i];
		if (values[i].kind < VALUE_TEXT)
			continue;
		if (size > 0)
			memcpy((uint8_t *)r->bytes + at, values[i].bytes.data, size);
		r->values[i].bytes.data = (uint8_t *)r->bytes + at;
		at += size;
	}
}

void row_copy_done(struct row_copy *r)
{
	free(r->values);
	free(r->bytes);
	*r = (struct row_copy){ 0 };
}
