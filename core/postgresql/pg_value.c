/* pg_value.c - values in PostgreSQL's binary forms, both ways.
 *
 * The forms are those of the types' send and receive functions (PostgreSQL source,
 * backend/utils/adt): integers and floats big-endian, dates as days and times as microseconds since
 * 2000, text as it is. A value goes in binary where it has the type's own kind and fits; else as
 * text, which the server reads by the type's own rules and refuses where it must.
 *
 *   bool       1 byte        int2, int4, int8, float4, float8   big-endian
 *   date       int4, days since 2000-01-01                      time        int8, microseconds
 *   timestamp, timestamptz   int8, microseconds since 2000-01-01
 *   interval   int8 microseconds, int4 days, int4 months
 *   text, varchar, bpchar, name, json, bytea   the bytes        uuid        16 bytes */
#include "core/postgresql/pg.h"

#include "core/base/hex.h"
#include "core/value/real.h"

#include <endian.h>
#include <stdio.h>

#define DAYS_TO_2000 10957
#define DAY_US INT64_C(86400000000)
#define US_TO_2000 (DAYS_TO_2000 * DAY_US)
#define TIMESTAMP_MIN (INT64_C(-211813488000000000)) /* 4713 BC, since 2000 */
#define TIMESTAMP_END INT64_C(9223371331200000000)
#define DATE_MIN (-2451545)
#define DATE_END 2145031949

/* ---- in -------------------------------------------------------------------------------------- */

static bool put_int(int64_t v, size_t size, struct buf *out)
{
	uint64_t big = htobe64((uint64_t)v);

	buf_add(out, (const uint8_t *)&big + (8 - size), size);
	return true;
}

static bool put_real(double d, bool is_float, struct buf *out)
{
	float f = (float)d;
	uint64_t bits = 0;
	uint32_t half;

	if (!is_float) {
		memcpy(&bits, &d, sizeof(bits));
		return put_int((int64_t)bits, 8, out);
	}
	memcpy(&half, &f, sizeof(half));
	return put_int((int64_t)half, 4, out);
}

static bool put_as_text(const struct value *v, struct buf *out)
{
	char text[REAL_TEXT_MAX];

	if (v->kind == VALUE_INT)
		buf_add_format(out, "%lld", (long long)v->i);
	else if (v->kind == VALUE_DOUBLE && v->d - v->d == 0) { /* finite */
		real_short_text(v->d, false, text);
		buf_add_str(out, text);
	} else if (v->kind == VALUE_DOUBLE)
		buf_add_str(out, v->d != v->d ? "NaN" : v->d > 0 ? "Infinity" : "-Infinity");
	else
		buf_add_slice(out, v->bytes);
	return true;
}

static bool put_whole(uint32_t type, int64_t i, struct buf *out)
{
	switch (type) {
	case PG_BOOL:
		return put_int(i != 0, 1, out);
	case PG_INT2:
		return i >= INT16_MIN && i <= INT16_MAX && put_int(i, 2, out);
	case PG_INT4:
		return i >= INT32_MIN && i <= INT32_MAX && put_int(i, 4, out);
	case PG_INT8:
		return put_int(i, 8, out);
	case PG_FLOAT4:
	case PG_FLOAT8:
		return put_real((double)i, type == PG_FLOAT4, out);
	case PG_DATE:
		i -= DAYS_TO_2000;
		return i >= DATE_MIN && i < DATE_END && put_int(i, 4, out);
	case PG_TIME:
		return i >= 0 && i <= DAY_US && put_int(i, 8, out);
	case PG_TIMESTAMP:
	case PG_TIMESTAMPTZ:
		if (i < TIMESTAMP_MIN + US_TO_2000 || i - US_TO_2000 >= TIMESTAMP_END)
			return false;
		return put_int(i - US_TO_2000, 8, out);
	case PG_INTERVAL:
		return put_int(i, 8, out) && put_int(0, 8, out);
	default:
		return false;
	}
}

/* Lower case and with its dashes, as it is printed; another way to write it goes as text. */
static bool put_uuid(struct slice text, struct buf *out)
{
	uint8_t bytes[16];
	size_t n = 0;
	int high, low;

	if (text.size != 36)
		return false;
	for (size_t i = 0; i < 36;) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text.data[i++] != '-')
				return false;
			continue;
		}
		high = hex_value_lower(text.data[i]);
		low = hex_value_lower(text.data[i + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[n++] = (uint8_t)(high << 4 | low);
		i += 2;
	}
	buf_add(out, bytes, sizeof(bytes));
	return true;
}

static bool is_text(uint32_t type)
{
	return type == PG_TEXT || type == PG_VARCHAR || type == PG_BPCHAR || type == PG_JSON ||
	       type == PG_NAME;
}

bool pg_encode(uint32_t type, const struct value *v, struct buf *out)
{
	if (is_text(type) || type == PG_BYTEA)
		return put_as_text(v, out);
	if (v->kind == VALUE_INT)
		return put_whole(type, v->i, out);
	if (v->kind == VALUE_DOUBLE)
		return (type == PG_FLOAT8 || type == PG_FLOAT4) &&
		       put_real(v->d, type == PG_FLOAT4, out);
	if (type == PG_UUID && v->kind == VALUE_TEXT)
		return put_uuid(v->bytes, out);
	if (type == PG_UUID && v->kind == VALUE_BYTES && v->bytes.size == 16) {
		buf_add_slice(out, v->bytes);
		return true;
	}
	return false;
}

/* ---- out ------------------------------------------------------------------------------------- */

bool pg_is_binary(uint32_t type)
{
	switch (type) {
	case PG_BOOL:
	case PG_INT2:
	case PG_INT4:
	case PG_INT8:
	case PG_FLOAT4:
	case PG_FLOAT8:
	case PG_DATE:
	case PG_TIME:
	case PG_TIMESTAMP:
	case PG_TIMESTAMPTZ:
	case PG_INTERVAL:
	case PG_BYTEA:
		return true;
	default:
		return is_text(type);
	}
}

static int64_t get_int(const uint8_t *data, size_t size)
{
	uint64_t v = 0;

	for (size_t i = 0; i < size; i++)
		v = v << 8 | data[i];
	return size == 8   ? (int64_t)v
	       : size == 4 ? (int32_t)v
	       : size == 2 ? (int16_t)v
			   : (int64_t)v;
}

static void get_real(const uint8_t *data, bool is_float, struct value *ret)
{
	uint64_t bits = (uint64_t)get_int(data, is_float ? 4 : 8);
	uint32_t half = (uint32_t)bits;
	float f;

	ret->kind = VALUE_DOUBLE;
	if (is_float) {
		memcpy(&f, &half, sizeof(f));
		ret->d = f;
	} else {
		memcpy(&ret->d, &bits, sizeof(ret->d));
	}
}

static void get_word(const char *text, struct value *ret)
{
	*ret = (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(text) };
}

static void get_day(int64_t days, struct value *ret)
{
	if (days == INT32_MAX)
		get_word("infinity", ret);
	else if (days == INT32_MIN)
		get_word("-infinity", ret);
	else
		ret->i = days + DAYS_TO_2000;
}

static void get_moment(int64_t us, struct value *ret)
{
	if (us == INT64_MAX)
		get_word("infinity", ret);
	else if (us == INT64_MIN)
		get_word("-infinity", ret);
	else
		ret->i = us + US_TO_2000;
}

/* The size that the type has; 0: any. */
static size_t size_of(uint32_t type)
{
	switch (type) {
	case PG_BOOL:
		return 1;
	case PG_INT2:
		return 2;
	case PG_INT4:
	case PG_FLOAT4:
	case PG_DATE:
		return 4;
	case PG_INT8:
	case PG_FLOAT8:
	case PG_TIME:
	case PG_TIMESTAMP:
	case PG_TIMESTAMPTZ:
		return 8;
	case PG_INTERVAL:
		return 16;
	default:
		return 0;
	}
}

void pg_decode(uint32_t type, struct slice bytes, struct value *ret)
{
	size_t size = size_of(type);

	*ret = (struct value){ .kind = VALUE_NULL };
	if (bytes.data == NULL)
		return;
	*ret = (struct value){ .kind = type == PG_BYTEA ? VALUE_BYTES : VALUE_TEXT,
			       .bytes = bytes };
	while (type == PG_BPCHAR && ret->bytes.size > 0 && bytes.data[ret->bytes.size - 1] == ' ')
		ret->bytes.size--;
	if (size == 0 || bytes.size != size)
		return;
	*ret = (struct value){ .kind = VALUE_INT };
	if (type == PG_FLOAT4 || type == PG_FLOAT8)
		get_real(bytes.data, type == PG_FLOAT4, ret);
	else if (type == PG_DATE)
		get_day(get_int(bytes.data, 4), ret);
	else if (type == PG_TIMESTAMP || type == PG_TIMESTAMPTZ)
		get_moment(get_int(bytes.data, 8), ret);
	else if (type == PG_INTERVAL) /* a month as the server compares it: 30 days */
		ret->i = get_int(bytes.data, 8) +
			 (get_int(bytes.data + 8, 4) + get_int(bytes.data + 12, 4) * 30) * DAY_US;
	else
		ret->i = get_int(bytes.data, size);
}

/* ---- text ------------------------------------------------------------------------------------ */

void pg_quote_name(const char *name, struct buf *out)
{
	buf_add_u8(out, '"');
	for (; *name != '\0'; name++) {
		if (*name == '"')
			buf_add_u8(out, '"');
		buf_add_u8(out, (uint8_t)*name);
	}
	buf_add_u8(out, '"');
}

/* standard_conforming_strings is on: only the quote is special. */
void pg_quote_text(struct slice text, struct buf *out)
{
	buf_add_u8(out, '\'');
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '\'')
			buf_add_u8(out, '\'');
		buf_add_u8(out, text.data[i]);
	}
	buf_add_u8(out, '\'');
}

void pg_quote_value(const struct value *v, struct buf *out)
{
	switch ((enum value_kind)v->kind) {
	case VALUE_ABSENT:
	case VALUE_NULL:
		buf_add_str(out, "NULL");
		return;
	case VALUE_INT:
		buf_add_format(out, "%lld", (long long)v->i);
		return;
	case VALUE_DOUBLE:
		buf_add_format(out, "'%.17g'::float8", v->d);
		return;
	case VALUE_TEXT:
		pg_quote_text(v->bytes, out);
		return;
	case VALUE_BYTES:
		buf_add_str(out, "'\\x");
		for (size_t i = 0; i < v->bytes.size; i++)
			buf_add_format(out, "%02x", v->bytes.data[i]);
		buf_add_str(out, "'::bytea");
		return;
	}
}
