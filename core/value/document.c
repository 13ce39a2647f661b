/*
 * document.c - a JSON cell as text, from either form.
 *
 * Refuses text that isn't UTF-8; that it is JSON is the server's word.
 */
#include "core/value/document.h"

#include "core/value/charset.h"
#include "core/value/json_binary.h"

bool document_text(const struct column *column, const struct cell *cell, struct buf *out)
{
	struct slice bytes = slice_of(cell->data, cell->size);
	struct err e; /* filled on failure only, and then the caller knows enough */

	if (bytes.size > 0 && bytes.data[0] == DOCUMENT_IS_TEXT) {
		if (!charset_utf8_valid(bytes.data + 1, bytes.size - 1, false))
			return false;
		buf_add(out, bytes.data + 1, bytes.size - 1);
		return true;
	}
	return (column->json_5_7 ? json_binary_text_5_7(bytes, out, &e)
				 : json_binary_text(bytes, out, &e)) == 0;
}
