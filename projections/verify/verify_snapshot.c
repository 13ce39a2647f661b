/* verify_snapshot.c - a snapshot of the source of which the GTID set is known exactly.
 *
 * A view may be ahead of what a snapshot sees by an instant: a transaction stands in the binlog,
 * and is read from there, before the storage engine shows it. So the snapshot is taken again until
 * its GTID set holds all that the held view has.
 *
 * MariaDB says which place of the binlog a snapshot sees, and which GTID set that is. MySQL says
 * neither. There @@gtid_executed is asked before the snapshot and the end of the binlog behind it:
 * the snapshot holds all of the first and nothing behind the second. It is exact when no
 * transaction lies between the two, for which the server is asked as a replica would: for what is
 * not in the set, up to that end. Only the headers of what it sends count (type, place, and the
 * file's name in ROTATE); transactions that it leaves out come as a heartbeat with their place. */
#include "projections/verify/verify_snapshot.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"
#include "core/base/rd.h"
#include "core/mysql/db_position.h"

#include <stdlib.h>

#define SNAPSHOT_TRIES 200
#define SNAPSHOT_WAIT_US 5000
#define QUIET_TRIES 2000 /* MySQL: moments without a transaction */

enum { HEADER_SIZE = 19, TYPE_ROTATE = 4, TYPE_GTID = 33, TYPE_ANONYMOUS = 34, TYPE_TAGGED = 42 };

/* ---- MariaDB --------------------------------------------------------------------------------- */

static int status_value(struct db *db, const char *name, char **ret_text, struct err *e)
{
	char *sql = xasprintf("SHOW STATUS LIKE '%s'", name);
	struct db_result *r = NULL;
	const struct slice *row;
	int rc = db_query(db, sql, &r, e);

	free(sql);
	if (rc < 0)
		return -1;
	rc = db_next(r, &row, e);
	*ret_text = rc == 1 && db_column_count(r) > 1
			    ? xstrndup((const char *)row[1].data, row[1].size)
			    : NULL;
	db_result_free(r);
	if (rc >= 0 && (*ret_text == NULL || (*ret_text)[0] == '\0')) {
		free(*ret_text);
		err_config(e, "the source gives no %s: its binlog is off", name);
		return err_hint(e, "Millrace needs log_bin on the source.");
	}
	return rc < 0 ? -1 : 0;
}

static int open_mariadb(struct db *db, char **ret_gtid_set, struct err *e)
{
	char *file = NULL, *position = NULL, *sql = NULL;
	struct buf quoted = BUF_INIT;
	int rc = -1;

	if (db_run(db, "START TRANSACTION WITH CONSISTENT SNAPSHOT", e) < 0 ||
	    status_value(db, "binlog_snapshot_file", &file, e) < 0 ||
	    status_value(db, "binlog_snapshot_position", &position, e) < 0)
		goto out;
	db_quote(slice_str(file), &quoted);
	sql = xasprintf("SELECT BINLOG_GTID_POS(%s, %lld)", buf_cstr(&quoted),
			strtoll(position, NULL, 10));
	rc = db_get_text(db, sql, ret_gtid_set, e);
	if (rc == 0 && *ret_gtid_set == NULL)
		rc = err_retry(e, "the source can't name the GTID of %s:%s", file, position);
out:
	buf_done(&quoted);
	free(file);
	free(position);
	free(sql);
	return rc;
}

/* ---- MySQL ----------------------------------------------------------------------------------- */

struct between {
	const struct gtid_set *high;
	bool there; /* in the file of `high` */
	bool ended, found;
};

/* The body is a position, the name, and a checksum or none. */
static void take_rotate(struct between *b, struct rd *r)
{
	size_t size = strlen(b->high->file);
	struct slice name;

	rd_skip(r, 8);
	name = rd_rest(r);
	if (b->there)
		b->ended = true;
	b->there = (name.size == size || name.size == size + 4) &&
		   memcmp(name.data, b->high->file, size) == 0;
}

static int take_event(struct between *b, struct slice packet, struct err *e)
{
	struct rd r = rd_from(packet);
	uint32_t log_pos;
	uint8_t type;

	rd_skip(&r, 4);
	type = rd_u8(&r);
	rd_skip(&r, 8);
	log_pos = rd_u32(&r);
	rd_skip(&r, 2);
	if (!rd_ok(&r))
		return err_data(e, "the source sent an event without a header");
	if (type == TYPE_ROTATE) {
		take_rotate(b, &r);
		return 0;
	}
	/* their headers count 32 bits only */
	if (b->there && log_pos != 0 && b->high->offset <= UINT32_MAX) {
		b->ended = log_pos >= b->high->offset;
		if (log_pos > b->high->offset)
			return 0;
	}
	b->found |= type == TYPE_GTID || type == TYPE_ANONYMOUS || type == TYPE_TAGGED;
	return 0;
}

/* Is there a transaction that is not in `low` and stands before `high`? */
static int find_between(const struct settings *settings, const struct gtid_set *low,
			const struct gtid_set *high, bool *ret_found, struct err *e)
{
	struct buf set = BUF_INIT;
	struct db_dump_options options = { .heartbeat_ms = settings->source_read_timeout_ms / 4 };
	struct between b = { .high = high };
	struct db *db = NULL;
	struct slice packet;
	int rc;

	gtid_set_text(low, &set);
	options.gtid = buf_cstr(&set);
	rc = db_open(settings, DB_TEXT_UTF8, &db, e) < 0 ? -1 : db_dump(db, &options, e);
	while (rc == 0 && !b.found && !b.ended) {
		rc = db_dump_next(db, &packet, e);
		if (rc == 0)
			rc = take_event(&b, packet, e);
	}
	db_close(db);
	buf_done(&set);
	*ret_found = b.found;
	return rc < 0 ? err_wrap(e, "the source's binlog behind a snapshot") : 0;
}

/* One try. *ret_exact: the snapshot that is open holds just *low. */
static int try_mysql(const struct settings *settings, struct db *db, struct gtid_set *low,
		     bool *ret_exact, struct err *e)
{
	struct gtid_set high = GTID_SET_INIT, later = GTID_SET_INIT;
	bool found = true;
	int rc = -1;

	if (db_get_set(db, "SELECT @@GLOBAL.gtid_executed", low, e) < 0 ||
	    db_run(db, "START TRANSACTION WITH CONSISTENT SNAPSHOT", e) < 0 ||
	    db_binlog_end(db, &high, e) < 0 ||
	    db_get_set(db, "SELECT @@GLOBAL.gtid_executed", &later, e) < 0)
		goto out;
	/* the first is a cheap answer to the same question: what was executed meanwhile may be
	 * in the snapshot; what is on its way only the binlog knows */
	rc = gtid_set_equal(low, &later) ? find_between(settings, low, &high, &found, e) : 0;
	*ret_exact = rc == 0 && !found;
out:
	gtid_set_done(&high);
	gtid_set_done(&later);
	return rc;
}

static int open_mysql(const struct settings *settings, struct db *db, char **ret_gtid_set,
		      struct err *e)
{
	struct gtid_set low = GTID_SET_INIT;
	struct buf text = BUF_INIT;
	bool exact = false;
	int rc = 0;

	for (int i = 0; i < QUIET_TRIES && rc == 0 && !exact; i++) {
		rc = try_mysql(settings, db, &low, &exact, e);
		if (rc == 0 && !exact)
			rc = db_run(db, "ROLLBACK", e);
	}
	if (rc == 0 && !exact) {
		rc = err_retry(e, "the source commits all the time: no snapshot of it had a known "
				  "GTID set");
		err_hint(e, "MySQL doesn't say what a snapshot holds, so a moment without a commit "
			    "is needed: ask at a quieter time, or a replica (source.host).");
	}
	if (rc == 0) {
		gtid_set_text(&low, &text);
		*ret_gtid_set = xstrdup(buf_cstr(&text));
	}
	gtid_set_done(&low);
	buf_done(&text);
	return rc;
}

static int refuse_without_gtids(struct db *db, struct err *e)
{
	bool has = false;

	if (db_has_gtids(db, &has, e) < 0)
		return -1;
	if (has)
		return 0;
	err_config(e,
		   "without GTIDs MySQL doesn't say what a SELECT sees: a view can't be compared "
		   "with it");
	return err_hint(e, "Switch gtid_mode to ON on the source.");
}

/* ---- either ---------------------------------------------------------------------------------- */

static int contains(const char *set, const char *part, bool *ret_contains, struct err *e)
{
	struct gtid_set a = GTID_SET_INIT, b = GTID_SET_INIT;
	int rc = gtid_set_parse(slice_str(set), &a, e) < 0 ||
				 gtid_set_parse(slice_str(part), &b, e) < 0
			 ? -1
			 : 0;

	if (rc == 0)
		*ret_contains = gtid_set_contains_set(&a, &b);
	gtid_set_done(&a);
	gtid_set_done(&b);
	return rc;
}

int verify_snapshot(const struct settings *settings, struct db *db, const char *held_at,
		    char **ret_gtid_set, struct err *e)
{
	bool mariadb = db_is_mariadb(db);

	if (refuse_without_gtids(db, e) < 0)
		return -1;
	for (int i = 0; i < SNAPSHOT_TRIES; i++) {
		char *gtid_set = NULL;
		bool enough = false;

		if ((mariadb ? open_mariadb(db, &gtid_set, e)
			     : open_mysql(settings, db, &gtid_set, e)) < 0 ||
		    contains(gtid_set, held_at, &enough, e) < 0) {
			free(gtid_set);
			return -1;
		}
		if (enough) {
			*ret_gtid_set = gtid_set;
			return 0;
		}
		err_data(e,
			 "the source is at %s and the view at %s: the view holds what the source "
			 "doesn't",
			 gtid_set, held_at);
		free(gtid_set);
		if (db_run(db, "ROLLBACK", &(struct err)ERR_INIT) < 0)
			return -1;
		clock_sleep_us(SNAPSHOT_WAIT_US);
	}
	return err_hint(e, "Was the source restored from a backup, or is this another server?");
}
