/* test_checksum.c - CRC32 against zlib's, for every size up to a few blocks, at every alignment, in
 * one piece and in two, and for large pieces. */
#include "unit.h"

#include "cdc/binlog/checksum.h"

#include <string.h>
#include <zlib.h>

static uint8_t bytes[1 << 16];

static void fill(void)
{
	unit_seed();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)unit_random64();
}

START_TEST(test_known)
{
	ck_assert_uint_eq(checksum_crc32(0, "123456789", 9), 0xcbf43926);
	ck_assert_uint_eq(checksum_crc32(0, "", 0), 0);
}
END_TEST

START_TEST(test_every_size)
{
	fill();
	for (size_t size = 0; size < 700; size++)
		for (size_t at = 0; at < 17; at++)
			ck_assert_uint_eq(checksum_crc32(0, bytes + at, size),
					  crc32_z(0, bytes + at, size));
}
END_TEST

START_TEST(test_in_pieces)
{
	fill();
	for (int n = 0; n < 3000; n++) {
		size_t from = unit_random_below(1000), size = unit_random_below(60000),
		       cut = size > 0 ? unit_random_below(size) : 0;
		uint32_t crc = checksum_crc32(0, bytes + from, cut);

		ck_assert_uint_eq(checksum_crc32(crc, bytes + from + cut, size - cut),
				  crc32_z(0, bytes + from, size));
	}
}
END_TEST

/* All zeros, and a single bit anywhere: what folding by a wrong constant would miss. */
START_TEST(test_single_bits)
{
	memset(bytes, 0, 512);
	for (size_t bit = 0; bit < 512 * 8; bit++) {
		bytes[bit / 8] = (uint8_t)(1u << bit % 8);
		ck_assert_uint_eq(checksum_crc32(0, bytes, 512), crc32_z(0, bytes, 512));
		bytes[bit / 8] = 0;
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("checksum");

	unit_test(s, test_known);
	unit_test(s, test_every_size);
	unit_test_slow(s, test_in_pieces, 60);
	unit_test(s, test_single_bits);
	return unit_run(s);
}
