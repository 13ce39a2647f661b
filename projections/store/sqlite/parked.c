/* parked.c - records that could not be applied, in the version's own file; and
 * what room a version takes.
 *
 * The table is made when the first record is parked, in the same transaction: so files of releases
 * that had no such table need no change, and a view that never met poison has none. */
#include "projections/store/sqlite/sqlite_priv.h"

#include "core/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static const char parked_table[] =
	"CREATE TABLE IF NOT EXISTS millrace_parked (topic TEXT NOT NULL, partition INTEGER NOT "
	"NULL, offset INTEGER NOT NULL, seq INTEGER NOT NULL, schema_id INTEGER NOT NULL, key "
	"BLOB, value BLOB NOT NULL, at_us INTEGER NOT NULL, behind INTEGER NOT NULL, reason TEXT "
	"NOT NULL, UNIQUE (topic, partition, offset))";

static struct value int_value(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}

static struct value text_value(const char *text)
{
	return (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(text) };
}

static struct value bytes_value(struct slice bytes)
{
	return (struct value){ .kind = VALUE_BYTES, .bytes = bytes };
}

static int change(struct store_version *v, const char *sql, const struct value *values, int count,
		  struct err *e)
{
	return store_sqlite_change(v->db, sql, values, count, e) < 0
		       ? err_wrap(e, "%s: parked records", v->path)
		       : 0;
}

int store_sqlite_park(struct store_version *v, const struct store_parked *record, struct err *e)
{
	struct slice value = record->value.data != NULL ? record->value : slice_of("", 0);
	struct value row[] = {
		text_value(record->topic),
		int_value(record->partition),
		int_value(record->offset),
		int_value(record->seq),
		int_value(record->schema_id),
		record->key.data != NULL ? bytes_value(record->key)
					 : (struct value){ .kind = VALUE_NULL },
		bytes_value(value),
		int_value(record->at_us),
		int_value(record->behind),
		text_value(record->reason),
	};

	return sql_run(v->db, parked_table, e) < 0
		       ? -1
		       : change(v,
				"INSERT INTO millrace_parked VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
				"?8, ?9, ?10) ON CONFLICT (topic, partition, offset) DO UPDATE SET "
				"at_us = excluded.at_us, behind = excluded.behind, reason = "
				"excluded.reason",
				row, 10, e);
}

int store_sqlite_unpark(struct store_version *v, const struct store_parked *record, struct err *e)
{
	struct value row[] = { text_value(record->topic), int_value(record->partition),
			       int_value(record->offset) };

	return change(v,
		      "DELETE FROM millrace_parked WHERE topic = ?1 AND partition = ?2 AND offset "
		      "= ?3",
		      row, 3, e);
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool hand_over(struct sql_statement *q,
		      bool (*each)(void *context, const struct store_parked *record), void *context)
{
	struct value v[10];

	for (int i = 0; i < 10; i++)
		sql_column(q, i, &v[i]);
	return store_tell_parked_values(v, each, context);
}

static int read_parked(struct sql_db *db,
		       bool (*each)(void *context, const struct store_parked *record),
		       void *context, struct err *e)
{
	struct sql_statement *q;
	int64_t there = 0;
	int rc;

	if (sql_get_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'millrace_parked'",
			&there, e) < 0)
		return -1;
	if (there == 0)
		return 0;
	if (sql_prepare(db, "store",
			"SELECT topic, partition, offset, seq, schema_id, key, value, at_us, "
			"behind, reason FROM millrace_parked ORDER BY seq, rowid",
			NULL, &q, e) < 0)
		return -1;
	while ((rc = sql_step(q, e)) == 1 && hand_over(q, each, context))
		;
	sql_finalize(q);
	return rc < 0 ? -1 : 0;
}

int store_sqlite_parked(struct store *s, int version,
			bool (*each)(void *context, const struct store_parked *record),
			void *context, struct err *e)
{
	char *path = store_sqlite_path(store_files_of(s), version);
	struct sql_db *db = NULL;
	int rc = sql_open_db(path, SQL_OPEN_READ, &db, e);

	if (rc == 0)
		rc = read_parked(db, each, context, e);
	sql_close(db);
	free(path);
	return rc;
}

/* ---- one record taken back ------------------------------------------------------------------- */

int store_sqlite_savepoint(struct store_version *v, struct err *e)
{
	if (v->saved && sql_run(v->db, "RELEASE millrace_record", e) < 0)
		return -1;
	v->saved = false;
	if (sql_run(v->db, "SAVEPOINT millrace_record", e) < 0)
		return -1;
	v->saved = true;
	return 0;
}

int store_sqlite_undo(struct store_version *v, struct err *e)
{
	if (!sql_in_transaction(v->db)) /* the error took the whole transaction with it */
		return err_retry(e, "%s: the rows of the transaction are gone", v->path);
	return sql_run(v->db, "ROLLBACK TO millrace_record", e);
}

/* ---- room ------------------------------------------------------------------------------------ */

int store_sqlite_room(struct store *s, int version, int64_t *ret_used, int64_t *ret_free,
		      struct err *e)
{
	static const char *const endings[] = { "", "-wal" };
	const struct store_files *f = store_files_of(s);
	char *path = store_sqlite_path(f, version);
	struct statvfs disk;
	int64_t used = 0;

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		char *file = xasprintf("%s%s", path, endings[i]);
		struct stat st;

		if (stat(file, &st) == 0) /* one that isn't there takes nothing */
			used += (int64_t)st.st_blocks * 512;
		free(file);
	}
	free(path);
	if (statvfs(f->dir, &disk) < 0)
		return err_fatal(e, "%s: %s", f->dir, strerror(errno));
	*ret_used = used;
	*ret_free = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
	return 0;
}
