/* payload.h - the events inside a TRANSACTION_PAYLOAD (MySQL, binlog_transaction_compression=ON),
 * one after the other, inflated as they are asked for.
 *
 * Never inflated whole: in memory are zstd's window (2 MB at the server's default level; at most
 * PAYLOAD_WINDOW_LOG_MAX) and the one event that is being read, which may be EVENT_INFLATED_MAX.
 *
 *   payload_open(p, &ev)
 *   while (payload_next(p, &inner) == 1) ...
 *
 * One object may be opened again and again, and keeps its memory, as long as that is little. Pure.
 */
#ifndef CDC_BINLOG_PAYLOAD_H
#define CDC_BINLOG_PAYLOAD_H

#include "cdc/binlog/event.h"

/* 128 MB: what level 22 makes, the highest that a server can be set to. */
#define PAYLOAD_WINDOW_LOG_MAX 27

struct payload;

struct payload *payload_new(void);
void payload_free(struct payload *p); /* NULL is fine */
/* The event's body must stay until it is read. ERR_DATA: fields that make no sense, an unknown
 * compression. Whatever was open before is forgotten. */
int payload_open(struct payload *p, const struct event *ev, struct err *e);
/* 1 and the next event inside, valid until the next call; its log_pos is the payload's. 0: that
 * were all, and as many bytes as promised. -1: ERR_DATA. */
int payload_next(struct payload *p, struct event *ret_event, struct err *e);

/* Bytes inside, as the event says; 0: it does not. */
uint64_t payload_size(const struct payload *p);
/* Bytes of memory that reading it takes just now. */
size_t payload_memory(const struct payload *p);

#endif
