/*
 * doc.c - random JSON documents, printed and packed in the plainest way there is.
 *
 * The packed form is built from the inside out into buffers of their own, and put together: slow,
 * and unlike the code it tests.
 */
#include "test/lib/doc.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

static struct doc *node_new(enum doc_kind kind)
{
	struct doc *n = xcalloc(1, sizeof(*n));

	n->kind = kind;
	return n;
}

void doc_free(struct doc *n)
{
	for (size_t i = 0; i < n->count; i++)
		doc_free(n->members[i]);
	free(n->members);
	buf_done(&n->bytes);
	buf_done(&n->key);
	free(n);
}

struct doc *doc_copy(const struct doc *n)
{
	struct doc *c = node_new(n->kind);

	c->i = n->i;
	buf_add_slice(&c->bytes, buf_slice(&n->bytes));
	buf_add_slice(&c->key, buf_slice(&n->key));
	c->count = n->count;
	c->members = xcalloc(n->count + 1, sizeof(c->members[0]));
	for (size_t i = 0; i < n->count; i++)
		c->members[i] = doc_copy(n->members[i]);
	return c;
}

/* ---- random ---- */

static void random_string(doc_random_fn random, size_t size, struct buf *out)
{
	static const char *const pieces[] = { "a",
					      "bc",
					      " ",
					      "\"",
					      "\\",
					      "\n",
					      "\x01",
					      "\t",
					      "/",
					      "\x7f",
					      "\xc3\xa9",
					      "\xe2\x82\xac",
					      "\xf0\x9f\x98\x80",
					      ".",
					      "[",
					      "$",
					      "\x1f",
					      "\r" };

	while (out->size < size)
		buf_add_str(out, pieces[random(sizeof(pieces) / sizeof(pieces[0]))]);
}

static size_t random_size(doc_random_fn random)
{
	switch (random(12)) {
	case 0:
		return 0;
	case 1:
		return 120 + random(20);
	case 2:
		return random(60) == 0 ? 16300 + random(60000) : 200;
	default:
		return random(12);
	}
}

static int64_t random_integer(doc_random_fn random)
{
	static const int64_t edges[] = { 0,          1,          -1,        INT16_MAX,
					 INT16_MIN,  UINT16_MAX, INT32_MAX, INT32_MIN,
					 UINT32_MAX, INT64_MAX,  INT64_MIN };
	int64_t edge = edges[random(sizeof(edges) / sizeof(edges[0]))];

	return (int64_t)((uint64_t)edge + random(3) - 1);
}

static int compare(const void *a, const void *b)
{
	const struct doc *x = *(struct doc *const *)a, *y = *(struct doc *const *)b;

	if (x->key.size != y->key.size)
		return x->key.size < y->key.size ? -1 : 1;
	return x->key.size == 0 ? 0 : memcmp(x->key.data, y->key.data, x->key.size);
}

static void sort_members(struct doc *n)
{
	size_t kept = 0;

	if (n->count > 0)
		qsort(n->members, n->count, sizeof(n->members[0]), compare);
	for (size_t i = 0; i < n->count; i++) {
		if (kept > 0 && compare(&n->members[i], &n->members[kept - 1]) == 0)
			doc_free(n->members[i]);
		else
			n->members[kept++] = n->members[i];
	}
	n->count = kept;
}

static void random_members(struct doc *n, doc_random_fn random, unsigned depth)
{
	n->count = random(20) == 0 ? random(400) : random(6);
	n->members = xcalloc(n->count + 1, sizeof(n->members[0]));
	for (size_t i = 0; i < n->count; i++) {
		n->members[i] = doc_random(random, depth - 1);
		if (n->kind == DOC_OBJECT)
			random_string(random, random(8), &n->members[i]->key);
	}
	if (n->kind == DOC_OBJECT)
		sort_members(n);
}

struct doc *doc_random(doc_random_fn random, unsigned depth)
{
	struct doc *n = node_new((enum doc_kind)random(depth > 0 ? DOC_OBJECT + 1 : DOC_ARRAY));

	if (n->kind == DOC_STRING || n->kind == DOC_OPAQUE)
		random_string(random, random_size(random), &n->bytes);
	else if (n->kind == DOC_DOUBLE || n->kind == DOC_DECIMAL)
		n->i = (int64_t)random(2000000) - 1000000;
	else if (n->kind == DOC_INT || n->kind == DOC_UINT)
		n->i = random_integer(random);
	else if (n->kind == DOC_ARRAY || n->kind == DOC_OBJECT)
		random_members(n, random, depth);
	return n;
}

/* ---- text ---- */

static void quoted(struct slice text, struct buf *out)
{
	buf_add_u8(out, '"');
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c == '\n')
			buf_add_str(out, "\\n");
		else if (c == '\r')
			buf_add_str(out, "\\r");
		else if (c == '\t')
			buf_add_str(out, "\\t");
		else if (c == '"')
			buf_add_str(out, "\\\"");
		else if (c == '\\')
			buf_add_str(out, "\\\\");
		else if (c < ' ')
			buf_add_format(out, "\\u00%02x", c);
		else
			buf_add_u8(out, c);
	}
	buf_add_u8(out, '"');
}

static void base64(struct slice s, struct buf *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t line = 0;

	for (size_t bit = 0; bit < s.size * 8; bit += 6) {
		unsigned v = 0;

		for (size_t i = bit; i < bit + 6; i++)
			v = v << 1 | (i / 8 < s.size && (s.data[i / 8] >> (7 - i % 8) & 1) != 0);
		if (line++ == 76) {
			buf_add_str(out, "\\n");
			line = 1;
		}
		buf_add_u8(out, (uint8_t)digits[v]);
	}
	for (size_t n = s.size; n % 3 != 0; n++)
		buf_add_u8(out, '=');
}

static void fixed(int64_t v, int64_t unit, unsigned digits, struct buf *out)
{
	uint64_t size = v < 0 ? -(uint64_t)v : (uint64_t)v;

	buf_add_format(out, "%s%" PRIu64 ".%0*" PRIu64, v < 0 ? "-" : "", size / (uint64_t)unit,
		       (int)digits, size % (uint64_t)unit);
}

static void double_text(int64_t quarters, struct buf *out)
{
	static const char *const parts[4] = { ".0", ".25", ".5", ".75" };
	int64_t size = quarters < 0 ? -quarters : quarters;

	buf_add_format(out, "%s%" PRId64 "%s", quarters < 0 ? "-" : "", size / 4, parts[size % 4]);
}

static void members_text(const struct doc *n, struct buf *out)
{
	buf_add_u8(out, n->kind == DOC_OBJECT ? '{' : '[');
	for (size_t i = 0; i < n->count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		if (n->kind == DOC_OBJECT) {
			quoted(buf_slice(&n->members[i]->key), out);
			buf_add_str(out, ": ");
		}
		doc_text(n->members[i], out);
	}
	buf_add_u8(out, n->kind == DOC_OBJECT ? '}' : ']');
}

void doc_text(const struct doc *n, struct buf *out)
{
	switch (n->kind) {
	case DOC_NULL:
		buf_add_str(out, "null");
		return;
	case DOC_TRUE:
		buf_add_str(out, "true");
		return;
	case DOC_FALSE:
		buf_add_str(out, "false");
		return;
	case DOC_INT:
		buf_add_format(out, "%" PRId64, n->i);
		return;
	case DOC_UINT:
		buf_add_format(out, "%" PRIu64, (uint64_t)n->i);
		return;
	case DOC_DOUBLE:
		double_text(n->i, out);
		return;
	case DOC_STRING:
		quoted(buf_slice(&n->bytes), out);
		return;
	case DOC_OPAQUE:
		buf_add_str(out, "\"base64:type15:");
		base64(buf_slice(&n->bytes), out);
		buf_add_u8(out, '"');
		return;
	case DOC_DECIMAL:
		fixed(n->i, 100, 2, out);
		return;
	case DOC_DATETIME:
		buf_add_str(out, "\"2024-02-29 12:34:56.000789\"");
		return;
	case DOC_ARRAY:
	case DOC_OBJECT:
		members_text(n, out);
		return;
	}
}

/* ---- binary ---- */

static void le(struct buf *out, uint64_t v, size_t bytes)
{
	for (; bytes > 0; bytes--, v >>= 8)
		buf_add_u8(out, (uint8_t)v);
}

static void variable(struct buf *out, size_t size)
{
	for (; size > 127; size >>= 7)
		buf_add_u8(out, (uint8_t)(0x80 | (size & 0x7f)));
	buf_add_u8(out, (uint8_t)size);
}

/* decimal(9,2): seven digits in four bytes, two in one */
static void decimal(struct buf *out, int64_t hundredths)
{
	uint64_t size = hundredths < 0 ? -(uint64_t)hundredths : (uint64_t)hundredths;
	uint8_t flip = hundredths < 0 ? 0xff : 0, bytes[5];

	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)((size / 100) >> (24 - 8 * i)) ^ flip;
	bytes[4] = (uint8_t)(size % 100) ^ flip;
	bytes[0] ^= 0x80;
	buf_add(out, "\x0f\xf6\x07\x09\x02", 5);
	buf_add(out, bytes, 5);
}

static void datetime(struct buf *out)
{
	uint64_t ymd = (2024 * 13 + 2) << 5 | 29, hms = 12 << 12 | 34 << 6 | 56;

	buf_add(out, "\x0f\x0c\x08", 3);
	le(out, (ymd << 17 | hms) << 24 | 789, 8);
}

static void integer(const struct doc *n, struct buf *out)
{
	bool is_signed = n->kind == DOC_INT;
	uint64_t v = (uint64_t)n->i;

	if (is_signed ? n->i >= INT16_MIN && n->i <= INT16_MAX : v <= UINT16_MAX) {
		buf_add_u8(out, is_signed ? 5 : 6);
		le(out, v, 2);
	} else if (is_signed ? n->i >= INT32_MIN && n->i <= INT32_MAX : v <= UINT32_MAX) {
		buf_add_u8(out, is_signed ? 7 : 8);
		le(out, v, 4);
	} else {
		buf_add_u8(out, is_signed ? 9 : 10);
		le(out, v, 8);
	}
}

static bool inlined(uint8_t type, bool large)
{
	return type == 4 || type == 5 || type == 6 || (large && (type == 7 || type == 8));
}

/* `parts`: each member packed. Offsets are counted from what follows the type. */
static void container(const struct doc *n, const struct buf *parts, const size_t *gaps, bool large,
		      struct buf *out)
{
	bool object = n->kind == DOC_OBJECT;
	size_t width = large ? 4 : 2, at = 2 * width + n->count * (1 + width), size;

	if (object)
		at += n->count * (2 + width);
	buf_add_u8(out, (uint8_t)((object ? 0 : 2) + large));
	size = at;
	for (size_t i = 0; i < n->count; i++) {
		size += object ? n->members[i]->key.size : 0;
		size += inlined(parts[i].data[0], large) ? 0 : parts[i].size - 1 + gaps[i];
	}
	le(out, n->count, width);
	le(out, size, width);
	for (size_t i = 0; object && i < n->count; i++) {
		le(out, at, width);
		le(out, n->members[i]->key.size, 2);
		at += n->members[i]->key.size;
	}
	for (size_t i = 0; i < n->count; i++) {
		buf_add_u8(out, parts[i].data[0]);
		if (inlined(parts[i].data[0], large)) {
			buf_add(out, parts[i].data + 1, parts[i].size - 1);
			le(out, 0, width - (parts[i].size - 1));
			continue;
		}
		le(out, at, width);
		at += parts[i].size - 1 + gaps[i];
	}
	for (size_t i = 0; object && i < n->count; i++)
		buf_add_slice(out, buf_slice(&n->members[i]->key));
	for (size_t i = 0; i < n->count; i++) {
		if (inlined(parts[i].data[0], large))
			continue;
		buf_add(out, parts[i].data + 1, parts[i].size - 1);
		for (size_t gap = 0; gap < gaps[i]; gap++)
			buf_add_u8(out, 0xee);
	}
}

static void container_binary(const struct doc *n, doc_random_fn random, struct buf *out)
{
	struct buf *parts = xcalloc(n->count + 1, sizeof(parts[0]));
	size_t *gaps = xcalloc(n->count + 1, sizeof(gaps[0])), from = out->size, total = 20;

	for (size_t i = 0; i < n->count; i++) {
		doc_binary(n->members[i], random, &parts[i]);
		gaps[i] = random != NULL && random(10) == 0 ? random(5) : 0;
		total += parts[i].size + gaps[i] + n->members[i]->key.size + 11;
	}
	container(n, parts, gaps, total > 65000 || (random != NULL && random(10) == 0), out);
	(void)from;
	for (size_t i = 0; i < n->count; i++)
		buf_done(&parts[i]);
	free(parts);
	free(gaps);
}

void doc_binary(const struct doc *n, doc_random_fn random, struct buf *out)
{
	double d = (double)n->i / 4;

	switch (n->kind) {
	case DOC_NULL:
		buf_add(out, "\x04\x00", 2);
		return;
	case DOC_TRUE:
		buf_add(out, "\x04\x01", 2);
		return;
	case DOC_FALSE:
		buf_add(out, "\x04\x02", 2);
		return;
	case DOC_INT:
	case DOC_UINT:
		integer(n, out);
		return;
	case DOC_DOUBLE:
		buf_add_u8(out, 11);
		buf_add(out, &d, 8);
		return;
	case DOC_STRING:
	case DOC_OPAQUE:
		buf_add(out, n->kind == DOC_STRING ? "\x0c" : "\x0f\x0f",
			n->kind == DOC_STRING ? 1 : 2);
		variable(out, n->bytes.size);
		buf_add_slice(out, buf_slice(&n->bytes));
		return;
	case DOC_DECIMAL:
		decimal(out, n->i);
		return;
	case DOC_DATETIME:
		datetime(out);
		return;
	case DOC_ARRAY:
	case DOC_OBJECT:
		container_binary(n, random, out);
		return;
	}
}

/* ---- changes ---- */

static bool is_identifier(struct slice key)
{
	for (size_t i = 0; i < key.size; i++)
		if (!((key.data[i] | 0x20) >= 'a' && (key.data[i] | 0x20) <= 'z'))
			return false;
	return key.size > 0;
}

static void path_key(struct slice key, struct buf *path)
{
	buf_add_u8(path, '.');
	if (is_identifier(key))
		buf_add_slice(path, key);
	else
		quoted(key, path);
}

static void path_cell(size_t at, size_t count, doc_random_fn random, struct buf *path)
{
	if (at >= count || random(4) > 0)
		buf_add_format(path, "[%zu]", at);
	else if (at + 1 == count)
		buf_add_str(path, "[last]");
	else
		buf_add_format(path, "[last-%zu]", count - 1 - at);
}

static void path_member(const struct doc *n, size_t at, doc_random_fn random, struct buf *path)
{
	if (n->kind == DOC_OBJECT)
		path_key(buf_slice(&n->members[at]->key), path);
	else
		path_cell(at, n->count, random, path);
}

static void lenenc(struct buf *out, size_t n)
{
	if (n < 251) {
		buf_add_u8(out, (uint8_t)n);
	} else if (n < 65536) {
		buf_add_u8(out, 0xfc);
		le(out, n, 2);
	} else {
		buf_add_u8(out, 0xfd);
		le(out, n, 3);
	}
}

static void add_diff(uint8_t operation, const struct buf *path, const struct doc *value,
		     doc_random_fn random, struct buf *diffs)
{
	struct buf binary = BUF_INIT;

	buf_add_u8(diffs, operation);
	lenenc(diffs, path->size);
	buf_add_slice(diffs, buf_slice(path));
	if (value != NULL) {
		doc_binary(value, random, &binary);
		lenenc(diffs, binary.size);
		buf_add_slice(diffs, buf_slice(&binary));
	}
	buf_done(&binary);
}

static void insert_member(struct doc *n, struct doc *fresh, doc_random_fn random, struct buf *path)
{
	size_t at = n->count;

	n->members = realloc(n->members, (n->count + 1) * sizeof(n->members[0]));
	if (n->kind == DOC_OBJECT) {
		buf_add_format(&fresh->key, "new%zu", (size_t)random(1u << 30));
		path_key(buf_slice(&fresh->key), path);
		n->members[n->count++] = fresh;
		sort_members(n);
		return;
	}
	if (n->count > 0 && random(3) > 0)
		at = random(n->count);
	path_cell(at == n->count && random(2) > 0 ? at + random(9) : at, n->count, random, path);
	memmove(n->members + at + 1, n->members + at, (n->count - at) * sizeof(n->members[0]));
	n->members[at] = fresh;
	n->count++;
}

bool doc_change(struct doc *root, doc_random_fn random, struct buf *diffs)
{
	struct buf path = BUF_INIT;
	struct doc *n = root, *fresh = NULL;
	uint8_t operation;
	size_t at;

	if (root->kind < DOC_ARRAY)
		return false;
	buf_add_u8(&path, '$');
	while (n->count > 0 && random(3) > 0) {
		at = random(n->count);
		if (n->members[at]->kind < DOC_ARRAY)
			break;
		path_member(n, at, random, &path);
		n = n->members[at];
	}
	operation = n->count == 0 ? 1 : (uint8_t)random(3);
	if (operation != 2)
		fresh = doc_random(random, (unsigned)random(3));
	if (operation == 1) {
		insert_member(n, fresh, random, &path);
	} else {
		at = random(n->count);
		path_member(n, at, random, &path);
		if (operation == 0)
			buf_add_slice(&fresh->key, buf_slice(&n->members[at]->key));
		doc_free(n->members[at]);
		if (operation == 0)
			n->members[at] = fresh;
		else
			memmove(n->members + at, n->members + at + 1,
				(--n->count - at) * sizeof(n->members[0]));
	}
	add_diff(operation, &path, fresh, random, diffs);
	buf_done(&path);
	return true;
}
