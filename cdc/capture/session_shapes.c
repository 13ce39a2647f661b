/* session_shapes.c - what the catalog has to be told where the binlog doesn't name columns (catalog
 * mode): information_schema, and the statements that lie between the stream and the present.
 *
 * An answer holds from behind the last statement on. So that none is missed, in this order:
 *
 *   1. where is the end of the binlog?
 *   2. a read that waits for a statement on the table that is not finished (MySQL 8 shows its
 *      columns as they were until it is, while the binlog has it already)
 *   3. information_schema
 *   4. the binlog, read on to its end: if it has a statement on the table behind 1., again
 *
 * Asked at the start for every table, behind each statement on one, and by the catalog itself when
 * a row comes whose columns are not known. */
#include "cdc/capture/session_priv.h"

#include "cdc/source/ahead.h"
#include "core/avro/row_schema.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/notify.h"
#include "core/mysql/db.h"
#include "core/mysql/db_position.h"

#include "core/value/row.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES_MAX 50 /* a table that is altered without a pause */
#define DD_MYSQL 80000
#define NOT_KEPT (-1)

struct asking {
	struct session *s;
	struct db *db;
	const char *db_name, *table;
	uint64_t end;                   /* of the binlog, before the question */
	bool late;                      /* a statement on the table lies behind it */
	const struct gtid_set *present; /* where the stream will begin, if not at the position */
};

/* ---- the binlog ahead ----------------------------------------------------------------------- */

static bool same(const char *pattern, const char *name)
{
	return pattern[0] == '\0' || strcmp(pattern, name) == 0;
}

static void found(void *context, const char *db, const char *table, uint64_t at)
{
	struct asking *a = context;

	catalog_found(a->s->catalog, db, table, at);
	if (a->table != NULL && at > a->end && same(db, a->db_name) && same(table, a->table))
		a->late = true;
}

static void turn(void *context)
{
	struct asking *a = context;

	notify_watchdog();
	report_turn(a->s->report);
}

/* From where it was read to, or from where the stream stands if that is farther. */
static int read_ahead(struct asking *a, struct err *e)
{
	const struct ahead_reader reader = { a, found, turn };
	struct session *s = a->s;
	const char *file = group_file(s->group);
	uint64_t offset = group_file_position(s->group);
	struct ahead *ahead = &s->ahead;
	struct buf gtid = BUF_INIT;
	int rc;

	if (file[0] != '\0' &&
	    (ahead->file[0] == '\0' ||
	     gtid_file_ordinal(ahead->file, ahead->offset) < gtid_file_ordinal(file, offset))) {
		(void)snprintf(ahead->file, sizeof(ahead->file), "%s", file); /* same size */
		ahead->offset = offset;
	}
	gtid_set_text(a->present != NULL ? a->present : &s->gtid_set, &gtid);
	rc = ahead_read(s->settings, buf_cstr(&gtid), ahead, &reader, e);
	buf_done(&gtid);
	return rc;
}

/* ---- one table ------------------------------------------------------------------------------ */

static int read_end(struct asking *a, struct err *e)
{
	struct gtid_set end = GTID_SET_INIT;
	int rc = db_binlog_end(a->db, &end, e);

	if (rc == 0)
		a->end = gtid_file_ordinal(end.file, end.offset);
	gtid_set_done(&end);
	return rc;
}

/* That there is none of this name is found out later. */
static int wait_for_it(struct asking *a, struct err *e)
{
	struct buf sql = BUF_INIT;
	struct err failure = ERR_INIT;
	int rc;

	if (db_is_mariadb(a->db) || db_server_number(a->db) < DD_MYSQL)
		return 0; /* information_schema itself waits */
	buf_add_str(&sql, "SELECT 1 FROM ");
	row_quote_name(a->db_name, &sql);
	buf_add_str(&sql, ".");
	row_quote_name(a->table, &sql);
	buf_add_str(&sql, " LIMIT 0");
	rc = db_run(a->db, buf_cstr(&sql), &failure);
	buf_done(&sql);
	if (rc < 0 && failure.kind != ERR_CONFIG) {
		*e = failure;
		return -1;
	}
	return 0;
}

static int read_shape(struct asking *a, struct shape **ret_shape, struct err *e)
{
	bool exists = false;

	if (session_exists_on(a->db, a->db_name, a->table, &exists, e) < 0)
		return -1;
	*ret_shape = NULL;
	return exists ? catalog_read_shape(a->db, a->db_name, a->table, ret_shape, e) : 0;
}

static int ask_once(struct asking *a, struct err *e)
{
	struct shape *shape = NULL;
	int rc;

	a->late = false;
	if (read_end(a, e) < 0 || wait_for_it(a, e) < 0 || read_shape(a, &shape, e) < 0)
		return -1;
	rc = read_ahead(a, e);
	if (rc == 0 && !a->late)
		catalog_told(a->s->catalog, a->db_name, a->table, shape);
	shape_unref(shape);
	return rc;
}

static int ask_on(struct session *s, struct db *db, const char *db_name, const char *table,
		  struct err *e)
{
	struct asking a = { .s = s, .db = db, .db_name = db_name, .table = table };

	for (int i = 0; i < TRIES_MAX; i++) {
		if (ask_once(&a, e) < 0)
			return err_wrap(e, "columns of %s.%s", db_name, table);
		if (!a.late)
			return 0;
	}
	return err_retry(e,
			 "table %s.%s is altered again and again while its columns are asked for",
			 db_name, table);
}

static int ask(void *context, const char *db_name, const char *table, struct err *e)
{
	struct session *s = context;
	struct db *db = NULL;
	int rc = db_open(s->settings, DB_TEXT_UTF8, &db, e);

	if (!s->catalog_mode)
		log_warning("capture",
			    "the binlog names no columns any more (binlog_row_metadata): shapes "
			    "come from information_schema now (catalog mode)");
	s->catalog_mode = true;
	if (rc == 0)
		rc = ask_on(s, db, db_name, table, e);
	if (db != NULL)
		db_close(db);
	return rc;
}

/* Hints are younger than the stream: they hold for tables on which nothing lies between. */
static int read_ahead_of_hints(struct session *s, struct err *e)
{
	struct asking a = { .s = s };

	return s->hinted || catalog_has_hints(s->catalog) ? read_ahead(&a, e) : 0;
}

/* ---- all that are wanted -------------------------------------------------------------------- */

/* Behind a statement. What can't be asked for now is asked for again when a row comes. */
int session_shapes_ask(struct session *s, struct db *db, struct err *e)
{
	const char *db_name, *table;
	size_t at = 0;

	if (!s->catalog_mode)
		return read_ahead_of_hints(s, e);
	while (catalog_next_wanted(s->catalog, &at, &db_name, &table)) {
		if (ask_on(s, db, db_name, table, e) == 0)
			continue;
		if (e->kind != ERR_CONFIG)
			return -1;
		log_warning("capture", "%.*s", (int)strcspn(e->msg, "\n"), e->msg);
		err_clear(e);
	}
	return 0;
}

/* ---- kept in the registry, by the position -------------------------------------------------- */

static int keep(struct session *s, const struct shape *shape, struct err *e)
{
	char *topic = publisher_row_topic(s->publisher, shape);
	char *subject = xasprintf("%s-value", topic);
	struct buf text = BUF_INIT;
	int32_t id = 0;
	int rc = row_schema_envelope(s->settings->name, shape, &text, e);

	if (rc == 0)
		rc = registry_register(s->registry, subject, buf_cstr(&text), &id, e);
	if (rc == 0)
		catalog_kept(s->catalog, shape->db, shape->table, id);
	buf_done(&text);
	free(subject);
	free(topic);
	return rc < 0 ? err_wrap(e, "shape of %s.%s", shape->db, shape->table) : 0;
}

/* Of other tables the binlog says it all. */
static bool is_to_be_kept(const struct session *s, const struct shape *shape)
{
	bool hidden = s->catalog_mode;

	for (uint16_t i = 0; i < shape->column_count && !hidden; i++)
		hidden = column_is_hidden(&shape->columns[i]);
	return hidden;
}

static int keep_one(struct session *s, const struct lineage_span *here, struct err *e)
{
	if (here->id != 0)
		return 0;
	if (is_to_be_kept(s, here->shape))
		return keep(s, here->shape, e);
	catalog_kept(s->catalog, here->shape->db, here->shape->table, NOT_KEPT);
	return 0;
}

int session_shapes_keep(struct session *s, struct position_copy *copies, size_t count,
			struct err *e)
{
	s->hinted = s->hinted || catalog_has_hints(s->catalog);
	for (size_t i = 0; i < count && (s->catalog_mode || s->hinted); i++) {
		struct position_copy *c = &copies[i];
		const struct lineage_span *here;

		if (strcmp(c->kind, "first") != 0)
			continue;
		here = catalog_in_force(s->catalog, c->db, c->table);
		if (here != NULL && keep_one(s, here, e) < 0)
			return -1;
		c->shape = here != NULL && here->id > 0 ? here->id : 0;
	}
	return 0;
}

static int take_kept(struct session *s, const struct position_copy *c, struct err *e)
{
	struct registry_schema schema;
	struct shape *shape = NULL;

	if (registry_by_id(s->registry, (int32_t)c->shape, &schema, e) < 0 ||
	    row_schema_shape(slice_str(schema.text), c->db, c->table, &shape, e) < 0)
		return err_wrap(e, "schema %lld, which the position names", (long long)c->shape);
	s->hinted = true;
	catalog_was(s->catalog, shape);
	shape_unref(shape);
	catalog_kept(s->catalog, c->db, c->table, (int32_t)c->shape);
	return 0;
}

static int take_all_kept(struct session *s, const struct position_record *position, struct err *e)
{
	for (size_t i = 0; position != NULL && i < position->copy_count; i++)
		if (position->copies[i].shape > 0 &&
		    catalog_tracks(s->catalog, position->copies[i].db, position->copies[i].table) &&
		    take_kept(s, &position->copies[i], e) < 0)
			return -1;
	return 0;
}

/* ---- the start ------------------------------------------------------------------------------ */

/* present: the stream begins there, what lies before it is lost; else NULL.
 *
 * Tables of the start: read before the binlog was read on to its end, so what lies ahead of none
 * holds. The others are asked for one by one. */
int session_shapes_open(struct session *s, struct db *db, const struct position_record *position,
			const struct gtid_set *present, const struct source_tables *tables,
			struct err *e)
{
	const struct catalog_source source = { s, ask };
	struct asking a = { .s = s, .present = present };

	catalog_ask_by(s->catalog, &source);
	s->ahead.file[0] = '\0';
	if (present == NULL && take_all_kept(s, position, e) < 0)
		return -1;
	if (!s->catalog_mode && !s->hinted && !catalog_has_hints(s->catalog))
		return 0;
	if (read_ahead(&a, e) < 0)
		return -1;
	for (size_t i = 0; i < tables->count; i++) {
		struct shape *shape = tables->items[i].shape;

		if (!is_to_be_kept(s, shape))
			continue;
		if (!catalog_has_ahead(s->catalog, shape->db, shape->table))
			catalog_told(s->catalog, shape->db, shape->table, shape);
		else if (ask_on(s, db, shape->db, shape->table, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- read once more, from an older place (session_xa.c) ------------------------------------- */

struct looking_back {
	struct session *s;
	uint64_t stream; /* where it stands */
};

/* Up to the stream only: what lies behind it changes nothing here. */
static void found_back(void *context, const char *db, const char *table, uint64_t at)
{
	struct looking_back *b = context;

	if (at <= b->stream)
		catalog_found(b->s->xa_catalog, db, table, at);
}

static int ask_back(void *context, const char *db, const char *table, struct err *e)
{
	struct session *s = context;
	const struct lineage_span *here = catalog_in_force(s->catalog, db, table);

	if (here == NULL) {
		if (ask(s, db, table, e) < 0)
			return -1;
		here = catalog_in_force(s->catalog, db, table);
	}
	catalog_told(s->xa_catalog, db, table, here != NULL ? here->shape : NULL);
	return 0;
}

int session_shapes_back(struct session *s, const char *gtid_set, const char *file, int64_t offset,
			struct err *e)
{
	const struct catalog_source source = { s, ask_back };
	struct looking_back back = { s, gtid_file_ordinal(group_file(s->group),
							  group_file_position(s->group)) };
	const struct ahead_reader reader = { &back, found_back, NULL };
	struct ahead from = { .offset = (uint64_t)offset };

	catalog_ask_by(s->xa_catalog, &source);
	catalog_go_on(s->xa_catalog);
	if (!s->catalog_mode)
		return 0;
	if (file != NULL)
		(void)snprintf(from.file, sizeof(from.file), "%s",
			       file); /* as the server names it */
	return ahead_read(s->settings, gtid_set, &from, &reader, e);
}
