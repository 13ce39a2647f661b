/* share.c - shares, barriers and truncations in SQL (share.h).
 *
 * Statements are written out whole: they are few, none is on the hot path but the one at a commit,
 * and that way a store has to give nothing but "run this". Texts go as hexadecimal digits, which no
 * quoting rule of any server concerns.
 *
 * One UPDATE moves all shares of a commit. It names each row with its epoch, so the number of rows
 * it met says whether all are still ours; a column that counts changes makes every row met a row
 * changed, for servers that count those. */
#include "projections/store/share.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAKE_TRIES 20
#define MAKE_AGAIN_US 100000

struct share_link {
	struct store *store;
	const struct store_ops *ops;
	const struct share_store *shares;
	struct store_version *version;
	char member[SHARE_MEMBER_SIZE];
	bool open; /* a transaction */
	struct buf sql;
	int64_t waits_seq; /* of the TRUNCATE at which our shares said that they wait */
};

/* ---- the statements' parts ------------------------------------------------------------------ */

static bool postgresql(const struct share_link *l)
{
	return l->shares->dialect == SHARE_POSTGRESQL;
}

/* Microseconds since 1970, by the store's clock, at the time of the statement. */
static const char *now(const struct share_link *l)
{
	return postgresql(l) ? "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
			     : "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)";
}

static void add_text(const struct share_link *l, struct buf *sql, struct slice text)
{
	static const char digits[] = "0123456789abcdef";

	if (text.size == 0) {
		buf_add_str(sql, "''");
		return;
	}
	buf_add_str(sql, postgresql(l) ? "convert_from(decode('" : "CONVERT(X'");
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = ((const uint8_t *)text.data)[i];

		buf_add_u8(sql, (uint8_t)digits[c >> 4]);
		buf_add_u8(sql, (uint8_t)digits[c & 15]);
	}
	buf_add_str(sql, postgresql(l) ? "', 'hex'), 'UTF8')" : "' USING utf8mb4)");
}

/* A topic's name holds letters, digits, '.', '_' and '-' only; nothing else gets that far. */
static void add_row(struct buf *sql, const struct share_name *n)
{
	buf_add_format(sql, "topic = '%s' AND part = %d", n->topic, n->partition);
}

static bool is_topic(const char *name)
{
	return name[0] != '\0' &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "._-")] == '\0';
}

static int check_names(const struct share_name *names, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (!is_topic(names[i].topic))
			return err_config(e, "'%.100s' is no name of a topic", names[i].topic);
	return 0;
}

static struct buf *begin_sql(struct share_link *l)
{
	buf_reset(&l->sql);
	return &l->sql;
}

static int run(struct share_link *l, struct share_rows *ret_rows, int64_t *ret_affected,
	       struct err *e)
{
	if (ret_rows != NULL)
		*ret_rows = (struct share_rows){ 0 };
	if (l->shares->run(l->version, buf_cstr(&l->sql), ret_rows, ret_affected, e) == 0)
		return 0;
	if (ret_rows != NULL)
		*ret_rows = (struct share_rows){ 0 }; /* nothing that were ours */
	return err_wrap(e, "shares");
}

static int run_text(struct share_link *l, const char *text, struct err *e)
{
	buf_add_str(begin_sql(l), text);
	return run(l, NULL, NULL, e);
}

void share_rows_done(struct share_rows *r)
{
	for (size_t i = 0; i < r->columns * r->rows; i++)
		free(r->cells[i]);
	free(r->cells);
	*r = (struct share_rows){ 0 };
}

static const char *cell(const struct share_rows *r, size_t row, size_t column)
{
	const char *text = r->cells[row * r->columns + column];

	return text != NULL ? text : "";
}

static int64_t number(const struct share_rows *r, size_t row, size_t column)
{
	return strtoll(cell(r, row, column), NULL, 10);
}

/* The one number that the statement gives; -1 and an error when there is none. */
static int run_number(struct share_link *l, int64_t *ret_number, struct err *e)
{
	struct share_rows rows;
	int rc = run(l, &rows, NULL, e);

	if (rc == 0 && rows.rows == 0)
		rc = err_retry(e, "shares: a row of the bookkeeping is missing");
	else if (rc == 0)
		*ret_number = number(&rows, 0, 0);
	share_rows_done(&rows);
	return rc;
}

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
static int end_with(struct share_link *l, int rc, struct err *e)
{
	if (rc == 0)
		return end(l, e);
	share_rollback(l);
	return rc;
}

/* ---- tables and rows ------------------------------------------------------------------------ */

static int tables_made(struct share_link *l, bool *ret_made, struct err *e)
{
	int64_t count = 0;

	buf_add_format(begin_sql(l),
		       "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND "
		       "table_name IN ('millrace_share', 'millrace_barrier', 'millrace_truncated')",
		       postgresql(l) ? "current_schema()" : "DATABASE()");
	if (run_number(l, &count, e) < 0)
		return -1;
	*ret_made = count == 3;
	return 0;
}

static int make_tables(struct share_link *l, struct err *e)
{
	const char *name = postgresql(l) ? "VARCHAR(249)" : "VARCHAR(249) CHARACTER SET ascii",
		   *text = postgresql(l) ? "TEXT" : "LONGTEXT CHARACTER SET utf8mb4";

	buf_add_format(
		begin_sql(l),
		"CREATE TABLE IF NOT EXISTS millrace_share (topic %s NOT NULL, part INT NOT NULL, "
		"epoch BIGINT NOT NULL DEFAULT 0, seq BIGINT NOT NULL DEFAULT 0, "
		"commit_us BIGINT NOT NULL DEFAULT 0, at_text %s, "
		"applied_to BIGINT NOT NULL DEFAULT 0, barrier BIGINT NOT NULL DEFAULT 0, "
		"said_us BIGINT NOT NULL DEFAULT 0, delivered_seq BIGINT NOT NULL DEFAULT 0, "
		"delivered_us BIGINT NOT NULL DEFAULT 0, records_left BIGINT NOT NULL DEFAULT 0, "
		"caught_up INT NOT NULL DEFAULT 0, who %s, trouble %s, "
		"changes BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (topic, part))",
		name, text, text, text);
	if (run(l, NULL, NULL, e) < 0)
		return -1;
	buf_add_format(begin_sql(l),
		       "CREATE TABLE IF NOT EXISTS millrace_truncated (topic %s NOT NULL, seq "
		       "BIGINT NOT NULL, PRIMARY KEY (topic))",
		       name);
	if (run(l, NULL, NULL, e) < 0)
		return -1;
	buf_add_format(
		begin_sql(l),
		"CREATE TABLE IF NOT EXISTS millrace_barrier (one INT NOT NULL, number BIGINT "
		"NOT NULL, seq BIGINT NOT NULL, gtid_set %s, until_us BIGINT NOT NULL, built "
		"INT NOT NULL, PRIMARY KEY (one))",
		text);
	return run(l, NULL, NULL, e);
}

/* Several members may make them at once; servers don't take that calmly. */
static int ensure_tables(struct share_link *l, struct err *e)
{
	struct err ignored = ERR_INIT;
	bool made = false;

	for (int i = 0; i < MAKE_TRIES; i++) {
		struct err *out = i + 1 < MAKE_TRIES ? &ignored : e;

		if (tables_made(l, &made, e) < 0)
			return -1;
		if (made || make_tables(l, out) == 0)
			return 0;
		clock_sleep_us(MAKE_AGAIN_US);
	}
	return -1;
}

static void add_missing(const struct share_link *l, struct buf *sql)
{
	if (postgresql(l))
		buf_add_str(sql, " ON CONFLICT DO NOTHING");
}

static const char *insert(const struct share_link *l)
{
	return postgresql(l) ? "INSERT INTO" : "INSERT IGNORE INTO";
}

int share_ensure(struct share_link *l, const struct share_name *names, size_t count, struct err *e)
{
	struct buf *sql;

	if (check_names(names, count, e) < 0 || ensure_tables(l, e) < 0)
		return -1;
	sql = begin_sql(l);
	buf_add_format(sql,
		       "%s millrace_barrier (one, number, seq, gtid_set, until_us, built) VALUES "
		       "(1, 0, -1, '', 0, 0)",
		       insert(l));
	add_missing(l, sql);
	if (run(l, NULL, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		sql = begin_sql(l);
		buf_add_format(sql, "%s millrace_share (topic, part) VALUES ('%s', %d)", insert(l),
			       names[i].topic, names[i].partition);
		add_missing(l, sql);
		if (run(l, NULL, NULL, e) < 0)
			return -1;
		if (i > 0 && strcmp(names[i].topic, names[i - 1].topic) == 0)
			continue;
		sql = begin_sql(l);
		buf_add_format(sql, "%s millrace_truncated (topic, seq) VALUES ('%s', 0)",
			       insert(l), names[i].topic);
		add_missing(l, sql);
		if (run(l, NULL, NULL, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static const char columns[] = "topic, part, epoch, seq, commit_us, at_text, applied_to, barrier, "
			      "said_us, delivered_seq, delivered_us, records_left, caught_up, who, "
			      "trouble";

static struct share read_share(const struct share_rows *r, size_t i)
{
	const char *position = r->cells[i * r->columns + 5];

	return (struct share){
		.topic = xstrdup(cell(r, i, 0)),
		.partition = (int32_t)number(r, i, 1),
		.epoch = number(r, i, 2),
		.seq = number(r, i, 3),
		.commit_us = number(r, i, 4),
		.position = position != NULL ? xstrdup(position) : NULL,
		.applied_to = number(r, i, 6),
		.barrier = number(r, i, 7),
		.said_us = number(r, i, 8),
		.delivered_seq = number(r, i, 9),
		.delivered_us = number(r, i, 10),
		.left = number(r, i, 11),
		.caught_up = number(r, i, 12) != 0,
		.member = xstrdup(cell(r, i, 13)),
		.trouble = xstrdup(cell(r, i, 14)),
	};
}

void share_list_free(struct share *shares, size_t count)
{
	for (size_t i = 0; shares != NULL && i < count; i++) {
		free(shares[i].topic);
		free(shares[i].position);
		free(shares[i].member);
		free(shares[i].trouble);
	}
	free(shares);
}

/* The statement in l->sql, which gives `columns`. */
static int read_shares(struct share_link *l, struct share **ret_shares, size_t *ret_count,
		       struct err *e)
{
	struct share_rows rows;

	if (run(l, &rows, NULL, e) < 0)
		return -1;
	*ret_count = rows.rows;
	*ret_shares = xcalloc(rows.rows + 1, sizeof(**ret_shares));
	for (size_t i = 0; i < rows.rows; i++)
		(*ret_shares)[i] = read_share(&rows, i);
	share_rows_done(&rows);
	return 0;
}

int share_list(struct share_link *l, struct share **ret_shares, size_t *ret_count, struct err *e)
{
	buf_add_format(begin_sql(l), "SELECT %s FROM millrace_share ORDER BY topic, part", columns);
	return read_shares(l, ret_shares, ret_count, e);
}

/* ---- taking --------------------------------------------------------------------------------- */

static void add_names(struct buf *sql, const struct share_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buf_add_str(sql, i > 0 ? " OR (" : "(");
		add_row(sql, &names[i]);
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
	struct buf *sql = begin_sql(l);

	buf_add_format(sql,
		       "UPDATE millrace_share SET epoch = epoch + 1, barrier = 0, caught_up = 0, "
		       "trouble = '', changes = changes + 1, said_us = %s, who = ",
		       now(l));
	add_text(l, sql, slice_str(l->member));
	buf_add_str(sql, " WHERE ");
	add_names(sql, names, count);
	return run(l, NULL, NULL, e);
}

int share_take(struct share_link *l, const struct share_name *names, size_t count,
	       struct share **ret_shares, struct err *e)
{
	struct share *found = NULL, *sorted = xcalloc(count + 1, sizeof(*sorted));
	size_t found_count = 0;
	struct buf *sql;
	int rc = -1;

	l->waits_seq = 0;
	if (check_names(names, count, e) < 0 || share_begin(l, e) < 0)
		goto out;
	sql = begin_sql(l);
	buf_add_format(sql, "SELECT %s FROM millrace_share WHERE ", columns);
	add_names(sql, names, count);
	buf_add_str(sql, " ORDER BY topic, part FOR UPDATE");
	rc = read_shares(l, &found, &found_count, e);
	if (rc == 0)
		rc = sort_shares(found, found_count, names, count, sorted, e);
	if (rc == 0)
		rc = raise_epochs(l, names, count, e);
	rc = end_with(l, rc, e);
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

static int lost(const struct share_mark *marks, size_t count, struct err *e)
{
	err_retry(e, "another member has taken %s-%d%s", marks[0].name.topic,
		  marks[0].name.partition, count > 1 ? ", or one that was taken with it" : "");
	return err_exit(e, EXIT_FENCED);
}

static void add_ours(struct buf *sql, const struct share_mark *marks, size_t count)
{
	buf_add_str(sql, " WHERE ");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(sql, i > 0 ? " OR (" : "(");
		add_row(sql, &marks[i].name);
		buf_add_format(sql, " AND epoch = %" PRId64 ")", marks[i].epoch);
	}
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
		add_row(sql, &marks[i].name);
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
		add_row(sql, &marks[i].name);
		buf_add_str(sql, " THEN ");
		add_text(l, sql, marks[i].position);
	}
	buf_add_str(sql, " END");
}

/* The statement in l->sql meets one row for each mark, or they are not all ours. */
static int run_ours(struct share_link *l, const struct share_mark *marks, size_t count,
		    struct err *e)
{
	int64_t affected = 0;

	if (run(l, NULL, &affected, e) < 0)
		return -1;
	return affected == (int64_t)count ? 0 : lost(marks, count, e);
}

static void add_said(const struct share_link *l, struct buf *sql, const struct share_mark *marks,
		     size_t count)
{
	buf_add_format(
		sql,
		"UPDATE millrace_share SET changes = changes + 1, said_us = %s, caught_up = %d",
		now(l), marks[0].caught_up);
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
		sql = begin_sql(l);
		add_said(l, sql, marks, count);
		add_marks(l, sql, marks, count);
		add_ours(sql, marks, count);
		rc = run_ours(l, marks, count, e);
	}
	return end_with(l, rc, e);
}

int share_say(struct share_link *l, const struct share_mark *marks, size_t count, int64_t number,
	      const char *trouble, struct err *e)
{
	struct buf *sql = begin_sql(l);

	add_said(l, sql, marks, count);
	buf_add_format(sql, ", barrier = %" PRId64 ", trouble = ", number);
	add_text(l, sql, slice_str(trouble));
	add_ours(sql, marks, count);
	return run_ours(l, marks, count, e);
}

/* ---- barriers ------------------------------------------------------------------------------- */

int share_barrier(struct share_link *l, struct share_barrier *ret_barrier, struct err *e)
{
	struct share_rows rows;

	buf_add_format(begin_sql(l),
		       "SELECT number, seq, gtid_set, until_us - %s, built FROM millrace_barrier "
		       "WHERE one = 1",
		       now(l));
	if (run(l, &rows, NULL, e) < 0)
		return -1;
	*ret_barrier = (struct share_barrier){ .seq = -1 };
	if (rows.rows > 0) {
		ret_barrier->number = number(&rows, 0, 0);
		ret_barrier->seq = number(&rows, 0, 1);
		snprintf(ret_barrier->gtid_set, sizeof(ret_barrier->gtid_set), "%s",
			 cell(&rows, 0, 2));
		ret_barrier->left_us = number(&rows, 0, 3);
		ret_barrier->built = number(&rows, 0, 4) != 0;
	}
	share_rows_done(&rows);
	return 0;
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
	sql = begin_sql(l);
	buf_add_format(sql,
		       "UPDATE millrace_barrier SET number = number + 1, seq = %" PRId64
		       ", until_us = %s + %" PRId64 ", gtid_set = ",
		       seq, now(l), limit_us);
	add_text(l, sql, slice_str(gtid_set));
	buf_add_str(sql, " WHERE one = 1");
	rc = run(l, NULL, NULL, e);
	if (rc == 0) {
		buf_add_str(begin_sql(l), "SELECT number FROM millrace_barrier WHERE one = 1");
		rc = run_number(l, ret_number, e);
	}
	return end_with(l, rc, e);
}

int share_lower(struct share_link *l, struct err *e)
{
	return run_text(l, "UPDATE millrace_barrier SET until_us = 0 WHERE one = 1", e);
}

int share_set_built(struct share_link *l, struct err *e)
{
	return run_text(l, "UPDATE millrace_barrier SET built = 1 WHERE one = 1", e);
}

int share_mark_version(struct share_link *l, const struct store_mark *mark, struct err *e)
{
	return l->shares->mark(l->version, mark, e);
}

/* ---- TRUNCATE ------------------------------------------------------------------------------- */

static int say_waiting(struct share_link *l, int64_t seq, const struct share_mark *marks,
		       size_t count, struct err *e)
{
	struct buf *sql = begin_sql(l);

	if (l->waits_seq == seq)
		return 0;
	buf_add_format(sql,
		       "UPDATE millrace_share SET changes = changes + 1, applied_to = "
		       "GREATEST(applied_to, %" PRId64 ")",
		       seq);
	add_ours(sql, marks, count);
	if (run_ours(l, marks, count, e) < 0)
		return -1;
	l->waits_seq = seq;
	return 0;
}

/* In a transaction, with the topic's row locked: 2, 1 or 0 as share_truncate. */
static int elect(struct share_link *l, const char *topic, int64_t seq, struct err *e)
{
	int64_t done = 0, before = 0;

	buf_add_format(begin_sql(l),
		       "SELECT seq FROM millrace_truncated WHERE topic = '%s' FOR UPDATE", topic);
	if (run_number(l, &done, e) < 0)
		return -1;
	if (done >= seq)
		return 1;
	buf_add_format(begin_sql(l),
		       "SELECT COUNT(*) FROM millrace_share WHERE topic = '%s' AND seq < %" PRId64
		       " AND applied_to < %" PRId64,
		       topic, seq, seq);
	if (run_number(l, &before, e) < 0)
		return -1;
	if (before > 0)
		return 0;
	buf_add_format(begin_sql(l),
		       "UPDATE millrace_truncated SET seq = %" PRId64 " WHERE topic = '%s'", seq,
		       topic);
	return run(l, NULL, NULL, e) < 0 ? -1 : 2;
}

int share_truncate(struct share_link *l, const char *topic, int64_t seq,
		   const struct share_mark *marks, size_t count, struct err *e)
{
	int rc;

	if (!is_topic(topic))
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
	struct target *t = share_target(l);

	return end_with(l, t->ops->flush(t, e), e);
}
