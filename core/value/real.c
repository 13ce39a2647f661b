/*
 * real.c - the fewest digits of a double, and how the servers lay them out.
 *
 * Digits come from the C library, rounded to a given number of them, and the fewest that read back
 * are taken. Fifteen always survive a way there and back, so what needs fewer is found by cutting
 * zeros off; only subnormal numbers, which have less precision, are tried from one digit on.
 *
 * One case needs care: below a power of two the doubles lie twice as close as above, so that the
 * nearest 16 digits may read back as the neighbour below while the next ones up read back as the
 * number itself. dtoa finds those, and so must we.
 */
#include "core/value/real.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SCIENTIFIC_MAX 32 /* -d.(16 digits)e-308 and the NUL */

/* 0.DIGITS * 10^point of "d.ddde+NN". */
static size_t take_digits(const char *text, char *digits, int *ret_point)
{
	size_t n = 0;

	for (; *text != 'e'; text++)
		if (*text != '.')
			digits[n++] = *text;
	*ret_point = (int)strtol(text + 1, NULL, 10) + 1;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
	return n;
}

/* The next number of as many digits, in place: 1.99e1 becomes 2.00e1. False where it would need a
 * digit more. */
static bool next_digits(char *text)
{
	char *p = strchr(text, 'e');

	while (p-- > text) {
		if (*p == '.')
			continue;
		if (*p != '9') {
			++*p;
			return true;
		}
		*p = '0';
	}
	return false;
}

static bool is_power_of_two(double v)
{
	int exponent;

	return frexp(v, &exponent) == 0.5;
}

size_t real_digits(double v, char ret_digits[REAL_DIGITS_MAX + 1], int *ret_point)
{
	double size = fabs(v);
	int first = size >= DBL_MIN ? DBL_DIG : 1;
	char text[SCIENTIFIC_MAX];

	assert(isfinite(v));
	for (int digits = first; digits <= REAL_DIGITS_MAX; digits++) {
		snprintf(text, sizeof(text), "%.*e", digits - 1, size);
		if (strtod(text, NULL) == size)
			break;
		if (is_power_of_two(size) && next_digits(text) && strtod(text, NULL) == size)
			break;
	}
	return take_digits(text, ret_digits, ret_point);
}

static char *put(char *to, const char *digits, size_t n)
{
	memcpy(to, digits, n);
	return to + n;
}

static char *put_zeros(char *to, int n)
{
	while (n-- > 0)
		*to++ = '0';
	return to;
}

/* d.ddde-NN */
static char *put_scientific(char *to, const char *digits, size_t n, int exponent)
{
	to = put(to, digits, 1);
	if (n > 1) {
		*to++ = '.';
		to = put(to, digits + 1, n - 1);
	}
	return to + snprintf(to, 6, "e%d", exponent);
}

size_t real_text(double v, char ret_text[REAL_TEXT_MAX])
{
	char digits[REAL_DIGITS_MAX + 1], *to = ret_text;
	int point;
	size_t n = real_digits(v, digits, &point);

	if (signbit(v))
		*to++ = '-';
	if (point <= -DBL_DIG || (point > DBL_DIG && (int)n <= point)) {
		to = put_scientific(to, digits, n, point - 1);
	} else if (point <= 0) {
		to = put(to, "0.", 2);
		to = put_zeros(to, -point);
		to = put(to, digits, n);
	} else if ((int)n <= point) {
		to = put(to, digits, n);
		to = put_zeros(to, point - (int)n);
	} else {
		to = put(to, digits, (size_t)point);
		*to++ = '.';
		to = put(to, digits + point, n - (size_t)point);
	}
	return (size_t)(to - ret_text);
}

void real_short_text(double v, bool single, char ret_text[REAL_TEXT_MAX])
{
	bool near_zero = fabs(v) < (single ? (double)FLT_MIN : DBL_MIN);
	int first = near_zero ? 1 : single ? FLT_DIG : DBL_DIG;

	assert(isfinite(v));
	for (int digits = first; digits <= REAL_DIGITS_MAX; digits++) {
		snprintf(ret_text, REAL_TEXT_MAX, "%.*g", digits, v);
		if (single ? strtof(ret_text, NULL) == (float)v : strtod(ret_text, NULL) == v)
			break;
	}
}

void real_put_json(double v, bool single, struct buf *out)
{
	char text[REAL_TEXT_MAX];

	if (!isfinite(v)) {
		buf_add_str(out, isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
		return;
	}
	real_short_text(v, single, text);
	buf_add_str(out, text);
}
