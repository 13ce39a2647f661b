/* assignment.c - a member of a consumer group over some topics, which reads nothing.
 *
 * librdkafka assigns; what it assigns is paused at once, so nothing is fetched. The rebalance
 * callback runs in the polling thread: when something is taken away it waits there until the owner
 * has settled (heartbeats come from another thread), and then says so to the group. A member that
 * is told too late that its session is over has lost its partitions already: nobody is waited for.
 *
 * Two errors of the library are lived with, as in membership.c: a handle that never got an
 * assignment can't be destroyed (before 2.3), and a coordinator that comes back under another
 * address isn't found again. The second one shows as a group that doesn't know us. */
#include "core/kafka/assignment.h"
#include "core/kafka/kafka_priv.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SESSION_MS 6000
#define HEARTBEAT_MS 500
#define COORDINATOR_MS 10000
#define POLL_MS 100
#define LET_GO_US 3000000
#define WATCH_EVERY_US 2000000
#define WATCH_TIMEOUT_MS 1000
#define UNKNOWN_MAX 5

struct assignment {
	struct kafka_client client; /* first: the library's opaque points to it */
	char *group, id[256];
	const char *const *topics;
	size_t topic_count;
	pthread_t thread;
	bool started;
	atomic_bool stopping, answered; /* answered: assigned once, be it nothing */
	_Atomic int64_t generation;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct err failure;
	struct assigned_partition *held;
	size_t held_count;
	int64_t settled;

	/* the thread's own */
	int unknown;
	int64_t watched_us;
};

static void set_failure(struct assignment *a, const struct err *e)
{
	pthread_mutex_lock(&a->lock);
	if (a->failure.kind == ERR_NONE)
		a->failure = *e;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

static void fail(struct assignment *a, rd_kafka_resp_err_t code)
{
	bool gone = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		    code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		    code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
	struct err e = ERR_INIT;

	if (gone)
		err_retry(&e, "consumer group %s: a topic is gone", a->group);
	else
		kafka_fail(&a->client, code, &e, "consumer group %s", a->group);
	if (e.kind == ERR_RETRY && !gone)
		log_debug("kafka", "%s", e.msg); /* the library gets over it */
	else
		set_failure(a, &e);
}

/* ---- what is held --------------------------------------------------------------------------- */

static const char *own_name(const struct assignment *a, const char *topic)
{
	for (size_t i = 0; i < a->topic_count; i++)
		if (strcmp(a->topics[i], topic) == 0)
			return a->topics[i];
	return NULL;
}

static void add(struct assignment *a, const rd_kafka_topic_partition_list_t *list)
{
	a->held = xrealloc(a->held, (a->held_count + (size_t)list->cnt + 1) *
					    sizeof(struct assigned_partition));
	for (int i = 0; i < list->cnt; i++) {
		const char *topic = own_name(a, list->elems[i].topic);

		if (topic != NULL)
			a->held[a->held_count++] =
				(struct assigned_partition){ topic, list->elems[i].partition, 0 };
	}
}

static void take_away(struct assignment *a, const rd_kafka_topic_partition_list_t *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->held_count; i++)
		if (rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)list,
						       a->held[i].topic,
						       a->held[i].partition) == NULL)
			a->held[kept++] = a->held[i];
	a->held_count = kept;
}

/* Under lock: until the owner works on nothing that was taken away. */
static void await_settled(struct assignment *a)
{
	int64_t until = clock_monotonic_us() + LET_GO_US;
	struct timespec t = clock_timespec(until);

	while (a->settled < atomic_load(&a->generation) && !atomic_load(&a->stopping))
		if (pthread_cond_timedwait(&a->changed, &a->lock, &t) == ETIMEDOUT)
			return;
}

/* Called by rd_kafka_consumer_poll(), so in our thread; and by the close. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
			 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	bool assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
	struct assignment *a = opaque;
	rd_kafka_error_t *error;

	if (assign) {
		atomic_store(&a->answered, true);
		for (int i = 0; i < partitions->cnt; i++)
			partitions->elems[i].offset = RD_KAFKA_OFFSET_END; /* never read */
	}
	pthread_mutex_lock(&a->lock);
	if (assign)
		add(a, partitions);
	else
		take_away(a, partitions);
	if (partitions->cnt > 0)
		atomic_fetch_add(&a->generation, 1);
	pthread_cond_broadcast(&a->changed);
	if (!assign && partitions->cnt > 0 && !rd_kafka_assignment_lost(rk))
		await_settled(a);
	pthread_mutex_unlock(&a->lock);
	error = assign ? rd_kafka_incremental_assign(rk, partitions)
		       : rd_kafka_incremental_unassign(rk, partitions);
	if (assign)
		(void)rd_kafka_pause_partitions(rk, partitions);
	if (error != NULL) {
		log_warning("kafka", "consumer group %s: %s", a->group,
			    rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
	}
}

/* ---- the thread ----------------------------------------------------------------------------- */

static bool listed(const struct assignment *a, const struct rd_kafka_group_info *group)
{
	for (int i = 0; i < group->member_cnt; i++)
		if (strcmp(group->members[i].client_id, a->id) == 0)
			return true;
	return false;
}

/* While it holds nothing: does the group know us? Else it would wait for ever. */
static void watch(struct assignment *a)
{
	const struct rd_kafka_group_list *list = NULL;
	int64_t now = clock_monotonic_us();
	struct err e = ERR_INIT;
	bool found = false;

	if (a->held_count > 0 || now - a->watched_us < WATCH_EVERY_US)
		return;
	a->watched_us = now;
	if (rd_kafka_list_groups(a->client.rk, a->group, &list, WATCH_TIMEOUT_MS) ==
	    RD_KAFKA_RESP_ERR_NO_ERROR) {
		for (int i = 0; i < list->group_cnt; i++)
			found = found || listed(a, &list->groups[i]);
		a->unknown = found ? 0 : a->unknown + 1;
	}
	if (list != NULL)
		rd_kafka_group_list_destroy(list);
	if (a->unknown < UNKNOWN_MAX)
		return;
	err_retry(&e, "consumer group %s: the brokers do not know us as a member any more",
		  a->group);
	set_failure(a, &e);
}

static void *member(void *context)
{
	struct assignment *a = context;

	while (!atomic_load(&a->stopping)) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(a->client.rk, POLL_MS);

		if (message != NULL) {
			if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
				fail(a, message->err);
			rd_kafka_message_destroy(message);
		}
		watch(a);
	}
	return NULL;
}

/* ---- opening and closing -------------------------------------------------------------------- */

static void put_conf(struct assignment *a, rd_kafka_conf_t *conf)
{
	static atomic_int number; /* members of one process have names of their own */
	char host[128] = "";

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	(void)snprintf(a->id, sizeof(a->id), "millrace-%s-%ld-%d", host, (long)getpid(),
		       atomic_fetch_add(&number, 1) + 1);
	kafka_conf_put(conf, "client.id", "%s", a->id);
	kafka_conf_put(conf, "group.id", "%s", a->group);
	kafka_conf_put(conf, "partition.assignment.strategy", "cooperative-sticky");
	kafka_conf_put(conf, "session.timeout.ms", "%d", SESSION_MS);
	kafka_conf_put(conf, "heartbeat.interval.ms", "%d", HEARTBEAT_MS);
	kafka_conf_put(conf, "coordinator.query.interval.ms", "%d", COORDINATOR_MS);
	kafka_conf_put(conf, "topic.metadata.refresh.interval.ms", "%d", COORDINATOR_MS);
	kafka_conf_put(conf, "enable.auto.commit", "false");
	kafka_conf_put(conf, "enable.auto.offset.store", "false");
	kafka_conf_put(conf, "auto.offset.reset", "latest");
	kafka_conf_put(conf, "queued.max.messages.kbytes", "64");
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
}

static int join(struct assignment *a, struct err *e)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)a->topic_count);
	rd_kafka_resp_err_t code;

	for (size_t i = 0; i < a->topic_count; i++)
		rd_kafka_topic_partition_list_add(list, a->topics[i], RD_KAFKA_PARTITION_UA);
	rd_kafka_poll_set_consumer(a->client.rk);
	code = rd_kafka_subscribe(a->client.rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(&a->client, code, e, "consumer group %s", a->group);
	if (pthread_create(&a->thread, NULL, member, a) != 0)
		return err_fatal(e, "no thread could be made for consumer group %s", a->group);
	a->started = true;
	return 0;
}

int assignment_open(const struct settings *settings, const char *group, const char *const *topics,
		    size_t topic_count, struct assignment **ret_assignment, struct err *e)
{
	struct assignment *a = xcalloc(1, sizeof(*a));
	rd_kafka_conf_t *conf = kafka_conf_begin(&a->client, settings, KAFKA_CONSUMER);
	pthread_condattr_t monotonic;

	a->group = xstrdup(group);
	a->topics = topics;
	a->topic_count = topic_count;
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&a->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	put_conf(a, conf);
	if (kafka_client_start(&a->client, settings, conf, KAFKA_CONSUMER, e) < 0 ||
	    join(a, e) < 0) {
		assignment_close(a);
		return -1;
	}
	*ret_assignment = a;
	return 0;
}

void assignment_close(struct assignment *a)
{
	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	atomic_store(&a->stopping, true);
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	if (a->started)
		pthread_join(a->thread, NULL);
	if (a->started && !kafka_group_leave(&a->client, &a->answered, a))
		return;
	if (!a->started && a->client.rk != NULL) {
		(void)rd_kafka_consumer_close(a->client.rk);
		kafka_client_done(&a->client);
	}
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a->held);
	free(a->group);
	free(a);
}

/* ---- asking --------------------------------------------------------------------------------- */

int64_t assignment_generation(const struct assignment *a)
{
	return atomic_load_explicit(&a->generation, memory_order_acquire);
}

int64_t assignment_get(struct assignment *a, struct assigned_partition **ret_partitions,
		       size_t *ret_count)
{
	int64_t generation;

	pthread_mutex_lock(&a->lock);
	generation = atomic_load(&a->generation);
	*ret_count = a->held_count;
	*ret_partitions = xcalloc(a->held_count + 1, sizeof(**ret_partitions));
	if (a->held_count > 0)
		memcpy(*ret_partitions, a->held, a->held_count * sizeof(**ret_partitions));
	pthread_mutex_unlock(&a->lock);
	return generation;
}

void assignment_settled(struct assignment *a, int64_t generation)
{
	pthread_mutex_lock(&a->lock);
	if (generation > a->settled)
		a->settled = generation;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

int assignment_wait(struct assignment *a, int64_t generation, int timeout_ms, struct err *e)
{
	struct timespec t = clock_timespec(clock_monotonic_us() + (int64_t)timeout_ms * 1000);
	int rc = 0;

	pthread_mutex_lock(&a->lock);
	while (atomic_load(&a->generation) == generation && a->failure.kind == ERR_NONE)
		if (pthread_cond_timedwait(&a->changed, &a->lock, &t) == ETIMEDOUT)
			break;
	if (a->failure.kind != ERR_NONE) {
		*e = a->failure;
		rc = -1;
	} else if (atomic_load(&a->generation) != generation) {
		rc = 1;
	}
	pthread_mutex_unlock(&a->lock);
	return rc;
}

void assignment_commit(struct assignment *a, const struct assigned_partition *partitions,
		       size_t count)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	rd_kafka_resp_err_t code;

	for (size_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, partitions[i].topic,
						  partitions[i].partition)
			->offset = partitions[i].offset;
	code = rd_kafka_commit(a->client.rk, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		log_debug("kafka", "offsets not committed to the group: %s",
			  rd_kafka_err2str(code));
}
