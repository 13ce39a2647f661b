/* fuzz_json_diff.c - changes to a part of a JSON value (core/value/json_binary_apply.c): of a value
 * that is one, the outcome is one. Input: a part with the value, then the changes. */
#include "test/fuzz/fuzz.h"

#include "core/value/json_binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf after = BUF_INIT, text = BUF_INIT;
	struct slice before, diffs;
	struct err e = ERR_INIT;
	bool valid;

	fuzz_input = rd_of(data, size);
	before = fuzz_part();
	diffs = rd_rest(&fuzz_input);
	valid = json_binary_text(before, &text, &e) == 0;
	buf_reset(&text);
	err_clear(&e);
	if (json_binary_apply(before, diffs, &after, &e) < 0) {
		fuzz_check(after.size == 0, "refused, but appended");
		fuzz_check_error(&e, ERR_DATA);
	} else if (json_binary_text(buf_slice(&after), &text, &e) == 0) {
		fuzz_check_json(buf_slice(&text));
	} else {
		fuzz_check(!valid, "of a value that is one: %s", e.msg);
	}
	buf_done(&after);
	buf_done(&text);
	return 0;
}
