/* check_source.c - the source as `millrace check` sees it.
 *
 * The same code that capture starts with is asked: what it would refuse is refused here, with
 * the same words. Events are bound to the real shapes of their tables through a sink that keeps
 * nothing: topics and schemas are not created. */
#include "cdc/capture/source_check.h"
#include "cdc/catalog/catalog.h"
#include "cdc/change/key.h"
#include "cdc/publish/publisher.h"
#include "cli/check.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define AREA "source"

struct sink_state {
	struct check_topics *topics;
	int32_t next_id;
	int32_t partitions;
};

static void add_topic(struct check_topics *topics, const char *name)
{
	for (size_t i = 0; i < topics->count; i++)
		if (strcmp(topics->names[i], name) == 0)
			return;
	topics->names = xrealloc(topics->names, (topics->count + 1) * sizeof(*topics->names));
	topics->names[topics->count++] = xstrdup(name);
}

void check_topics_done(struct check_topics *topics)
{
	for (size_t i = 0; i < topics->count; i++)
		free(topics->names[i]);
	free(topics->names);
	*topics = (struct check_topics){ NULL, 0 };
}

static int sink_topic(void *context, const char *name, struct publish_topic **ret_topic,
		      int32_t *ret_partitions, struct err *e)
{
	const struct sink_state *state = context;

	(void)e;
	add_topic(state->topics, name);
	*ret_topic = NULL; /* nothing is sent */
	*ret_partitions = state->partitions;
	return 0;
}

static int sink_send(void *context, struct publish_topic *topic, int32_t partition,
		     struct slice key, struct slice value, struct err *e)
{
	(void)context;
	(void)topic;
	(void)partition;
	(void)key;
	(void)value;
	return err_fatal(e, "check: a record was to be sent"); /* preparing sends none */
}

static int sink_schema(void *context, const char *subject, const char *text, int32_t *ret_id,
		       struct err *e)
{
	struct sink_state *state = context;

	(void)subject;
	(void)text;
	(void)e;
	*ret_id = ++state->next_id;
	return 0;
}

static struct publisher *open_publisher(const struct settings *settings, struct sink_state *state,
					struct findings *f)
{
	const struct publish_sink sink = { state, sink_topic, sink_send, sink_schema,
					   NULL,  NULL,       NULL };
	struct publisher *p;
	struct err e = ERR_INIT;
	const char *const *tables;
	size_t count, distinct = 0;

	if (publisher_new(settings, &sink, &p, &e) < 0) {
		finding_err(f, FINDING_FAIL, "events", &e);
		return NULL;
	}
	tables = publisher_event_tables(p, &count);
	for (size_t i = 0; i < count; i++) {
		size_t before = 0;

		while (before < i && strcmp(tables[before], tables[i]) != 0)
			before++;
		distinct += before == i;
	}
	if (*settings->capture_events_dir != '\0')
		finding_add(f, FINDING_OK, "events", NULL, "%s: read, events from %zu table%s",
			    settings->capture_events_dir, distinct, distinct == 1 ? "" : "s");
	else
		finding_add(f, FINDING_OK, "events", NULL,
			    "none are published (capture.events is not set)");
	return p;
}

/* What the binlog will not show, or not whole. */
static void warn(const struct settings *settings, const struct catalog_name *name,
		 struct findings *f)
{
	struct err e = ERR_INIT;

	if (name->keys.count > 0 && strcmp(settings->capture_cascades, "reconcile") == 0) {
		finding_add(f, FINDING_OK, AREA, NULL,
			    "table %s.%s: foreign keys change it below the binlog; it is compared "
			    "after each such change",
			    name->db, name->table);
	} else if (name->keys.count > 0) {
		err_config(&e, "table %s.%s: child of a foreign key that cascades or sets null",
			   name->db, name->table);
		err_hint(&e, "Rows that the server deletes or changes by itself are not in the "
			     "binlog (capture.cascades).");
		finding_err(f,
			    strcmp(settings->capture_cascades, "warn") == 0 ? FINDING_WARNING
									    : FINDING_FAIL,
			    AREA, &e);
	}
	if (!name->transactional)
		finding_add(f, FINDING_WARNING, AREA,
			    "ALTER TABLE ... ENGINE=InnoDB makes its changes atomic.",
			    "table %s.%s: its engine has no transactions: while a chunk of it is "
			    "copied, who writes it waits",
			    name->db, name->table);
}

/* What the copy of a table without a key costs. */
static void warn_keyless(const struct catalog_name *name, struct findings *f)
{
	finding_add(f, FINDING_WARNING, AREA, "Give it a primary key, then it is copied in chunks.",
		    "table %s.%s has no primary key: its copy is one read of about %lld rows "
		    "(copy.read_limit), kept in millrace.state, %s, and one Kafka transaction",
		    name->db, name->table, (long long)name->rows_estimate,
		    name->transactional ? "then the stream waits for it"
					: "again whenever it was written meanwhile");
}

static bool check_table(const struct settings *settings, struct db *db,
			const struct catalog_name *name, struct publisher *publisher,
			struct findings *f)
{
	struct shape *shape = NULL;
	struct err e = ERR_INIT;
	const char *refused = NULL;
	bool good = catalog_read_shape(db, name->db, name->table, &shape, &e) == 0;

	if (good && shape->key_count == 0)
		warn_keyless(name, f);
	else if (good)
		refused = key_refused(shape);
	if (refused != NULL) {
		good = false;
		finding_add(
			f, FINDING_FAIL, AREA,
			"Leave it out of capture.tables, or begin without a copy: source.start = now.",
			"table %s.%s cannot be copied: %s", name->db, name->table, refused);
	} else if (!good || (publisher != NULL && publisher_prepare(publisher, shape, &e) < 0)) {
		good = false;
		finding_err(f, FINDING_FAIL, AREA, &e);
	}
	warn(settings, name, f);
	shape_unref(shape);
	return good;
}

static void check_tables(const struct settings *settings, struct db *db,
			 struct publisher *publisher, struct findings *f)
{
	struct catalog *catalog = catalog_new(settings);
	struct catalog_name *names = NULL;
	struct err e = ERR_INIT;
	size_t count = 0, good = 0;

	if (catalog_list(catalog, db, &names, &count, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
	} else {
		for (size_t i = 0; i < count; i++)
			good += check_table(settings, db, &names[i], publisher, f);
		finding_add(f, good == count ? FINDING_OK : FINDING_WARNING, AREA, NULL,
			    "%zu of %zu captured table%s can be read as they are", good, count,
			    count == 1 ? "" : "s");
	}
	catalog_names_free(names, count);
	catalog_free(catalog);
}

/* The server's own settings and our grants. */
static void check_server(const struct settings *settings, struct db *db, struct findings *f)
{
	struct source_finding *findings = NULL;
	struct err e = ERR_INIT;
	size_t count = 0, fatal = 0;

	if (source_check(settings, db, &findings, &count, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		fatal += findings[i].fatal;
		finding_add(f, findings[i].fatal ? FINDING_FAIL : FINDING_WARNING, AREA,
			    findings[i].mend, "%s", findings[i].what);
	}
	if (fatal == 0)
		finding_add(f, FINDING_OK, AREA, NULL, "its settings and our grants allow capture");
	source_findings_free(findings, count);
}

void check_source(const struct settings *settings, struct check_topics *topics, struct findings *f)
{
	struct sink_state state = { topics, 0, (int32_t)settings->kafka_partitions };
	struct publisher *publisher = open_publisher(settings, &state, f);
	struct err e = ERR_INIT;
	struct db *db;

	if (db_open(settings, DB_TEXT_UTF8, &db, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
		publisher_free(publisher);
		return;
	}
	finding_add(f, FINDING_OK, AREA, NULL, "%s at %s", db_server_version(db),
		    db_where(db));
	check_server(settings, db, f);
	check_tables(settings, db, publisher, f);
	db_close(db);
	publisher_free(publisher);
}
