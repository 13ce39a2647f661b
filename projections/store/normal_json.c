/* normal_json.c - the one form of a JSON text.
 *
 * Written here because JSON libraries read numbers as doubles, and two documents that differ in the
 * 17th digit of a number are not the same. The text is read once, recursively up to a depth, and
 * written as it is read; the members of an object are put in order when its end is reached, by
 * moving the bytes that were written for them. Strings are written without escapes but for the
 * quote and the backslash, numbers as normal_number() makes them. */
#include "projections/store/normal_json.h"

#include "core/base/mem.h"
#include "projections/store/normal.h"

#include <stdlib.h>
#include <string.h>

struct reader {
	const uint8_t *at, *end;
	struct buf *out;
	struct buf number; /* scratch of normal_number() */
};

struct member {
	size_t at, key_size, size; /* in out: key, then its value */
};

struct members {
	struct member *items;
	size_t count;
};

static bool read_value(struct reader *r, int depth);

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end &&
	       (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

static bool take(struct reader *r, uint8_t c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool read_word(struct reader *r, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0)
		return false;
	r->at += size;
	buf_add(r->out, word, size);
	return true;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static size_t skip_digits(struct reader *r)
{
	const uint8_t *from = r->at;

	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return (size_t)(r->at - from);
}

static bool skip_number(struct reader *r)
{
	(void)take(r, '-');
	if (skip_digits(r) == 0 || (take(r, '.') && skip_digits(r) == 0))
		return false;
	if (!take(r, 'e') && !take(r, 'E'))
		return true;
	if (!take(r, '-'))
		(void)take(r, '+');
	return skip_digits(r) > 0;
}

static bool read_number(struct reader *r)
{
	const uint8_t *from = r->at;
	struct slice text;
	struct value v;

	if (!skip_number(r))
		return false;
	text = slice_of(from, (size_t)(r->at - from));
	buf_reset(&r->number);
	/* scratch that moves would take away what it points into */
	buf_reserve(&r->number, 3 * text.size + 1024);
	if (normal_number(text, &r->number, &v) && v.kind == VALUE_INT)
		buf_add_format(r->out, "%lld", (long long)v.i);
	else
		buf_add_slice(r->out, v.bytes);
	return true;
}

/* ---- strings --------------------------------------------------------------------------------- */

static bool read_hex(struct reader *r, uint32_t *ret_code)
{
	uint32_t code = 0;

	if (r->end - r->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		uint8_t c = *r->at++, low = c | 0x20;

		if (c >= '0' && c <= '9')
			code = code << 4 | (uint32_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			code = code << 4 | (uint32_t)(low - 'a' + 10);
		else
			return false;
	}
	*ret_code = code;
	return true;
}

static void add_utf8(uint32_t code, struct buf *out)
{
	if (code < 0x80) {
		buf_add_u8(out, (uint8_t)code);
		return;
	}
	if (code < 0x800) {
		buf_add_u8(out, (uint8_t)(0xc0 | code >> 6));
	} else {
		if (code < 0x10000) {
			buf_add_u8(out, (uint8_t)(0xe0 | code >> 12));
		} else {
			buf_add_u8(out, (uint8_t)(0xf0 | code >> 18));
			buf_add_u8(out, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
		}
		buf_add_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
	}
	buf_add_u8(out, (uint8_t)(0x80 | (code & 0x3f)));
}

/* Behind \u. Half of a pair that stands alone is written as it is. */
static bool read_code(struct reader *r)
{
	uint32_t code, second;
	const uint8_t *behind;

	if (!read_hex(r, &code))
		return false;
	behind = r->at;
	if (code >> 10 == 0xd800 >> 10 && take(r, '\\') && take(r, 'u') && read_hex(r, &second) &&
	    second >> 10 == 0xdc00 >> 10)
		code = 0x10000 + ((code & 0x3ff) << 10 | (second & 0x3ff));
	else
		r->at = behind;
	if (code == '"' || code == '\\')
		buf_add_u8(r->out, '\\');
	add_utf8(code, r->out);
	return true;
}

static bool read_escape(struct reader *r)
{
	static const char names[] = "bfnrt/", values[] = "\b\f\n\r\t/";
	const char *name;
	uint8_t c;

	if (r->at == r->end)
		return false;
	c = *r->at++;
	if (c == 'u')
		return read_code(r);
	if (c == '"' || c == '\\') {
		buf_add_u8(r->out, '\\');
		buf_add_u8(r->out, c);
		return true;
	}
	name = c != '\0' ? strchr(names, c) : NULL;
	if (name == NULL)
		return false;
	buf_add_u8(r->out, (uint8_t)values[name - names]);
	return true;
}

static bool read_string(struct reader *r)
{
	if (!take(r, '"'))
		return false;
	buf_add_u8(r->out, '"');
	while (r->at < r->end) {
		const uint8_t *from = r->at;

		while (r->at < r->end && *r->at != '"' && *r->at != '\\')
			r->at++;
		buf_add(r->out, from, (size_t)(r->at - from));
		if (take(r, '"')) {
			buf_add_u8(r->out, '"');
			return true;
		}
		if (!take(r, '\\') || !read_escape(r))
			return false;
	}
	return false;
}

/* ---- arrays and objects ---------------------------------------------------------------------- */

static bool read_array(struct reader *r, int depth)
{
	bool more = false;

	buf_add_u8(r->out, '[');
	skip_blanks(r);
	while (more || !take(r, ']')) {
		if (!read_value(r, depth))
			return false;
		skip_blanks(r);
		more = take(r, ',');
		if (!more && (r->at == r->end || *r->at != ']'))
			return false;
		buf_add_u8(r->out, ',');
	}
	buf_add_u8(r->out, ']');
	return true;
}

struct sorted {
	struct slice key;
	size_t number; /* in the order of the text */
	struct slice all;
};

/* Any order will do, as long as it is one. */
static int compare_keys(struct slice a, struct slice b)
{
	return a.size != b.size ? (a.size > b.size) - (a.size < b.size)
				: memcmp(a.data, b.data, a.size); /* with quotes: never empty */
}

static int by_key(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int order = compare_keys(x->key, y->key);

	return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

/* What was written from `begin` on is these members: once more, in order, of each name the last. */
static void order_members(struct buf *out, size_t begin, const struct members *m)
{
	struct sorted *s = xcalloc(m->count + 1, sizeof(*s));
	struct buf ordered = BUF_INIT;

	for (size_t i = 0; i < m->count; i++) {
		const struct member *of = &m->items[i];

		s[i].key = slice_of(out->data + of->at, of->key_size);
		s[i].all = slice_of(out->data + of->at, of->size);
		s[i].number = i;
	}
	qsort(s, m->count, sizeof(*s), by_key);
	for (size_t i = 0; i < m->count; i++) {
		if (i + 1 < m->count && slice_equal(s[i].key, s[i + 1].key))
			continue;
		buf_add_slice(&ordered, s[i].all);
		buf_add_u8(&ordered, ',');
	}
	out->size = begin;
	buf_add_slice(out, buf_slice(&ordered));
	buf_done(&ordered);
	free(s);
}

static bool read_member(struct reader *r, int depth, struct members *m)
{
	struct member one = { .at = r->out->size };

	skip_blanks(r);
	if (!read_string(r))
		return false;
	one.key_size = r->out->size - one.at;
	skip_blanks(r);
	if (!take(r, ':') || !read_value(r, depth))
		return false;
	one.size = r->out->size - one.at;
	if ((m->count & (m->count - 1)) == 0)
		m->items = xrealloc(m->items, (2 * m->count + 1) * sizeof(*m->items));
	m->items[m->count++] = one;
	return true;
}

static bool read_object(struct reader *r, int depth)
{
	struct members m = { 0 };
	bool more = false, fine = true;
	size_t begin;

	buf_add_u8(r->out, '{');
	begin = r->out->size;
	skip_blanks(r);
	while (fine && (more || !take(r, '}'))) {
		fine = read_member(r, depth, &m);
		skip_blanks(r);
		more = fine && take(r, ',');
		fine = fine && (more || (r->at < r->end && *r->at == '}'));
	}
	if (fine)
		order_members(r->out, begin, &m);
	buf_add_u8(r->out, '}');
	free(m.items);
	return fine;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool read_value(struct reader *r, int depth)
{
	if (depth >= NORMAL_JSON_DEPTH_MAX)
		return false;
	skip_blanks(r);
	if (r->at == r->end)
		return false;
	switch (*r->at) {
	case '{':
		r->at++;
		return read_object(r, depth + 1);
	case '[':
		r->at++;
		return read_array(r, depth + 1);
	case '"':
		return read_string(r);
	case 't':
		return read_word(r, "true");
	case 'f':
		return read_word(r, "false");
	case 'n':
		return read_word(r, "null");
	default:
		return read_number(r);
	}
}

bool normal_json(struct slice text, struct buf *out)
{
	struct reader r = { .at = text.data, .end = text.data + text.size, .out = out };
	size_t before = out->size;
	bool fine = text.size > 0 && read_value(&r, 0);

	skip_blanks(&r);
	fine = fine && r.at == r.end;
	if (!fine)
		out->size = before;
	buf_done(&r.number);
	return fine;
}

bool normal_json_equal(struct slice a, struct slice b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	bool equal = slice_equal(a, b);

	if (!equal)
		equal = normal_json(a, &x) && normal_json(b, &y) &&
			slice_equal(buf_slice(&x), buf_slice(&y));
	buf_done(&x);
	buf_done(&y);
	return equal;
}
