/* share_barrier.c - what holds all members of a version at one place (share.h): barriers, and a
 * TRUNCATE that all of them have to come to. Beside it, what may only be done while they stand. */
#include "projections/store/share_priv.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- barriers ------------------------------------------------------------------------------- */

int share_barrier(struct share_link *l, struct share_barrier *ret_barrier, struct err *e)
{
	struct share_rows rows;

	buf_add_format(share_sql(l),
		       "SELECT number, seq, gtid_set, until_us - %s, built FROM millrace_barrier "
		       "WHERE one = 1",
		       share_sql_now(l));
	if (share_sql_run(l, &rows, NULL, e) < 0)
		return -1;
	*ret_barrier = (struct share_barrier){ .seq = -1 };
	if (rows.rows > 0) {
		ret_barrier->number = share_sql_int(&rows, 0, 0);
		ret_barrier->seq = share_sql_int(&rows, 0, 1);
		snprintf(ret_barrier->gtid_set, sizeof(ret_barrier->gtid_set), "%s",
			 share_sql_cell(&rows, 0, 2));
		ret_barrier->left_us = share_sql_int(&rows, 0, 3);
		ret_barrier->built = share_sql_int(&rows, 0, 4) != 0;
	}
	share_rows_done(&rows);
	return 0;
}

/* Whoever asks for the barrier's row to change it waits for those who did before. */
static int lock_barrier(struct share_link *l, struct share_barrier *ret_barrier, struct err *e)
{
	int64_t ignored;

	buf_add_str(share_sql(l), "SELECT number FROM millrace_barrier WHERE one = 1 FOR UPDATE");
	return share_sql_number(l, &ignored, e) < 0 || share_barrier(l, ret_barrier, e) < 0 ? -1
											    : 0;
}

int share_begin_alone(struct share_link *l, int64_t number, struct err *e)
{
	struct share_barrier b;
	int rc;

	if (share_begin(l, e) < 0)
		return -1;
	rc = lock_barrier(l, &b, e);
	if (rc == 0 && (b.number != number || b.left_us <= 0))
		rc = err_retry(e, "the members were let go again: the limit passed");
	if (rc < 0)
		share_rollback(l);
	return rc;
}

int share_commit_alone(struct share_link *l, struct err *e)
{
	struct target *t = share_target(l);

	return share_end_with(l, t->ops->flush(t, e), e);
}

int share_await_alone(struct share_link *l, struct share_barrier *ret_barrier, struct err *e)
{
	int rc;

	if (share_begin(l, e) < 0)
		return -1;
	rc = lock_barrier(l, ret_barrier, e);
	share_rollback(l);
	return rc;
}

int share_raise(struct share_link *l, int64_t seq, const char *gtid_set, int64_t limit_us,
		int64_t *ret_number, struct err *e)
{
	struct buf *sql;
	int rc;

	if (strlen(gtid_set) >= sizeof(((struct share_barrier *)NULL)->gtid_set))
		return err_data(e, "a GTID set of %zu bytes is too long for a barrier",
				strlen(gtid_set));
	if (share_begin(l, e) < 0)
		return -1;
	sql = share_sql(l);
	buf_add_format(sql,
		       "UPDATE millrace_barrier SET number = number + 1, seq = %" PRId64
		       ", until_us = %s + %" PRId64 ", gtid_set = ",
		       seq, share_sql_now(l), limit_us);
	share_sql_text(l, sql, slice_str(gtid_set));
	buf_add_str(sql, " WHERE one = 1");
	rc = share_sql_run(l, NULL, NULL, e);
	if (rc == 0) {
		buf_add_str(share_sql(l), "SELECT number FROM millrace_barrier WHERE one = 1");
		rc = share_sql_number(l, ret_number, e);
	}
	return share_end_with(l, rc, e);
}

int share_lower(struct share_link *l, struct err *e)
{
	return share_sql_run_text(l, "UPDATE millrace_barrier SET until_us = 0 WHERE one = 1", e);
}

int share_set_built(struct share_link *l, struct err *e)
{
	return share_sql_run_text(l, "UPDATE millrace_barrier SET built = 1 WHERE one = 1", e);
}

int share_mark_version(struct share_link *l, const struct store_mark *mark, struct err *e)
{
	return l->shares->mark(l->version, mark, e);
}

/* ---- TRUNCATE ------------------------------------------------------------------------------- */

static int say_waiting(struct share_link *l, int64_t seq, const struct share_mark *marks,
		       size_t count, struct err *e)
{
	struct buf *sql = share_sql(l);

	if (l->waits_seq == seq)
		return 0;
	buf_add_format(sql,
		       "UPDATE millrace_share SET changes = changes + 1, applied_to = "
		       "GREATEST(applied_to, %" PRId64 ")",
		       seq);
	share_sql_ours(sql, marks, count);
	if (share_sql_run_ours(l, marks, count, e) < 0)
		return -1;
	l->waits_seq = seq;
	return 0;
}

/* In a transaction, with the topic's row locked: 2, 1 or 0 as share_truncate. */
static int elect(struct share_link *l, const char *topic, int64_t seq, struct err *e)
{
	int64_t done = 0, before = 0;

	buf_add_format(share_sql(l),
		       "SELECT seq FROM millrace_truncated WHERE topic = '%s' FOR UPDATE", topic);
	if (share_sql_number(l, &done, e) < 0)
		return -1;
	if (done >= seq)
		return 1;
	buf_add_format(share_sql(l),
		       "SELECT COUNT(*) FROM millrace_share WHERE topic = '%s' AND seq < %" PRId64
		       " AND applied_to < %" PRId64,
		       topic, seq, seq);
	if (share_sql_number(l, &before, e) < 0)
		return -1;
	if (before > 0)
		return 0;
	buf_add_format(share_sql(l),
		       "UPDATE millrace_truncated SET seq = %" PRId64 " WHERE topic = '%s'", seq,
		       topic);
	return share_sql_run(l, NULL, NULL, e) < 0 ? -1 : 2;
}

int share_truncate(struct share_link *l, const char *topic, int64_t seq,
		   const struct share_mark *marks, size_t count, struct err *e)
{
	int rc;

	if (!share_sql_is_topic(topic))
		return err_config(e, "'%.100s' is no name of a topic", topic);
	if (say_waiting(l, seq, marks, count, e) < 0 || share_begin(l, e) < 0)
		return -1;
	rc = elect(l, topic, seq, e);
	if (rc != 2)
		share_rollback(l);
	return rc;
}

int share_truncated_commit(struct share_link *l, struct err *e)
{
	return share_commit_alone(l, e);
}

/* ---- parked records -------------------------------------------------------------------------- */

int share_count_parked(struct share_link *l, int64_t *ret_parked, int64_t *ret_behind,
		       struct err *e)
{
	struct share_rows rows;

	buf_add_str(share_sql(l), "SELECT COUNT(*), COUNT(CASE WHEN behind THEN 1 END) FROM "
				  "millrace_parked");
	if (share_sql_run(l, &rows, NULL, e) < 0)
		return -1;
	*ret_parked = rows.rows > 0 ? share_sql_int(&rows, 0, 0) : 0;
	*ret_behind = rows.rows > 0 ? share_sql_int(&rows, 0, 1) : 0;
	share_rows_done(&rows);
	return 0;
}

int share_unpark(struct share_link *l, const char *topic, int64_t seq, int64_t *ret_dropped,
		 struct err *e)
{
	if (!share_sql_is_topic(topic))
		return err_config(e, "'%.100s' is no name of a topic", topic);
	buf_add_format(share_sql(l),
		       "DELETE FROM millrace_parked WHERE topic = '%s' AND seq < %" PRId64, topic,
		       seq);
	return share_sql_run(l, NULL, ret_dropped, e);
}
