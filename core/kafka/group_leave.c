/* group_leave.c - the end of a member of a consumer group, also of one whose join was never
 * answered.
 *
 * A join is answered when all members have joined anew, or the session of those that don't is over:
 * after a kill that takes seconds, and the broker takes nothing else on that connection, so nor our
 * leave. Nobody waits for that: without an assignment there is nothing to hand over. What is begun
 * here goes on while the process lives; when it ends, its own session ends by itself. */
#include "core/kafka/kafka_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#define LEAVE_US 500000 /* longest wait for a join that the brokers have not answered yet */
#define LEAVE_POLL_MS 20

struct abandoned {
	void *owner;
	struct abandoned *next;
};

/* librdkafka before 2.3 aborts the process (assertion on the assignor's state) when a member is
 * destroyed that joined with cooperative-sticky and never got an assignment. Such a handle is left
 * alone: it has left its group, or does so once it is answered. It is kept reachable for leak
 * checkers, with whatever its callbacks still use. */
static void abandon(void *owner)
{
	static struct abandoned *all;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct abandoned *a = xcalloc(1, sizeof(*a));

	a->owner = owner;
	pthread_mutex_lock(&lock);
	a->next = all;
	all = a;
	pthread_mutex_unlock(&lock);
}

static void leave_unanswered(struct kafka_client *client)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(client->rk, queue);
	int64_t until = clock_monotonic_us() + LEAVE_US;

	if (error == NULL)
		while (!rd_kafka_consumer_closed(client->rk) && clock_monotonic_us() < until)
			(void)rd_kafka_queue_poll_callback(queue, LEAVE_POLL_MS);
	else
		rd_kafka_error_destroy(error); /* it is closing already */
	rd_kafka_queue_destroy(queue);
}

bool kafka_group_leave(struct kafka_client *client, const atomic_bool *answered, void *owner)
{
	if (atomic_load(answered))
		(void)rd_kafka_consumer_close(client->rk); /* the session ends by itself else */
	else
		leave_unanswered(client);
	if (atomic_load(answered)) {
		kafka_client_done(client);
		return true;
	}
	abandon(owner);
	return false;
}
