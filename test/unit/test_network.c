/* test_network.c - UUID, INET4 and INET6 as MariaDB 10.11 printed them. */
#include "unit.h"

#include "core/value/network.h"

#include <string.h>

/* text, and its bytes as a row image has them: without zeros at the end */
static const struct {
	uint8_t type, size_max;
	const char *text, *stored;
	uint32_t size;
} said[] = {
	{ COLUMN_INET6, 16, "::", "", 0 },
	{ COLUMN_INET6, 16, "1::", "\0\1", 2 },
	{ COLUMN_INET6, 16, "::1", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16 },
	{ COLUMN_INET6, 16, "::1.2.3.4", "\0\0\0\0\0\0\0\0\0\0\0\0\1\2\3\4", 16 },
	{ COLUMN_INET6, 16, "::ffff:1.2.3.4", "\0\0\0\0\0\0\0\0\0\0\377\377\1\2\3\4", 16 },
	{ COLUMN_INET6, 16, "1:2:3:4:5:6:7::", "\0\1\0\2\0\3\0\4\0\5\0\6\0\7", 14 },
	{ COLUMN_INET6, 16, "::2:3:4:5:6:7:8", "\0\0\0\2\0\3\0\4\0\5\0\6\0\7\0\10", 16 },
	{ COLUMN_INET6, 16, "1::3:4:5:6:7:0", "\0\1\0\0\0\3\0\4\0\5\0\6\0\7", 14 },
	{ COLUMN_INET6, 16, "1:0:3::6:7:8", "\0\1\0\0\0\3\0\0\0\0\0\6\0\7\0\10", 16 },
	{ COLUMN_INET4, 4, "10.0.0.0", "\12", 1 },
	{ COLUMN_UUID, 16, "01234567-89ab-7def-8123-000000000000",
	  "\x01\x23\x45\x67\x89\xab\x7d\xef\x81\x23", 10 },
};

START_TEST(test_text)
{
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct column c = { .type = said[i].type, .size_max = said[i].size_max };
		struct cell cell = { (const uint8_t *)said[i].stored, said[i].size, CELL_VALUE };
		char text[NETWORK_TEXT_MAX];
		uint8_t bytes[NETWORK_BYTES_MAX];
		size_t size = network_text(&c, &cell, text);

		ck_assert_msg(slice_is(slice_of((const uint8_t *)text, size), said[i].text),
			      "%s is printed as %.*s", said[i].text, (int)size, text);
		ck_assert(network_parse(&c, slice_str(said[i].text), bytes));
		ck_assert(memcmp(bytes, cell.data, cell.size) == 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("network");

	unit_test(s, test_text);
	return unit_run(s);
}
