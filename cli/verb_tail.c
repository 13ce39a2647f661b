/* verb_tail.c - prints what is in topics, a line of JSON for each record:
 *
 *   {"topic":T,"partition":P,"offset":O,"at":TIME,"seq":N,"key":K,"value":V}
 *
 * at is the broker's time of the record; seq and key stand only where there is one (key: with
 * --keys). A value in the registry's wire format is decoded by the schema it was written with,
 * anything else is printed as text; null is a tombstone. Records of one partition come in order;
 * partitions are printed as they arrive.
 *
 * Reads committed records only, joins no group and leaves no trace. Without --no-follow it goes on
 * until Ctrl-C. */
#include "cli/verb.h"
#include "core/avro/decode.h"
#include "core/avro/schema.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"
#include "core/base/stop.h"
#include "core/kafka/admin.h"
#include "core/kafka/consumer.h"
#include "core/registry/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#define QUEUE_BYTES_MAX (16 * 1024 * 1024)
#define WIRE_HEADER 5 /* 0x00 and the schema id */
#define POLL_MS 200

struct tail_schema {
	UT_hash_handle hh;
	int32_t id;
	struct schema *schema;
};

struct tail {
	const struct settings *settings;
	bool no_follow, keys;
	int64_t from, limit; /* limit -1: none */
	int32_t partition;   /* -1: all */
	char **topics;
	size_t topic_count;
	struct consumer_partition *partitions;
	size_t partition_count;
	struct registry *registry; /* opened by the first record that needs it */
	struct tail_schema *schemas;
	struct buf line;
};

/* ---- arguments ------------------------------------------------------------------------------- */

static bool whole_number(const char *text, int64_t most, int64_t *ret_number)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < 0 || n > most)
		return false;
	*ret_number = n;
	return true;
}

static int read_arguments(struct tail *t, int argc, char **argv)
{
	const char *from = NULL, *limit = NULL, *partition = NULL;
	int64_t number = -1;
	const struct verb_option options[] = {
		{ "--from", NULL, &from },           { "--limit", NULL, &limit },
		{ "--partition", NULL, &partition }, { "--no-follow", &t->no_follow, NULL },
		{ "--keys", &t->keys, NULL },
	};
	int topics =
		verb_options(&verb_tail, argc, argv, options, sizeof(options) / sizeof(options[0]));

	if (topics < 0)
		return EXIT_USAGE;
	if (topics == 0)
		return verb_usage_error(&verb_tail, "which topic?");
	t->from = CONSUMER_BEGIN;
	if (from != NULL && strcmp(from, "end") == 0)
		t->from = CONSUMER_END;
	else if (from != NULL && strcmp(from, "beginning") != 0 &&
		 !whole_number(from, INT64_MAX, &t->from))
		return verb_usage_error(&verb_tail,
					"--from is beginning, end or an offset, not '%s'", from);
	t->limit = -1;
	if (limit != NULL && !whole_number(limit, INT64_MAX, &t->limit))
		return verb_usage_error(&verb_tail, "--limit is a number of records, not '%s'",
					limit);
	if (partition != NULL && !whole_number(partition, INT32_MAX, &number))
		return verb_usage_error(&verb_tail, "--partition is a number, not '%s'", partition);
	t->partition = (int32_t)number;
	t->topics = argv;
	t->topic_count = (size_t)topics;
	return EXIT_OK;
}

/* ---- topics ---------------------------------------------------------------------------------- */

static int fail_unknown(struct admin *admin, const char *topic, struct err *e)
{
	struct err ignored = ERR_INIT;
	const char *nearest = NULL;
	char **names = NULL;
	size_t count = 0;

	err_config(e, "topic %s does not exist", topic);
	if (admin_list(admin, "", &names, &count, &ignored) == 0) /* only for the hint */
		nearest = settings_nearest(topic, (const char *const *)names, count);
	if (nearest != NULL)
		err_hint(e, "Did you mean %s?", nearest);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return -1;
}

static int add_topic(struct tail *t, struct admin *admin, const char *topic, struct err *e)
{
	int32_t partitions;
	bool exists;

	if (admin_partitions(admin, topic, &exists, &partitions, e) < 0)
		return -1;
	if (!exists)
		return fail_unknown(admin, topic, e);
	if (t->partition >= partitions)
		return err_config(
			e, "topic %s has %d partitions, counted from 0: there is no partition %d",
			topic, (int)partitions, (int)t->partition);
	for (size_t i = 0; i < t->partition_count; i++)
		if (strcmp(t->partitions[i].topic, topic) == 0)
			return 0; /* named twice */
	for (int32_t p = 0; p < partitions; p++) {
		if (t->partition >= 0 && p != t->partition)
			continue;
		t->partitions =
			xrealloc(t->partitions, (t->partition_count + 1) * sizeof(*t->partitions));
		t->partitions[t->partition_count++] =
			(struct consumer_partition){ topic, p, t->from };
	}
	return 0;
}

static int find_partitions(struct tail *t, struct err *e)
{
	struct admin *admin;
	int brokers, rc;

	if (admin_open(t->settings, &admin, e) < 0)
		return -1;
	rc = admin_ping(admin, &brokers, e);
	for (size_t i = 0; rc == 0 && i < t->topic_count; i++)
		rc = add_topic(t, admin, t->topics[i], e);
	admin_close(admin);
	return rc;
}

/* ---- printing -------------------------------------------------------------------------------- */

static int schema_of(struct tail *t, int32_t id, const struct schema **ret_schema, struct err *e)
{
	struct registry_schema registered;
	struct tail_schema *known;

	HASH_FIND(hh, t->schemas, &id, sizeof(id), known);
	if (known == NULL) {
		struct schema *parsed;

		if ((t->registry == NULL &&
		     registry_open(t->settings, false, &t->registry, e) < 0) ||
		    registry_by_id(t->registry, id, &registered, e) < 0)
			return -1;
		if (schema_parse(slice_str(registered.text), &parsed, e) < 0)
			return err_wrap(e, "schema id %d", (int)id);
		known = xcalloc(1, sizeof(*known));
		known->id = id;
		known->schema = parsed;
		HASH_ADD(hh, t->schemas, id, sizeof(known->id), known);
	}
	*ret_schema = known->schema;
	return 0;
}

/* Appends key or value; *ret_schema: what it was written with, NULL when it is no Avro. */
static int add_data(struct tail *t, struct slice data, const struct schema **ret_schema,
		    struct err *e)
{
	const struct schema *schema = NULL;
	int32_t id;

	if (data.data == NULL) {
		buf_add_str(&t->line, "null");
	} else if (data.size < WIRE_HEADER || data.data[0] != 0) {
		quote_json(&t->line, data);
	} else if (decode_wire_id(data, &id, e) < 0 || schema_of(t, id, &schema, e) < 0 ||
		   decode_json(schema, slice_of(data.data + WIRE_HEADER, data.size - WIRE_HEADER),
			       &t->line, e) < 0) {
		return -1;
	}
	*ret_schema = schema;
	return 0;
}

/* seq is the first field of every record of Millrace's, directly or in source or meta; not of keys,
 * nor of others' records. */
static bool has_seq(const struct schema *schema)
{
	while (schema->type == SCHEMA_RECORD && schema->count > 0) {
		if (strcmp(schema->fields[0].name, "seq") == 0)
			return schema->fields[0].schema->type == SCHEMA_LONG;
		schema = schema->fields[0].schema;
	}
	return false;
}

static int add_seq(struct tail *t, struct slice value, struct err *e)
{
	const struct schema *schema;
	int64_t seq;
	int32_t id;

	if (value.data == NULL || value.size < WIRE_HEADER || value.data[0] != 0)
		return 0;
	if (decode_wire_id(value, &id, e) < 0 || schema_of(t, id, &schema, e) < 0)
		return -1;
	if (!has_seq(schema))
		return 0;
	if (decode_seq(value, &seq, e) < 0)
		return -1;
	buf_add_format(&t->line, ",\"seq\":%lld", (long long)seq);
	return 0;
}

static int print_record(struct tail *t, const struct consumer_message *m, struct err *e)
{
	const struct schema *schema;
	char at[CLOCK_TEXT_SIZE];

	buf_reset(&t->line);
	buf_add_str(&t->line, "{\"topic\":");
	quote_json(&t->line, slice_str(m->topic));
	buf_add_format(&t->line, ",\"partition\":%d,\"offset\":%lld", (int)m->partition,
		       (long long)m->offset);
	if (m->timestamp_ms >= 0)
		buf_add_format(&t->line, ",\"at\":\"%s\"", clock_text(m->timestamp_ms * 1000, at));
	if (add_seq(t, m->value, e) < 0)
		goto failed;
	if (t->keys) {
		buf_add_str(&t->line, ",\"key\":");
		if (add_data(t, m->key, &schema, e) < 0)
			goto failed;
	}
	buf_add_str(&t->line, ",\"value\":");
	if (add_data(t, m->value, &schema, e) < 0)
		goto failed;
	buf_add_str(&t->line, "}\n");
	fwrite(t->line.data, 1, t->line.size, stdout);
	return 0;
failed:
	return err_wrap(e, "topic %s, partition %d, offset %lld", m->topic, (int)m->partition,
			(long long)m->offset);
}

/* Prints until the limit, the end or a signal. A reader that has gone (a closed pipe) ends it
 * quietly. */
static int print_all(struct tail *t, struct consumer *consumer, struct err *e)
{
	const struct consumer_message *messages;
	size_t count;

	while (t->limit != 0 && !stop_requested()) {
		bool last = t->no_follow && consumer_at_end(consumer);

		if (consumer_poll(consumer, POLL_MS, &messages, &count, e) < 0)
			return -1;
		for (size_t i = 0; i < count && t->limit != 0; i++) {
			if (print_record(t, &messages[i], e) < 0)
				return -1;
			if (t->limit > 0)
				t->limit--;
		}
		if (fflush(stdout) != 0 || (last && count == 0))
			break;
	}
	return 0;
}

static int tail(struct tail *t, struct err *e)
{
	const struct consumer_options options = { .queue_bytes_max = QUEUE_BYTES_MAX,
						  .stop_at_end = t->no_follow };
	struct consumer *consumer;
	int rc;

	if (find_partitions(t, e) < 0 || consumer_open(t->settings, &options, &consumer, e) < 0)
		return -1;
	rc = consumer_assign(consumer, t->partitions, t->partition_count, e);
	if (rc == 0)
		rc = print_all(t, consumer, e);
	consumer_close(consumer);
	return rc;
}

static int run(const struct settings *settings, int argc, char **argv)
{
	struct tail t = { .settings = settings };
	struct err e = ERR_INIT;
	struct tail_schema *known, *next;
	int code = read_arguments(&t, argc, argv);

	if (code != EXIT_OK)
		return code;
	stop_install();
	if (tail(&t, &e) < 0) {
		(void)fflush(stdout); /* what was printed comes before the error */
		code = verb_fail(&e);
	}
	registry_close(t.registry);
	HASH_ITER(hh, t.schemas, known, next)
	{
		HASH_DEL(t.schemas, known);
		schema_free(known->schema);
		free(known);
	}
	free(t.partitions);
	buf_done(&t.line);
	return code;
}

const struct verb verb_tail = {
	.name = "tail",
	.summary = "print the records of topics as lines of JSON",
	.usage =
		"TOPIC... [--from beginning|end|OFFSET] [--partition P] [--limit N] [--no-follow] [--keys]\n\n"
		"  --from        where to begin: beginning (default), end, or an offset of each partition\n"
		"  --partition   only this partition\n"
		"  --limit       stop after so many records\n"
		"  --no-follow   stop at the end of the topics instead of waiting for more\n"
		"  --keys        print each record's key too\n",
	.run = run,
	.needs = VERB_NEEDS_SETTINGS,
};
