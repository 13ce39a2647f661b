/* share_sql.c - what the statements about shares have in common (share.h).
 *
 * Statements are written out whole: they are few, none is on the hot path but the one at a commit,
 * and that way a store has to give nothing but "run this". Texts go as hexadecimal digits, which no
 * quoting rule of any server concerns. */
#include "projections/store/share_priv.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- the statements' parts ------------------------------------------------------------------ */

bool share_is_postgresql(const struct share_link *l)
{
	return l->shares->dialect == SHARE_POSTGRESQL;
}

/* Microseconds since 1970, by the store's clock, at the time of the statement. */
const char *share_sql_now(const struct share_link *l)
{
	return share_is_postgresql(l) ? "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
				      : "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)";
}

void share_sql_text(const struct share_link *l, struct buf *sql, struct slice text)
{
	static const char digits[] = "0123456789abcdef";

	if (text.size == 0) {
		buf_add_str(sql, "''");
		return;
	}
	buf_add_str(sql, share_is_postgresql(l) ? "convert_from(decode('" : "CONVERT(X'");
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = ((const uint8_t *)text.data)[i];

		buf_add_u8(sql, (uint8_t)digits[c >> 4]);
		buf_add_u8(sql, (uint8_t)digits[c & 15]);
	}
	buf_add_str(sql, share_is_postgresql(l) ? "', 'hex'), 'UTF8')" : "' USING utf8mb4)");
}

/* A topic's name holds letters, digits, '.', '_' and '-' only; nothing else gets that far. */
void share_sql_row(struct buf *sql, const struct share_name *n)
{
	buf_add_format(sql, "topic = '%s' AND part = %d", n->topic, n->partition);
}

bool share_sql_is_topic(const char *name)
{
	return name[0] != '\0' &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "._-")] == '\0';
}

int share_sql_check_names(const struct share_name *names, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (!share_sql_is_topic(names[i].topic))
			return err_config(e, "'%.100s' is no name of a topic", names[i].topic);
	return 0;
}

struct buf *share_sql(struct share_link *l)
{
	buf_reset(&l->sql);
	return &l->sql;
}

int share_sql_run(struct share_link *l, struct share_rows *ret_rows, int64_t *ret_affected,
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

int share_sql_run_text(struct share_link *l, const char *text, struct err *e)
{
	buf_add_str(share_sql(l), text);
	return share_sql_run(l, NULL, NULL, e);
}

void share_rows_done(struct share_rows *r)
{
	for (size_t i = 0; i < r->columns * r->rows; i++)
		free(r->cells[i]);
	free(r->cells);
	*r = (struct share_rows){ 0 };
}

const char *share_sql_cell(const struct share_rows *r, size_t row, size_t column)
{
	const char *text = r->cells[row * r->columns + column];

	return text != NULL ? text : "";
}

int64_t share_sql_int(const struct share_rows *r, size_t row, size_t column)
{
	return strtoll(share_sql_cell(r, row, column), NULL, 10);
}

/* The one number that the statement gives; -1 and an error when there is none. */
int share_sql_number(struct share_link *l, int64_t *ret_number, struct err *e)
{
	struct share_rows rows;
	int rc = share_sql_run(l, &rows, NULL, e);

	if (rc == 0 && rows.rows == 0)
		rc = err_retry(e, "shares: a row of the bookkeeping is missing");
	else if (rc == 0)
		*ret_number = share_sql_int(&rows, 0, 0);
	share_rows_done(&rows);
	return rc;
}

/* ---- reading -------------------------------------------------------------------------------- */

const char share_sql_columns[] =
	"topic, part, epoch, seq, commit_us, at_text, applied_to, barrier, "
	"said_us, delivered_seq, delivered_us, records_left, caught_up, who, "
	"trouble";

static struct share read_share(const struct share_rows *r, size_t i)
{
	const char *position = r->cells[i * r->columns + 5];

	return (struct share){
		.topic = xstrdup(share_sql_cell(r, i, 0)),
		.partition = (int32_t)share_sql_int(r, i, 1),
		.epoch = share_sql_int(r, i, 2),
		.seq = share_sql_int(r, i, 3),
		.commit_us = share_sql_int(r, i, 4),
		.position = position != NULL ? xstrdup(position) : NULL,
		.applied_to = share_sql_int(r, i, 6),
		.barrier = share_sql_int(r, i, 7),
		.said_us = share_sql_int(r, i, 8),
		.delivered_seq = share_sql_int(r, i, 9),
		.delivered_us = share_sql_int(r, i, 10),
		.left = share_sql_int(r, i, 11),
		.caught_up = share_sql_int(r, i, 12) != 0,
		.member = xstrdup(share_sql_cell(r, i, 13)),
		.trouble = xstrdup(share_sql_cell(r, i, 14)),
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
int share_sql_read(struct share_link *l, struct share **ret_shares, size_t *ret_count,
		   struct err *e)
{
	struct share_rows rows;

	if (share_sql_run(l, &rows, NULL, e) < 0)
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
	buf_add_format(share_sql(l), "SELECT %s FROM millrace_share ORDER BY topic, part",
		       share_sql_columns);
	return share_sql_read(l, ret_shares, ret_count, e);
}

/* ---- shares that are ours -------------------------------------------------------------------- */

static int lost(const struct share_mark *marks, size_t count, struct err *e)
{
	err_retry(e, "another member has taken %s-%d%s", marks[0].name.topic,
		  marks[0].name.partition, count > 1 ? ", or one that was taken with it" : "");
	return err_exit(e, EXIT_FENCED);
}

void share_sql_ours(struct buf *sql, const struct share_mark *marks, size_t count)
{
	buf_add_str(sql, " WHERE ");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(sql, i > 0 ? " OR (" : "(");
		share_sql_row(sql, &marks[i].name);
		buf_add_format(sql, " AND epoch = %" PRId64 ")", marks[i].epoch);
	}
}

int share_sql_run_ours(struct share_link *l, const struct share_mark *marks, size_t count,
		       struct err *e)
{
	int64_t affected = 0;

	if (share_sql_run(l, NULL, &affected, e) < 0)
		return -1;
	return affected == (int64_t)count ? 0 : lost(marks, count, e);
}
