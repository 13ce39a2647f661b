/* session_resume.c - a session goes on at a position: what the position says of each table meets
 * the tables as the source has them now.
 *
 * There may be ten thousand of both, so neither list is searched for each entry of the other. */
#include "cdc/capture/session_priv.h"

#include "cdc/delivery/position.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Tables and events may come and go: the operator hears of it. */
static int compare_configuration(struct session *s, const char *stored, struct err *e)
{
	struct buf notes = BUF_INIT;
	int rc = position_compare(stored, buf_cstr(&s->fingerprint), &notes, e);
	char *line = buf_cstr(&notes), *rest;

	for (; rc == 0 && *line != '\0'; line = rest) {
		rest = line + strcspn(line, "\n");
		if (*rest != '\0')
			*rest++ = '\0';
		log_warning("capture", "%s", line);
	}
	buf_done(&notes);
	return rc;
}

/* ---- first copies of the position, by name -------------------------------------------------- */

struct entries {
	const struct position_copy **items;
	size_t count;
};

static int by_name(const void *left, const void *right)
{
	const struct position_copy *a = *(const struct position_copy *const *)left;
	const struct position_copy *b = *(const struct position_copy *const *)right;
	int order = strcmp(a->db, b->db);

	return order != 0 ? order : strcmp(a->table, b->table);
}

static struct entries entries_of(const struct position_record *position)
{
	struct entries entries = { xcalloc(position->copy_count + 1, sizeof(*entries.items)), 0 };

	for (size_t i = 0; i < position->copy_count; i++)
		if (strcmp(position->copies[i].kind, "first") == 0)
			entries.items[entries.count++] = &position->copies[i];
	qsort(entries.items, entries.count, sizeof(*entries.items), by_name);
	return entries;
}

static const struct position_copy *find_entry(const struct entries *entries,
					      const struct shape *shape)
{
	const struct position_copy wanted = { .db = shape->db, .table = shape->table };
	const struct position_copy *key = &wanted, *const *found;

	found = bsearch(&key, entries->items, entries->count, sizeof(*entries->items), by_name);
	return found != NULL ? *found : NULL;
}

/* ---- tables --------------------------------------------------------------------------------- */

/* A table that the position doesn't know is copied, unless it is not wanted. */
static int new_table(struct session *s, const struct source_table *table, bool *ret_new,
		     struct err *e)
{
	bool copied = !s->settings->copy_new_tables;
	char *topic = publisher_row_topic(s->publisher, table->shape);
	int rc = position_new_table(s->settings, s->admin, topic, e);

	if (rc == 0 && !copied)
		log_info("capture", "%s.%s is new: it is copied", table->shape->db,
			 table->shape->table);
	if (rc == 0 && copied)
		log_warning(
			"capture",
			"%s.%s is new: without a copy (copy.new_tables = off), its topic begins "
			"with the next change",
			table->shape->db, table->shape->table);
	free(topic);
	*ret_new = true;
	return rc < 0 ? -1 : copy_table(s->copy, table->shape, &table->source, NULL, copied, e);
}

/* Tables of the position that were dropped since: their DROP may lie ahead. */
static void take_gone(struct session *s, const struct position_record *position)
{
	for (size_t i = 0; i < position->copy_count; i++) {
		const struct position_copy *known = &position->copies[i];

		if (strcmp(known->kind, "reconcile") == 0 ||
		    copy_knows(s->copy, known->db, known->table) ||
		    !catalog_captures(s->catalog, slice_str(known->db), slice_str(known->table)))
			continue;
		log_warning("capture", "%s.%s does not exist (any more)", known->db, known->table);
		session_more_table(s, known);
	}
}

static int take_tables(struct session *s, const struct position_record *position,
		       const struct source_tables *tables, bool *ret_new, struct err *e)
{
	struct entries entries = entries_of(position);
	int rc = 0;

	for (size_t i = 0; i < tables->count && rc == 0; i++) {
		const struct source_table *t = &tables->items[i];
		const struct position_copy *known = find_entry(&entries, t->shape);

		rc = known == NULL ? new_table(s, t, ret_new, e)
				   : copy_table(s->copy, t->shape, &t->source, known, false, e);
	}
	if (rc == 0)
		take_gone(s, position);
	free(entries.items);
	return rc;
}

int session_resume(struct session *s, const struct position_record *position,
		   const struct source_tables *tables, bool *ret_new, struct err *e)
{
	if (compare_configuration(s, position->fingerprint, e) < 0 ||
	    gtid_set_parse(slice_str(position->gtid_set), &s->gtid_set, e) < 0)
		return -1;
	(void)snprintf(s->file, sizeof(s->file), "%s", position->file); /* same size */
	s->file_position = (uint64_t)position->file_position;
	s->file_created = (uint32_t)position->file_created;
	s->seq = position->seq;
	s->commit_us = position->commit_us;
	s->bytes_total = position->bytes_total;
	s->transactions_total = position->transactions_total;
	if (position->open_gtid != NULL)
		(void)snprintf(s->open_gtid, sizeof(s->open_gtid), "%s",
			       position->open_gtid); /* a longer one matches nothing */
	s->open_changes = position->open_changes;
	session_xa_resume(s, position);
	if (take_tables(s, position, tables, ret_new, e) < 0)
		return -1;
	log_info("capture", "goes on behind seq %" PRId64 ", %s%s%s", s->seq, position->gtid_set,
		 s->open_gtid[0] != '\0' ? ", inside " : "", s->open_gtid);
	return 0;
}
