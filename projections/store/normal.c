/* normal.c - classes of columns, decimals in normal form, and the order of keys.
 *
 * A decimal keeps its digits as text, so nothing is rounded. Most of what servers print needs only
 * to be cut (12.50 is 12.5), so it is not copied: the value points into what was read. Decimals are
 * compared digit by digit: sign, then how many digits stand before the point, then the digits. */
#include "projections/store/normal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TYPE_MAX 64
#define EXPONENT_MAX 400 /* of a number written with one: more is no decimal of any store */

/* ---- classes --------------------------------------------------------------------------------- */

struct type_name {
	const char *name;
	enum normal_class class;
};

static const struct type_name type_names[] = {
	{ "number", NORMAL_NUMBER },
	{ "decimal", NORMAL_NUMBER },
	{ "numeric", NORMAL_NUMBER },
	{ "fixed", NORMAL_NUMBER },
	{ "tinyint", NORMAL_NUMBER },
	{ "smallint", NORMAL_NUMBER },
	{ "mediumint", NORMAL_NUMBER },
	{ "int", NORMAL_NUMBER },
	{ "integer", NORMAL_NUMBER },
	{ "bigint", NORMAL_NUMBER },
	{ "year", NORMAL_NUMBER },
	{ "int2", NORMAL_NUMBER },
	{ "int4", NORMAL_NUMBER },
	{ "int8", NORMAL_NUMBER },
	{ "smallserial", NORMAL_NUMBER },
	{ "serial", NORMAL_NUMBER },
	{ "bigserial", NORMAL_NUMBER },
	{ "double", NORMAL_DOUBLE },
	{ "double precision", NORMAL_DOUBLE },
	{ "float8", NORMAL_DOUBLE },
	{ "float", NORMAL_FLOAT },
	{ "float4", NORMAL_FLOAT },
	{ "real", NORMAL_FLOAT },
	{ "boolean", NORMAL_BOOLEAN },
	{ "bool", NORMAL_BOOLEAN },
	{ "date", NORMAL_DATE },
	{ "datetime", NORMAL_DATETIME },
	{ "timestamp", NORMAL_DATETIME },
	{ "timestamptz", NORMAL_DATETIME },
	{ "timestamp with time zone", NORMAL_DATETIME },
	{ "timestamp without time zone", NORMAL_DATETIME },
	{ "time", NORMAL_TIME },
	{ "time without time zone", NORMAL_TIME },
	{ "interval", NORMAL_TIME },
	{ "bytes", NORMAL_BYTES },
	{ "bytea", NORMAL_BYTES },
	{ "binary", NORMAL_BYTES },
	{ "varbinary", NORMAL_BYTES },
	{ "tinyblob", NORMAL_BYTES },
	{ "blob", NORMAL_BYTES },
	{ "mediumblob", NORMAL_BYTES },
	{ "longblob", NORMAL_BYTES },
	{ "geometry", NORMAL_BYTES },
	{ "point", NORMAL_BYTES },
	{ "json", NORMAL_JSON },
	{ "jsonb", NORMAL_JSON },
	{ "any", NORMAL_ANY },
};

static const char *const class_names[] = {
	[NORMAL_NUMBER] = "number",     [NORMAL_DOUBLE] = "double",
	[NORMAL_FLOAT] = "float",       [NORMAL_BOOLEAN] = "boolean",
	[NORMAL_DATE] = "date",         [NORMAL_DATETIME] = "datetime",
	[NORMAL_TIME] = "time",         [NORMAL_TEXT] = "text",
	[NORMAL_BYTES] = "bytes",       [NORMAL_JSON] = "json",
	[NORMAL_ANY] = "any",           [NORMAL_LOOSE] = "sqlite",
	[NORMAL_LOOSE_TEXT] = "sqlite", [NORMAL_LOOSE_NUMERIC] = "sqlite",
	[NORMAL_LOOSE_REAL] = "sqlite",
};

const char *normal_class_name(enum normal_class c)
{
	return class_names[c];
}

/* SQLite's rules, in its order (https://www.sqlite.org/datatype3.html, 3.1). */
static enum normal_class affinity(const char *type)
{
	if (strcasestr(type, "INT") != NULL)
		return NORMAL_LOOSE_NUMERIC;
	if (strcasestr(type, "CHAR") != NULL || strcasestr(type, "CLOB") != NULL ||
	    strcasestr(type, "TEXT") != NULL)
		return NORMAL_LOOSE_TEXT;
	if (type[0] == '\0' || strcasestr(type, "BLOB") != NULL)
		return NORMAL_LOOSE;
	if (strcasestr(type, "REAL") != NULL || strcasestr(type, "FLOA") != NULL ||
	    strcasestr(type, "DOUB") != NULL)
		return NORMAL_LOOSE_REAL;
	return NORMAL_LOOSE_NUMERIC;
}

/* "timestamp(3) with time zone" is "timestamp", "BIGINT UNSIGNED" is "bigint": the first word and
 * what the table knows of the ones behind it. */
enum normal_class normal_class(const char *store, const char *type)
{
	char name[TYPE_MAX];
	size_t size = strcspn(type, "(");

	if (strcmp(store, "sqlite") == 0)
		return affinity(type);
	if (strncasecmp(type, "bit(", 4) == 0 || strcasecmp(type, "bit") == 0)
		return strcasecmp(type, "bit(1)") == 0 || type[3] == '\0' ? NORMAL_NUMBER
									  : NORMAL_BYTES;
	while (size > 0 && type[size - 1] == ' ')
		size--;
	snprintf(name, sizeof(name), "%.*s", (int)size, type);
	if (name[0] == '\0')
		return NORMAL_ANY;
	for (;;) {
		char *space;

		for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
			if (strcasecmp(type_names[i].name, name) == 0)
				return type_names[i].class;
		}
		space = strrchr(name, ' ');
		if (space == NULL)
			return NORMAL_TEXT;
		*space = '\0';
	}
}

/* ---- decimals -------------------------------------------------------------------------------- */

/* A decimal as it is written: digits before the point without zeros in front of them, digits behind
 * it without zeros at their end. */
struct digits {
	struct slice whole, fraction;
	bool negative;
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* [sign] digits [. digits], all of it. */
static bool read_digits(struct slice text, struct digits *ret)
{
	const uint8_t *p = text.data, *end = p + text.size, *from;
	bool sign = p < end && (*p == '-' || *p == '+');

	ret->negative = sign && *p == '-';
	from = p += sign;
	while (p < end && is_digit(*p))
		p++;
	ret->whole = slice_of(from, (size_t)(p - from));
	ret->fraction = slice_of(p, 0);
	if (p < end && *p == '.') {
		from = ++p;
		while (p < end && is_digit(*p))
			p++;
		ret->fraction = slice_of(from, (size_t)(p - from));
	}
	if (p != end || ret->whole.size + ret->fraction.size == 0)
		return false;
	while (ret->whole.size > 0 && ret->whole.data[0] == '0')
		ret->whole = slice_of(ret->whole.data + 1, ret->whole.size - 1);
	while (ret->fraction.size > 0 && ret->fraction.data[ret->fraction.size - 1] == '0')
		ret->fraction.size--;
	if (ret->whole.size + ret->fraction.size == 0)
		ret->negative = false;
	return true;
}

/* True when the digits before the point fit; there are none behind it. */
static bool fits(const struct digits *d, int64_t *ret_i)
{
	const uint8_t *p = d->whole.data;
	uint64_t v = 0, limit = (uint64_t)INT64_MAX + d->negative;

	if (d->fraction.size > 0 || d->whole.size > 19)
		return false;
	for (size_t i = 0; i < d->whole.size; i++) /* 19 digits fit 64 bits */
		v = v * 10 + (uint64_t)(p[i] - '0');
	if (v > limit)
		return false;
	*ret_i = d->negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* 1.5e3 as 1500; the point is moved by hand. */
static bool write_out(struct slice text, size_t e_at, struct buf *scratch, struct slice *ret_text)
{
	char exponent[8] = "", *stop;
	struct digits d;
	size_t size = text.size - e_at - 1, begin = scratch->size;
	long by, point;

	if (size == 0 || size >= sizeof(exponent) || !read_digits(slice_of(text.data, e_at), &d))
		return false;
	memcpy(exponent, text.data + e_at + 1, size);
	by = strtol(exponent, &stop, 10);
	if (*stop != '\0' || by > EXPONENT_MAX || by < -EXPONENT_MAX)
		return false;
	point = (long)d.whole.size + by;
	if (d.negative)
		buf_add_u8(scratch, '-');
	if (point <= 0)
		buf_add_str(scratch, "0.");
	for (; point < 0; point++)
		buf_add_u8(scratch, '0');
	for (long i = 0; i < (long)(d.whole.size + d.fraction.size) || i < point; i++) {
		size_t at = (size_t)i;

		if (i > 0 && i == point)
			buf_add_u8(scratch, '.');
		if (at < d.whole.size)
			buf_add_u8(scratch, d.whole.data[at]);
		else if (at - d.whole.size < d.fraction.size)
			buf_add_u8(scratch, d.fraction.data[at - d.whole.size]);
		else
			buf_add_u8(scratch, '0');
	}
	*ret_text = slice_of(scratch->data + begin, scratch->size - begin);
	return true;
}

/* Is the text from its sign to the last digit that counts the normal form already? */
static bool is_cut_only(struct slice text, const struct digits *d)
{
	const uint8_t *at = text.data;

	at += d->negative;
	if (d->whole.size > 0)
		return at == d->whole.data;
	return at[0] == '0' && at[1] == '.' && d->fraction.data == at + 2;
}

bool normal_number(struct slice text, struct buf *scratch, struct value *ret_value)
{
	const uint8_t *e = text.size > 0 ? memchr(text.data, 'e', text.size) : NULL;
	struct digits d;
	size_t begin;

	*ret_value = (struct value){ .kind = VALUE_TEXT, .bytes = text };
	if (e == NULL && text.size > 0)
		e = memchr(text.data, 'E', text.size);
	if (e != NULL && !write_out(text, (size_t)(e - text.data), scratch, &text))
		return false;
	if (!read_digits(text, &d))
		return false;
	if (fits(&d, &ret_value->i)) {
		ret_value->kind = VALUE_INT;
		return true;
	}
	if (is_cut_only(text, &d)) {
		const uint8_t *end = d.fraction.size > 0 ? d.fraction.data + d.fraction.size
							 : d.whole.data + d.whole.size;

		ret_value->bytes = slice_of(text.data, (size_t)(end - text.data));
		return true;
	}
	begin = scratch->size;
	if (d.negative)
		buf_add_u8(scratch, '-');
	if (d.whole.size == 0)
		buf_add_u8(scratch, '0');
	buf_add_slice(scratch, d.whole);
	if (d.fraction.size > 0)
		buf_add_u8(scratch, '.');
	buf_add_slice(scratch, d.fraction);
	ret_value->bytes = slice_of(scratch->data + begin, scratch->size - begin);
	return true;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int compare_slices(struct slice a, struct slice b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int order = least > 0 ? memcmp(a.data, b.data, least) : 0;

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_digits(const struct digits *a, const struct digits *b)
{
	int order;

	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	if (a->whole.size != b->whole.size)
		order = a->whole.size < b->whole.size ? -1 : 1;
	else
		order = compare_slices(a->whole, b->whole);
	if (order == 0)
		order = compare_slices(a->fraction, b->fraction);
	return a->negative ? -order : order;
}

/* Numbers of either kind; false: it isn't one. */
static bool digits_of(const struct value *v, char text[24], struct digits *ret)
{
	if (v->kind == VALUE_INT) {
		int size = snprintf(text, 24, "%lld", (long long)v->i);

		return read_digits(slice_of(text, (size_t)size), ret);
	}
	return v->kind == VALUE_TEXT && read_digits(v->bytes, ret);
}

static int compare_numbers(const struct value *a, const struct value *b)
{
	char text_a[24], text_b[24];
	struct digits x, y;
	bool has_x = digits_of(a, text_a, &x), has_y = digits_of(b, text_b, &y);

	if (has_x && has_y)
		return compare_digits(&x, &y);
	if (has_x != has_y)
		return has_x ? -1 : 1;
	return value_compare(a, b);
}

static bool may_be_number(const struct value *v)
{
	return v->kind == VALUE_INT || v->kind == VALUE_TEXT;
}

bool normal_loose_equal(const struct value *a, const struct value *b)
{
	const struct value *text = a->kind == VALUE_TEXT ? a : b, *number = text == a ? b : a;
	char buffer[64], *end;
	double d;

	if (number->kind == VALUE_INT && may_be_number(text))
		return compare_numbers(number, text) == 0;
	if (number->kind != VALUE_DOUBLE || text->bytes.size == 0 ||
	    text->bytes.size >= sizeof(buffer))
		return false;
	memcpy(buffer, text->bytes.data, text->bytes.size);
	buffer[text->bytes.size] = '\0';
	d = strtod(buffer, &end);
	return *end == '\0' && d == number->d;
}

int normal_compare(enum normal_class c, const struct value *a, const struct value *b)
{
	if ((c == NORMAL_NUMBER || c == NORMAL_ANY) &&
	    (a->kind == VALUE_TEXT || b->kind == VALUE_TEXT) && may_be_number(a) &&
	    may_be_number(b))
		return compare_numbers(a, b);
	return value_compare(a, b);
}
