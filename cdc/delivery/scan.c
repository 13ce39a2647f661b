/* scan.c - a consumer of its own for one partition, closed at the end of it. */
#include "cdc/delivery/scan.h"

#include "core/base/notify.h"

#define QUEUE_BYTES (1024 * 1024)

int scan_partition(const struct settings *settings, const char *topic, int32_t number,
		   int64_t offset, scan_fn take, void *context, struct err *e)
{
	struct consumer_options options = { .queue_bytes_max = QUEUE_BYTES, .stop_at_end = true };
	struct consumer_partition partition = { topic, number, offset };
	struct consumer *consumer = NULL;
	int rc;

	if (consumer_open(settings, &options, &consumer, e) < 0)
		return -1;
	rc = consumer_assign(consumer, &partition, 1, e);
	while (rc == 0 && !consumer_at_end(consumer)) {
		const struct consumer_message *messages;
		size_t count = 0;

		notify_watchdog();
		rc = consumer_poll(consumer, 1000, &messages, &count, e);
		for (size_t i = 0; i < count && rc == 0; i++)
			rc = take(context, &messages[i], e);
	}
	consumer_close(consumer);
	return rc < 0 ? -1 : 0;
}
