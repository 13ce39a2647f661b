/*
 * intake_reconciling.c - which of the tables that are being reconciled matter to this reader.
 *
 * A row topic says by its name which table it is of; an event topic by the schemas registered for
 * it, each of which names the table that the event is made from. These are looked up when the list
 * of tables has changed, which is rare: at a group commit nothing is asked.
 *
 * In doubt a table matters: an event topic of which no schema is known yet is taken to be made from
 * any table.
 */
#include "core/intake/intake_priv.h"

#include "core/avro/event_schema.h"
#include "core/base/mem.h"

#include <stdlib.h>

struct looking {
	const struct intake *in;
	const char *topic, *table;
	bool known, found;
};

/* Subjects are <topic>-<record name> for events. */
static void look_at(const struct registry_schema *schema, void *context)
{
	struct looking *l = context;
	size_t n = strlen(l->topic);
	char *table = NULL;

	if (l->found || strncmp(schema->subject, l->topic, n) != 0 || schema->subject[n] != '-' ||
	    strcmp(schema->subject + n, "-key") == 0)
		return;
	table = event_schema_table(slice_str(schema->text));
	if (table == NULL)
		return;
	l->known = true;
	l->found = strcmp(table, l->table) == 0;
	free(table);
}

/* <name>.<db>.<table>, each part escaped. A database's name may hold a '.': each is tried. */
static bool is_row_topic_of(const struct intake *in, const char *topic, const char *table)
{
	bool found = false;

	for (const char *dot = strchr(table, '.'); dot != NULL && !found;
	     dot = strchr(dot + 1, '.')) {
		char *db = xstrndup(table, (size_t)(dot - table));
		struct buf name = BUF_INIT;

		buf_add(&name, in->commits, strlen(in->commits) - strlen("commits"));
		schema_escape_name(db, &name);
		buf_add_u8(&name, '.');
		schema_escape_name(dot + 1, &name);
		found = slice_is(buf_slice(&name), topic);
		buf_done(&name);
		free(db);
	}
	return found;
}

/* Named as row topics are: two more parts behind the capture's name. */
static bool is_row_topic(const struct intake *in, const char *topic)
{
	size_t n = strlen(in->commits) - strlen("commits");

	return strncmp(topic, in->commits, n) == 0 && strchr(topic + n, '.') != NULL;
}

static bool matters(struct intake *in, const char *table)
{
	for (size_t i = 0; i < in->topic_count; i++) {
		struct looking l = { .in = in, .topic = in->topics[i], .table = table };

		if (is_row_topic(in, l.topic)) {
			if (is_row_topic_of(in, l.topic, table))
				return true;
			continue;
		}
		registry_each(in->registry, look_at, &l);
		if (l.found || !l.known)
			return true;
	}
	return false;
}

static bool unchanged(const struct intake *in, const struct intake_position *p)
{
	if (in->judged_count != p->reconciling_count)
		return false;
	for (size_t i = 0; i < in->judged_count; i++)
		if (strcmp(in->judged[i].table, p->reconciling[i].table) != 0 ||
		    in->judged[i].since_us != p->reconciling[i].since_us)
			return false;
	return true;
}

void intake_reconciling_done(struct intake *in)
{
	for (size_t i = 0; i < in->judged_count; i++)
		free(in->judged[i].table);
	free(in->judged);
	free(in->mine);
	in->judged = NULL;
	in->mine = NULL;
	in->judged_count = in->mine_count = 0;
}

static void judge(struct intake *in, const struct intake_position *p)
{
	struct err ignored = ERR_INIT;

	intake_reconciling_done(in);
	(void)registry_refresh(in->registry, &ignored); /* else what is known must do */
	in->judged = xcalloc(p->reconciling_count + 1, sizeof(*in->judged));
	in->mine = xcalloc(p->reconciling_count + 1, sizeof(*in->mine));
	for (size_t i = 0; i < p->reconciling_count; i++) {
		struct intake_reconciling *r = &in->judged[in->judged_count++];

		r->table = xstrdup(p->reconciling[i].table);
		r->since_us = p->reconciling[i].since_us;
		if (matters(in, r->table))
			in->mine[in->mine_count++] = *r;
	}
}

const struct intake_reconciling *intake_reconciling(struct intake *in, size_t *ret_count)
{
	const struct intake_position *p = merge_position(in->merge);

	if (!unchanged(in, p))
		judge(in, p);
	*ret_count = in->mine_count;
	return in->mine;
}
