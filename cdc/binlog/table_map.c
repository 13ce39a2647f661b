/* table_map.c - the TABLE_MAP event.
 *
 * Layout: table id 4 or 6 (by FORMAT_DESCRIPTION), flags 2, database: length 1, name, NUL; table:
 * the same; column count (length-encoded), a type byte per column, metadata: length
 * (length-encoded) and bytes, bitmap of nullable columns, then fields of optional metadata to the
 * end: kind 1, length (length-encoded), value.
 *
 * A kind that comes twice is refused; one that we don't know is stepped over, as its length allows.
 * Column metadata is read by table_map_column(), which knows how many bytes each type has: a type
 * that isn't in that table makes the rest unreadable and is refused. */
#include "cdc/binlog/table_map.h"

#include "core/value/shape.h"

#include <inttypes.h>

/* Types that no shape holds; named here because their metadata must be stepped over to reach the
 * next column's. */
enum {
	WIRE_DECIMAL = 0,
	WIRE_NULL = 6,
	WIRE_NEWDATE = 14,
	WIRE_BLOB_COMPRESSED = 140,
	WIRE_VARCHAR_COMPRESSED = 141,
	WIRE_TINY_BLOB = 249,
	WIRE_MEDIUM_BLOB = 250,
	WIRE_LONG_BLOB = 251,
	WIRE_VAR_STRING = 253,
};

static int bad(struct err *e, const char *what)
{
	return err_data(e, "Table_map event: %s", what);
}

static uint64_t read_id(struct rd *in, uint8_t rows_header_size)
{
	return rows_header_size == 6 ? rd_u32(in) : rd_u48(in);
}

int table_map_id(struct slice body, uint8_t rows_header_size, uint64_t *ret_id, struct err *e)
{
	struct rd in = rd_from(body);
	uint64_t id = read_id(&in, rows_header_size);

	if (!rd_ok(&in))
		return bad(e, "cut short");
	*ret_id = id;
	return 0;
}

static struct slice read_name(struct rd *in)
{
	struct slice name = rd_bytes(in, rd_u8(in));

	if (rd_u8(in) != 0 || name.size == 0 || memchr(name.data, 0, name.size) != NULL)
		rd_fail(in);
	return name;
}

static int read_head(struct rd *in, uint8_t rows_header_size, struct table_map *m, struct err *e)
{
	m->id = read_id(in, rows_header_size);
	m->flags = rd_u16(in);
	m->db = read_name(in);
	m->table = read_name(in);
	return rd_ok(in) ? 0 : bad(e, "no valid table name");
}

int table_map_names(struct slice body, uint8_t rows_header_size, struct slice *ret_db,
		    struct slice *ret_table, struct err *e)
{
	struct rd in = rd_from(body);
	struct table_map m = { 0 };

	if (read_head(&in, rows_header_size, &m, e) < 0)
		return -1;
	*ret_db = m.db;
	*ret_table = m.table;
	return 0;
}

static int read_fields(struct rd *in, struct table_map *m, struct err *e)
{
	while (rd_left(in) > 0) {
		uint8_t kind = rd_u8(in);
		struct slice value = rd_lenenc_bytes(in);

		if (!rd_ok(in))
			return bad(e, "optional metadata cut short");
		if (kind == 0 || kind >= TABLE_MAP_FIELD_COUNT)
			continue;
		if (m->has[kind])
			return bad(e, "the same optional metadata twice");
		m->has[kind] = true;
		m->fields[kind] = value;
	}
	return 0;
}

int table_map_read(struct slice body, uint8_t rows_header_size, struct table_map *ret_map,
		   struct err *e)
{
	struct rd in = rd_from(body);
	struct table_map m = { 0 };
	uint64_t columns;

	if (read_head(&in, rows_header_size, &m, e) < 0)
		return -1;
	columns = rd_lenenc(&in);
	if (!rd_ok(&in) || columns == 0 || columns > TABLE_MAP_COLUMNS_MAX)
		return bad(e, "no valid column count");
	m.column_count = (uint32_t)columns;
	m.types = rd_bytes(&in, m.column_count).data;
	m.metadata = rd_lenenc_bytes(&in);
	m.nullable = rd_bytes(&in, (m.column_count + 7) / 8).data;
	if (!rd_ok(&in))
		return bad(e, "cut short");
	if (read_fields(&in, &m, e) < 0)
		return -1;
	*ret_map = m;
	return 0;
}

/* Bytes of metadata by wire type; -1: not known. */
static int metadata_size(uint8_t type)
{
	switch (type) {
	case WIRE_DECIMAL:
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_LONG:
	case WIRE_NULL:
	case COLUMN_TIMESTAMP:
	case COLUMN_LONGLONG:
	case COLUMN_INT24:
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_DATETIME:
	case COLUMN_YEAR:
	case WIRE_NEWDATE:
		return 0;
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
	case COLUMN_TIME2:
	case WIRE_BLOB_COMPRESSED:
	case COLUMN_VECTOR:
	case COLUMN_JSON:
	case WIRE_TINY_BLOB:
	case WIRE_MEDIUM_BLOB:
	case WIRE_LONG_BLOB:
	case COLUMN_BLOB:
	case COLUMN_GEOMETRY:
		return 1;
	case COLUMN_VARCHAR:
	case COLUMN_BIT:
	case WIRE_VARCHAR_COMPRESSED:
	case COLUMN_NEWDECIMAL:
	case COLUMN_ENUM:
	case COLUMN_SET:
	case WIRE_VAR_STRING:
	case COLUMN_STRING:
		return 2;
	default:
		return -1;
	}
}

/* STRING: byte 0 is the real type, byte 1 the size. CHAR columns of more than 255 bytes keep bits 8
 * and 9 of their size inverted in bits 4 and 5 of the type byte (all real types have both set). */
static void unpack_string(uint8_t high, uint8_t low, struct table_map_column *c)
{
	if ((high & 0x30) != 0x30) {
		c->type = high | 0x30;
		c->meta = (uint16_t)(low | (((high & 0x30) ^ 0x30) << 4));
		return;
	}
	c->type = high;
	c->meta = low;
}

int table_map_column(uint8_t type, struct rd *metadata, struct table_map_column *ret_column,
		     struct err *e)
{
	struct table_map_column c = { .type = type };
	int size = metadata_size(type);
	struct slice bytes;

	if (size < 0)
		return err_data(e, "Table_map event: column type %u is not known", type);
	bytes = rd_bytes(metadata, (size_t)size);
	if (!rd_ok(metadata))
		return bad(e, "column metadata cut short");
	if (size == 1)
		c.meta = bytes.data[0];
	else if (type == COLUMN_STRING || type == COLUMN_ENUM || type == COLUMN_SET)
		unpack_string(bytes.data[0], bytes.data[1], &c);
	else if (type == COLUMN_NEWDECIMAL)
		c.meta = (uint16_t)(bytes.data[0] << 8 | bytes.data[1]);
	else if (type == COLUMN_BIT)
		c.meta = (uint16_t)(bytes.data[1] * 8 + bytes.data[0]);
	else if (size == 2)
		c.meta = (uint16_t)(bytes.data[1] << 8 | bytes.data[0]);
	*ret_column = c;
	return 0;
}
