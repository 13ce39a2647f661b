/* row_schema_shape.c - a table's shape, out of the schema text of its rows.
 *
 * Names and labels stand in the fields and types that every reader of the schema sees, the rest in
 * the property "catalog". What is read is not trusted to be a shape that a server could have: it is
 * used for rows only where a TABLE_MAP says the same. */
#include "core/avro/row_schema.h"

#include "core/avro/row_schema_priv.h"
#include "core/avro/schema.h"
#include "core/base/mem.h"

#include <jansson.h>
#include <string.h>

static int bad(const char *db, const char *table, struct err *e)
{
	return err_data(e, "the registered schema of %s.%s does not hold its shape", db, table);
}

static unsigned number(const json_t *list, size_t i, unsigned most)
{
	json_int_t v = json_integer_value(json_array_get(list, i)); /* 0 where there is none */

	return v < 0 || v > (json_int_t)most ? 0 : (unsigned)v;
}

static void take_numbers(struct column *c, const json_t *list)
{
	unsigned flags = number(list, 1, UINT8_MAX);

	c->type = (uint8_t)number(list, 0, UINT8_MAX);
	c->nullable = flags & ROW_SCHEMA_NULLABLE;
	c->is_unsigned = flags & ROW_SCHEMA_UNSIGNED;
	c->is_binary = flags & ROW_SCHEMA_BINARY;
	c->json_5_7 = flags & ROW_SCHEMA_JSON_5_7;
	c->not_logged = flags & ROW_SCHEMA_NOT_LOGGED;
	c->collation = (uint16_t)number(list, 2, UINT16_MAX);
	c->size_max = number(list, 3, UINT32_MAX);
	c->precision = (uint8_t)number(list, 4, UINT8_MAX);
	c->scale = (uint8_t)number(list, 5, UINT8_MAX);
	c->fraction = (uint8_t)number(list, 6, UINT8_MAX);
	c->bits = (uint16_t)number(list, 7, UINT16_MAX);
	c->pack_bytes = (uint8_t)number(list, 8, UINT8_MAX);
}

static int take_labels(struct column *c, const json_t *labels)
{
	size_t n = json_array_size(labels); /* 0 where there are none */

	if (n == 0)
		return 0;
	if (n > UINT16_MAX)
		return -1;
	c->labels = xcalloc(n, sizeof(c->labels[0]));
	for (size_t i = 0; i < n; i++) {
		const char *label = json_string_value(json_array_get(labels, i));

		if (label == NULL)
			return -1;
		c->labels[c->label_count++] = xstrdup(label);
	}
	return 0;
}

/* {"name": ..., "column": ..., "type": ["null", {...}]} */
static int take_column(struct column *c, const json_t *field, const json_t *numbers)
{
	const char *name = json_string_value(json_object_get(field, "column"));

	if (name == NULL)
		name = json_string_value(json_object_get(field, "name"));
	if (name == NULL || !json_is_array(numbers))
		return -1;
	c->name = xstrdup(name);
	take_numbers(c, numbers);
	return take_labels(
		c, json_object_get(json_array_get(json_object_get(field, "type"), 1), "labels"));
}

static int take_key(struct shape *s, const json_t *key)
{
	size_t n = json_array_size(key);

	if (n > s->column_count)
		return -1;
	s->key = n > 0 ? xcalloc(n, sizeof(s->key[0])) : NULL;
	for (size_t i = 0; i < n; i++) {
		json_int_t column = json_integer_value(json_array_get(key, i));

		if (column < 0 || column >= s->column_count)
			return -1;
		s->key[s->key_count++] = (uint16_t)column;
	}
	return 0;
}

/* The record Value: the type of the envelope's field "before", behind "null". */
static const json_t *find_value(const json_t *envelope)
{
	const json_t *fields = json_object_get(envelope, "fields"), *field;
	size_t i;

	json_array_foreach(fields, i, field)
	{
		const char *name = json_string_value(json_object_get(field, "name"));

		if (name != NULL && strcmp(name, "before") == 0)
			return json_array_get(json_object_get(field, "type"), 1);
	}
	return NULL;
}

static struct shape *make(const json_t *value, const char *db, const char *table)
{
	const json_t *catalog = json_object_get(value, "catalog");
	const json_t *columns = json_object_get(catalog, "columns");
	const json_t *fields = json_object_get(value, "fields");
	size_t n = json_array_size(columns), named = 0;
	struct shape *s;
	int rc = 0;

	if (n == 0 || n > SHAPE_COLUMNS_MAX || json_array_size(fields) != n)
		return NULL;
	s = shape_new(db, table, (uint16_t)n);
	for (size_t i = 0; i < n && rc == 0; i++, named++)
		rc = take_column(&s->columns[i], json_array_get(fields, i),
				 json_array_get(columns, i));
	if (rc == 0)
		rc = take_key(s, json_object_get(catalog, "key"));
	if (rc < 0 || named < n) {
		shape_unref(s);
		return NULL;
	}
	return shape_pack(s);
}

int row_schema_shape(struct slice text, const char *db, const char *table, struct shape **ret_shape,
		     struct err *e)
{
	json_t *envelope = NULL;
	struct shape *s = NULL;

	if (text.size <= SCHEMA_TEXT_MAX)
		envelope = json_loadb((const char *)text.data, text.size, 0, NULL);
	if (envelope != NULL)
		s = make(find_value(envelope), db, table);
	json_decref(envelope);
	if (s == NULL)
		return bad(db, table, e);
	*ret_shape = s;
	return 0;
}

/* ---- two types of one column ----------------------------------------------------------------- */

static bool is_integer(const struct schema *s)
{
	return s->type == SCHEMA_INT || s->type == SCHEMA_LONG;
}

static bool is_real(const struct schema *s)
{
	return s->type == SCHEMA_FLOAT || s->type == SCHEMA_DOUBLE;
}

static bool same_logical(const struct schema *a, const struct schema *b)
{
	if (a->logical == NULL || b->logical == NULL)
		return a->logical == b->logical;
	return strcmp(a->logical, b->logical) == 0 && a->scale == b->scale;
}

bool row_schema_holds(const struct column *column, const struct schema *was)
{
	struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	struct schema *is = NULL;
	bool same = true; /* what can't be said is no difference */

	row_schema_column(column, &text);
	if (schema_parse(buf_slice(&text), &is, &ignored) == 0)
		same = (is->type == was->type || (is_integer(is) && is_integer(was)) ||
			(is_real(is) && is_real(was))) &&
		       same_logical(is, was);
	schema_free(is);
	buf_done(&text);
	return same;
}
