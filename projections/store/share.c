/* share.c - a member's link to a version: taking shares, committing rows and positions together
 * (share.h).
 *
 * One UPDATE moves all shares of a commit. It names each row with its epoch, so the number of rows
 * it met says whether all are still ours; a column that counts changes makes every row met a row
 * changed, for servers that count those. */
#include "projections/store/share_priv.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- opening -------------------------------------------------------------------------------- */

int share_open(struct store *s, int version, const char *member, struct share_link **ret_link,
	       struct err *e)
{
	struct share_link *l;

	if (s->ops->shares == NULL)
		return err_config(e, "store %s: a version has one writer there", s->ops->name);
	l = xcalloc(1, sizeof(*l));
	l->store = s;
	l->ops = s->ops;
	l->shares = s->ops->shares;
	snprintf(l->member, sizeof(l->member), "%s", member);
	if (l->shares->open(s, version, &l->version, e) < 0) {
		free(l);
		return -1;
	}
	*ret_link = l;
	return 0;
}

void share_close(struct share_link *l)
{
	if (l == NULL)
		return;
	share_rollback(l);
	l->ops->version_close(l->version);
	buf_done(&l->sql);
	free(l);
}

struct target *share_target(struct share_link *l)
{
	return l->ops->target(l->version);
}

struct store_version *share_version(struct share_link *l)
{
	return l->version;
}

int share_begin(struct share_link *l, struct err *e)
{
	if (l->ops->begin(l->version, e) < 0)
		return -1;
	l->open = true;
	return 0;
}

void share_rollback(struct share_link *l)
{
	if (l->open)
		l->ops->rollback(l->version);
	l->open = false;
}

static int end(struct share_link *l, struct err *e)
{
	l->open = false;
	return l->shares->commit(l->version, e);
}

/* Ends it one way or the other. */
int share_end_with(struct share_link *l, int rc, struct err *e)
{
	if (rc == 0)
		return end(l, e);
	share_rollback(l);
	return rc;
}

/* ---- taking --------------------------------------------------------------------------------- */

static void add_names(struct buf *sql, const struct share_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buf_add_str(sql, i > 0 ? " OR (" : "(");
		share_sql_row(sql, &names[i]);
		buf_add_u8(sql, ')');
	}
}

/* In the order of `names`; moves the rows. */
static int sort_shares(struct share *found, size_t found_count, const struct share_name *names,
		       size_t count, struct share *sorted, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		size_t k = 0;

		while (k < found_count &&
		       (found[k].topic == NULL || found[k].partition != names[i].partition ||
			strcmp(found[k].topic, names[i].topic) != 0))
			k++;
		if (k == found_count)
			return err_retry(e, "shares: there is no row for %s-%d", names[i].topic,
					 names[i].partition);
		sorted[i] = found[k];
		sorted[i].epoch++;
		found[k] = (struct share){ 0 };
	}
	return 0;
}

static int raise_epochs(struct share_link *l, const struct share_name *names, size_t count,
			struct err *e)
{
	struct buf *sql = share_sql(l);

	buf_add_format(sql,
		       "UPDATE millrace_share SET epoch = epoch + 1, barrier = 0, caught_up = 0, "
		       "trouble = '', changes = changes + 1, said_us = %s, who = ",
		       share_sql_now(l));
	share_sql_text(l, sql, slice_str(l->member));
	buf_add_str(sql, " WHERE ");
	add_names(sql, names, count);
	return share_sql_run(l, NULL, NULL, e);
}

int share_take(struct share_link *l, const struct share_name *names, size_t count,
	       struct share **ret_shares, struct err *e)
{
	struct share *found = NULL, *sorted = xcalloc(count + 1, sizeof(*sorted));
	size_t found_count = 0;
	struct buf *sql;
	int rc = -1;

	l->waits_seq = 0;
	if (share_sql_check_names(names, count, e) < 0 || share_begin(l, e) < 0)
		goto out;
	sql = share_sql(l);
	buf_add_format(sql, "SELECT %s FROM millrace_share WHERE ", share_sql_columns);
	add_names(sql, names, count);
	buf_add_str(sql, " ORDER BY topic, part FOR UPDATE");
	rc = share_sql_read(l, &found, &found_count, e);
	if (rc == 0)
		rc = sort_shares(found, found_count, names, count, sorted, e);
	if (rc == 0)
		rc = raise_epochs(l, names, count, e);
	rc = share_end_with(l, rc, e);
out:
	share_list_free(found, found_count);
	if (rc < 0)
		share_list_free(sorted, count);
	else
		*ret_shares = sorted;
	return rc;
}

/* ---- committing and saying ------------------------------------------------------------------- */

bool share_lost(const struct err *e)
{
	return e->kind == ERR_RETRY && err_exit_code(e) == EXIT_FENCED;
}

/* CASE over the rows, of one number. */
static void add_case(struct buf *sql, const char *column, const struct share_mark *marks,
		     size_t count, size_t at)
{
	buf_add_format(sql, ", %s = CASE", column);
	for (size_t i = 0; i < count; i++) {
		int64_t value;

		memcpy(&value, (const char *)&marks[i] + at, sizeof(value));
		buf_add_str(sql, " WHEN ");
		share_sql_row(sql, &marks[i].name);
		buf_add_format(sql, " THEN %" PRId64, value);
	}
	buf_add_str(sql, " END");
}

static void add_marks(const struct share_link *l, struct buf *sql, const struct share_mark *marks,
		      size_t count)
{
	add_case(sql, "seq", marks, count, offsetof(struct share_mark, seq));
	add_case(sql, "commit_us", marks, count, offsetof(struct share_mark, commit_us));
	buf_add_str(sql, ", at_text = CASE");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(sql, " WHEN ");
		share_sql_row(sql, &marks[i].name);
		buf_add_str(sql, " THEN ");
		share_sql_text(l, sql, marks[i].position);
	}
	buf_add_str(sql, " END");
}

static void add_said(const struct share_link *l, struct buf *sql, const struct share_mark *marks,
		     size_t count)
{
	buf_add_format(
		sql,
		"UPDATE millrace_share SET changes = changes + 1, said_us = %s, caught_up = %d",
		share_sql_now(l), marks[0].caught_up);
	add_case(sql, "records_left", marks, count, offsetof(struct share_mark, left));
	add_case(sql, "delivered_seq", marks, count, offsetof(struct share_mark, delivered_seq));
	add_case(sql, "delivered_us", marks, count, offsetof(struct share_mark, delivered_us));
}

int share_commit(struct share_link *l, const struct share_mark *marks, size_t count, struct err *e)
{
	struct target *t = share_target(l);
	struct buf *sql;
	int rc = t->ops->flush(t, e);

	if (rc == 0) {
		sql = share_sql(l);
		add_said(l, sql, marks, count);
		add_marks(l, sql, marks, count);
		share_sql_ours(sql, marks, count);
		rc = share_sql_run_ours(l, marks, count, e);
	}
	return share_end_with(l, rc, e);
}

int share_say(struct share_link *l, const struct share_mark *marks, size_t count, int64_t number,
	      const char *trouble, struct err *e)
{
	struct buf *sql = share_sql(l);

	add_said(l, sql, marks, count);
	buf_add_format(sql, ", barrier = %" PRId64 ", trouble = ", number);
	share_sql_text(l, sql, slice_str(trouble));
	share_sql_ours(sql, marks, count);
	return share_sql_run_ours(l, marks, count, e);
}
