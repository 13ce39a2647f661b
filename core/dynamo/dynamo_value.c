/* dynamo_value.c - values as DynamoDB's attributes.
 *
 * A number travels as text with up to 38 significant digits between 1E-130 and 9.99E+125; so
 * integers, decimals and unsigned 64-bit numbers keep every digit. Nothing is rounded or cut: what
 * does not fit its declared type is refused. */
#include "core/dynamo/dynamo_value.h"

#include "core/base/quote.h"
#include "core/value/charset.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define DIGITS_MAX 38
#define EXPONENT_MIN (-130)
#define EXPONENT_MAX 125

static const struct {
	const char *name, *letter;
} types[] = {
	[DYNAMO_STRING] = { "string", "S" },
	[DYNAMO_NUMBER] = { "number", "N" },
	[DYNAMO_BINARY] = { "binary", "B" },
};

const char *dynamo_type_name(enum dynamo_type type)
{
	return types[type].name;
}

const char *dynamo_type_letter(enum dynamo_type type)
{
	return types[type].letter;
}

/* ---- base64 ---------------------------------------------------------------------------------- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void dynamo_base64_write(struct slice bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.size; i += 3) {
		size_t n = bytes.size - i < 3 ? bytes.size - i : 3;
		uint32_t v = (uint32_t)bytes.data[i] << 16;

		v |= n > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
		v |= n > 2 ? bytes.data[i + 2] : 0u;
		buf_add_u8(out, (uint8_t)alphabet[v >> 18]);
		buf_add_u8(out, (uint8_t)alphabet[v >> 12 & 63]);
		buf_add_u8(out, n > 1 ? (uint8_t)alphabet[v >> 6 & 63] : '=');
		buf_add_u8(out, n > 2 ? (uint8_t)alphabet[v & 63] : '=');
	}
}

static int base64_value(uint8_t c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

bool dynamo_base64_read(struct slice text, struct buf *out)
{
	if (text.size % 4 != 0)
		return false;
	for (size_t i = 0; i < text.size; i += 4) {
		bool last = i + 4 == text.size;
		int pad = !last ? 0 : (text.data[i + 3] == '=') + (text.data[i + 2] == '=');
		uint32_t v = 0;

		for (int k = 0; k < 4; k++) {
			int six = k >= 4 - pad ? 0 : base64_value(text.data[i + (size_t)k]);

			if (six < 0)
				return false;
			v = v << 6 | (uint32_t)six;
		}
		buf_add_u8(out, (uint8_t)(v >> 16));
		if (pad < 2)
			buf_add_u8(out, (uint8_t)(v >> 8));
		if (pad < 1)
			buf_add_u8(out, (uint8_t)v);
	}
	return true;
}

/* ---- numbers --------------------------------------------------------------------------------- */

struct number {
	struct slice mantissa; /* from the first digit that isn't zero; may hold a '.' */
	size_t digits;         /* significant ones: up to the last that isn't zero */
	long exponent;         /* of the first of them, as in d.ddd * 10^exponent */
	bool negative, good;
};

static size_t scan_mantissa(struct slice text, size_t i, struct number *n, bool *ret_any)
{
	size_t zeros = 0, start = 0;
	long point = 0;
	bool behind = false;

	for (; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
		uint8_t c = text.data[i];

		if (c == '.' && !behind) {
			behind = true;
			continue;
		}
		if (c < '0' || c > '9')
			break;
		*ret_any = true;
		if (n->digits == 0 && c == '0') {
			point -= behind;
			continue;
		}
		start = n->digits == 0 ? i : start;
		point += !behind;
		zeros = c == '0' ? zeros + 1 : 0;
		n->digits++;
	}
	n->mantissa = slice_of(text.data + start, n->digits > 0 ? i - start : 0);
	n->digits -= n->digits > 0 ? zeros : 0;
	n->exponent = point - 1;
	return i;
}

/* [sign] digits [. digits] [e [sign] digits] */
static struct number scan_number(struct slice text)
{
	struct number n = { .good = false };
	bool any = false, minus = false, power_digits = true;
	size_t i = 0;
	long power = 0;

	if (i < text.size && (text.data[i] == '-' || text.data[i] == '+'))
		n.negative = text.data[i++] == '-';
	i = scan_mantissa(text, i, &n, &any);
	if (i < text.size && (text.data[i] == 'e' || text.data[i] == 'E')) {
		power_digits = false;
		if (++i < text.size && (text.data[i] == '-' || text.data[i] == '+'))
			minus = text.data[i++] == '-';
		for (; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
			power = power < 100000 ? power * 10 + (text.data[i] - '0') : power;
			power_digits = true;
		}
	}
	n.exponent += minus ? -power : power;
	n.good = any && power_digits && i == text.size;
	return n;
}

/* The significant digits, without the point. */
static void add_digits(const struct number *n, struct buf *out)
{
	size_t left = n->digits;

	for (size_t i = 0; i < n->mantissa.size && left > 0; i++) {
		if (n->mantissa.data[i] == '.')
			continue;
		buf_add_u8(out, n->mantissa.data[i]);
		left--;
	}
}

/* Sign, exponent and digits, so that bytes compare as numbers do: all of them turned around for
 * negative ones. An end below every digit makes 1 less than 12. */
bool dynamo_number_sort(struct slice text, struct buf *out)
{
	struct number n = scan_number(text);
	size_t at = out->size;
	unsigned biased;

	if (n.good && n.digits == 0) { /* whatever its exponent */
		buf_add_u8(out, 1);
		return true;
	}
	if (!n.good || n.exponent < -10000 || n.exponent > 10000)
		return false;
	biased = (unsigned)(n.exponent + 20000);
	buf_add_u8(out, 2);
	buf_add_u8(out, (uint8_t)(biased >> 8));
	buf_add_u8(out, (uint8_t)biased);
	add_digits(&n, out);
	buf_add_u8(out, 0);
	for (size_t i = at; n.negative && i < out->size; i++)
		out->data[i] = i == at ? 0 : (uint8_t)~out->data[i];
	return true;
}

/* One text for one number, so that equal keys are equal texts. */
static void add_number(const struct number *n, struct buf *out)
{
	char power[16];
	size_t first;

	if (n->digits == 0) {
		buf_add_u8(out, '0');
		return;
	}
	if (n->negative)
		buf_add_u8(out, '-');
	first = out->size;
	add_digits(n, out);
	if (n->exponent >= (long)n->digits - 1 && n->exponent < DIGITS_MAX) {
		for (long i = (long)n->digits - 1; i < n->exponent; i++)
			buf_add_u8(out, '0');
		return;
	}
	if (n->digits > 1) { /* d.ddd */
		buf_add_u8(out, '0');
		memmove(out->data + first + 2, out->data + first + 1, n->digits - 1);
		out->data[first + 1] = '.';
	}
	if (n->exponent != 0) {
		snprintf(power, sizeof(power), "E%ld", n->exponent);
		buf_add_str(out, power);
	}
}

static int put_number(struct buf *out, struct slice text, size_t *ret_size, struct err *e)
{
	struct number n = scan_number(text);

	if (!n.good)
		return err_data(e, "a text that is no number");
	if (n.digits > DIGITS_MAX)
		return err_data(e, "a number of %zu digits: DynamoDB keeps %d", n.digits,
				DIGITS_MAX);
	if (n.digits > 0 && (n.exponent < EXPONENT_MIN || n.exponent > EXPONENT_MAX))
		return err_data(e, "a number whose magnitude DynamoDB can't keep (10^%ld)",
				n.exponent);
	buf_add_str(out, "{\"N\":\"");
	add_number(&n, out);
	buf_add_str(out, "\"}");
	*ret_size = n.digits / 2 + 3;
	return 0;
}

static int put_as_number(struct buf *out, const struct value *v, size_t *ret_size, struct err *e)
{
	char digits[24];
	struct buf text = BUF_INIT;
	int n, rc;

	switch ((enum value_kind)v->kind) {
	case VALUE_INT:
		n = snprintf(digits, sizeof(digits), "%" PRId64, v->i);
		return put_number(out, slice_of(digits, (size_t)n), ret_size, e);
	case VALUE_DOUBLE:
		if (!isfinite(v->d))
			return err_data(e, "a number that is not finite");
		value_text(v, &text);
		rc = put_number(out, buf_slice(&text), ret_size, e);
		buf_done(&text);
		return rc;
	case VALUE_TEXT:
		return put_number(out, v->bytes, ret_size, e);
	case VALUE_BYTES:
		return err_data(e, "bytes, where a number is declared");
	case VALUE_ABSENT:
	case VALUE_NULL:
		break;
	}
	return err_fatal(e, "a value that isn't there was to be written");
}

/* ---- strings and bytes ----------------------------------------------------------------------- */

static int put_as_string(struct buf *out, const struct value *v, size_t *ret_size, struct err *e)
{
	char digits[24];
	struct slice text = v->bytes;

	if (v->kind == VALUE_INT)
		text = slice_of(digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, v->i));
	else if (v->kind == VALUE_DOUBLE)
		return err_data(e, "a floating-point number, where a string is declared");
	else if (v->kind != VALUE_TEXT || !charset_utf8_valid(text.data, text.size, false))
		return err_data(e, "bytes, where a string is declared");
	buf_add_str(out, "{\"S\":");
	quote_json(out, text);
	buf_add_u8(out, '}');
	*ret_size = text.size;
	return 0;
}

static int put_as_binary(struct buf *out, const struct value *v, size_t *ret_size, struct err *e)
{
	if (v->kind != VALUE_BYTES)
		return err_data(e, "%s, where binary is declared",
				v->kind == VALUE_TEXT ? "text" : "a number");
	buf_add_str(out, "{\"B\":\"");
	dynamo_base64_write(v->bytes, out);
	buf_add_str(out, "\"}");
	*ret_size = v->bytes.size;
	return 0;
}

int dynamo_value_write(struct buf *out, enum dynamo_type type, const struct value *v,
		       size_t *ret_size, struct err *e)
{
	switch (type) {
	case DYNAMO_STRING:
		return put_as_string(out, v, ret_size, e);
	case DYNAMO_NUMBER:
		return put_as_number(out, v, ret_size, e);
	case DYNAMO_BINARY:
		return put_as_binary(out, v, ret_size, e);
	}
	return err_fatal(e, "no such type");
}
