/*
 * schema_name.c - names of tables and columns as Avro names.
 *
 * Injective, because "_x" in a result always begins an escape: an underscore that an x follows is
 * itself escaped, every other one stays. So "a_b" stays readable and no two names meet.
 */
#include "core/avro/schema.h"

#include "core/base/buf.h"

static bool plain(uint8_t c, uint8_t next, bool first)
{
	if (c == '_')
		return next != 'x';
	if (c >= '0' && c <= '9')
		return !first;
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void schema_escape_name(const char *name, struct buf *out)
{
	const uint8_t *p = (const uint8_t *)name;

	if (*p == '\0')
		buf_add_str(out, "_x");
	for (bool first = true; *p != '\0'; p++, first = false) {
		if (plain(p[0], p[1], first))
			buf_add_u8(out, p[0]);
		else
			buf_add_format(out, "_x%02x", p[0]);
	}
	(void)buf_cstr(out); /* puts the NUL */
}
