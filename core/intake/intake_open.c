/*
 * intake_open.c - making an intake: partitions, memory shares, consumers.
 *
 * The memory budget: a quarter for what the library has fetched, a sixteenth for the tail, the rest
 * for the queues, of which the commits topic gets an eighth and every partition the same part. How
 * many partitions a topic has is asked once: a commit record that names a new one ends the intake
 * with ERR_RETRY, and the next one knows it.
 *
 * Refused: a topic that isn't there, a position whose offsets are no longer in the log (by
 * consumer_assign), a position that speaks of partitions that aren't among the topics.
 */
#include "core/intake/intake_priv.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#define QUEUE_BYTES_LEAST (32 * 1024)

static int lookup(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct registry_schema schema;

	if (registry_by_id(context, id, &schema, e) < 0)
		return -1;
	*ret_text = schema.text;
	return 0;
}

int intake_count_partitions(struct admin *admin, const char *topic, int32_t *ret_partitions,
			    struct err *e)
{
	struct topic_info info;

	if (admin_topic(admin, topic, &info, e) < 0)
		return -1;
	if (!info.exists) {
		/* not a mistake for sure: capture may never have run yet */
		err_retry(e, "topic %s is not there", topic);
		return err_hint(
			e,
			"`millrace run` makes row topics and event topics: is it running? Else check the name under inputs.");
	}
	*ret_partitions = info.partitions;
	return 0;
}

static void share_memory(struct intake *in, int64_t memory)
{
	size_t queues = (size_t)(memory - memory / 4 - memory / 16),
	       each = queues / 8 * 7 / in->feed_count;

	in->feeds[0].bytes_max = queues / 8;
	for (size_t i = 1; i < in->feed_count; i++)
		in->feeds[i].bytes_max = each > QUEUE_BYTES_LEAST ? each : QUEUE_BYTES_LEAST;
}

/* A chunk is what even an idle queue may hold: small where partitions are many. */
static uint32_t chunk_bytes(int64_t memory, size_t partitions)
{
	int64_t bytes = memory / 16 / (int64_t)(partitions + 1);

	return (uint32_t)(bytes < 4096 ? 4096 : bytes > 65536 ? 65536 : bytes);
}

/* What the consumer reads, from where the merge begins. */
static void place_feeds(struct intake *in)
{
	in->assigned[0] =
		(struct consumer_partition){ in->commits, 0, merge_next_commit_offset(in->merge) };
	for (size_t i = 0; i + 1 < in->feed_count; i++) {
		struct consumer_partition *at = &in->assigned[1 + i];

		at->offset = merge_next_offset(in->merge, i);
		at->topic = in->topics[merge_partition_place(in->merge, i, &at->partition)];
	}
}

static int make_merge(struct intake *in, struct admin *admin, const struct intake_options *options,
		      struct err *e)
{
	struct merge_topic *topics = xcalloc(in->topic_count + 1, sizeof(*topics));
	struct merge_options *merge = &in->merge_options;
	size_t partitions = 0;
	int rc;

	*merge = (struct merge_options){ .commits = in->commits,
					 .topics = topics,
					 .topic_count = in->topic_count,
					 .from = options->from,
					 .only = options->only,
					 .only_count = options->only_count,
					 .reader = in->reader };
	for (size_t i = 0; i < in->topic_count; i++) {
		topics[i].name = in->topics[i];
		if (intake_count_partitions(admin, in->topics[i], &topics[i].partitions, e) < 0)
			return -1;
		partitions += (size_t)topics[i].partitions;
	}
	if (options->only != NULL)
		partitions = options->only_count;
	merge->chunk_bytes = chunk_bytes(options->memory, partitions);
	merge->bytes_max = (size_t)(options->memory - options->memory / 4 - options->memory / 16);
	rc = merge_new(merge, &in->merge, e);
	merge->from = NULL;
	merge->only = NULL;
	if (rc < 0)
		return -1;
	in->feed_count = 1 + partitions;
	in->feeds = xcalloc(in->feed_count, sizeof(*in->feeds));
	in->assigned = xcalloc(in->feed_count, sizeof(*in->assigned));
	place_feeds(in);
	share_memory(in, options->memory);
	return 0;
}

int intake_rewind(struct intake *in, const struct intake_share *only, struct err *e)
{
	struct merge_options options = in->merge_options;
	struct merge *merge;

	options.only = only;
	if (merge_new(&options, &merge, e) < 0)
		return err_wrap(e, "intake");
	merge_free(in->merge);
	in->merge = merge;
	place_feeds(in);
	in->paused_count = 0;
	in->waiting_us = 0;
	for (size_t i = 0; i < in->feed_count; i++) {
		in->feeds[i].next = in->assigned[i].offset;
		in->feeds[i].paused = false;
	}
	if (consumer_assign(in->consumer, in->assigned, in->feed_count, e) < 0)
		return err_wrap(e, "intake");
	return 0;
}

/* How much there is to read, for progress. */
static int measure(struct intake *in, struct admin *admin, struct err *e)
{
	for (size_t i = 0; i < in->feed_count; i++) {
		const struct consumer_partition *p = &in->assigned[i];
		int64_t low;

		in->feeds[i].next = p->offset;
		if (admin_watermarks(admin, p->topic, p->partition, &low, &in->feeds[i].end_at_open,
				     e) < 0)
			return -1;
		if (i > 0 && in->feeds[i].end_at_open > p->offset)
			in->total += in->feeds[i].end_at_open - p->offset;
	}
	return 0;
}

static int open_with(struct intake *in, const struct settings *settings, struct admin *admin,
		     const struct intake_options *options, struct err *e)
{
	struct consumer_options consumer = { .group = in->group,
					     .queue_bytes_max = options->memory / 4 };
	int32_t commit_partitions;
	int64_t from;

	if (intake_count_partitions(admin, in->commits, &commit_partitions, e) < 0)
		return -1;
	if (commit_partitions != 1)
		return err_config(e, "topic %s has %d partitions instead of one", in->commits,
				  commit_partitions);
	if (registry_open(settings, false, &in->registry, e) < 0)
		return -1;
	in->reader = records_reader_new(lookup, in->registry);
	if (make_merge(in, admin, options, e) < 0 || measure(in, admin, e) < 0)
		return -1;
	from = in->feeds[0].end_at_open;
	consumer.partitions = (int64_t)in->feed_count;
	if (intake_tail_open(in, settings, from, e) < 0 ||
	    consumer_open(settings, &consumer, &in->consumer, e) < 0)
		return -1;
	return consumer_assign(in->consumer, in->assigned, in->feed_count, e);
}

int intake_open(const struct settings *settings, const struct intake_options *options,
		struct intake **ret_intake, struct err *e)
{
	struct intake *in = xcalloc(1, sizeof(*in));
	struct admin *admin = NULL;
	int rc;

	in->settings = settings;
	in->commits = xasprintf("%s.commits", settings->name);
	in->group = options->group != NULL ? xstrdup(options->group) : NULL;
	in->timeout_us = settings->kafka_timeout_ms * 1000;
	in->topics = xcalloc(options->topic_count + 1, sizeof(*in->topics));
	in->topic_count = options->topic_count;
	for (size_t i = 0; i < in->topic_count; i++)
		in->topics[i] = xstrdup(options->topics[i]);
	rc = admin_open(settings, &admin, e);
	if (rc == 0)
		rc = open_with(in, settings, admin, options, e);
	admin_close(admin);
	if (rc < 0) {
		intake_close(in);
		return err_wrap(e, "intake");
	}
	*ret_intake = in;
	return 0;
}

void intake_close(struct intake *in)
{
	if (in == NULL)
		return;
	intake_tail_close(&in->tail);
	intake_reconciling_done(in);
	consumer_close(in->consumer);
	consumer_close(in->again);
	merge_free(in->merge);
	records_reader_free(in->reader);
	if (in->registry != NULL)
		registry_close(in->registry);
	for (size_t i = 0; i < in->topic_count; i++)
		free(in->topics[i]);
	free((struct merge_topic *)in->merge_options.topics);
	free(in->topics);
	free(in->assigned);
	free(in->feeds);
	free(in->commits);
	free(in->group);
	free(in);
}
