/* json_binary_priv.h - one value of MySQL's binary JSON, taken apart by a step. For the files
 * json_binary*.c only. */
#ifndef CORE_VALUE_JSON_BINARY_PRIV_H
#define CORE_VALUE_JSON_BINARY_PRIV_H

#include "core/base/rd.h"
#include "core/value/json_binary.h"

enum {
	JSON_SMALL_OBJECT = 0x00,
	JSON_LARGE_OBJECT = 0x01,
	JSON_SMALL_ARRAY = 0x02,
	JSON_LARGE_ARRAY = 0x03,
	JSON_LITERAL = 0x04,
	JSON_INT16 = 0x05,
	JSON_UINT16 = 0x06,
	JSON_INT32 = 0x07,
	JSON_UINT32 = 0x08,
	JSON_INT64 = 0x09,
	JSON_UINT64 = 0x0a,
	JSON_DOUBLE = 0x0b,
	JSON_STRING = 0x0c,
	JSON_OPAQUE = 0x0f,
};

struct json_part {
	uint8_t type;
	uint32_t count;   /* containers: members */
	struct slice raw; /* the value's own bytes, behind its type */
};

static inline bool json_binary_is_object(uint8_t type)
{
	return type <= JSON_LARGE_OBJECT;
}

static inline bool json_binary_is_container(uint8_t type)
{
	return type <= JSON_LARGE_ARRAY;
}

static inline bool json_binary_is_large(uint8_t type) /* of a container */
{
	return (type & 1) != 0;
}

static inline size_t json_binary_offset_size(bool large)
{
	return large ? 4 : 2;
}

/* Bytes of counts, keys and values of a container: where texts and values begin. */
static inline size_t json_binary_header_size(bool object, bool large, size_t count)
{
	size_t offset = json_binary_offset_size(large);

	return 2 * offset + count * (1 + offset + (object ? 2 + offset : 0));
}

/* The value stands where a container's member has its offset else. */
static inline bool json_binary_is_inline(uint8_t type, bool large)
{
	return (type >= JSON_LITERAL && type <= JSON_UINT16) ||
	       (large && (type == JSON_INT32 || type == JSON_UINT32));
}

/* A whole value: type and what follows. False when it isn't one. What follows the value is not
 * looked at, nor are a container's members. */
bool json_binary_read(struct slice binary, struct json_part *ret_part);
/* Member i (below count) of a container. *ret_stored: bytes outside the container's header. */
bool json_binary_member(const struct json_part *whole, uint32_t i, struct json_part *ret_part,
			size_t *ret_stored);
/* Key i of an object. */
bool json_binary_key(const struct json_part *object, uint32_t i, struct slice *ret_key);
/* The text, or the opaque bytes, within the raw bytes of such a value. */
struct slice json_binary_content(const struct json_part *part);

/* ---- paths of partial updates: json_binary_path.c ---- */

enum json_leg_kind { JSON_LEG_MEMBER, JSON_LEG_CELL, JSON_LEG_FROM_LAST };
struct json_leg {
	enum json_leg_kind kind;
	uint32_t index; /* of cells: from the first, or back from the last */
	struct slice name;
};

/* At most JSON_BINARY_DEPTH_MAX legs, at least one. False: no such path. `names` must have room for
 * as many bytes more as the path has; legs point there, and into the path. */
bool json_binary_path(struct slice path, struct buf *names, struct json_leg *ret_legs,
		      size_t *ret_count);

#endif
