/* row_back.h - records of a row topic back into rows: the way from Avro to cells, for any writer
 * schema of the topic's history and the table's present shape.
 *
 * For the shape that a record was written with, row_back gives the cells that were encoded, byte
 * for byte, whatever their type and value (a test proves it). For another shape: columns added
 * since are NULL, as a reader that resolves schemas sees them; columns dropped since are ignored;
 * values are converted as far as their meaning allows, else NULL. Nothing here is on the hot path
 * of the stream. */
#ifndef CDC_PUBLISH_ROW_BACK_H
#define CDC_PUBLISH_ROW_BACK_H

#include "core/base/buf.h"
#include "core/value/row.h"

/* What an envelope says, as slices of the datum. */
struct row_back_record {
	char op;
	int64_t seq;
	bool parked;                /* a stand-in: the record itself was too large and is parked */
	struct slice before, after; /* datum of the union [null, Value] */
	bool has_before, has_after;
	struct slice absent, exact; /* datum of their unions */
	struct slice parked_at;     /* where the whole one is, as the stand-in says it */
};

struct row_back; /* one writer schema against one shape */

/* writer: schema text of an envelope (row_schema_envelope) or a key (row_schema_key). Takes a
 * reference of shape. ERR_DATA: it is no such schema. */
int row_back_new(struct slice writer, struct shape *shape, struct row_back **ret_back,
		 struct err *e);
void row_back_free(struct row_back *b); /* NULL is fine */

/* Takes an envelope's datum (behind the wire header) apart. */
int row_back_read(const struct row_back *b, struct slice datum, struct row_back_record *ret_record,
		  struct err *e);
/* The cells of an image that record->has_before or _after says is there, taken from its slices,
 * which may have been kept apart from the record. They point into `bytes`, which is reset first. */
enum row_back_image { ROW_BACK_BEFORE, ROW_BACK_AFTER };
int row_back_cells(struct row_back *b, const struct row_back_record *record,
		   enum row_back_image image, struct buf *bytes, struct cell *ret_cells,
		   struct err *e);
/* Of the image that row_back_cells() has given last: was any of its values (but NULL) written as
 * another type than its column has now? Who reads the record alone may not know it again. */
bool row_back_converted(const struct row_back *b);
/* The key columns of a key datum; all others are absent. *ret_whole: the datum has every column of
 * the shape's key. */
int row_back_key(struct row_back *b, struct slice datum, struct buf *bytes, struct cell *ret_cells,
		 bool *ret_whole, struct err *e);

/* ---- row_back_value.c: one value ------------------------------------------------------------ */
struct schema;
struct rd;
/* Reads a value of this schema (no union) and appends it as it stands in a row image. 1: done; 0:
 * the column can't hold it, nothing appended; -1: the bytes are no such value. */
int row_back_value(const struct schema *schema, const struct column *column, struct rd *in,
		   struct buf *scratch, struct buf *image);
/* The same from the text of the envelope's `exact` map. */
bool row_back_exact(const struct column *column, struct slice text, struct buf *scratch,
		    struct buf *image);
/* Walks over a value of any schema. */
void row_back_skip(const struct schema *schema, struct rd *in);

#endif
