/* kafka_conf.c - how every Kafka client of Millrace is made.
 *
 * The order of settings is: what the role needs, what the owner adds, then the kafka.<property>
 * lines of the user, so that any property of the library can be set without Millrace knowing it.
 * The library prints a table of its properties with the clients that each concerns; that table,
 * read once, gives the check of names, the nearest name for a hint, and which lines a producer or a
 * consumer leaves out.
 *
 * Refused: properties that Millrace's promises stand on (acks, isolation level, offsets ...),
 * whatever their value.
 *
 * The library's log goes to ours: connection trouble as a warning, at most one in ten seconds for a
 * client, everything else at debug level. What a call returns as an error is not logged here. */
#include "core/kafka/kafka_priv.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LOG_PAUSE_US 10000000
#define PROPERTIES_MAX 512

struct property_info {
	char name[64];
	char scope; /* '*' both, 'P' producers, 'C' consumers */
};

static struct {
	struct property_info list[PROPERTIES_MAX];
	const char *names[PROPERTIES_MAX];
	size_t count;
} known;

static pthread_once_t known_once = PTHREAD_ONCE_INIT;

static const struct {
	const char *name, *why;
} ours[] = {
	{ "bootstrap.servers", "kafka.bootstrap says it" },
	{ "metadata.broker.list", "kafka.bootstrap says it" },
	{ "acks", "a commit counts only with all in-sync replicas" },
	{ "request.required.acks", "a commit counts only with all in-sync replicas" },
	{ "enable.idempotence", "without it the broker may store a record twice" },
	{ "transactional.id", "it is the capture's name" },
	{ "isolation.level", "what a broken transaction left behind must not be read" },
	{ "auto.offset.reset", "a gap must be an error, never skipped" },
	{ "check.crcs", "what is read is always checked" },
	{ "group.id", "Millrace names its groups itself" },
	{ "group.instance.id", "a member that ends must leave its group at once" },
	{ "partition.assignment.strategy", "who leads must not change when a standby comes" },
	{ "enable.auto.commit", "Millrace keeps its own positions" },
	{ "auto.commit.enable", "Millrace keeps its own positions" },
	{ "enable.auto.offset.store", "Millrace keeps its own positions" },
	{ "enable.partition.eof", "Millrace needs it both ways" },
};

/* A line of the table: "name | C/P | range | default | ...". Headings and rulers have no such
 * second column. */
static void know_line(const char *line)
{
	const char *bar = strchr(line, '|');
	struct property_info *p = &known.list[known.count];
	size_t n = strcspn(line, " |");

	if (bar == NULL || n == 0 || n >= sizeof(p->name) || known.count == PROPERTIES_MAX)
		return;
	bar += 1 + strspn(bar + 1, " ");
	if ((*bar != '*' && *bar != 'C' && *bar != 'P') || bar[1] != ' ')
		return;
	memcpy(p->name, line, n);
	p->name[n] = '\0';
	p->scope = *bar;
	known.names[known.count++] = p->name;
}

static void know_properties(void)
{
	char *text = NULL, *line, *end;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort();
	rd_kafka_conf_properties_show(out);
	fclose(out);
	for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		know_line(line);
	}
	free(text);
}

static const struct property_info *find_property(const char *name)
{
	pthread_once(&known_once, know_properties);
	for (size_t i = 0; i < known.count; i++)
		if (strcmp(known.list[i].name, name) == 0)
			return &known.list[i];
	return NULL;
}

/* ---- check
 * -------------------------------------------------------------------------------------------------
 */

static const char *why_ours(const char *name)
{
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(ours[i].name, name) == 0)
			return ours[i].why;
	return NULL;
}

/* Appends one mistake to the message, a line each. */
static void __attribute__((format(printf, 2, 3)))
add_mistake(struct err *e, const char *format, ...)
{
	size_t at = strlen(e->msg);
	va_list args;

	if (at + 2 >= sizeof(e->msg))
		return;
	if (e->kind != ERR_NONE)
		e->msg[at++] = '\n';
	e->kind = ERR_CONFIG;
	va_start(args, format);
	vsnprintf(e->msg + at, sizeof(e->msg) - at, format, args);
	va_end(args);
}

static void check_property(rd_kafka_conf_t *scratch, const struct property *p, struct err *e)
{
	const char *nearest, *why = why_ours(p->key);
	char text[256];

	if (why != NULL) {
		add_mistake(e, "kafka.%s cannot be set: %s\n  HINT: Remove the line.", p->key, why);
		return;
	}
	if (rd_kafka_conf_set(scratch, p->key, p->value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
		return;
	if (find_property(p->key) != NULL) {
		add_mistake(e, "kafka.%s: %s", p->key, text);
		return;
	}
	nearest = settings_nearest(p->key, known.names, known.count);
	add_mistake(e, "kafka.%s: librdkafka %s has no such property", p->key,
		    rd_kafka_version_str());
	if (nearest != NULL)
		add_mistake(e, "  HINT: Did you mean kafka.%s?", nearest);
}

int kafka_conf_check(const struct settings *settings, struct err *e)
{
	rd_kafka_conf_t *scratch = rd_kafka_conf_new();
	struct err all = ERR_INIT;

	all.msg[0] = '\0';
	for (size_t i = 0; i < settings->kafka_property_count; i++)
		check_property(scratch, &settings->kafka_properties[i], &all);
	rd_kafka_conf_destroy(scratch);
	if (all.kind == ERR_NONE)
		return 0;
	*e = all;
	return -1;
}

/* ---- callbacks
 * --------------------------------------------------------------------------------------------- */

/* A warning now? Once in ten seconds for a client: a dead broker is one story, told once. */
static bool may_warn(struct kafka_client *client)
{
	int64_t now = clock_monotonic_us();
	bool may;

	pthread_mutex_lock(&client->lock);
	may = now >= client->log_after_us;
	if (may)
		client->log_after_us = now + LOG_PAUSE_US;
	pthread_mutex_unlock(&client->lock);
	return may;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	struct kafka_client *client = rk != NULL ? rd_kafka_opaque(rk) : NULL;

	/* what goes wrong in a request comes back from the call that made it; only the connection
	 * has no caller */
	if ((strcmp(facility, "FAIL") == 0 || strcmp(facility, "REQTMOUT") == 0) && level <= 4 &&
	    client != NULL && may_warn(client))
		log_warning("kafka", "%s", text);
	else
		log_debug("kafka", "%s: %s", facility, text);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct kafka_client *client = opaque;

	(void)rk;
	pthread_mutex_lock(&client->lock);
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		client->all_down = true;
	} else {
		client->trouble_code = (rd_kafka_resp_err_t)code;
		snprintf(client->trouble, sizeof(client->trouble), "%s", reason);
	}
	pthread_mutex_unlock(&client->lock);
}

void kafka_client_healthy(struct kafka_client *client)
{
	pthread_mutex_lock(&client->lock);
	client->all_down = false;
	client->trouble_code = RD_KAFKA_RESP_ERR_NO_ERROR;
	client->trouble[0] = '\0';
	pthread_mutex_unlock(&client->lock);
}

bool kafka_client_all_down(struct kafka_client *client)
{
	bool down;

	pthread_mutex_lock(&client->lock);
	down = client->all_down;
	pthread_mutex_unlock(&client->lock);
	return down;
}

/* ---- making a client
 * --------------------------------------------------------------------------------------- */

void kafka_conf_put(rd_kafka_conf_t *conf, const char *name, const char *format, ...)
{
	char value[256], text[256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(value, sizeof(value), format,
			args); /* who puts text in has checked its length */
	va_end(args);
	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
		log_error("kafka", "a setting of our own was refused: %s", text);
		abort();
	}
}

rd_kafka_conf_t *kafka_conf_begin(struct kafka_client *client, const struct settings *settings,
				  enum kafka_role role)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	int64_t socket_ms = settings->kafka_timeout_ms < 300000 ? settings->kafka_timeout_ms
								: 300000;

	memset(client, 0, sizeof(*client));
	pthread_mutex_init(&client->lock, NULL);
	client->brokers = xstrdup(settings->kafka_bootstrap);
	client->timeout_ms = settings->kafka_timeout_ms;
	rd_kafka_conf_set_opaque(conf, client);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	kafka_conf_put(conf, "client.id", "millrace");
	kafka_conf_put(conf, "log.thread.name", "false");
	kafka_conf_put(conf, "socket.timeout.ms", "%lld", (long long)socket_ms);
	kafka_conf_put(conf, "reconnect.backoff.max.ms", "2000");
	kafka_conf_put(conf, "topic.metadata.refresh.interval.ms", "60000");
	/* nor may a producer: a topic that was deleted under us must not come back empty */
	kafka_conf_put(conf, "allow.auto.create.topics", "false");
	(void)role; /* whose own settings come after these */
	return conf;
}

static bool concerns(const struct property_info *info, enum kafka_role role)
{
	return info == NULL || info->scope == '*' ||
	       (role == KAFKA_PRODUCER) == (info->scope == 'P');
}

static int apply_user(rd_kafka_conf_t *conf, const struct settings *settings, enum kafka_role role,
		      struct err *e)
{
	char text[256];

	/* bootstrap may be longer than kafka_conf_put takes */
	if (rd_kafka_conf_set(conf, "bootstrap.servers", settings->kafka_bootstrap, text,
			      sizeof(text)) != RD_KAFKA_CONF_OK)
		return err_config(e, "kafka.bootstrap: %s", text);
	for (size_t i = 0; i < settings->kafka_property_count; i++) {
		const struct property *p = &settings->kafka_properties[i];

		if (concerns(find_property(p->key), role) &&
		    rd_kafka_conf_set(conf, p->key, p->value, text, sizeof(text)) !=
			    RD_KAFKA_CONF_OK)
			return err_config(e, "kafka.%s: %s", p->key, text);
	}
	return 0;
}

static int64_t read_number(const rd_kafka_conf_t *conf, const char *name)
{
	char text[64];
	size_t size = sizeof(text);

	if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK)
		return 0;
	return strtoll(text, NULL, 10);
}

static bool user_set(const struct settings *settings, const char *a, const char *b)
{
	for (size_t i = 0; i < settings->kafka_property_count; i++) {
		const char *key = settings->kafka_properties[i].key;

		if (strcmp(key, a) == 0 || strcmp(key, b) == 0)
			return true;
	}
	return false;
}

int kafka_client_start(struct kafka_client *client, const struct settings *settings,
		       rd_kafka_conf_t *conf, enum kafka_role role, struct err *e)
{
	char text[256];

	if (kafka_conf_check(settings, e) < 0 || apply_user(conf, settings, role, e) < 0) {
		rd_kafka_conf_destroy(conf);
		kafka_client_done(client);
		return -1;
	}
	if (role == KAFKA_PRODUCER) {
		client->message_max = read_number(conf, "message.max.bytes");
		client->batch_max = read_number(conf, "batch.size");
		/* one record of any size that is allowed fits the library's queue */
		kafka_conf_put(conf, "queue.buffering.max.kbytes", "%lld",
			       (long long)(read_number(conf, "queue.buffering.max.kbytes") +
					   client->message_max / 1024));
		/* a record that outlives its transaction can only do harm */
		client->transaction_ms = read_number(conf, "transaction.timeout.ms");
		if (!user_set(settings, "message.timeout.ms", "delivery.timeout.ms"))
			kafka_conf_put(conf, "message.timeout.ms", "%lld",
				       (long long)client->transaction_ms);
	}
	client->rk = rd_kafka_new(role == KAFKA_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER,
				  conf, text, sizeof(text));
	if (client->rk == NULL) {
		rd_kafka_conf_destroy(conf);
		kafka_client_done(client);
		return err_config(e, "kafka: %s", text);
	}
	return 0;
}

void kafka_client_done(struct kafka_client *client)
{
	if (client->rk != NULL)
		rd_kafka_destroy(client->rk);
	client->rk = NULL;
	free(client->brokers);
	client->brokers = NULL;
	pthread_mutex_destroy(&client->lock);
}
