/* key.h - primary keys as byte strings that sort as the server sorts them.
 *
 * Each part is encoded so that memcmp of the whole (shorter first) gives the server's order, and so
 * that keys which the server calls equal are equal bytes:
 *
 *   integers, ENUM, SET, DATE, YEAR   8 bytes big-endian, signed ones with the sign bit turned
 *   DECIMAL, TIME, DATETIME,          as stored: these forms were made to sort
 *   TIMESTAMP, BIT
 *   FLOAT, DOUBLE                     8 bytes: positive ones with the sign bit turned, negative
 *                                     ones inverted; -0 is 0
 *   binary strings                    00 written as 00 ff, and 00 00 at their end. BINARY(n) is
 *                                     taken without its trailing zero bytes, which the binlog
 *                                     leaves out
 *   text                              what its collation makes of it (key_collation.h), which only
 *                                     the server knows: a key_weigher asks it
 *
 * A part that isn't text can be taken back; text can't, so that a border between chunks is kept
 * twice: as a key, and as the SQL literals that the server understands. Pure. */
#ifndef CDC_CHANGE_KEY_H
#define CDC_CHANGE_KEY_H

#include "core/base/buf.h"
#include "core/value/row.h"

#define KEY_PARTS_MAX 64
#define KEY_BYTES_MAX (64 * 1024)

/* How text becomes a part of a key. weigh() appends the part for `value`, the text as stored, of
 * key column number `part` (key_text_part). ERR_RETRY when the server could not be asked. */
struct key_weigher {
	void *context;
	int (*weigh)(void *context, size_t part, const struct column *c, struct slice value,
		     struct buf *key, struct err *e);
	/* Name of the character set of a column, for its literals. */
	const char *(*charset)(void *context, const struct column *c);
};

/* A place between rows: its key, and the same as SQL literals, one per key column, each with a NUL
 * behind it. */
struct key_border {
	struct buf key, literals;
};

static inline void key_border_reset(struct key_border *b)
{
	buf_reset(&b->key);
	buf_reset(&b->literals);
}

static inline void key_border_done(struct key_border *b)
{
	buf_done(&b->key);
	buf_done(&b->literals);
}

void key_border_copy(struct key_border *to, const struct key_border *from);

/* NULL when keys of this shape can be ordered, else the reason ("it has no primary key"). */
const char *key_refused(const struct shape *shape);
/* Key column i is text: its order is a collation's. */
bool key_is_text(const struct shape *shape, size_t part);
/* No key column is text: no weigher is needed (it may be NULL below). */
bool key_is_local(const struct shape *shape);
/* The same key columns: name, type, and all that decides their order. */
bool key_equal_columns(const struct shape *a, const struct shape *b);

/* Appends the key of a row. ERR_DATA: a key column is absent (binlog_row_image is not FULL). */
int key_from_cells(const struct shape *shape, const struct cell *cells,
		   const struct key_weigher *weigher, struct buf *key, struct err *e);
/* The same from the text protocol: text[i] is key column i, selected as row_select_list() does. */
int key_from_text(const struct shape *shape, const struct slice *text,
		  const struct key_weigher *weigher, struct buf *key, struct err *e);

/* ---- key_sql.c ------------------------------------------------------------------------------ */
/* The key columns as key_from_text() wants them. */
void key_select_list(const struct shape *shape, struct buf *sql);
/* The key columns for ORDER BY. */
void key_order_list(const struct shape *shape, struct buf *sql);
/* Key and literals from text, appended to `border`. */
int key_border_from_text(const struct shape *shape, const struct slice *text,
			 const struct key_weigher *weigher, struct key_border *border,
			 struct err *e);
/* From literals as the position keeps them. ERR_DATA when they don't fit the shape. */
int key_border_from_literals(const struct shape *shape, const char *const *literals, size_t count,
			     const struct key_weigher *weigher, struct key_border *border,
			     struct err *e);
/* Appends "(`a`>1 OR (`a`=1 AND (`b`>2)))", a form that the server can answer from the index.
 * `or_equal`: >= or <= at the end. */
void key_condition(const struct shape *shape, const struct key_border *border, bool above,
		   bool or_equal, struct buf *sql);

/* Appends "(`a`=1 AND `b`=2)", for the row with these cells. False, with something appended, when a
 * key column is none of its type. */
bool key_equals(const struct shape *shape, const struct cell *cells,
		const struct key_weigher *weigher, struct buf *sql);

int key_compare(struct slice a, struct slice b);

#endif
