/* charset_table.h - character sets that need a table: code to character and back.
 *
 * The tables are real servers' own answers (scripts/charsets), packed in charset_tables.gen.h. They
 * are unpacked when the first of these sets is met, once, for all of them: about 600 kB. Safe from
 * any thread. */
#ifndef CORE_VALUE_CHARSET_TABLE_H
#define CORE_VALUE_CHARSET_TABLE_H

#include "core/value/charset.h"

struct charset_table;

/* NULL: a set without a table (Unicode in some form, binary, or not known). */
const struct charset_table *charset_table(enum charset charset);
/* Bytes below 0x80 are ASCII in it (in all but swe7 and a few others). */
bool charset_table_is_ascii(const struct charset_table *t);
/* The character of the code at p, of which `left` bytes follow (at least one). Returns the code's
 * size, or 0 when there is no such code. */
size_t charset_table_read(const struct charset_table *t, const uint8_t *p, size_t left,
			  uint32_t *ret_character);
/* The code of a character, at most 4 bytes; of several the lowest. Returns its size, or 0. */
size_t charset_table_write(const struct charset_table *t, uint32_t character, uint8_t ret_code[4]);
/* Two codes of it are one character, so that a code may not come back as it was. */
bool charset_table_is_ambiguous(const struct charset_table *t);

#endif
