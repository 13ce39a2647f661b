/* catalog_schema.c - shapes, hints and the list of tables, from information_schema.
 *
 * A shape made here must equal the one that the table's TABLE_MAP gives (a test holds them against
 * each other for every type): the first copy reads rows by it, the stream goes on with the other.
 * What information_schema cannot show exactly is asked for in another way (catalog_labels.c) or
 * refused.
 *
 * Names are compared exactly here, whatever the server's collation for names found. */
#include "cdc/catalog/catalog_priv.h"

#include "core/base/mem.h"
#include "core/value/encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct sql_type {
	const char *name;
	uint8_t type;
	uint8_t size; /* BLOB, JSON, GEOMETRY: number of length bytes; UUID, INET: bytes */
};

static const struct sql_type sql_types[] = {
	{ "tinyint", COLUMN_TINY, 0 },
	{ "smallint", COLUMN_SHORT, 0 },
	{ "mediumint", COLUMN_INT24, 0 },
	{ "int", COLUMN_LONG, 0 },
	{ "bigint", COLUMN_LONGLONG, 0 },
	{ "float", COLUMN_FLOAT, 0 },
	{ "double", COLUMN_DOUBLE, 0 },
	{ "decimal", COLUMN_NEWDECIMAL, 0 },
	{ "bit", COLUMN_BIT, 0 },
	{ "year", COLUMN_YEAR, 0 },
	{ "date", COLUMN_DATE, 0 },
	{ "time", COLUMN_TIME2, 0 },
	{ "datetime", COLUMN_DATETIME2, 0 },
	{ "timestamp", COLUMN_TIMESTAMP2, 0 },
	{ "char", COLUMN_STRING, 0 },
	{ "binary", COLUMN_STRING, 0 },
	{ "varchar", COLUMN_VARCHAR, 0 },
	{ "varbinary", COLUMN_VARCHAR, 0 },
	{ "tinytext", COLUMN_BLOB, 1 },
	{ "tinyblob", COLUMN_BLOB, 1 },
	{ "text", COLUMN_BLOB, 2 },
	{ "blob", COLUMN_BLOB, 2 },
	{ "mediumtext", COLUMN_BLOB, 3 },
	{ "mediumblob", COLUMN_BLOB, 3 },
	{ "longtext", COLUMN_BLOB, 4 },
	{ "longblob", COLUMN_BLOB, 4 },
	{ "enum", COLUMN_ENUM, 0 },
	{ "set", COLUMN_SET, 0 },
	{ "json", COLUMN_JSON, 4 },
	{ "geometry", COLUMN_GEOMETRY, 4 },
	{ "point", COLUMN_GEOMETRY, 4 },
	{ "linestring", COLUMN_GEOMETRY, 4 },
	{ "polygon", COLUMN_GEOMETRY, 4 },
	{ "multipoint", COLUMN_GEOMETRY, 4 },
	{ "multilinestring", COLUMN_GEOMETRY, 4 },
	{ "multipolygon", COLUMN_GEOMETRY, 4 },
	{ "geometrycollection", COLUMN_GEOMETRY, 4 },
	{ "geomcollection", COLUMN_GEOMETRY, 4 },
	{ "vector", COLUMN_VECTOR, 0 },
	{ "uuid", COLUMN_UUID, 16 },
	{ "inet4", COLUMN_INET4, 4 },
	{ "inet6", COLUMN_INET6, 16 },
};

#define SQL_COLUMNS               \
	"SELECT " CATALOG_FIELDS( \
		"c.") ", k.ID"    \
		      " FROM information_schema.COLUMNS c LEFT JOIN information_schema."
#define SQL_KEY \
	"SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY' AND "

static void add_where(struct buf *sql, const char *alias, const char *schema, const char *table)
{
	buf_add_format(sql, "%sTABLE_SCHEMA = ", alias);
	db_quote(slice_str(schema), sql);
	buf_add_format(sql, " AND %sTABLE_NAME = ", alias);
	db_quote(slice_str(table), sql);
}

static char *text_of(struct slice s)
{
	return xstrndup(s.data == NULL ? "" : (const char *)s.data, s.size);
}

/* 0 for NULL, too. */
static uint64_t number_of(struct slice s)
{
	uint64_t v = 0;

	for (size_t i = 0;
	     i < s.size && s.data[i] >= '0' && s.data[i] <= '9' && v < UINT64_MAX / 100; i++)
		v = v * 10 + (uint64_t)(s.data[i] - '0');
	return v;
}

static bool contains(struct slice text, const char *part)
{
	return text.size > 0 && memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static int refuse(const struct shape *s, const struct column *c, struct err *e, const char *what)
{
	err_config(e, "table %s.%s, column %s: %s", s->db, s->table, c->name, what);
	return err_hint(e, CATALOG_HINT);
}

static int refuse_type(const struct shape *s, const struct column *c, struct err *e,
		       struct slice type, const char *more)
{
	char what[120];

	snprintf(what, sizeof(what), "type %.*s%s is not supported yet",
		 (int)(type.size < 40 ? type.size : 40), (const char *)type.data, more);
	return refuse(s, c, e, what);
}

static const struct sql_type *find_type(struct slice name)
{
	for (size_t i = 0; i < sizeof(sql_types) / sizeof(sql_types[0]); i++)
		if (slice_is(name, sql_types[i].name))
			return &sql_types[i];
	return NULL;
}

/* Bytes that a SET of n members takes. */
static uint8_t set_bytes(uint16_t n)
{
	uint8_t bytes = (uint8_t)((n + 7) / 8);

	return bytes > 4 ? 8 : bytes;
}

/* ---- one column ---- */

static void set_sizes(struct column *c, const struct sql_type *type, bool mysql,
		      const struct slice *row)
{
	switch (c->type) {
	case COLUMN_STRING:
	case COLUMN_VARCHAR:
		c->size_max = (uint32_t)number_of(row[CATALOG_FIELD_BYTES]);
		break;
	case COLUMN_BLOB:
	case COLUMN_JSON:
	case COLUMN_GEOMETRY:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		c->size_max = type->size;
		break;
	case COLUMN_VECTOR:
		c->size_max = (uint32_t)number_of(row[CATALOG_FIELD_BYTES]);
		c->pack_bytes = mysql ? 4 : c->size_max > 255 ? 2 : 1;
		break;
	case COLUMN_NEWDECIMAL:
		c->precision = (uint8_t)number_of(row[CATALOG_FIELD_PRECISION]);
		c->scale = (uint8_t)number_of(row[CATALOG_FIELD_SCALE]);
		break;
	case COLUMN_YEAR:
		c->precision = slice_is(row[CATALOG_FIELD_FULL_TYPE], "year(2)") ? 2 : 0;
		break;
	case COLUMN_BIT:
		c->bits = (uint16_t)number_of(row[CATALOG_FIELD_PRECISION]);
		break;
	case COLUMN_TIME2:
	case COLUMN_DATETIME2:
	case COLUMN_TIMESTAMP2:
		c->fraction = (uint8_t)number_of(row[CATALOG_FIELD_FRACTION]);
		break;
	default: /* wire types, not an enum of ours */
		break;
	}
}

static bool is_labelled(const struct column *c)
{
	return c->type == COLUMN_ENUM || c->type == COLUMN_SET;
}

static int set_collation(const struct shape *s, struct column *c, const struct slice *row,
			 struct err *e)
{
	if (!column_is_character(c) && !is_labelled(c))
		return 0;
	if (row[CATALOG_FIELD_COLLATION].data == NULL)
		c->collation = COLLATION_BINARY;
	else
		c->collation = (uint16_t)number_of(row[CATALOG_FIELD_COLLATION_ID]);
	if (c->collation == 0)
		return refuse(s, c, e, "the server does not tell the number of its collation");
	c->is_binary = column_is_character(c) && c->collation == COLLATION_BINARY;
	if (catalog_column_refused(c) != NULL)
		return refuse(s, c, e, catalog_column_refused(c));
	return 0;
}

/* False: it has a fraction, of which its TABLE_MAP says nothing. */
static bool set_old_temporal(struct column *c, const struct slice *row)
{
	if (c->type == COLUMN_TIME2)
		c->type = COLUMN_TIME;
	else if (c->type == COLUMN_DATETIME2)
		c->type = COLUMN_DATETIME;
	else if (c->type == COLUMN_TIMESTAMP2)
		c->type = COLUMN_TIMESTAMP;
	return number_of(row[CATALOG_FIELD_FRACTION]) == 0;
}

/* MariaDB 10.1 and 10.2 leave virtual columns NULL in row images, 10.5 and later have their values;
 * of those between, which name no columns either, it is not known. */
static bool leaves_virtual_out(const char *version)
{
	int major, minor;

	if (strncmp(version, "5.5.5-", 6) == 0)
		version += 6;
	return strstr(version, "MariaDB") != NULL &&
	       sscanf(version, "%d.%d", &major, &minor) == 2 &&
	       (major < 10 || (major == 10 && minor < 5));
}

int catalog_take_column(const struct shape *s, struct column *c, const char *version,
			const struct slice *row, struct err *e)
{
	const struct sql_type *type = find_type(row[CATALOG_FIELD_TYPE]);
	bool mysql = strstr(version, "MariaDB") == NULL;

	c->name = text_of(row[CATALOG_FIELD_NAME]);
	if (type == NULL)
		return refuse_type(s, c, e, row[CATALOG_FIELD_TYPE], "");
	c->type = type->type;
	if (!is_labelled(c) && contains(row[CATALOG_FIELD_FULL_TYPE], "COMPRESSED"))
		return refuse_type(s, c, e, row[CATALOG_FIELD_TYPE], " compressed");
	if (!is_labelled(c) && contains(row[CATALOG_FIELD_FULL_TYPE], "mariadb-5.3") &&
	    !set_old_temporal(c, row))
		return refuse_type(
			s, c, e, row[CATALOG_FIELD_TYPE],
			" with a fraction in the format of MariaDB 5.3 (ALTER TABLE ... FORCE converts it)");
	c->nullable = slice_is(row[CATALOG_FIELD_NULLABLE], "YES");
	c->is_unsigned = !is_labelled(c) && c->type != COLUMN_YEAR &&
			 contains(row[CATALOG_FIELD_FULL_TYPE], "unsigned");
	set_sizes(c, type, mysql, row);
	c->json_5_7 = c->type == COLUMN_JSON && catalog_prints_json_as_5_7(version);
	c->not_logged = contains(row[CATALOG_FIELD_EXTRA], "VIRTUAL") &&
			leaves_virtual_out(version);
	if (set_collation(s, c, row, e) < 0)
		return -1;
	if (!is_labelled(c))
		return 0;
	if (!catalog_take_labels(c, row[CATALOG_FIELD_FULL_TYPE]))
		return refuse(s, c, e, "a label with a NUL cannot be told from others");
	c->pack_bytes = c->type == COLUMN_SET  ? set_bytes(c->label_count)
			: c->label_count < 256 ? 1
					       : 2;
	return 0;
}

/* ---- one table ---- */

static int columns_sql(struct db *db, const char *schema, const char *table, struct buf *sql,
		       struct err *e)
{
	char *full_names;

	if (db_get_text(db, CATALOG_SQL_HAS_FULL_NAMES, &full_names, e) < 0)
		return -1;
	buf_add_str(sql, SQL_COLUMNS);
	buf_add_str(sql, full_names != NULL ? CATALOG_APPLICABILITY " k ON k.FULL_COLLATION_NAME"
					    : "COLLATIONS k ON k.COLLATION_NAME");
	buf_add_str(sql, " = c.COLLATION_NAME WHERE ");
	free(full_names);
	add_where(sql, "c.", schema, table);
	buf_add_str(sql, " ORDER BY c.ORDINAL_POSITION");
	return 0;
}

/* Reads the columns into an array that grows; *ret_shape gets them when all are there. */
static int read_columns(struct db_result *r, const char *version, const char *schema,
			const char *table, struct shape **ret_shape, struct err *e)
{
	struct shape *s = shape_new(schema, table, SHAPE_COLUMNS_MAX);
	const struct slice *row;
	uint16_t n = 0;
	int rc;

	while ((rc = db_next(r, &row, e)) == 1) {
		if (n == SHAPE_COLUMNS_MAX ||
		    catalog_take_column(s, &s->columns[n], version, row, e) < 0) {
			shape_unref(s);
			return -1;
		}
		n++;
	}
	s->column_count = n;
	if (rc == 0 && n == 0) {
		/* it was there a moment ago: who asks again finds it gone, or made anew */
		rc = err_retry(
			e,
			"table %s.%s does not exist on the source, or the account may not see it",
			schema, table);
		err_hint(e, "Check capture.tables, and that the account has SELECT on it.");
	}
	if (rc < 0) {
		shape_unref(s);
		return -1;
	}
	s->columns = xrealloc(s->columns, n * sizeof(s->columns[0]));
	*ret_shape = s;
	return 0;
}

static int read_key(struct db *db, struct shape *s, struct err *e)
{
	struct buf sql = BUF_INIT;
	struct db_result *r;
	const struct slice *row;
	int rc;

	buf_add_str(&sql, SQL_KEY);
	add_where(&sql, "", s->db, s->table);
	buf_add_str(&sql, " ORDER BY SEQ_IN_INDEX");
	rc = db_query(db, buf_cstr(&sql), &r, e);
	buf_done(&sql);
	if (rc < 0)
		return -1;
	while ((rc = db_next(r, &row, e)) == 1) {
		int column = shape_column(s, row[0]);

		if (column < 0 || s->key_count == s->column_count)
			break; /* the table changed between the two questions */
		if (s->key == NULL)
			s->key = xcalloc(s->column_count, sizeof(s->key[0]));
		s->key[s->key_count++] = (uint16_t)column;
	}
	db_result_free(r);
	return rc == 1 ? err_retry(e, "table %s.%s changed while it was looked at", s->db, s->table)
		       : rc;
}

int catalog_read_shape(struct db *db, const char *schema, const char *table,
		       struct shape **ret_shape, struct err *e)
{
	struct buf sql = BUF_INIT;
	struct db_result *r = NULL;
	struct shape *s = NULL;
	int rc = -1;

	if (columns_sql(db, schema, table, &sql, e) == 0 &&
	    db_query(db, buf_cstr(&sql), &r, e) == 0)
		rc = read_columns(r, db_server_version(db), schema, table, &s, e);
	db_result_free(r);
	buf_done(&sql);
	if (rc == 0)
		rc = read_key(db, s, e);
	if (rc == 0)
		rc = catalog_settle_labels(db, s, e);
	if (rc < 0) {
		shape_unref(s);
		return -1;
	}
	*ret_shape = shape_pack(s);
	return 0;
}

/* ---- hints ---- */

void catalog_hints_done(struct catalog_hints *h)
{
	for (size_t i = 0; i < h->count; i++) {
		free(h->items[i].db);
		free(h->items[i].table);
		free(h->items[i].column);
		free(h->items[i].type);
	}
	free(h->items);
	*h = (struct catalog_hints){ 0 };
}

static void add_hint(struct catalog_hints *h, const struct slice *row)
{
	if (h->count == h->capacity) {
		h->capacity = h->capacity == 0 ? 8 : h->capacity * 2;
		h->items = xrealloc(h->items, h->capacity * sizeof(h->items[0]));
	}
	h->items[h->count++] = (struct catalog_hidden){ .db = text_of(row[0]),
							.table = text_of(row[1]),
							.column = text_of(row[2]),
							.type = text_of(row[3]),
							.fraction = (uint8_t)number_of(row[4]) };
}

int catalog_read_hints(struct catalog *c, struct db *db, struct err *e)
{
	struct catalog_hints fresh = { 0 };
	struct db_result *r;
	const struct slice *row;
	int rc;

	if (db_query(
		    db,
		    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, DATETIME_PRECISION"
		    " FROM information_schema.COLUMNS WHERE DATA_TYPE IN ('uuid', 'inet4', 'inet6', 'vector')"
		    " OR COLUMN_TYPE LIKE '%mariadb-5.3%' OR COLUMN_TYPE = 'year(2)'",
		    &r, e) < 0)
		return -1;
	while ((rc = db_next(r, &row, e)) == 1)
		if (catalog_captures(c, row[0], row[1]))
			add_hint(&fresh, row);
	db_result_free(r);
	if (rc < 0) {
		catalog_hints_done(&fresh);
		return -1;
	}
	catalog_hints_done(catalog_hints_of(c));
	*catalog_hints_of(c) = fresh;
	return 0;
}
