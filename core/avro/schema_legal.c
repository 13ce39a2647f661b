/*
 * schema_legal.c - a second opinion on users' schemas, by the Avro project's own C library.
 *
 * schema.c reads what Millrace needs; consumers in other languages are stricter in places. What
 * avro-c refuses is refused here, with its words.
 */
#include "core/avro/schema.h"

#include <avro.h>

int schema_check_legal(struct slice text, struct err *e)
{
	avro_schema_t parsed;

	if (text.size > SCHEMA_TEXT_MAX)
		return err_config(e, "schema: %zu bytes; %d at most", text.size, SCHEMA_TEXT_MAX);
	if (avro_schema_from_json_length((const char *)text.data, text.size, &parsed) != 0) {
		err_config(e, "not a legal Avro schema: %s", avro_strerror());
		return err_hint(
			e, "Names are letters, digits and _, not a digit first; named types are "
			   "defined before they are used.");
	}
	avro_schema_decref(parsed);
	return 0;
}
