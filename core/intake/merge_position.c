/*
 * merge_position.c - where the merge stands, brought up to date at each source transaction's end.
 *
 * Only the partitions that moved since the last end are touched, and the GTID set becomes text only
 * when somebody asks: a view that commits every thousand transactions pays for one in a thousand.
 */
#include "core/intake/merge_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

struct standing *merge_standing_new(struct merge *m, const struct intake_position *from)
{
	struct standing *s = xcalloc(1, sizeof(*s));
	struct intake_position *p = &s->position;
	struct err ignored;

	if (from != NULL) {
		intake_position_copy(from, p);
		for (size_t i = 0; i < p->partition_count; i++)
			free(p->partitions[i].topic);
		free(p->partitions);
		(void)gtid_set_parse(slice_str(p->gtid_set), &s->gtids,
				     &ignored); /* else it starts empty */
	} else {
		p->gtid_set = xstrdup("");
	}
	p->partition_count = m->part_count;
	p->partitions = xcalloc(m->part_count + 1, sizeof(*p->partitions));
	for (size_t i = 0; i < m->part_count; i++) {
		p->partitions[i] =
			(struct intake_partition){ xstrdup(m->parts[i].topic), m->parts[i].number,
						   m->parts[i].next_offset, m->parts[i].taken };
	}
	return s;
}

void merge_standing_free(struct standing *s)
{
	if (s == NULL)
		return;
	intake_position_done(&s->position);
	gtid_set_done(&s->gtids);
	free(s);
}

static bool same_copying(const struct intake_position *p, const struct record_texts *copying)
{
	size_t n = 0;

	for (; p->copying != NULL && p->copying[n] != NULL; n++) {
		if (n >= copying->count || strcmp(p->copying[n], copying->items[n]) != 0)
			return false;
	}
	return n == copying->count;
}

static void set_copying(struct intake_position *p, const struct record_texts *copying)
{
	if (same_copying(p, copying))
		return;
	for (size_t i = 0; p->copying != NULL && p->copying[i] != NULL; i++)
		free(p->copying[i]);
	free(p->copying);
	p->copying = xcalloc(copying->count + 1, sizeof(*p->copying));
	for (size_t i = 0; i < copying->count; i++)
		p->copying[i] = xstrdup(copying->items[i]);
}

static int64_t since_of(const struct intake_position *p, const char *table, int64_t now_us)
{
	for (size_t i = 0; i < p->reconciling_count; i++)
		if (strcmp(p->reconciling[i].table, table) == 0)
			return p->reconciling[i].since_us;
	return now_us;
}

/* A table keeps the time at which it was named first. */
static void set_reconciling(struct intake_position *p, const struct record_texts *tables,
			    int64_t at_us)
{
	struct intake_reconciling *now;

	if (tables->count == 0 && p->reconciling_count == 0)
		return;
	now = xcalloc(tables->count + 1, sizeof(*now));
	for (size_t i = 0; i < tables->count; i++)
		now[i] = (struct intake_reconciling){ xstrdup(tables->items[i]),
						      since_of(p, tables->items[i], at_us) };
	for (size_t i = 0; i < p->reconciling_count; i++)
		free(p->reconciling[i].table);
	free(p->reconciling);
	p->reconciling = now;
	p->reconciling_count = tables->count;
}

static bool names(const struct record_texts *texts, const char *table)
{
	for (size_t i = 0; i < texts->count; i++)
		if (strcmp(texts->items[i], table) == 0)
			return true;
	return false;
}

static void leave_copying(struct intake_position *p, const struct record_texts *copied)
{
	size_t kept = 0;

	if (p->copying == NULL || copied->count == 0)
		return;
	for (size_t i = 0; p->copying[i] != NULL; i++) {
		if (names(copied, p->copying[i]))
			free(p->copying[i]);
		else
			p->copying[kept++] = p->copying[i];
	}
	p->copying[kept] = NULL;
}

static void leave_reconciling(struct intake_position *p, const struct record_texts *reconciled)
{
	size_t kept = 0;

	for (size_t i = 0; reconciled->count > 0 && i < p->reconciling_count; i++) {
		if (names(reconciled, p->reconciling[i].table))
			free(p->reconciling[i].table);
		else
			p->reconciling[kept++] = p->reconciling[i];
	}
	if (reconciled->count > 0)
		p->reconciling_count = kept;
}

static void set_lists(struct intake_position *p, const struct commit_record *c)
{
	if (c->unchanged) {
		leave_copying(p, &c->copied);
		leave_reconciling(p, &c->reconciled);
	} else {
		set_copying(p, &c->copying);
		set_reconciling(p, &c->reconciling, c->at_us);
	}
}

/* The commit record knows better than the sum of its parts: also what wasn't captured. */
static void stand_at_end(struct merge *m, struct standing *s)
{
	const struct commit_record *c = &m->commit;

	s->position.commits_offset = m->offset + 1;
	s->position.bytes_total = c->bytes_total;
	s->position.transactions_total = c->transactions_total;
	gtid_set_copy(&s->gtids, &m->commit_gtids);
	set_lists(&s->position, c);
}

void merge_stand(struct merge *m, const struct commit_transaction *t, bool last)
{
	struct standing *s = m->standing;
	struct err ignored;

	for (size_t i = 0; i < m->marked_count; i++) {
		struct part *p = &m->parts[m->marked[i]];

		s->position.partitions[m->marked[i]].offset = p->next_offset;
		s->position.partitions[m->marked[i]].taken = p->taken;
		p->marked = false;
	}
	m->marked_count = 0;
	s->position.seq = m->end_seq;
	s->position.commits_offset = m->offset;
	s->stale = true;
	if (t != NULL) {
		s->position.commit_us = t->commit_us;
		s->position.transactions_total++;
		/* a chunk of a copy has no GTID, and moves nothing */
		(void)gtid_set_add(&s->gtids, slice_str(t->gtid),
				   &ignored); /* too many domains: it stays behind */
	}
	if (last)
		stand_at_end(m, s);
}

const struct intake_position *merge_position(const struct merge *m)
{
	struct standing *s = m->standing;
	struct buf text = BUF_INIT;

	if (!s->stale)
		return &s->position;
	gtid_set_text(&s->gtids, &text);
	free(s->position.gtid_set);
	s->position.gtid_set = xstrdup(buf_cstr(&text));
	buf_done(&text);
	s->stale = false;
	return &s->position;
}

int64_t merge_next_commit_offset(const struct merge *m)
{
	return m->standing->position.commits_offset;
}
