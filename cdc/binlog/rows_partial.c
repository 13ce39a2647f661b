/* rows_partial.c - the after images of PARTIAL_UPDATE_ROWS (MySQL, binlog_row_value_options =
 * PARTIAL_JSON), made whole.
 *
 * Layout of an after image there: options (length-encoded; 1: values may be differences), then,
 * with that option, a bit for each JSON column of the table, whether the image holds it or not,
 * then the image as in any other row event. Where the bit is set, the column's value is a list of
 * differences to its value in the before image (core/value/json_binary.h), behind the length that a
 * whole value has, too.
 *
 * So the image is split as it is, which finds the values' borders, and written anew with the
 * differences applied: whoever gets it can't tell it from one that was whole. */
#include "cdc/binlog/rows.h"

#include "core/value/json_binary.h"

#define OPTION_PARTIAL_JSON 1

static bool bit_at(const uint8_t *bitmap, size_t i)
{
	return (bitmap[i / 8] >> (i % 8) & 1) != 0;
}

static size_t count_json(const struct shape *shape)
{
	size_t n = 0;

	for (size_t i = 0; i < shape->column_count; i++)
		n += shape->columns[i].type == COLUMN_JSON;
	return n;
}

static size_t null_bytes(const struct shape *shape, const uint8_t *present)
{
	size_t n = 0;

	for (size_t i = 0; i < shape->column_count; i++)
		n += bit_at(present, i);
	return (n + 7) / 8;
}

/* One value, with as many bytes of length before it as JSON columns have. */
static int add_whole(const struct column *c, const struct cell *before, const struct cell *diffs,
		     struct buf *image, struct err *e)
{
	size_t length_at = image->size, size;

	if (before->state != CELL_VALUE) {
		err_data(e,
			 "column %s: a change to a part of it, and the row image does not hold "
			 "what was changed",
			 c->name);
		return err_hint(e, "SET GLOBAL binlog_row_value_options = '' on the source, or "
				   "binlog_row_image = 'FULL', and in sessions that are open.");
	}
	for (uint32_t i = 0; i < c->size_max; i++)
		buf_add_u8(image, 0);
	if (json_binary_apply(slice_of(before->data, before->size),
			      slice_of(diffs->data, diffs->size), image, e) < 0)
		return err_wrap(e, "column %s", c->name);
	size = image->size - length_at - c->size_max;
	if (size > UINT32_MAX)
		return err_data(e, "column %s: a value of %zu bytes", c->name, size);
	for (uint32_t i = 0; i < c->size_max; i++)
		image->data[length_at + i] = (uint8_t)(size >> 8 * i);
	return 0;
}

/* `raw` is the image as it stands in the event, `after` its cells. */
static int write_whole(const struct shape *shape, const uint8_t *present, const uint8_t *partial,
		       struct slice raw, const struct cell *before, const struct cell *after,
		       struct buf *image, struct err *e)
{
	const uint8_t *from = raw.data + null_bytes(shape, present);
	size_t json = 0;

	buf_add(image, raw.data, (size_t)(from - raw.data));
	for (size_t i = 0; i < shape->column_count; i++) {
		bool is_json = shape->columns[i].type == COLUMN_JSON;
		bool is_partial = is_json && bit_at(partial, json);

		json += is_json;
		if (after[i].state != CELL_VALUE)
			continue;
		if (!is_partial)
			buf_add(image, from, (size_t)(after[i].data + after[i].size - from));
		else if (add_whole(&shape->columns[i], &before[i], &after[i], image, e) < 0)
			return -1;
		from = after[i].data + after[i].size;
	}
	return 0;
}

/* The bits, or NULL in *ret_partial when the image is whole. */
static int read_options(struct rd *in, const struct shape *shape, const uint8_t **ret_partial,
			struct err *e)
{
	uint64_t options = rd_lenenc(in);
	struct slice bits = { NULL, 0 };

	if (options == OPTION_PARTIAL_JSON)
		bits = rd_bytes(in, (count_json(shape) + 7) / 8);
	if (!rd_ok(in) || options > OPTION_PARTIAL_JSON)
		return err_data(e, "no valid options of a partial update");
	*ret_partial = bits.size > 0 ? bits.data : NULL;
	return 0;
}

int rows_after(struct rows *r, const struct shape *shape, const struct cell *before,
	       struct cell *after, struct slice *ret_image, struct err *e)
{
	const uint8_t *partial = NULL;
	struct slice raw;
	struct rd whole;
	size_t from;

	if (r->partial && read_options(&r->data, shape, &partial, e) < 0)
		return -1;
	from = r->data.at;
	if (row_split(&r->data, shape, r->after, after, e) < 0)
		return -1;
	raw = slice_of(r->data.data + from, r->data.at - from);
	if (partial != NULL) {
		buf_reset(r->scratch);
		if (write_whole(shape, r->after, partial, raw, before, after, r->scratch, e) < 0)
			return -1;
		raw = buf_slice(r->scratch);
		whole = rd_from(raw);
		if (row_split(&whole, shape, r->after, after, e) < 0)
			return -1;
	}
	*ret_image = raw;
	return 0;
}
