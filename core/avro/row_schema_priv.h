/* row_schema_priv.h - the property "catalog" (row_schema.h), for who writes and who reads it. */
#ifndef CORE_AVRO_ROW_SCHEMA_PRIV_H
#define CORE_AVRO_ROW_SCHEMA_PRIV_H

enum row_schema_flag {
	ROW_SCHEMA_NULLABLE = 1,
	ROW_SCHEMA_UNSIGNED = 2,
	ROW_SCHEMA_BINARY = 4,
	ROW_SCHEMA_JSON_5_7 = 8,
	ROW_SCHEMA_NOT_LOGGED = 16,
};

#define ROW_SCHEMA_NUMBERS 9 /* of a column */

#endif
