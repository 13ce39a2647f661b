/* feed_intake.c - the intake and the registry as a worker's feed.
 *
 * A missing topic is a mistake in view.conf, or the capture has not begun yet: the two daemons are
 * started in any order. When <name>.commits itself isn't there it is the second, which heals. */
#include "core/base/mem.h"
#include "core/intake/parked.h"
#include "core/kafka/admin.h"
#include "core/registry/registry.h"
#include "projections/work/feed.h"

#include <stdlib.h>

static bool capture_has_begun(const struct settings *settings)
{
	char *topic = xasprintf("%s.commits", settings->name);
	struct topic_info info = { .exists = true };
	struct err ignored = ERR_INIT;
	struct admin *admin;

	if (admin_open(settings, &admin, &ignored) == 0) {
		(void)admin_topic(admin, topic, &info,
				  &ignored); /* in doubt the intake's own error stands */
		admin_close(admin);
	}
	free(topic);
	return info.exists;
}

static int open_intake(void *context, const struct intake_options *options, void **ret_feed,
		       struct err *e)
{
	const struct feed_intake *f = context;
	struct intake *in;

	if (intake_open(f->settings, options, &in, e) < 0) {
		if ((e->kind == ERR_CONFIG || e->kind == ERR_RETRY) &&
		    !capture_has_begun(f->settings)) {
			err_retry(e, "capture %s has not begun: there is no topic %s.commits yet",
				  f->settings->name, f->settings->name);
			err_hint(e, "`millrace run` makes it; millrace.name says whose it is.");
		}
		return -1;
	}
	*ret_feed = in;
	return 0;
}

static void close_intake(void *feed)
{
	intake_close(feed);
}

static int next(void *feed, int timeout_ms, struct intake_item *ret_item, struct err *e)
{
	return intake_next(feed, timeout_ms, ret_item, e);
}

static const struct intake_position *position(const void *feed)
{
	return intake_position(feed);
}

static const char *next_gtid(void *feed)
{
	return intake_next_gtid(feed);
}

static int64_t next_commit_us(void *feed)
{
	return intake_next_commit_us(feed);
}

static void slowest(const void *feed, struct intake_slowest *ret_slowest)
{
	intake_slowest(feed, ret_slowest);
}

static void delivered(const void *feed, struct intake_end *ret_end)
{
	intake_delivered(feed, ret_end);
}

static const char *const *copying(const void *feed)
{
	return intake_copying(feed);
}

static const struct intake_reconciling *reconciling(void *feed, size_t *ret_count)
{
	return intake_reconciling(feed, ret_count);
}

static int64_t records(const void *feed)
{
	return intake_records(feed);
}

static int64_t records_total(const void *feed)
{
	return intake_records_total(feed);
}

static void commit_offsets(void *feed)
{
	intake_commit_offsets(feed);
}

static void share_position(const void *feed, size_t i, struct intake_position *ret_position)
{
	intake_share_position(feed, i, ret_position);
}

static int rewind_to(void *feed, const struct intake_share *only, struct err *e)
{
	return intake_rewind(feed, only, e);
}

static int wait_for(void *feed, int timeout_ms, struct err *e)
{
	return intake_wait(feed, timeout_ms, e);
}

static int schema(void *context, int32_t id, const char **ret_text, struct err *e)
{
	const struct feed_intake *f = context;
	struct registry_schema found;

	if (registry_by_id(f->registry, id, &found, e) < 0)
		return -1;
	*ret_text = found.text;
	return 0;
}

static int latest(void *context, const char *topic, const char **ret_text, struct err *e)
{
	const struct feed_intake *f = context;
	char *subject = xasprintf("%s-value", topic);
	struct registry_schema found;
	int rc = registry_refresh(f->registry, e);

	if (rc == 0)
		rc = registry_latest(f->registry, subject, &found, e);
	if (rc == 1)
		*ret_text = found.text;
	free(subject);
	return rc;
}

static int lookup(void *context, int32_t id, const char **ret_text, struct err *e)
{
	return schema(context, id, ret_text, e);
}

static int parked(void *context, struct slice reference, int64_t seq, struct buf *ret_value,
		  struct err *e)
{
	const struct feed_intake *f = context;
	struct records_reader *reader = records_reader_new(lookup, context);
	int rc = parked_fetch(f->settings, reader, reference, seq, f->settings->project_record_max,
			      ret_value, e);

	records_reader_free(reader);
	return rc;
}

const struct feed_ops feed_intake_ops = {
	.open = open_intake,
	.close = close_intake,
	.next = next,
	.position = position,
	.next_gtid = next_gtid,
	.next_commit_us = next_commit_us,
	.slowest = slowest,
	.delivered = delivered,
	.copying = copying,
	.reconciling = reconciling,
	.records = records,
	.records_total = records_total,
	.commit_offsets = commit_offsets,
	.share_position = share_position,
	.rewind = rewind_to,
	.wait = wait_for,
	.schema = schema,
	.latest = latest,
	.parked = parked,
};
