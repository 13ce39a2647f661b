/* gtid.c - MariaDB GTIDs and positions.
 *
 * A position is a sorted array: sources have a handful of domains, so a binary search and memmove
 * beat anything cleverer. Text from outside is read digit by digit: signs, blanks inside a GTID,
 * leading plus and overflow are refused, because a position that was misread would skip
 * transactions silently. */
#include "core/base/gtid.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Digits up to `end`; moves *at. false when there is none or the number exceeds max. */
static bool read_number(struct slice text, size_t *at, uint64_t max, uint64_t *ret_number)
{
	size_t from = *at;
	uint64_t v = 0;

	for (; *at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9'; (*at)++) {
		uint64_t digit = (uint64_t)(text.data[*at] - '0');

		if (v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret_number = v;
	return *at > from;
}

static bool read_dash(struct slice text, size_t *at)
{
	if (*at >= text.size || text.data[*at] != '-')
		return false;
	(*at)++;
	return true;
}

int gtid_parse(struct slice text, struct gtid *ret_gtid, struct err *e)
{
	uint64_t domain, server, seq;
	size_t at = 0;

	if (!read_number(text, &at, UINT32_MAX, &domain) || !read_dash(text, &at) ||
	    !read_number(text, &at, UINT32_MAX, &server) || !read_dash(text, &at) ||
	    !read_number(text, &at, UINT64_MAX, &seq) || at != text.size)
		return err_data(e, "'%.*s' is not a GTID of the form domain-server-sequence",
				(int)(text.size < 80 ? text.size : 80), (const char *)text.data);
	*ret_gtid = (struct gtid){ (uint32_t)domain, (uint32_t)server, seq };
	return 0;
}

char *gtid_text(const struct gtid *g, char *out)
{
	snprintf(out, GTID_TEXT_SIZE, "%" PRIu32 "-%" PRIu32 "-%" PRIu64, g->domain, g->server,
		 g->seq);
	return out;
}

void gtid_set_done(struct gtid_set *s)
{
	free(s->items);
	*s = (struct gtid_set)GTID_SET_INIT;
}

/* Index of the domain's entry, or where it would stand. */
static size_t find(const struct gtid_set *s, uint32_t domain)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->items[middle].domain < domain)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct gtid *gtid_set_find(const struct gtid_set *s, uint32_t domain)
{
	size_t i = find(s, domain);

	return i < s->count && s->items[i].domain == domain ? &s->items[i] : NULL;
}

int gtid_set_update(struct gtid_set *s, const struct gtid *g, struct err *e)
{
	size_t i = find(s, g->domain);

	if (i < s->count && s->items[i].domain == g->domain) {
		s->items[i] = *g;
		return 0;
	}
	if (s->count == GTID_DOMAINS_MAX)
		return err_data(e, "a GTID position with more than %d domains", GTID_DOMAINS_MAX);
	if (s->count == s->capacity) {
		s->capacity = s->capacity == 0 ? 4 : s->capacity * 2;
		s->items = xrealloc(s->items, s->capacity * sizeof(s->items[0]));
	}
	memmove(s->items + i + 1, s->items + i, (s->count - i) * sizeof(s->items[0]));
	s->items[i] = *g;
	s->count++;
	return 0;
}

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

static int parse_into(struct gtid_set *s, struct slice text, struct err *e)
{
	for (;;) {
		const uint8_t *comma = memchr(text.data, ',', text.size);
		size_t size = comma == NULL ? text.size : (size_t)(comma - text.data);
		struct gtid g;

		if (gtid_parse(trim(slice_of(text.data, size)), &g, e) < 0)
			return -1;
		if (gtid_set_find(s, g.domain) != NULL)
			return err_data(e, "GTID position names domain %" PRIu32 " twice",
					g.domain);
		if (gtid_set_update(s, &g, e) < 0)
			return -1;
		if (comma == NULL)
			return 0;
		text = slice_of(comma + 1, text.size - size - 1);
	}
}

int gtid_set_parse(struct slice text, struct gtid_set *s, struct err *e)
{
	struct gtid_set fresh = GTID_SET_INIT;

	text = trim(text);
	if (text.size > 0 && parse_into(&fresh, text, e) < 0) {
		gtid_set_done(&fresh);
		return -1;
	}
	gtid_set_done(s);
	*s = fresh;
	return 0;
}

void gtid_set_text(const struct gtid_set *s, struct buf *out)
{
	char text[GTID_TEXT_SIZE];

	for (size_t i = 0; i < s->count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		buf_add_str(out, gtid_text(&s->items[i], text));
	}
}

void gtid_set_copy(struct gtid_set *to, const struct gtid_set *from)
{
	if (to == from)
		return;
	if (to->capacity < from->count) {
		to->capacity = from->count;
		to->items = xrealloc(to->items, to->capacity * sizeof(to->items[0]));
	}
	if (from->count > 0)
		memcpy(to->items, from->items, from->count * sizeof(from->items[0]));
	to->count = from->count;
}

bool gtid_set_contains(const struct gtid_set *s, const struct gtid *g)
{
	const struct gtid *last = gtid_set_find(s, g->domain);

	return last != NULL && g->seq <= last->seq;
}

bool gtid_set_contains_set(const struct gtid_set *s, const struct gtid_set *part)
{
	for (size_t i = 0; i < part->count; i++)
		if (!gtid_set_contains(s, &part->items[i]))
			return false;
	return true;
}

bool gtid_set_equal(const struct gtid_set *a, const struct gtid_set *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i].domain != b->items[i].domain || a->items[i].seq != b->items[i].seq)
			return false;
	return true;
}

uint64_t gtid_set_distance(const struct gtid_set *behind, const struct gtid_set *ahead)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ahead->count; i++) {
		const struct gtid *last = gtid_set_find(behind, ahead->items[i].domain);
		uint64_t from = last == NULL ? 0 : last->seq;
		uint64_t more = ahead->items[i].seq > from ? ahead->items[i].seq - from : 0;

		sum = more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
	}
	return sum;
}
