/*
 * decode_json.c - any datum as one line of JSON: what `tail` prints, and what a view sees of an
 * array, a map or a union of several types.
 *
 * A recursive walk along the schema, which is at most SCHEMA_DEPTH_MAX deep. Times become ISO text,
 * decimals text, bytes hex; infinite numbers, which JSON hasn't, become text. Counts come from
 * outside: each value costs a step of a budget that grows with the datum, so a count of billions
 * of empty values ends early, as a failure.
 */
#include "core/avro/decode.h"

#include "core/avro/decode_priv.h"
#include "core/base/quote.h"
#include "core/value/real.h"
#include "core/value/shape.h"
#include "core/value/temporal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY_US INT64_C(86400000000)
/* 0001-01-01 and 9999-12-31 as days since 1970: beyond them a date is printed as its number */
#define DAY_FIRST (-719162)
#define DAY_LAST 2932896

int64_t decode_steps(size_t datum_size)
{
	return 100000 + 64 * (int64_t)datum_size;
}

static bool take_step(struct rd *in, int64_t *steps)
{
	if (--*steps < 0)
		rd_fail(in);
	return rd_ok(in);
}

void decode_joined(struct rd *in, int64_t *steps, struct buf *out)
{
	bool first = true;

	for (int64_t n = read_block(in); n > 0; n = read_block(in)) {
		for (int64_t i = 0; i < n && take_step(in, steps); i++) {
			if (!first)
				buf_add_u8(out, ',');
			first = false;
			buf_add_slice(out, read_bytes(in));
		}
	}
}

/* Between DAY_FIRST and DAY_LAST. */
static void put_date(int64_t days, struct buf *out)
{
	char text[TEMPORAL_TEXT_MAX];
	struct temporal t;

	(void)temporal_from_number(COLUMN_DATE, days, &t);
	buf_add(out, text, temporal_text(COLUMN_DATE, &t, 0, text));
}

static void put_time(int64_t us, struct buf *out)
{
	buf_add_format(out, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, us / 3600000000,
		       us / 60000000 % 60, us / 1000000 % 60);
	if (us % 1000000 != 0)
		buf_add_format(out, ".%06" PRId64, us % 1000000);
}

static void put_stamp(int64_t us, const char *zone, struct buf *out)
{
	int64_t days = us / DAY_US, rest = us % DAY_US;

	if (rest < 0) {
		days--;
		rest += DAY_US;
	}
	if (days < DAY_FIRST || days > DAY_LAST) {
		buf_add_format(out, "%" PRId64, us);
		return;
	}
	buf_add_u8(out, '"');
	put_date(days, out);
	buf_add_u8(out, 'T');
	put_time(rest, out);
	buf_add_str(out, zone);
	buf_add_u8(out, '"');
}

static bool logical_is(const struct schema *s, const char *base, const char *unit)
{
	size_t n = strlen(base);

	return strncmp(s->logical, base, n) == 0 && strcmp(s->logical + n, unit) == 0;
}

static void put_integer(const struct schema *s, int64_t v, struct rd *in, struct buf *out)
{
	const char *unit = "-micros";

	if (s->logical != NULL && strstr(s->logical, "-millis") != NULL) {
		unit = "-millis";
		if (__builtin_mul_overflow(v, 1000, &v))
			rd_fail(in);
	}
	if (s->logical != NULL && strcmp(s->logical, "date") == 0 && v >= DAY_FIRST &&
	    v <= DAY_LAST) {
		buf_add_u8(out, '"');
		put_date(v, out);
		buf_add_u8(out, '"');
	} else if (s->logical != NULL && logical_is(s, "timestamp", unit)) {
		put_stamp(v, "Z", out);
	} else if (s->logical != NULL && logical_is(s, "local-timestamp", unit)) {
		put_stamp(v, "", out);
	} else if (s->logical != NULL && logical_is(s, "time", unit) && v >= 0 && v < DAY_US) {
		buf_add_u8(out, '"');
		put_time(v, out);
		buf_add_u8(out, '"');
	} else {
		buf_add_format(out, "%" PRId64, v);
	}
}

static void put_bytes(const struct schema *s, struct slice bytes, struct rd *in, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *to;

	buf_add_u8(out, '"');
	if (s->logical != NULL && strcmp(s->logical, "decimal") == 0) {
		if (!decode_decimal(bytes, s->scale, out))
			rd_fail(in);
	} else {
		to = buf_reserve(out, 2 * bytes.size);
		for (size_t i = 0; i < bytes.size; i++) {
			*to++ = (uint8_t)digits[bytes.data[i] >> 4];
			*to++ = (uint8_t)digits[bytes.data[i] & 0xf];
		}
		out->size += 2 * bytes.size;
	}
	buf_add_u8(out, '"');
}

static void put_record(const struct schema *s, struct rd *in, int64_t *steps, struct buf *out)
{
	buf_add_u8(out, '{');
	for (size_t i = 0; i < s->count && rd_ok(in); i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		quote_json(out, slice_str(s->fields[i].name));
		buf_add_u8(out, ':');
		decode_json_value(s->fields[i].schema, in, steps, out);
	}
	buf_add_u8(out, '}');
}

/* Arrays and maps. */
static void put_items(const struct schema *s, struct rd *in, int64_t *steps, struct buf *out)
{
	bool map = s->type == SCHEMA_MAP, first = true;

	buf_add_u8(out, map ? '{' : '[');
	for (int64_t n = read_block(in); n > 0; n = read_block(in)) {
		for (int64_t i = 0; i < n && take_step(in, steps); i++) {
			if (!first)
				buf_add_u8(out, ',');
			first = false;
			if (map) {
				quote_json(out, read_bytes(in));
				buf_add_u8(out, ':');
			}
			decode_json_value(s->items, in, steps, out);
		}
	}
	buf_add_u8(out, map ? '}' : ']');
}

static void put_chosen(const struct schema *s, struct rd *in, int64_t *steps, struct buf *out)
{
	int64_t i = read_long(in);

	if (i < 0 || (uint64_t)i >= s->count) {
		rd_fail(in);
		return;
	}
	if (s->type == SCHEMA_ENUM)
		quote_json(out, slice_str(s->symbols[i]));
	else
		decode_json_value(s->branches[i], in, steps, out);
}

void decode_json_value(const struct schema *s, struct rd *in, int64_t *steps, struct buf *out)
{
	if (!take_step(in, steps))
		return;
	switch (s->type) {
	case SCHEMA_NULL:
		buf_add_str(out, "null");
		break;
	case SCHEMA_BOOLEAN:
		buf_add_str(out, read_bool(in) ? "true" : "false");
		break;
	case SCHEMA_INT:
		put_integer(s, read_int(in), in, out);
		break;
	case SCHEMA_LONG:
		put_integer(s, read_long(in), in, out);
		break;
	case SCHEMA_FLOAT:
		real_put_json((double)read_float(in), true, out);
		break;
	case SCHEMA_DOUBLE:
		real_put_json(read_double(in), false, out);
		break;
	case SCHEMA_BYTES:
		put_bytes(s, read_bytes(in), in, out);
		break;
	case SCHEMA_FIXED:
		put_bytes(s, rd_bytes(in, s->count), in, out);
		break;
	case SCHEMA_STRING:
		quote_json(out, read_bytes(in));
		break;
	case SCHEMA_RECORD:
		put_record(s, in, steps, out);
		break;
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		put_items(s, in, steps, out);
		break;
	case SCHEMA_ENUM:
	case SCHEMA_UNION:
		put_chosen(s, in, steps, out);
		break;
	}
}

int decode_json(const struct schema *writer, struct slice datum, struct buf *out, struct err *e)
{
	struct rd in = rd_from(datum);
	int64_t steps = decode_steps(datum.size);

	decode_json_value(writer, &in, &steps, out);
	if (!rd_ok(&in))
		return err_data(e, "record: no value of its schema at byte %zu of %zu", in.at,
				in.size);
	if (!rd_end(&in))
		return err_data(e, "record: %zu bytes left over behind its %zu", rd_left(&in),
				in.at);
	return 0;
}
