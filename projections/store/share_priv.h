/* share_priv.h - a member's link to a version, and the SQL that share*.c has in common. */
#ifndef PROJECTIONS_STORE_SHARE_PRIV_H
#define PROJECTIONS_STORE_SHARE_PRIV_H

#include "core/base/buf.h"
#include "projections/store/share.h"

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

/* ---- statements (share_sql.c) ---- */
/* l->sql, empty: the next statement. */
struct buf *share_sql(struct share_link *l);
/* Runs l->sql. Either result may be NULL. */
int share_sql_run(struct share_link *l, struct share_rows *ret_rows, int64_t *ret_affected,
		  struct err *e);
int share_sql_run_text(struct share_link *l, const char *text, struct err *e);
/* The one number that l->sql gives; -1 and an error when there is none. */
int share_sql_number(struct share_link *l, int64_t *ret_number, struct err *e);
const char *share_sql_cell(const struct share_rows *r, size_t row, size_t column);
int64_t share_sql_int(const struct share_rows *r, size_t row, size_t column);
bool share_is_postgresql(const struct share_link *l);
/* Microseconds since 1970, by the store's clock, at the time of the statement. */
const char *share_sql_now(const struct share_link *l);
void share_sql_text(const struct share_link *l, struct buf *sql, struct slice text);
/* Conditions: one row; the rows of these marks, while their epochs are ours. */
void share_sql_row(struct buf *sql, const struct share_name *n);
void share_sql_ours(struct buf *sql, const struct share_mark *marks, size_t count);
/* l->sql meets one row for each mark, or they are not all ours: share_lost(). */
int share_sql_run_ours(struct share_link *l, const struct share_mark *marks, size_t count,
		       struct err *e);
bool share_sql_is_topic(const char *name);
int share_sql_check_names(const struct share_name *names, size_t count, struct err *e);
/* l->sql gives share_sql_columns. */
extern const char share_sql_columns[];
int share_sql_read(struct share_link *l, struct share **ret_shares, size_t *ret_count,
		   struct err *e);

/* Commits, or rolls back when rc isn't 0: it is over one way or the other. */
int share_end_with(struct share_link *l, int rc, struct err *e);

#endif
