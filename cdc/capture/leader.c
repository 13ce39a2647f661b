/* leader.c - leadership as a consumer group's only assignment.
 *
 * The group needs a topic; the position topic is there as long as the capture is. Nothing of it is
 * read here. */
#include "cdc/capture/leader.h"

#include "cdc/delivery/delivery.h"
#include "core/base/mem.h"
#include "core/kafka/membership.h"

#include <stdlib.h>

struct leader {
	struct membership *membership;
};

static int ensure_topic(const struct settings *settings, const char *topic, struct err *e)
{
	struct admin *admin = NULL;
	int32_t partitions;
	int rc;

	if (admin_open(settings, &admin, e) < 0)
		return -1;
	rc = admin_ensure_topic(admin, topic, TOPIC_COMPACTED, 1, settings->capture_history,
				&partitions, e);
	admin_close(admin);
	return rc;
}

int leader_open(const struct settings *settings, struct leader **ret_leader, struct err *e)
{
	char *topic = delivery_topic_name(settings, "position");
	char *group = delivery_topic_name(settings, "leader");
	struct leader *l = xcalloc(1, sizeof(*l));
	int rc = ensure_topic(settings, topic, e);

	if (rc == 0)
		rc = membership_open(settings, group, topic, &l->membership, e);
	if (rc == 0)
		*ret_leader = l;
	else
		free(l);
	free(group);
	free(topic);
	return rc;
}

void leader_close(struct leader *l)
{
	if (l == NULL)
		return;
	membership_close(l->membership);
	free(l);
}

int leader_wait(struct leader *l, int timeout_ms, struct err *e)
{
	return membership_wait(l->membership, timeout_ms, e);
}

bool leader_leads(const struct leader *l)
{
	return l == NULL || membership_holds(l->membership);
}

int leader_check(const struct leader *l, struct err *e)
{
	if (leader_leads(l))
		return 0;
	return err_retry(e, "another instance leads now, or the brokers that decide it have not "
			    "been heard of");
}
