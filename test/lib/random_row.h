/* random_row.h - random tables of every column type, and random rows of them as the binlog stores
 * them: values of their types, at their borders, and values that no Avro type holds.
 *
 * The random numbers are the caller's: those of a seed, or the bytes of a fuzzer's input. */
#ifndef TEST_LIB_RANDOM_ROW_H
#define TEST_LIB_RANDOM_ROW_H

#include "core/base/buf.h"
#include "core/value/row.h"

/* A number below `below`, which is not 0. */
typedef uint64_t (*random_row_fn)(uint64_t below);

extern const uint8_t random_row_types[]; /* enum column_type, all of them */
extern const size_t random_row_type_count;

/* Table db.t without a key. Columns 0, 1, ... take the types in their order, those beyond take any;
 * every column is nullable. One reference, the caller's. */
struct shape *random_row_shape(random_row_fn random, unsigned columns);
/* One column of a type; *c is zeroed before. */
void random_row_column(random_row_fn random, struct column *c, uint8_t type, unsigned number);
/* Appends one value, with its length where its type has one. */
void random_row_value(random_row_fn random, const struct column *c, struct buf *out);
/* A whole image (all columns present, some of them NULL), and its cells, which point into it. */
void random_row(random_row_fn random, const struct shape *s, struct buf *image,
		struct cell *ret_cells);

#endif
