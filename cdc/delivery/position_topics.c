/* position_topics.c - see position_topics.h. A broker that has just come back may not have heard of
 * every topic yet, so one that seems to be gone is asked for again for a while. */
#include "cdc/delivery/position_topics.h"

#include "cdc/delivery/delivery.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/stop.h"

#include <stdlib.h>

#define GONE_US 5000000
#define ASK_US 250000

static int is_gone(struct admin *admin, const char *topic, bool *ret_gone, struct err *e)
{
	int64_t until = clock_monotonic_us() + GONE_US;
	bool exists;
	int32_t partitions;

	for (;;) {
		if (admin_partitions(admin, topic, &exists, &partitions, e) < 0)
			return -1;
		if (exists || clock_monotonic_us() > until || stop_requested())
			break;
		clock_sleep_us(ASK_US);
	}
	*ret_gone = !exists;
	return 0;
}

static int refuse_commits(const char *topic, const struct settings *settings, struct err *e)
{
	err_config(e,
		   "topic %s is gone, but there is a position of %s: its readers could no longer "
		   "prove that nothing is missing",
		   topic, settings->name);
	return err_hint(e, "Give millrace.name another value and begin anew.");
}

static int refuse_schemas(const struct settings *settings, struct err *e)
{
	err_config(e,
		   "schemas topic %s does not have the schemas that the topics of %s were written "
		   "with: new ones would get ids that already mean something else there",
		   settings->kafka_schemas_topic, settings->name);
	return err_hint(e, "Check kafka.schemas_topic. If that topic was deleted, put its records "
			   "back from a copy, or give millrace.name another value and begin anew.");
}

static int check_own(const struct settings *settings, struct admin *admin,
		     struct registry *registry, const char *position, const char *commits,
		     struct err *e)
{
	char *subject = xasprintf("%s-value", position);
	struct registry_schema schema;
	int64_t low, high;
	int32_t partitions;
	bool exists, gone = false;
	int rc = admin_partitions(admin, position, &exists, &partitions, e);

	if (rc == 0 && exists)
		rc = admin_watermarks(admin, position, 0, &low, &high, e);
	if (rc == 0 && exists && high > 0) {
		rc = is_gone(admin, commits, &gone, e);
		if (rc == 0 && gone)
			rc = refuse_commits(commits, settings, e);
		if (rc == 0)
			rc = registry_latest(registry, subject, &schema, e);
		if (rc == 0 && !gone)
			rc = refuse_schemas(settings, e);
	}
	free(subject);
	return rc < 0 ? -1 : 0;
}

int position_check_own(const struct settings *settings, struct admin *admin,
		       struct registry *registry, struct err *e)
{
	char *position = delivery_topic_name(settings, "position");
	char *commits = delivery_topic_name(settings, "commits");
	int rc = check_own(settings, admin, registry, position, commits, e);

	free(position);
	free(commits);
	return rc;
}

/* ---- data ----------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The fingerprint has a line "topic NAME partitions=n". */
static bool was_there(const char *fingerprint, const char *topic)
{
	size_t size = strlen(topic);

	for (const char *line = fingerprint; *line != '\0'; line += strspn(line, "\n")) {
		if (strncmp(line, "topic ", 6) == 0 && strncmp(line + 6, topic, size) == 0 &&
		    line[6 + size] == ' ')
			return true;
		line += strcspn(line, "\n");
	}
	return false;
}

static int refuse_gone(const struct settings *settings, const char *topic, struct err *e)
{
	err_config(e,
		   "topic %s is gone, with all that was delivered to it, but the position of %s "
		   "goes on behind that",
		   topic, settings->name);
	return err_hint(e, "To deliver everything anew give millrace.name another value. To go on "
			   "with an empty topic set capture.adopt = on for one start.");
}

int position_check_data(const struct settings *settings, struct admin *admin,
			const char *fingerprint, char *const *topics, size_t count, struct err *e)
{
	char *prefix = xasprintf("%s.", settings->name), **names = NULL;
	size_t there = 0;
	bool gone = false;
	int rc = settings->capture_adopt ? 0 : admin_list(admin, prefix, &names, &there, e);

	if (there > 0)
		qsort(names, there, sizeof(*names), by_name);
	for (size_t i = 0; i < count && rc == 0 && !settings->capture_adopt; i++) {
		if (there > 0 && bsearch(&topics[i], names, there, sizeof(*names), by_name) != NULL)
			continue;
		if (!was_there(fingerprint, topics[i]))
			continue;
		rc = is_gone(admin, topics[i], &gone, e);
		if (rc == 0 && gone)
			rc = refuse_gone(settings, topics[i], e);
	}
	for (size_t i = 0; i < there; i++)
		free(names[i]);
	free(names);
	free(prefix);
	return rc;
}
