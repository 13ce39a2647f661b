/* session_xa.c - XA transactions: rows stand in the binlog at XA PREPARE and count from XA COMMIT
 * on.
 *
 * A prepared transaction is an entry of the position (xid, and where its group begins). At XA
 * COMMIT its group is read again from there by a connection of its own and delivered as the rows of
 * the committing group: its GTID, its time, its place in the stream; so a first copy folds them
 * like any others. At XA ROLLBACK, the entry goes. Transactions that hold no captured rows have
 * entries too, without a GTID, to be told from those that were prepared before we began: these are
 * looked for in the binlog, from its oldest file on. Where that is gone, what they changed can't be
 * known, and all tables are compared (reconciling copy).
 *
 * The group is read twice, as one that is larger than the ring: first for its savepoints, then for
 * its rows; nothing of it is kept. The connection announces server id 0, as mariadb-binlog does:
 * the server then leaves our own stream alone, and ends this one at the end of the binlog. */
#include "cdc/capture/session_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/notify.h"
#include "core/base/stop.h"
#include "core/mysql/db.h"

#include <stdio.h>
#include <stdlib.h>

#define WATCHDOG_PACKETS 1024

/* ---- the list ------------------------------------------------------------------------------- */

static void drop(struct position_prepared *p)
{
	free((char *)(uintptr_t)p->xid);
	free((char *)(uintptr_t)p->gtid);
	free((char *)(uintptr_t)p->gtid_set);
	free((char *)(uintptr_t)p->file);
}

static void show_count(const struct session *s)
{
	metric_set(metric_gauge("millrace_capture_prepared_transactions",
				"XA transactions between XA PREPARE and their end.", NULL),
		   (double)s->prepared_count);
}

static struct position_prepared *find(const struct session *s, const char *xid)
{
	for (size_t i = 0; i < s->prepared_count; i++)
		if (strcmp(s->prepared[i].xid, xid) == 0)
			return &s->prepared[i];
	return NULL;
}

static void forget(struct session *s, struct position_prepared *p)
{
	size_t at = (size_t)(p - s->prepared);

	drop(p);
	s->prepared_count--;
	memmove(p, p + 1, (s->prepared_count - at) * sizeof(*p));
	show_count(s);
}

static void add(struct session *s, const struct position_prepared *from)
{
	struct position_prepared *old = find(s, from->xid);

	if (old != NULL) /* it ended without a trace: the server crashed before it was prepared */
		forget(s, old);
	s->prepared = xrealloc(s->prepared, (s->prepared_count + 1) * sizeof(*s->prepared));
	s->prepared[s->prepared_count++] =
		(struct position_prepared){ .xid = xstrdup(from->xid),
					    .gtid = xstrdup(from->gtid),
					    .gtid_set = xstrdup(from->gtid_set),
					    .file = xstrdup(from->file),
					    .file_position = from->file_position };
	show_count(s);
}

void session_xa_resume(struct session *s, const struct position_record *position)
{
	for (size_t i = 0; i < position->prepared_count; i++)
		add(s, &position->prepared[i]);
}

void session_xa_done(struct session *s)
{
	for (size_t i = 0; i < s->prepared_count; i++)
		drop(&s->prepared[i]);
	free(s->prepared);
	catalog_free(s->xa_catalog);
}

int session_xa_prepare(struct session *s, struct err *e)
{
	const struct group_info *info = group_info(s->group);
	struct buf set = BUF_INIT;

	if (s->prepared_count >= SESSION_PREPARED_MAX)
		return err_data(e, "more than %d XA transactions are prepared and not ended",
				SESSION_PREPARED_MAX);
	session_settle_other(s, info->xid);
	gtid_set_text(&s->gtid_set, &set);
	add(s, &(struct position_prepared){ .xid = info->xid,
					    .gtid = info->rows ? info->gtid_text : "",
					    .gtid_set = info->rows ? buf_cstr(&set) : "",
					    .file = s->file,
					    .file_position = (int64_t)s->file_position });
	buf_done(&set);
	return 0;
}

void session_xa_rollback(struct session *s)
{
	struct position_prepared *p = find(s, group_info(s->group)->xid);

	session_settle_other(s, group_info(s->group)->xid);
	if (p != NULL)
		forget(s, p);
}

/* ---- reading back --------------------------------------------------------------------------- */

struct reading {
	struct session *s;
	struct db *db;
	struct group *group;
	unsigned packets;
	int64_t packet_size; /* of the last one */
};

static void close_reading(struct reading *r)
{
	group_free(r->group);
	if (r->db != NULL)
		db_close(r->db);
	r->group = NULL;
	r->db = NULL;
}

/* file NULL: by GTID. */
static int connect_at(struct reading *r, const char *gtid_set, const char *file, int64_t offset,
		      struct err *e)
{
	struct db_dump_options options = { .gtid = gtid_set,
					   .file = file,
					   .offset = (uint64_t)offset,
					   .heartbeat_ms = r->s->settings->source_read_timeout_ms /
							   4 };

	if (r->db != NULL)
		db_close(r->db);
	r->db = NULL;
	catalog_reset(r->s->xa_catalog);
	if (db_open(r->s->settings, DB_TEXT_UTF8, &r->db, e) < 0)
		return -1;
	return db_dump(r->db, &options, e);
}

static int next_packet(struct reading *r, struct err *e)
{
	struct slice packet;

	if (stop_requested()) /* nothing of it is committed: the next start reads it again */
		return err_retry(e, "stopping");
	if (++r->packets % WATCHDOG_PACKETS == 0) {
		notify_watchdog();
		report_turn(r->s->report);
	}
	if (db_dump_next(r->db, &packet, e) < 0)
		return -1;
	r->packet_size = (int64_t)packet.size;
	return group_scan(r->group, packet, e);
}

static int open_reading(struct session *s, struct reading *r, const char *gtid_set,
			const char *file, int64_t offset, struct err *e)
{
	struct db *db = NULL;
	int rc = 0;

	*r = (struct reading){ .s = s };
	if (s->catalog_mode) { /* what it knows is of another place */
		catalog_free(s->xa_catalog);
		s->xa_catalog = NULL;
	}
	if (s->xa_catalog == NULL) {
		s->xa_catalog = catalog_new(s->settings);
		rc = db_open(s->settings, DB_TEXT_UTF8, &db, e);
		if (rc == 0)
			rc = catalog_read_hints(s->xa_catalog, db, e);
		if (db != NULL)
			db_close(db);
		if (rc == 0)
			rc = session_shapes_back(s, gtid_set, file, offset, e);
	}
	r->group = group_new(s->settings, s->xa_catalog);
	group_by_place(r->group, gtid_set_is_place(&s->gtid_set));
	return rc;
}

struct place { /* of a group */
	char file[512];
	int64_t begin;
};

/* Scans one more packet, without keeping it. */
static int look(struct reading *r, struct place *place, struct err *e)
{
	bool was_open = group_open(r->group);

	if (next_packet(r, e) < 0)
		return -1;
	if (group_open(r->group) && !was_open) {
		(void)snprintf(place->file, sizeof(place->file), "%s", group_file(r->group));
		place->begin = (int64_t)group_file_position(r->group) - r->packet_size;
	}
	if (group_open(r->group))
		group_let_go(r->group);
	return 0;
}

/* To the end of the group `gtid`: from its position there may be others before it. */
static int find_group(struct reading *r, const char *gtid, struct place *place, struct err *e)
{
	for (;;) {
		if (look(r, place, e) < 0)
			return -1;
		if (!group_complete(r->group))
			continue;
		if (strcmp(group_info(r->group)->gtid_text, gtid) == 0)
			return 0;
		group_reset(r->group);
	}
}

/* The same group again, its rows as they come. */
static int deliver(struct reading *r, struct err *e)
{
	group_again(r->group);
	do {
		if (next_packet(r, e) < 0)
			return -1;
		if ((group_open(r->group) || group_complete(r->group)) &&
		    session_deliver_rows(r->s, r->group, e) < 0)
			return -1;
	} while (!group_complete(r->group));
	return 0;
}

static int read_back(struct session *s, const struct position_prepared *p, bool by_file,
		     struct err *e)
{
	struct place place = { .begin = 0 };
	const char *file = by_file ? p->file : NULL;
	struct reading r;
	int rc = open_reading(s, &r, p->gtid_set, file, p->file_position, e);

	if (rc == 0)
		rc = connect_at(&r, p->gtid_set, file, p->file_position, e);
	if (rc == 0)
		rc = find_group(&r, p->gtid, &place, e);
	if (rc == 0)
		rc = connect_at(&r, "", place.file, place.begin, e);
	if (rc == 0)
		rc = deliver(&r, e);
	close_reading(&r);
	return rc;
}

/* ---- prepared before we began --------------------------------------------------------------- */

static int oldest_file(struct session *s, char **ret_file, struct err *e)
{
	struct db *db = NULL;
	int rc = db_open(s->settings, DB_TEXT_UTF8, &db, e);

	if (rc == 0)
		rc = db_get_text(db, "SHOW BINARY LOGS", ret_file, e);
	if (db != NULL)
		db_close(db);
	return rc;
}

/* From the oldest binlog to the XA COMMIT in hand: the last XA PREPARE of its xid that has not
 * ended. *ret_found: owned texts, gtid "" when it holds no captured rows; *ret_ended: it was
 * committed or rolled back before. */
static int search(struct reading *r, struct position_prepared *found, bool *ret_ended,
		  struct err *e)
{
	const struct group_info *commit = group_info(r->s->group), *info = group_info(r->group);
	struct place place = { .begin = 0 };

	for (;;) {
		if (look(r, &place, e) < 0)
			return -1;
		if (!group_complete(r->group))
			continue;
		if (strcmp(info->gtid_text, commit->gtid_text) == 0)
			return 0;
		if (info->xa != GROUP_XA_NONE && strcmp(info->xid, commit->xid) == 0) {
			*ret_ended = info->xa != GROUP_XA_PREPARE;
			drop(found);
			*found = (struct position_prepared){ 0 };
			if (!*ret_ended)
				*found = (struct position_prepared){
					.xid = xstrdup(info->xid),
					.gtid = xstrdup(info->rows ? info->gtid_text : ""),
					.file = xstrdup(place.file),
					.file_position = place.begin
				};
		}
		group_reset(r->group);
	}
}

static int search_all(struct session *s, struct position_prepared *found, bool *ret_ended,
		      struct err *e)
{
	char *file = NULL;
	struct reading r = { .s = s };
	int rc = oldest_file(s, &file, e);

	if (rc == 0)
		rc = open_reading(s, &r, "", file, 4, e);
	if (rc == 0)
		rc = connect_at(&r, "", file, 4, e);
	if (rc == 0)
		rc = search(&r, found, ret_ended, e);
	close_reading(&r);
	free(file);
	return rc;
}

static int compare_all(struct session *s, struct err *e)
{
	const struct group_effect all = { .kind = GROUP_REWRITES,
					  .db = "",
					  .table = "",
					  .why = "XA COMMIT of rows that are not in the binlog" };

	log_warning("capture",
		    "%s commits XA transaction %s, whose rows are not in the binlog any more: all "
		    "tables are compared",
		    group_info(s->group)->gtid_text, group_info(s->group)->xid);
	return session_effect(s, &all, e);
}

static int commit_unknown(struct session *s, struct err *e)
{
	struct position_prepared found = { 0 };
	bool ended = false;
	int rc;

	log_info("capture",
		 "%s commits XA transaction %s, which was prepared before we began: "
		 "it is looked for in the binlog",
		 group_info(s->group)->gtid_text, group_info(s->group)->xid);
	rc = search_all(s, &found, &ended, e);
	if (rc == 0 && found.gtid == NULL && !ended)
		rc = compare_all(s, e);
	else if (rc == 0 && found.gtid != NULL && found.gtid[0] != '\0')
		rc = read_back(s, &found, true, e);
	drop(&found);
	session_settle_commit(s, group_info(s->group)->xid);
	return rc;
}

int session_xa_commit(struct session *s, struct err *e)
{
	struct position_prepared *p = find(s, group_info(s->group)->xid);
	int rc = 0;

	if (p == NULL)
		return commit_unknown(s, e);
	if (p->gtid[0] != '\0') {
		rc = read_back(s, p, false, e);
		if (rc < 0 && e->exit_code == EXIT_PURGED) {
			*e = (struct err)ERR_INIT;
			rc = compare_all(s, e);
		}
	}
	if (rc < 0)
		return err_wrap(e, "rows of XA transaction %s", p->xid);
	if (p->gtid[0] != '\0')
		session_settle_commit(s, p->xid);
	forget(s, p);
	return 0;
}
