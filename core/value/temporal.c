/*
 * temporal.c - dates and times in their four shapes: stored bytes, parts, text, number.
 *
 * Everything goes through parts (struct temporal): a value that is no real moment (2024-02-31, a
 * zero date) still has parts and a text, only no number. The calendar is computed by era of 400
 * years from the first of March (temporal_number.c), so that the leap day is the last of its year
 * and no table of months with exceptions is needed.
 */
#include "core/value/temporal.h"

#include "core/base/fault.h"
#include "core/base/le.h"

static const uint32_t power10[7] = { 1, 10, 100, 1000, 10000, 100000, 1000000 };

static void stamp_parts(uint32_t seconds, struct temporal *t)
{
	uint32_t micros = t->micros;

	(void)temporal_from_number(COLUMN_DATETIME, (int64_t)seconds * 1000000, t);
	t->micros = micros; /* hostile bytes may say more than a second */
	if (seconds == 0 && micros == 0)
		*t = (struct temporal){ .zero_stamp = true };
}

static size_t fraction_bytes(uint8_t fraction)
{
	return (fraction + 1u) / 2;
}

/* Microseconds of one step of the stored fraction. */
static uint32_t fraction_step(uint8_t fraction)
{
	if (BUG(value_fraction))
		return power10[6 - fraction];
	return power10[6 - 2 * fraction_bytes(fraction)];
}

size_t temporal_size(const struct column *column)
{
	size_t extra = fraction_bytes(column->fraction);

	if (column->fraction > 6)
		return 0;
	switch (column->type) {
	case COLUMN_DATE:
	case COLUMN_TIME:
		return 3;
	case COLUMN_TIMESTAMP:
		return 4;
	case COLUMN_DATETIME:
		return 8;
	case COLUMN_TIME2:
		return 3 + extra;
	case COLUMN_TIMESTAMP2:
		return 4 + extra;
	case COLUMN_DATETIME2:
		return 5 + extra;
	default: /* a byte, not an enum: other types have no business here */
		return 0;
	}
}

static void clock_parts(uint32_t packed, struct temporal *t)
{
	t->second = packed & 0x3f;
	t->minute = packed >> 6 & 0x3f;
	t->hour = packed >> 12 & 0x1f;
}

static bool datetime2_parts(struct rd *in, uint8_t fraction, struct temporal *t)
{
	uint64_t v = rd_be(in, 5);

	t->micros = (uint32_t)rd_be(in, fraction_bytes(fraction)) * fraction_step(fraction);
	if ((v & UINT64_C(0x8000000000)) == 0)
		return false;
	v &= UINT64_C(0x7fffffffff);
	clock_parts((uint32_t)(v & 0x1ffff), t);
	t->day = (uint32_t)(v >> 17 & 0x1f);
	t->year = (uint32_t)(v >> 22) / 13;
	t->month = (uint32_t)(v >> 22) % 13;
	return true;
}

static bool time2_parts(struct rd *in, uint8_t fraction, struct temporal *t)
{
	size_t extra = fraction_bytes(fraction);
	int64_t zero = INT64_C(0x800000) << 8 * extra;
	int64_t v = (int64_t)rd_be(in, 3 + extra) - zero;
	uint64_t size = (uint64_t)(v < 0 ? -v : v);

	t->negative = v < 0;
	t->micros = (uint32_t)(size & ((UINT64_C(1) << 8 * extra) - 1)) * fraction_step(fraction);
	size >>= 8 * extra;
	clock_parts((uint32_t)size, t);
	t->hour = (uint32_t)(size >> 12);
	return true;
}

static bool old_time_parts(struct rd *in, struct temporal *t)
{
	uint32_t v = rd_u24(in);

	t->negative = v >= 0x800000;
	if (t->negative)
		v = 0x1000000 - v;
	t->hour = v / 10000;
	t->minute = v / 100 % 100;
	t->second = v % 100;
	return true;
}

static bool old_datetime_parts(struct rd *in, struct temporal *t)
{
	uint64_t v = rd_u64(in);

	if (v > UINT64_C(99999999999999)) /* years have four digits */
		return false;
	t->second = (uint32_t)(v % 100);
	t->minute = (uint32_t)(v / 100 % 100);
	t->hour = (uint32_t)(v / 10000 % 100);
	t->day = (uint32_t)(v / 1000000 % 100);
	t->month = (uint32_t)(v / 100000000 % 100);
	t->year = (uint32_t)(v / UINT64_C(10000000000));
	return true;
}

bool temporal_from_cell(const struct column *column, const struct cell *cell,
			struct temporal *ret_t)
{
	struct rd in = rd_of(cell->data, cell->size);
	struct temporal t = { 0 };
	uint32_t v;

	if (cell->size == 0 || cell->size != temporal_size(column))
		return false;
	switch (column->type) {
	case COLUMN_DATE:
		v = rd_u24(&in);
		t.day = v & 0x1f;
		t.month = v >> 5 & 0xf;
		t.year = v >> 9;
		break;
	case COLUMN_TIMESTAMP:
		stamp_parts(rd_u32(&in), &t);
		break;
	case COLUMN_TIMESTAMP2:
		v = (uint32_t)rd_be(&in, 4);
		t.micros = (uint32_t)rd_be(&in, cell->size - 4) * fraction_step(column->fraction);
		stamp_parts(v, &t);
		break;
	case COLUMN_DATETIME:
		if (!old_datetime_parts(&in, &t))
			return false;
		break;
	case COLUMN_DATETIME2:
		if (!datetime2_parts(&in, column->fraction, &t))
			return false;
		break;
	case COLUMN_TIME:
		if (!old_time_parts(&in, &t))
			return false;
		break;
	default: /* TIME2: temporal_size let no other type through */
		if (!time2_parts(&in, column->fraction, &t))
			return false;
	}
	/* more digits than the column has: its text would be another time */
	if (t.micros > 999999 || t.micros % power10[6 - column->fraction] != 0)
		return false;
	*ret_t = t;
	return true;
}

/* `v` in at least `width` digits. */
static char *put_number(char *to, uint32_t v, unsigned width)
{
	char digits[10];
	unsigned n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0 || n < width);
	while (n > 0)
		*to++ = digits[--n];
	return to;
}

size_t temporal_text(uint8_t type, const struct temporal *t, uint8_t fraction, char *ret_text)
{
	char *to = ret_text;

	if (!temporal_is_time(type)) {
		to = put_number(to, t->year, 4);
		*to++ = '-';
		to = put_number(to, t->month, 2);
		*to++ = '-';
		to = put_number(to, t->day, 2);
		if (type == COLUMN_DATE)
			return (size_t)(to - ret_text);
		*to++ = ' ';
	} else if (t->negative) {
		*to++ = '-';
	}
	to = put_number(to, t->hour, 2);
	*to++ = ':';
	to = put_number(to, t->minute, 2);
	*to++ = ':';
	to = put_number(to, t->second, 2);
	if (fraction > 0) {
		*to++ = '.';
		to = put_number(to, t->micros / power10[6 - fraction], fraction);
	}
	return (size_t)(to - ret_text);
}

/* Digits at `at`, between least and most of them. */
static bool parse_number(struct slice text, size_t *at, unsigned least, unsigned most,
			 uint32_t *ret_v)
{
	unsigned n = 0;
	uint32_t v = 0;

	while (n < most && *at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9') {
		v = v * 10 + (uint32_t)(text.data[*at] - '0');
		++*at;
		n++;
	}
	*ret_v = v;
	return n >= least;
}

static bool parse_char(struct slice text, size_t *at, char c)
{
	if (*at >= text.size || text.data[*at] != (uint8_t)c)
		return false;
	++*at;
	return true;
}

static bool parse_date(struct slice text, size_t *at, struct temporal *t)
{
	return parse_number(text, at, 4, 4, &t->year) && parse_char(text, at, '-') &&
	       parse_number(text, at, 2, 2, &t->month) && parse_char(text, at, '-') &&
	       parse_number(text, at, 2, 2, &t->day);
}

static bool parse_clock(struct slice text, size_t *at, unsigned hour_digits, struct temporal *t)
{
	size_t begin;

	if (!parse_number(text, at, 2, hour_digits, &t->hour) || !parse_char(text, at, ':') ||
	    !parse_number(text, at, 2, 2, &t->minute) || !parse_char(text, at, ':') ||
	    !parse_number(text, at, 2, 2, &t->second))
		return false;
	if (!parse_char(text, at, '.'))
		return true;
	begin = *at;
	if (!parse_number(text, at, 1, 6, &t->micros))
		return false;
	t->micros *= power10[6 - (*at - begin)];
	return true;
}

bool temporal_parse(uint8_t type, struct slice text, struct temporal *ret_t)
{
	struct temporal t = { 0 };
	size_t at = 0;

	if (temporal_is_time(type)) {
		t.negative = parse_char(text, &at, '-');
		if (!parse_clock(text, &at, 3, &t))
			return false;
	} else if (!parse_date(text, &at, &t)) {
		return false;
	} else if (type != COLUMN_DATE &&
		   (!parse_char(text, &at, ' ') || !parse_clock(text, &at, 2, &t))) {
		return false;
	}
	if (at != text.size || t.month > 12 || t.day > 31 || t.minute > 59 || t.second > 59 ||
	    t.hour > (temporal_is_time(type) ? 838u : 23u))
		return false;
	if (type == COLUMN_TIMESTAMP || type == COLUMN_TIMESTAMP2)
		t.zero_stamp = t.year == 0 && t.month == 0 && t.day == 0;
	*ret_t = t;
	return true;
}

static void put_be(struct buf *out, uint64_t v, size_t bytes)
{
	while (bytes > 0)
		buf_add_u8(out, (uint8_t)(v >> 8 * --bytes));
}

/* Seconds since 1970 of a TIMESTAMP's parts; false when they don't fit 32 bits or the day doesn't
 * exist. */
static bool stamp_seconds(const struct temporal *t, uint32_t *ret_seconds)
{
	int64_t us;

	*ret_seconds = 0;
	if (t->zero_stamp)
		return t->micros == 0;
	if (!temporal_number(COLUMN_TIMESTAMP2, t, &us) || us <= 0 ||
	    us / 1000000 > (int64_t)UINT32_MAX)
		return false;
	*ret_seconds = (uint32_t)(us / 1000000);
	return true;
}

static void store_time2(const struct temporal *t, uint8_t fraction, struct buf *out)
{
	size_t extra = fraction_bytes(fraction);
	int64_t v = (int64_t)t->hour << 12 | (int64_t)t->minute << 6 | (int64_t)t->second;
	int64_t zero = INT64_C(0x800000) << 8 * extra;

	v = (v << 8 * extra) + t->micros / fraction_step(fraction);
	put_be(out, (uint64_t)(zero + (t->negative ? -v : v)), 3 + extra);
}

bool temporal_store(const struct column *column, const struct temporal *t, struct buf *out)
{
	uint32_t ymd = t->year << 9 | t->month << 5 | t->day, seconds;
	uint64_t hms = (uint64_t)t->hour << 12 | (uint64_t)t->minute << 6 | t->second;
	uint64_t digits = ((uint64_t)t->year * 10000 + t->month * 100 + t->day) * 1000000 +
			  t->hour * 10000 + t->minute * 100 + t->second;
	uint32_t clock = t->hour * 10000 + t->minute * 100 + t->second;

	if (column->fraction > 6 || t->micros % power10[6 - column->fraction] != 0)
		return false;
	switch (column->type) {
	case COLUMN_DATE:
		le_add(out, ymd, 3);
		return true;
	case COLUMN_TIME:
		le_add(out, t->negative ? 0x1000000 - clock : clock, 3);
		return true;
	case COLUMN_DATETIME:
		le_add(out, digits, 8);
		return true;
	case COLUMN_TIMESTAMP:
		if (stamp_seconds(t, &seconds))
			le_add(out, seconds, 4);
		return stamp_seconds(t, &seconds);
	case COLUMN_TIME2:
		store_time2(t, column->fraction, out);
		return true;
	case COLUMN_TIMESTAMP2:
		if (!stamp_seconds(t, &seconds))
			return false;
		put_be(out, seconds, 4);
		break;
	case COLUMN_DATETIME2:
		put_be(out,
		       UINT64_C(1) << 39 | (uint64_t)(t->year * 13 + t->month) << 22 |
			       (uint64_t)t->day << 17 | hms,
		       5);
		break;
	default: /* a byte, not an enum: other types have no business here */
		return false;
	}
	put_be(out, t->micros / fraction_step(column->fraction), fraction_bytes(column->fraction));
	return true;
}
