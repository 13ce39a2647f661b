/* view_new_sql.c - the SQL of a view's skeleton: its table, its handlers, the question to the
 * source; of kind query the SELECT and its keys. In the words of the view's store, but for
 * source.sql. */
#include "cli/view_new.h"

#include "projections/apply/dialect.h"

#include <string.h>

static void add_name(const struct new_folder *f, const char *name, struct buf *out)
{
	dialect_name(dialect_of(f->asked->store), name, out);
}

void view_new_parameter(const char *name, struct buf *out)
{
	bool taken = strcmp(name, "seq") == 0 || strcmp(name, "gtid") == 0 ||
		     strcmp(name, "at") == 0;

	buf_add_format(out, ":%s%s", taken ? "value_" : "", name);
}

static void add_type(const struct new_folder *f, const struct new_column *c, struct buf *out)
{
	bool sqlite = strcmp(f->asked->store, "sqlite") == 0;

	switch (c->form) {
	case FORM_NUMBER:
		buf_add_str(out, sqlite ? "INTEGER" : "BIGINT");
		break;
	case FORM_DECIMAL: /* in SQLite as it is printed: a number there has 15 digits */
		if (sqlite)
			buf_add_str(out, "TEXT");
		else
			buf_add_format(out, "%s(%d,%d)", f->mysql ? "DECIMAL" : "NUMERIC",
				       c->precision, c->scale);
		break;
	case FORM_REAL:
		buf_add_str(out, sqlite ? "REAL" : f->mysql ? "DOUBLE" : "DOUBLE PRECISION");
		break;
	case FORM_TEXT:
		buf_add_str(out, f->mysql ? c->key ? "VARCHAR(255)" : "LONGTEXT" : "TEXT");
		break;
	case FORM_BYTES:
		buf_add_str(out, sqlite      ? "BLOB"
				 : !f->mysql ? "BYTEA"
				 : c->key    ? "VARBINARY(255)"
					     : "LONGBLOB");
		break;
	}
}

static void add_key(const struct new_folder *f, const char *between, bool conditions,
		    struct buf *out)
{
	bool first = true;

	for (size_t i = 0; i < f->count; i++) {
		if (!f->columns[i].key)
			continue;
		buf_add_str(out, first ? "" : between);
		add_name(f, f->columns[i].name, out);
		if (conditions) {
			buf_add_str(out, " = ");
			view_new_parameter(f->columns[i].name, out);
		}
		first = false;
	}
}

void view_new_tables_sql(const struct new_folder *f, const char *table, struct buf *out)
{
	buf_add_str(out, "CREATE TABLE ");
	add_name(f, table, out);
	buf_add_str(out, " (\n");
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, "  ");
		add_name(f, f->columns[i].name, out);
		buf_add_u8(out, ' ');
		add_type(f, &f->columns[i], out);
		buf_add_str(out, f->columns[i].key ? " NOT NULL,\n" : ",\n");
	}
	buf_add_str(out, "  PRIMARY KEY (");
	add_key(f, ", ", false, out);
	buf_add_str(out, ")\n);\n");
}

/* An insert that may find the row: a row that was copied comes once more when it is reconciled. */
void view_new_put_sql(const struct new_folder *f, struct buf *out)
{
	bool first = true;

	buf_add_str(out, "INSERT INTO ");
	add_name(f, f->table, out);
	buf_add_str(out, " (");
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		add_name(f, f->columns[i].name, out);
	}
	buf_add_str(out, ")\nVALUES (");
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		view_new_parameter(f->columns[i].name, out);
	}
	buf_add_str(out, ")\n");
	if (f->mysql) {
		buf_add_str(out, "ON DUPLICATE KEY UPDATE ");
	} else {
		buf_add_str(out, "ON CONFLICT (");
		add_key(f, ", ", false, out);
		buf_add_str(out, ") DO UPDATE SET ");
	}
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, first ? "" : ", ");
		add_name(f, f->columns[i].name, out);
		buf_add_str(out, f->mysql ? " = VALUES(" : " = excluded.");
		add_name(f, f->columns[i].name, out);
		buf_add_str(out, f->mysql ? ")" : "");
		first = false;
	}
	buf_add_str(out, ";\n");
}

void view_new_delete_sql(const struct new_folder *f, bool all, struct buf *out)
{
	buf_add_str(out, "DELETE FROM ");
	add_name(f, f->table, out);
	if (!all) {
		buf_add_str(out, " WHERE ");
		add_key(f, " AND ", true, out);
	}
	buf_add_str(out, ";\n");
}

/* -- table: T, and a SELECT of all columns; names are quoted as `quote` does it. */
static void add_select(const struct new_folder *f, const struct dialect *quote, struct buf *out)
{
	buf_add_format(out, "-- table: %s\nSELECT ", f->table);
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		dialect_name(quote, f->columns[i].name, out);
	}
	buf_add_format(out, "\nFROM %s\n", f->asked->table);
}

void view_new_source_sql(const struct new_folder *f, struct buf *out)
{
	add_select(f, dialect_of("mysql"), out);
}

/* SQLite takes the source's quotes, too: there and in MariaDB the text serves both. */
void view_new_query_sql(const struct new_folder *f, struct buf *out)
{
	add_select(f,
		   dialect_of(strcmp(f->asked->store, "postgresql") == 0 ? "postgresql" : "mysql"),
		   out);
}

void view_new_keys_sql(const struct new_folder *f, struct buf *out)
{
	bool first = true;

	buf_add_format(out, "-- a row of %s counts for the row of the view with its key\nSELECT ",
		       f->source);
	for (size_t i = 0; i < f->count; i++) {
		if (!f->columns[i].key)
			continue;
		buf_add_format(out, "%s:%s", first ? "" : ", ", f->columns[i].name);
		first = false;
	}
	buf_add_u8(out, '\n');
}
