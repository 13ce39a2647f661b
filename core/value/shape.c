/*
 * shape.c - table shapes: made once, then only read and counted.
 *
 * The count is atomic because the copy thread and the pipeline hold the same shape; nothing else in
 * a shape changes after it was handed out, so nothing else needs a lock. Comparing is field by
 * field: a shape from a TABLE_MAP and one from information_schema differ in addresses, never in
 * meaning.
 */
#include "core/value/shape.h"

#include "core/base/mem.h"
#include "core/value/row.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct shape *shape_new(const char *db, const char *table, uint16_t column_count)
{
	struct shape *s = xcalloc(1, sizeof(*s));

	s->db = xstrdup(db);
	s->table = xstrdup(table);
	s->columns = xcalloc(column_count > 0 ? column_count : 1, sizeof(*s->columns));
	s->column_count = column_count;
	s->references = 1;
	return s;
}

/* ---- one block: the shape, its columns, pointers to labels, the key, then all texts ---------- */

static size_t text_bytes(const struct shape *s)
{
	size_t size = strlen(s->db) + strlen(s->table) + 2;

	for (uint16_t i = 0; i < s->column_count; i++) {
		size += strlen(s->columns[i].name) + 1;
		for (uint16_t k = 0; k < s->columns[i].label_count; k++)
			size += strlen(s->columns[i].labels[k]) + 1;
	}
	return size;
}

static char *put_text(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *put = memcpy(*at, text, size);

	*at += size;
	return put;
}

static void pack_column(struct column *c, char ***labels, char **at)
{
	char **mine = *labels;

	c->stored = row_stored(c);
	c->name = put_text(at, c->name);
	for (uint16_t k = 0; k < c->label_count; k++)
		mine[k] = put_text(at, c->labels[k]);
	if (c->labels != NULL)
		c->labels = mine;
	*labels = mine + c->label_count;
}

struct shape *shape_pack(struct shape *s)
{
	size_t columns = s->column_count * sizeof(*s->columns);
	size_t key = s->key_count * sizeof(*s->key), label_count = 0;
	struct shape *packed;
	char **labels, *at;

	assert(s->references == 1 && !s->packed);
	for (uint16_t i = 0; i < s->column_count; i++)
		label_count += s->columns[i].label_count;
	packed = xmalloc(sizeof(*s) + columns + label_count * sizeof(char *) + key + text_bytes(s));
	*packed = *s;
	packed->packed = true;
	packed->columns = (struct column *)(packed + 1);
	memcpy(packed->columns, s->columns, columns);
	labels = (char **)(packed->columns + s->column_count);
	packed->key = (uint16_t *)(labels + label_count);
	if (key > 0)
		memcpy(packed->key, s->key, key);
	at = (char *)(packed->key + s->key_count);
	packed->db = put_text(&at, s->db);
	packed->table = put_text(&at, s->table);
	for (uint16_t i = 0; i < s->column_count; i++)
		pack_column(&packed->columns[i], &labels, &at);
	shape_unref(s);
	return packed;
}

/* ---- references ----------------------------------------------------------------------------- */

struct shape *shape_ref(struct shape *s)
{
	uint32_t before = __atomic_fetch_add(&s->references, 1, __ATOMIC_RELAXED);

	assert(before > 0);
	return s;
}

static void column_done(struct column *c)
{
	for (uint16_t i = 0; c->labels != NULL && i < c->label_count; i++)
		free(c->labels[i]);
	free(c->labels);
	free(c->name);
}

void shape_unref(struct shape *s)
{
	uint32_t before;

	if (s == NULL)
		return;
	before = __atomic_fetch_sub(&s->references, 1, __ATOMIC_ACQ_REL);
	assert(before > 0);
	if (before > 1)
		return;
	if (!s->packed) {
		for (uint16_t i = 0; i < s->column_count; i++)
			column_done(&s->columns[i]);
		free(s->columns);
		free(s->key);
		free(s->db);
		free(s->table);
	}
	free(s);
}

static bool text_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool column_equal(const struct column *a, const struct column *b)
{
	if (a->type != b->type || a->nullable != b->nullable || a->is_unsigned != b->is_unsigned ||
	    a->is_binary != b->is_binary || a->collation != b->collation ||
	    a->size_max != b->size_max)
		return false;
	if (a->precision != b->precision || a->scale != b->scale || a->fraction != b->fraction ||
	    a->bits != b->bits || a->pack_bytes != b->pack_bytes || a->json_5_7 != b->json_5_7 ||
	    a->not_logged != b->not_logged || a->label_count != b->label_count)
		return false;
	if (!text_equal(a->name, b->name))
		return false;
	for (uint16_t i = 0; i < a->label_count; i++) {
		if (!text_equal(a->labels[i], b->labels[i]))
			return false;
	}
	return true;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
	if (a == b)
		return true;
	if (a->column_count != b->column_count || a->key_count != b->key_count ||
	    a->unknown != b->unknown || !text_equal(a->db, b->db) ||
	    !text_equal(a->table, b->table))
		return false;
	for (uint16_t i = 0; i < a->column_count; i++) {
		if (!column_equal(&a->columns[i], &b->columns[i]))
			return false;
	}
	for (uint16_t i = 0; i < a->key_count; i++) {
		if (a->key[i] != b->key[i])
			return false;
	}
	return true;
}

int shape_column(const struct shape *s, struct slice name)
{
	for (uint16_t i = 0; i < s->column_count; i++) {
		if (slice_is(name, s->columns[i].name))
			return i;
	}
	return -1;
}

static const char *blob_text(const struct column *c)
{
	static const char *const names[2][4] = {
		{ "tinytext", "text", "mediumtext", "longtext" },
		{ "tinyblob", "blob", "mediumblob", "longblob" },
	};
	uint32_t bytes = c->size_max;

	return names[c->is_binary][bytes >= 1 && bytes <= 4 ? bytes - 1 : 3];
}

/* The type's name without sign and without a length that the caller adds. */
static const char *type_name(const struct column *c)
{
	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
		return "tinyint";
	case COLUMN_SHORT:
		return "smallint";
	case COLUMN_INT24:
		return "mediumint";
	case COLUMN_LONG:
		return "int";
	case COLUMN_LONGLONG:
		return "bigint";
	case COLUMN_FLOAT:
		return "float";
	case COLUMN_DOUBLE:
		return "double";
	case COLUMN_NEWDECIMAL:
		return "decimal";
	case COLUMN_TIMESTAMP:
	case COLUMN_TIMESTAMP2:
		return "timestamp";
	case COLUMN_DATE:
		return "date";
	case COLUMN_TIME:
	case COLUMN_TIME2:
		return "time";
	case COLUMN_DATETIME:
	case COLUMN_DATETIME2:
		return "datetime";
	case COLUMN_YEAR:
		return "year";
	case COLUMN_VARCHAR:
		return c->is_binary ? "varbinary" : "varchar";
	case COLUMN_STRING:
		return c->is_binary ? "binary" : "char";
	case COLUMN_BIT:
		return "bit";
	case COLUMN_ENUM:
		return "enum";
	case COLUMN_SET:
		return "set";
	case COLUMN_BLOB:
		return blob_text(c);
	case COLUMN_VECTOR:
		return "vector";
	case COLUMN_JSON:
		return "json";
	case COLUMN_GEOMETRY:
		return "geometry";
	case COLUMN_UUID:
		return "uuid";
	case COLUMN_INET4:
		return "inet4";
	case COLUMN_INET6:
		return "inet6";
	}
	return NULL;
}

char *column_type_text(const struct column *c, char *out, size_t size)
{
	const char *name = type_name(c), *sign = c->is_unsigned ? " unsigned" : "";
	int n;

	if (name == NULL)
		n = snprintf(out, size, "type %u", c->type);
	else if (c->type == COLUMN_NEWDECIMAL)
		n = snprintf(out, size, "decimal(%u,%u)%s", c->precision, c->scale, sign);
	else if (c->type == COLUMN_BIT)
		n = snprintf(out, size, "bit(%u)", c->bits);
	else if (c->type == COLUMN_YEAR && c->precision == 2)
		n = snprintf(out, size, "year(2)");
	else if (c->type == COLUMN_VECTOR)
		n = snprintf(out, size, "vector(%u)", c->size_max / 4);
	else if (c->fraction > 0)
		n = snprintf(out, size, "%s(%u)", name, c->fraction);
	else
		n = snprintf(out, size, "%s%s", name, sign);
	(void)n; /* a text cut short is what the caller's size asked for */
	return out;
}
