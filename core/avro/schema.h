/* schema.h - Avro schema text <-> a small tree (Avro specification 1.11, "Schema Declaration").
 *
 * avro-c drops doc, default and logicalType, so Millrace reads schema text with jansson and keeps the text itself; avro-c
 * checks that a user's schema is legal, and is the oracle of the tests. */
#ifndef CORE_AVRO_SCHEMA_H
#define CORE_AVRO_SCHEMA_H

#include "core/base/err.h"
#include "core/base/slice.h"

enum schema_type {
	SCHEMA_NULL, SCHEMA_BOOLEAN, SCHEMA_INT, SCHEMA_LONG, SCHEMA_FLOAT, SCHEMA_DOUBLE, SCHEMA_BYTES, SCHEMA_STRING,
	SCHEMA_RECORD, SCHEMA_ENUM, SCHEMA_ARRAY, SCHEMA_MAP, SCHEMA_UNION, SCHEMA_FIXED,
};

#define SCHEMA_DEPTH_MAX 32
#define SCHEMA_TEXT_MAX (1024 * 1024)

struct schema {
	enum schema_type type;
	char *name;              /* records, enums, fixed: full name; else NULL */
	char *logical;           /* logicalType or NULL */
	int precision, scale;    /* decimal */
	struct schema_field *fields; /* records */
	struct schema **branches;    /* unions */
	struct schema *items;        /* arrays and maps: element */
	char **symbols;              /* enums */
	size_t count;                /* fields, branches or symbols; fixed: size */
};

struct schema_field {
	char *name;
	struct schema *schema;
	bool has_default;
};

/* Parses schema text. ERR_DATA with what is wrong. A named type that refers to an earlier one shares its node; recursion
 * is refused. Free the root with schema_free(). */
int schema_parse(struct slice text, struct schema **ret_schema, struct err *e);
void schema_free(struct schema *root);
/* An Avro-legal name from any UTF-8 name, injective: [A-Za-z0-9_] stay (a leading digit and every other byte become _xHH; "_x" itself is
 * escaped as _x5fx, see mapping.md). Writes a NUL-terminated name. */
struct buf;
void schema_escape_name(const char *name, struct buf *out);

#endif
