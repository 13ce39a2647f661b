/* session_settle.c - XA transactions that the stream has seen committed and the source's tables may
 * not have yet (cdc/source/xa_list.h says why). Copies take them along: they read when those are
 * through.
 *
 * What the stream commits is added; what was prepared anew under the same xid is through. Nobody
 * need ask the source as long as nothing is copied, except now and then, so that the list stays
 * short.
 *
 * A session that begins doesn't know what was committed right before its position. What the source
 * has prepared then and the position doesn't name is suspected for a while: most likely it was
 * prepared before the capture began, or behind the position. The moment that matters lasts no
 * longer than the server needs from one call to the next. */
#include "cdc/capture/session_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/mysql/db.h"

#define ASK_COUNT 256
#define SUSPECTED_US 10000000

static bool is_named(const struct session *s, const char *xid)
{
	for (size_t i = 0; i < s->prepared_count; i++)
		if (strcmp(s->prepared[i].xid, xid) == 0)
			return true;
	return false;
}

int session_settle_open(struct session *s, struct db *db, struct err *e)
{
	struct xa_list prepared = { NULL, 0, 0 };

	if (xa_list_recover(db, &prepared, e) < 0)
		return -1;
	for (size_t i = 0; i < prepared.count; i++) {
		if (is_named(s, prepared.xids[i]))
			continue;
		xa_list_add(&s->suspects, prepared.xids[i]);
		xa_list_add(&s->unsettled, prepared.xids[i]);
	}
	s->suspects_until_us = clock_monotonic_us() + SUSPECTED_US;
	xa_list_done(&prepared);
	return 0;
}

void session_settle_commit(struct session *s, const char *xid)
{
	xa_list_remove(&s->suspects, xid);
	xa_list_add(&s->unsettled, xid);
}

void session_settle_other(struct session *s, const char *xid)
{
	xa_list_remove(&s->suspects, xid);
	xa_list_remove(&s->unsettled, xid);
}

static int ask(struct session *s, struct err *e)
{
	struct xa_list prepared = { NULL, 0, 0 };
	struct db *db = NULL;
	int rc = db_open(s->settings, DB_TEXT_UTF8, &db, e);

	if (rc == 0)
		rc = xa_list_recover(db, &prepared, e);
	if (rc == 0)
		xa_list_keep(&s->unsettled, &prepared);
	if (db != NULL)
		db_close(db);
	xa_list_done(&prepared);
	return rc;
}

int session_settle(struct session *s, struct err *e)
{
	if (s->suspects.count > 0 && clock_monotonic_us() > s->suspects_until_us) {
		for (size_t i = 0; i < s->suspects.count; i++)
			xa_list_remove(&s->unsettled, s->suspects.xids[i]);
		xa_list_done(&s->suspects);
	}
	if (s->unsettled.count < ASK_COUNT || s->unsettled.count < s->unsettled_ask)
		return 0;
	if (ask(s, e) < 0)
		return -1;
	s->unsettled_ask = s->unsettled.count * 2;
	return 0;
}

void session_settle_done(struct session *s)
{
	xa_list_done(&s->unsettled);
	xa_list_done(&s->suspects);
}
