/* gtid.c - MariaDB GTIDs and positions, places; sets of any dialect.
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
#include <string.h>

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
	free(s->file);
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

/* ---- places --------------------------------------------------------------------------------- */

/* file.number:offset; neither a GTID nor a set of MySQL's has a dot. */
static bool looks_like_place(struct slice text)
{
	return text.size > 0 && memchr(text.data, '.', text.size) != NULL;
}

static bool all_digits(struct slice s)
{
	for (size_t i = 0; i < s.size; i++)
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
	return s.size > 0;
}

static bool is_file(struct slice file)
{
	size_t at = file.size;

	while (at > 0 && file.data[at - 1] != '.')
		at--;
	return at > 1 && file.size <= GTID_FILE_MAX && memchr(file.data, 0, file.size) == NULL &&
	       memchr(file.data, ':', file.size) == NULL && /* "snapshot:db.1:2" is a copy's */
	       all_digits(slice_of(file.data + at, file.size - at));
}

static int read_place(struct slice text, struct slice *ret_file, uint64_t *ret_offset,
		      struct err *e)
{
	size_t at = text.size, from;
	struct slice file;

	while (at > 0 && text.data[at - 1] != ':')
		at--;
	from = at;
	file = slice_of(text.data, at > 0 ? at - 1 : 0);
	if (at == 0 || !is_file(file) || !read_number(text, &from, INT64_MAX, ret_offset) ||
	    from != text.size)
		return err_data(e, "'%.*s' is not a place of the form binlog.000001:4",
				(int)(text.size < 80 ? text.size : 80), (const char *)text.data);
	*ret_file = file;
	return 0;
}

int gtid_file_compare(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	return n != m ? (n < m ? -1 : 1) : strcmp(a, b);
}

uint64_t gtid_file_ordinal(const char *file, uint64_t offset)
{
	const char *dot = strrchr(file, '.');

	return (dot != NULL ? strtoull(dot + 1, NULL, 10) : 0) << 40 | offset;
}

void gtid_set_move(struct gtid_set *s, const char *file, uint64_t offset)
{
	if (s->file == NULL || strcmp(s->file, file) != 0) {
		char *name = xstrdup(file); /* it may be our own */

		gtid_set_done(s);
		s->file = name;
	}
	s->offset = offset;
}

/* a lies at b or before it. */
static bool place_within(const char *file, uint64_t offset, const struct gtid_set *s)
{
	int order = s->file == NULL ? 1 : gtid_file_compare(file, s->file);

	return order < 0 || (order == 0 && offset <= s->offset);
}

static int parse_place(struct gtid_set *s, struct slice text, struct err *e)
{
	struct slice file = slice_of(NULL, 0);

	if (read_place(text, &file, &s->offset, e) < 0)
		return -1;
	s->file = xstrndup((const char *)file.data, file.size);
	return 0;
}

/* ---- sets ----------------------------------------------------------------------------------- */

int gtid_set_parse(struct slice text, struct gtid_set *s, struct err *e)
{
	struct gtid_set fresh = GTID_SET_INIT;
	int rc = 0;

	text = trim(text);
	if (looks_like_place(text))
		rc = parse_place(&fresh, text, e);
	else if (text.size > 0 && memchr(text.data, ':', text.size) != NULL)
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

void gtid_text_cut(struct slice text, char *out, size_t size)
{
	static const char cut[] = "...";
	bool fits = text.size < size;
	size_t n = fits ? text.size : size - sizeof(cut);

	if (n > 0)
		memcpy(out, text.data, n);
	(void)snprintf(out + n, size - n, "%s", fits ? "" : cut);
}

void gtid_set_text(const struct gtid_set *s, struct buf *out)
{
	char text[GTID_TEXT_SIZE];

	if (s->file != NULL)
		buf_add_format(out, "%s:%" PRIu64, s->file, s->offset);
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
	if (from->file == NULL || to->file == NULL || strcmp(to->file, from->file) != 0) {
		free(to->file);
		to->file = from->file != NULL ? xstrdup(from->file) : NULL;
	}
	to->offset = from->offset;
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
	return gtid_ranges_contain(&s->ranges, &part->ranges) &&
	       (part->file == NULL || place_within(part->file, part->offset, s));
}

bool gtid_set_is_empty(const struct gtid_set *s)
{
	return s->count == 0 && s->ranges.count == 0 && s->file == NULL;
}

bool gtid_set_is_mysql(const struct gtid_set *s)
{
	return s->ranges.count > 0;
}

bool gtid_set_is_place(const struct gtid_set *s)
{
	return s->file != NULL;
}

/* 0: empty */
static int dialect(const struct gtid_set *s)
{
	return s->count > 0 ? 1 : s->ranges.count > 0 ? 2 : s->file != NULL ? 3 : 0;
}

int gtid_set_union(struct gtid_set *s, const struct gtid_set *other, struct err *e)
{
	struct gtid_set sum = GTID_SET_INIT;

	if (dialect(s) != 0 && dialect(other) != 0 && dialect(s) != dialect(other))
		return err_data(e, "two positions of different kinds (GTIDs of MariaDB, of MySQL, "
				   "a place in a binlog file)");
	gtid_set_copy(&sum, s);
	for (size_t i = 0; i < other->count; i++)
		if (!gtid_set_contains(&sum, &other->items[i]) &&
		    gtid_set_update(&sum, &other->items[i], e) < 0)
			goto failed;
	if (gtid_ranges_union(&sum.ranges, &other->ranges, e) < 0)
		goto failed;
	if (other->file != NULL && !place_within(other->file, other->offset, &sum))
		gtid_set_move(&sum, other->file, other->offset);
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
	if (want->file != NULL && !place_within(want->file, want->offset, have))
		buf_add_format(out, "%s:%" PRIu64, want->file, want->offset);
}

bool gtid_set_equal(const struct gtid_set *a, const struct gtid_set *b)
{
	if (a->count != b->count || !gtid_ranges_equal(&a->ranges, &b->ranges) ||
	    (a->file == NULL) != (b->file == NULL))
		return false;
	if (a->file != NULL && (strcmp(a->file, b->file) != 0 || a->offset != b->offset))
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
	if (ahead->file != NULL && !place_within(ahead->file, ahead->offset, behind))
		sum++;
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

/* ---- one transaction by its text ------------------------------------------------------------- */

/* A set that holds nothing but the transaction: of MySQL's, one number. */
static int parse_id(struct slice id, struct gtid_set *ret_set, struct err *e)
{
	struct gtid_set set = GTID_SET_INIT;

	if (gtid_set_parse(id, &set, e) < 0)
		return -1;
	if (trim(id).size != id.size || gtid_set_is_empty(&set) || set.count > 1 ||
	    set.ranges.count > 1 ||
	    (set.ranges.count == 1 && set.ranges.items[0].first != set.ranges.items[0].last)) {
		gtid_set_done(&set);
		return err_data(e, "'%.*s' is not the id of one transaction",
				(int)(id.size < 80 ? id.size : 80), (const char *)id.data);
	}
	*ret_set = set;
	return 0;
}

bool gtid_is_id(struct slice id)
{
	struct gtid_set one;
	struct err ignored = ERR_INIT;

	if (parse_id(id, &one, &ignored) < 0)
		return false;
	gtid_set_done(&one);
	return true;
}

bool gtid_set_has(const struct gtid_set *s, struct slice id)
{
	struct gtid_set one;
	struct err ignored = ERR_INIT;
	struct gtid gtid;
	bool has;

	if (s->count > 0) /* MariaDB's need no memory */
		return gtid_parse(id, &gtid, &ignored) == 0 && gtid_set_contains(s, &gtid);
	if (parse_id(id, &one, &ignored) < 0)
		return false;
	has = gtid_set_contains_set(s, &one);
	gtid_set_done(&one);
	return has;
}

int gtid_set_add(struct gtid_set *s, struct slice id, struct err *e)
{
	struct err ignored = ERR_INIT;
	struct gtid_set one;
	struct gtid gtid;
	int rc = 0;

	if (s->count > 0 && gtid_parse(id, &gtid, &ignored) == 0)
		return gtid_set_update(s, &gtid, e);
	if (parse_id(id, &one, e) < 0)
		return -1;
	if (dialect(s) != 0 && dialect(s) != dialect(&one))
		gtid_set_done(s);
	if (one.count > 0)
		rc = gtid_set_update(s, &one.items[0], e);
	else if (one.ranges.count > 0)
		rc = gtid_ranges_add(&s->ranges, &one.ranges.items[0], e);
	else
		gtid_set_move(s, one.file, one.offset);
	gtid_set_done(&one);
	return rc;
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
