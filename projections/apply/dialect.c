/* dialect.c - the table of dialects, and what is read out of it.
 *
 * Dates and times arrive as numbers (core/value/value.h). SQLite keeps them so; the others make
 * their own types of them in the statement: from whole days and the microseconds of a day, because
 * PostgreSQL multiplies an interval by a double, which doesn't hold the microseconds of 9999 years.
 */
#include "projections/apply/dialect.h"

#include <string.h>

enum kind_of_type {
	TYPE_INT,
	TYPE_BIGINT,
	TYPE_UNSIGNED,
	TYPE_DECIMAL,
	TYPE_FLOAT,
	TYPE_DOUBLE,
	TYPE_TEXT,
	TYPE_BYTES,
	TYPE_DATE,
	TYPE_DATETIME,
	TYPE_TIME,
	TYPES
};

enum { SQLITE, POSTGRESQL, MYSQL, MARIADB, DIALECTS };

static const struct dialect dialects[DIALECTS] = {
	[SQLITE] = { .store = "sqlite",
		     .quote = '"',
		     .loose = true,
		     .insert_or_nothing = { "INSERT OR IGNORE INTO ", "" },
		     .table_end = " WITHOUT ROWID" },
	[POSTGRESQL] = { .store = "postgresql",
			 .quote = '"',
			 .insert_or_nothing = { "INSERT INTO ", " ON CONFLICT DO NOTHING" },
			 .table_end = "" },
	[MYSQL] = { .store = "mysql",
		    .quote = '`',
		    .insert_or_nothing = { "INSERT IGNORE INTO ", "" },
		    .table_end = " DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_bin",
		    .key_bytes_max = 3072 },
	[MARIADB] = { .store = "mariadb",
		      .quote = '`',
		      .insert_or_nothing = { "INSERT IGNORE INTO ", "" },
		      .table_end = " DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin",
		      .key_bytes_max = 3072 },
};

static const struct {
	const char *name, *value; /* value: %p is the parameter; NULL: just that */
} types[DIALECTS][TYPES] = {
	[SQLITE] = {
		[TYPE_INT] = { "INTEGER", NULL },
		[TYPE_BIGINT] = { "INTEGER", NULL },
		[TYPE_UNSIGNED] = { "TEXT", NULL }, /* beyond 2^63 an INTEGER would be a REAL */
		[TYPE_DECIMAL] = { "TEXT", NULL },
		[TYPE_FLOAT] = { "REAL", NULL },
		[TYPE_DOUBLE] = { "REAL", NULL },
		[TYPE_TEXT] = { "TEXT", NULL },
		[TYPE_BYTES] = { "BLOB", NULL },
		[TYPE_DATE] = { "INTEGER", NULL },
		[TYPE_DATETIME] = { "INTEGER", NULL },
		[TYPE_TIME] = { "INTEGER", NULL },
	},
	[POSTGRESQL] = {
		[TYPE_INT] = { "integer", "CAST(%p AS integer)" },
		[TYPE_BIGINT] = { "bigint", "CAST(%p AS bigint)" },
		[TYPE_UNSIGNED] = { "numeric(20,0)", "CAST(%p AS numeric)" },
		[TYPE_DECIMAL] = { "numeric", "CAST(%p AS numeric)" },
		[TYPE_FLOAT] = { "real", "CAST(%p AS real)" },
		[TYPE_DOUBLE] = { "double precision", "CAST(%p AS double precision)" },
		[TYPE_TEXT] = { "text COLLATE \"C\"", "CAST(%p AS text)" },
		[TYPE_BYTES] = { "bytea", "CAST(%p AS bytea)" },
		[TYPE_DATE] = { "date", "DATE '1970-01-01' + CAST(%p AS integer)" },
		[TYPE_DATETIME] = { "timestamp(6)",
				    "TIMESTAMP '1970-01-01' + CAST(%p AS bigint) / 86400000000 * "
				    "INTERVAL '1 day' + CAST(%p AS bigint) % 86400000000 * "
				    "INTERVAL '1 microsecond'" },
		[TYPE_TIME] = { "interval",
				"CAST(%p AS bigint) / 1000000 * INTERVAL '1 second' + "
				"CAST(%p AS bigint) % 1000000 * INTERVAL '1 microsecond'" },
	},
	[MYSQL] = {
		[TYPE_INT] = { "INT", NULL },
		[TYPE_BIGINT] = { "BIGINT", NULL },
		[TYPE_UNSIGNED] = { "BIGINT UNSIGNED", NULL },
		[TYPE_DECIMAL] = { "DECIMAL", NULL },
		[TYPE_FLOAT] = { "FLOAT", NULL },
		[TYPE_DOUBLE] = { "DOUBLE", NULL },
		[TYPE_TEXT] = { "LONGTEXT", NULL },
		[TYPE_BYTES] = { "LONGBLOB", NULL },
		[TYPE_DATE] = { "DATE", "DATE_ADD('1970-01-01', INTERVAL %p DAY)" },
		[TYPE_DATETIME] = { "DATETIME(6)", "TIMESTAMPADD(MICROSECOND, %p, '1970-01-01')" },
		[TYPE_TIME] = { "TIME(6)", "SEC_TO_TIME(%p * 0.000001)" },
	},
};

const struct dialect *dialect_of(const char *store)
{
	for (size_t i = 0; i < DIALECTS; i++) {
		if (strcmp(dialects[i].store, store) == 0)
			return &dialects[i];
	}
	return NULL;
}

void dialect_name(const struct dialect *d, const char *name, struct buf *out)
{
	buf_add_u8(out, (uint8_t)d->quote);
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == d->quote)
			buf_add_u8(out, (uint8_t)*p);
		buf_add_u8(out, (uint8_t)*p);
	}
	buf_add_u8(out, (uint8_t)d->quote);
}

static enum kind_of_type type_of(const struct column *c)
{
	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_YEAR:
		return TYPE_INT;
	case COLUMN_LONG:
		return c->is_unsigned ? TYPE_BIGINT : TYPE_INT;
	case COLUMN_LONGLONG:
		return c->is_unsigned ? TYPE_UNSIGNED : TYPE_BIGINT;
	case COLUMN_NEWDECIMAL:
		return TYPE_DECIMAL;
	case COLUMN_FLOAT:
		return TYPE_FLOAT;
	case COLUMN_DOUBLE:
		return TYPE_DOUBLE;
	case COLUMN_DATE:
		return TYPE_DATE;
	case COLUMN_TIME:
	case COLUMN_TIME2:
		return TYPE_TIME;
	case COLUMN_DATETIME:
	case COLUMN_DATETIME2:
	case COLUMN_TIMESTAMP:
	case COLUMN_TIMESTAMP2:
		return TYPE_DATETIME;
	case COLUMN_BIT:
		return c->bits == 1 ? TYPE_INT : TYPE_BYTES;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		return c->is_binary ? TYPE_BYTES : TYPE_TEXT;
	case COLUMN_ENUM:
	case COLUMN_SET:
	case COLUMN_JSON:
	case COLUMN_VECTOR:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
	case COLUMN_GEOMETRY:
		break;
	}
	return TYPE_TEXT;
}

static enum kind_of_type part_type(const struct column *c, enum dialect_part part)
{
	return part == DIALECT_SRID ? TYPE_BIGINT : part == DIALECT_WKB ? TYPE_BYTES : type_of(c);
}

static size_t row_of(const struct dialect *d)
{
	size_t i = (size_t)(d - dialects);

	return i == MARIADB ? MYSQL : i;
}

/* Of the longest text, at most; 0: not known. */
static size_t characters(const struct column *c)
{
	size_t most = 0;

	for (size_t i = 0; c->type == COLUMN_ENUM && i < c->label_count; i++)
		most = strlen(c->labels[i]) > most ? strlen(c->labels[i]) : most;
	if (c->type == COLUMN_UUID || c->type == COLUMN_INET4 || c->type == COLUMN_INET6)
		most = 64;
	if (c->type == COLUMN_VARCHAR || c->type == COLUMN_STRING)
		most = c->size_max;
	return most;
}

/* MySQL has no key over a LONGTEXT; short texts are VARCHAR there, whose limit no value reaches. */
static bool put_short(const struct column *c, enum kind_of_type type, bool key, struct buf *out)
{
	size_t most = type == TYPE_BYTES && c->type == COLUMN_BIT ? 8 : characters(c);

	if (type == TYPE_TEXT && key && most > 768)
		most = 768; /* what an index holds */
	if (most == 0 || most > (type == TYPE_TEXT ? 768 : 3072))
		return false;
	buf_add_format(out, type == TYPE_TEXT ? "VARCHAR(%zu)" : "VARBINARY(%zu)", most);
	return true;
}

void dialect_type(const struct dialect *d, const struct column *c, enum dialect_part part, bool key,
		  struct buf *out)
{
	enum kind_of_type type = part_type(c, part);
	bool text = type == TYPE_TEXT || type == TYPE_BYTES;

	if (d->key_bytes_max > 0 && text && part == DIALECT_WHOLE && put_short(c, type, key, out))
		return;
	buf_add_str(out, types[row_of(d)][type].name);
	if (type == TYPE_DECIMAL && !d->loose)
		buf_add_format(out, "(%u,%u)", c->precision, c->scale);
}

void dialect_parameter(const struct dialect *d, const struct column *c, enum dialect_part part,
		       size_t number, struct buf *out)
{
	const char *value = types[row_of(d)][part_type(c, part)].value;

	if (value == NULL)
		value = "%p";
	for (; *value != '\0'; value++) {
		if (value[0] == '%' && value[1] == 'p') {
			buf_add_format(out, ":p%zu", number);
			value++;
		} else {
			buf_add_u8(out, (uint8_t)*value);
		}
	}
}

void dialect_upsert(const struct dialect *d, struct dialect_names key, struct dialect_names others,
		    struct buf *out)
{
	bool mysql = row_of(d) == MYSQL;
	/* MySQL has no "do nothing" here: a key column is set to what it is */
	struct dialect_names set = mysql && others.count == 0 ? key : others;

	buf_add_str(out, mysql ? " ON DUPLICATE KEY UPDATE " : " ON CONFLICT (");
	for (size_t i = 0; !mysql && i < key.count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		dialect_name(d, key.items[i], out);
	}
	if (!mysql)
		buf_add_str(out, set.count > 0 ? ") DO UPDATE SET " : ") DO NOTHING");
	for (size_t i = 0; i < set.count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		dialect_name(d, set.items[i], out);
		buf_add_str(out, mysql ? " = VALUES(" : " = excluded.");
		dialect_name(d, set.items[i], out);
		buf_add_str(out, mysql ? ")" : "");
	}
}
