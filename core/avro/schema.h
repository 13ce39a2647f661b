/* schema.h - Avro schema text <-> a small tree (Avro specification 1.11, "Schema Declaration").
 *
 * avro-c drops doc, default and logicalType, so Millrace reads schema text with jansson and keeps
 * the text itself; avro-c checks that a user's schema is legal, and is the oracle of the tests. */
#ifndef CORE_AVRO_SCHEMA_H
#define CORE_AVRO_SCHEMA_H

#include "core/base/err.h"
#include "core/base/slice.h"

enum schema_type {
	SCHEMA_NULL,
	SCHEMA_BOOLEAN,
	SCHEMA_INT,
	SCHEMA_LONG,
	SCHEMA_FLOAT,
	SCHEMA_DOUBLE,
	SCHEMA_BYTES,
	SCHEMA_STRING,
	SCHEMA_RECORD,
	SCHEMA_ENUM,
	SCHEMA_ARRAY,
	SCHEMA_MAP,
	SCHEMA_UNION,
	SCHEMA_FIXED,
};

#define SCHEMA_DEPTH_MAX 32
#define SCHEMA_TEXT_MAX (1024 * 1024)
#define SCHEMA_FIXED_MAX (1024 * 1024)
#define SCHEMA_FIELDS_MAX 8192
#define SCHEMA_SCALE_MAX 1000
#define SCHEMA_NAMED_MAX 4096

struct schema {
	enum schema_type type;
	char *name;    /* records, enums, fixed: full name; else NULL */
	char *logical; /* logicalType or NULL; NULL for a decimal without a sensible precision */
	int precision, scale;        /* decimal */
	struct schema_field *fields; /* records */
	struct schema **branches;    /* unions */
	struct schema *items;        /* arrays and maps: element */
	char **symbols;              /* enums */
	size_t count;                /* fields, branches or symbols; fixed: size */
	uint32_t references; /* owners of this node: places in the tree, and schema_ref()s */
};

struct schema_field {
	char *name;
	struct schema *schema;
	bool has_default;
};

/* Parses schema text. ERR_DATA with what is wrong and in which field. A named type that refers to
 * an earlier one shares its node; recursion is refused. Free the root with schema_free(). */
int schema_parse(struct slice text, struct schema **ret_schema, struct err *e);
void schema_free(struct schema *root); /* NULL is fine */
/* One more owner of a node and all below it, who gives it back by schema_free(). Thread-safe. */
struct schema *schema_ref(struct schema *node);
/* Is the text a legal schema also to avro-c? ERR_CONFIG with its message. For .avsc files of users,
 * after schema_parse. */
int schema_check_legal(struct slice text, struct err *e);

/* An Avro-legal name from any UTF-8 name, injective: [A-Za-z0-9_] stay, a leading digit and every
 * other byte become _xHH; "_x" itself is escaped as _x5fx, the empty name as _x (see mapping.md).
 * Appends; a NUL stands behind it that is not counted. */
struct buf;
void schema_escape_name(const char *name, struct buf *out);
/* Legal as one part of a name: [A-Za-z_][A-Za-z0-9_]* */
bool schema_name_legal(struct slice part);

#endif
