/* charset.h - character sets of columns, and their way into UTF-8.
 *
 * The tables are those of MariaDB 10.11 (information_schema.COLLATIONS and
 * COLLATION_CHARACTER_SET_APPLICABILITY): the id of a collation says which character set the bytes
 * are in. MySQL's "latin1" is Windows-1252 with the five bytes that this one leaves undefined
 * mapped to the control characters of the same number. Sets that are known but not converted are
 * refused by name; an id that isn't known is refused by number. */
#ifndef CORE_VALUE_CHARSET_H
#define CORE_VALUE_CHARSET_H

#include "core/base/buf.h"

enum charset {
	CHARSET_UNKNOWN,
	CHARSET_BINARY,
	CHARSET_ASCII,
	CHARSET_LATIN1,
	CHARSET_UTF8MB3,
	CHARSET_UTF8MB4,
	CHARSET_UCS2,
	CHARSET_UTF16,
	CHARSET_UTF16LE,
	CHARSET_UTF32,
	CHARSET_OTHER, /* known by name, not converted */
};

/* Character set of a collation id. */
enum charset charset_of(uint16_t collation);
/* NULL when text of this collation can be converted, else why not, e.g. "character set gbk is not
 * supported yet". */
const char *charset_refused(uint16_t collation);

/* Valid UTF-8 as the Unicode standard defines it (no surrogates, no overlong forms); `mb3`: at most
 * three bytes each. */
bool charset_utf8_valid(const uint8_t *text, size_t size, bool mb3);
/* Appends `text` in UTF-8. False, with nothing appended, when a byte or unit is not valid in the
 * character set. BINARY is taken as it is, unchecked. OTHER and UNKNOWN give false. */
bool charset_to_utf8(enum charset charset, struct slice text, struct buf *out);
/* The way back: appends UTF-8 text in the character set. False, with nothing appended, when it is
 * no valid UTF-8 or a character has no place there. What charset_to_utf8() made comes back byte for
 * byte. */
bool charset_from_utf8(enum charset charset, struct slice text, struct buf *out);
/* `size` without the trailing blanks that a CHAR column loses in storage. */
size_t charset_trim(enum charset charset, const uint8_t *text, size_t size);

#endif
