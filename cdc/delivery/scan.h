/* scan.h - reads one partition from an offset to its end: what is committed, once. */
#ifndef CDC_DELIVERY_SCAN_H
#define CDC_DELIVERY_SCAN_H

#include "core/base/err.h"
#include "core/base/settings.h"
#include "core/kafka/consumer.h"

/* 0 to go on, 1 to stop, -1 with *e filled. */
typedef int (*scan_fn)(void *context, const struct consumer_message *message, struct err *e);

/* offset: CONSUMER_BEGIN or a number. The end is the one of the last committed transaction when the
 * scan begins. Serves the watchdog meanwhile. */
int scan_partition(const struct settings *settings, const char *topic, int32_t partition,
		   int64_t offset, scan_fn take, void *context, struct err *e);

#endif
