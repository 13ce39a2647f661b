/* stream.h - the live binlog: a thread of its own that reads packets from the source and puts them
 * into a ring. */
#ifndef CDC_SOURCE_STREAM_H
#define CDC_SOURCE_STREAM_H

#include "cdc/source/ring.h"
#include "core/base/settings.h"

struct stream;

/* What has been read so far, for the lag; approximate while the thread runs. */
struct stream_counts {
	int64_t transactions; /* groups begun */
	int64_t bytes;        /* of events that are stored in the binlog, heartbeats left out */
	int64_t commit_us;    /* commit time of the last group, the source's clock; 0: none yet */
};

/* Connects, asks for the events behind `gtid` (a position; "" = the oldest there is) and starts the
 * thread. */
int stream_open(const struct settings *settings, const char *gtid, size_t ring_bytes,
		struct stream **ret_stream, struct err *e);
/* Stops the thread, whatever it is doing, and closes the connection. NULL is fine. */
void stream_close(struct stream *s);
struct ring *stream_ring(struct stream *s);
/* After RING_END: why the stream ended. Returns -1. */
int stream_failure(struct stream *s, struct err *e);
void stream_counts(const struct stream *s, struct stream_counts *ret_counts);

#endif
