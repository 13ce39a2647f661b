/* cell_number.h - the numbers that are stored as they are. */
#ifndef CORE_VALUE_CELL_NUMBER_H
#define CORE_VALUE_CELL_NUMBER_H

#include "core/value/row.h"

#include <string.h>

/* A number of up to 8 bytes, little-endian, without sign. */
static inline uint64_t cell_packed(const struct cell *cell)
{
	uint64_t v = 0;

	for (size_t i = cell->size < 8 ? cell->size : 8; i > 0; i--)
		v = v << 8 | cell->data[i - 1];
	return v;
}

/* A FLOAT, widened, or a DOUBLE; 0 where it has the size of neither. */
static inline double cell_double(const struct cell *cell)
{
	double d = 0;
	float f;

	if (cell->size == sizeof(f)) {
		memcpy(&f, cell->data, sizeof(f));
		d = (double)f;
	} else if (cell->size == sizeof(d)) {
		memcpy(&d, cell->data, sizeof(d));
	}
	return d;
}

#endif
