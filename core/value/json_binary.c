/*
 * json_binary.c - one step into MySQL's binary JSON: a value, a member, a key.
 *
 * Offsets lead forward only, and never out of the container that they stand in, whose own size is
 * within that of the one around it. So walking down always ends, whatever the bytes are; that parts
 * don't overlap is for the walker to see, which knows where it has been.
 */
#include "core/value/json_binary_priv.h"

/* Size before a text: 7 bits a byte, lowest first. */
static uint32_t read_size(struct rd *in)
{
	uint64_t size = 0;

	for (unsigned shift = 0; shift < 35; shift += 7) {
		uint8_t byte = rd_u8(in);

		size |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			if (size > UINT32_MAX)
				rd_fail(in);
			return (uint32_t)size;
		}
	}
	rd_fail(in);
	return 0;
}

static bool read_container(uint8_t type, struct rd *in, struct json_part *part)
{
	bool large = json_binary_is_large(type);
	struct rd at = *in;
	uint64_t count = rd_le(&at, json_binary_offset_size(large));
	uint64_t size = rd_le(&at, json_binary_offset_size(large));

	part->count = (uint32_t)count;
	rd_skip(in, (size_t)size);
	return rd_ok(&at) && rd_ok(in) &&
	       json_binary_header_size(json_binary_is_object(type), large, (size_t)count) <= size;
}

/* A value of this type at `in`. */
static bool read_part(uint8_t type, struct rd in, struct json_part *ret_part)
{
	struct json_part part = { .type = type };
	size_t from = in.at;

	switch (type) {
	case JSON_SMALL_OBJECT:
	case JSON_LARGE_OBJECT:
	case JSON_SMALL_ARRAY:
	case JSON_LARGE_ARRAY:
		if (!read_container(type, &in, &part))
			return false;
		break;
	case JSON_LITERAL:
		if (rd_u8(&in) > 2)
			return false;
		break;
	case JSON_INT16:
	case JSON_UINT16:
		rd_skip(&in, 2);
		break;
	case JSON_INT32:
	case JSON_UINT32:
		rd_skip(&in, 4);
		break;
	case JSON_INT64:
	case JSON_UINT64:
	case JSON_DOUBLE:
		rd_skip(&in, 8);
		break;
	case JSON_OPAQUE:
		rd_skip(&in, 1);
		rd_skip(&in, read_size(&in));
		break;
	case JSON_STRING:
		rd_skip(&in, read_size(&in));
		break;
	default: /* a byte from outside */
		return false;
	}
	if (!rd_ok(&in))
		return false;
	part.raw = slice_of(in.data + from, in.at - from);
	*ret_part = part;
	return true;
}

bool json_binary_read(struct slice binary, struct json_part *ret_part)
{
	static const uint8_t null_literal[2] = { JSON_LITERAL, 0 };
	struct rd in = binary.size > 0 ? rd_from(binary) : rd_of(null_literal, 2);
	uint8_t type = rd_u8(&in);

	return read_part(type, in, ret_part);
}

/* Where the entries of the values begin. */
static size_t values_at(const struct json_part *whole)
{
	size_t offset = json_binary_offset_size(json_binary_is_large(whole->type));

	return 2 * offset + (json_binary_is_object(whole->type) ? whole->count * (2 + offset) : 0);
}

bool json_binary_member(const struct json_part *whole, uint32_t i, struct json_part *ret_part,
			size_t *ret_stored)
{
	bool large = json_binary_is_large(whole->type);
	size_t offset_size = json_binary_offset_size(large);
	size_t header =
		json_binary_header_size(json_binary_is_object(whole->type), large, whole->count);
	struct rd in = rd_from(whole->raw);
	uint64_t offset;
	uint8_t type;

	rd_skip(&in, values_at(whole) + i * (1 + offset_size));
	type = rd_u8(&in);
	if (json_binary_is_inline(type, large)) {
		*ret_stored = 0;
		return read_part(type, rd_sub(&in, offset_size), ret_part);
	}
	offset = rd_le(&in, offset_size);
	if (!rd_ok(&in) || offset < header || offset > whole->raw.size)
		return false;
	in.at = (size_t)offset;
	if (!read_part(type, in, ret_part))
		return false;
	*ret_stored = ret_part->raw.size;
	return true;
}

bool json_binary_key(const struct json_part *object, uint32_t i, struct slice *ret_key)
{
	bool large = json_binary_is_large(object->type);
	size_t offset_size = json_binary_offset_size(large);
	struct rd in = rd_from(object->raw);
	uint64_t offset;
	uint16_t size;

	rd_skip(&in, 2 * offset_size + i * (2 + offset_size));
	offset = rd_le(&in, offset_size);
	size = rd_u16(&in);
	if (!rd_ok(&in) || offset < json_binary_header_size(true, large, object->count) ||
	    offset > object->raw.size)
		return false;
	in.at = (size_t)offset;
	*ret_key = rd_bytes(&in, size);
	return rd_ok(&in);
}

struct slice json_binary_content(const struct json_part *part)
{
	struct rd in = rd_from(part->raw);

	if (part->type == JSON_OPAQUE)
		rd_skip(&in, 1);
	(void)read_size(&in); /* read_part() has found it good: the rest is as long */
	return rd_rest(&in);
}
