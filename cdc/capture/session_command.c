/* session_command.c - what the API asks of the pipeline, done between two source transactions.
 *
 * What a command changes is part of the next position; it is committed before the answer goes out,
 * so that an answer never speaks of what a crash could undo. */
#include "cdc/capture/session_priv.h"

#include "core/base/quote.h"

#include <inttypes.h>
#include <stdlib.h>

void session_take_commands(struct session *s, struct command_box *box)
{
	s->commands = box;
}

/* ---- copies --------------------------------------------------------------------------------- */

/* "db.table" of `list` (comma-separated) from *at on. */
static bool next_table(const char **at, struct buf *db, const char **ret_db, const char **ret_table)
{
	const char *from = *at, *end;
	char *dot;

	while (*from == ',' || *from == ' ')
		from++;
	if (*from == '\0')
		return false;
	end = from + strcspn(from, ",");
	while (end > from && end[-1] == ' ')
		end--;
	buf_reset(db);
	buf_add(db, from, (size_t)(end - from));
	dot = strchr(buf_cstr(db), '.');
	*ret_db = (char *)db->data;
	*ret_table = "";
	if (dot != NULL) {
		*dot = '\0';
		*ret_table = dot + 1;
	}
	*at = end;
	return true;
}

static int check_table(const struct session *s, const char *db, const char *table, struct err *e)
{
	if (table[0] == '\0') {
		err_config(e, "'%s' is not of the form db.table", db);
		return -1;
	}
	if (catalog_captures(s->catalog, slice_str(db), slice_str(table)) &&
	    copy_knows(s->copy, db, table))
		return 0;
	err_config(e, "%s.%s is not captured", db, table);
	return err_hint(e, "Tables are named db.table, with their case, as capture.tables has "
			   "them.");
}

/* Without a key a row can't be found again: the table is compared whole, or not at all. */
static int check_where(const struct session *s, const struct command *c, const char *db,
		       const char *table, struct err *e)
{
	const struct shape *shape = publisher_shape(s->publisher, db, table);
	const char *where = command_text(c, "where");

	if (where == NULL || where[0] == '\0' || shape == NULL || shape->key_count > 0)
		return 0;
	err_config(e, "table %s.%s has no primary key: it is compared whole, not by a condition",
		   db, table);
	return err_hint(e, "millrace snapshot %s.%s, without --where.", db, table);
}

static void put_copy(struct buf *out, const char *db, const char *table, int64_t id)
{
	struct buf name = BUF_INIT;

	if (out->data[out->size - 1] != '[')
		buf_add_u8(out, ',');
	buf_add_format(&name, "%s.%s", db, table);
	buf_add_str(out, "{\"table\":");
	quote_json(out, buf_slice(&name));
	buf_add_format(out, ",\"id\":%" PRId64 ",\"kind\":\"%s\"}", id,
		       id == 0 ? "first" : "reconcile");
	buf_done(&name);
}

static int want(struct session *s, const struct command *c, const char *db, const char *table,
		struct buf *out, struct err *e)
{
	const char *where = command_text(c, "where");

	if (copy_is_copying(s->copy, db, table)) { /* it is being copied: that does it all */
		put_copy(out, db, table, 0);
		return 0;
	}
	if (where == NULL)
		where = "";
	if (reconcile_want(s->reconcile, db, table, where, "millrace snapshot", e) < 0)
		return -1;
	put_copy(out, db, table, reconcile_id_of(s->reconcile, db, table, where));
	return 0;
}

static int change_copy(struct session *s, const struct command *c, const char *db,
		       const char *table, struct buf *out, struct err *e)
{
	const char *action = command_text(c, "action");
	size_t changed = 0;

	if (strcmp(action, "copy") == 0)
		return want(s, c, db, table, out, e);
	/* a first copy that is stopped rests: its table stays incomplete, and named */
	changed = copy_pause(s->copy, db, table, strcmp(action, "resume") != 0);
	if (strcmp(action, "stop") == 0)
		changed += reconcile_stop(s->reconcile, db, table);
	else
		changed += reconcile_pause(s->reconcile, db, table, strcmp(action, "pause") == 0);
	if (changed > 0)
		put_copy(out, db, table, 1);
	return 0;
}

static int copies(struct session *s, const struct command *c, struct buf *out, struct err *e)
{
	const char *tables = command_text(c, "tables"), *at, *db, *table;
	struct buf name = BUF_INIT;
	int rc = 0;

	for (at = tables; rc == 0 && next_table(&at, &name, &db, &table);)
		rc = check_table(s, db, table, e) < 0 ? -1 : check_where(s, c, db, table, e);
	buf_add_str(out, "{\"copies\":[");
	for (at = tables; rc == 0 && next_table(&at, &name, &db, &table);)
		rc = change_copy(s, c, db, table, out, e);
	buf_add_str(out, "]}");
	buf_done(&name);
	commit_batch_move(&s->batch);
	return rc;
}

static int list_copies(struct session *s, const struct command *c, struct buf *out, struct err *e)
{
	size_t count;
	const struct status_copy *first = copy_status(s->copy, 0, &count);
	const char *comma = "";

	(void)c;
	(void)e;
	buf_add_str(out, "{\"first\":[");
	for (size_t i = 0; i < count; i++, comma = ",") {
		buf_add_format(out, "%s{\"table\":", comma);
		quote_json(out, slice_str(first[i].table));
		buf_add_format(out,
			       ",\"rows\":%" PRId64 ",\"rows_estimate\":%" PRId64
			       ",\"rate\":%.1f,\"done\":%s,\"paused\":%s}",
			       first[i].rows, first[i].rows_estimate, first[i].rate,
			       first[i].done ? "true" : "false",
			       first[i].paused ? "true" : "false");
	}
	buf_add_str(out, "],\"reconciling\":");
	reconcile_json(s->reconcile, out);
	buf_add_u8(out, '}');
	return 0;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct session *s, const struct command *c, struct buf *out, struct err *e);
	bool changes; /* the position */
} commands[] = {
	{ "copies", copies, true },
	{ "list copies", list_copies, false },
	{ "parked", session_parked, true },
};

static int run(struct session *s, struct command *c, struct err *e)
{
	struct buf out = BUF_INIT;
	struct err failure = ERR_INIT;
	int rc = -1;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, command_name(c)) != 0)
			continue;
		rc = commands[i].run(s, c, &out, &failure);
		if (commands[i].changes && session_commit(s, e) < 0) {
			command_fail(s->commands, c, e);
			buf_done(&out);
			return -1;
		}
	}
	if (rc == 0)
		command_answer(s->commands, c, buf_slice(&out));
	else if (failure.kind != ERR_NONE)
		command_fail(s->commands, c, &failure);
	else
		err_fatal(&failure, "no such command"), command_fail(s->commands, c, &failure);
	buf_done(&out);
	return 0;
}

int session_commands(struct session *s, struct err *e)
{
	struct command *c;

	if (s->open_gtid[0] != '\0') /* a source transaction goes on: its commit is not ours */
		return 0;
	while ((c = command_take(s->commands)) != NULL)
		if (run(s, c, e) < 0)
			return -1;
	return 0;
}
