/* table_map.h - the TABLE_MAP event taken apart: raw fields, nothing interpreted that needs a
 * catalog.
 *
 * Format: MySQL source, "Table_map_event" (libbinlogevents); optional metadata as MariaDB 10.5+ and
 * MySQL 8.0 write them with binlog_row_metadata=FULL. Slices point into the body. */
#ifndef CDC_BINLOG_TABLE_MAP_H
#define CDC_BINLOG_TABLE_MAP_H

#include "core/base/err.h"
#include "core/base/rd.h"

#define TABLE_MAP_COLUMNS_MAX 4096

/* Kinds of optional metadata (the "type" byte of each field). */
enum table_map_field {
	TABLE_MAP_SIGNEDNESS =
		1, /* a bit per numeric column, most significant bit first: 1 = unsigned */
	TABLE_MAP_DEFAULT_CHARSET =
		2, /* collation of character columns, then (index, collation) of exceptions */
	TABLE_MAP_COLUMN_CHARSET = 3, /* collation of each character column */
	TABLE_MAP_COLUMN_NAME = 4,
	TABLE_MAP_SET_LABELS = 5,
	TABLE_MAP_ENUM_LABELS = 6,
	TABLE_MAP_GEOMETRY_TYPE = 7,
	TABLE_MAP_PRIMARY_KEY = 8,        /* column numbers */
	TABLE_MAP_PRIMARY_KEY_PREFIX = 9, /* (column number, prefix length) */
	TABLE_MAP_ENUM_SET_DEFAULT_CHARSET = 10,
	TABLE_MAP_ENUM_SET_COLUMN_CHARSET = 11,
	TABLE_MAP_VISIBILITY = 12,
	TABLE_MAP_VECTOR_DIMENSIONALITY = 13, /* floats of each VECTOR column */
	TABLE_MAP_FIELD_COUNT
};

struct table_map {
	uint64_t id;
	uint16_t flags;
	struct slice db, table;
	uint32_t column_count;   /* 1 .. TABLE_MAP_COLUMNS_MAX */
	const uint8_t *types;    /* column_count bytes */
	struct slice metadata;   /* type specific, see table_map_column() */
	const uint8_t *nullable; /* bitmap, bit i = column i */
	bool has[TABLE_MAP_FIELD_COUNT];
	struct slice fields[TABLE_MAP_FIELD_COUNT]; /* by enum table_map_field; empty when !has */
};

/* body: behind the common header, without checksum. rows_header_size: struct event_format. */
int table_map_read(struct slice body, uint8_t rows_header_size, struct table_map *ret_map,
		   struct err *e);
/* Id only, cheap: for skipping tables that aren't captured. */
int table_map_id(struct slice body, uint8_t rows_header_size, uint64_t *ret_id, struct err *e);
/* Database and table names without the rest. */
int table_map_names(struct slice body, uint8_t rows_header_size, struct slice *ret_db,
		    struct slice *ret_table, struct err *e);

/* One column's type and metadata, ENUM and SET unpacked from STRING. Call in order of columns with
 * one cursor over `metadata`; at the end rd_end() must hold. Types without known metadata length
 * fail. */
struct table_map_column {
	uint8_t type;  /* wire type; 247/248 for ENUM/SET */
	uint16_t meta; /* FLOAT, DOUBLE, BLOB, GEOMETRY, temporal: 1 byte; VARCHAR: bytes; BIT:
			* total bits; ENUM/SET: pack bytes; STRING: most bytes; NEWDECIMAL:
			* precision << 8 | scale */
};
int table_map_column(uint8_t type, struct rd *metadata, struct table_map_column *ret_column,
		     struct err *e);

#endif
