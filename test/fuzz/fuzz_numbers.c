/* fuzz_numbers.c - stored numbers, dates and addresses into text and back (core/value/real.c,
 * decimal.c, temporal.c, network.c; core/avro/decode_decimal.c). Input: eight bytes that are a
 * double, then two that choose precision and scale, then stored bytes. */
#include "test/fuzz/fuzz.h"

#include "core/avro/decode.h"
#include "core/value/decimal.h"
#include "core/value/network.h"
#include "core/value/real.h"
#include "core/value/temporal.h"

#include <math.h>
#include <string.h>

static void check_real(double v)
{
	char text[REAL_TEXT_MAX + 1], digits[REAL_DIGITS_MAX + 1];
	size_t size;
	int point;

	if (!isfinite(v))
		return;
	size = real_text(v, text);
	fuzz_check(size > 0 && size <= REAL_TEXT_MAX, "%zu", size);
	text[size] = '\0';
	fuzz_check(strtod(text, NULL) == v, "%s is not %a", text, v);
	size = real_digits(v, digits, &point);
	fuzz_check(size >= 1 && size <= REAL_DIGITS_MAX, "%zu digits", size);
}

static void check_decimal(uint8_t precision, uint8_t scale, struct slice packed)
{
	uint8_t bytes[DECIMAL_BYTES_MAX], back[DECIMAL_PACKED_MAX];
	size_t need = decimal_packed_size(precision, scale), n, size;
	char text[DECIMAL_TEXT_MAX];
	struct buf out = BUF_INIT;

	fuzz_check(need <= DECIMAL_PACKED_MAX, "%zu", need);
	if (packed.size < need)
		return;
	n = decimal_to_bytes(packed.data, precision, scale, bytes);
	size = decimal_to_text(packed.data, precision, scale, text);
	fuzz_check((n == 0) == (size == 0), "%zu and %zu", n, size);
	if (n == 0)
		return;
	fuzz_check(decode_decimal(slice_of(bytes, n), scale, &out), "two's complement");
	fuzz_check_same(buf_slice(&out), slice_of(text, size));
	fuzz_check(decimal_from_text(slice_of(text, size), precision, scale, back), "'%.*s'",
		   (int)size, text);
	buf_reset(&out);
	buf_add(&out, text, size);
	size = decimal_to_text(back, precision, scale, text);
	fuzz_check_same(buf_slice(&out), slice_of(text, size));
	buf_done(&out);
}

static void check_temporal(uint8_t type, uint8_t fraction, struct slice stored)
{
	struct column c = { .type = type, .fraction = fraction };
	struct cell cell = { stored.data, (uint32_t)temporal_size(&c), CELL_VALUE };
	char text[TEMPORAL_TEXT_MAX];
	struct buf out = BUF_INIT;
	struct temporal t, back;
	int64_t number;
	size_t size;

	if (stored.size < cell.size || !temporal_from_cell(&c, &cell, &t))
		return;
	(void)temporal_number(type, &t, &number);
	size = temporal_text(type, &t, fraction, text);
	fuzz_check(size > 0 && size <= TEMPORAL_TEXT_MAX, "%zu", size);
	if (temporal_number(type, &t, &number) &&
	    temporal_parse(type, slice_of(text, size), &back)) {
		fuzz_check(temporal_store(&c, &back, &out), "'%.*s' as type %u", (int)size, text,
			   type);
		fuzz_check_same(buf_slice(&out), slice_of(cell.data, cell.size));
	}
	buf_done(&out);
}

static void check_address(uint8_t type, uint8_t bytes, struct slice stored)
{
	struct column c = { .type = type, .size_max = bytes };
	uint8_t back[NETWORK_BYTES_MAX];
	char text[NETWORK_TEXT_MAX];
	size_t size;

	if (stored.size > bytes)
		stored.size = bytes;
	size = network_text(&c, &(struct cell){ stored.data, (uint32_t)stored.size, CELL_VALUE },
			    text);
	fuzz_check(size > 0 && size <= NETWORK_TEXT_MAX, "%zu", size);
	fuzz_check(network_parse(&c, slice_of(text, size), back), "'%.*s'", (int)size, text);
	for (size_t i = 0; i < bytes; i++)
		fuzz_check(back[i] == (i < stored.size ? stored.data[i] : 0), "'%.*s'", (int)size,
			   text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t temporals[] = { COLUMN_DATE,      COLUMN_TIME,  COLUMN_DATETIME,
					     COLUMN_TIMESTAMP, COLUMN_TIME2, COLUMN_DATETIME2,
					     COLUMN_TIMESTAMP2 };
	uint8_t precision, scale, back[NETWORK_BYTES_MAX];
	struct slice eight, rest;
	double v;

	fuzz_input = rd_of(data, size);
	eight = rd_bytes(&fuzz_input, 8);
	if (eight.size == 8) {
		memcpy(&v, eight.data, 8);
		check_real(v);
	}
	precision = (uint8_t)(1 + fuzz_pick(65));
	scale = (uint8_t)fuzz_pick(precision < 38 ? precision + 1u : 39u);
	rest = rd_rest(&fuzz_input);
	check_decimal(precision, scale, rest);
	for (size_t i = 0; i < sizeof(temporals); i++)
		check_temporal(temporals[i], temporals[i] >= COLUMN_TIMESTAMP2 ? scale % 7 : 0,
			       rest);
	check_address(COLUMN_UUID, 16, rest);
	check_address(COLUMN_INET4, 4, rest);
	check_address(COLUMN_INET6, 16, rest);
	for (uint8_t type = COLUMN_UUID; type <= COLUMN_INET6; type++)
		(void)network_parse(
			&(struct column){ .type = type, .size_max = type == COLUMN_INET4 ? 4 : 16 },
			rest, back);
	return 0;
}
