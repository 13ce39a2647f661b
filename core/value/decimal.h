/* decimal.h - exact decimals: MySQL's packed form, text, and the two's complement that Avro wants.
 *
 * Packed form (MySQL source, strings/decimal.c, "decimal2bin"): the digits before and after the
 * point apart, in groups of nine, each group a big-endian integer of four bytes; a group with fewer
 * digits (the first before the point, the last after it) takes 0 1 1 2 2 3 3 4 4 bytes for 0 .. 8
 * digits. The first bit is inverted; a negative number has all bits inverted. Up to 65 digits. */
#ifndef CORE_VALUE_DECIMAL_H
#define CORE_VALUE_DECIMAL_H

#include "core/base/buf.h"

#define DECIMAL_DIGITS_MAX 65
#define DECIMAL_PACKED_MAX 32
#define DECIMAL_BYTES_MAX 28 /* two's complement of 65 digits: 216 bits and a sign */
#define DECIMAL_LOOSE_MAX 81 /* nine groups: MySQL 5.7 has zeros before the number in its JSON */
#define DECIMAL_TEXT_MAX (DECIMAL_LOOSE_MAX + 5)

/* Bytes of the packed form. */
size_t decimal_packed_size(uint8_t precision, uint8_t scale);
/* Unscaled value as two's complement, big-endian, as short as it gets
 * (java.math.BigInteger.toByteArray). Returns its size, at most DECIMAL_BYTES_MAX, or 0 when the
 * packed bytes are no decimal (a group out of its range). */
size_t decimal_to_bytes(const uint8_t *packed, uint8_t precision, uint8_t scale,
			uint8_t *ret_bytes);
/* The same for a plain number: 1 .. 9 bytes. */
size_t decimal_from_u64(uint64_t v, uint8_t *ret_bytes);
/* Text as the server prints it: "-0.50", no sign for zero. Returns its size, or 0 when it is no
 * decimal. precision: up to DECIMAL_LOOSE_MAX. */
size_t decimal_to_text(const uint8_t *packed, uint8_t precision, uint8_t scale, char *ret_text);
/* From the server's text (leading zeros of ZEROFILL are fine). False when it doesn't fit precision
 * and scale. */
bool decimal_from_text(struct slice text, uint8_t precision, uint8_t scale, uint8_t *ret_packed);

#endif
