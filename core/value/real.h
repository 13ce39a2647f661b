/* real.h - floating-point numbers as the servers print them.
 *
 * Both servers use David Gay's dtoa (netlib, fp/dtoa.c) for the fewest digits that read back as the
 * same number, and lay them out by rules of their own (strings/dtoa.c, "my_gcvt"): plain notation
 * from 1e-15 on up to 1e15, and beyond as long as there are digits behind the point; else d.ddde-NN
 * without plus sign and leading zeros. */
#ifndef CORE_VALUE_REAL_H
#define CORE_VALUE_REAL_H

#include "core/base/buf.h"
#include "core/base/slice.h"

#define REAL_DIGITS_MAX 17
#define REAL_TEXT_MAX 40

/* The digits, without zeros at their end, and where the point stands: 0.DIGITS * 10^point. "0" and
 * point 1 for zero. The sign is left out. Returns their number. v must be finite. */
size_t real_digits(double v, char ret_digits[REAL_DIGITS_MAX + 1], int *ret_point);
/* As CAST(v AS CHAR) prints a DOUBLE, not terminated. Returns its size. v must be finite. */
size_t real_text(double v, char ret_text[REAL_TEXT_MAX]);
/* For people and JSON, terminated: C's "%g" with the fewest digits, from FLT_DIG or DBL_DIG on,
 * that read back as the same number (single: as the same float). Below the least normal number
 * fewer do. The same number has one text, whoever prints it. v must be finite. */
void real_short_text(double v, bool single, char ret_text[REAL_TEXT_MAX]);
/* Appends that, or "NaN", "Infinity", "-Infinity" in quotes: JSON has no numbers for them. */
void real_put_json(double v, bool single, struct buf *out);

#endif
