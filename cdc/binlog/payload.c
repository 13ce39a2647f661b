/* payload.c - TRANSACTION_PAYLOAD, streamed.
 *
 * Layout: fields, each a kind, the length of its value and the value (length-encoded numbers all):
 * 1 size of the payload, 2 compression (0 zstd, 255 none), 3 size when inflated; kind 0 ends them
 * and has no value. Then the payload: whole events without checksums, packed as one stream. A kind
 * that isn't known is stepped over, as its length allows.
 *
 * What is inflated goes into one buffer, from which events are cut; what was read is moved out of
 * it when there is no room behind. An event's size is believed only as far as bytes really come, so
 * a size that lies reserves nothing. Refused: more bytes than promised, fewer, a payload inside a
 * payload, an event that begins or ends a file or a group of its own. */
#include "cdc/binlog/payload.h"

#include "core/base/buf.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>

#define STEP 131072 /* inflated at once; zstd gives no more without being asked again */

#define KEEP (4u << 20) /* more than the server's default level takes */

enum field { FIELD_END, FIELD_SIZE, FIELD_COMPRESSION, FIELD_INFLATED_SIZE };
enum compression { COMPRESSION_ZSTD = 0, COMPRESSION_NONE = 255 };

struct payload {
	ZSTD_DCtx *zstd;
	struct event_header header; /* of the payload event */
	bool packed;
	struct slice in; /* what is left of the payload */
	bool frame_open;
	uint64_t promised, got; /* inflated bytes */
	bool has_promise;
	struct buf window; /* at .. size: inflated, not read yet */
	size_t at;
};

static void make_zstd(struct payload *p)
{
	p->zstd = ZSTD_createDCtx();
	if (p->zstd == NULL)
		abort(); /* it only allocates */
	(void)ZSTD_DCtx_setParameter(p->zstd, ZSTD_d_windowLogMax,
				     PAYLOAD_WINDOW_LOG_MAX); /* in range */
}

struct payload *payload_new(void)
{
	struct payload *p = xcalloc(1, sizeof(*p));

	make_zstd(p);
	return p;
}

/* What a large one took is given back before the next. */
static void forget(struct payload *p)
{
	if (payload_memory(p) > KEEP) {
		ZSTD_freeDCtx(p->zstd);
		buf_done(&p->window);
		make_zstd(p);
	}
	(void)ZSTD_DCtx_reset(p->zstd, ZSTD_reset_session_only); /* cannot fail */
	buf_reset(&p->window);
	p->in = slice_of(NULL, 0);
	p->frame_open = false;
	p->got = 0;
	p->at = 0;
}

void payload_free(struct payload *p)
{
	if (p == NULL)
		return;
	ZSTD_freeDCtx(p->zstd);
	buf_done(&p->window);
	free(p);
}

uint64_t payload_size(const struct payload *p)
{
	return p->promised;
}

size_t payload_memory(const struct payload *p)
{
	return ZSTD_sizeof_DCtx(p->zstd) + p->window.capacity;
}

static int bad(const struct payload *p, struct err *e, const char *what)
{
	return err_data(e, "%s event ending at position %" PRIu32 ": %s",
			event_type_name(p->header.type), p->header.log_pos, what);
}

struct fields {
	bool has[FIELD_INFLATED_SIZE + 1];
	uint64_t value[FIELD_INFLATED_SIZE + 1];
};

static int read_fields(struct payload *p, struct rd *in, struct fields *f, struct err *e)
{
	for (;;) {
		uint64_t kind = rd_lenenc(in);
		struct slice bytes;
		struct rd value;

		if (!rd_ok(in))
			return bad(p, e, "cut short");
		if (kind == FIELD_END)
			return 0;
		bytes = rd_lenenc_bytes(in);
		value = rd_from(bytes);
		if (!rd_ok(in))
			return bad(p, e, "cut short");
		if (kind > FIELD_INFLATED_SIZE)
			continue;
		if (f->has[kind])
			return bad(p, e, "the same field twice");
		f->has[kind] = true;
		f->value[kind] = rd_lenenc(&value);
		if (!rd_end(&value))
			return bad(p, e, "a field of a wrong length");
	}
}

int payload_open(struct payload *p, const struct event *ev, struct err *e)
{
	struct rd in = rd_from(ev->body);
	struct fields f = { .has = { false } };

	p->header = ev->header;
	forget(p);
	if (read_fields(p, &in, &f, e) < 0)
		return -1;
	p->in = rd_rest(&in);
	if (f.has[FIELD_SIZE] && f.value[FIELD_SIZE] != p->in.size)
		return bad(p, e, "the payload has not the size that it says");
	if (f.value[FIELD_COMPRESSION] != COMPRESSION_ZSTD &&
	    f.value[FIELD_COMPRESSION] != COMPRESSION_NONE)
		return err_data(e,
				"%s event ending at position %" PRIu32
				": compressed by unknown algorithm %" PRIu64,
				event_type_name(ev->header.type), ev->header.log_pos,
				f.value[FIELD_COMPRESSION]);
	p->packed = f.value[FIELD_COMPRESSION] == COMPRESSION_ZSTD;
	p->has_promise = f.has[FIELD_INFLATED_SIZE];
	p->promised = f.value[FIELD_INFLATED_SIZE];
	return 0;
}

static int zstd_failed(const struct payload *p, size_t code, struct err *e)
{
	err_data(e, "%s event ending at position %" PRIu32 ": zstd: %s",
		 event_type_name(p->header.type), p->header.log_pos, ZSTD_getErrorName(code));
	if (ZSTD_isError(code) && strstr(ZSTD_getErrorName(code), "memory") != NULL)
		return err_hint(e,
				"It takes a window above %d MB: "
				"SET GLOBAL binlog_transaction_compression_level_zstd = 19 or less "
				"on the source holds for what is written from then on.",
				1 << (PAYLOAD_WINDOW_LOG_MAX - 20));
	return -1;
}

/* Room for a step behind what is there. */
static uint8_t *make_room(struct payload *p)
{
	if (p->at > 0) {
		memmove(p->window.data, p->window.data + p->at, p->window.size - p->at);
		p->window.size -= p->at;
		p->at = 0;
	}
	return buf_reserve(&p->window, STEP);
}

/* Adds to the window: 1, 0 at the end of the payload, -1. */
static int inflate_more(struct payload *p, struct err *e)
{
	size_t added;

	if (p->in.size == 0 && !p->frame_open)
		return 0;
	if (p->packed) {
		ZSTD_outBuffer out = { make_room(p), STEP, 0 };
		ZSTD_inBuffer in = { p->in.data, p->in.size, 0 };
		size_t left = ZSTD_decompressStream(p->zstd, &out, &in);

		if (ZSTD_isError(left))
			return zstd_failed(p, left, e);
		if (in.pos == 0 && out.pos == 0)
			return bad(p, e, "the payload is cut short");
		p->frame_open = left != 0;
		p->in = slice_of(p->in.data + in.pos, p->in.size - in.pos);
		added = out.pos;
	} else {
		added = p->in.size < STEP ? p->in.size : STEP;
		memcpy(make_room(p), p->in.data, added);
		p->in = slice_of(p->in.data + added, p->in.size - added);
	}
	p->window.size += added;
	p->got += added;
	if (p->has_promise && p->got > p->promised)
		return bad(p, e, "holds more than it says");
	return 1;
}

/* n bytes from `at` on: 1; 0 when there is not one byte more, -1 when there are some, but fewer. */
static int need(struct payload *p, size_t n, struct err *e)
{
	while (p->window.size - p->at < n) {
		int rc = inflate_more(p, e);

		if (rc < 0)
			return -1;
		if (rc == 0)
			return p->window.size == p->at
				       ? 0
				       : bad(p, e, "ends inside of one of its events");
	}
	return 1;
}

static int end(struct payload *p, struct err *e)
{
	if (p->has_promise && p->got != p->promised)
		return bad(p, e, "holds less than it says");
	return 0;
}

static uint32_t size_at(const struct payload *p)
{
	struct rd in = rd_of(p->window.data + p->at + 9, 4);

	return rd_u32(&in);
}

/* What can't stand inside: it would begin another file, or another group. */
static bool is_foreign(uint8_t type)
{
	return type == EVENT_TRANSACTION_PAYLOAD || type == EVENT_FORMAT_DESCRIPTION ||
	       type == EVENT_ROTATE || type == EVENT_GTID || type == EVENT_MYSQL_GTID ||
	       type == EVENT_MYSQL_ANONYMOUS_GTID || type == EVENT_MYSQL_GTID_TAGGED;
}

int payload_next(struct payload *p, struct event *ret_event, struct err *e)
{
	struct event ev;
	uint32_t size;
	int rc = need(p, EVENT_HEADER_SIZE, e);

	if (rc <= 0)
		return rc < 0 ? -1 : end(p, e);
	size = size_at(p);
	if (size < EVENT_HEADER_SIZE || size > EVENT_INFLATED_MAX)
		return bad(p, e, "holds an event of no valid size");
	rc = need(p, size, e);
	if (rc < 0 || event_header_read(slice_of(p->window.data + p->at, size), &ev.header, e) < 0)
		return -1;
	if (is_foreign(ev.header.type))
		return err_data(e, "%s event ending at position %" PRIu32 ": a %s event inside it",
				event_type_name(p->header.type), p->header.log_pos,
				event_type_name(ev.header.type));
	ev.body = slice_of(p->window.data + p->at + EVENT_HEADER_SIZE, size - EVENT_HEADER_SIZE);
	ev.header.log_pos = p->header.log_pos;
	p->at += size;
	*ret_event = ev;
	return 1;
}
