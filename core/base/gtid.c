/* gtid.c - MariaDB GTIDs and positions; sets of either dialect.
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
	gtid_ranges_done(&s->ranges);
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
	int rc = 0;

	text = trim(text);
	if (text.size > 0 && memchr(text.data, ':', text.size) != NULL)
		rc = gtid_ranges_parse(text, &fresh.ranges, e);
	else if (text.size > 0)
		rc = parse_into(&fresh, text, e);
	if (rc < 0) {
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

	gtid_ranges_text(&s->ranges, out);
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
	gtid_ranges_copy(&to->ranges, &from->ranges);
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
	return gtid_ranges_contain(&s->ranges, &part->ranges);
}

bool gtid_set_is_empty(const struct gtid_set *s)
{
	return s->count == 0 && s->ranges.count == 0;
}

bool gtid_set_is_mysql(const struct gtid_set *s)
{
	return s->ranges.count > 0;
}

int gtid_set_union(struct gtid_set *s, const struct gtid_set *other, struct err *e)
{
	struct gtid_set sum = GTID_SET_INIT;

	if ((s->count > 0 && gtid_set_is_mysql(other)) ||
	    (other->count > 0 && gtid_set_is_mysql(s)))
		return err_data(e, "a GTID position of MariaDB and a GTID set of MySQL");
	gtid_set_copy(&sum, s);
	for (size_t i = 0; i < other->count; i++)
		if (!gtid_set_contains(&sum, &other->items[i]) &&
		    gtid_set_update(&sum, &other->items[i], e) < 0)
			goto failed;
	if (gtid_ranges_union(&sum.ranges, &other->ranges, e) < 0)
		goto failed;
	gtid_set_done(s);
	*s = sum;
	return 0;
failed:
	gtid_set_done(&sum);
	return -1;
}

/* "0-1-101 to 0-1-105"; from 0: where it begins isn't known. */
static void add_missing(const struct gtid *g, uint64_t from, struct buf *out)
{
	char text[GTID_TEXT_SIZE];
	struct gtid first = { g->domain, g->server, from };

	buf_add_str(out, out->size > 0 ? ", " : "");
	if (from != 0 && from < g->seq)
		buf_add_format(out, "%s to ", gtid_text(&first, text));
	buf_add_str(out, gtid_text(g, text));
}

void gtid_set_missing(const struct gtid_set *want, const struct gtid_set *have, struct buf *out)
{
	struct gtid_ranges difference = { NULL, 0, 0 };

	for (size_t i = 0; i < want->count; i++) {
		const struct gtid *last = gtid_set_find(have, want->items[i].domain);

		if (last == NULL || last->seq < want->items[i].seq)
			add_missing(&want->items[i], last == NULL ? 1 : last->seq + 1, out);
	}
	gtid_ranges_minus(&want->ranges, &have->ranges, &difference);
	gtid_ranges_text(&difference, out);
	gtid_ranges_done(&difference);
}

bool gtid_set_equal(const struct gtid_set *a, const struct gtid_set *b)
{
	if (a->count != b->count || !gtid_ranges_equal(&a->ranges, &b->ranges))
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i].domain != b->items[i].domain || a->items[i].seq != b->items[i].seq)
			return false;
	return true;
}

uint64_t gtid_set_distance(const struct gtid_set *behind, const struct gtid_set *ahead)
{
	struct gtid_ranges difference = { NULL, 0, 0 };
	uint64_t sum;

	gtid_ranges_minus(&ahead->ranges, &behind->ranges, &difference);
	sum = gtid_ranges_size(&difference);
	gtid_ranges_done(&difference);
	for (size_t i = 0; i < ahead->count; i++) {
		const struct gtid *last = gtid_set_find(behind, ahead->items[i].domain);
		uint64_t from = last == NULL ? 0 : last->seq;
		uint64_t more = ahead->items[i].seq > from ? ahead->items[i].seq - from : 0;

		sum = more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
	}
	return sum;
}

int gtid_set_parse_state(struct slice text, struct gtid_set *s, struct err *e)
{
	struct gtid_set all = GTID_SET_INIT;
	int rc = 0;

	for (text = trim(text); rc == 0 && text.size > 0;) {
		const uint8_t *comma = memchr(text.data, ',', text.size);
		size_t size = comma == NULL ? text.size : (size_t)(comma - text.data);
		struct gtid one;

		rc = gtid_parse(trim(slice_of(text.data, size)), &one, e);
		if (rc == 0 && !gtid_set_contains(&all, &one))
			rc = gtid_set_update(&all, &one, e);
		text = comma == NULL ? slice_of(NULL, 0)
				     : slice_of(comma + 1, text.size - size - 1);
	}
	if (rc < 0) {
		gtid_set_done(&all);
		return -1;
	}
	gtid_set_done(s);
	*s = all;
	return 0;
}

/* ---- what a server knows -------------------------------------------------------------------- */

/* How far the state has come in the domain of *g: its server, and any. */
struct reach {
	bool has_server;
	uint64_t server, any;
};

static int read_reach(struct slice state, const struct gtid *g, struct reach *ret_reach,
		      struct err *e)
{
	struct reach reach = { false, 0, 0 };

	for (state = trim(state); state.size > 0;) {
		const uint8_t *comma = memchr(state.data, ',', state.size);
		size_t size = comma == NULL ? state.size : (size_t)(comma - state.data);
		struct slice part = trim(slice_of(state.data, size));
		struct gtid one;

		if (part.size > 0 && gtid_parse(part, &one, e) < 0)
			return -1;
		if (part.size > 0 && one.domain == g->domain) {
			reach.any = one.seq > reach.any ? one.seq : reach.any;
			if (one.server == g->server) {
				reach.has_server = true;
				reach.server = one.seq > reach.server ? one.seq : reach.server;
			}
		}
		if (comma == NULL)
			break;
		state = slice_of(comma + 1, state.size - size - 1);
	}
	*ret_reach = reach;
	return 0;
}

int gtid_known(const struct gtid_set *position, struct slice state, enum gtid_known *ret_known,
	       struct buf *missing, struct err *e)
{
	enum gtid_known known = GTID_KNOWN;

	for (size_t i = 0; i < position->count; i++) {
		const struct gtid *g = &position->items[i];
		struct reach reach;

		if (read_reach(state, g, &reach, e) < 0)
			return -1;
		if (reach.has_server && reach.server >= g->seq)
			continue;
		if (reach.any >= g->seq)
			known = GTID_DIVERGED;
		else if (known == GTID_KNOWN)
			known = GTID_BEHIND;
		add_missing(g,
			    reach.has_server	    ? reach.server + 1
			    : reach.any < g->seq ? reach.any + 1
						 : 0,
			    missing);
	}
	*ret_known = known;
	return 0;
}
