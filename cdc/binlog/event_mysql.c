/* event_mysql.c - MySQL's own events: how a transaction is called, and what a file begins behind.
 *
 * Gtid (33) and Anonymous_gtid (34): flags 1, uuid 16, number 8, then what later servers added,
 * each only if there is room: type of logical clock 1 (2), last committed 8, sequence 8; time of
 * commit here 7, whose top bit says that the time of the original commit 7 follows; size of the
 * transaction (length-encoded); and versions and a ticket that say nothing about rows.
 *
 * Gtid_tagged (42, MySQL 8.3 and later) holds the same in the format of MySQL's serialization
 * library (libs/mysql/serialization/readme.md): numbers of 1 to 9 bytes, whose length stands in the
 * lowest bits of the first byte; a message is version (1), size of it all, the number of the last
 * field that a reader must know, and then fields, each behind its own number, numbers rising, some
 * left out. Each byte of the uuid is such a number, so it takes one byte or two. */
#include "cdc/binlog/event.h"

#include <inttypes.h>

#define LOGICAL_CLOCK 2
#define SERIALIZATION_VERSION 1
#define ORIGINAL_TIME_FOLLOWS (UINT64_C(1) << 55)

static int bad(const struct event *ev, struct err *e, const char *what)
{
	return err_data(e, "%s event ending at position %" PRIu32 ": %s",
			event_type_name(ev->header.type), ev->header.log_pos, what);
}

static int check_id(const struct event *ev, const struct event_mysql_gtid *g, struct err *e)
{
	if (g->id.first < 1 || g->id.first > (uint64_t)GTID_NUMBER_MAX)
		return bad(ev, e, "no valid transaction number");
	return 0;
}

static void read_plain(const struct event *ev, struct rd *in, struct event_mysql_gtid *g)
{
	struct slice uuid;

	g->flags = rd_u8(in);
	uuid = rd_bytes(in, GTID_UUID_SIZE);
	memcpy(g->id.uuid, uuid.data, uuid.size);
	g->id.first = g->id.last = rd_u64(in);
	g->anonymous = ev->header.type == EVENT_MYSQL_ANONYMOUS_GTID;
	if (rd_left(in) < 17 || in->data[in->at] != LOGICAL_CLOCK)
		return;
	rd_skip(in, 17);
	if (rd_left(in) < 7)
		return;
	g->commit_us = rd_le(in, 7);
	if ((g->commit_us & ORIGINAL_TIME_FOLLOWS) != 0)
		g->commit_us = rd_le(in, 7);
	if (rd_left(in) > 0)
		g->size = rd_lenenc(in);
}

/* ---- the tagged form ------------------------------------------------------------------------ */

enum tagged_field {
	TAGGED_FLAGS,
	TAGGED_UUID,
	TAGGED_NUMBER,
	TAGGED_TAG,
	TAGGED_LAST_COMMITTED,
	TAGGED_SEQUENCE,
	TAGGED_COMMIT_TIME,
	TAGGED_ORIGINAL_TIME,
	TAGGED_SIZE,
	TAGGED_VERSION,
	TAGGED_ORIGINAL_VERSION,
	TAGGED_TICKET,
	TAGGED_COUNT
};

/* As many bytes follow the first as it has ones at its low end; what is left of the first are the
 * lowest bits of the number. */
static uint64_t read_number(struct rd *in)
{
	uint8_t first = rd_u8(in);
	size_t more = 0;
	uint64_t high;

	while (more < 8 && (first >> more & 1) != 0)
		more++;
	if (more == 0)
		return first >> 1;
	high = rd_le(in, more);
	if (more == 8)
		return high;
	return high << (7 - more) | (uint64_t)first >> (more + 1);
}

/* The lowest bit is the sign. */
static uint64_t read_positive(struct rd *in)
{
	uint64_t v = read_number(in);

	if ((v & 1) != 0)
		rd_fail(in);
	return v >> 1;
}

static void read_uuid(struct rd *in, uint8_t *uuid)
{
	for (size_t i = 0; i < GTID_UUID_SIZE; i++) {
		uint64_t v = read_number(in);

		if (v > UINT8_MAX)
			rd_fail(in);
		uuid[i] = (uint8_t)v;
	}
}

static void read_field(struct rd *in, uint64_t field, struct event_mysql_gtid *g)
{
	uint64_t size;

	switch (field) {
	case TAGGED_FLAGS:
		g->flags = (uint8_t)read_number(in);
		return;
	case TAGGED_UUID:
		read_uuid(in, g->id.uuid);
		return;
	case TAGGED_NUMBER:
		g->id.first = g->id.last = read_positive(in);
		return;
	case TAGGED_TAG:
		size = read_number(in);
		if (size >= GTID_TAG_SIZE || !gtid_tag_read(rd_bytes(in, (size_t)size), g->id.tag))
			rd_fail(in);
		return;
	case TAGGED_COMMIT_TIME:
	case TAGGED_ORIGINAL_TIME: /* the later field wins: the original commit's */
		g->commit_us = read_number(in);
		return;
	case TAGGED_SIZE:
		g->size = read_number(in);
		return;
	default: /* numbers that say nothing about rows */
		(void)read_number(in);
		return;
	}
}

static int read_tagged(const struct event *ev, struct rd *in, struct event_mysql_gtid *g,
		       struct err *e)
{
	uint64_t version = read_number(in), size = read_number(in), needed = read_number(in);
	bool seen[TAGGED_COUNT] = { false };

	if (!rd_ok(in) || size != ev->body.size)
		return bad(ev, e, "no valid message");
	if (version != SERIALIZATION_VERSION)
		return err_data(e,
				"%s event ending at position %" PRIu32
				": serialization version %" PRIu64 " is not known",
				event_type_name(ev->header.type), ev->header.log_pos, version);
	if (needed >= TAGGED_COUNT)
		return bad(ev, e, "holds a field that a later server added and readers must know");
	while (rd_left(in) > 0) {
		uint64_t field = read_number(in);

		if (field >= TAGGED_COUNT) /* may be ignored, and all behind it */
			break;
		if (seen[field])
			return bad(ev, e, "the same field twice");
		seen[field] = true;
		read_field(in, field, g);
	}
	if (rd_ok(in) && (!seen[TAGGED_UUID] || !seen[TAGGED_NUMBER]))
		return bad(ev, e, "does not say which transaction it is");
	return 0;
}

int event_mysql_gtid_read(const struct event *ev, struct event_mysql_gtid *ret_gtid, struct err *e)
{
	struct event_mysql_gtid g = { .flags = 0 };
	struct rd in = rd_from(ev->body);

	if (ev->header.type != EVENT_MYSQL_GTID_TAGGED)
		read_plain(ev, &in, &g);
	else if (read_tagged(ev, &in, &g, e) < 0)
		return -1;
	if (!rd_ok(&in))
		return bad(ev, e, "cut short");
	if (!g.anonymous && check_id(ev, &g, e) < 0)
		return -1;
	*ret_gtid = g;
	return 0;
}

int event_previous_gtids_read(const struct event *ev, struct gtid_set *set, struct err *e)
{
	struct gtid_ranges ranges = { NULL, 0, 0 };

	if (gtid_ranges_unpack(ev->body, &ranges, e) < 0)
		return err_wrap(e, "%s event ending at position %" PRIu32,
				event_type_name(ev->header.type), ev->header.log_pos);
	gtid_set_done(set);
	set->ranges = ranges;
	return 0;
}
