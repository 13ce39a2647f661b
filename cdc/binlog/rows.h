/* rows.h - row events: which table, which columns, and a walk over the rows. No copy unless the
 * event is compressed.
 *
 * Format: MySQL internals "Rows_event"; MariaDB knowledge base "Rows_event_v1/v2" and
 * "Rows_compressed_event". */
#ifndef CDC_BINLOG_ROWS_H
#define CDC_BINLOG_ROWS_H

#include "cdc/binlog/event.h"
#include "core/base/buf.h"
#include "core/value/row.h"

enum rows_kind { ROWS_WRITE, ROWS_UPDATE, ROWS_DELETE };

enum rows_flag {
	ROWS_FLAG_STATEMENT_END =
		0x01, /* the last row event of its statement: its table ids are forgotten */
	ROWS_FLAG_NO_FOREIGN_KEY_CHECKS = 0x02, /* of its session: nothing cascades */
};

struct rows {
	enum rows_kind kind;
	uint64_t table_id;
	uint16_t flags;
	uint32_t column_count;
	const uint8_t
		*before; /* present columns of before images, bit i = column i; NULL for WRITE */
	const uint8_t *after; /* of after images; NULL for DELETE */
	struct rd data; /* the row images, one behind the other: WRITE after, DELETE before, UPDATE
			   before and after */
	bool partial;        /* after images may hold differences: read them by rows_after() */
	struct buf *scratch; /* as given; images that are made whole stand there */
};

bool rows_is(uint8_t event_type);
/* `scratch` receives inflated rows, or after images that are made whole (reset first); body and
 * scratch must outlive the result. */
int rows_read(const struct event *ev, const struct event_format *format, struct buf *scratch,
	      struct rows *ret_rows, struct err *e);
/* Table id only, without touching the rows: for events that are skipped. */
int rows_table_id(const struct event *ev, const struct event_format *format, uint64_t *ret_id,
		  struct err *e);
/* The next after image, behind the before image whose cells are given: its cells, and the image
 * with every value whole, valid until the next one is read (MySQL's PARTIAL_UPDATE_ROWS:
 * rows_partial.c). ERR_DATA. */
int rows_after(struct rows *r, const struct shape *shape, const struct cell *before,
	       struct cell *after, struct slice *ret_image, struct err *e);
/* The next row: 1 and its cells (before: UPDATE and DELETE; after: WRITE and UPDATE; arrays of
 * column_count, the unused one untouched), 0 at the end, -1 ERR_DATA. The shape's column_count must
 * equal the event's: checked. */
int rows_next(struct rows *r, const struct shape *shape, struct cell *before, struct cell *after,
	      struct err *e);

#endif
