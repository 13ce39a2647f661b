/*
 * network.c - UUID, INET4 and INET6 in text.
 *
 * As MariaDB prints them: small letters, the first of the longest runs of zeros as "::", also where
 * that is a single one (inet_ntop() prints it as 0), IPv4 within IPv6 with points.
 */
#include "core/value/network.h"
#include "core/base/hex.h"

#include <arpa/inet.h>
#include <stdio.h>

#define WORDS 8

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

/* Words begin .. begin + count - 1 are zero, the first of the longest runs; count 0: none is. */
struct gap {
	size_t begin, count;
};

static struct gap longest_gap(const uint16_t *words)
{
	struct gap best = { 0, 0 };

	for (size_t i = 0, run = 0; i < WORDS; i++) {
		run = words[i] == 0 ? run + 1 : 0;
		if (run > best.count)
			best = (struct gap){ i + 1 - run, run };
	}
	return best;
}

static size_t inet6_text(const uint8_t *bytes, char *to)
{
	uint16_t words[WORDS];
	struct gap gap;
	size_t n = 0;

	for (size_t i = 0; i < WORDS; i++)
		words[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
	gap = longest_gap(words);
	for (size_t i = 0; i < WORDS; i++) {
		if (gap.count > 0 && i == gap.begin) {
			n += (size_t)snprintf(to + n, NETWORK_TEXT_MAX - n, i == 0 ? "::" : ":");
			i += gap.count - 1;
		} else if (i == 6 && gap.begin == 0 &&
			   (gap.count == 6 || (gap.count == 5 && words[5] == 0xffff))) {
			return n + (size_t)snprintf(to + n, NETWORK_TEXT_MAX - n, "%u.%u.%u.%u",
						    bytes[12], bytes[13], bytes[14], bytes[15]);
		} else {
			n += (size_t)snprintf(to + n, NETWORK_TEXT_MAX - n, "%x%s", words[i],
					      i + 1 < WORDS ? ":" : "");
		}
	}
	return n;
}

size_t network_text(const struct column *column, const struct cell *cell,
		    char ret_text[NETWORK_TEXT_MAX])
{
	uint8_t bytes[NETWORK_BYTES_MAX] = { 0 };

	if (cell->size > column->size_max || column->size_max > NETWORK_BYTES_MAX)
		return 0;
	if (cell->size > 0)
		memcpy(bytes, cell->data, cell->size);
	if (column->type == COLUMN_UUID)
		return uuid_text(bytes, ret_text);
	if (column->type == COLUMN_INET6)
		return inet6_text(bytes, ret_text);
	return inet_ntop(AF_INET, bytes, ret_text, NETWORK_TEXT_MAX) != NULL ? strlen(ret_text) : 0;
}

static bool parse_uuid(struct slice text, uint8_t *bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < text.size; i++) {
		int digit = hex_value(text.data[i]);

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
