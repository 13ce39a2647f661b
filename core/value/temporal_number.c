/* temporal_number.c - parts of a date or time as the number that events carry, and back. */
#include "core/value/temporal.h"

#define DAY_US INT64_C(86400000000)

bool temporal_date_exists(uint32_t year, uint32_t month, uint32_t day)
{
	static const uint8_t days[13] = { 0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	if (year == 0 || year > 9999 || month == 0 || month > 12 || day == 0)
		return false;
	return day <= days[month] + (uint32_t)(month == 2 && leap);
}

int64_t temporal_days(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t y = year + 400 - (month <= 2), m = month <= 2 ? month + 9 : month - 3;
	uint32_t in_year = (153 * m + 2) / 5 + day - 1;

	/* 719468 days from 0000-03-01 to 1970-01-01, and the 400 years that keep y positive */
	return (int64_t)(y * 365 + y / 4 - y / 100 + y / 400 + in_year) - 719468 - 146097;
}

bool temporal_number(uint8_t type, const struct temporal *t, int64_t *ret_number)
{
	int64_t us;

	if (t->minute > 59 || t->second > 59 || t->micros > 999999)
		return false;
	us = ((int64_t)t->hour * 3600 + t->minute * 60 + t->second) * 1000000 + t->micros;
	if (temporal_is_time(type)) {
		*ret_number = t->negative ? -us : us;
		return t->hour <= 838;
	}
	if (t->hour > 23 || !temporal_date_exists(t->year, t->month, t->day))
		return false;
	*ret_number = temporal_days(t->year, t->month, t->day);
	if (type != COLUMN_DATE)
		*ret_number = *ret_number * DAY_US + us;
	return true;
}

/* Year, month and day of a day number (civil calendar, in eras of 400 years). */
static bool set_date(int64_t days, struct temporal *t)
{
	int64_t z, era, day_of_era, year_of_era, day_of_year, shifted, year;

	if (days < -800000 || days > 3000000)
		return false;
	z = days + 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	day_of_era = z - era * 146097;
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) /
		      365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	shifted = (5 * day_of_year + 2) / 153; /* months from March */
	t->day = (uint32_t)(day_of_year - (153 * shifted + 2) / 5 + 1);
	t->month = (uint32_t)(shifted < 10 ? shifted + 3 : shifted - 9);
	year = year_of_era + era * 400 + (t->month <= 2);
	t->year = (uint32_t)year;
	return year >= 0 && year <= 9999;
}

static void set_clock(int64_t us, struct temporal *t)
{
	t->micros = (uint32_t)(us % 1000000);
	t->second = (uint32_t)(us / 1000000 % 60);
	t->minute = (uint32_t)(us / 60000000 % 60);
	t->hour = (uint32_t)(us / INT64_C(3600000000));
}

static bool set_time(int64_t us, struct temporal *t)
{
	if (us < -839 * INT64_C(3600000000) || us > 839 * INT64_C(3600000000))
		return false;
	t->negative = us < 0;
	set_clock(us < 0 ? -us : us, t);
	return true;
}

static bool set_moment(int64_t us, struct temporal *t)
{
	int64_t rest = us % DAY_US, days = us / DAY_US - (rest < 0);

	set_clock(rest < 0 ? rest + DAY_US : rest, t);
	return set_date(days, t);
}

bool temporal_from_number(uint8_t type, int64_t number, struct temporal *ret_t)
{
	*ret_t = (struct temporal){ 0 };
	if (temporal_is_time(type))
		return set_time(number, ret_t);
	return type == COLUMN_DATE ? set_date(number, ret_t) : set_moment(number, ret_t);
}
