/* network.h - MariaDB's UUID, INET4 and INET6: bytes and the text that the server prints.
 *
 * A row image holds them like BINARY: in the order in which they are written, without zero bytes at
 * their end. So the functions take fewer bytes than there are, and the rest is zero. */
#ifndef CORE_VALUE_NETWORK_H
#define CORE_VALUE_NETWORK_H

#include "core/value/row.h"

#define NETWORK_BYTES_MAX 16
#define NETWORK_TEXT_MAX 48

/* Of a column of one of the three types. Returns the size of the text, 0 when the cell has more
 * bytes than the type. */
size_t network_text(const struct column *column, const struct cell *cell,
		    char ret_text[NETWORK_TEXT_MAX]);
/* The way back, to all bytes of the type (size_max). UUIDs with or without hyphens, in any case. */
bool network_parse(const struct column *column, struct slice text,
		   uint8_t ret_bytes[NETWORK_BYTES_MAX]);

#endif
