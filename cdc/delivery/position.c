/* position.c - refuses to go on where that could lose or repeat something. */
#include "cdc/delivery/position.h"

#include "cdc/delivery/delivery.h"
#include "cdc/delivery/scan.h"
#include "core/base/mem.h"

#include <stdlib.h>

static int lookup(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct registry_schema schema;

	if (registry_by_id(context, id, &schema, e) < 0)
		return -1;
	*ret_text = schema.text;
	return 0;
}

struct reading {
	struct records_reader *reader;
	bool found;
	struct commit_record commit;
};

static int take_commit(void *context, const struct consumer_message *message, struct err *e)
{
	struct reading *r = context;

	if (message->value.data == NULL)
		return 0;
	if (r->found)
		records_done_commit(&r->commit);
	r->found = false;
	if (records_read_commit(r->reader, message->value, &r->commit, e) < 0)
		return err_wrap(e, "topic %s, offset %lld", message->topic,
				(long long)message->offset);
	r->found = true;
	return 0;
}

/* Some of the last offsets hold transaction markers, so go back far enough. */
int position_last_commit(const struct settings *settings, struct admin *admin,
			 struct registry *registry, bool *ret_found,
			 struct commit_record *ret_commit, struct err *e)
{
	struct reading r = { .reader = records_reader_new(lookup, registry) };
	char *topic = delivery_topic_name(settings, "commits");
	int64_t low, high, from;
	int rc = admin_watermarks(admin, topic, 0, &low, &high, e);

	for (int64_t back = 100; rc == 0 && !r.found; back *= 10) {
		from = high - back > low ? high - back : low;
		rc = scan_partition(settings, topic, 0, from, take_commit, &r, e);
		if (from == low)
			break;
	}
	if (rc == 0) {
		*ret_found = r.found;
		if (r.found)
			*ret_commit = r.commit;
	} else if (r.found) {
		records_done_commit(&r.commit);
	}
	records_reader_free(r.reader);
	free(topic);
	return rc;
}

/* ---- without a position --------------------------------------------------------------------- */

static int take_any(void *context, const struct consumer_message *message, struct err *e)
{
	(void)message;
	(void)e;
	*(bool *)context = true;
	return 1;
}

/* Committed records. An offset alone says nothing: a first group commit that failed leaves aborted
 * ones and markers behind. */
static int holds_records(const struct settings *settings, struct admin *admin, const char *topic,
			 bool *ret_holds, struct err *e)
{
	struct topic_info info;
	bool holds = false;

	if (admin_topic(admin, topic, &info, e) < 0)
		return -1;
	for (int32_t p = 0; info.exists && p < info.partitions && !holds; p++) {
		int64_t low, high;

		if (admin_watermarks(admin, topic, p, &low, &high, e) < 0)
			return -1;
		if (low > 0) /* there were some */
			holds = true;
		else if (high > 0 && scan_partition(settings, topic, p, CONSUMER_BEGIN, take_any,
						    &holds, e) < 0)
			return -1;
	}
	*ret_holds = holds;
	return 0;
}

static int refuse_data(const struct settings *settings, struct admin *admin, const char *topic,
		       struct err *e)
{
	bool holds;

	if (holds_records(settings, admin, topic, &holds, e) < 0)
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

int position_new_table(const struct settings *settings, struct admin *admin, const char *topic,
		       struct err *e)
{
	bool holds;

	if (holds_records(settings, admin, topic, &holds, e) < 0)
		return -1;
	if (!holds || settings->capture_adopt)
		return 0;
	err_config(e,
		   "topic %s holds records, but the position of %s does not know its table: what "
		   "was deleted in between would never be said",
		   topic, settings->name);
	return err_hint(e, "Give millrace.name another value, delete the topic, or set "
			   "capture.adopt = on to write behind what is there.");
}

static bool is_data(const struct settings *settings, const char *topic)
{
	const char *rest = topic + strlen(settings->name) + 1;

	return strcmp(rest, "position") != 0 && strcmp(rest, "status") != 0 &&
	       strcmp(rest, "parked") != 0 && strcmp(topic, settings->kafka_schemas_topic) != 0;
}

static int last_seq(const struct settings *settings, struct admin *admin, struct registry *registry,
		    int64_t *ret_seq, struct err *e)
{
	struct commit_record last;
	bool found;

	if (position_last_commit(settings, admin, registry, &found, &last, e) < 0)
		return -1;
	*ret_seq = found ? last.seq : 0;
	if (found)
		records_done_commit(&last);
	return 0;
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

/* Bytes of "<kind> <name>", by which a line is known. */
static size_t identity(const char *line, size_t size)
{
	size_t kind = strcspn(line, " \n");

	if (kind >= size)
		return size;
	kind += 1 + strcspn(line + kind + 1, " \n");
	return kind < size ? kind : size;
}

/* `lines` has a line of the same kind and name. */
static bool has_identity(const char *lines, const char *line, size_t size)
{
	size_t same = identity(line, size);

	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n");

		if (n >= same && identity(lines, n) == same && memcmp(lines, line, same) == 0)
			return true;
		lines += n + (lines[n] != '\0');
	}
	return false;
}

int32_t position_partitions(const char *fingerprint, const char *topic)
{
	size_t size = strlen(topic);
	int partitions = 0;

	for (const char *line = fingerprint; *line != '\0'; line += strspn(line, "\n")) {
		if (strncmp(line, "topic ", 6) == 0 && strncmp(line + 6, topic, size) == 0 &&
		    sscanf(line + 6 + size, " partitions=%d", &partitions) == 1)
			return partitions;
		line += strcspn(line, "\n");
	}
	return 0;
}

/* A line of a topic that has more partitions in `now` than in `stored`. */
static bool has_grown(const char *line, size_t size, const char *stored, const char *now)
{
	size_t name = identity(line, size);
	int32_t before, after;
	char *topic;

	if (strncmp(line, "topic ", 6) != 0)
		return false;
	topic = xstrndup(line + 6, name - 6);
	before = position_partitions(stored, topic);
	after = position_partitions(now, topic);
	free(topic);
	return before > 0 && after > before;
}

static bool is_kind(const char *line, const char *kind)
{
	return strncmp(line, kind, strlen(kind)) == 0;
}

/* What is only on this side: a change when the other side has the same name, or when lines of its
 * kind can neither come nor go; else it came or went. */
static void judge(const char *line, size_t n, const char *others, bool came, struct buf *changes,
		  struct buf *notes)
{
	bool table = is_kind(line, "table "), event = is_kind(line, "event ");
	int name = (int)identity(line, n);

	if (has_identity(others, line, n) || (!table && !event && !is_kind(line, "topic ")))
		buf_add_format(changes, "%s%s: %.*s", changes->size > 0 ? "; " : "",
			       came ? "new" : "gone", (int)(n < 300 ? n : 300), line);
	else if (event && came)
		buf_add_format(
			notes,
			"%.*s is new: it is published from here on, not for what was before\n",
			name, line);
	else if ((table || event) && !came)
		buf_add_format(notes, "%.*s is no longer configured: its topic ends here\n", name,
			       line);
}

static void note_growth(const char *line, size_t n, struct buf *notes)
{
	buf_add_format(notes,
		       "%.*s has more partitions: keys move among them, so that records of one key "
		       "stand in two; seq tells their order\n",
		       (int)identity(line, n), line);
}

static void compare_side(const char *from, const char *others, bool came, struct buf *changes,
			 struct buf *notes)
{
	const char *all = from;

	while (*from != '\0') {
		size_t n = strcspn(from, "\n");

		if (n > 0 && !has_line(others, from, n)) {
			if (!has_grown(from, n, came ? others : all, came ? all : others))
				judge(from, n, others, came, changes, notes);
			else if (came)
				note_growth(from, n, notes);
		}
		from += n + (from[n] != '\0');
	}
}

int position_compare(const char *stored, const char *now, struct buf *notes, struct err *e)
{
	struct buf changes = BUF_INIT;

	compare_side(stored, now, false, &changes, notes);
	compare_side(now, stored, true, &changes, notes);
	if (changes.size == 0) {
		buf_done(&changes);
		return 0;
	}
	err_config(e,
		   "the configuration differs from the one that the position was written with: "
		   "%.1500s",
		   buf_cstr(&changes));
	err_hint(e,
		 "Put it back, or begin anew with another millrace.name (and new topics for the "
		 "events). A changed event can also be a new one, with a name and a topic of its "
		 "own.");
	buf_done(&changes);
	return -1;
}
