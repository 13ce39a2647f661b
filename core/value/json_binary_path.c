/*
 * json_binary_path.c - the paths of a partial update, leg by leg.
 *
 * Written by the server, so in one form only: "$", then ".name", ."name" as a JSON string where the
 * name isn't an identifier, "[12]", "[last]" or "[last-3]". Anything else is refused. A name with
 * escapes is unescaped into the caller's buffer, which must have room for it: names point there, so
 * it must not move.
 */
#include "core/value/json_binary_priv.h"

#include <assert.h>

static bool take(struct rd *in, const char *text)
{
	size_t n = strlen(text);

	if (rd_left(in) < n || memcmp(in->data + in->at, text, n) != 0)
		return false;
	in->at += n;
	return true;
}

static bool read_number(struct rd *in, uint32_t *ret_v)
{
	size_t from = in->at;
	uint64_t v = 0;

	while (rd_left(in) > 0 && in->data[in->at] >= '0' && in->data[in->at] <= '9') {
		v = v * 10 + (uint64_t)(in->data[in->at++] - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*ret_v = (uint32_t)v;
	return in->at > from;
}

static bool read_cell(struct rd *in, struct json_leg *leg)
{
	if (take(in, "last")) {
		leg->kind = JSON_LEG_FROM_LAST;
		if (take(in, "-") && !read_number(in, &leg->index))
			return false;
	} else {
		leg->kind = JSON_LEG_CELL;
		if (!read_number(in, &leg->index))
			return false;
	}
	return take(in, "]");
}

/* \u00xx: the server writes so what has no letter. */
static bool unescape_code(struct rd *in, uint8_t *to)
{
	struct slice hex = rd_bytes(in, 4);
	unsigned v = 0;

	for (size_t i = 0; i < hex.size; i++) {
		uint8_t c = hex.data[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (unsigned)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*to = (uint8_t)v;
	return rd_ok(in) && v < 0x80;
}

static bool unescape(struct rd *in, uint8_t *to)
{
	static const char letters[] = "btnfr\"\\/", means[] = "\b\t\n\f\r\"\\/";
	uint8_t c = rd_u8(in);
	const char *at = memchr(letters, c, sizeof(letters) - 1);

	if (c == 'u')
		return unescape_code(in, to);
	if (!rd_ok(in) || at == NULL)
		return false;
	*to = (uint8_t)means[at - letters];
	return true;
}

static bool read_quoted(struct rd *in, struct buf *names, struct slice *ret_name)
{
	size_t from = names->size;

	while (rd_left(in) > 0) {
		uint8_t c = rd_u8(in);

		if (c == '"') {
			*ret_name = slice_of(names->data + from, names->size - from);
			return true;
		}
		if (c == '\\' && !unescape(in, &c))
			return false;
		assert(names->size < names->capacity);
		names->data[names->size++] = c;
	}
	return false;
}

static void read_plain(struct rd *in, struct slice *ret_name)
{
	size_t from = in->at;

	while (rd_left(in) > 0 && in->data[in->at] != '.' && in->data[in->at] != '[')
		in->at++;
	*ret_name = slice_of(in->data + from, in->at - from);
}

bool json_binary_path(struct slice path, struct buf *names, struct json_leg *ret_legs,
		      size_t *ret_count)
{
	struct rd in = rd_from(path);
	size_t n = 0;

	if (!take(&in, "$"))
		return false;
	while (rd_left(&in) > 0) {
		struct json_leg *leg = &ret_legs[n];

		if (n++ == JSON_BINARY_DEPTH_MAX)
			return false;
		*leg = (struct json_leg){ .kind = JSON_LEG_MEMBER };
		if (take(&in, "[")) {
			if (!read_cell(&in, leg))
				return false;
		} else if (take(&in, ".\"")) {
			if (!read_quoted(&in, names, &leg->name))
				return false;
		} else if (take(&in, ".")) {
			read_plain(&in, &leg->name);
		} else {
			return false;
		}
	}
	*ret_count = n;
	return n > 0;
}
