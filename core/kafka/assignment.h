/* assignment.h - the partitions of some topics that a consumer group gives to this member.
 *
 * Cooperative-sticky: what a member keeps in a rebalance is not taken from it. Nothing is read
 * here: the owner reads with a consumer of its own (consumer.h), and asks here what it may read.
 *
 * What the brokers say is a guess about who works on what, never more: a member that was paused may
 * believe that it still holds what others have. Whoever writes must fence
 * (projections/store/share.h).
 *
 * A thread of its own polls, so that a member that is busy stays one. When partitions are taken
 * away, others get them only once the owner has let them go, or after LET_GO (3 s). Session 6 s
 * (kafka.session.timeout.ms). */
#ifndef CORE_KAFKA_ASSIGNMENT_H
#define CORE_KAFKA_ASSIGNMENT_H

#include "core/base/settings.h"

struct assignment;

struct assigned_partition {
	const char *topic; /* one of the strings given at open */
	int32_t partition;
	int64_t offset; /* for assignment_commit: next to read */
};

/* Joins. The group's name is copied; the topics' names must live as long as the assignment. */
int assignment_open(const struct settings *settings, const char *group, const char *const *topics,
		    size_t topic_count, struct assignment **ret_assignment, struct err *e);
/* Leaves the group: others get the partitions at once. NULL is fine. */
void assignment_close(struct assignment *a);

/* Changes whenever what this member holds does; any thread, cheap. */
int64_t assignment_generation(const struct assignment *a);
/* What it holds now; caller frees. Returns its generation. */
int64_t assignment_get(struct assignment *a, struct assigned_partition **ret_partitions,
		       size_t *ret_count);
/* The owner works on nothing that it doesn't hold in this generation. */
void assignment_settled(struct assignment *a, int64_t generation);
/* Waits until the generation is another one, at most timeout_ms. 1: it is; 0: not yet; -1: it can't
 * be a member (ERR_CONFIG: not authorised), or must join anew (ERR_RETRY: a topic is gone). */
int assignment_wait(struct assignment *a, int64_t generation, int timeout_ms, struct err *e);
/* Commits offsets to the group, for other tools to see. Asynchronously; failures are not raised. */
void assignment_commit(struct assignment *a, const struct assigned_partition *partitions,
		       size_t count);

#endif
