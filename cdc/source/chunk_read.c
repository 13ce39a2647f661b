/* chunk_read.c - the statements of one chunk.
 *
 *   START TRANSACTION WITH CONSISTENT SNAPSHOT   of all that the stream has seen: chunk_snapshot.c
 *   SELECT ... LIMIT 0                           takes the metadata lock: no ALTER from here on
 *   information_schema                           the shape, as of now
 *   SELECT key WHERE key in (low, high]          where a condition limits the rows: which exist
 *   SELECT columns WHERE key in (low, high]      with the server's own time limit
 *   COMMIT
 *   the binlog's end                             read last: holds all that the SELECT saw
 *
 *   SELECT key ... LIMIT 1 OFFSET n-1            a border, asked for by itself; consistent with
 *                                                nothing
 *
 * Tables that are not transactional (MyISAM, Aria) don't know snapshots, but every statement on
 * them locks the table: the SELECT sees what was in the binlog before it began, and all it sees is
 * in the binlog when it has ended, as its writer lets go of the table only then. So the two marks
 * hold for them too, except for a transaction that changed a transactional table first: the binlog
 * has its rows at COMMIT only.
 *
 * Rows must come in rising order of their keys. A collation whose order is not what its weights say
 * would fold changes into the wrong rows: that ends the copy. */
#include "cdc/source/chunk_priv.h"

#include "cdc/catalog/catalog.h"
#include "cdc/change/key.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"
#include "core/mysql/db.h"
#include "core/value/row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void chunk_free(struct chunk *c)
{
	if (c == NULL)
		return;
	shape_unref(c->shape);
	spool_free(c->spool);
	gtid_set_done(&c->point);
	free(c->rows);
	free(c->keys);
	buf_done(&c->bytes);
	key_border_done(&c->high);
	key_border_done(&c->next);
	free(c);
}

/* ---- the rows ------------------------------------------------------------------------------- */

static void add_from(const struct chunk_request *request, struct buf *sql)
{
	buf_add_str(sql, " FROM ");
	row_quote_name(request->db, sql);
	buf_add_str(sql, ".");
	row_quote_name(request->table, sql);
}

/* On MySQL the session has the limit, for all its SELECTs (chunk_session). */
static void add_limit(const struct settings *settings, const struct db *db, struct buf *sql)
{
	if (!db_is_mariadb(db))
		return;
	buf_add_format(sql, "SET STATEMENT max_statement_time=%" PRId64 ".%03d FOR ",
		       settings->copy_read_limit_ms / 1000,
		       (int)(settings->copy_read_limit_ms % 1000));
}

static void add_range(const char *where, const struct shape *shape, const struct key_border *low,
		      const struct key_border *high, struct buf *sql)
{
	const char *word = " WHERE ";

	if (where != NULL && where[0] != '\0') {
		buf_add_format(sql, " WHERE (%s\n)", where); /* it may end in a comment */
		word = " AND ";
	}
	if (low != NULL) {
		buf_add_str(sql, word);
		key_condition(shape, low, true, false, sql);
		word = " AND ";
	}
	if (high != NULL) {
		buf_add_str(sql, word);
		key_condition(shape, high, false, true, sql);
	}
	buf_add_str(sql, " ORDER BY ");
	key_order_list(shape, sql);
}

/* The text parts' weights, behind the columns that are selected. */
static void add_weights(const struct chunk_request *request, const struct shape *shape,
			struct buf *sql)
{
	struct buf name = BUF_INIT;

	for (size_t i = 0; i < shape->key_count; i++) {
		const struct column *c = &shape->columns[shape->key[i]];

		if (!key_is_text(shape, i))
			continue;
		buf_reset(&name);
		row_quote_name(c->name, &name);
		key_collation_select(collator_find(request->collator, c->collation),
				     buf_cstr(&name), sql);
	}
	buf_done(&name);
}

/* Takes the weights from the row instead of asking for them. */
struct row_weigher {
	struct key_weigher weigher;
	struct collator *collator;
	const struct slice *weights;
};

static int weigh_row(void *context, size_t part, const struct column *c, struct slice value,
		     struct buf *key, struct err *e)
{
	struct row_weigher *w = context;
	const struct key_collation *k = collator_find(w->collator, c->collation);

	(void)part;
	(void)value;
	for (size_t i = 0; i < k->level_count; i++)
		if (w->weights[i].data == NULL)
			return err_data(e, "key column %s: the source gave no weights", c->name);
	if (!key_collate(k, w->weights, key))
		return err_data(e, "key column %s: the source's weights are cut short", c->name);
	w->weights += k->level_count;
	return 0;
}

static const char *row_charset(void *context, const struct column *c)
{
	struct row_weigher *w = context;

	return collator_find(w->collator, c->collation)->charset;
}

static struct row_weigher row_weigher(struct collator *collator)
{
	return (struct row_weigher){ .weigher = { .weigh = weigh_row, .charset = row_charset },
				     .collator = collator };
}

static size_t weight_count(const struct chunk_request *request, const struct shape *shape)
{
	size_t count = 0;

	for (size_t i = 0; i < shape->key_count; i++)
		if (key_is_text(shape, i))
			count += collator_find(request->collator,
					       shape->columns[shape->key[i]].collation)
					 ->level_count;
	return count;
}

/* ---- a row ---------------------------------------------------------------------------------- */

struct reading {
	struct chunk *chunk;
	struct row_weigher weigher;
	size_t capacity;
	struct slice key_text[KEY_PARTS_MAX]; /* of the last row */
};

static int check_order(const struct chunk *c, struct err *e)
{
	if (c->row_count < 2 ||
	    key_compare(chunk_key(c, c->row_count - 2), chunk_key(c, c->row_count - 1)) < 0)
		return 0;
	err_config(e, "table %s.%s: its rows don't come in the order of their keys' weights",
		   c->shape->db, c->shape->table);
	return err_hint(e, "The collation of a key column sorts in a way that cannot be followed: "
			   "leave the table out of capture.tables, begin with source.start = now, "
			   "or give the column another collation.");
}

static int add_row(struct reading *r, const struct slice *text, struct err *e)
{
	struct chunk *c = r->chunk;
	const struct shape *shape = c->shape;
	struct chunk_row *row;

	if (c->row_count == r->capacity) {
		r->capacity = r->capacity * 2 + 256;
		c->rows = xrealloc(c->rows, r->capacity * sizeof(*c->rows));
	}
	row = &c->rows[c->row_count];
	row->at = c->bytes.size;
	for (size_t i = 0; i < shape->key_count; i++)
		r->key_text[i] = text[shape->key[i]];
	r->weigher.weigher.context = &r->weigher;
	r->weigher.weights = text + shape->column_count;
	if (key_from_text(shape, r->key_text, &r->weigher.weigher, &c->bytes, e) < 0)
		return -1;
	row->key_size = (uint32_t)(c->bytes.size - row->at);
	if (row->key_size > KEY_BYTES_MAX)
		return err_data(e, "table %s.%s: a key of %u bytes", shape->db, shape->table,
				row->key_size);
	if (row_image_from_text(shape, text, &c->bytes, e) < 0)
		return err_wrap(e, "copy of %s.%s", shape->db, shape->table);
	row->image_size = (uint32_t)(c->bytes.size - row->at - row->key_size);
	c->row_count++;
	return check_order(c, e);
}

static int cut_here(struct db *db, struct reading *r, const struct slice *text, struct err *e)
{
	struct chunk *c = r->chunk;

	c->cut = true;
	r->weigher.weights = text + c->shape->column_count;
	if (key_border_from_text(c->shape, r->key_text, &r->weigher.weigher, &c->high, e) < 0)
		return -1;
	/* the rest may be many times as much: don't read it only to drop it */
	db_interrupt(db);
	return 0;
}

static int read_result(struct db *db, struct db_result *result, const struct chunk_request *request,
		       struct chunk *c, struct err *e)
{
	struct reading r = { .chunk = c, .weigher = row_weigher(request->collator) };
	size_t columns = c->shape->column_count + weight_count(request, c->shape);
	const struct slice *text;
	int rc;

	if (db_column_count(result) != columns)
		return err_fatal(e, "copy of %s.%s: the source gave %zu columns for %zu",
				 c->shape->db, c->shape->table, db_column_count(result), columns);
	while ((rc = db_next(result, &text, e)) == 1) {
		if (add_row(&r, text, e) < 0)
			return -1;
		if (c->bytes.size + c->row_count * sizeof(*c->rows) >= request->bytes_max)
			return cut_here(db, &r, text, e);
	}
	return rc;
}

static int read_rows(const struct settings *settings, struct db *db,
		     const struct chunk_request *request, struct chunk *c, struct err *e)
{
	struct db_result *result = NULL;
	struct buf sql = BUF_INIT;
	int64_t begun = clock_monotonic_us();
	int rc;

	add_limit(settings, db, &sql);
	buf_add_str(&sql, "SELECT ");
	row_select_list(c->shape, &sql);
	add_weights(request, c->shape, &sql);
	add_from(request, &sql);
	add_range(request->where, c->shape, request->low, request->high, &sql);
	rc = db_query(db, buf_cstr(&sql), &result, e);
	if (rc == 0)
		rc = read_result(db, result, request, c, e);
	db_result_free(result);
	buf_done(&sql);
	c->read_us = clock_monotonic_us() - begun;
	return rc;
}

/* ---- all keys ------------------------------------------------------------------------------- */

static int add_keys(struct db_result *result, const struct chunk_request *request, struct chunk *c,
		    struct err *e)
{
	struct row_weigher weigher = row_weigher(request->collator);
	size_t capacity = 0;
	const struct slice *text;
	int rc;

	while ((rc = db_next(result, &text, e)) == 1) {
		struct chunk_row *key;

		if (c->key_count == capacity) {
			capacity = capacity * 2 + 256;
			c->keys = xrealloc(c->keys, capacity * sizeof(*c->keys));
		}
		key = &c->keys[c->key_count++];
		*key = (struct chunk_row){ .at = c->bytes.size };
		weigher.weigher.context = &weigher;
		weigher.weights = text + c->shape->key_count;
		if (key_from_text(c->shape, text, &weigher.weigher, &c->bytes, e) < 0)
			return -1;
		key->key_size = (uint32_t)(c->bytes.size - key->at);
		if (c->bytes.size + c->key_count * sizeof(*key) > request->bytes_max / 2)
			return err_retry(e, "the keys of a chunk of %s.%s take more than %zu bytes",
					 request->db, request->table, request->bytes_max / 2);
	}
	return rc;
}

/* Before the rows, which may end the connection. */
static int read_keys(const struct settings *settings, struct db *db,
		     const struct chunk_request *request, struct chunk *c, struct err *e)
{
	struct db_result *result = NULL;
	struct buf sql = BUF_INIT;
	int rc;

	add_limit(settings, db, &sql);
	buf_add_str(&sql, "SELECT ");
	key_select_list(c->shape, &sql);
	add_weights(request, c->shape, &sql);
	add_from(request, &sql);
	add_range(NULL, c->shape, request->low, request->high, &sql);
	rc = db_query(db, buf_cstr(&sql), &result, e);
	if (rc == 0)
		rc = add_keys(result, request, c, e);
	db_result_free(result);
	buf_done(&sql);
	return rc;
}

/* ---- all rows of a table without a key ------------------------------------------------------ */

static int spool_result(struct db_result *result, struct chunk *c, struct err *e)
{
	const struct slice *text;
	struct buf image = BUF_INIT;
	int rc = 0;

	if (db_column_count(result) != c->shape->column_count)
		return err_fatal(e, "copy of %s.%s: the source gave %zu columns for %u",
				 c->shape->db, c->shape->table, db_column_count(result),
				 c->shape->column_count);
	while (rc >= 0 && (rc = db_next(result, &text, e)) == 1) {
		buf_reset(&image);
		if (row_image_from_text(c->shape, text, &image, e) < 0 ||
		    spool_add(c->spool, buf_slice(&image), e) < 0)
			rc = -1;
	}
	buf_done(&image);
	return rc;
}

static int read_spool(const struct settings *settings, struct db *db,
		      const struct chunk_request *request, struct chunk *c, struct err *e)
{
	struct db_result *result = NULL;
	struct buf sql = BUF_INIT;
	int rc = spool_new(settings->state_dir, &c->spool, e);

	add_limit(settings, db, &sql);
	buf_add_str(&sql, "SELECT ");
	row_select_list(c->shape, &sql);
	add_from(request, &sql);
	if (rc == 0)
		rc = db_query(db, buf_cstr(&sql), &result, e);
	if (rc == 0)
		rc = spool_result(result, c, e);
	db_result_free(result);
	buf_done(&sql);
	return rc == 0 ? spool_rewind(c->spool, e) : -1;
}

/* ---- the border ----------------------------------------------------------------------------- */

/* The key n rows behind `low`. */
static int read_border(const struct settings *settings, struct db *db,
		       const struct chunk_request *request, const struct key_border *low,
		       struct chunk *c, struct err *e)
{
	struct row_weigher weigher = row_weigher(request->collator);
	struct db_result *result = NULL;
	struct buf sql = BUF_INIT;
	const struct slice *text;
	int rc;

	add_limit(settings, db, &sql);
	buf_add_str(&sql, "SELECT ");
	key_select_list(c->shape, &sql);
	add_weights(request, c->shape, &sql);
	add_from(request, &sql);
	add_range(request->all_keys ? NULL : request->where, c->shape, low, NULL, &sql);
	buf_add_format(&sql, " LIMIT 1 OFFSET %" PRId64, request->rows - 1);
	rc = db_query(db, buf_cstr(&sql), &result, e);
	if (rc == 0)
		rc = db_next(result, &text, e);
	if (rc == 1) {
		c->has_next = true;
		weigher.weigher.context = &weigher;
		weigher.weights = text + c->shape->key_count;
		rc = key_border_from_text(c->shape, text, &weigher.weigher, &c->next, e);
	}
	db_result_free(result);
	buf_done(&sql);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int read_engine(struct db *db, const struct chunk_request *request, struct chunk *c,
		       struct err *e)
{
	struct buf sql = BUF_INIT;
	char *engine = NULL;
	int rc;

	buf_add_str(&sql, "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ");
	db_quote(slice_str(request->db), &sql);
	buf_add_str(&sql, " AND TABLE_NAME = ");
	db_quote(slice_str(request->table), &sql);
	rc = db_get_text(db, buf_cstr(&sql), &engine, e);
	c->transactional = engine != NULL && strcmp(engine, "InnoDB") == 0;
	buf_done(&sql);
	free(engine);
	return rc;
}

static int read_shape(struct db *db, const struct chunk_request *request, struct chunk *c,
		      struct err *e)
{
	const char *refused;

	if (catalog_read_shape(db, request->db, request->table, &c->shape, e) < 0)
		return -1;
	refused = key_refused(c->shape);
	c->rekeyed = request->key_shape != NULL && !key_equal_columns(request->key_shape, c->shape);
	if (c->rekeyed || request->spool)
		return 0;
	if (request->bound_only && c->shape->key_count == 0)
		return read_engine(db, request, c, e);
	if (refused != NULL)
		return err_data(e, "table %s.%s: %s", request->db, request->table, refused);
	return collator_prepare(request->collator, c->shape, e);
}

/* The metadata lock is held from the first statement on the table until the transaction's end. */
static int read_locked(const struct settings *settings, struct db *db,
		       const struct chunk_request *request, struct chunk *c, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "SELECT 1");
	add_from(request, &sql);
	buf_add_str(&sql, " LIMIT 0");
	rc = db_run(db, buf_cstr(&sql), e) < 0 || read_shape(db, request, c, e) < 0 ? -1 : 0;
	buf_done(&sql);
	if (rc < 0 || c->rekeyed)
		return rc;
	if (request->spool)
		return read_spool(settings, db, request, c, e);
	if (request->all_keys && read_keys(settings, db, request, c, e) < 0)
		return -1;
	return read_rows(settings, db, request, c, e);
}

static int read_snapshot(const struct settings *settings, struct db *db,
			 const struct chunk_request *request, struct chunk *c, struct err *e)
{
	int watched = -1, rc;

	if (chunk_snapshot_open(settings, db, request, e) < 0)
		return -1;
	if (request->watch != NULL)
		watched = db_watch_begin(request->watch, db, request->db, request->table);
	rc = read_locked(settings, db, request, c, e);
	if (watched >= 0 && db_watch_end(request->watch, watched) && rc < 0 &&
	    e->kind == ERR_RETRY) {
		*e = (struct err)ERR_INIT;
		rc = err_retry(e, "reading %s.%s gave way to a session that waits for the table",
			       request->db, request->table);
	}
	return rc;
}

int chunk_read(const struct settings *settings, struct db *db, const struct chunk_request *request,
	       struct chunk **ret_chunk, struct err *e)
{
	struct chunk *c = xcalloc(1, sizeof(*c));

	if (request->bound_only) {
		if (read_shape(db, request, c, e) < 0 ||
		    (c->rekeyed ? chunk_read_point(settings, db, c, e)
		     : c->shape->key_count == 0
			     ? 0
			     : read_border(settings, db, request, request->low, c, e)) < 0)
			goto failed;
	} else {
		if (read_snapshot(settings, db, request, c, e) < 0)
			goto failed;
		FAULT_SLOW(slow_chunk);
		if ((!c->cut && db_run(db, "COMMIT", e) < 0) ||
		    chunk_read_point(settings, db, c, e) < 0)
			goto failed;
	}
	*ret_chunk = c;
	return 0;
failed:
	chunk_free(c);
	return -1;
}
