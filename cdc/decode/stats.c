/* stats.c - counts what a walk shows.
 *
 * Rows are counted by decoding them, so that what could not be decoded is no number here either.
 * Tables are found by name in a hash; they are printed by name. */
#include "cdc/decode/stats.h"

#include "cdc/decode/stats_priv.h"
#include "core/base/mem.h"

#include <stdlib.h>

struct stats *stats_new(void)
{
	return xcalloc(1, sizeof(struct stats));
}

void stats_free(struct stats *s)
{
	struct stats_table *t, *next;

	if (s == NULL)
		return;
	HASH_ITER(hh, s->tables, t, next)
	{
		HASH_DEL(s->tables, t);
		free(t);
	}
	gtid_set_done(&s->gtids);
	free(s->largest_bytes.file);
	free(s->largest_rows.file);
	free(s);
}

void stats_file(struct stats *s)
{
	s->files++;
}

static struct stats_table *find_table(struct stats *s, const char *db, const char *table)
{
	size_t db_size = strlen(db) + 1, size = db_size + strlen(table);
	struct stats_table *t = NULL;
	char key[520];

	if (s->last != NULL && strcmp(s->last->name, db) == 0 &&
	    strcmp(s->last->name + db_size, table) == 0)
		return s->last;
	if (size < sizeof(key)) { /* both names have at most 255 bytes */
		memcpy(key, db, db_size);
		memcpy(key + db_size, table, size - db_size);
		HASH_FIND(hh, s->tables, key, size, t);
	}
	if (t == NULL) {
		t = xcalloc(1, sizeof(*t) + size + 1);
		memcpy(t->name, db, db_size);
		memcpy(t->name + db_size, table, size - db_size);
		t->table = t->name + db_size;
		HASH_ADD_KEYPTR(hh, s->tables, t->name, size, t);
	}
	s->last = t;
	return t;
}

static int count_rows(struct stats *s, struct walk *w, const struct walk_event *ev, struct err *e)
{
	struct stats_table *t;
	struct walk_rows r;
	uint64_t before = ev->transaction->rows;
	int rc;

	if (ev->table->shape == NULL)
		return 0;
	if (walk_rows_begin(w, ev, &r, e) < 0)
		return -1;
	t = find_table(s, ev->table->db, ev->table->table);
	while ((rc = walk_rows_next(w, ev, &r, e)) == 1)
		;
	t->rows[r.rows.kind] += ev->transaction->rows - before;
	s->rows[r.rows.kind] += ev->transaction->rows - before;
	t->bytes += ev->event->header.size;
	return rc;
}

static void keep_larger(struct stats_largest *l, bool larger, const struct walk *w,
			const struct walk_transaction *t)
{
	if (!larger)
		return;
	free(l->file);
	l->file = xstrdup(walk_file_name(w));
	l->transaction = *t;
}

static int end_transaction(struct stats *s, struct walk *w, const struct walk_event *ev,
			   struct err *e)
{
	const struct walk_transaction *t = ev->transaction;

	s->ends[ev->end]++;
	keep_larger(&s->largest_bytes, t->bytes > s->largest_bytes.transaction.bytes, w, t);
	keep_larger(&s->largest_rows, t->rows > s->largest_rows.transaction.rows, w, t);
	if (t->id[0] == '\0') {
		s->anonymous++;
		return 0;
	}
	if (s->first_gtid[0] == '\0')
		memcpy(s->first_gtid, t->id, sizeof(s->first_gtid));
	memcpy(s->last_gtid, t->id, sizeof(s->last_gtid));
	/* as a position, that is; of another dialect (a file of another server), it begins anew */
	return gtid_set_add(&s->gtids, slice_str(t->id), e);
}

static void note_time(struct stats *s, int64_t time_us)
{
	if (time_us == 0)
		return;
	if (s->first_us == 0 || time_us < s->first_us)
		s->first_us = time_us;
	if (time_us > s->last_us)
		s->last_us = time_us;
}

int stats_add(struct stats *s, struct walk *w, const struct walk_event *ev, struct err *e)
{
	struct stats_count *type = &s->types[ev->event->header.type];
	uint64_t size = ev->inside ? 0 : ev->event->header.size;

	type->events++;
	type->bytes += size;
	s->all.events++;
	s->all.bytes += size;
	note_time(s, ev->transaction != NULL ? ev->transaction->time_us
					     : (int64_t)ev->event->header.timestamp * 1000000);
	if (rows_is(ev->event->header.type) && count_rows(s, w, ev, e) < 0)
		return -1;
	if (ev->query.text.data != NULL && ev->end != WALK_ROLLBACK)
		s->statements += ev->kind >= STATEMENT_CREATE_TABLE;
	return ev->end != WALK_GOES_ON ? end_transaction(s, w, ev, e) : 0;
}
