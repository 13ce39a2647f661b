/* session_effects.c - statements that change captured tables without naming rows
 * (cdc/change/group.h, "effects").
 *
 * Emptied: a record with op t in every partition of the row topic, in its place within the source
 * transaction; before it, where published events are bound to the table, a d for each row
 * (session_leaves.c). Rewritten: a reconciling copy is queued; the want is part of the position
 * that the transaction's own records are committed with, so that a crash loses neither and repeats
 * neither. */
#include "cdc/capture/session_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/mysql/db.h"

#include <stdlib.h>

/* ---- emptied -------------------------------------------------------------------------------- */

static void count(const char *kind)
{
	metric_add(metric_counter("millrace_capture_effects_total",
				  "Tables changed by statements that name no rows.", "kind", kind,
				  NULL),
		   1);
}

/* The table's records need its schema; one that is gone, and had no row since we started, is told
 * of with a schema that has no columns: they are not needed to say that there are no rows. */
static int send_emptied(struct session *s, const struct group_effect *effect, const char *db,
			const char *table, struct err *e)
{
	const struct group_info *info = group_info(s->group);
	struct shape *shape = publisher_shape(s->publisher, db, table);
	struct change change = { .op = CHANGE_TRUNCATE,
				 .transaction = info->gtid_text,
				 .commit_us = info->commit_us,
				 .order = effect->order };
	int rc;

	change.shape = shape != NULL ? shape_ref(shape) : shape_new(db, table, 0);
	rc = publisher_change(s->publisher, &change, &s->seq, e);
	shape_unref(change.shape);
	return rc;
}

/* All that is to come of it is in the stream. */
static void end_copy(struct session *s, const char *db, const char *table)
{
	char *name = xasprintf("%s.%s", db, table);

	commit_batch_copied(&s->batch, name);
	log_info("copy", "%s was emptied while it was copied: its copy has ended", name);
	free(name);
}

static int emptied(struct session *s, const struct group_effect *effect, const char *db,
		   const char *table, struct err *e)
{
	count("emptied");
	log_info("capture", "%s: %s: %s.%s is empty", group_info(s->group)->gtid_text, effect->why,
		 db, table);
	if (copy_emptied(s->copy, db, table))
		end_copy(s, db, table);
	reconcile_emptied(s->reconcile, db, table);
	return send_emptied(s, effect, db, table, e);
}

/* Its topic and schema. */
static int prepare(struct session *s, const char *db, const char *table, struct err *e)
{
	struct shape *shape = NULL;
	struct db *source = NULL;
	int rc = db_open(s->settings, DB_TEXT_UTF8, &source, e);

	if (rc == 0)
		rc = catalog_read_shape(source, db, table, &shape, e);
	if (rc == 0)
		rc = publisher_prepare(s->publisher, shape, e);
	shape_unref(shape);
	if (source != NULL)
		db_close(source);
	return rc;
}

/* A table that we have never seen may have got its rows from elsewhere (RENAME); one that is gone
 * by now has nothing that could be read: its end lies ahead. */
static int rewrite(struct session *s, const struct group_effect *effect, const char *db,
		   const char *table, struct err *e)
{
	const struct position_copy new = { .db = db, .table = table };
	bool there = true, known = session_knows(s, db, table);

	if (!known && session_exists(s, db, table, &there, e) < 0)
		return -1;
	if (!there)
		return 0;
	if (!known) {
		if (prepare(s, db, table, e) < 0)
			return -1;
		session_more_table(s, &new);
		if (session_remember(s, effect->order, e) < 0)
			return -1;
	}
	count("rewritten");
	log_info("capture", "%s: %s: %s.%s may have changed without row events and is compared",
		 group_info(s->group)->gtid_text, effect->why, db, table);
	return reconcile_want(s->reconcile, db, table, "", effect->why, e);
}

/* ---- one effect ----------------------------------------------------------------------------- */

/* The captured tables that an effect means. Names of their own: what is done moves the position's.
 */
struct meant {
	struct {
		char *db, *table;
	} *items;
	size_t count;
};

static bool means(const struct group_effect *effect, const struct position_copy *known)
{
	return strcmp(known->kind, "first") == 0 &&
	       (effect->db[0] == '\0' || strcmp(effect->db, known->db) == 0) &&
	       (effect->table[0] == '\0' || strcmp(effect->table, known->table) == 0);
}

static void find_meant(struct session *s, const struct group_effect *effect, struct meant *m)
{
	size_t count;
	const struct position_copy *known = session_copies(s, &count);

	m->items = xcalloc(count + 1, sizeof(*m->items));
	for (size_t i = 0; i < count; i++) {
		if (!means(effect, &known[i]))
			continue;
		m->items[m->count].db = xstrdup(known[i].db);
		m->items[m->count++].table = xstrdup(known[i].table);
	}
}

static void meant_done(struct meant *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->items[i].db);
		free(m->items[i].table);
	}
	free(m->items);
}

/* An unsure effect names its table. */
static int act_on(struct session *s, const struct group_effect *effect, const struct meant *m,
		  struct err *e)
{
	bool rewrites = effect->kind == GROUP_REWRITES, there = false;

	if (!rewrites && effect->unsure && m->count > 0) {
		if (session_exists(s, effect->db, effect->table, &there, e) < 0)
			return -1;
		rewrites = there;
	}
	for (size_t i = 0; i < m->count && !rewrites; i++)
		if (session_leaves(s, effect, m->items[i].db, m->items[i].table, e) < 0)
			return -1;
	for (size_t i = 0; i < m->count; i++)
		if ((rewrites ? rewrite(s, effect, m->items[i].db, m->items[i].table, e)
			      : emptied(s, effect, m->items[i].db, m->items[i].table, e)) < 0)
			return -1;
	return 0;
}

static int act_on_meant(struct session *s, const struct group_effect *effect, struct err *e)
{
	struct meant m = { NULL, 0 };
	int rc;

	find_meant(s, effect, &m);
	rc = act_on(s, effect, &m, e);
	meant_done(&m);
	return rc;
}

int session_effect(struct session *s, const struct group_effect *effect, struct err *e)
{
	switch (effect->kind) {
	case GROUP_CREATES:
		return session_knows(s, effect->db, effect->table)
			       ? 0
			       : session_created(s, effect->db, effect->table, effect->order + 1,
						 e);
	case GROUP_KEEPS:
		return session_knows(s, effect->db, effect->table)
			       ? 0
			       : session_meet_kept(s, effect->db, effect->table, e);
	case GROUP_REWRITES:
		/* a table that we have never seen has no rows to lose, but may have some to gain */
		if (effect->table[0] != '\0')
			return rewrite(s, effect, effect->db, effect->table, e);
		return act_on_meant(s, effect, e);
	case GROUP_EMPTIES:
		return act_on_meant(s, effect, e);
	}
	return 0;
}
