/* parked.c - records that could not be applied, in the version's own schema; and
 * what room a version takes. How much a server's disk still has it doesn't tell. */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void add_bytes(struct slice bytes, struct buf *sql)
{
	struct value v = { .kind = VALUE_BYTES, .bytes = bytes };

	if (bytes.data == NULL)
		v.kind = VALUE_NULL;
	pg_quote_value(&v, sql);
}

int store_postgresql_park(struct store_version *v, const struct store_parked *record, struct err *e)
{
	struct slice value = record->value.data != NULL ? record->value : slice_of("", 0);
	struct buf sql = BUF_INIT;
	int rc;

	if (target_postgresql_queue(&v->target, e) < 0)
		return -1;
	buf_add_str(&sql, "INSERT INTO millrace_parked (topic, partition, \"offset\", seq, "
			  "schema_id, key, value, at_us, behind, reason) VALUES (");
	pg_quote_text(slice_str(record->topic), &sql);
	buf_add_format(&sql, ", %" PRId32 ", %" PRId64 ", %" PRId64 ", %" PRId32 ", ",
		       record->partition, record->offset, record->seq, record->schema_id);
	add_bytes(record->key, &sql);
	buf_add_str(&sql, ", ");
	add_bytes(value, &sql);
	buf_add_format(&sql, ", %" PRId64 ", %s, ", record->at_us,
		       record->behind ? "true" : "false");
	pg_quote_text(slice_str(record->reason), &sql);
	buf_add_str(&sql, ") ON CONFLICT (topic, partition, \"offset\") DO UPDATE SET at_us = "
			  "excluded.at_us, behind = excluded.behind, reason = excluded.reason");
	rc = pg_queue(v->pg, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc < 0 ? -1 : pg_drain(v->pg, NULL, e);
}

int store_postgresql_unpark(struct store_version *v, const struct store_parked *record,
			    struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "DELETE FROM millrace_parked WHERE topic = ");
	pg_quote_text(slice_str(record->topic), &sql);
	buf_add_format(&sql, " AND partition = %" PRId32 " AND \"offset\" = %" PRId64,
		       record->partition, record->offset);
	rc = pg_queue(v->pg, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

int store_postgresql_parked(struct store *s, int version,
			    bool (*each)(void *context, const struct store_parked *record),
			    void *context, struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	char *schema = store_postgresql_schema(f, version);
	struct pg_cursor *cursor = NULL;
	const struct value *values;
	struct pg *pg = NULL;
	int rc = -1;

	if (store_postgresql_connect(f, schema, &pg, e) == 0 && pg_run(pg, "BEGIN", e) == 0 &&
	    pg_cursor_open(
		    pg,
		    "SELECT topic, partition, \"offset\", seq, schema_id, key, value, at_us, "
		    "behind, reason FROM millrace_parked ORDER BY seq, number",
		    &cursor, e) == 0) {
		while ((rc = pg_cursor_next(cursor, &values, e)) == 1 &&
		       store_tell_parked_values(values, each, context))
			;
		rc = rc < 0 ? -1 : 0;
	}
	pg_cursor_close(cursor);
	pg_close(pg);
	free(schema);
	return rc;
}

int store_postgresql_room(struct store *s, int version, int64_t *ret_used, int64_t *ret_free,
			  struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	char *schema = store_postgresql_schema(f, version);
	const char *values[] = { schema };
	struct pg *pg = NULL;
	int rc = store_postgresql_connect(f, NULL, &pg, e);

	if (rc == 0)
		rc = pg_get_int(
			pg,
			"SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM "
			"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
			"n.nspname = $1 AND c.relkind IN ('r', 'm')",
			values, 1, ret_used, e);
	*ret_free = -1;
	pg_close(pg);
	free(schema);
	return rc;
}
