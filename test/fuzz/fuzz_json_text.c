/* fuzz_json_text.c - MySQL's binary JSON (core/value/json_binary*.c): what is taken is printed as
 * text that is JSON, and nothing is printed of what is refused. */
#include "test/fuzz/fuzz.h"

#include "core/value/json_binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT, old = BUF_INIT;
	struct slice binary = slice_of(data, size);
	struct err e = ERR_INIT;
	int rc, rc_5_7;

	buf_add_str(&text, "x");
	rc = json_binary_text(binary, &text, &e);
	rc_5_7 = json_binary_text_5_7(binary, &old, &e);
	fuzz_check(rc == rc_5_7, "%d, as 5.7: %d", rc, rc_5_7);
	fuzz_check(text.data[0] == 'x', "it was not appended");
	if (rc < 0) {
		fuzz_check(text.size == 1 && old.size == 0, "refused, but printed");
		fuzz_check_error(&e, ERR_DATA);
	} else {
		fuzz_check_json(slice_of(text.data + 1, text.size - 1));
	}
	buf_done(&text);
	buf_done(&old);
	return 0;
}
