/* status_feed.h - follows <name>.status and knows the state of the whole system
 * (status_state.h).
 */
#ifndef CORE_HTTP_STATUS_FEED_H
#define CORE_HTTP_STATUS_FEED_H

#include "core/base/buf.h"
#include "core/base/settings.h"

struct status_feed;

/* Starts a thread that reads the topic from its beginning and stays. Never fails for what Kafka
 * does: it tries again and says so in the note. */
struct status_feed *status_feed_start(const struct settings *settings);
void status_feed_stop(struct status_feed *feed); /* NULL is fine */
/* The JSON of status_state_write, as of now. Thread-safe. Appends. */
void status_feed_write(struct status_feed *feed, int64_t since_us, struct buf *out);
/* True once the end of the topic was reached (what is known is whole), waiting at most
 * timeout_ms for it. */
bool status_feed_wait(struct status_feed *feed, int64_t timeout_ms);

/* Reads the topic once, to its end, and appends the JSON. ERR_CONFIG: no status topic yet.
 * ERR_RETRY: brokers away. */
int status_feed_read(const struct settings *settings, struct buf *out, struct err *e);

#endif
