/* json_binary.h - MySQL's binary JSON (column type 245), and changes to a part of it.
 *
 * Format (MySQL source, sql-common/json_binary.h): a byte for the type, then the value. All numbers
 * are little-endian; "offset" is two bytes in the small form of a container and four in the large.
 *
 * clang-format off
 *   00 01   object, small and large
 *   02 03   array, small and large
 *             count       offset    number of members
 *             size        offset    bytes of all of it, from count on
 *             keys        objects: for each the offset of its text from `count` on, and 2 bytes of
 * size values      for each its type and an offset from `count` on - or, for literals, 16-bit
 *                         integers and (in the large form) 32-bit integers, the value itself
 *             key texts and values, which lie behind what points to them
 *           keys are sorted by size, then by bytes; free bytes may lie between the values
 *   04      literal: 00 null, 01 true, 02 false
 *   05 06   int16, uint16       07 08   int32, uint32       09 0a   int64, uint64
 *   0b      double
 *   0c      string: size (7 bits a byte, lowest first, the high bit: goes on), UTF-8
 *   0f      opaque: column type (1), size (as above), bytes; of type NEWDECIMAL: precision,
 *           scale, packed decimal; DATE, TIME, DATETIME, TIMESTAMP: a packed number of 8 bytes
 * clang-format on
 *
 * A value of no bytes at all is the literal null: the server stores that where it had to put
 * something into a NOT NULL column.
 *
 * Bytes are from outside: every offset is checked, values nest at most JSON_BINARY_DEPTH_MAX deep
 * (as on the server), and parts that are pointed to twice are refused, so that a small value never
 * becomes an endless text. */
#ifndef CORE_VALUE_JSON_BINARY_H
#define CORE_VALUE_JSON_BINARY_H

#include "core/base/buf.h"
#include "core/base/err.h"

#define JSON_BINARY_DEPTH_MAX 100
#define JSON_BINARY_DIFFS_MAX 65536 /* changes to one value in one row */

/* Appends the text that the server's CAST(... AS CHAR) prints, byte for byte. ERR_DATA: not a value
 * of this format; nothing was appended then. */
int json_binary_text(struct slice binary, struct buf *out, struct err *e);
/* The same as MySQL 5.7 prints it: doubles without a fraction have no ".0", and long opaque values
 * are broken into lines within their string, which is then no JSON. */
int json_binary_text_5_7(struct slice binary, struct buf *out, struct err *e);

/* Applies the changes that a PARTIAL_UPDATE_ROWS event holds for one value (MySQL source,
 * sql/json_diff.cc): `diffs` is what stands behind the four bytes of size. Appends the new value.
 *
 * Each change is an operation (1 byte: 0 replace, 1 insert, 2 remove), a path with its size before
 * it as length-encoded integer ("$.a[3]"), and, but for remove, a binary value with its size in the
 * same way.
 *
 * ERR_DATA: no such bytes, or a path that leads nowhere in `before`: it isn't the value that the
 * changes were made to. Nothing was appended then. */
int json_binary_apply(struct slice before, struct slice diffs, struct buf *ret_binary,
		      struct err *e);

#endif
