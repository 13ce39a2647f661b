/* share_tables.c - the bookkeeping of a version that several members write: its tables, and a row
 * for each share (share.h). */
#include "projections/store/share_priv.h"

#include "core/base/clock.h"

#define MAKE_TRIES 20
#define MAKE_AGAIN_US 100000

static int tables_made(struct share_link *l, bool *ret_made, struct err *e)
{
	int64_t count = 0;

	buf_add_format(share_sql(l),
		       "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND "
		       "table_name IN ('millrace_share', 'millrace_barrier', 'millrace_truncated')",
		       share_is_postgresql(l) ? "current_schema()" : "DATABASE()");
	if (share_sql_number(l, &count, e) < 0)
		return -1;
	*ret_made = count == 3;
	return 0;
}

static int make_tables(struct share_link *l, struct err *e)
{
	const char *name = share_is_postgresql(l) ? "VARCHAR(249)"
						  : "VARCHAR(249) CHARACTER SET ascii",
		   *text = share_is_postgresql(l) ? "TEXT" : "LONGTEXT CHARACTER SET utf8mb4";

	buf_add_format(
		share_sql(l),
		"CREATE TABLE IF NOT EXISTS millrace_share (topic %s NOT NULL, part INT NOT NULL, "
		"epoch BIGINT NOT NULL DEFAULT 0, seq BIGINT NOT NULL DEFAULT 0, "
		"commit_us BIGINT NOT NULL DEFAULT 0, at_text %s, "
		"applied_to BIGINT NOT NULL DEFAULT 0, barrier BIGINT NOT NULL DEFAULT 0, "
		"said_us BIGINT NOT NULL DEFAULT 0, delivered_seq BIGINT NOT NULL DEFAULT 0, "
		"delivered_us BIGINT NOT NULL DEFAULT 0, records_left BIGINT NOT NULL DEFAULT 0, "
		"caught_up INT NOT NULL DEFAULT 0, who %s, trouble %s, "
		"changes BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (topic, part))",
		name, text, text, text);
	if (share_sql_run(l, NULL, NULL, e) < 0)
		return -1;
	buf_add_format(share_sql(l),
		       "CREATE TABLE IF NOT EXISTS millrace_truncated (topic %s NOT NULL, seq "
		       "BIGINT NOT NULL, PRIMARY KEY (topic))",
		       name);
	if (share_sql_run(l, NULL, NULL, e) < 0)
		return -1;
	buf_add_format(
		share_sql(l),
		"CREATE TABLE IF NOT EXISTS millrace_barrier (one INT NOT NULL, number BIGINT "
		"NOT NULL, seq BIGINT NOT NULL, gtid_set %s, until_us BIGINT NOT NULL, built "
		"INT NOT NULL, PRIMARY KEY (one))",
		text);
	return share_sql_run(l, NULL, NULL, e);
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
	if (share_is_postgresql(l))
		buf_add_str(sql, " ON CONFLICT DO NOTHING");
}

static const char *insert(const struct share_link *l)
{
	return share_is_postgresql(l) ? "INSERT INTO" : "INSERT IGNORE INTO";
}

int share_ensure(struct share_link *l, const struct share_name *names, size_t count, struct err *e)
{
	struct buf *sql;

	if (share_sql_check_names(names, count, e) < 0 || ensure_tables(l, e) < 0)
		return -1;
	sql = share_sql(l);
	buf_add_format(sql,
		       "%s millrace_barrier (one, number, seq, gtid_set, until_us, built) VALUES "
		       "(1, 0, -1, '', 0, 0)",
		       insert(l));
	add_missing(l, sql);
	if (share_sql_run(l, NULL, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		sql = share_sql(l);
		buf_add_format(sql, "%s millrace_share (topic, part) VALUES ('%s', %d)", insert(l),
			       names[i].topic, names[i].partition);
		add_missing(l, sql);
		if (share_sql_run(l, NULL, NULL, e) < 0)
			return -1;
		if (i > 0 && strcmp(names[i].topic, names[i - 1].topic) == 0)
			continue;
		sql = share_sql(l);
		buf_add_format(sql, "%s millrace_truncated (topic, seq) VALUES ('%s', 0)",
			       insert(l), names[i].topic);
		add_missing(l, sql);
		if (share_sql_run(l, NULL, NULL, e) < 0)
			return -1;
	}
	return 0;
}
