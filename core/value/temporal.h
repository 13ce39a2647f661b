/* temporal.h - dates and times: stored form, text, and numbers since 1970.
 *
 * Stored forms (MySQL internals manual, "Date and Time Data Type Representation"):
 * clang-format off
 *   DATE        3 bytes little-endian: year << 9 | month << 5 | day
 *   DATETIME2   5 bytes big-endian: 1 bit sign (always 1), 17 bits year * 13 + month, 5 day,
 *               5 hour, 6 minute, 6 second
 *   TIMESTAMP2  4 bytes big-endian: seconds since 1970 UTC; 0 is the zero date
 *   TIME2       3 bytes big-endian: 1 bit sign, 1 unused, 10 bits hour, 6 minute, 6 second
 *   fraction    0..3 more bytes, big-endian, in 1/100, 1/10000 or 1/1000000 (1-2, 3-4, 5-6 digits).
 *               In TIME2 integer and fraction are one signed number, stored with 0x80 added to its
 *               first byte: -00:00:00.01 is 7f ff ff ff.
 *   old forms   without fraction (mysql56_temporal_format=OFF): TIMESTAMP 4 bytes little-endian
 *               seconds; TIME 3 bytes little-endian, signed number hhmmss; DATETIME 8 bytes
 *               little-endian, number yyyymmddhhmmss
 * clang-format on */
#ifndef CORE_VALUE_TEMPORAL_H
#define CORE_VALUE_TEMPORAL_H

#include "core/base/buf.h"
#include "core/value/row.h"

struct temporal {
	bool negative;   /* TIME only */
	bool zero_stamp; /* a TIMESTAMP that is stored as 0 */
	uint32_t year;   /* up to 10081 in hostile bytes */
	uint32_t month, day, hour, minute, second, micros;
};

#define TEMPORAL_TEXT_MAX 48

static inline bool temporal_is_time(uint8_t type)
{
	return type == COLUMN_TIME || type == COLUMN_TIME2;
}

/* Type DATE .. TIMESTAMP2 of row.h's cells. False when the bytes are of no such value (wrong size,
 * sign bit). TIMESTAMPs come out in UTC. */
bool temporal_from_cell(const struct column *column, const struct cell *cell,
			struct temporal *ret_t);
/* Canonical number of the column's type: days since 1970 (DATE), microseconds (TIME), microseconds
 * since 1970 (DATETIME, TIMESTAMP). False when there is none: a part is zero, or there is no such
 * day or time of day. Year 0 counts as zero. */
bool temporal_number(uint8_t type, const struct temporal *t, int64_t *ret_number);
/* The same backwards; a day or moment outside of years 0 to 9999, or 839 hours and more: false. */
bool temporal_from_number(uint8_t type, int64_t number, struct temporal *ret_t);
/* The server's text: "2024-02-31", "-00:00:01.50", "0000-00-00 00:00:00". Returns its size. */
size_t temporal_text(uint8_t type, const struct temporal *t, uint8_t fraction, char *ret_text);
/* The same backwards; at most six fractional digits. */
bool temporal_parse(uint8_t type, struct slice text, struct temporal *ret_t);
/* Writes the stored form. False when the value has no room in it (a TIMESTAMP before 1970, micros
 * beyond the digits). */
bool temporal_store(const struct column *column, const struct temporal *t, struct buf *out);
/* Size of the stored form, fraction included. */
size_t temporal_size(const struct column *column);

/* Days since 1970-01-01 in the proleptic Gregorian calendar; day and month must be in range. */
int64_t temporal_days(uint32_t year, uint32_t month, uint32_t day);
bool temporal_date_exists(uint32_t year, uint32_t month, uint32_t day);

#endif
