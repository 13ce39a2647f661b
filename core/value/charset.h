/* charset.h - character sets of columns, and their way into UTF-8.
 *
 * Every set that MySQL 5.6 to 9.7 and MariaDB 10.1 to 11.8 have. The id of a collation says which
 * set the bytes are in: ids and tables are those servers' own (scripts/charsets), and no id means
 * two sets. An id that isn't known is refused by number. */
#ifndef CORE_VALUE_CHARSET_H
#define CORE_VALUE_CHARSET_H

#include "core/base/buf.h"

enum charset {
	CHARSET_UNKNOWN,
	CHARSET_BINARY,
	CHARSET_ASCII,
	CHARSET_UTF8MB3,
	CHARSET_UTF8MB4,
	CHARSET_UCS2,
	CHARSET_UTF16,
	CHARSET_UTF16LE,
	CHARSET_UTF32,
	/* by table */
	CHARSET_BIG5,
	CHARSET_DEC8,
	CHARSET_CP850,
	CHARSET_HP8,
	CHARSET_KOI8R,
	CHARSET_LATIN1,
	CHARSET_LATIN2,
	CHARSET_SWE7,
	CHARSET_UJIS,
	CHARSET_SJIS,
	CHARSET_HEBREW,
	CHARSET_TIS620,
	CHARSET_EUCKR,
	CHARSET_KOI8U,
	CHARSET_GB2312,
	CHARSET_GREEK,
	CHARSET_CP1250,
	CHARSET_GBK,
	CHARSET_LATIN5,
	CHARSET_ARMSCII8,
	CHARSET_CP866,
	CHARSET_KEYBCS2,
	CHARSET_MACCE,
	CHARSET_MACROMAN,
	CHARSET_CP852,
	CHARSET_LATIN7,
	CHARSET_CP1251,
	CHARSET_CP1256,
	CHARSET_CP1257,
	CHARSET_GEOSTD8,
	CHARSET_CP932,
	CHARSET_EUCJPMS,
	CHARSET_GB18030,
	CHARSET_COUNT
};

/* Character set of a collation id. */
enum charset charset_of(uint16_t collation);
/* NULL when text of this collation can be converted, else why not. */
const char *charset_refused(uint16_t collation);

/* Valid UTF-8 as the Unicode standard defines it (no surrogates, no overlong forms); `mb3`: at most
 * three bytes each. */
bool charset_utf8_valid(const uint8_t *text, size_t size, bool mb3);
/* Appends `text` in UTF-8. False, with nothing appended, when a byte or unit is not valid in the
 * character set. BINARY is taken as it is, unchecked. UNKNOWN gives false. */
bool charset_to_utf8(enum charset charset, struct slice text, struct buf *out);
/* The way back: appends UTF-8 text in the character set. False, with nothing appended, when it is
 * no valid UTF-8 or a character has no place there. What charset_to_utf8() made comes back byte for
 * byte, but for sets in which two codes are the same character (charset_is_ambiguous). */
bool charset_from_utf8(enum charset charset, struct slice text, struct buf *out);
/* Two codes of it may be the same character: texts that differ in bytes may be equal. */
bool charset_is_ambiguous(enum charset charset);
/* `size` without the trailing blanks that a CHAR column loses in storage. */
size_t charset_trim(enum charset charset, const uint8_t *text, size_t size);

#endif
