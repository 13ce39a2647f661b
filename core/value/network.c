/*
 * network.c - UUID, INET4 and INET6 in text.
 *
 * The C library's inet_ntop() prints addresses as MariaDB does: small letters, the longest run of
 * zeros as "::", IPv4 within IPv6 with points. A test holds them against what a server printed.
 */
#include "core/value/network.h"

#include <arpa/inet.h>

static size_t uuid_text(const uint8_t *bytes, char *to)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			to[n++] = '-';
		to[n++] = digits[bytes[i] >> 4];
		to[n++] = digits[bytes[i] & 15];
	}
	return n;
}

size_t network_text(const struct column *column, const struct cell *cell,
		    char ret_text[NETWORK_TEXT_MAX])
{
	uint8_t bytes[NETWORK_BYTES_MAX] = { 0 };
	int family = column->type == COLUMN_INET4 ? AF_INET : AF_INET6;

	if (cell->size > column->size_max || column->size_max > NETWORK_BYTES_MAX)
		return 0;
	if (cell->size > 0)
		memcpy(bytes, cell->data, cell->size);
	if (column->type == COLUMN_UUID)
		return uuid_text(bytes, ret_text);
	return inet_ntop(family, bytes, ret_text, NETWORK_TEXT_MAX) != NULL ? strlen(ret_text) : 0;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_uuid(struct slice text, uint8_t *bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < text.size; i++) {
		int digit = hex_digit(text.data[i]);

		if (text.data[i] == '-' && n % 2 == 0)
			continue;
		if (digit < 0 || n == 32)
			return false;
		bytes[n / 2] = (uint8_t)(bytes[n / 2] << 4 | digit);
		n++;
	}
	return n == 32;
}

bool network_parse(const struct column *column, struct slice text,
		   uint8_t ret_bytes[NETWORK_BYTES_MAX])
{
	char copy[NETWORK_TEXT_MAX];

	memset(ret_bytes, 0, NETWORK_BYTES_MAX);
	if (text.size >= sizeof(copy))
		return false;
	if (column->type == COLUMN_UUID)
		return parse_uuid(text, ret_bytes);
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	return inet_pton(column->type == COLUMN_INET4 ? AF_INET : AF_INET6, copy, ret_bytes) == 1;
}
