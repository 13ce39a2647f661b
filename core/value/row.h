/* row.h - one row as the binlog stores it, split into cells. No copy, no allocation: cells point
 * into the image.
 *
 * Format: MySQL internals "Rows_event" (null bitmap of the present columns, then each non-null
 * value in its column's storage form); MariaDB knowledge base "Rows_event_v1/v2". The first copy
 * builds the same images from text (row_image_from_text), so that stream and copy share every later
 * step and cannot differ. */
#ifndef CORE_VALUE_ROW_H
#define CORE_VALUE_ROW_H

#include "core/base/buf.h"
#include "core/base/rd.h"
#include "core/value/shape.h"

enum cell_state { CELL_ABSENT, CELL_NULL, CELL_VALUE };

struct cell {
	const uint8_t *data; /* the stored form, length prefixes of VARCHAR/STRING/BLOB taken off */
	uint32_t size;
	uint8_t state; /* enum cell_state */
};

/* The same state and, where there is a value, the same bytes. */
static inline bool cell_equal(const struct cell *a, const struct cell *b)
{
	return a->state == b->state &&
	       (a->state != CELL_VALUE ||
		slice_equal(slice_of(a->data, a->size), slice_of(b->data, b->size)));
}

/* The same value: the same bytes, or text that is the same in a character set that has two codes
 * for one character. */
bool row_cell_same(const struct column *column, const struct cell *a, const struct cell *b);

/* How a row image stores values of this column: how many bytes they have, or ROW_LENGTH and how
 * many bytes of length stand before them. */
#define ROW_LENGTH 0xf0
uint8_t row_stored(const struct column *column);
/* Splits the next row image of `in` into cells[0 .. column_count-1]. present: bitmap of the columns
 * that the image holds (bit i = column i). ERR_DATA when the bytes don't fit the shape; `in` then
 * stands anywhere. */
int row_split(struct rd *in, const struct shape *shape, const uint8_t *present,
	      struct cell *ret_cells, struct err *e);

/* Appends to `image` the row image (all columns present: null bitmap + values) of one row given as
 * the server's text protocol gives it; text[i].data == NULL means NULL. The query that made it must
 * be built with row_select_list(). ERR_DATA names the column when text does not fit the type.
 * row_split of the result gives cells equal byte for byte to those that the binlog holds for the
 * same row (a test proves it for every type); but for MySQL's JSON, see document.h. */
int row_image_from_text(const struct shape *shape, const struct slice *text, struct buf *image,
			struct err *e);
/* The select list that goes with it, quoted: e.g. `id`,`f`*1e0,CAST(`e` AS UNSIGNED). FLOAT is read
 * as DOUBLE; ENUM, SET and BIT as their number; UUID, INET4 and INET6 as bytes. The session must
 * have time_zone
 * '+00:00' and character_set_results NULL (text arrives in the column's own character set, as in
 * the binlog), and no PAD_CHAR_TO_FULL_LENGTH is needed or minded. */
void row_select_list(const struct shape *shape, struct buf *sql);
/* One column of it. */
void row_select_column(const struct column *c, struct buf *sql);
/* One value, not NULL, as a cell whose bytes are appended to `stored` (valid until that changes).
 * false when the text is no value of the column. */
bool row_cell_from_text(const struct column *c, struct slice text, struct buf *stored,
			struct cell *ret_cell);
/* One value alone, as it stands in an image (length prefix included): text as the select list above
 * gives it. False, with nothing appended, when it is no value of the column. */
bool row_store_text(const struct column *column, struct slice text, struct buf *image);
/* The same from the stored bytes, whatever they are. Types that have their length before them only.
 */
bool row_store_bytes(const struct column *column, struct slice bytes, struct buf *image);
/* `name` with back quotes doubled and around it. */
void row_quote_name(const char *name, struct buf *sql);

#endif
