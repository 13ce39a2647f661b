/*
 * Cells into Avro bytes. Random values go text -> image -> cells -> Avro -> avro-c's reader -> text
 * again, and that text is compared with one made by libc (snprintf, timegm) or written by hand.
 * What Avro can't hold must be said to be inexact.
 */
#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "core/value/encode.h"
#include "test/unit/unit.h"

#include <avro.h>
#include <math.h>

#define TEXT_SIZE 512

/* One column, one value: through the whole way. */
struct way {
	struct shape *shape;
	struct buf image, avro;
	struct cell cell;
};

static void way_begin(struct way *w, struct column column)
{
	*w = (struct way){ .shape = shape_new("db", "t", 1) };
	w->shape->columns[0] = column;
	w->shape->columns[0].name = xstrdup("c");
	w->shape->columns[0].labels = NULL;
	w->shape->columns[0].label_count = 0;
}

static void way_labels(struct way *w, uint16_t count)
{
	struct column *c = &w->shape->columns[0];

	c->labels = xcalloc(count, sizeof(*c->labels));
	c->label_count = count;
	for (uint16_t i = 0; i < count; i++)
		c->labels[i] = xasprintf("label%u", i + 1);
}

static void way_end(struct way *w)
{
	buf_done(&w->image);
	buf_done(&w->avro);
	shape_unref(w->shape);
}

static enum encode_result way_run(struct way *w, struct slice text)
{
	static const uint8_t present[1] = { 1 };
	struct err e = ERR_INIT;
	struct rd in;

	buf_reset(&w->image);
	buf_reset(&w->avro);
	buf_add_str(&w->avro, "x"); /* encoding appends */
	ck_assert_msg(row_image_from_text(w->shape, &text, &w->image, &e) == 0, "'%.*s': %s",
		      (int)text.size, text.data, e.msg);
	in = rd_from(buf_slice(&w->image));
	ck_assert_msg(row_split(&in, w->shape, present, &w->cell, &e) == 0, "%s", e.msg);
	ck_assert(rd_end(&in));
	return encode_for(&w->shape->columns[0])(&w->shape->columns[0], &w->cell, &w->avro);
}

static void way_exact_text(struct way *w, char *ret_text)
{
	struct buf exact = BUF_INIT;

	encode_exact_text(&w->shape->columns[0], &w->cell, &exact);
	snprintf(ret_text, TEXT_SIZE, "%s", buf_cstr(&exact));
	buf_done(&exact);
}

/* Big-endian two's complement as decimal digits with a point, by long division. */
static void bytes_to_decimal(const uint8_t *bytes, size_t size, unsigned scale, char *out)
{
	uint8_t number[64];
	char digits[200];
	size_t n = 0, at = 0;
	bool negative = size > 0 && bytes[0] >= 0x80, left = true;
	unsigned carry = negative;

	ck_assert_uint_le(size, sizeof(number));
	for (size_t i = size; i > 0; i--) {
		unsigned v = (negative ? (uint8_t)~bytes[i - 1] : bytes[i - 1]) + carry;

		number[i - 1] = (uint8_t)v;
		carry = v >> 8;
	}
	while (left || n <= scale) {
		unsigned rest = 0;

		left = false;
		for (size_t i = 0; i < size; i++) {
			unsigned v = rest << 8 | number[i];

			number[i] = (uint8_t)(v / 10);
			rest = v % 10;
			left = left || number[i] != 0;
		}
		digits[n++] = (char)('0' + rest);
	}
	if (negative)
		out[at++] = '-';
	while (n > 0) {
		out[at++] = digits[--n];
		if (n == scale && n > 0)
			out[at++] = '.';
	}
	out[at] = '\0';
}

static void scalar_text(avro_value_t *v, unsigned scale, char *out)
{
	size_t size;
	const void *data;
	const char *text;
	int32_t i;
	int64_t l;
	double d;
	float f;
	int b;

	switch ((int)avro_value_get_type(v)) { /* int: not every type is expected */
	case AVRO_INT32:
		ck_assert_int_eq(avro_value_get_int(v, &i), 0);
		snprintf(out, TEXT_SIZE, "%" PRId32, i);
		break;
	case AVRO_INT64:
		ck_assert_int_eq(avro_value_get_long(v, &l), 0);
		snprintf(out, TEXT_SIZE, "%" PRId64, l);
		break;
	case AVRO_FLOAT:
		ck_assert_int_eq(avro_value_get_float(v, &f), 0);
		snprintf(out, TEXT_SIZE, "%a", (double)f);
		break;
	case AVRO_DOUBLE:
		ck_assert_int_eq(avro_value_get_double(v, &d), 0);
		snprintf(out, TEXT_SIZE, "%a", d);
		break;
	case AVRO_BOOLEAN:
		ck_assert_int_eq(avro_value_get_boolean(v, &b), 0);
		snprintf(out, TEXT_SIZE, "%s", b ? "true" : "false");
		break;
	case AVRO_STRING:
		ck_assert_int_eq(avro_value_get_string(v, &text, &size), 0);
		snprintf(out, TEXT_SIZE, "%s", text);
		break;
	case AVRO_BYTES:
		ck_assert_int_eq(avro_value_get_bytes(v, &data, &size), 0);
		if (scale != UINT32_MAX) {
			const uint8_t *p = data;

			ck_assert_msg(size == 1 || !((p[0] == 0 && p[1] < 0x80) ||
						     (p[0] == 0xff && p[1] >= 0x80)),
				      "not minimal");
			bytes_to_decimal(data, size, scale, out);
			break;
		}
		for (size_t at = 0; at < size; at++)
			snprintf(out + 2 * at, TEXT_SIZE - 2 * at, "%02x",
				 ((const uint8_t *)data)[at]);
		if (size == 0)
			out[0] = '\0';
		break;
	default:
		ck_abort_msg("avro type not expected here");
	}
}

static void array_text(avro_value_t *v, char *out)
{
	size_t count;

	out[0] = '\0';
	ck_assert_int_eq(avro_value_get_size(v, &count), 0);
	for (size_t i = 0; i < count; i++) {
		char item[TEXT_SIZE];
		avro_value_t element;

		ck_assert_int_eq(avro_value_get_by_index(v, i, &element, NULL), 0);
		scalar_text(&element, 0, item);
		ck_assert_uint_lt(strlen(out) + strlen(item) + 2, TEXT_SIZE);
		snprintf(out + strlen(out), TEXT_SIZE - strlen(out), "%s%s", i > 0 ? "," : "",
			 item);
	}
}

/* What avro-c reads from the bytes, as text. The bytes must be used up. */
static void read_back(const struct buf *avro, const char *type, unsigned scale, char *out)
{
	avro_schema_t schema;
	avro_value_iface_t *iface;
	avro_value_t v;
	avro_reader_t reader =
		avro_reader_memory((const char *)avro->data + 1, (int64_t)avro->size - 1);
	char byte;

	ck_assert_int_eq(avro_schema_from_json_length(type, strlen(type), &schema), 0);
	iface = avro_generic_class_from_schema(schema);
	avro_generic_value_new(iface, &v);
	ck_assert_msg(avro_value_read(reader, &v) == 0, "%s", avro_strerror());
	ck_assert_int_ne(avro_read(reader, &byte, 1), 0);
	if (avro_value_get_type(&v) == AVRO_ARRAY)
		array_text(&v, out);
	else
		scalar_text(&v, scale, out);
	avro_value_decref(&v);
	avro_value_iface_decref(iface);
	avro_schema_decref(schema);
	avro_reader_free(reader);
}

#define NO_SCALE UINT32_MAX

static void way_expect(struct way *w, struct slice text, const char *type, unsigned scale,
		       const char *expected)
{
	char got[TEXT_SIZE];
	struct buf registered = BUF_INIT;

	ck_assert_msg(way_run(w, text) == ENCODE_OK, "'%.*s' is inexact", (int)text.size,
		      text.data);
	read_back(&w->avro, type, scale, got);
	ck_assert_msg(strcmp(got, expected) == 0, "'%.*s': got %s, expected %s", (int)text.size,
		      text.data, got, expected);
	row_schema_column(&w->shape->columns[0], &registered); /* what readers are told */
	read_back(&w->avro, buf_cstr(&registered), scale, got);
	ck_assert_msg(strcmp(got, expected) == 0, "%s reads %s, expected %s", registered.data, got,
		      expected);
	buf_done(&registered);
}

static void way_inexact(struct way *w, struct slice text, const char *exact)
{
	char got[TEXT_SIZE];

	ck_assert_msg(way_run(w, text) == ENCODE_INEXACT, "'%.*s' is exact", (int)text.size,
		      text.data);
	ck_assert_uint_eq(w->avro.size, 1);
	way_exact_text(w, got);
	ck_assert_str_eq(got, exact);
}

START_TEST(test_integers)
{
	static const struct {
		uint8_t type, bits;
		const char *avro_signed, *avro_unsigned;
	} all[] = { { COLUMN_TINY, 8, "\"int\"", "\"int\"" },
		    { COLUMN_SHORT, 16, "\"int\"", "\"int\"" },
		    { COLUMN_INT24, 24, "\"int\"", "\"int\"" },
		    { COLUMN_LONG, 32, "\"int\"", "\"long\"" },
		    { COLUMN_LONGLONG, 64, "\"long\"", "\"bytes\"" } };
	char text[TEXT_SIZE];

	unit_seed();
	for (size_t t = 0; t < sizeof(all) / sizeof(all[0]); t++) {
		for (int i = 0; i < 400; i++) {
			bool is_unsigned = i % 2 == 0;
			uint64_t v = i < 4   ? 0
				     : i < 8 ? UINT64_MAX
					     : unit_random64() >> unit_random_below(64);
			struct way w;

			way_begin(&w, (struct column){ .type = all[t].type,
						       .is_unsigned = is_unsigned });
			if (i >= 8 && i < 12)
				v = UINT64_C(1) << (all[t].bits - 1);
			v <<= 64 - all[t].bits;
			if (is_unsigned)
				snprintf(text, sizeof(text), "%" PRIu64, v >> (64 - all[t].bits));
			else
				snprintf(text, sizeof(text), "%" PRId64,
					 (int64_t)v >> (64 - all[t].bits));
			way_expect(&w, slice_str(text),
				   is_unsigned ? all[t].avro_unsigned : all[t].avro_signed, 0,
				   text);
			way_end(&w);
		}
	}
}
END_TEST

START_TEST(test_floats)
{
	char text[TEXT_SIZE], expected[TEXT_SIZE];

	unit_seed();
	for (int i = 0; i < 2000; i++) {
		uint64_t bits = unit_random64();
		bool single = i % 2 == 0;
		struct way w;
		double d;
		float f;

		memcpy(&d, &bits, sizeof(d));
		memcpy(&f, &bits, sizeof(f));
		if (single)
			d = (double)f;
		if (!isfinite(d))
			continue;
		way_begin(&w, (struct column){ .type = single ? COLUMN_FLOAT : COLUMN_DOUBLE });
		snprintf(text, sizeof(text), "%.17g", d);
		snprintf(expected, sizeof(expected), "%a", d);
		way_expect(&w, slice_str(text), single ? "\"float\"" : "\"double\"", 0, expected);
		way_end(&w);
	}
}
END_TEST

START_TEST(test_decimals)
{
	unit_seed();
	for (int i = 0; i < 5000; i++) {
		uint8_t precision = (uint8_t)(1 + unit_random_below(65));
		uint8_t scale = (uint8_t)unit_random_below((precision < 38 ? precision : 38) + 1u);
		size_t whole = unit_random_below((unsigned)(precision - scale) + 1u), n = 0;
		char text[TEXT_SIZE], exact[TEXT_SIZE];
		struct way w;

		way_begin(&w, (struct column){ .type = COLUMN_NEWDECIMAL,
					       .precision = precision,
					       .scale = scale });
		if (i % 3 == 0)
			text[n++] = '-';
		if (whole == 0)
			text[n++] = '0';
		for (size_t k = 0; k < whole; k++)
			text[n++] = i % 7 == 0 ? '9'
					       : (char)('0' + (k == 0 ? 1 + unit_random_below(9)
								      : unit_random_below(10)));
		if (scale > 0)
			text[n++] = '.';
		for (size_t k = 0; k < scale; k++)
			text[n++] = i % 7 == 0 ? '9' : (char)('0' + unit_random_below(10));
		text[n] = '\0';
		if (strspn(text, "-0.") == n && text[0] == '-')
			memmove(text, text + 1, n); /* zero has no sign */
		way_expect(&w, slice_str(text), "\"bytes\"", scale, text);
		way_exact_text(&w, exact);
		ck_assert_str_eq(exact, text);
		way_end(&w);
	}
}
END_TEST

/* Known bytes: the example of MySQL's own comment on decimal2bin, 1234567890.1234 in decimal(14,4).
 */
START_TEST(test_decimal_known)
{
	static const uint8_t plus[] = { 0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2 };
	static const uint8_t minus[] = { 0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d };
	static const uint8_t bad[] = { 0x81, 0xff, 0xff, 0xff, 0xff, 0x04, 0xd2 };
	struct column c = {
		.name = (char[]){ "c" }, .type = COLUMN_NEWDECIMAL, .precision = 14, .scale = 4
	};
	struct cell cell = { bad, sizeof(bad), CELL_VALUE };
	struct buf out = BUF_INIT;
	struct way w;

	way_begin(&w, c);
	way_expect(&w, slice_str("1234567890.1234"), "\"bytes\"", 4, "1234567890.1234");
	ck_assert_mem_eq(w.cell.data, plus, sizeof(plus));
	way_expect(&w, slice_str("-1234567890.1234"), "\"bytes\"", 4, "-1234567890.1234");
	ck_assert_mem_eq(w.cell.data, minus, sizeof(minus));
	way_expect(&w, slice_str("-0.0000"), "\"bytes\"", 4, "0.0000");
	way_expect(&w, slice_str("0000000000.1"), "\"bytes\"", 4, "0.1000");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_NEWDECIMAL, .precision = 30 });
	way_expect(&w, slice_str("-18446744073709551616"), "\"bytes\"", 0,
		   "-18446744073709551616"); /* carries */
	way_end(&w);
	ck_assert_int_eq(encode_for(&c)(&c, &cell, &out), ENCODE_INEXACT);
	encode_exact_text(&c, &cell, &out);
	ck_assert_str_eq(buf_cstr(&out), "0x81ffffffff04d2");
	buf_done(&out);
}
END_TEST

/* Random moments against libc's calendar; years 1 to 9999. */
START_TEST(test_moments)
{
	unit_seed();
	for (int i = 0; i < 6000; i++) {
		int64_t seconds = (int64_t)unit_random_below(315537897600 - 86400) - 62135596800;
		uint8_t fraction = (uint8_t)(i % 7);
		uint32_t step = 1;
		char text[TEXT_SIZE], part[32] = "", expected[TEXT_SIZE];
		uint64_t micros;
		time_t t;
		struct tm tm;
		struct way w;

		for (unsigned k = fraction; k < 6; k++)
			step *= 10;
		micros = unit_random_below(1000000) / step * step;
		if (i % 3 == 0) /* TIMESTAMP */
			seconds = 1 + (int64_t)unit_random_below(INT32_MAX);
		t = (time_t)seconds;
		ck_assert_ptr_nonnull(gmtime_r(&t, &tm));
		if (i % 3 == 1) { /* DATE */
			snprintf(text, sizeof(text), "%04d-%02d-%02d", tm.tm_year + 1900,
				 tm.tm_mon + 1, tm.tm_mday);
			tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
			snprintf(expected, sizeof(expected), "%" PRId64,
				 (int64_t)timegm(&tm) / 86400);
			way_begin(&w, (struct column){ .type = COLUMN_DATE });
			way_expect(&w, slice_str(text), "\"int\"", 0, expected);
			way_end(&w);
			continue;
		}
		if (fraction > 0)
			snprintf(part, sizeof(part), ".%0*" PRIu64, fraction, micros / step);
		snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d%s", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, part);
		snprintf(expected, sizeof(expected), "%" PRId64,
			 (int64_t)timegm(&tm) * 1000000 + (int64_t)micros);
		way_begin(&w, (struct column){ .type = i % 3 == 0 ? COLUMN_TIMESTAMP2
								  : COLUMN_DATETIME2,
					       .fraction = fraction });
		way_expect(&w, slice_str(text), "\"long\"", 0, expected);
		way_exact_text(&w, expected);
		ck_assert_str_eq(expected, text);
		way_end(&w);
	}
}
END_TEST

START_TEST(test_times)
{
	unit_seed();
	for (int i = 0; i < 3000; i++) {
		uint8_t fraction = (uint8_t)(i % 7);
		uint32_t step = 1, hour = (uint32_t)unit_random_below(839), minute, second;
		char text[TEXT_SIZE], part[32] = "", expected[TEXT_SIZE];
		bool negative = i % 2 == 0;
		uint64_t micros;
		struct way w;

		for (unsigned k = fraction; k < 6; k++)
			step *= 10;
		minute = (uint32_t)unit_random_below(60);
		second = (uint32_t)unit_random_below(60);
		micros = i % 5 == 0 ? 0 : unit_random_below(1000000) / step * step;
		if (i % 11 == 0)
			hour = minute = second = 0;
		negative = negative && (hour + minute + second > 0 || micros > 0);
		if (fraction > 0)
			snprintf(part, sizeof(part), ".%0*" PRIu64, fraction, micros / step);
		snprintf(text, sizeof(text), "%s%02u:%02u:%02u%s", negative ? "-" : "", hour,
			 minute, second, part);
		snprintf(expected, sizeof(expected), "%" PRId64,
			 (negative ? -1 : 1) *
				 ((int64_t)(hour * 3600 + minute * 60 + second) * 1000000 +
				  (int64_t)micros));
		way_begin(&w, (struct column){ .type = COLUMN_TIME2, .fraction = fraction });
		way_expect(&w, slice_str(text), "\"long\"", 0, expected);
		way_exact_text(&w, expected);
		ck_assert_str_eq(expected, text);
		way_end(&w);
	}
}
END_TEST

START_TEST(test_inexact_dates)
{
	static const struct {
		uint8_t type, fraction;
		const char *text;
	} all[] = {
		{ COLUMN_DATE, 0, "0000-00-00" },
		{ COLUMN_DATE, 0, "2024-00-00" },
		{ COLUMN_DATE, 0, "2024-02-00" },
		{ COLUMN_DATE, 0, "2024-02-31" },
		{ COLUMN_DATE, 0, "2023-02-29" },
		{ COLUMN_DATE, 0, "1900-02-29" },
		{ COLUMN_DATE, 0, "0000-01-01" },
		{ COLUMN_DATETIME2, 0, "0000-00-00 00:00:00" },
		{ COLUMN_DATETIME2, 3, "2024-04-31 01:02:03.450" },
		{ COLUMN_DATETIME2, 6, "2024-00-10 01:02:03.000001" },
		{ COLUMN_TIMESTAMP2, 0, "0000-00-00 00:00:00" },
		{ COLUMN_TIMESTAMP2, 6, "0000-00-00 00:00:00.000000" },
		{ COLUMN_TIMESTAMP, 0, "0000-00-00 00:00:00" },
		{ COLUMN_DATETIME, 0, "2024-02-31 01:02:03" },
	};
	struct way w;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		way_begin(&w, (struct column){ .type = all[i].type, .fraction = all[i].fraction });
		way_inexact(&w, slice_str(all[i].text), all[i].text);
		way_end(&w);
	}
	way_begin(&w, (struct column){ .type = COLUMN_DATE });
	way_expect(&w, slice_str("2000-02-29"), "\"int\"", 0, "11016");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_TIMESTAMP2, .fraction = 1 });
	way_expect(&w, slice_str("1970-01-01 00:00:00.5"), "\"long\"", 0, "500000");
	way_end(&w);
}
END_TEST

START_TEST(test_old_forms)
{
	struct way w;

	way_begin(&w, (struct column){ .type = COLUMN_DATETIME });
	way_expect(&w, slice_str("2024-02-29 23:59:59"), "\"long\"", 0, "1709251199000000");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_TIMESTAMP });
	way_expect(&w, slice_str("2038-01-19 03:14:07"), "\"long\"", 0, "2147483647000000");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_TIME });
	way_expect(&w, slice_str("-838:59:59"), "\"long\"", 0, "-3020399000000");
	ck_assert_mem_eq(w.cell.data, "\x59\x0a\x80", 3); /* as a MariaDB 10.11 wrote it */
	way_end(&w);
}
END_TEST

START_TEST(test_small_types)
{
	char labels[TEXT_SIZE] = "";
	struct way w;

	way_begin(&w, (struct column){ .type = COLUMN_YEAR });
	way_expect(&w, slice_str("0000"), "\"int\"", 0, "0");
	way_expect(&w, slice_str("1901"), "\"int\"", 0, "1901");
	way_expect(&w, slice_str("2155"), "\"int\"", 0, "2155");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_BIT, .bits = 1 });
	way_expect(&w, slice_str("1"), "\"boolean\"", 0, "true");
	way_expect(&w, slice_str("0"), "\"boolean\"", 0, "false");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_BIT, .bits = 12 });
	way_expect(&w, slice_str("2561"), "\"bytes\"", NO_SCALE, "0a01");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_ENUM, .pack_bytes = 2 });
	way_labels(&w, 300);
	way_expect(&w, slice_str("300"), "\"string\"", 0, "label300");
	way_inexact(&w, slice_str("0"), "");
	way_inexact(&w, slice_str("301"), "301");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_SET, .pack_bytes = 8 });
	way_labels(&w, 64);
	for (int i = 1; i <= 64; i++)
		snprintf(labels + strlen(labels), sizeof(labels) - strlen(labels), "%slabel%d",
			 i > 1 ? "," : "", i);
	way_expect(&w, slice_str("9223372036854775809"),
		   "{\"type\":\"array\",\"items\":\"string\"}", 0, "label1,label64");
	way_expect(&w, slice_str("0"), "{\"type\":\"array\",\"items\":\"string\"}", 0, "");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_SET, .pack_bytes = 1 });
	way_labels(&w, 3);
	way_expect(&w, slice_str("5"), "{\"type\":\"array\",\"items\":\"string\"}", 0,
		   "label1,label3");
	way_inexact(&w, slice_str("8"), "8");
	way_end(&w);
}
END_TEST

START_TEST(test_text)
{
	static const struct {
		uint16_t collation;
		const char *text;
		uint8_t size;
		const char *utf8, *exact; /* utf8 NULL: inexact */
	} all[] = {
		{ 45, "abc", 3, "abc", NULL },
		{ 45, "", 0, "", NULL },
		{ 45, "caf\xc3\xa9 \xf0\x9f\x98\x80", 10, "caf\xc3\xa9 \xf0\x9f\x98\x80", NULL },
		{ 45, "0123456789abc\xff", 14, NULL, "0x30313233343536373839616263ff" },
		{ 45, "\xed\xa0\x80", 3, NULL, "0xeda080" },
		{ 45, "\xc0\x80", 2, NULL, "0xc080" },
		{ 45, "\xf4\x90\x80\x80", 4, NULL, "0xf4908080" },
		{ 45, "\xe2\x82", 2, NULL, "0xe282" },
		{ 33, "\xe2\x82\xac", 3, "\xe2\x82\xac", NULL },
		{ 33, "\xf0\x9f\x98\x80", 4, NULL, "0xf09f9880" },
		{ 2048, "\xe2\x82\xac", 3, "\xe2\x82\xac", NULL },
		{ 2304, "\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80", NULL },
		{ 11, "abc", 3, "abc", NULL },
		{ 11, "ab\x80", 3, NULL, "0x616280" },
		{ 8, "\x80 \xe9 \x81", 5, "\xe2\x82\xac \xc3\xa9 \xc2\x81", NULL },
		{ 35, "\x20\xac\0a", 4,
		  "\xe2\x82\xac"
		  "a",
		  NULL },
		{ 35, "\xd8\x3d\xde\x00", 4, NULL, "0xd83dde00" },
		{ 54, "\xd8\x3d\xde\x00", 4, "\xf0\x9f\x98\x80", NULL },
		{ 54, "\xd8\x3d", 2, NULL, "0xd83d" },
		{ 54, "\xde\x00\xd8\x3d", 4, NULL, "0xde00d83d" },
		{ 56, "\x3d\xd8\x00\xde", 4, "\xf0\x9f\x98\x80", NULL },
		{ 60, "\0\x01\xf6\0", 4, "\xf0\x9f\x98\x80", NULL },
		{ 60, "\0\x11\0\0", 4, NULL, "0x00110000" },
		{ 60, "\0\0a", 3, NULL, "0x000061" },
		{ 28, "a\xc4\xe3", 3, "a\xe4\xbd\xa0", NULL },
		{ 28, "a\xc4", 2, NULL, "0x61c4" },
		{ 17, "a", 1, NULL, "0x61" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct slice text = slice_of(all[i].text, all[i].size);
		struct way w;

		way_begin(&w, (struct column){ .type = COLUMN_VARCHAR,
					       .size_max = 100,
					       .collation = all[i].collation });
		if (all[i].utf8 != NULL)
			way_expect(&w, text, "\"string\"", 0, all[i].utf8);
		else
			way_inexact(&w, text, all[i].exact);
		way_end(&w);
	}
}
END_TEST

START_TEST(test_bytes)
{
	struct way w;

	way_begin(&w, (struct column){ .type = COLUMN_STRING,
				       .size_max = 4,
				       .is_binary = true,
				       .collation = 63 });
	way_expect(&w, slice_of("a\0", 2), "\"bytes\"", NO_SCALE, "61000000");
	way_expect(&w, slice_of("", 0), "\"bytes\"", NO_SCALE, "00000000");
	way_end(&w);
	way_begin(&w, (struct column){ .type = COLUMN_VARCHAR,
				       .size_max = 400,
				       .is_binary = true,
				       .collation = 63 });
	way_expect(&w, slice_of("a\0", 2), "\"bytes\"", NO_SCALE, "6100");
	way_end(&w);
	way_begin(&w,
		  (struct column){
			  .type = COLUMN_BLOB, .size_max = 4, .is_binary = true, .collation = 63 });
	way_expect(&w, slice_of("\xff", 1), "\"bytes\"", NO_SCALE, "ff");
	way_end(&w);
}
END_TEST

/* Any bytes in any cell: encoded or inexact, never a crash; exact text is always UTF-8. */
START_TEST(test_garbage)
{
	static const struct column all[] = {
		{ .type = COLUMN_DATE },
		{ .type = COLUMN_DATETIME },
		{ .type = COLUMN_TIME },
		{ .type = COLUMN_TIMESTAMP },
		{ .type = COLUMN_DATETIME2, .fraction = 6 },
		{ .type = COLUMN_DATETIME2, .fraction = 1 },
		{ .type = COLUMN_TIME2, .fraction = 3 },
		{ .type = COLUMN_TIMESTAMP2, .fraction = 5 },
		{ .type = COLUMN_NEWDECIMAL, .precision = 65, .scale = 30 },
		{ .type = COLUMN_NEWDECIMAL, .precision = 18, .scale = 0 },
		{ .type = COLUMN_NEWDECIMAL, .precision = 3, .scale = 3 },
		{ .type = COLUMN_ENUM, .pack_bytes = 2 },
		{ .type = COLUMN_SET, .pack_bytes = 8 },
		{ .type = COLUMN_BIT, .bits = 1 },
		{ .type = COLUMN_YEAR },
		{ .type = COLUMN_STRING, .size_max = 30, .collation = 45 },
		{ .type = COLUMN_STRING, .size_max = 30, .collation = 54 },
		{ .type = COLUMN_STRING, .size_max = 30, .collation = 60 },
		{ .type = COLUMN_STRING, .size_max = 30, .collation = 8 },
		{ .type = COLUMN_JSON, .size_max = 1 },
		{ .type = COLUMN_GEOMETRY, .size_max = 1 },
		{ .type = COLUMN_VECTOR, .size_max = 40, .pack_bytes = 1 },
		{ .type = COLUMN_UUID, .size_max = 16 },
		{ .type = COLUMN_INET4, .size_max = 4 },
		{ .type = COLUMN_INET6, .size_max = 16 },
	};
	static const uint8_t present[1] = { 1 };

	unit_seed();
	for (int i = 0; i < 40000; i++) {
		uint8_t image[64];
		char exact[TEXT_SIZE];
		struct err e = ERR_INIT;
		struct rd in = rd_of(image, sizeof(image));
		struct way w;
		enum encode_result result;

		for (size_t k = 0; k < sizeof(image); k++)
			image[k] = (uint8_t)unit_random64();
		image[0] = 0;
		if (i % 2 == 0)
			image[1] %= 30;
		way_begin(&w, all[(size_t)i % (sizeof(all) / sizeof(all[0]))]);
		way_labels(&w, 5);
		if (row_split(&in, w.shape, present, &w.cell, &e) == 0) {
			result = encode_for(&w.shape->columns[0])(&w.shape->columns[0], &w.cell,
								  &w.avro);
			ck_assert(result == ENCODE_OK || w.avro.size == 0);
			way_exact_text(&w, exact);
		}
		way_end(&w);
	}
}
END_TEST

START_TEST(test_refused)
{
	ck_assert_ptr_null(encode_collation_refused(45));
	ck_assert_ptr_null(encode_collation_refused(63));
	ck_assert_ptr_null(encode_collation_refused(2304 + 199));
	ck_assert_ptr_null(encode_collation_refused(28)); /* gbk */
	ck_assert_ptr_null(encode_collation_refused(1103)); /* latin7 */
	ck_assert_ptr_nonnull(strstr(encode_collation_refused(9999), "not known"));
	ck_assert_ptr_nonnull(encode_collation_refused(0));
	ck_assert_ptr_nonnull(encode_collation_refused(UINT16_MAX));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("encode");

	unit_test(s, test_integers);
	unit_test(s, test_floats);
	unit_test(s, test_decimals);
	unit_test(s, test_decimal_known);
	unit_test(s, test_moments);
	unit_test(s, test_times);
	unit_test(s, test_inexact_dates);
	unit_test(s, test_old_forms);
	unit_test(s, test_small_types);
	unit_test(s, test_text);
	unit_test(s, test_bytes);
	unit_test_slow(s, test_garbage, 20);
	unit_test(s, test_refused);
	return unit_run(s);
}
