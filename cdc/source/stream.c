/* stream.c - the reader thread: socket to ring, nothing else. It looks at nothing but the type and
 * time in the header, to count what has been read; decoding, checksums and decisions are the
 * pipeline's.
 *
 * When the ring is full it waits, the socket's buffers fill, and the server waits with the dump
 * (net_write_timeout is set high for that). A cut connection ends the ring; the reason is kept for
 * the pipeline, which opens anew from its position. */
#include "cdc/source/stream.h"

#include "cdc/binlog/event.h"
#include "core/base/mem.h"
#include "core/mysql/db.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct stream {
	struct db *db;
	struct ring *ring;
	pthread_t thread;
	bool started;
	bool has_gtids;     /* events that begin groups were seen */
	struct err failure; /* written by the thread before it ends the ring */
	_Atomic int64_t transactions, bytes, commit_us;
};

/* MySQL 5.6 without GTIDs writes no event that only begins a group; there most of them end in XID.
 */
static bool begins_group(struct stream *s, uint8_t type)
{
	bool by_gtid = type == EVENT_GTID || type == EVENT_MYSQL_GTID ||
		       type == EVENT_MYSQL_ANONYMOUS_GTID || type == EVENT_MYSQL_GTID_TAGGED;

	s->has_gtids = s->has_gtids || by_gtid;
	return by_gtid || (!s->has_gtids && type == EVENT_XID);
}

static void count(struct stream *s, struct slice packet)
{
	struct err ignored = ERR_INIT;
	struct event_header h;

	if (event_header_read(packet, &h, &ignored) < 0)
		return; /* the pipeline refuses it with a proper message */
	if (h.flags & EVENT_FLAG_ARTIFICIAL || h.type == EVENT_HEARTBEAT ||
	    h.type == EVENT_HEARTBEAT_V2)
		return;
	atomic_fetch_add_explicit(&s->bytes, h.size, memory_order_relaxed);
	if (!begins_group(s, h.type))
		return;
	atomic_fetch_add_explicit(&s->transactions, 1, memory_order_relaxed);
	atomic_store_explicit(&s->commit_us, (int64_t)h.timestamp * 1000000, memory_order_relaxed);
}

static void *reader(void *context)
{
	struct stream *s = context;
	struct slice packet;

	while (db_dump_next(s->db, &packet, &s->failure) == 0) {
		count(s, packet);
		if (!ring_push(s->ring, packet))
			break;
	}
	ring_end(s->ring);
	return NULL;
}

int stream_open(const struct settings *settings, const char *gtid, size_t ring_bytes,
		struct stream **ret_stream, struct err *e)
{
	struct db_dump_options options = {
		.gtid = gtid,
		.server_id = (uint32_t)settings->source_server_id,
		.heartbeat_ms = settings->source_read_timeout_ms / 4,
	};
	struct stream *s = xcalloc(1, sizeof(*s));

	if (db_open(settings, DB_TEXT_UTF8, &s->db, e) < 0 || db_dump(s->db, &options, e) < 0)
		goto failed;
	s->ring = ring_new(ring_bytes);
	if (pthread_create(&s->thread, NULL, reader, s) != 0) {
		err_fatal(e, "no thread could be made to read the binlog");
		goto failed;
	}
	s->started = true;
	*ret_stream = s;
	return 0;
failed:
	stream_close(s);
	return -1;
}

void stream_close(struct stream *s)
{
	if (s == NULL)
		return;
	if (s->started) {
		ring_stop(s->ring);
		db_interrupt(s->db);
		pthread_join(s->thread, NULL);
	}
	if (s->db != NULL)
		db_close(s->db);
	ring_free(s->ring);
	free(s);
}

struct ring *stream_ring(struct stream *s)
{
	return s->ring;
}

int stream_failure(struct stream *s, struct err *e)
{
	if (s->failure.kind == ERR_NONE)
		return err_retry(e, "the binlog stream ended");
	*e = s->failure;
	return err_wrap(e, "binlog stream");
}

void stream_counts(const struct stream *s, struct stream_counts *ret_counts)
{
	ret_counts->transactions = atomic_load_explicit(&s->transactions, memory_order_relaxed);
	ret_counts->bytes = atomic_load_explicit(&s->bytes, memory_order_relaxed);
	ret_counts->commit_us = atomic_load_explicit(&s->commit_us, memory_order_relaxed);
}
