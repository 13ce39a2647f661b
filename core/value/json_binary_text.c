/*
 * json_binary_text.c - MySQL's binary JSON as the server prints it.
 *
 * clang-format off
 *   containers   [1, 2] and {"k": 1, "kk": 2}, members in stored order
 *   strings      " and \ with a backslash, \b \t \n \f \r, other control characters \u00xx
 *   double       the fewest digits that read back (real.h), and ".0" where neither point nor
 *                exponent would show that it is one
 *   decimal      as it is: 1.50
 *   DATE ...     "2024-01-31", "-12:13:14.500000", "2024-01-31 12:13:14.000000"
 *   opaque       "base64:type15:...", in lines of 76 characters with \n between
 * clang-format on
 *
 * MySQL 5.7 leaves that ".0" away, and breaks the lines of base64 with the character itself.
 *
 * Refuses what no server stores: text that isn't UTF-8, a double that is no number, a packed date
 * with a sign. Each container has a budget of bytes, its own: header, keys, and every value outside
 * the header are counted, and one in which more is pointed to than there is has parts that overlap.
 */
#include "core/value/json_binary_priv.h"

#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/real.h"
#include "core/value/temporal.h"

#include <inttypes.h>
#include <math.h>

#define BASE64_LINE 57 /* bytes that make 76 characters */

struct printer {
	struct buf *out;
	size_t budget; /* bytes of the container that nothing pointed to yet */
	bool as_5_7;
	const char *wrong; /* what was found */
};

static bool refuse(struct printer *p, const char *what)
{
	p->wrong = what;
	return false;
}

static bool spend(struct printer *p, size_t bytes)
{
	if (bytes > p->budget)
		return refuse(p, "its parts overlap");
	p->budget -= bytes;
	return true;
}

static void put_escaped(uint8_t c, struct buf *out)
{
	static const char letters[] = "btn?fr"; /* 8 to 13 */

	if (c == '"' || c == '\\') {
		buf_add_u8(out, '\\');
		buf_add_u8(out, c);
	} else if (c >= 8 && c <= 13 && c != 11) {
		buf_add_u8(out, '\\');
		buf_add_u8(out, (uint8_t)letters[c - 8]);
	} else {
		buf_add_format(out, "\\u%04x", c);
	}
}

static bool put_string(struct printer *p, struct slice text)
{
	size_t done = 0;

	if (!charset_utf8_valid(text.data, text.size, false))
		return refuse(p, "a string in it is no UTF-8");
	buf_add_u8(p->out, '"');
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(p->out, text.data + done, i - done);
		put_escaped(c, p->out);
		done = i + 1;
	}
	buf_add(p->out, text.data + done, text.size - done);
	buf_add_u8(p->out, '"');
	return true;
}

static bool put_integer(struct printer *p, const struct json_part *part)
{
	size_t size = part->raw.size;
	struct rd in = rd_from(part->raw);
	uint64_t v = rd_le(&in, size);
	unsigned unused = (unsigned)(64 - 8 * size);

	if (part->type == JSON_UINT16 || part->type == JSON_UINT32 || part->type == JSON_UINT64)
		buf_add_format(p->out, "%" PRIu64, v);
	else
		buf_add_format(p->out, "%" PRId64, (int64_t)(v << unused) >> unused);
	return true;
}

static bool put_double(struct printer *p, const struct json_part *part)
{
	char text[REAL_TEXT_MAX];
	size_t size;
	double v;

	memcpy(&v, part->raw.data, sizeof(v));
	if (!isfinite(v))
		return refuse(p, "a double in it is no number");
	size = real_text(v, text);
	buf_add(p->out, text, size);
	if (!p->as_5_7 && memchr(text, '.', size) == NULL && memchr(text, 'e', size) == NULL)
		buf_add_str(p->out, ".0");
	return true;
}

static bool put_decimal(struct printer *p, struct slice content)
{
	char text[DECIMAL_TEXT_MAX];
	struct rd in = rd_from(content);
	uint8_t precision = rd_u8(&in), scale = rd_u8(&in);
	size_t size = 0;

	if (precision >= 1 && precision <= DECIMAL_LOOSE_MAX && scale <= precision &&
	    rd_left(&in) == decimal_packed_size(precision, scale))
		size = decimal_to_text(rd_rest(&in).data, precision, scale, text);
	if (size == 0)
		return refuse(p, "a decimal in it is none");
	buf_add(p->out, text, size);
	return true;
}

/* Packed: year * 13 + month, 5 bits day, 5 hour, 6 minute, 6 second, 24 microseconds; TIME: the
 * hours take the place of the date, and the number has a sign. */
static bool put_temporal(struct printer *p, uint8_t type, struct slice content)
{
	struct rd in = rd_from(content);
	int64_t packed = (int64_t)rd_u64(&in);
	struct temporal t = { .negative = packed < 0 };
	uint64_t v = packed < 0 ? -(uint64_t)packed : (uint64_t)packed;
	char text[TEMPORAL_TEXT_MAX];

	if (!rd_end(&in) || (t.negative && type != COLUMN_TIME))
		return refuse(p, "a date in it is none");
	t.micros = (uint32_t)(v & 0xffffff);
	t.second = (uint32_t)(v >> 24 & 0x3f);
	t.minute = (uint32_t)(v >> 30 & 0x3f);
	t.hour = (uint32_t)(v >> 36 & (type == COLUMN_TIME ? 0x3ff : 0x1f));
	if (type != COLUMN_TIME) {
		t.day = (uint32_t)(v >> 41 & 0x1f);
		t.month = (uint32_t)((v >> 46) % 13);
		t.year = (uint32_t)((v >> 46) / 13);
	}
	if (t.year > 9999 || t.micros > 999999)
		return refuse(p, "a date in it is none");
	buf_add_u8(p->out, '"');
	buf_add(p->out, text, temporal_text(type, &t, 6, text));
	buf_add_u8(p->out, '"');
	return true;
}

/* Up to three bytes as four characters. */
static void put_base64(struct slice bytes, struct buf *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t v = (uint32_t)bytes.data[0] << 16;
	char text[4];

	if (bytes.size > 1)
		v |= (uint32_t)bytes.data[1] << 8;
	if (bytes.size > 2)
		v |= bytes.data[2];
	for (size_t i = 0; i < 4; i++)
		text[i] = i > bytes.size ? '=' : digits[v >> (18 - 6 * i) & 0x3f];
	buf_add(out, text, sizeof(text));
}

static bool put_opaque(struct printer *p, const struct json_part *part)
{
	struct slice content = json_binary_content(part);
	uint8_t type = part->raw.data[0];

	if (type == COLUMN_NEWDECIMAL)
		return put_decimal(p, content);
	if (type == COLUMN_DATE || type == COLUMN_TIME || type == COLUMN_DATETIME ||
	    type == COLUMN_TIMESTAMP)
		return put_temporal(p, type, content);
	buf_add_format(p->out, "\"base64:type%u:", type);
	for (size_t i = 0; i < content.size; i += 3) {
		size_t left = content.size - i;

		if (i > 0 && i % BASE64_LINE == 0)
			buf_add_str(p->out, p->as_5_7 ? "\n" : "\\n");
		put_base64(slice_of(content.data + i, left < 3 ? left : 3), p->out);
	}
	buf_add_u8(p->out, '"');
	return true;
}

static bool put_scalar(struct printer *p, const struct json_part *part)
{
	static const char *const literals[3] = { "null", "true", "false" };

	switch (part->type) {
	case JSON_LITERAL:
		buf_add_str(p->out, literals[part->raw.data[0]]);
		return true;
	case JSON_DOUBLE:
		return put_double(p, part);
	case JSON_STRING:
		return put_string(p, json_binary_content(part));
	case JSON_OPAQUE:
		return put_opaque(p, part);
	default: /* containers are elsewhere, other types are no parts */
		return put_integer(p, part);
	}
}

static bool put_key(struct printer *p, const struct json_part *object, uint32_t i)
{
	struct slice key;

	if (!json_binary_key(object, i, &key))
		return refuse(p, "a key lies outside its object");
	if (!spend(p, key.size) || !put_string(p, key))
		return false;
	buf_add_str(p->out, ": ");
	return true;
}

static bool put_container(struct printer *p, const struct json_part *whole, unsigned depth);

static bool put_members(struct printer *p, const struct json_part *whole, unsigned depth)
{
	bool object = json_binary_is_object(whole->type);

	if (!spend(p, json_binary_header_size(object, json_binary_is_large(whole->type),
					      whole->count)))
		return false;
	for (uint32_t i = 0; i < whole->count; i++) {
		struct json_part part;
		size_t stored;

		if (i > 0)
			buf_add_str(p->out, ", ");
		if (object && !put_key(p, whole, i))
			return false;
		if (!json_binary_member(whole, i, &part, &stored))
			return refuse(p, "a value lies outside its container");
		if (!spend(p, stored) ||
		    !(json_binary_is_container(part.type) ? put_container(p, &part, depth + 1)
							  : put_scalar(p, &part)))
			return false;
	}
	return true;
}

static bool put_container(struct printer *p, const struct json_part *whole, unsigned depth)
{
	bool object = json_binary_is_object(whole->type);
	size_t outer = p->budget;

	if (depth == JSON_BINARY_DEPTH_MAX)
		return refuse(p, "it nests too deep");
	p->budget = whole->raw.size;
	buf_add_u8(p->out, object ? '{' : '[');
	if (!put_members(p, whole, depth))
		return false;
	buf_add_u8(p->out, object ? '}' : ']');
	p->budget = outer;
	return true;
}

static int print(struct slice binary, bool as_5_7, struct buf *out, struct err *e)
{
	struct printer p = { .out = out, .as_5_7 = as_5_7 };
	size_t begin = out->size;
	struct json_part part;
	bool good = json_binary_read(binary, &part) || refuse(&p, "its first bytes are no value");

	if (good)
		good = json_binary_is_container(part.type) ? put_container(&p, &part, 0)
							   : put_scalar(&p, &part);
	if (good)
		return 0;
	out->size = begin;
	return err_data(e, "%zu bytes are no JSON in MySQL's binary form: %s", binary.size,
			p.wrong);
}

int json_binary_text(struct slice binary, struct buf *out, struct err *e)
{
	return print(binary, false, out, e);
}

int json_binary_text_5_7(struct slice binary, struct buf *out, struct err *e)
{
	return print(binary, true, out, e);
}
