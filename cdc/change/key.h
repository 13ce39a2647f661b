/* key.h - primary keys as byte strings that sort as the server sorts them.
 *
 * For integer and binary columns, also several of them. Each part is encoded so that memcmp of the
 * whole (shorter first) gives the server's order: integers as 8 bytes big-endian, signed ones with
 * the sign bit turned; binary strings with 00 written as 00 ff, and 00 00 at their end. BINARY(n)
 * is taken without its trailing zero bytes, which the binlog leaves out. Pure. */
#ifndef CDC_CHANGE_KEY_H
#define CDC_CHANGE_KEY_H

#include "core/base/buf.h"
#include "core/value/row.h"

#define KEY_PARTS_MAX 64
#define KEY_BYTES_MAX (64 * 1024)

/* NULL when keys of this shape can be ordered here, else the reason ("it has no primary key", "its
 * key column x is ..."). */
const char *key_refused(const struct shape *shape, struct buf *scratch);
/* The same key columns: name and type. */
bool key_equal_columns(const struct shape *a, const struct shape *b);

/* Appends the key of a row. ERR_DATA: a key column is absent (binlog_row_image is not FULL). */
int key_from_cells(const struct shape *shape, const struct cell *cells, struct buf *key,
		   struct err *e);
/* The same from the text protocol: text[i] is key column i. */
int key_from_text(const struct shape *shape, const struct slice *text, struct buf *key,
		  struct err *e);
/* One SQL literal per key column, as the position keeps them; each appended to `out` with a NUL
 * behind it. */
void key_literals(const struct shape *shape, struct slice key, struct buf *out);
int key_from_literals(const struct shape *shape, const char *const *literals, size_t count,
		      struct buf *key, struct err *e);
/* Appends "(`a`>1 OR (`a`=1 AND (`b`>2)))", a form that the server can answer from the index.
 * `or_equal`: >= or <= at the end. */
void key_condition(const struct shape *shape, struct slice key, bool above, bool or_equal,
		   struct buf *sql);

int key_compare(struct slice a, struct slice b);

#endif
