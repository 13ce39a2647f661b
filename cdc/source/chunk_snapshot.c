/* chunk_snapshot.c - the two marks of a chunk: a snapshot that sees all that the stream has read,
 * and a point of the binlog that holds all that the snapshot sees.
 *
 *   XA RECOVER    where the stream has seen XA COMMIT: again until the tables have it too
 *                 (cdc/source/xa_list.h)
 *
 * MariaDB
 *   START TRANSACTION WITH CONSISTENT SNAPSHOT   again until it sees what the stream has seen
 *   Binlog_snapshot_file, _position              exactly what the snapshot sees
 *   ...
 *   @@gtid_binlog_pos                            read last
 *
 * Whether the snapshot sees what the stream has seen is answered by the place in the binlog file
 * where the stream stands. Before the stream has read anything on this connection only its GTID
 * position is known; then the server turns the snapshot's place into one (BINLOG_GTID_POS), which
 * makes it read the file and is therefore not done for each chunk. @@gtid_binlog_pos cannot serve:
 * it runs ahead of what a SELECT sees.
 *
 * MySQL
 *   @@gtid_executed                              again until it has what the stream has seen
 *   START TRANSACTION WITH CONSISTENT SNAPSHOT
 *   ...
 *   SHOW BINARY LOG STATUS                       read last: a place in the files
 *
 * There a transaction is in gtid_executed only when its engine has committed it, so a snapshot that
 * is opened behind that sees it; and it may be seen before it is in the set, so the set can't be
 * the second mark: but it stands in the file by then. Nothing tells the place of the snapshot
 * itself. Who needs it (a table without a key) gets the binlog's end right behind the snapshot,
 * which is as good when no transaction between the two marks changed the table: the binlog between
 * them is read for that (cdc/source/chunk_between.h), and the snapshot is opened again while one
 * did. Without GTIDs nothing tells what a snapshot sees: refused. */
#include "cdc/source/chunk_between.h"
#include "cdc/source/chunk_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/mysql/db_position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SNAPSHOT_TRIES_US 5000000
#define SNAPSHOT_WAIT_US 3000

struct place {
	char file[CHUNK_FILE_SIZE];
	uint64_t position;
};

static int snapshot_place(struct db *db, struct place *place, struct err *e)
{
	struct db_result *result = NULL;
	const struct slice *row;
	int rc;

	*place = (struct place){ "", 0 };
	if (db_query(db, "SHOW STATUS LIKE 'binlog\\_snapshot\\_%'", &result, e) < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1) {
		char text[CHUNK_FILE_SIZE];

		(void)snprintf(text, sizeof(text), "%.*s", (int)row[1].size,
			       (const char *)row[1].data); /* names are shorter */
		if (slice_is(row[0], "Binlog_snapshot_file"))
			(void)snprintf(place->file, sizeof(place->file), "%s", text);
		else if (slice_is(row[0], "Binlog_snapshot_position"))
			place->position = strtoull(text, NULL, 10);
	}
	db_result_free(result);
	if (rc < 0)
		return -1;
	if (place->file[0] == '\0')
		return err_config(e, "the source does not say which place of its binlog a snapshot "
				     "sees (is log_bin off?)");
	return 0;
}

static int sees_enough(struct db *db, const struct chunk_request *request,
		       const struct place *place, bool *ret_enough, struct err *e)
{
	struct gtid_set sees = GTID_SET_INIT;
	struct buf sql = BUF_INIT;
	int order, rc;

	if (request->seen_file[0] != '\0' &&
	    place->position <= UINT32_MAX) { /* event headers count 32 bits only */
		order = gtid_file_compare(place->file, request->seen_file);
		*ret_enough = order > 0 ||
			      (order == 0 && place->position >= request->seen_position);
		return 0;
	}
	buf_add_str(&sql, "SELECT BINLOG_GTID_POS(");
	db_quote(slice_str(place->file), &sql);
	buf_add_format(&sql, ",%" PRIu64 ")", place->position);
	rc = db_get_set(db, buf_cstr(&sql), &sees, e);
	if (rc == 0)
		*ret_enough = gtid_set_contains_set(&sees, request->seen);
	gtid_set_done(&sees);
	buf_done(&sql);
	return rc;
}

/* Snapshots taken behind this see what these XA transactions did. */
static int await_settled(struct db *db, const struct chunk_request *request, struct err *e)
{
	int64_t give_up = clock_monotonic_us() + SNAPSHOT_TRIES_US;
	struct xa_list left = { NULL, 0, 0 }, prepared = { NULL, 0, 0 };
	int rc = 0;

	if (request->unsettled == NULL || BUG(xa_settled))
		return 0;
	xa_list_copy(&left, request->unsettled);
	while (rc == 0 && left.count > 0) {
		rc = xa_list_recover(db, &prepared, e);
		if (rc == 0)
			xa_list_keep(&left, &prepared);
		xa_list_done(&prepared);
		if (rc < 0 || left.count == 0)
			break;
		if (clock_monotonic_us() > give_up)
			rc = err_retry(e,
				       "table %s.%s: XA transaction %s is committed in the binlog, "
				       "but the source still has it as prepared",
				       request->db, request->table, left.xids[0]);
		else
			clock_sleep_us(SNAPSHOT_WAIT_US);
	}
	xa_list_done(&left);
	return rc;
}

static int open_mariadb(struct db *db, const struct chunk_request *request, struct err *e)
{
	int64_t give_up = clock_monotonic_us() + SNAPSHOT_TRIES_US;
	struct place place;
	bool enough;

	for (;;) {
		if (db_run(db, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", e) < 0 ||
		    snapshot_place(db, &place, e) < 0 ||
		    sees_enough(db, request, &place, &enough, e) < 0)
			return -1;
		if (enough) {
			if (request->tell_place && request->placed != NULL)
				request->placed(request->context, place.file, place.position);
			return 0;
		}
		if (clock_monotonic_us() > give_up)
			return err_retry(e,
					 "table %s.%s: a snapshot of the source (%s:%" PRIu64
					 ") does not see what the binlog "
					 "stream has delivered (%s:%" PRIu64 ")",
					 request->db, request->table, place.file, place.position,
					 request->seen_file, request->seen_position);
		if (db_run(db, "COMMIT", e) < 0)
			return -1;
		clock_sleep_us(SNAPSHOT_WAIT_US);
	}
}

/* ---- MySQL ---------------------------------------------------------------------------------- */

static int refuse_without_gtids(const struct chunk_request *request, struct err *e)
{
	err_config(e,
		   "table %s.%s: without GTIDs MySQL doesn't say what a SELECT sees: it can't be "
		   "copied or compared",
		   request->db, request->table);
	return err_hint(
		e, "Switch gtid_mode to ON on the source and give millrace.name another value, "
		   "or begin with source.start = now.");
}

/* executed: what a snapshot sees at least that is taken behind this. */
static int await_executed(struct db *db, const struct chunk_request *request,
			  struct gtid_set *executed, struct err *e)
{
	int64_t give_up = clock_monotonic_us() + SNAPSHOT_TRIES_US;

	for (;;) {
		if (db_get_set(db, "SELECT @@GLOBAL.gtid_executed", executed, e) < 0)
			return -1;
		if (gtid_set_contains_set(executed, request->seen))
			return 0;
		if (clock_monotonic_us() > give_up)
			return err_retry(e,
					 "table %s.%s: the source has not executed what its binlog "
					 "stream has delivered",
					 request->db, request->table);
		clock_sleep_us(SNAPSHOT_WAIT_US);
	}
}

static int begin_mysql(struct db *db, struct err *e)
{
	return db_run(db, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", e);
}

/* A snapshot whose place is known: that is the binlog's end behind it. */
static int open_placed(const struct settings *settings, struct db *db,
		       const struct chunk_request *request, struct err *e)
{
	int64_t give_up = clock_monotonic_us() + SNAPSHOT_TRIES_US;
	struct gtid_set low = GTID_SET_INIT, high = GTID_SET_INIT;
	bool touched = true;
	int rc = 0;

	while (rc == 0 && touched) {
		if (await_executed(db, request, &low, e) < 0 || begin_mysql(db, e) < 0 ||
		    db_binlog_end(db, &high, e) < 0 ||
		    chunk_between(settings, request, &low, &high, &touched, e) < 0) {
			rc = -1;
		} else if (!touched) {
			if (request->placed != NULL)
				request->placed(request->context, high.file, high.offset);
		} else if (clock_monotonic_us() > give_up) {
			rc = err_retry(e,
				       "table %s.%s is changed all the time: no snapshot of it "
				       "had a known place in the binlog",
				       request->db, request->table);
		} else {
			rc = db_run(db, "COMMIT", e);
		}
	}
	gtid_set_done(&low);
	gtid_set_done(&high);
	return rc;
}

static int open_mysql(const struct settings *settings, struct db *db,
		      const struct chunk_request *request, struct err *e)
{
	struct gtid_set executed = GTID_SET_INIT;
	bool has = false;
	int rc;

	if (db_has_gtids(db, &has, e) < 0)
		return -1;
	if (!has || gtid_set_is_place(request->seen))
		return refuse_without_gtids(request, e);
	if (request->tell_place)
		return open_placed(settings, db, request, e);
	rc = await_executed(db, request, &executed, e);
	gtid_set_done(&executed);
	return rc < 0 ? -1 : begin_mysql(db, e);
}

/* ---- either --------------------------------------------------------------------------------- */

int chunk_snapshot_open(const struct settings *settings, struct db *db,
			const struct chunk_request *request, struct err *e)
{
	if (await_settled(db, request, e) < 0)
		return -1;
	return db_is_mariadb(db) ? open_mariadb(db, request, e)
				 : open_mysql(settings, db, request, e);
}

static int ask_point(struct db *db, struct gtid_set *point, struct err *e)
{
	return db_is_mariadb(db) ? db_position(db, point, e) : db_binlog_end(db, point, e);
}

int chunk_read_point(const struct settings *settings, struct db *db, struct chunk *c, struct err *e)
{
	struct db *other = NULL;
	int rc;

	if (!c->cut)
		return ask_point(db, &c->point, e);
	if (db_open(settings, DB_TEXT_BINARY, &other, e) < 0)
		return -1;
	rc = ask_point(other, &c->point, e);
	db_close(other);
	return rc;
}
