/* row_plan.c - the fused encode of row envelopes: one encode step per column, constant parts
 * copied.
 *
 * Values that their Avro type can't hold become null, and their exact text is collected while the
 * images are written, because the `exact` map comes last in the envelope. Columns that the image
 * lacks become null and are listed in `absent`. */
#include "cdc/publish/row_plan.h"

#include "core/avro/write.h"
#include "core/base/fault.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/value/encode.h"

#include <stdlib.h>

struct row_plan {
	struct shape *shape;
	encode_fn *encode;   /* per column */
	struct buf constant; /* name, db, table as they stand in `source` */
	struct buf exact;    /* map entries of the envelope in hand */
	size_t exact_count;
	const struct column *first; /* that has one */
	int64_t *inexact;           /* values of each column, not counted yet; NULL: none ever */
	bool uncounted;
};

struct row_plan *row_plan_new(const char *name, struct shape *shape)
{
	struct row_plan *plan = xcalloc(1, sizeof(*plan));

	plan->shape = shape_ref(shape);
	plan->encode = xcalloc(shape->column_count, sizeof(*plan->encode));
	for (uint16_t c = 0; c < shape->column_count; c++)
		plan->encode[c] = encode_for(&shape->columns[c]);
	write_str(&plan->constant, name);
	write_str(&plan->constant, shape->db);
	write_str(&plan->constant, shape->table);
	buf_trim(&plan->constant);
	return plan;
}

void row_plan_free(struct row_plan *plan)
{
	if (plan == NULL)
		return;
	buf_done(&plan->constant);
	buf_done(&plan->exact);
	free(plan->encode);
	free(plan->inexact);
	shape_unref(plan->shape);
	free(plan);
}

int row_plan_key(const struct row_plan *plan, const struct cell *row, struct buf *out,
		 struct err *e)
{
	for (uint16_t k = 0; k < plan->shape->key_count; k++) {
		uint16_t c = plan->shape->key[k];
		const struct column *column = &plan->shape->columns[c];

		if (row[c].state == CELL_VALUE &&
		    plan->encode[c](column, &row[c], out) == ENCODE_OK)
			continue;
		err_data(e, "table %s.%s: key column %s has no exact value", plan->shape->db,
			 plan->shape->table, column->name);
		return err_hint(
			e,
			"A key must be in every row image (binlog_row_image=FULL) and be a valid value of its type.");
	}
	return 0;
}

bool row_plan_same_key(const struct row_plan *plan, const struct cell *before,
		       const struct cell *after)
{
	for (uint16_t k = 0; k < plan->shape->key_count; k++) {
		uint16_t column = plan->shape->key[k];

		if (!cell_equal(&before[column], &after[column]))
			return false;
	}
	return true;
}

static void note_exact(struct row_plan *plan, const char *image, const struct column *column,
		       const struct cell *cell)
{
	struct buf text = BUF_INIT; /* rare: an allocation is fine here */

	buf_add_format(&text, "%s.%s", image, column->name);
	write_slice(&plan->exact, buf_slice(&text));
	buf_reset(&text);
	encode_exact_text(column, cell, &text);
	write_slice(&plan->exact, buf_slice(&text));
	plan->exact_count++;
	buf_done(&text);
	if (plan->first == NULL)
		plan->first = column;
	if (plan->inexact == NULL)
		plan->inexact = xcalloc(plan->shape->column_count, sizeof(*plan->inexact));
	plan->inexact[column - plan->shape->columns]++;
	plan->uncounted = true;
}

void row_plan_commit(struct row_plan *plan)
{
	const struct shape *s = plan->shape;
	char *table;

	if (!plan->uncounted)
		return;
	plan->uncounted = false;
	table = xasprintf("%s.%s", s->db, s->table);
	for (uint16_t c = 0; c < s->column_count; c++) {
		if (plan->inexact[c] == 0)
			continue;
		metric_add(
			metric_counter(
				"millrace_capture_inexact_total",
				"Values that their Avro type cannot hold: null, with the exact text beside them.",
				"table", table, "column", s->columns[c].name, NULL),
			plan->inexact[c]);
		plan->inexact[c] = 0;
	}
	free(table);
}

/* One row as [null, Value]. Branch 0 is the byte 0, branch 1 the byte 2 (zigzag). Returns true when
 * a column is absent. */
static bool write_image(struct row_plan *plan, const char *image, const struct cell *row,
			struct buf *out)
{
	const struct shape *shape = plan->shape;
	bool absent = false;

	if (row == NULL) {
		buf_add_u8(out, 0);
		return false;
	}
	buf_add_u8(out, 2);
	for (uint16_t c = 0; c < shape->column_count; c++) {
		size_t branch = out->size;

		buf_add_u8(out, 2);
		if (row[c].state == CELL_VALUE) {
			if (plan->encode[c](&shape->columns[c], &row[c], out) == ENCODE_OK)
				continue;
			note_exact(plan, image, &shape->columns[c], &row[c]);
		}
		out->data[branch] = 0;
		absent = absent || row[c].state == CELL_ABSENT;
	}
	return absent;
}

static int64_t count_absent(const struct row_plan *plan, const struct cell *row)
{
	int64_t count = 0;

	for (uint16_t c = 0; row != NULL && c < plan->shape->column_count; c++)
		count += row[c].state == CELL_ABSENT;
	return count;
}

static void write_absent_names(const struct row_plan *plan, const char *image,
			       const struct cell *row, struct buf *out)
{
	for (uint16_t c = 0; row != NULL && c < plan->shape->column_count; c++) {
		const char *name = plan->shape->columns[c].name;

		if (row[c].state != CELL_ABSENT)
			continue;
		write_long(out, (int64_t)(strlen(image) + strlen(name)));
		buf_add_str(out, image);
		buf_add_str(out, name);
	}
}

/* Names of the columns that the images lack, as [null, array<string>]. */
static void write_absent(const struct row_plan *plan, const struct cell *before,
			 const struct cell *after, struct buf *out)
{
	write_long(out, 1);
	write_long(out, count_absent(plan, before) + count_absent(plan, after));
	write_absent_names(plan, "before.", before, out);
	write_absent_names(plan, "after.", after, out);
	write_long(out, 0);
}

/* `source`, op and ts_ms. */
static void write_begin(const struct row_plan *plan, const struct row_meta *meta, struct buf *out)
{
	const char op = (char)meta->op;

	write_long(out, meta->seq);
	write_str(out, meta->transaction);
	write_long(out, meta->commit_us);
	write_bool(out, meta->op == CHANGE_READ);
	buf_add_slice(out, buf_slice(&plan->constant));
	write_bytes(out, &op, 1);
	write_long(out, meta->now_ms);
}

static void write_transaction(const struct row_meta *meta, struct buf *out)
{
	write_long(out, 1);
	write_str(out, meta->transaction);
	write_long(out, meta->order);
}

size_t row_plan_envelope(struct row_plan *plan, const struct row_meta *meta,
			 const struct cell *before, const struct cell *after, struct buf *out,
			 const struct column **ret_column)
{
	bool absent;

	plan->exact_count = 0;
	plan->first = NULL;
	buf_reset(&plan->exact);
	write_begin(plan, meta, out);
	absent = write_image(plan, "before", before, out);
	absent = write_image(plan, "after", after, out) || absent;
	write_transaction(meta, out);
	if (absent && !BUG(absent))
		write_absent(plan, before, after, out);
	else
		write_long(out, 0);
	write_long(out, plan->exact_count != 0 ? 1 : 0);
	if (plan->exact_count != 0) {
		write_long(out, (int64_t)plan->exact_count);
		buf_add_slice(out, buf_slice(&plan->exact));
		write_long(out, 0);
	}
	buf_add_u8(out, 0); /* parked: null */
	if (ret_column != NULL)
		*ret_column = plan->first;
	return plan->exact_count;
}

void row_plan_stand_in(const struct row_plan *plan, const struct row_meta *meta, const char *parked,
		       struct buf *out)
{
	static const uint8_t no_images[2] = { 0, 0 }, neither[2] = { 0, 0 };

	write_begin(plan, meta, out);
	buf_add(out, no_images, sizeof(no_images));
	write_transaction(meta, out);
	buf_add(out, neither, sizeof(neither)); /* absent, exact */
	write_long(out, 1);
	write_str(out, parked);
}
