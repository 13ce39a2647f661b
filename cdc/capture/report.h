/* report.h - what capture says of itself: the status record every two seconds and when it changes,
 * lag, metrics.
 *
 * Its thread has a producer and a connection to the source of its own and never holds up the
 * pipeline; what cannot be written or asked just now is tried again. Lives as long as the process,
 * across retries. */
#ifndef CDC_CAPTURE_REPORT_H
#define CDC_CAPTURE_REPORT_H

#include "core/avro/records.h"
#include "core/base/gtid.h"
#include "core/base/settings.h"

struct report;

/* The loop may wait for servers that don't answer, each time with a limit of its own; after so long
 * without a turn it is stuck: /healthz says so, and the watchdog is no longer served. */
#define REPORT_STUCK_US 120000000

struct report_progress { /* between two source transactions */
	size_t server; /* of source.host: the one that is read; head and lag are asked there */
	int64_t seq;
	const struct gtid_set *gtid_set; /* processed: delivered, or in the group commit in hand */
	const char *file; /* binlog file and place of the same point; "" when not known */
	uint64_t position;
	struct status_stage processed; /* everything up to gtid_set, file and position */
	struct status_stage read, delivered;
	const struct status_copy *copies;
	size_t copy_count;
	int64_t parked, parked_bytes; /* records that wait on <name>.parked */
};

int report_new(const struct settings *settings, struct report **ret_report, struct err *e);
void report_http(struct report *r, const char *address); /* host:port of this process's pages */
/* Writes a last record if the brokers answer within a second. */
void report_free(struct report *r);
/* The status topic exists; its schema has this id. */
void report_can_write(struct report *r, int32_t schema_id);
/* Does this instance lead? Only the leader's records have the key "capture"; another one's have a
 * key of its own (standby:<host>:<port>), which goes away when it leads or ends. At first it does
 * not. */
void report_lead(struct report *r, bool leading);
/* Before leadership is given up: the last state of a leader is on its way, at most a second later,
 * and no more of it is written. */
void report_finish(struct report *r);
/* state: starting, standby, copying, streaming, retrying, stopped, failed; message may be NULL.
 * Written at once when it changed. */
void report_state(struct report *r, const char *state, const char *message);
void report_progress(struct report *r, const struct report_progress *progress);
/* One group commit. */
void report_commit(struct report *r, int64_t changes, int64_t transactions, int64_t bytes,
		   int64_t took_us);
/* For /readyz and /healthz. */
bool report_is_ready(struct report *r);
bool report_is_standby(struct report *r);
int64_t report_turned_us(struct report *r); /* monotonic time of the last report_turn() */
void report_turn(struct report *r);         /* the loop turns */

#endif
