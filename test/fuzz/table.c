/* table.c - choices of the input, and the tables made of them. */
#include "test/fuzz/fuzz.h"

#include "core/value/shape.h"
#include "test/lib/random_row.h"

struct rd fuzz_input;

struct shape *fuzz_table(unsigned columns_max)
{
	uint16_t count = (uint16_t)(1 + fuzz_pick(columns_max));
	struct shape *s = shape_new("db", "t", count);

	for (uint16_t i = 0; i < count; i++)
		random_row_column(fuzz_pick, &s->columns[i],
				  random_row_types[fuzz_pick(random_row_type_count)], i);
	return s;
}
