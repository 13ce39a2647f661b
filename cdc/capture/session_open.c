/* session_open.c - opens a session, in the order that makes it safe:
 *
 *   1. the transactional producer: from here on no older instance can commit, so what is read next
 * stays true
 *   2. the position
 *   3. the source: settings, rights, tables; their schemas and topics
 *   4. without a position: the starting point, written at once, before anything is read from it
 *   5. the stream
 *
 * Nothing is written before all checks have passed, except topics and schemas. */
#include "cdc/capture/session_priv.h"

#include "cdc/delivery/position.h"
#include "cdc/delivery/position_topics.h"
#include "cdc/capture/prepare.h"
#include "cdc/capture/source_check.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/notify.h"
#include "core/mysql/db.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Of capture.memory less what each table and its topic take, or of a quarter of it. */
#define RING_SHARE 4
#define TABLE_BYTES 7000
#define TRANSACTION_TIMEOUT_MS 60000 /* librdkafka's transaction.timeout.ms */

static void source_tables_done(struct source_tables *tables)
{
	for (size_t i = 0; i < tables->count; i++)
		shape_unref(tables->items[i].shape);
	free(tables->items);
}

/* What becomes of tables that foreign keys change: capture.cascades. */
static int check_cascades(const struct session *s, const struct catalog_name *name, struct err *e)
{
	const char *how = s->settings->capture_cascades;

	if (name->keys.count == 0 || strcmp(how, "reconcile") == 0)
		return 0;
	if (strcmp(how, "warn") == 0) {
		log_warning("capture",
			    "%s.%s is changed by foreign keys that cascade: such changes are not "
			    "in the binlog and will be missing",
			    name->db, name->table);
		return 0;
	}
	err_config(e, "table %s.%s is changed by a foreign key that cascades or sets null",
		   name->db, name->table);
	return err_hint(e, "The binlog does not show such changes. Let them be found by comparing "
			   "(capture.cascades = reconcile), drop the action from the key, or leave "
			   "the table out.");
}

static int read_tables(struct session *s, struct db *db, struct source_tables *tables,
		       struct err *e)
{
	struct catalog_name *names = NULL;
	struct shape **shapes;
	size_t count = 0;
	int rc = catalog_list(s->catalog, db, &names, &count, e);

	shapes = xcalloc(count + 1, sizeof(struct shape *));
	tables->items = xcalloc(count + 1, sizeof(*tables->items));
	if (rc == 0)
		rc = catalog_read_shapes(db, names, count, shapes, e);
	if (rc == 0)
		tables->count = count;
	for (size_t i = 0; i < tables->count; i++) {
		tables->items[i] =
			(struct source_table){ shapes[i],
					       { names[i].rows_estimate, names[i].transactional } };
		catalog_know(s->catalog, shapes[i]);
	}
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = check_cascades(s, &names[i], e);
	free(shapes);
	if (rc == 0 && strcmp(s->settings->capture_cascades, "reconcile") == 0)
		rc = cascade_read(s->cascade, db, names, count, e);
	catalog_names_free(names, count);
	return rc;
}

static int read_cascades(struct session *s, struct db *db, struct err *e)
{
	struct catalog_name *names = NULL;
	size_t count = 0;
	int rc;

	if (strcmp(s->settings->capture_cascades, "reconcile") != 0)
		return 0;
	rc = catalog_list(s->catalog, db, &names, &count, e);
	if (rc < 0 && e->kind == ERR_CONFIG) { /* a table that is gone: its event is yet to come */
		log_warning("capture", "foreign keys are not read again: %s", e->msg);
		err_clear(e);
		return 0;
	}
	if (rc == 0)
		rc = cascade_read(s->cascade, db, names, count, e);
	catalog_names_free(names, count);
	return rc;
}

int session_read_hints(struct session *s, struct err *e)
{
	struct db *db = NULL;
	int rc;

	if (db_open(s->settings, DB_TEXT_UTF8, &db, e) < 0)
		return -1;
	rc = catalog_read_hints(s->catalog, db, e);
	if (rc == 0)
		rc = session_shapes_ask(s, db, e);
	if (rc == 0)
		rc = read_cascades(s, db, e);
	db_close(db);
	return rc;
}

static int check_source(struct session *s, struct db *db, struct err *e)
{
	struct source_finding *findings = NULL;
	bool names_columns = true;
	char *server_id = NULL;
	size_t count = 0;
	int rc;

	if (source_check(s->settings, db, &findings, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (!findings[i].fatal)
			log_warning("capture", "source: %s; better: %s", findings[i].what,
				    findings[i].mend);
	rc = source_findings_refuse(findings, count, e);
	source_findings_free(findings, count);
	if (rc < 0 || source_names_columns(db, &names_columns, e) < 0 ||
	    db_get_text(db, "SELECT @@GLOBAL.server_id", &server_id, e) < 0)
		return -1;
	s->mysql = !db_is_mariadb(db);
	s->catalog_mode = !names_columns;
	free(s->source);
	s->source = xasprintf("%s@%s", server_id != NULL ? server_id : "?", db_where(db));
	free(server_id);
	return 0;
}

/* ---- the position --------------------------------------------------------------------------- */

static void make_fingerprint(struct session *s)
{
	for (size_t i = 0; i < s->settings->capture_tables.count; i++)
		buf_add_format(&s->fingerprint, "table %s\n", s->settings->capture_tables.items[i]);
	publisher_fingerprint(s->publisher, &s->fingerprint);
	delivery_fingerprint(s->delivery, &s->fingerprint);
}

static int starting_point(struct session *s, struct db *db, bool *ret_copied, struct err *e)
{
	const char *start = s->settings->source_start;
	bool snapshot = strcmp(start, "snapshot") == 0;

	*ret_copied = !snapshot;
	if (strcmp(start, "earliest") == 0)
		return session_source_oldest(s, db, e);
	if (!snapshot && strcmp(start, "now") != 0) {
		if (gtid_set_parse(slice_str(start), &s->gtid_set, e) == 0)
			return 0;
		err_config(
			e,
			"source.start = %s is neither snapshot, now, earliest nor a GTID position",
			start);
		return err_hint(e, "A GTID position looks like 0-1-100 or 0-1-100,1-2-7.");
	}
	return session_source_present(db, &s->gtid_set, e);
}

/* There is no position. It is written before anything is read, so that a crash begins at the same
 * place. */
static int first_position(struct session *s, const struct source_tables *tables, bool copied,
			  struct err *e)
{
	for (size_t i = 0; i < tables->count; i++)
		if (copy_table(s->copy, tables->items[i].shape, &tables->items[i].source, NULL,
			       copied, e) < 0)
			return -1;
	return 0;
}

/* What is there already, asked before topics are made. */
static int adopt(struct session *s, struct err *e)
{
	size_t count;
	const char **topics;
	int rc;

	(void)publisher_event_tables(s->publisher, &count); /* for the count */
	topics = xcalloc(count + 1, sizeof(*topics));
	for (size_t i = 0; i < count; i++)
		topics[i] = publisher_event_topic(s->publisher, i);
	rc = position_adopt(s->settings, s->admin, s->registry, topics, count, &s->seq, e);
	free(topics);
	return rc;
}

static int prepare_all(struct session *s, const struct source_tables *tables, struct err *e)
{
	const struct prepare p = { s->settings, s->registry, s->delivery, s->publisher };
	struct shape **shapes = xcalloc(tables->count + 1, sizeof(*shapes));
	int rc;

	for (size_t i = 0; i < tables->count; i++)
		shapes[i] = tables->items[i].shape;
	rc = prepare_tables(&p, shapes, tables->count, e);
	free(shapes);
	return rc;
}

static int64_t transaction_us(const struct settings *settings)
{
	int64_t ms = TRANSACTION_TIMEOUT_MS;

	for (size_t i = 0; i < settings->kafka_property_count; i++)
		if (strcmp(settings->kafka_properties[i].key, "transaction.timeout.ms") == 0)
			ms = strtoll(settings->kafka_properties[i].value, NULL, 10);
	return ms * 1000 * 2 / 3;
}

static void on_begin(void *context)
{
	struct session *s = context;

	commit_batch_begin(&s->batch, clock_monotonic_us());
}

static void begin_batch(struct session *s)
{
	struct commit_limits limits = {
		.interval_us = s->settings->capture_commit_ms * 1000,
		.bytes_max = s->settings->capture_commit_bytes,
		.transaction_us_max = transaction_us(s->settings),
	};

	commit_batch_init(&s->batch, &limits, s->seq);
	s->part_seq = s->seq;
	s->committed_transactions = s->transactions_total;
	s->committed_bytes = s->bytes_total;
	delivery_on_begin(s->delivery, on_begin, s);
}

/* Asked before those that are missing are made. */
static int check_topics(struct session *s, const struct position_record *position,
			const struct source_tables *tables, struct err *e)
{
	size_t events, count = tables->count;
	char **topics;
	int rc;

	(void)publisher_event_tables(s->publisher, &events); /* for the count */
	topics = xcalloc(count + events + 1, sizeof(*topics));
	for (size_t i = 0; i < count; i++)
		topics[i] = publisher_row_topic(s->publisher, tables->items[i].shape);
	for (size_t i = 0; i < events; i++)
		topics[count + i] = xstrdup(publisher_event_topic(s->publisher, i));
	rc = position_check_data(s->settings, s->admin, position->fingerprint, topics,
				 count + events, e);
	for (size_t i = 0; i < count + events; i++)
		free(topics[i]);
	free(topics);
	return rc;
}

/* What was written meanwhile is found by comparing. */
static int go_on_at(struct session *s, const struct gtid_set *present,
		    const struct source_tables *tables, struct err *e)
{
	for (size_t i = 0; i < tables->count; i++)
		if (reconcile_want(s->reconcile, tables->items[i].shape->db,
				   tables->items[i].shape->table, "",
				   "the binlog behind our position is lost", e) < 0)
			return -1;
	return session_source_move(s, present, e);
}

/* A new starting point is asked for before the tables are: what is created, or moved, while they
 * are listed lies ahead then (session_meet.c). */
static int begin_at(struct session *s, struct db *db, const struct position_record *position,
		    struct gtid_set *present, bool *ret_copied, struct err *e)
{
	if (position == NULL)
		return starting_point(s, db, ret_copied, e);
	for (size_t i = 0; i < position->copy_count; i++)
		catalog_may_lack(s->catalog, position->copies[i].db, position->copies[i].table);
	return s->lost ? session_source_present(db, present, e) : 0;
}

/* Before a record of a table is sent, the position knows the table (session_meet.c). */
static int commit_known(struct session *s, struct err *e)
{
	if (s->open_gtid[0] != '\0') /* tables of then: no new ones */
		return 0;
	commit_batch_move(&s->batch);
	return session_commit(s, e);
}

static int open_source(struct session *s, struct db *db, const struct position_record *position,
		       struct err *e)
{
	struct source_tables tables = { NULL, 0 };
	struct gtid_set present = GTID_SET_INIT;
	bool copied = false, new = position == NULL;
	int rc = -1;

	if (begin_at(s, db, position, &present, &copied, e) < 0 ||
	    read_tables(s, db, &tables, e) < 0 || catalog_read_hints(s->catalog, db, e) < 0 ||
	    session_shapes_open(s, db, position, s->lost ? &present : NULL, &tables, e) < 0)
		goto out;
	if ((position == NULL ? adopt(s, e) : check_topics(s, position, &tables, e)) < 0 ||
	    prepare_all(s, &tables, e) < 0)
		goto out;
	make_fingerprint(s);
	if ((position != NULL ? session_resume(s, position, &tables, &new, e)
			      : first_position(s, &tables, copied, e)) < 0)
		goto out;
	begin_batch(s);
	rc = new ? commit_known(s, e) : 0;
	if (rc == 0 && s->lost)
		rc = go_on_at(s, &present, &tables, e);
out:
	gtid_set_done(&present);
	source_tables_done(&tables);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int open_kafka(struct session *s, struct err *e)
{
	int32_t status_id;

	if (admin_open(s->settings, &s->admin, e) < 0 ||
	    registry_open(s->settings, true, &s->registry, e) < 0 ||
	    position_check_own(s->settings, s->admin, s->registry, e) < 0 ||
	    delivery_open(s->settings, s->admin, s->registry, &s->delivery, e) < 0 ||
	    delivery_status_topic(s->delivery, &status_id, e) < 0)
		return -1;
	FAULT(initialised);
	report_can_write(s->report, status_id);
	return publisher_new(s->settings, delivery_sink(s->delivery), &s->publisher, e);
}

static int open_all(struct session *s, struct err *e)
{
	struct position_stored stored = { .found = false };
	struct position_record *position;
	struct db *db = NULL;
	int rc;

	if (open_kafka(s, e) < 0 || leader_check(s->leader, e) < 0 ||
	    position_read(s->settings, s->registry, &stored, e) < 0)
		return -1;
	FAULT(position_read);
	rc = delivery_resume(s->delivery, &stored, e);
	if (rc == 0)
		session_redo_open(s);
	position = stored.found ? &stored.position : NULL;
	if (rc == 0)
		rc = session_source_open(s, position, check_source, &db, e);
	if (rc == 0)
		rc = copy_new(s->settings, &s->copy, e);
	if (rc == 0)
		rc = session_reconcile_open(s, position, e);
	if (rc == 0)
		rc = open_source(s, db, position, e);
	if (rc == 0)
		rc = session_settle_open(s, db, e);
	if (db != NULL)
		db_close(db);
	position_stored_done(&stored);
	return rc < 0 ? -1 : session_stream(s, e);
}

static size_t ring_bytes(const struct session *s)
{
	int64_t memory = s->settings->capture_memory;
	int64_t left = memory - (int64_t)copy_table_count(s->copy) * TABLE_BYTES;

	return (size_t)(left > memory / 4 ? left : memory / 4) / RING_SHARE;
}

int session_stream(struct session *s, struct err *e)
{
	stream_close(s->stream);
	s->stream = NULL;
	buf_reset(&s->gtid_text);
	gtid_set_text(&s->gtid_set, &s->gtid_text);
	if (stream_open(s->settings, buf_cstr(&s->gtid_text), ring_bytes(s), &s->stream, e) < 0)
		return -1;
	group_by_place(s->group, gtid_set_is_place(&s->gtid_set));
	s->cursor = s->released = ring_begin(stream_ring(s->stream));
	s->read_base_transactions = s->transactions_total;
	s->read_base_bytes = s->bytes_total;
	s->file[0] = '\0';
	return 0;
}

int session_open(const struct session_options *options, struct session **ret_session, struct err *e)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->configured = options->settings;
	s->chosen = *options->settings;
	s->settings = &s->chosen;
	s->report = options->report;
	s->leader = options->leader;
	s->server = options->server;
	s->catalog = catalog_new(s->settings);
	s->group = group_new(s->settings, s->catalog);
	s->cascade = cascade_new(s->catalog);
	if (open_all(s, e) < 0) {
		session_close(s);
		return -1;
	}
	mem_trim();
	session_progress(s, true);
	FAULT(streaming);
	log_info("capture", "%s of %s",
		 copy_all_done(s->copy) ? "streaming" : "copying and streaming", s->source);
	notify_ready();
	*ret_session = s;
	return 0;
}

size_t session_server(const struct session *s)
{
	return s->server;
}

void session_close(struct session *s)
{
	if (s == NULL)
		return;
	stream_close(s->stream);
	copy_free(s->copy);
	reconcile_free(s->reconcile);
	cascade_free(s->cascade);
	session_meet_done(s);
	session_xa_done(s);
	session_settle_done(s);
	session_redo_done(s);
	group_free(s->group);
	publisher_free(s->publisher);
	delivery_close(s->delivery);
	registry_close(s->registry);
	admin_close(s->admin);
	catalog_free(s->catalog);
	commit_batch_done(&s->batch);
	commit_lists_done(&s->lists);
	gtid_set_done(&s->gtid_set);
	buf_done(&s->fingerprint);
	buf_done(&s->gtid_text);
	free(s->source);
	free(s);
}
