/* session_meet.c - captured tables that the copy doesn't know.
 *
 * A table that neither the list of the start nor the position knows was created since, or hidden:
 * while a statement puts another table in its place (RENAME, ALTER by copying) MariaDB lists
 * neither. The list is younger than the position, so that statement lies ahead; whatever comes of
 * such a table first, a row or a statement, ends the session, and the next one lists it.
 *
 * A table that was dropped has rows in its topic until the DROP is reached, and may come back. So
 * the position keeps the name of every table that was captured, whether it exists or not. */
#include "cdc/capture/session_priv.h"

#include "core/base/mem.h"
#include "core/mysql/db.h"

#include <stdlib.h>

void session_more_table(struct session *s, const struct position_copy *known)
{
	struct position_copy *more;

	s->more = xrealloc(s->more, (s->more_count + 1) * sizeof(*s->more));
	more = &s->more[s->more_count++];
	*more = (struct position_copy){ .db = xstrdup(known->db),
					.table = xstrdup(known->table),
					.done = true,
					.chunks = known->chunks,
					.rows = known->rows,
					.kind = "first",
					.why = "",
					.where = "" };
}

void session_meet_done(struct session *s)
{
	for (size_t i = 0; i < s->more_count; i++) {
		free((char *)(uintptr_t)s->more[i].db);
		free((char *)(uintptr_t)s->more[i].table);
	}
	free(s->more);
}

int session_exists_on(struct db *source, const char *db, const char *table, bool *ret_exists,
		      struct err *e)
{
	struct buf sql = BUF_INIT;
	char *found = NULL;
	int rc;

	buf_add_str(&sql, "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ");
	db_quote(slice_str(db), &sql);
	buf_add_str(&sql, " AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME = ");
	db_quote(slice_str(table), &sql);
	rc = db_get_text(source, buf_cstr(&sql), &found, e);
	*ret_exists = found != NULL;
	buf_done(&sql);
	free(found);
	return rc;
}

int session_exists(struct session *s, const char *db, const char *table, bool *ret_exists,
		   struct err *e)
{
	struct db *source = NULL;
	int rc = db_open(s->settings, DB_TEXT_UTF8, &source, e);

	if (rc == 0)
		rc = session_exists_on(source, db, table, ret_exists, e);
	if (source != NULL)
		db_close(source);
	return rc;
}

bool session_knows(struct session *s, const char *db, const char *table)
{
	size_t count;
	const struct position_copy *known = session_copies(s, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(known[i].db, db) == 0 && strcmp(known[i].table, table) == 0)
			return true;
	return false;
}

int session_remember(struct session *s, int64_t next, struct err *e)
{
	int64_t order = s->order;
	int rc;

	if (delivery_exactly_once(s->delivery))
		return 0;
	s->order = next - 1;
	commit_batch_move(&s->batch);
	rc = session_cut(s, e);
	s->order = order;
	return rc;
}

int session_created(struct session *s, const char *db, const char *table, int64_t next,
		    struct err *e)
{
	copy_created(s->copy, db, table);
	return session_remember(s, next, e);
}

static int list_anew(const char *db, const char *table, struct err *e)
{
	return err_retry(e,
			 "%s.%s was not among the source's tables as capture began, a statement "
			 "was moving it: beginning anew with it",
			 db, table);
}

/* One that is gone by now has its end ahead. */
int session_meet_row(struct session *s, const struct change *row, struct err *e)
{
	const char *db = row->shape->db, *table = row->shape->table;
	bool there = false;

	if (session_knows(s, db, table)) {
		copy_created(s->copy, db, table);
		return 0;
	}
	if (session_exists(s, db, table, &there, e) < 0)
		return -1;
	return there ? list_anew(db, table, e) : session_created(s, db, table, row->order, e);
}

/* It has rows, perhaps, that are not in the stream. */
int session_meet_kept(struct session *s, const char *db, const char *table, struct err *e)
{
	bool there = false;

	if (session_exists(s, db, table, &there, e) < 0)
		return -1;
	return there ? list_anew(db, table, e) : 0;
}
