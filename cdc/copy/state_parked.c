/* state_parked.c - rows whose last record is a stand-in: the whole record is on <name>.parked.
 *
 * Fetched only when all records are there: most stand-ins have been replaced by then. One that
 * can't be had (`millrace parked drop`, larger than ROW_MAX) stays, is asked for once
 * per file and counts as unknown. */
#include "cdc/copy/state_priv.h"

#include "core/avro/decode.h"
#include "core/avro/read.h"
#include "core/avro/write.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/intake/parked.h"

#include <stdlib.h>

#define ROW_MAX (80 * 1024 * 1024) /* or capture.memory, if that is more */

static int lookup(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct registry_schema schema;

	if (registry_by_id(context, id, &schema, e) < 0)
		return -1;
	*ret_text = schema.text;
	return 0;
}

int state_fetch(struct state *s, struct slice reference, int64_t seq, struct buf *ret_value,
		struct err *e)
{
	struct records_reader *reader = records_reader_new(lookup, s->registry);
	int64_t memory = s->settings->capture_memory, max = memory > ROW_MAX ? memory : ROW_MAX;
	int rc = parked_fetch(s->settings, reader, reference, seq, max, ret_value, e);

	records_reader_free(reader);
	if (rc == 0)
		return 1;
	if (e->kind != ERR_DATA)
		return -1;
	log_warning("copy", "topic %s: a row is not compared: %s", s->topic, e->msg);
	err_clear(e);
	return 0;
}

struct stand_in {
	struct buf key, where;
	int64_t seq;
};

/* The first one that has not been asked for. */
static int next_stand_in(struct state *s, struct stand_in *ret, struct err *e)
{
	struct sql_statement *q = NULL;
	struct value v[3];
	struct rd in;
	int rc;

	if (sql_prepare(s->db, s->path,
			"SELECT key, seq, body FROM rows WHERE schema < 0 AND seq > ?1 "
			"ORDER BY seq LIMIT 1",
			NULL, &q, e) < 0)
		return -1;
	rc = state_bind_int(q, 1, ret->seq, e) < 0 ? -1 : sql_step(q, e);
	if (rc == 1) {
		for (int i = 0; i < 3; i++)
			sql_column(q, i, &v[i]);
		in = rd_from(v[2].bytes);
		(void)read_bytes(&in);
		(void)read_bytes(&in);
		buf_reset(&ret->where);
		buf_add_slice(&ret->where, read_bytes(&in));
		buf_reset(&ret->key);
		buf_add_slice(&ret->key, v[0].bytes);
		ret->seq = v[1].i;
	}
	sql_finalize(q);
	return rc;
}

/* Into the row's place. */
static int replace(struct state *s, const struct stand_in *row, const struct buf *whole,
		   struct err *e)
{
	struct sql_statement *q = NULL;
	struct row_back_record record;
	struct slice value = buf_slice(whole);
	struct row_back *back;
	int32_t id;
	int rc = -1;

	if (decode_wire_id(value, &id, e) < 0 || state_schema(s, id, &back, e) < 0 ||
	    row_back_read(
		    back,
		    slice_of(value.data + DECODE_WIRE_HEADER, value.size - DECODE_WIRE_HEADER),
		    &record, e) < 0)
		return -1;
	if (record.parked || !record.has_after)
		return err_data(e, "a parked record of seq %lld is not of its row",
				(long long)row->seq);
	buf_reset(&s->body);
	write_slice(&s->body, record.after);
	write_slice(&s->body, record.absent);
	write_slice(&s->body, record.exact);
	if (sql_prepare(s->db, s->path, "UPDATE rows SET schema = ?2, body = ?3 WHERE key = ?1",
			NULL, &q, e) < 0)
		return -1;
	if (state_bind_bytes(q, 1, buf_slice(&row->key), e) == 0 &&
	    state_bind_int(q, 2, id, e) == 0 && state_bind_bytes(q, 3, buf_slice(&s->body), e) == 0)
		rc = state_run(q, e);
	sql_finalize(q);
	return rc;
}

int state_fetch_rows(struct state *s, struct err *e)
{
	struct stand_in row = { BUF_INIT, BUF_INIT, 0 };
	struct buf whole = BUF_INIT;
	int rc = 0;

	while (!s->counted && rc >= 0 && (rc = next_stand_in(s, &row, e)) == 1) {
		if (row.seq <= s->fetched_seq)
			continue;
		rc = state_fetch(s, buf_slice(&row.where), row.seq, &whole, e);
		if (rc == 1)
			rc = replace(s, &row, &whole, e);
		else if (rc == 0)
			s->fetched_seq = row.seq;
		buf_done(&whole);
	}
	buf_done(&row.key);
	buf_done(&row.where);
	buf_done(&s->body);
	return rc < 0 ? -1 : 0;
}
