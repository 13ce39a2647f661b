/* rows.c - row events of MariaDB (v1) and MySQL (v2), plain, compressed, and partial updates.
 *
 * Layout: table id 4 or 6 (by FORMAT_DESCRIPTION), flags 2, v2 only: length of extra data 2 (itself
 * included) and that data; column count (length-encoded), bitmap of the columns in the first image,
 * for UPDATE a second bitmap for the after image, then the rows to the end. Compressed events pack
 * only the rows (inflate.c); of partial updates, the after images differ (rows_partial.c).
 *
 * The cells' layout belongs to core/value/row; this file only walks from row to row and refuses a
 * walk that gets nowhere. */
#include "cdc/binlog/rows.h"

#include "cdc/binlog/inflate.h"
#include "cdc/binlog/table_map.h"

#include <inttypes.h>

struct rows_type {
	uint8_t type;
	enum rows_kind kind;
	bool v2, compressed, partial;
};

static const struct rows_type rows_types[] = {
	{ EVENT_WRITE_ROWS_V1, ROWS_WRITE, false, false, false },
	{ EVENT_UPDATE_ROWS_V1, ROWS_UPDATE, false, false, false },
	{ EVENT_DELETE_ROWS_V1, ROWS_DELETE, false, false, false },
	{ EVENT_WRITE_ROWS, ROWS_WRITE, true, false, false },
	{ EVENT_UPDATE_ROWS, ROWS_UPDATE, true, false, false },
	{ EVENT_DELETE_ROWS, ROWS_DELETE, true, false, false },
	{ EVENT_PARTIAL_UPDATE_ROWS, ROWS_UPDATE, true, false, true },
	{ EVENT_WRITE_ROWS_COMPRESSED_V1, ROWS_WRITE, false, true, false },
	{ EVENT_UPDATE_ROWS_COMPRESSED_V1, ROWS_UPDATE, false, true, false },
	{ EVENT_DELETE_ROWS_COMPRESSED_V1, ROWS_DELETE, false, true, false },
	{ EVENT_WRITE_ROWS_COMPRESSED, ROWS_WRITE, true, true, false },
	{ EVENT_UPDATE_ROWS_COMPRESSED, ROWS_UPDATE, true, true, false },
	{ EVENT_DELETE_ROWS_COMPRESSED, ROWS_DELETE, true, true, false },
};

static const struct rows_type *type_of(uint8_t event_type)
{
	for (size_t i = 0; i < sizeof(rows_types) / sizeof(rows_types[0]); i++)
		if (rows_types[i].type == event_type)
			return &rows_types[i];
	return NULL;
}

bool rows_is(uint8_t event_type)
{
	return type_of(event_type) != NULL;
}

static int bad(const struct event *ev, struct err *e, const char *what)
{
	return err_data(e, "%s event ending at position %" PRIu32 ": %s",
			event_type_name(ev->header.type), ev->header.log_pos, what);
}

static uint64_t read_table_id(struct rd *in, const struct rows_type *type,
			      const struct event_format *format)
{
	return !type->v2 && format->rows_header_size == 6 ? rd_u32(in) : rd_u48(in);
}

int rows_table_id(const struct event *ev, const struct event_format *format, uint64_t *ret_id,
		  struct err *e)
{
	const struct rows_type *type = type_of(ev->header.type);
	struct rd in = rd_from(ev->body);
	uint64_t id;

	if (type == NULL)
		return bad(ev, e, "is not a row event");
	id = read_table_id(&in, type, format);
	if (!rd_ok(&in))
		return bad(ev, e, "cut short");
	*ret_id = id;
	return 0;
}

/* Everything before the rows. */
static int read_head(const struct event *ev, const struct rows_type *type,
		     const struct event_format *format, struct rd *in, struct rows *r,
		     struct err *e)
{
	uint64_t columns;
	const uint8_t *first;
	size_t bitmap;

	r->kind = type->kind;
	r->table_id = read_table_id(in, type, format);
	r->flags = rd_u16(in);
	if (type->v2) {
		uint16_t extra = rd_u16(in);

		if (rd_ok(in) && extra < 2)
			return bad(ev, e, "extra data shorter than its own length");
		rd_skip(in, (size_t)extra - 2);
	}
	columns = rd_lenenc(in);
	if (!rd_ok(in) || columns == 0 || columns > TABLE_MAP_COLUMNS_MAX)
		return bad(ev, e, "no valid column count");
	r->column_count = (uint32_t)columns;
	bitmap = (size_t)(columns + 7) / 8;
	first = rd_bytes(in, bitmap).data;
	r->before = type->kind == ROWS_WRITE ? NULL : first;
	r->after = type->kind == ROWS_WRITE ? first : NULL;
	if (type->kind == ROWS_UPDATE)
		r->after = rd_bytes(in, bitmap).data;
	return rd_ok(in) ? 0 : bad(ev, e, "cut short");
}

int rows_read(const struct event *ev, const struct event_format *format, struct buf *scratch,
	      struct rows *ret_rows, struct err *e)
{
	const struct rows_type *type = type_of(ev->header.type);
	struct rd in = rd_from(ev->body);
	struct rows r = { 0 };
	struct slice images;

	if (type == NULL)
		return bad(ev, e, "is not a row event");
	if (read_head(ev, type, format, &in, &r, e) < 0)
		return -1;
	images = rd_rest(&in);
	if (type->compressed) {
		if (inflate_part(images, scratch, e) < 0)
			return err_wrap(e, "%s event ending at position %" PRIu32,
					event_type_name(ev->header.type), ev->header.log_pos);
		images = buf_slice(scratch);
	}
	r.data = rd_from(images);
	r.partial = type->partial;
	r.scratch = scratch;
	*ret_rows = r;
	return 0;
}

int rows_next(struct rows *r, const struct shape *shape, struct cell *before, struct cell *after,
	      struct err *e)
{
	size_t at = r->data.at;
	struct slice image;

	if (rd_end(&r->data))
		return 0;
	if (shape->column_count != r->column_count)
		return err_data(e, "rows of %s.%s have %" PRIu32 " columns, its table map said %u",
				shape->db, shape->table, r->column_count, shape->column_count);
	if (r->before != NULL && row_split(&r->data, shape, r->before, before, e) < 0)
		return -1;
	if (r->after != NULL && rows_after(r, shape, before, after, &image, e) < 0)
		return -1;
	if (r->data.at == at) /* images without any column: the rest can never be reached */
		return err_data(e, "row event of %s.%s holds empty images", shape->db,
				shape->table);
	return 1;
}
