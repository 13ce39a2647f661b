/* field_write.c - checked conversion of a generic value to a declared Avro type. Nothing is rounded
 * or cut: a value that the type can't hold is refused, and the publisher decides what becomes of
 * the row. Not on the hot path: columns whose type is the field's are copied by their encode
 * function instead. */
#include "cdc/publish/field_write.h"

#include "core/avro/write.h"
#include "core/value/real.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool field_write_accepts(const struct schema *type)
{
	if (type->logical != NULL && strcmp(type->logical, "decimal") == 0)
		return false;
	switch (type->type) {
	case SCHEMA_BOOLEAN:
	case SCHEMA_INT:
	case SCHEMA_LONG:
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
	case SCHEMA_BYTES:
	case SCHEMA_STRING:
		return true;
	case SCHEMA_NULL:
	case SCHEMA_RECORD:
	case SCHEMA_ENUM:
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
	case SCHEMA_UNION:
	case SCHEMA_FIXED:
		return false;
	}
	return false;
}

/* Whole number of a value, if it is one. */
static bool whole(const struct value *v, int64_t *ret_whole)
{
	if (v->kind == VALUE_INT) {
		*ret_whole = v->i;
		return true;
	}
	if (v->kind == VALUE_DOUBLE && v->d >= -9.2e18 && v->d <= 9.2e18 && floor(v->d) == v->d) {
		*ret_whole = (int64_t)v->d;
		return true;
	}
	return false;
}

static int write_whole(const struct schema *type, const struct value *v, struct buf *out)
{
	bool millis = type->logical != NULL && strstr(type->logical, "-millis") != NULL;
	int64_t n;

	if (!whole(v, &n))
		return -1;
	if (millis)
		n = n / 1000 - (n % 1000 < 0);
	if (type->type == SCHEMA_INT && (n < INT32_MIN || n > INT32_MAX))
		return -1;
	write_long(out, n);
	return 0;
}

/* A number as the source prints it. */
static int write_text(const struct value *v, struct buf *out)
{
	char number[REAL_TEXT_MAX];

	if (v->kind == VALUE_TEXT) {
		write_slice(out, v->bytes);
		return 0;
	}
	if (v->kind == VALUE_INT) {
		snprintf(number, sizeof(number), "%lld", (long long)v->i);
		write_str(out, number);
		return 0;
	}
	if (v->kind != VALUE_DOUBLE || !isfinite(v->d))
		return -1;
	write_slice(out, slice_of(number, real_text(v->d, number)));
	return 0;
}

static int write_real(const struct schema *type, const struct value *v, struct buf *out)
{
	double d = v->kind == VALUE_INT ? (double)v->i : v->d;

	if (v->kind != VALUE_INT && v->kind != VALUE_DOUBLE)
		return -1;
	if (v->kind == VALUE_INT && (d >= 0x1p63 || (int64_t)d != v->i))
		return -1;
	if (type->type == SCHEMA_FLOAT && isfinite(d) && (double)(float)d != d)
		return -1;
	if (type->type == SCHEMA_FLOAT)
		write_float(out, (float)d);
	else
		write_double(out, d);
	return 0;
}

int field_write(const struct schema *type, const struct value *v, struct buf *out)
{
	switch (type->type) {
	case SCHEMA_BOOLEAN:
		if (v->kind != VALUE_INT || v->i < 0 || v->i > 1)
			return -1;
		write_bool(out, v->i == 1);
		return 0;
	case SCHEMA_INT:
	case SCHEMA_LONG:
		return write_whole(type, v, out);
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		return write_real(type, v, out);
	case SCHEMA_STRING:
		return write_text(v, out);
	case SCHEMA_BYTES:
		if (v->kind != VALUE_BYTES && v->kind != VALUE_TEXT)
			return -1;
		write_slice(out, v->bytes);
		return 0;
	case SCHEMA_NULL:
	case SCHEMA_RECORD:
	case SCHEMA_ENUM:
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
	case SCHEMA_UNION:
	case SCHEMA_FIXED:
		return -1;
	}
	return -1;
}
