/* check_kafka.c - brokers, topics and registry as `millrace check` sees them. Topics that do not
 * exist yet are fine: capture creates them. What a topic must keep follows from its role:
 * position, status, parked records and the schemas are compacted, all others keep everything. */
#include "cli/check.h"

#include "core/base/mem.h"
#include "core/kafka/admin.h"
#include "core/kafka/kafka_conf.h"
#include "core/registry/registry.h"

#include <stdlib.h>
#include <string.h>

#define AREA "kafka"

static bool ends_in(const char *topic, const char *prefix, const char *end)
{
	size_t n = strlen(prefix);

	return strncmp(topic, prefix, n) == 0 && strcmp(topic + n, end) == 0;
}

static bool is_compacted_role(const struct settings *s, const char *topic)
{
	return strcmp(topic, s->kafka_schemas_topic) == 0 || ends_in(topic, s->name, ".position") ||
	       ends_in(topic, s->name, ".status") || ends_in(topic, s->name, ".parked");
}

static void history_mistake(const struct settings *s, const char *topic, const char *why,
			    struct findings *f)
{
	char *hint =
		xasprintf("kafka-configs.sh --bootstrap-server %s --alter --topic %s --add-config "
			  "retention.ms=-1,retention.bytes=-1,cleanup.policy=delete",
			  s->kafka_bootstrap, topic);

	finding_add(f, s->capture_history ? FINDING_FAIL : FINDING_WARNING, AREA, hint,
		    "topic %s %s: views could not be rebuilt from offset zero", topic, why);
	free(hint);
}

/* True when the topic keeps what it must. */
static bool check_topic(const struct settings *s, struct admin *admin, const char *topic,
			struct findings *f)
{
	struct topic_info info;
	struct err e = ERR_INIT;
	bool compacts;

	if (admin_topic(admin, topic, &info, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
		return false;
	}
	compacts = strstr(info.cleanup_policy, "compact") != NULL;
	if (!info.exists)
		return true;
	if (is_compacted_role(s, topic)) {
		if (compacts && strstr(info.cleanup_policy, "delete") == NULL)
			return true;
		finding_add(f, FINDING_FAIL, AREA, "Set cleanup.policy=compact on it.",
			    "topic %s does not compact (%s)", topic, info.cleanup_policy);
		return false;
	}
	if (compacts)
		return history_mistake(s, topic, "compacts", f), false;
	if (info.retention_ms != -1 || info.retention_bytes != -1)
		return history_mistake(s, topic, "deletes by retention", f), false;
	return true;
}

static void check_own_topics(const struct settings *s, struct admin *admin, struct findings *f)
{
	char *prefix = xasprintf("%s.", s->name), **names = NULL;
	size_t count = 0, good = 0;
	struct err e = ERR_INIT;

	if (admin_list(admin, prefix, &names, &count, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
	} else if (count == 0) {
		finding_add(f, FINDING_OK, AREA, NULL,
			    "no topic begins with '%s' yet: `millrace run` creates them", prefix);
	} else {
		for (size_t i = 0; i < count; i++)
			good += check_topic(s, admin, names[i], f);
		finding_add(f, good == count ? FINDING_OK : FINDING_WARNING, AREA, NULL,
			    "%zu of %zu topics that begin with '%s' keep what they must", good,
			    count, prefix);
	}
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	free(prefix);
}

/* Event topics are used under the names that the events give them. */
static void check_event_topics(const struct settings *s, struct admin *admin,
			       const struct check_topics *topics, struct findings *f)
{
	char *prefix = xasprintf("%s.", s->name);
	size_t count = 0, good = 0;

	for (size_t i = 0; i < topics->count; i++)
		if (strncmp(topics->names[i], prefix, strlen(prefix)) != 0) {
			count++;
			good += check_topic(s, admin, topics->names[i], f);
		}
	if (count != 0)
		finding_add(f, good == count ? FINDING_OK : FINDING_WARNING, AREA, NULL,
			    "%zu of %zu event topics are as they must be, or yet to be made", good,
			    count);
	free(prefix);
}

static void count_schema(const struct registry_schema *schema, void *context)
{
	size_t *count = context;

	(void)schema;
	(*count)++;
}

static void check_registry(const struct settings *s, struct admin *admin, struct findings *f)
{
	struct topic_info info;
	struct registry *registry;
	struct err e = ERR_INIT;
	size_t count = 0;

	if (admin_topic(admin, s->kafka_schemas_topic, &info, &e) == 0 && !info.exists) {
		finding_add(f, FINDING_OK, "registry", NULL,
			    "topic %s does not exist yet: `millrace run` creates it",
			    s->kafka_schemas_topic);
		return;
	}
	if (e.kind != ERR_NONE || registry_open(s, false, &registry, &e) < 0) {
		finding_err(f, FINDING_FAIL, "registry", &e);
		return;
	}
	(void)check_topic(s, admin, s->kafka_schemas_topic, f); /* it has added what it found */
	registry_each(registry, count_schema, &count);
	finding_add(f, FINDING_OK, "registry", NULL, "%zu schemas in topic %s", count,
		    s->kafka_schemas_topic);
	registry_close(registry);
}

void check_kafka(const struct settings *settings, const struct check_topics *topics,
		 struct findings *f)
{
	struct admin *admin;
	struct err e = ERR_INIT;
	int brokers;

	if (kafka_conf_check(settings, &e) < 0 || admin_open(settings, &admin, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
		return;
	}
	if (admin_ping(admin, &brokers, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
	} else {
		finding_add(f, FINDING_OK, AREA, NULL, "%d broker%s at %s", brokers,
			    brokers == 1 ? "" : "s", settings->kafka_bootstrap);
		if (brokers < settings->kafka_replication)
			finding_add(f, FINDING_FAIL, AREA,
				    "Lower kafka.replication, or start more brokers.",
				    "kafka.replication = %lld needs as many brokers",
				    (long long)settings->kafka_replication);
		check_own_topics(settings, admin, f);
		check_event_topics(settings, admin, topics, f);
		check_registry(settings, admin, f);
	}
	admin_close(admin);
}
