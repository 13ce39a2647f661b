/* gtid_ranges.c - MySQL's GTID sets as one sorted array of ranges.
 *
 * A server that has lived long has a range for each server that ever wrote, and some more where
 * something went wrong: tens, seldom thousands. So one array, and merging walks over two of them,
 * beat a map of lists. Text from outside may name ranges in any order and overlapping, as the
 * server takes it too; what is empty or turned round is refused, because a set that was misread
 * would skip transactions silently. */
#include "core/base/gtid_ranges.h"

#include "core/base/hex.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#define UUID_TEXT_SIZE 36

void gtid_ranges_done(struct gtid_ranges *s)
{
	free(s->items);
	*s = (struct gtid_ranges){ NULL, 0, 0 };
}

/* By uuid and tag. */
static int compare_source(const struct gtid_range *a, const struct gtid_range *b)
{
	int order = memcmp(a->uuid, b->uuid, sizeof(a->uuid));

	return order != 0 ? order : memcmp(a->tag, b->tag, sizeof(a->tag));
}

/* a ends before b begins, with at least one number between them. */
static bool is_before(const struct gtid_range *a, const struct gtid_range *b)
{
	int order = compare_source(a, b);

	return order != 0 ? order < 0 : a->last + 1 < b->first; /* GTID_NUMBER_MAX + 1 fits */
}

static void reserve(struct gtid_ranges *s, size_t count)
{
	if (count <= s->capacity)
		return;
	s->capacity = count > s->capacity * 2 ? count : s->capacity * 2;
	s->items = xrealloc(s->items, s->capacity * sizeof(s->items[0]));
}

int gtid_ranges_add(struct gtid_ranges *s, const struct gtid_range *range, struct err *e)
{
	struct gtid_range joined = *range;
	size_t from = 0, to = s->count;

	while (from < to) { /* the first that is not before it */
		size_t middle = from + (to - from) / 2;

		if (is_before(&s->items[middle], range))
			from = middle + 1;
		else
			to = middle;
	}
	for (to = from; to < s->count && !is_before(range, &s->items[to]); to++) {
		if (s->items[to].first < joined.first)
			joined.first = s->items[to].first;
		if (s->items[to].last > joined.last)
			joined.last = s->items[to].last;
	}
	if (to == from && s->count == GTID_RANGES_MAX)
		return err_data(e, "a GTID set with more than %d ranges", GTID_RANGES_MAX);
	reserve(s, s->count + 1);
	memmove(s->items + from + 1, s->items + to, (s->count - to) * sizeof(s->items[0]));
	s->items[from] = joined;
	s->count = s->count - (to - from) + 1;
	return 0;
}

int gtid_ranges_union(struct gtid_ranges *s, const struct gtid_ranges *other, struct err *e)
{
	struct gtid_ranges sum = { NULL, 0, 0 };

	gtid_ranges_copy(&sum, s);
	for (size_t i = 0; i < other->count; i++)
		if (gtid_ranges_add(&sum, &other->items[i], e) < 0) {
			gtid_ranges_done(&sum);
			return -1;
		}
	gtid_ranges_done(s);
	*s = sum;
	return 0;
}

static void append(struct gtid_ranges *s, const struct gtid_range *range)
{
	reserve(s, s->count + 1);
	s->items[s->count++] = *range;
}

/* The part of `range` that lies outside of other's ranges from *at on. */
static void cut(struct gtid_range range, const struct gtid_ranges *other, size_t *at,
		struct gtid_ranges *out)
{
	size_t i = *at;

	while (i < other->count && (compare_source(&other->items[i], &range) < 0 ||
				    (compare_source(&other->items[i], &range) == 0 &&
				     other->items[i].last < range.first)))
		i++;
	*at = i;
	for (; i < other->count && compare_source(&other->items[i], &range) == 0 &&
	       other->items[i].first <= range.last;
	     i++) {
		struct gtid_range left = range;

		if (other->items[i].first > range.first) {
			left.last = other->items[i].first - 1;
			append(out, &left);
		}
		if (other->items[i].last >= range.last)
			return;
		range.first = other->items[i].last + 1;
	}
	append(out, &range);
}

void gtid_ranges_minus(const struct gtid_ranges *s, const struct gtid_ranges *other,
		       struct gtid_ranges *ret_difference)
{
	struct gtid_ranges out = { NULL, 0, 0 };
	size_t at = 0;

	for (size_t i = 0; i < s->count; i++)
		cut(s->items[i], other, &at, &out);
	gtid_ranges_done(ret_difference);
	*ret_difference = out;
}

bool gtid_ranges_contain(const struct gtid_ranges *s, const struct gtid_ranges *part)
{
	size_t at = 0;

	for (size_t i = 0; i < part->count; i++) {
		const struct gtid_range *p = &part->items[i];

		while (at < s->count && (compare_source(&s->items[at], p) < 0 ||
					 (compare_source(&s->items[at], p) == 0 &&
					  s->items[at].last < p->first)))
			at++;
		if (at == s->count || compare_source(&s->items[at], p) != 0 ||
		    s->items[at].first > p->first || s->items[at].last < p->last)
			return false;
	}
	return true;
}

bool gtid_ranges_equal(const struct gtid_ranges *a, const struct gtid_ranges *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (compare_source(&a->items[i], &b->items[i]) != 0 ||
		    a->items[i].first != b->items[i].first || a->items[i].last != b->items[i].last)
			return false;
	return true;
}

void gtid_ranges_copy(struct gtid_ranges *to, const struct gtid_ranges *from)
{
	reserve(to, from->count);
	if (from->count > 0)
		memcpy(to->items, from->items, from->count * sizeof(from->items[0]));
	to->count = from->count;
}

uint64_t gtid_ranges_size(const struct gtid_ranges *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->count; i++) {
		uint64_t more = s->items[i].last - s->items[i].first + 1;

		sum = more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
	}
	return sum;
}

/* ---- text ----------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct slice trim(struct slice s)
{
	while (s.size > 0 && is_blank(s.data[s.size - 1]))
		s.size--;
	while (s.size > 0 && is_blank(s.data[0]))
		s = slice_of(s.data + 1, s.size - 1);
	return s;
}

/* Cuts *text at the first `at`; the part before it is returned. */
static struct slice next_part(struct slice *text, char at, bool *ret_more)
{
	const uint8_t *found = text->size > 0 ? memchr(text->data, at, text->size) : NULL;
	struct slice part = *text;

	*ret_more = found != NULL;
	if (found != NULL) {
		part.size = (size_t)(found - text->data);
		*text = slice_of(found + 1, text->size - part.size - 1);
	}
	return trim(part);
}

static bool read_uuid(struct slice text, uint8_t *out)
{
	size_t at = 0;

	if (text.size != UUID_TEXT_SIZE)
		return false;
	for (size_t i = 0; i < GTID_UUID_SIZE; i++) {
		int high, low;

		if (i == 4 || i == 6 || i == 8 || i == 10)
			if (text.data[at++] != '-')
				return false;
		high = hex_value(text.data[at]);
		low = hex_value(text.data[at + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	return true;
}

static bool read_tag(struct slice text, char *out)
{
	if (text.size == 0 || text.size >= GTID_TAG_SIZE)
		return false;
	memset(out, 0, GTID_TAG_SIZE);
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (!(c >= 'a' && c <= 'z') && c != '_' && !(i > 0 && c >= '0' && c <= '9'))
			return false;
		out[i] = (char)c;
	}
	return true;
}

static bool read_number(struct slice text, uint64_t *ret_number)
{
	uint64_t v = 0;

	for (size_t i = 0; i < text.size; i++) {
		uint64_t digit = (uint64_t)text.data[i] - '0';

		if (text.data[i] < '0' || digit > 9 || v > (GTID_NUMBER_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret_number = v;
	return text.size > 0 && v > 0;
}

static bool read_range(struct slice text, struct gtid_range *range)
{
	bool more;
	struct slice first = next_part(&text, '-', &more);

	if (!read_number(first, &range->first))
		return false;
	range->last = range->first;
	return !more || (read_number(trim(text), &range->last) && range->last >= range->first);
}

static int refuse(struct slice text, const char *what, struct err *e)
{
	return err_data(e, "GTID set: '%.*s' is not %s", (int)(text.size < 80 ? text.size : 80),
			(const char *)text.data, what);
}

static int refuse_part(struct slice part, const char *what, struct slice whole, struct err *e)
{
	refuse(part, what, e);
	return err_wrap(e, "in '%.*s'", (int)(whole.size < 200 ? whole.size : 200),
			(const char *)whole.data);
}

/* uuid:1-5:7:tag:1-3 */
static int parse_source(struct slice text, struct gtid_ranges *s, struct err *e)
{
	struct gtid_range range = { .first = 0 };
	struct slice whole = text, part;
	bool more, counted = false, tagged = false;

	part = next_part(&text, ':', &more);
	if (!more || !read_uuid(part, range.uuid))
		return refuse(whole, "of the form uuid:1-5:7 or uuid:tag:1-5", e);
	while (more) {
		part = next_part(&text, ':', &more);
		if (part.size > 0 && (part.data[0] < '0' || part.data[0] > '9')) {
			if ((tagged && !counted) || !read_tag(part, range.tag))
				return refuse_part(part, "a tag with numbers behind it", whole, e);
			tagged = true;
			counted = false;
			continue;
		}
		if (!read_range(part, &range))
			return refuse_part(part, "a range of numbers from 1", whole, e);
		if (gtid_ranges_add(s, &range, e) < 0)
			return -1;
		counted = true;
	}
	return counted ? 0 : refuse(whole, "complete: no number follows", e);
}

int gtid_ranges_parse(struct slice text, struct gtid_ranges *s, struct err *e)
{
	for (bool more = true; more;)
		if (parse_source(next_part(&text, ',', &more), s, e) < 0)
			return -1;
	return 0;
}

bool gtid_tag_read(struct slice text, char *out)
{
	memset(out, 0, GTID_TAG_SIZE);
	return text.size == 0 || read_tag(text, out);
}

static void add_uuid(const uint8_t *uuid, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < GTID_UUID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			buf_add_u8(out, '-');
		buf_add_u8(out, (uint8_t)digits[uuid[i] >> 4]);
		buf_add_u8(out, (uint8_t)digits[uuid[i] & 15]);
	}
}

void gtid_range_id(const struct gtid_range *range, struct buf *out)
{
	add_uuid(range->uuid, out);
	if (range->tag[0] != '\0')
		buf_add_format(out, ":%s", range->tag);
	buf_add_format(out, ":%" PRIu64, range->first);
}

void gtid_ranges_text(const struct gtid_ranges *s, struct buf *out)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct gtid_range *r = &s->items[i], *before = i > 0 ? r - 1 : NULL;
		bool same = before != NULL && memcmp(before->uuid, r->uuid, sizeof(r->uuid)) == 0;

		if (!same) {
			buf_add_str(out, i > 0 ? "," : "");
			add_uuid(r->uuid, out);
		}
		if (r->tag[0] != '\0' && (!same || strcmp(before->tag, r->tag) != 0))
			buf_add_format(out, ":%s", r->tag);
		buf_add_format(out, ":%" PRIu64, r->first);
		if (r->last > r->first)
			buf_add_format(out, "-%" PRIu64, r->last);
	}
}
