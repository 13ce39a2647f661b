/* membership.c - a member of a consumer group that has one partition to give.
 *
 * Cooperative-sticky: a member that holds the partition keeps it while others come and go. The
 * partition is assigned and paused, so nothing is fetched.
 *
 * What the brokers know of a member is its client.id, so that says which process it is:
 *
 *   millrace-<host name>-<pid namespace>-<pid>-<start time of the process>
 *
 * A member with our host name, our pid namespace and our address is a process whose end we can see.
 * The group is looked at only once our own join has been listed: of two processes that start
 * together at least one sees the other, and waits for the brokers. */
#include "core/kafka/membership.h"
#include "core/kafka/kafka_priv.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SESSION_MS 6000 /* the least that a broker with its own defaults lets a member ask for */
#define HEARTBEAT_MS 500
/* A tenth of it when the coordinator can't be reached. The library's own ten minutes would leave a
 * group whose coordinator has moved without a leader for one. */
#define COORDINATOR_MS 10000
#define POLL_MS 100
#define LOOK_EVERY_US 100000
#define LOOK_TIMEOUT_MS 1000
#define LOOKS_MAX 100
#define WATCH_EVERY_US 2000000
#define UNKNOWN_MAX 5

struct membership {
	struct kafka_client client; /* first: the library's opaque points to it */
	char *group, *topic;
	char id[256];        /* client.id */
	size_t machine_size; /* of the part of id that all processes of this machine share */
	pthread_t thread;
	bool started;
	atomic_bool stopping, holds, assigned; /* assigned: once, be it nothing */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct err failure;

	/* the thread's own */
	bool decided; /* the brokers have answered once */
	bool given;   /* by their last answer the partition is ours */
	int looks, unknown;
	int64_t looked_us, alone_us; /* when the group was last asked, and found to be ours alone */
};

static void set_holds(struct membership *m, bool holds)
{
	pthread_mutex_lock(&m->lock);
	atomic_store(&m->holds, holds);
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

/* ---- processes ------------------------------------------------------------------------------ */

/* State and start time of a process, by /proc/PID/stat (proc(5)): fields 3 and 22; the second may
 * hold blanks and brackets. */
static bool read_process(long pid, char *ret_state, unsigned long long *ret_start)
{
	char path[64], text[1024], *at;
	size_t size;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	size = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f); /* was read only */
	text[size] = '\0';
	at = strrchr(text, ')');
	return at != NULL && sscanf(at + 1,
				    " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				    "%*s %*s %*s %*s %llu",
				    ret_state, ret_start) == 2;
}

/* /proc may be closed to us (hidepid): then what kill() says of the number counts. */
static bool process_is_gone(long pid, unsigned long long start)
{
	unsigned long long now;
	char state;

	if (pid <= 0)
		return false;
	if (read_process(pid, &state, &now))
		return now != start || state == 'Z' || state == 'X';
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static void make_id(struct membership *m)
{
	char host[128] = "";
	struct stat space = { .st_ino = 0 };
	unsigned long long start = 0;
	char state;

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	(void)stat("/proc/self/ns/pid", &space); /* 0 then, in all processes of this machine */
	(void)read_process((long)getpid(), &state, &start); /* 0 then: taken for gone by no one */
	m->machine_size = (size_t)snprintf(m->id, sizeof(m->id), "millrace-%s-%llu-", host,
					   (unsigned long long)space.st_ino);
	(void)snprintf(m->id + m->machine_size, sizeof(m->id) - m->machine_size, "%ld-%llu",
		       (long)getpid(), start); /* 256 hold a host name and four numbers */
}

static void set_failure(struct membership *m, const struct err *e)
{
	pthread_mutex_lock(&m->lock);
	if (m->failure.kind == ERR_NONE)
		m->failure = *e;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static void give_up(struct membership *m, const char *why)
{
	struct err e = ERR_INIT;

	err_retry(&e, "consumer group %s: %s", m->group, why);
	set_failure(m, &e);
}

/* ---- alone? --------------------------------------------------------------------------------- */

static const struct rd_kafka_group_member_info *find_ourselves(
	const struct membership *m, const struct rd_kafka_group_info *group)
{
	for (int i = 0; i < group->member_cnt; i++)
		if (strcmp(group->members[i].client_id, m->id) == 0)
			return &group->members[i];
	return NULL;
}

static bool is_gone(const struct membership *m, const struct rd_kafka_group_member_info *member,
		    const char *our_address)
{
	unsigned long long start;
	char *end;
	long pid;

	if (strncmp(member->client_id, m->id, m->machine_size) != 0 ||
	    strcmp(member->client_host, our_address) != 0)
		return false;
	pid = strtol(member->client_id + m->machine_size, &end, 10);
	if (*end != '-')
		return false;
	start = strtoull(end + 1, &end, 10);
	return *end == '\0' && start != 0 && process_is_gone(pid, start);
}

static bool is_alone(const struct membership *m, const struct rd_kafka_group_info *group,
		     bool *ret_listed)
{
	const struct rd_kafka_group_member_info *us = find_ourselves(m, group);

	*ret_listed = us != NULL;
	for (int i = 0; us != NULL && i < group->member_cnt; i++)
		if (&group->members[i] != us && !is_gone(m, &group->members[i], us->client_host))
			return false;
	return us != NULL;
}

/* Asks who is in the group. True: *ret_listed says whether we are, *ret_alone whether nobody else
 * is. A part of the answer will do for the second: we are in it only if the coordinator gave it. */
static bool ask(struct membership *m, bool *ret_listed, bool *ret_alone)
{
	const struct rd_kafka_group_list *list = NULL;
	bool whole = rd_kafka_list_groups(m->client.rk, m->group, &list, LOOK_TIMEOUT_MS) ==
		     RD_KAFKA_RESP_ERR_NO_ERROR;

	*ret_listed = *ret_alone = false;
	m->looked_us = clock_monotonic_us();
	for (int i = 0; list != NULL && i < list->group_cnt; i++) {
		const struct rd_kafka_group_info *group = &list->groups[i];

		if (group->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			whole = false;
		else if (strcmp(group->group, m->group) == 0)
			*ret_alone = is_alone(m, group, ret_listed);
	}
	if (list != NULL)
		rd_kafka_group_list_destroy(list);
	if (*ret_alone)
		m->alone_us = m->looked_us;
	return whole;
}

/* Before the first decision: until we are listed ourselves. A failure means that the brokers'
 * decision is waited for. */
static void look(struct membership *m)
{
	bool listed, alone;

	if (m->decided || m->looks >= LOOKS_MAX ||
	    clock_monotonic_us() - m->looked_us < LOOK_EVERY_US)
		return;
	m->looks++;
	(void)ask(m, &listed, &alone);
	if (listed)
		m->looks = LOOKS_MAX;
	if (alone)
		set_holds(m, true);
}

/* The brokers have given the partition to someone else. That may be a process that was killed while
 * it waited to join: it counts as joined, and its session is only now beginning to end. */
static bool is_given_to_the_dead(struct membership *m)
{
	bool listed, alone;

	if (!atomic_load(&m->holds) || atomic_load(&m->stopping))
		return false;
	(void)ask(m, &listed, &alone);
	return alone;
}

/* As long as we stand by: does the group know us? librdkafka keeps to the address of a coordinator
 * that has come back under another one, and would stand by for ever. Others are told the right one.
 * As long as we hold what the dead were given: is there still nobody else? */
static void watch(struct membership *m)
{
	bool holds = atomic_load(&m->holds), whole, listed, alone;

	if ((holds && (m->given || !m->decided)) ||
	    clock_monotonic_us() - m->looked_us < WATCH_EVERY_US)
		return;
	whole = ask(m, &listed, &alone);
	if (holds) {
		if (!alone && (whole || m->looked_us - m->alone_us > SESSION_MS * 1000LL))
			set_holds(m, false);
		return;
	}
	if (!whole)
		return;
	m->unknown = listed ? 0 : m->unknown + 1;
	if (m->unknown == UNKNOWN_MAX)
		give_up(m, "the brokers do not know us as a member any more");
}

/* ---- the group ------------------------------------------------------------------------------ */

/* What the library doesn't get over by itself is for membership_wait() to tell. */
static void fail(struct membership *m, rd_kafka_resp_err_t code)
{
	struct err e = ERR_INIT;

	if (kafka_is_unknown_topic(code))
		err_retry(&e, "consumer group %s: topic %s is gone", m->group, m->topic);
	else
		kafka_fail(&m->client, code, &e, "consumer group %s", m->group);
	if (e.kind == ERR_RETRY && !kafka_is_unknown_topic(code)) {
		log_debug("kafka", "%s", e.msg);
		return;
	}
	set_failure(m, &e);
}

static bool is_assigned(const struct membership *m)
{
	rd_kafka_topic_partition_list_t *now = NULL;
	bool assigned = rd_kafka_assignment(m->client.rk, &now) == RD_KAFKA_RESP_ERR_NO_ERROR &&
			now->cnt > 0;

	if (now != NULL)
		rd_kafka_topic_partition_list_destroy(now);
	return assigned;
}

/* Called by rd_kafka_consumer_poll(), so in our thread; and by the close. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
			 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct membership *m = opaque;
	rd_kafka_error_t *error = NULL;

	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		atomic_store(&m->assigned, true);
		error = rd_kafka_incremental_assign(rk, partitions);
		(void)rd_kafka_pause_partitions(rk, partitions); /* else the topic is fetched */
		m->decided = true;
		m->given = is_assigned(m);
		set_holds(m, m->given || is_given_to_the_dead(m));
	} else {
		m->given = false;
		set_holds(m, false); /* before anyone else can have it */
		error = rd_kafka_incremental_unassign(rk, partitions);
	}
	if (error != NULL) {
		log_warning("kafka", "consumer group %s: %s", m->group,
			    rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
	}
}

static void *member(void *context)
{
	struct membership *m = context;

	while (!atomic_load(&m->stopping)) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(m->client.rk, POLL_MS);

		if (message != NULL) {
			if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
				fail(m, message->err);
			rd_kafka_message_destroy(message);
		}
		look(m);
		watch(m);
	}
	return NULL;
}

static void put_conf(struct membership *m, rd_kafka_conf_t *conf)
{
	kafka_conf_put(conf, "client.id", "%s", m->id);
	kafka_conf_put(conf, "group.id", "%s", m->group);
	kafka_conf_put(conf, "partition.assignment.strategy", "cooperative-sticky");
	kafka_conf_put(conf, "session.timeout.ms", "%d", SESSION_MS);
	kafka_conf_put(conf, "heartbeat.interval.ms", "%d", HEARTBEAT_MS);
	kafka_conf_put(conf, "coordinator.query.interval.ms", "%d", COORDINATOR_MS);
	kafka_conf_put(conf, "enable.auto.commit", "false");
	kafka_conf_put(conf, "enable.auto.offset.store", "false");
	kafka_conf_put(conf, "auto.offset.reset", "latest");
	kafka_conf_put(conf, "queued.max.messages.kbytes", "64");
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
}

static int join(struct membership *m, struct err *e)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t code;

	rd_kafka_topic_partition_list_add(topics, m->topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_poll_set_consumer(m->client.rk);
	code = rd_kafka_subscribe(m->client.rk, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(&m->client, code, e, "consumer group %s", m->group);
	if (pthread_create(&m->thread, NULL, member, m) != 0)
		return err_fatal(e, "no thread could be made for consumer group %s", m->group);
	m->started = true;
	return 0;
}

int membership_open(const struct settings *settings, const char *group, const char *topic,
		    struct membership **ret_membership, struct err *e)
{
	struct membership *m = xcalloc(1, sizeof(*m));
	rd_kafka_conf_t *conf = kafka_conf_begin(&m->client, settings, KAFKA_CONSUMER);
	pthread_condattr_t attributes;

	m->group = xstrdup(group);
	m->topic = xstrdup(topic);
	make_id(m);
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&m->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	put_conf(m, conf);
	if (kafka_client_start(&m->client, settings, conf, KAFKA_CONSUMER, e) < 0 ||
	    join(m, e) < 0) {
		membership_close(m);
		return -1;
	}
	*ret_membership = m;
	return 0;
}

void membership_close(struct membership *m)
{
	if (m == NULL)
		return;
	atomic_store(&m->stopping, true);
	if (m->started)
		pthread_join(m->thread, NULL);
	if (m->started && !kafka_group_leave(&m->client, &m->assigned, m))
		return;
	if (!m->started && m->client.rk != NULL) {
		(void)rd_kafka_consumer_close(m->client.rk);
		kafka_client_done(&m->client);
	}
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m->group);
	free(m->topic);
	free(m);
}

bool membership_holds(const struct membership *m)
{
	return atomic_load_explicit(&m->holds, memory_order_acquire);
}

int membership_wait(struct membership *m, int timeout_ms, struct err *e)
{
	struct timespec until = clock_timespec(clock_monotonic_us() + (int64_t)timeout_ms * 1000);
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	while (!atomic_load(&m->holds) && m->failure.kind == ERR_NONE)
		if (pthread_cond_timedwait(&m->changed, &m->lock, &until) == ETIMEDOUT)
			break;
	if (atomic_load(&m->holds)) {
		rc = 1;
	} else if (m->failure.kind != ERR_NONE) {
		*e = m->failure;
		rc = -1;
	}
	pthread_mutex_unlock(&m->lock);
	return rc;
}
