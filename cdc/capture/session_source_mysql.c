/* session_source_mysql.c - does a MySQL server still have what follows our position?
 *
 * By GTID, sets tell: what it has executed must hold our position, and our position what it has
 * purged. A set that was begun anew (RESET MASTER) names new transactions by old numbers: that is
 * noticed because it lacks ours, as long as it has not come so far again, and because the file that
 * we read last is gone, begins behind transactions that we never saw, or was begun at another time.
 *
 * By place, the place is of one server: it must be the one that we read, and the file be there,
 * begun when it was and at least as long as we have read it. */
#include "cdc/capture/session_priv.h"

#include "cdc/capture/source_binlogs.h"
#include "core/base/mem.h"
#include "core/mysql/db_position.h"

#include <inttypes.h>
#include <stdlib.h>

#define REPLICA_RENAMED 80022

/* Something feeds it: what it lacks may come. */
static int is_replica(struct db *db, bool *ret_replica, struct err *e)
{
	bool renamed = db_server_number(db) >= REPLICA_RENAMED;
	struct db_result *result = NULL;
	const struct slice *row;
	int rc;

	*ret_replica = false;
	if (db_query(db, renamed ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS", &result, e) < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1)
		for (size_t i = 0; i < db_column_count(result); i++)
			if (strstr(db_column_name(result, i), "_IO_Running") != NULL &&
			    !slice_is(row[i], "No"))
				*ret_replica = true;
	db_result_free(result);
	return rc;
}

static int refuse_missing(const struct session *s, struct db *db, const struct gtid_set *executed,
			  struct err *e)
{
	struct buf missing = BUF_INIT;
	bool replica = false;
	int rc = is_replica(db, &replica, e);

	gtid_set_missing(&s->gtid_set, executed, &missing);
	if (rc == 0 && replica) {
		rc = err_retry(e,
			       "source %s replicates, and has not come to our position yet: it "
			       "lacks %.700s",
			       db_where(db), buf_cstr(&missing));
	} else if (rc == 0) {
		err_config(e, "source %s lacks transactions that were delivered: %.700s",
			   db_where(db), buf_cstr(&missing));
		rc = session_source_refuse(e);
	}
	buf_done(&missing);
	return rc;
}

static int refuse_purged(const struct session *s, struct db *db, const struct gtid_set *purged,
			 struct err *e)
{
	struct buf missing = BUF_INIT;

	gtid_set_missing(purged, &s->gtid_set, &missing);
	err_config(e,
		   "source %s has purged its binlog behind our position: transactions %.700s are "
		   "gone from it and were not delivered",
		   db_where(db), buf_cstr(&missing));
	buf_done(&missing);
	return session_source_refuse(e);
}

static int refuse_reset(struct db *db, const struct position_record *position, const char *how,
			struct err *e)
{
	err_config(
		e,
		"the binlog of source %s is not the one that we read: %s:%" PRId64 " was our "
		"position, and %s; it was begun anew (RESET MASTER, or another copy of the data)",
		db_where(db), position->file, position->file_position, how);
	return session_source_refuse(e);
}

/* Two files of one name: they were begun at different times. */
static int check_created(struct session *s, struct db *db, const struct position_record *position,
			 struct err *e)
{
	uint32_t created;

	if (position->file_created == 0)
		return 0;
	if (source_binlogs_created(&s->chosen, position->file, &created, e) < 0)
		return -1;
	return created == position->file_created
		       ? 0
		       : refuse_reset(db, position, "that file was begun at another time", e);
}

/* ---- by GTID -------------------------------------------------------------------------------- */

/* The file that we read last, if it is the server that we read: gone before its time, or begun
 * behind what we don't know. */
static int check_file(struct session *s, struct db *db, const struct position_record *position,
		      struct err *e)
{
	struct gtid_set before = GTID_SET_INIT;
	struct source_binlogs binlogs;
	char *info = NULL;
	int rc;

	if (position->file[0] == '\0' || strcmp(position->source, s->source) != 0)
		return 0;
	if (source_binlogs_read(db, position->file, &binlogs, e) < 0)
		return -1;
	if (binlogs.first[0] == '\0' || gtid_file_compare(position->file, binlogs.first) < 0)
		return 0;
	if (!binlogs.has_file)
		return refuse_reset(db, position, "there is no such file", e);
	if (source_binlogs_info(db, position->file, "Previous_gtids", &info, e) < 0)
		return -1;
	rc = gtid_set_parse(slice_str(info), &before, e);
	if (rc == 0 && !gtid_set_contains_set(&s->gtid_set, &before))
		rc = refuse_reset(db, position, "that file begins behind others", e);
	if (rc == 0)
		rc = check_created(s, db, position, e);
	free(info);
	gtid_set_done(&before);
	return rc;
}

static int check_gtids(struct session *s, struct db *db, const struct position_record *position,
		       struct err *e)
{
	struct gtid_set executed = GTID_SET_INIT, purged = GTID_SET_INIT;
	int rc = db_get_set(db, "SELECT @@GLOBAL.gtid_executed", &executed, e);

	if (rc == 0)
		rc = db_get_set(db, "SELECT @@GLOBAL.gtid_purged", &purged, e);
	if (rc == 0 && !gtid_set_contains_set(&executed, &s->gtid_set))
		rc = refuse_missing(s, db, &executed, e);
	if (rc == 0 && !gtid_set_contains_set(&s->gtid_set, &purged))
		rc = refuse_purged(s, db, &purged, e);
	if (rc == 0)
		rc = check_file(s, db, position, e);
	gtid_set_done(&executed);
	gtid_set_done(&purged);
	return rc;
}

/* ---- by place ------------------------------------------------------------------------------- */

static int check_place(struct session *s, struct db *db, const struct position_record *position,
		       struct err *e)
{
	struct source_binlogs binlogs;

	if (strcmp(position->source, s->source) != 0) {
		err_config(
			e,
			"our position %s is a place in the binlog of %s, which says nothing about "
			"%s: without GTIDs a capture can't go from one server to another",
			position->gtid_set, position->source, s->source);
		return session_source_refuse(e);
	}
	if (source_binlogs_read(db, s->gtid_set.file, &binlogs, e) < 0)
		return -1;
	if (binlogs.has_file && binlogs.file_size >= (int64_t)s->gtid_set.offset)
		return strcmp(position->file, s->gtid_set.file) == 0
			       ? check_created(s, db, position, e)
			       : 0;
	if (binlogs.has_file)
		return refuse_reset(db, position, "that file is shorter now", e);
	if (binlogs.first[0] != '\0' && gtid_file_compare(s->gtid_set.file, binlogs.first) > 0)
		return refuse_reset(db, position, "there is no such file", e);
	err_config(
		e,
		"source %s has purged its binlog behind our position: we stand at %s, the oldest "
		"that it still has is %s",
		db_where(db), position->gtid_set,
		binlogs.first[0] != '\0' ? binlogs.first : "none");
	return session_source_refuse(e);
}

int session_source_check_mysql(struct session *s, struct db *db,
			       const struct position_record *position, struct err *e)
{
	bool has = false;

	if (gtid_set_parse(slice_str(position->gtid_set), &s->gtid_set, e) < 0)
		return -1;
	if (gtid_set_is_place(&s->gtid_set))
		return check_place(s, db, position, e);
	if (db_has_gtids(db, &has, e) < 0)
		return -1;
	if (!gtid_set_is_empty(&s->gtid_set) && !gtid_set_is_mysql(&s->gtid_set)) {
		err_config(e,
			   "our position %s is one of MariaDB's, and source %s is MySQL: neither "
			   "knows the other's transactions",
			   position->gtid_set, db_where(db));
		return session_source_refuse(e);
	}
	if (has)
		return check_gtids(s, db, position, e);
	err_config(e, "source %s has gtid_mode other than ON, and our position is a set of GTIDs",
		   db_where(db));
	return err_hint(e, "SET GLOBAL gtid_mode = ON on the source, by its steps. To read it by "
			   "file and offset, give millrace.name another value.");
}

int session_source_oldest_mysql(struct session *s, struct db *db, struct err *e)
{
	struct source_binlogs binlogs;
	bool has = false;

	if (db_has_gtids(db, &has, e) < 0)
		return -1;
	if (has)
		return db_get_set(db, "SELECT @@GLOBAL.gtid_purged", &s->gtid_set, e);
	if (source_binlogs_read(db, "", &binlogs, e) < 0)
		return -1;
	if (binlogs.first[0] != '\0')
		gtid_set_move(&s->gtid_set, binlogs.first, 4);
	return 0;
}
