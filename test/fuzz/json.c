/* json.c - for the targets whose code under test writes JSON: jansson must read it. Its integers
 * have 64 bits, those of a document need not. */
#include "test/fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>

/* jansson knows no NUL in a key, JSON does: it gets another character there. */
static void replace_nul(struct buf *b)
{
	uint8_t *at = b->data;

	while (at != NULL &&
	       (at = memmem(at, b->size - (size_t)(at - b->data), "\\u0000", 6)) != NULL)
		at[5] = '1';
}

void fuzz_check_json(struct slice text)
{
	struct buf copy = BUF_INIT;
	json_error_t why;
	json_t *read;

	buf_add_slice(&copy, text);
	replace_nul(&copy);
	read = json_loadb((const char *)copy.data, copy.size,
			  JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &why);
	fuzz_check(read != NULL, "%s at byte %d of '%.*s'", why.text, why.position, (int)text.size,
		   text.data);
	json_decref(read);
	buf_done(&copy);
}
