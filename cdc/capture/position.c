/* position.c - reads the last position, and refuses to go on where that could lose or repeat
 * something.
 *
 * The topic is compacted, so reading it from its first record to its end is short. read_committed:
 * the end is what the fenced producer before us has committed, as the caller opens its own producer
 * first. */
#include "cdc/capture/position.h"

#include "cdc/capture/delivery.h"
#include "core/base/mem.h"
#include "core/kafka/consumer.h"

#include <stdlib.h>

/* The last record of a one-partition topic that `take` accepts, from `offset` on. */
typedef int (*take_fn)(void *context, const struct consumer_message *message, struct err *e);

static int read_to_end(const struct settings *settings, const char *topic, int64_t offset,
		       take_fn take, void *context, struct err *e)
{
	struct consumer_options options = { .queue_bytes_max = 1024 * 1024, .stop_at_end = true };
	struct consumer_partition partition = { topic, 0, offset };
	struct consumer *consumer = NULL;
	int rc = -1;

	if (consumer_open(settings, &options, &consumer, e) < 0)
		return -1;
	if (consumer_assign(consumer, &partition, 1, e) < 0)
		goto out;
	while (!consumer_at_end(consumer)) {
		const struct consumer_message *messages;
		size_t count = 0;

		if (consumer_poll(consumer, 1000, &messages, &count, e) < 0)
			goto out;
		for (size_t i = 0; i < count; i++)
			if (take(context, &messages[i], e) < 0)
				goto out;
	}
	rc = 0;
out:
	consumer_close(consumer);
	return rc;
}

static int lookup(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct registry_schema schema;

	if (registry_by_id(context, id, &schema, e) < 0)
		return -1;
	*ret_text = schema.text;
	return 0;
}

struct reading {
	const char *name;
	struct records_reader *reader;
	bool found;
	struct position_record position;
	int64_t seq;
};

static int take_position(void *context, const struct consumer_message *message, struct err *e)
{
	struct reading *r = context;

	if (message->key.data == NULL || !slice_is(message->key, r->name))
		return 0;
	if (r->found)
		records_done_position(&r->position);
	r->found = false;
	if (message->value.data == NULL)
		return 0;
	if (records_read_position(r->reader, message->value, &r->position, e) < 0)
		return err_wrap(e, "position of %s, offset %lld", r->name,
				(long long)message->offset);
	r->found = true;
	return 0;
}

int position_read(const struct settings *settings, struct registry *registry, bool *ret_found,
		  struct position_record *ret_position, struct err *e)
{
	struct reading r = { .name = settings->name,
			     .reader = records_reader_new(lookup, registry) };
	char *topic = delivery_topic_name(settings, "position");
	int rc = read_to_end(settings, topic, CONSUMER_BEGIN, take_position, &r, e);

	if (rc == 0) {
		*ret_found = r.found;
		*ret_position = r.position;
	} else if (r.found) {
		records_done_position(&r.position);
	}
	records_reader_free(r.reader);
	free(topic);
	return rc;
}

/* ---- without a position --------------------------------------------------------------------- */

static int take_commit(void *context, const struct consumer_message *message, struct err *e)
{
	struct reading *r = context;
	struct commit_record commit;

	if (message->value.data == NULL)
		return 0;
	if (records_read_commit(r->reader, message->value, &commit, e) < 0)
		return err_wrap(e, "commits of %s, offset %lld", r->name,
				(long long)message->offset);
	r->seq = commit.seq;
	records_done_commit(&commit);
	return 0;
}

/* The last of the commit records: some of the last offsets hold transaction markers, so go back far
 * enough. */
static int last_seq(const struct settings *settings, struct admin *admin, struct registry *registry,
		    int64_t *ret_seq, struct err *e)
{
	struct reading r = { .name = settings->name,
			     .reader = records_reader_new(lookup, registry) };
	char *topic = delivery_topic_name(settings, "commits");
	int64_t low, high, from;
	int rc = admin_watermarks(admin, topic, 0, &low, &high, e);

	for (int64_t back = 100; rc == 0 && r.seq == 0; back *= 10) {
		from = high - back > low ? high - back : low;
		rc = read_to_end(settings, topic, from, take_commit, &r, e);
		if (from == low)
			break;
	}
	if (rc == 0)
		*ret_seq = r.seq;
	records_reader_free(r.reader);
	free(topic);
	return rc;
}

static int holds_records(struct admin *admin, const char *topic, bool *ret_holds, struct err *e)
{
	struct topic_info info;

	if (admin_topic(admin, topic, &info, e) < 0)
		return -1;
	for (int32_t p = 0; info.exists && p < info.partitions; p++) {
		int64_t low, high;

		if (admin_watermarks(admin, topic, p, &low, &high, e) < 0)
			return -1;
		if (high > 0) {
			*ret_holds = true;
			return 0;
		}
	}
	*ret_holds = false;
	return 0;
}

static int refuse_data(const struct settings *settings, struct admin *admin, const char *topic,
		       struct err *e)
{
	bool holds;

	if (holds_records(admin, topic, &holds, e) < 0)
		return -1;
	if (!holds || settings->capture_adopt)
		return 0;
	err_config(e,
		   "topic %s holds records, but there is no position of %s: going on could repeat "
		   "or miss changes",
		   topic, settings->name);
	return err_hint(e, "Give millrace.name (and the events' topics) new names, or set "
			   "capture.adopt = on to write behind what "
			   "is there.");
}

static bool is_data(const struct settings *settings, const char *topic)
{
	const char *rest = topic + strlen(settings->name) + 1;

	return strcmp(rest, "position") != 0 && strcmp(rest, "status") != 0;
}

int position_adopt(const struct settings *settings, struct admin *admin, struct registry *registry,
		   const char *const *topics, size_t topic_count, int64_t *ret_seq, struct err *e)
{
	char *prefix = xasprintf("%s.", settings->name), **names = NULL;
	size_t count = 0;
	int rc = admin_list(admin, prefix, &names, &count, e);

	for (size_t i = 0; i < count && rc == 0; i++)
		if (is_data(settings, names[i]))
			rc = refuse_data(settings, admin, names[i], e);
	for (size_t i = 0; i < topic_count && rc == 0; i++)
		rc = refuse_data(settings, admin, topics[i], e);
	if (rc == 0)
		rc = last_seq(settings, admin, registry, ret_seq, e);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	free(prefix);
	return rc;
}

/* ---- the fingerprint ------------------------------------------------------------------------ */

/* The line of `text` is also in `lines`. */
static bool has_line(const char *lines, const char *line, size_t size)
{
	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n");

		if (n == size && memcmp(lines, line, n) == 0)
			return true;
		lines += n + (lines[n] != '\0');
	}
	return false;
}

static void say_missing(const char *from, const char *in, const char *what, bool tables_too,
			struct buf *out)
{
	while (*from != '\0') {
		size_t n = strcspn(from, "\n");

		if (n > 0 && !has_line(in, from, n) &&
		    (tables_too ||
		     (strncmp(from, "table ", 6) != 0 && strncmp(from, "topic ", 6) != 0)))
			buf_add_format(out, "%s%s: %.*s", out->size > 0 ? "; " : "", what,
				       (int)(n < 300 ? n : 300), from);
		from += n + (from[n] != '\0');
	}
}

int position_compare(const char *stored, const char *now, struct err *e)
{
	struct buf differences = BUF_INIT;

	say_missing(stored, now, "gone", true, &differences);
	say_missing(now, stored, "new", false, &differences);
	if (differences.size == 0) {
		buf_done(&differences);
		return 0;
	}
	err_config(e,
		   "the configuration differs from the one that the position was written with: "
		   "%.1500s",
		   buf_cstr(&differences));
	err_hint(e, "Put it back, or begin anew with another millrace.name (and new topics for the "
		    "events).");
	buf_done(&differences);
	return -1;
}
