/* quote.c - JSON strings (RFC 8259, section 7).
 *
 * The result is legal JSON whatever comes in: control characters are written as \uXXXX, and each
 * byte that is not part of a well-formed UTF-8 sequence (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF) becomes U+FFFD. */
#include "core/base/quote.h"

/* Length of the well-formed UTF-8 sequence at s, 0 when there is none. */
static size_t sequence(const uint8_t *s, size_t left)
{
	size_t n = s[0] < 0x80                   ? 1
		   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		   : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		   : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						 : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void add_ascii(struct buf *out, uint8_t c)
{
	static const char short_forms[] = "\bb\ff\nn\rr\tt\"\"\\\\";

	for (size_t i = 0; i + 1 < sizeof(short_forms); i += 2)
		if (c == (uint8_t)short_forms[i]) {
			buf_add_u8(out, '\\');
			buf_add_u8(out, (uint8_t)short_forms[i + 1]);
			return;
		}
	if (c < 0x20 || c == 0x7f)
		buf_add_format(out, "\\u%04x", c);
	else
		buf_add_u8(out, c);
}

void quote_json(struct buf *out, struct slice text)
{
	buf_add_u8(out, '"');
	for (size_t i = 0; i < text.size;) {
		size_t n = sequence(text.data + i, text.size - i);

		if (n == 0)
			buf_add_str(out, "\xef\xbf\xbd");
		else if (n == 1)
			add_ascii(out, text.data[i]);
		else
			buf_add(out, text.data + i, n);
		i += n != 0 ? n : 1;
	}
	buf_add_u8(out, '"');
}

void quote_json_key(struct buf *out, const char *key)
{
	uint8_t last = out->size != 0 ? out->data[out->size - 1] : '{';

	if (last != '{' && last != '[')
		buf_add_u8(out, ',');
	quote_json(out, slice_str(key));
	buf_add_u8(out, ':');
}
