/* membership.h - is this process the one of its group that holds the group's only partition?
 *
 * A consumer group over a topic with one partition: the brokers give it to one member, and to
 * another one when that member leaves (at once) or is not heard of for the session timeout (6 s;
 * kafka.session.timeout.ms). Nothing is read from the topic.
 *
 * A thread of its own polls, so that a member that is busy stays one; it is also what notices that
 * the coordinator hasn't answered for the session timeout: the partition then counts as lost,
 * whoever is right.
 *
 * Starting does not wait for the session of a predecessor that is known to be dead: until the
 * brokers have decided for the first time, a member holds the partition as well when it is alone in
 * the group, or when all the others were processes of this machine (same host name, same address as
 * the brokers see it, same pid namespace) that are gone. It goes on doing so when the brokers then
 * give the partition to one of those, which they do when it was killed while it waited to join;
 * until it hears of somebody else, or for six seconds of nobody. That is a guess about the group,
 * not about who may write: the fence of the transactional.id decides that. */
#ifndef CORE_KAFKA_MEMBERSHIP_H
#define CORE_KAFKA_MEMBERSHIP_H

#include "core/base/settings.h"

struct membership;

/* Joins. Both names are copied. The topic must exist. */
int membership_open(const struct settings *settings, const char *group, const char *topic,
		    struct membership **ret_membership, struct err *e);
/* Leaves the group: another member gets the partition at once. NULL is fine. */
void membership_close(struct membership *m);

/* Any thread, cheap. */
bool membership_holds(const struct membership *m);
/* Waits until it holds the partition, at most timeout_ms. 1: it does; 0: not yet; -1: it can't be a
 * member (ERR_CONFIG: not authorised), or must join anew (ERR_RETRY: the topic is gone). */
int membership_wait(struct membership *m, int timeout_ms, struct err *e);

#endif
