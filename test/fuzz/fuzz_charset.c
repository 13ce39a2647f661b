/* fuzz_charset.c - every character set into UTF-8 and back (core/value/charset*.c). Input: two
 * bytes that choose a collation, then text. */
#include "test/fuzz/fuzz.h"

#include "core/value/charset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf utf8 = BUF_INIT, back = BUF_INIT, again = BUF_INIT;
	enum charset charset;
	struct slice text;

	fuzz_input = rd_of(data, size);
	charset = (enum charset)fuzz_pick(CHARSET_COUNT + 3); /* beyond: by the id of a collation */
	if (charset >= CHARSET_COUNT)
		charset = charset_of((uint16_t)fuzz_pick(65536));
	text = rd_rest(&fuzz_input);
	fuzz_check(charset_trim(charset, text.data, text.size) <= text.size, "longer");
	if (charset_to_utf8(charset, text, &utf8)) {
		fuzz_check(charset == CHARSET_BINARY ||
				   charset_utf8_valid(utf8.data, utf8.size, false),
			   "charset %d", (int)charset);
		if (charset != CHARSET_BINARY) {
			fuzz_check(charset_from_utf8(charset, buf_slice(&utf8), &back),
				   "charset %d: not back", (int)charset);
			if (!charset_is_ambiguous(charset))
				fuzz_check_same(text, buf_slice(&back));
			fuzz_check(charset_to_utf8(charset, buf_slice(&back), &again), "again");
			fuzz_check_same(buf_slice(&utf8), buf_slice(&again));
		}
	} else {
		fuzz_check(utf8.size == 0, "refused, but appended");
	}
	buf_reset(&utf8);
	buf_reset(&back);
	if (charset != CHARSET_BINARY && charset_from_utf8(charset, text, &back)) {
		fuzz_check(charset_utf8_valid(text.data, text.size, false), "it was no UTF-8");
		fuzz_check(charset_to_utf8(charset, buf_slice(&back), &utf8), "charset %d",
			   (int)charset);
		fuzz_check_same(text, buf_slice(&utf8));
	} else {
		fuzz_check(charset == CHARSET_BINARY || back.size == 0, "refused, but appended");
	}
	buf_done(&utf8);
	buf_done(&back);
	buf_done(&again);
	return 0;
}
