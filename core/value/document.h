/* document.h - cells of MySQL's JSON columns.
 *
 * The binlog has the binary form (json_binary.h). The first copy has the server's text, and a
 * record read back has nothing else either; no binary form could be made of it, which says more
 * than the text does. So a cell that was made of text holds the text, behind a byte that no binary
 * form begins with. */
#ifndef CORE_VALUE_DOCUMENT_H
#define CORE_VALUE_DOCUMENT_H

#include "core/value/row.h"

#define DOCUMENT_IS_TEXT 0xff

/* Appends the text as the server prints it. False, with nothing appended: no such value. */
bool document_text(const struct column *column, const struct cell *cell, struct buf *out);

#endif
