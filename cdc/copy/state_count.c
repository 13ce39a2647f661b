/* state_count.c - the last state of a table without a key: how often each row image is there.
 *
 * A row has no identity but its image, so the state is a multiset: a record that creates a row
 * counts it, one that deletes a row takes it off, an update does both. Counts may fall below zero
 * (a row that came below the binlog was deleted by it): then the sum over the topic is what
 * consumers that add up have, and what a comparison makes right. Partitions are counted apart, as
 * op t empties each by itself; their sum is what counts.
 *
 * image: the cells in the table's present shape, each with its state before it and its size. A
 * before-image that lacks columns says of no row that it is gone and is passed over. */
#include "cdc/copy/state_priv.h"

#include "core/avro/read.h"
#include "core/avro/write.h"
#include "core/base/mem.h"

#define SPOOL_RECORDS 10000 /* of a snapshot, per transaction of the file */

static void put_image(const struct shape *shape, const struct cell *cells, struct buf *image)
{
	buf_reset(image);
	for (uint16_t c = 0; c < shape->column_count; c++) {
		buf_add_u8(image, cells[c].state);
		if (cells[c].state == CELL_VALUE)
			write_bytes(image, cells[c].data, cells[c].size);
	}
}

int state_image_cells(const struct state *s, struct slice image, struct cell *ret_cells,
		      struct err *e)
{
	struct rd in = rd_from(image);

	for (uint16_t c = 0; c < s->shape->column_count; c++) {
		struct slice value = slice_of("", 0), state = rd_bytes(&in, 1);

		ret_cells[c].state = rd_ok(&in) ? state.data[0] : CELL_ABSENT;
		if (ret_cells[c].state == CELL_VALUE)
			value = read_bytes(&in);
		ret_cells[c].data = value.data;
		ret_cells[c].size = (uint32_t)value.size;
	}
	return rd_end(&in) ? 0 : err_fatal(e, "%s: damaged", s->path);
}

/* ---- records -------------------------------------------------------------------------------- */

static int add(struct state *s, int32_t partition, int64_t n, struct err *e)
{
	struct slice image = buf_slice(&s->key);

	if (state_bind_bytes(s->count, 1, image, e) < 0 ||
	    state_bind_int(s->count, 2, partition, e) < 0 ||
	    state_bind_int(s->count, 3, n, e) < 0 || state_run(s->count, e) < 0 ||
	    state_bind_bytes(s->zero, 1, image, e) < 0 ||
	    state_bind_int(s->zero, 2, partition, e) < 0)
		return -1;
	return state_run(s->zero, e);
}

int state_count_cells(struct state *s, int32_t partition, const struct cell *cells, int64_t n,
		      struct err *e)
{
	put_image(s->shape, cells, &s->key);
	return add(s, partition, n, e);
}

static bool is_whole(const struct shape *shape, const struct cell *cells)
{
	for (uint16_t c = 0; c < shape->column_count; c++)
		if (cells[c].state == CELL_ABSENT)
			return false;
	return true;
}

/* What an after-image lacks has not changed. */
static void complete(const struct shape *shape, struct cell *after, const struct cell *before)
{
	for (uint16_t c = 0; c < shape->column_count; c++)
		if (after[c].state == CELL_ABSENT)
			after[c] = before[c];
}

static int count_images(struct state *s, int32_t partition, struct row_back *back,
			const struct row_back_record *record, struct err *e)
{
	struct cell *before = xcalloc(s->shape->column_count + 1u, sizeof(*before));
	struct buf bytes = BUF_INIT;
	int rc = 0;

	if (record->has_before) {
		rc = row_back_cells(back, record, ROW_BACK_BEFORE, &bytes, before, e);
		if (rc == 0 && is_whole(s->shape, before))
			rc = state_count_cells(s, partition, before, -1, e);
	}
	if (rc == 0 && record->has_after) {
		rc = row_back_cells(back, record, ROW_BACK_AFTER, &s->bytes, s->cells, e);
		if (rc == 0 && record->has_before)
			complete(s->shape, s->cells, before);
		if (rc == 0)
			rc = state_count_cells(s, partition, s->cells, 1, e);
	}
	buf_done(&bytes);
	free(before);
	return rc;
}

int state_count_record(struct state *s, const struct consumer_message *message,
		       struct row_back *back, const struct row_back_record *record, struct err *e)
{
	struct buf whole = BUF_INIT;
	int rc;

	if (!record->parked)
		return count_images(s, message->partition, back, record, e);
	rc = state_fetch(s, record->parked_at, record->seq, &whole, e);
	if (rc == 1)
		rc = state_apply_value(s, message, buf_slice(&whole), true, e);
	buf_done(&whole);
	return rc;
}

/* ---- a snapshot ----------------------------------------------------------------------------- */

static int see(struct state *s, struct slice image, struct err *e)
{
	static const uint8_t all[SHAPE_COLUMNS_MAX / 8] = { [0 ... SHAPE_COLUMNS_MAX / 8 - 1] =
								    0xff };
	struct rd in = rd_from(image);

	if (row_split(&in, s->shape, all, s->cells, e) < 0)
		return -1;
	if (!rd_end(&in))
		return err_data(e, "a row image does not fit the table");
	put_image(s->shape, s->cells, &s->key);
	return state_bind_bytes(s->see, 1, buf_slice(&s->key), e) < 0 ? -1 : state_run(s->see, e);
}

int state_count_spool(struct state *s, struct err *e)
{
	struct slice image;
	int64_t rows = 0;
	int rc;

	if (sql_run(s->db, "DELETE FROM seen", e) < 0 || sql_run(s->db, "BEGIN", e) < 0)
		return -1;
	while ((rc = spool_next(s->spool, &image, e)) == 1) {
		if (see(s, image, e) < 0)
			return -1;
		if (s->stopping)
			return err_retry(e, "stopping");
		if (++rows % SPOOL_RECORDS == 0 &&
		    (sql_run(s->db, "COMMIT", e) < 0 || sql_run(s->db, "BEGIN", e) < 0))
			return -1;
	}
	return rc < 0 ? -1 : sql_run(s->db, "COMMIT", e);
}

void state_catch_up_with(struct state *s, const int64_t *last_seqs, size_t partitions,
			 struct spool *spool)
{
	spool_free(s->spool);
	s->spool = spool;
	s->image_there = s->at_end = false;
	state_catch_up(s, last_seqs, partitions);
}

/* ---- what differs --------------------------------------------------------------------------- */

/* Both tables come merged in the order of images: what has one image is added up. */
static int next_sum(struct state *s, int64_t *ret_sum, struct err *e)
{
	struct value image, n;
	int rc = 0;

	if (!s->image_there)
		rc = s->at_end ? 0 : sql_step(s->differ, e);
	if (rc < 0 || (!s->image_there && rc == 0))
		return rc;
	sql_column(s->differ, 0, &image);
	buf_reset(&s->image);
	buf_add_slice(&s->image, image.bytes);
	*ret_sum = 0;
	s->image_there = false;
	do {
		sql_column(s->differ, 1, &n);
		*ret_sum += n.i;
		rc = sql_step(s->differ, e);
		if (rc == 1)
			sql_column(s->differ, 0, &image);
	} while (rc == 1 && slice_equal(image.bytes, buf_slice(&s->image)));
	s->image_there = rc == 1;
	s->at_end = rc == 0;
	return rc < 0 ? -1 : 1;
}

int state_differ(struct state *s, struct slice *ret_image, int64_t *ret_n, struct err *e)
{
	int64_t sum = 0;
	int rc;

	while ((rc = next_sum(s, &sum, e)) == 1) {
		if (sum == 0)
			continue;
		*ret_image = buf_slice(&s->image);
		*ret_n = sum;
		return 1;
	}
	if (s->differ != NULL)
		sql_reset(s->differ);
	return rc;
}
