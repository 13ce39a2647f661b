/*
 * row_schema.c - schema text of row topics, written as text from the shape.
 *
 *   integers            int (unsigned INT: long), BIGINT long
 *   BIGINT UNSIGNED     bytes, decimal(20,0)
 *   DECIMAL(p,s)        bytes, decimal(p,s)
 *   FLOAT, DOUBLE       float, double
 *   DATE, YEAR          int, date; int
 *   DATETIME            long, local-timestamp-micros
 *   TIMESTAMP           long, timestamp-micros
 *   TIME                long, microseconds with a sign: Avro's time-micros is a time of day and
 *                       can't be negative or beyond 24 h, so it has no logical type
 *   character, binary   string; bytes
 *   ENUM, SET           string; array of string; both with "labels"
 *   BIT(1), BIT(n)      boolean; bytes
 *   JSON, UUID, INET    string
 *   GEOMETRY            record { srid long, wkb bytes }, named after its column
 *   VECTOR              array of float
 *
 * "mysql" and "labels" stand in the type, where tools keep properties they don't know, and outlive
 * a schema that is read and written again by most libraries.
 */
#include "core/avro/row_schema.h"

#include "core/avro/row_schema_priv.h"
#include "core/avro/schema.h"
#include "core/base/quote.h"

#include <stdlib.h>

#define TYPE_TEXT_SIZE 64
#define DECIMAL_20 "\"bytes\",\"logicalType\":\"decimal\",\"precision\":20,\"scale\":0"

/* {"type": and what belongs to the type; the properties and the brace follow. */
static const char *type_of(const struct column *c)
{
	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_YEAR:
		return "\"int\"";
	case COLUMN_LONG:
		return c->is_unsigned ? "\"long\"" : "\"int\"";
	case COLUMN_LONGLONG:
		return c->is_unsigned ? DECIMAL_20 : "\"long\"";
	case COLUMN_FLOAT:
		return "\"float\"";
	case COLUMN_DOUBLE:
		return "\"double\"";
	case COLUMN_DATE:
		return "\"int\",\"logicalType\":\"date\"";
	case COLUMN_TIME:
	case COLUMN_TIME2:
		return "\"long\"";
	case COLUMN_DATETIME:
	case COLUMN_DATETIME2:
		return "\"long\",\"logicalType\":\"local-timestamp-micros\"";
	case COLUMN_TIMESTAMP:
	case COLUMN_TIMESTAMP2:
		return "\"long\",\"logicalType\":\"timestamp-micros\"";
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		return c->is_binary ? "\"bytes\"" : "\"string\"";
	case COLUMN_ENUM:
		return "\"string\"";
	case COLUMN_SET:
		return "\"array\",\"items\":\"string\"";
	case COLUMN_BIT:
		return c->bits == 1 ? "\"boolean\"" : "\"bytes\"";
	case COLUMN_JSON:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return "\"string\"";
	case COLUMN_VECTOR:
		return "\"array\",\"items\":\"float\"";
	case COLUMN_NEWDECIMAL: /* precision and scale are the column's */
	case COLUMN_GEOMETRY:   /* and so is the record's name */
		break;
	}
	return NULL;
}

/* Each has a name of its own, so that each can say which column's type it is. */
static void put_geometry(const struct column *column, struct buf *out)
{
	buf_add_str(out, "\"record\",\"name\":\"Geometry_");
	schema_escape_name(column->name, out);
	buf_add_str(out, "\",\"fields\":[{\"name\":\"srid\",\"type\":\"long\"},"
			 "{\"name\":\"wkb\",\"type\":\"bytes\"}]");
}

void row_schema_column(const struct column *column, struct buf *ret_text)
{
	char text[TYPE_TEXT_SIZE];
	const char *type = type_of(column);

	buf_add_str(ret_text, "{\"type\":");
	if (type != NULL)
		buf_add_str(ret_text, type);
	else if (column->type == COLUMN_GEOMETRY)
		put_geometry(column, ret_text);
	else
		buf_add_format(
			ret_text,
			"\"bytes\",\"logicalType\":\"decimal\",\"precision\":%u,\"scale\":%u",
			column->precision, column->scale);
	buf_add_str(ret_text, ",\"mysql\":");
	quote_json(ret_text, slice_str(column_type_text(column, text, sizeof(text))));
	for (uint16_t i = 0; i < column->label_count; i++) {
		buf_add_str(ret_text, i == 0 ? ",\"labels\":[" : ",");
		quote_json(ret_text, slice_str(column->labels[i]));
	}
	buf_add_str(ret_text, column->label_count > 0 ? "]}" : "}");
}

/* {"name":..., and "column" where the name is another one. */
static void put_field_name(const struct column *column, struct buf *out)
{
	size_t from;

	buf_add_str(out, "{\"name\":\"");
	from = out->size;
	schema_escape_name(column->name, out);
	if (!slice_is(slice_of(out->data + from, out->size - from), column->name)) {
		buf_add_str(out, "\",\"column\":");
		quote_json(out, slice_str(column->name));
	} else {
		buf_add_u8(out, '"');
	}
	buf_add_u8(out, ',');
}

/* <name>.<db>.<table> */
static void put_namespace(const char *name, const struct shape *shape, struct buf *out)
{
	schema_escape_name(name, out);
	buf_add_u8(out, '.');
	schema_escape_name(shape->db, out);
	buf_add_u8(out, '.');
	schema_escape_name(shape->table, out);
}

/* What the types don't say. */
static void put_catalog_column(const struct column *c, struct buf *out)
{
	unsigned flags = (c->nullable ? ROW_SCHEMA_NULLABLE : 0u) |
			 (c->is_unsigned ? ROW_SCHEMA_UNSIGNED : 0u) |
			 (c->is_binary ? ROW_SCHEMA_BINARY : 0u) |
			 (c->json_5_7 ? ROW_SCHEMA_JSON_5_7 : 0u) |
			 (c->not_logged ? ROW_SCHEMA_NOT_LOGGED : 0u);
	unsigned numbers[ROW_SCHEMA_NUMBERS] = { c->type,     flags,        c->collation,
						 c->size_max, c->precision, c->scale,
						 c->fraction, c->bits,      c->pack_bytes };
	size_t n = ROW_SCHEMA_NUMBERS;

	while (numbers[n - 1] == 0)
		n--;
	for (size_t i = 0; i < n; i++)
		buf_add_format(out, "%c%u", i == 0 ? '[' : ',', numbers[i]);
	buf_add_u8(out, ']');
}

static void put_catalog(const struct shape *shape, struct buf *out)
{
	buf_add_str(out, ",\"catalog\":{\"key\":[");
	for (uint16_t i = 0; i < shape->key_count; i++)
		buf_add_format(out, "%s%u", i > 0 ? "," : "", shape->key[i]);
	buf_add_str(out, "],\"columns\":[");
	for (uint16_t i = 0; i < shape->column_count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		put_catalog_column(&shape->columns[i], out);
	}
	buf_add_str(out, "]}");
}

/* The whole of record Value, named in full: the namespace around it is the same. */
static void put_value_record(const struct shape *shape, struct buf *out)
{
	buf_add_str(out, "{\"type\":\"record\",\"name\":\"Value\",\"fields\":[");
	for (uint16_t i = 0; i < shape->column_count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		put_field_name(&shape->columns[i], out);
		buf_add_str(out, "\"type\":[\"null\",");
		row_schema_column(&shape->columns[i], out);
		buf_add_str(out, "],\"default\":null}");
	}
	buf_add_u8(out, ']');
	put_catalog(shape, out);
	buf_add_u8(out, '}');
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct column *const *)a)->name,
		      (*(const struct column *const *)b)->name);
}

/* Escaping is injective, so escaped names meet only where names do. */
static int check_names(const struct shape *shape, struct err *e)
{
	const struct column *sorted[SHAPE_COLUMNS_MAX];
	size_t n = shape->column_count;

	if (n > SHAPE_COLUMNS_MAX)
		return err_config(e, "table %s.%s: %zu columns; %d at most", shape->db,
				  shape->table, n, SHAPE_COLUMNS_MAX);
	for (size_t i = 0; i < n; i++)
		sorted[i] = &shape->columns[i];
	qsort(sorted, n, sizeof(sorted[0]), by_name);
	for (size_t i = 1; i < n; i++) {
		if (by_name(&sorted[i - 1], &sorted[i]) == 0)
			return err_config(
				e, "table %s.%s: two columns become the Avro field of \"%s\"",
				shape->db, shape->table, sorted[i]->name);
	}
	return 0;
}

static int check_size(const struct shape *shape, size_t size, struct err *e)
{
	if (size <= SCHEMA_TEXT_MAX)
		return 0;
	err_config(e, "table %s.%s: its schema has %zu bytes; %d at most", shape->db, shape->table,
		   size, SCHEMA_TEXT_MAX);
	return err_hint(
		e,
		"Leave the table out of capture.tables; that many columns or labels can't be described.");
}

int row_schema_envelope(const char *name, const struct shape *shape, struct buf *ret_text,
			struct err *e)
{
	size_t from = ret_text->size;

	if (check_names(shape, e) < 0)
		return -1;
	buf_add_str(ret_text, "{\"type\":\"record\",\"name\":\"Envelope\",\"namespace\":\"");
	put_namespace(name, shape, ret_text);
	buf_add_str(
		ret_text,
		"\",\"fields\":["
		"{\"name\":\"source\",\"type\":{\"type\":\"record\",\"name\":\"Source\",\"fields\":["
		"{\"name\":\"seq\",\"type\":\"long\"},"
		"{\"name\":\"gtid\",\"type\":\"string\"},"
		"{\"name\":\"ts_us\",\"type\":\"long\"},"
		"{\"name\":\"snapshot\",\"type\":\"boolean\"},"
		"{\"name\":\"name\",\"type\":\"string\"},"
		"{\"name\":\"db\",\"type\":\"string\"},"
		"{\"name\":\"table\",\"type\":\"string\"}]}},"
		"{\"name\":\"op\",\"type\":\"string\"},"
		"{\"name\":\"ts_ms\",\"type\":\"long\"},"
		"{\"name\":\"before\",\"type\":[\"null\",");
	put_value_record(shape, ret_text);
	buf_add_str(
		ret_text,
		"],\"default\":null},"
		"{\"name\":\"after\",\"type\":[\"null\",\"Value\"],\"default\":null},"
		"{\"name\":\"transaction\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"Transaction\",\"fields\":["
		"{\"name\":\"id\",\"type\":\"string\"},"
		"{\"name\":\"total_order\",\"type\":\"long\"}]}],\"default\":null},"
		"{\"name\":\"absent\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"string\"}],\"default\":null},"
		"{\"name\":\"exact\",\"type\":[\"null\",{\"type\":\"map\",\"values\":\"string\"}],\"default\":null},"
		"{\"name\":\"parked\",\"type\":[\"null\",\"string\"],\"default\":null}]}");
	return check_size(shape, ret_text->size - from, e);
}

int row_schema_key(const char *name, const struct shape *shape, struct buf *ret_text, struct err *e)
{
	size_t from = ret_text->size;

	if (check_names(shape, e) < 0)
		return -1;
	buf_add_str(ret_text, "{\"type\":\"record\",\"name\":\"Key\",\"namespace\":\"");
	put_namespace(name, shape, ret_text);
	buf_add_str(ret_text, "\",\"fields\":[");
	for (uint16_t k = 0; k < shape->key_count; k++) {
		const struct column *column = &shape->columns[shape->key[k]];

		if (k > 0)
			buf_add_u8(ret_text, ',');
		put_field_name(column, ret_text);
		buf_add_str(ret_text, "\"type\":");
		row_schema_column(column, ret_text);
		buf_add_u8(ret_text, '}');
	}
	buf_add_str(ret_text, "]}");
	return check_size(shape, ret_text->size - from, e);
}
