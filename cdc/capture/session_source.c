/* session_source.c - which server of source.host is read, and whether it still has what follows our
 * position.
 *
 * What follows is about MariaDB; session_source_mysql.c answers for MySQL, in the same ways.
 *
 * Servers are tried in turn, beginning with the one that served last. The position decides:
 *
 *   known, and the binlog behind it is there   this one is read
 *   it has not come so far, but replicates     later, perhaps: ERR_RETRY
 *   it lacks transactions that we delivered    lost in a failover: EXIT_PURGED
 *   it has them, but purged what follows       EXIT_PURGED, from where to where
 *   it has been there, but its binlog says
 *   something else (RESET MASTER)              EXIT_PURGED
 *
 * Nothing is ever skipped in silence: behind EXIT_PURGED the operator may say source.lost =
 * reconcile. Then the position moves to the source's present, and in the same group commit every
 * captured table is queued for a reconciling copy, which delivers what differs.
 *
 * What a RESET MASTER makes is new transactions under old ids. It is noticed when the binlog file
 * that we read last, up to the place where we stood, no longer amounts to our position; when that
 * file was purged meanwhile and the new ids have passed ours, it cannot be. */
#include "cdc/capture/session_priv.h"

#include "cdc/capture/source_binlogs.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mysql/db.h"
#include "core/mysql/db_position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t ask_number(struct db *db, const char *sql, struct err *e)
{
	char *text = NULL;
	uint64_t number = 0;

	if (db_get_text(db, sql, &text, e) == 0 && text != NULL)
		number = strtoull(text, NULL, 10);
	free(text);
	return number;
}

/* ---- refusals ------------------------------------------------------------------------------- */

int session_source_refuse(struct err *e)
{
	err_hint(e, "Nothing was skipped. To go on, with every captured table compared and what "
		    "differs delivered: millrace run --source.lost=reconcile, once.");
	return err_exit(e, EXIT_PURGED);
}

static int refuse_unknown(struct db *db, enum gtid_known known,
			  const char *missing, struct err *e)
{
	uint64_t replicating = ask_number(
		db, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE "
		    "VARIABLE_NAME = 'Slaves_running'",
		e);

	if (e->kind != ERR_NONE)
		return -1;
	if (known == GTID_BEHIND && replicating > 0)
		return err_retry(e,
				 "source %s replicates, and has not come to our position yet: it "
				 "lacks %.700s",
				 db_where(db), missing);
	err_config(e, "source %s lacks transactions that were delivered: %.700s%s", db_where(db),
		   missing,
		   known == GTID_DIVERGED ? "; it went on with others in their place" : "");
	return session_source_refuse(e);
}

/* ---- what the binlog still has -------------------------------------------------------------- */

/* Where the oldest binlog file begins: the last GTID of each domain before it. */
static int read_oldest(struct db *db, const char *file, struct gtid_set *oldest, struct err *e)
{
	struct slice list;
	char *info = NULL;
	int rc;

	if (source_binlogs_info(db, file, "Gtid_list", &info, e) < 0)
		return -1;
	list = slice_str(info); /* [0-1-5,1-2-7] */
	if (list.size >= 2)
		list = slice_of(list.data + 1, list.size - 2);
	rc = gtid_set_parse_state(list, oldest, e);
	free(info);
	return rc;
}

static int check_purged(struct session *s, struct db *db, const struct source_binlogs *binlog,
			struct err *e)
{
	struct gtid_set oldest = GTID_SET_INIT;
	struct buf text = BUF_INIT;
	int rc = binlog->first[0] != '\0' ? read_oldest(db, binlog->first, &oldest, e) : 0;

	if (rc == 0 && !gtid_set_contains_set(&s->gtid_set, &oldest)) {
		struct buf ours = BUF_INIT;

		gtid_set_text(&oldest, &text);
		gtid_set_text(&s->gtid_set, &ours);
		err_config(e,
			   "source %s has purged its binlog behind our position: we stand at "
			   "%.600s, the oldest that it still has begins behind %.600s (%s)",
			   db_where(db), ours.size > 0 ? buf_cstr(&ours) : "the beginning",
			   buf_cstr(&text), binlog->first);
		buf_done(&ours);
		rc = session_source_refuse(e);
	}
	buf_done(&text);
	gtid_set_done(&oldest);
	return rc;
}

/* Its file, up to where we stood, must amount to our position. */
static int check_reset(struct session *s, struct db *db, const struct position_record *position,
		       const struct source_binlogs *binlog, struct err *e)
{
	struct gtid_set there = GTID_SET_INIT;
	struct buf sql = BUF_INIT, says = BUF_INIT;
	bool same = true;
	int rc = 0;

	if (position->file[0] == '\0' || binlog->first[0] == '\0' ||
	    strcmp(position->source, s->source) != 0 ||
	    gtid_file_compare(position->file, binlog->first) < 0)
		return 0;
	if (binlog->has_file) {
		buf_add_str(&sql, "SELECT BINLOG_GTID_POS(");
		db_quote(slice_str(position->file), &sql);
		buf_add_format(&sql, ",%" PRId64 ")", position->file_position);
		rc = db_get_set(db, buf_cstr(&sql), &there, e);
	}
	for (size_t i = 0; rc == 0 && i < s->gtid_set.count; i++) {
		const struct gtid *ours = &s->gtid_set.items[i],
				  *its = gtid_set_find(&there, ours->domain);

		same = same && its != NULL && its->seq == ours->seq && its->server == ours->server;
	}
	if (rc == 0 && !same) {
		gtid_set_text(&there, &says);
		err_config(e,
			   "the binlog of source %s is not the one that we read: %s:%" PRId64
			   " was our position %s, and is now %s; it was begun anew (RESET MASTER, "
			   "or another copy of the data)",
			   db_where(db), position->file, position->file_position,
			   position->gtid_set,
			   !binlog->has_file  ? "gone"
			   : says.size > 0 ? buf_cstr(&says)
					   : "no place between two transactions");
		rc = session_source_refuse(e);
	}
	gtid_set_done(&there);
	buf_done(&sql);
	buf_done(&says);
	return rc;
}

static int check_gtid(struct session *s, struct db *db, const struct position_record *position,
		      struct err *e)
{
	enum gtid_known known = GTID_KNOWN;
	struct buf missing = BUF_INIT;
	struct source_binlogs binlog;
	char *state = NULL;
	int rc;

	if (!db_is_mariadb(db))
		return session_source_check_mysql(s, db, position, e);
	if (gtid_set_parse(slice_str(position->gtid_set), &s->gtid_set, e) < 0 ||
	    db_get_text(db,
			/* what a replica got without logging it can't be read from it */
			"SELECT CONCAT_WS(',', @@GLOBAL.gtid_binlog_state, "
			"IF(@@GLOBAL.log_slave_updates, @@GLOBAL.gtid_slave_pos, NULL))",
			&state, e) < 0)
		return -1;
	rc = gtid_known(&s->gtid_set, slice_str(state != NULL ? state : ""), &known, &missing, e);
	if (rc == 0 && known != GTID_KNOWN)
		rc = refuse_unknown(db, known, buf_cstr(&missing), e);
	if (rc == 0)
		rc = source_binlogs_read(db, position->file, &binlog, e);
	if (rc == 0)
		rc = check_reset(s, db, position, &binlog, e);
	if (rc == 0)
		rc = check_purged(s, db, &binlog, e);
	free(state);
	buf_done(&missing);
	return rc;
}

/* ---- servers -------------------------------------------------------------------------------- */

static void narrow(struct session *s, size_t server)
{
	s->server = server;
	s->chosen = *s->configured;
	if (s->redo_tables.count > 0)
		s->chosen.capture_tables = s->redo_tables;
	s->chosen.source_hosts.items = &s->configured->source_hosts.items[server];
	s->chosen.source_hosts.count = 1;
}

static int try_server(struct session *s, const struct position_record *position,
		      session_check_fn check, struct db **ret_db, struct err *e)
{
	struct db *db = NULL;

	if (db_open(&s->chosen, DB_TEXT_UTF8, &db, e) < 0)
		return -1;
	s->refused_lost = false;
	if (check(s, db, e) < 0)
		goto failed;
	if (position != NULL && check_gtid(s, db, position, e) < 0) {
		s->refused_lost = e->exit_code == EXIT_PURGED;
		goto failed;
	}
	*ret_db = db;
	return 0;
failed:
	db_close(db);
	return -1;
}

/* source.lost = reconcile: this one it is, as it is. */
static int take_lost(struct session *s, size_t server, session_check_fn check, const char *why,
		     struct db **ret_db, struct err *e)
{
	struct db *db = NULL;

	narrow(s, server);
	if (db_open(&s->chosen, DB_TEXT_UTF8, &db, e) < 0)
		return -1;
	if (check(s, db, e) < 0) {
		db_close(db);
		return -1;
	}
	log_warning("capture", "%.*s", (int)strcspn(why, "\n"), why);
	s->lost = true;
	*ret_db = db;
	return 0;
}

/* What one server said becomes part of what all said; what may heal counts first, then what the
 * operator can decide. */
static void add_failure(const struct err *one, struct err *all, struct buf *said)
{
	if (all->kind == ERR_NONE || (one->kind == ERR_RETRY && all->kind != ERR_RETRY) ||
	    (all->kind != ERR_RETRY && one->exit_code == EXIT_PURGED))
		*all = *one;
	buf_add_format(said, "%s%.*s", said->size > 0 ? "; " : "", (int)strcspn(one->msg, "\n"),
		       one->msg);
}

static void sum_up(struct err *all, const char *said)
{
	char *hint = strstr(all->msg, "\nHINT: "), *kept = hint != NULL ? xstrdup(hint + 7) : NULL;

	(void)snprintf(all->msg, sizeof(all->msg), "none of source.host can be read: %.1600s",
		       said); /* cut, if need be */
	if (kept != NULL)
		err_hint(all, "%s", kept);
	free(kept);
}

int session_source_open(struct session *s, const struct position_record *position,
			session_check_fn check, struct db **ret_db, struct err *e)
{
	size_t count = s->configured->source_hosts.count, begin = s->server % count, lost = count;
	struct err all = ERR_INIT, lost_why = ERR_INIT;
	struct buf said = BUF_INIT;
	int rc = -1;

	for (size_t i = 0; i < count && rc < 0; i++) {
		struct err one = ERR_INIT;

		narrow(s, (begin + i) % count);
		rc = try_server(s, position, check, ret_db, &one);
		if (rc == 0)
			break;
		if (s->refused_lost && lost == count) {
			lost = s->server;
			lost_why = one;
		}
		add_failure(&one, &all, &said);
		s->refused_lost = false;
	}
	if (rc < 0 && lost < count && strcmp(s->configured->source_lost, "reconcile") == 0) {
		rc = take_lost(s, lost, check, lost_why.msg, ret_db, e);
	} else if (rc < 0) {
		if (count > 1)
			sum_up(&all, buf_cstr(&said));
		*e = all;
	}
	buf_done(&said);
	return rc;
}

/* ---- where the source is now ---------------------------------------------------------------- */

int session_source_present(struct db *db, struct gtid_set *set, struct err *e)
{
	return db_position(db, set, e);
}

int session_source_oldest(struct session *s, struct db *db, struct err *e)
{
	struct source_binlogs binlog;

	if (!db_is_mariadb(db))
		return session_source_oldest_mysql(s, db, e);
	if (source_binlogs_read(db, "", &binlog, e) < 0)
		return -1;
	return binlog.first[0] != '\0' ? read_oldest(db, binlog.first, &s->gtid_set, e) : 0;
}

/* A transaction that was delivered in part has its end here: what is left of it is lost like what
 * follows. */
int session_source_move(struct session *s, const struct gtid_set *present, struct err *e)
{
	if (s->open_gtid[0] != '\0')
		commit_batch_add(&s->batch, s->open_gtid, 0,
				 s->commit_us != 0 ? s->commit_us : clock_now_us());
	s->open_gtid[0] = '\0';
	s->open_changes = 0;
	gtid_set_copy(&s->gtid_set, present);
	s->file[0] = '\0';
	s->file_position = 0;
	s->file_created = 0;
	buf_reset(&s->gtid_text);
	gtid_set_text(&s->gtid_set, &s->gtid_text);
	log_warning("capture", "goes on at the source's present, %s: every table is compared",
		    buf_cstr(&s->gtid_text));
	commit_batch_move(&s->batch);
	return session_commit(s, e);
}
