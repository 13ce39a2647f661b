/* parked.c - records that could not be applied, in the version's own database; and what
 * room a version takes. The table is made with the version: making it later would commit. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void add_text(const char *text, struct buf *sql)
{
	struct value v = { .kind = VALUE_TEXT, .bytes = slice_str(text) };

	db_store_literal(&v, sql);
}

static void add_bytes(struct slice bytes, struct buf *sql)
{
	struct value v = { .kind = bytes.data != NULL ? VALUE_BYTES : VALUE_NULL, .bytes = bytes };

	db_store_literal(&v, sql);
}

int store_mysql_park(struct store_version *v, const struct store_parked *record, struct err *e)
{
	struct slice value = record->value.data != NULL ? record->value : slice_of("", 0);
	struct buf sql = BUF_INIT;

	buf_add_str(&sql, "INSERT INTO millrace_parked (topic, part, at_offset, seq, schema_id, "
			  "record_key, value, at_us, behind, reason) VALUES (");
	add_text(record->topic, &sql);
	buf_add_format(&sql, ", %d, %lld, %lld, %d, ", record->partition, (long long)record->offset,
		       (long long)record->seq, record->schema_id);
	add_bytes(record->key, &sql);
	buf_add_str(&sql, ", ");
	add_bytes(value, &sql);
	buf_add_format(&sql, ", %lld, %d, ", (long long)record->at_us, record->behind);
	add_text(record->reason, &sql);
	buf_add_str(&sql, ") ON DUPLICATE KEY UPDATE at_us = VALUES(at_us), behind = "
			  "VALUES(behind), reason = VALUES(reason)");
	target_mysql_add(&v->target, buf_cstr(&sql));
	buf_done(&sql);
	return v->target.target.ops->flush(&v->target.target, e);
}

int store_mysql_unpark(struct store_version *v, const struct store_parked *record, struct err *e)
{
	struct buf sql = BUF_INIT;

	buf_add_format(&sql,
		       "DELETE FROM millrace_parked WHERE part = %d AND at_offset = %lld AND "
		       "topic = ",
		       record->partition, (long long)record->offset);
	add_text(record->topic, &sql);
	target_mysql_add(&v->target, buf_cstr(&sql));
	buf_done(&sql);
	return v->target.target.ops->flush(&v->target.target, e);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int64_t number_of(struct slice text)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%.*s", (int)text.size, (const char *)text.data);
	return strtoll(digits, NULL, 10);
}

static bool hand_over(const struct slice *row,
		      bool (*each)(void *context, const struct store_parked *record), void *context)
{
	struct store_parked record = {
		.partition = (int32_t)number_of(row[1]),
		.offset = number_of(row[2]),
		.seq = number_of(row[3]),
		.schema_id = (int32_t)number_of(row[4]),
		.key = row[5],
		.value = row[6],
		.at_us = number_of(row[7]),
		.behind = number_of(row[8]) != 0,
	};

	return store_tell_parked(record, row[0], row[9], each, context);
}

int store_mysql_parked(struct store *s, int version,
		       bool (*each)(void *context, const struct store_parked *record),
		       void *context, struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version);
	struct db_result *r = NULL;
	const struct slice *row;
	struct db *db = NULL;
	int rc = -1;

	if (mydb_connect(m, database, &db, e) == 0 &&
	    db_query(db,
		     "SELECT topic, part, at_offset, seq, schema_id, record_key, value, at_us, "
		     "behind, reason FROM millrace_parked ORDER BY seq, n",
		     &r, e) == 0)
		while ((rc = db_next(r, &row, e)) == 1 && hand_over(row, each, context))
			continue;
	db_result_free(r);
	db_close(db);
	free(database);
	return rc < 0 ? err_wrap(e, "view %s, version %d: parked records", m->view, version) : 0;
}

/* What the server's disk has left it doesn't say. */
int store_mysql_room(struct store *s, int version, int64_t *ret_used, int64_t *ret_free,
		     struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version), *name = mydb_literal(database);
	struct db *db = NULL;
	int rc = mydb_connect(m, NULL, &db, e);

	if (rc == 0)
		rc = mydb_get_int(db, ret_used, e,
				  "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM "
				  "information_schema.TABLES WHERE TABLE_SCHEMA = %s",
				  name);
	*ret_free = -1;
	db_close(db);
	free(name);
	free(database);
	return rc;
}
