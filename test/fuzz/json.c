/* json.c - for the targets whose code under test writes JSON: jansson must read it. Its integers
 * have 64 bits, those of a document need not. */
#include "test/fuzz/fuzz.h"

#include <jansson.h>

void fuzz_check_json(struct slice text)
{
	json_error_t why;
	json_t *read = json_loadb((const char *)text.data, text.size,
				  JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);

	fuzz_check(read != NULL, "%s at byte %d of '%.*s'", why.text, why.position, (int)text.size,
		   text.data);
	json_decref(read);
}
