/* gtid_ranges_wire.c - MySQL's GTID sets as the server packs them: in Previous_gtids events, and in
 * the command that asks for a binlog by GTIDs.
 *
 * Layout, integers little-endian: head 8, then per source: uuid 16, [tag], number of intervals 8,
 * and per interval its first number 8 and the number behind its last 8. The head's top byte says
 * the format. 0: the other seven bytes are the number of sources, which have no tags. 1 (since
 * MySQL 8.3, and only when a tag is in the set): the lowest byte is 1 too, the six between are the
 * number of sources (uuid and tag), and behind each uuid stands its tag: length as a number of
 * MySQL's serialization library (below 128: twice its value, one byte), then its letters. */
#include "core/base/gtid_ranges.h"

#include "core/base/le.h"
#include "core/base/rd.h"

#define HEAD_SIZE 8
#define INTERVAL_SIZE 16

static bool same_source(const struct gtid_range *a, const struct gtid_range *b)
{
	return memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0 && strcmp(a->tag, b->tag) == 0;
}

static size_t end_of_source(const struct gtid_ranges *s, size_t from)
{
	size_t to = from + 1;

	while (to < s->count && same_source(&s->items[from], &s->items[to]))
		to++;
	return to;
}

static void put_source(const struct gtid_range *ranges, size_t count, bool tagged, struct buf *out)
{
	buf_add(out, ranges->uuid, sizeof(ranges->uuid));
	if (tagged) {
		buf_add_u8(out, (uint8_t)(strlen(ranges->tag) << 1));
		buf_add_str(out, ranges->tag);
	}
	le_add(out, count, 8);
	for (size_t i = 0; i < count; i++) {
		le_add(out, ranges[i].first, 8);
		le_add(out, ranges[i].last + 1, 8); /* GTID_NUMBER_MAX + 1 fits */
	}
}

void gtid_ranges_pack(const struct gtid_ranges *s, struct buf *out)
{
	uint64_t sources = 0;
	bool tagged = false;

	for (size_t i = 0; i < s->count; i = end_of_source(s, i)) {
		sources++;
		tagged = tagged || s->items[i].tag[0] != '\0';
	}
	le_add(out, tagged ? UINT64_C(1) << 56 | sources << 8 | 1 : sources, HEAD_SIZE);
	for (size_t i = 0, to; i < s->count; i = to) {
		to = end_of_source(s, i);
		put_source(&s->items[i], to - i, tagged, out);
	}
}

static void take_tag(struct rd *in, struct gtid_range *range)
{
	uint8_t head = rd_u8(in);
	struct slice tag = rd_bytes(in, head >> 1);

	if ((head & 1) != 0 || !gtid_tag_read(tag, range->tag))
		rd_fail(in);
}

static int take_source(struct rd *in, bool tagged, struct gtid_ranges *s, struct err *e)
{
	struct gtid_range range = { .first = 0 };
	struct slice uuid = rd_bytes(in, sizeof(range.uuid));
	uint64_t count;

	memcpy(range.uuid, uuid.data, uuid.size);
	if (tagged)
		take_tag(in, &range);
	count = rd_u64(in);
	if (!rd_ok(in) || count > rd_left(in) / INTERVAL_SIZE)
		return err_data(e, "a packed GTID set is cut short");
	for (uint64_t i = 0; i < count; i++) {
		uint64_t end;

		range.first = rd_u64(in);
		end = rd_u64(in);
		if (range.first < 1 || end <= range.first || end > (uint64_t)GTID_NUMBER_MAX + 1)
			return err_data(e, "a packed GTID set names no valid numbers");
		range.last = end - 1;
		if (gtid_ranges_add(s, &range, e) < 0)
			return -1;
	}
	return 0;
}

int gtid_ranges_unpack(struct slice packed, struct gtid_ranges *ret_ranges, struct err *e)
{
	struct gtid_ranges s = { NULL, 0, 0 };
	struct rd in = rd_from(packed);
	uint64_t head = rd_u64(&in), sources = head & (UINT64_MAX >> 8);
	uint8_t format = (uint8_t)(head >> 56);

	if (!rd_ok(&in) || format > 1)
		return err_data(e, "a packed GTID set of unknown format %u", format);
	if (format == 1)
		sources >>= 8;
	for (uint64_t i = 0; i < sources; i++)
		if (take_source(&in, format == 1, &s, e) < 0)
			goto failed;
	if (!rd_end(&in)) {
		err_data(e, "bytes are left over behind a packed GTID set");
		goto failed;
	}
	gtid_ranges_done(ret_ranges);
	*ret_ranges = s;
	return 0;
failed:
	gtid_ranges_done(&s);
	return -1;
}
