/* load.c - is LOAD DATA the same here as the statement, and rows as it takes them. */
#include "projections/store/mysql/load.h"

#include "core/base/mem.h"
#include "core/value/shape.h"
#include "core/value/temporal.h"
#include "projections/store/mysql/mysql_priv.h"

#include <stdlib.h>
#include <strings.h>

/* What a column makes of a value. */
enum takes {
	TAKES_NOTHING,
	TAKES_INTEGERS = 1, /* as of their digits */
	TAKES_DOUBLES = 2,
	TAKES_TEXT = 4, /* as of a literal with quotes */
	TAKES_TIMES = 8 /* a date or time as of its text */
};

struct load_column {
	unsigned takes;
	bool nullable;
};

struct mydb_load {
	const struct mydb_rows *rows;
	struct load_column *columns; /* as the cells */
	struct buf sql;
};

static const struct {
	const char *type; /* DATA_TYPE of information_schema.COLUMNS */
	unsigned takes;
} types[] = {
	{ "tinyint", TAKES_INTEGERS | TAKES_TEXT },
	{ "smallint", TAKES_INTEGERS | TAKES_TEXT },
	{ "mediumint", TAKES_INTEGERS | TAKES_TEXT },
	{ "int", TAKES_INTEGERS | TAKES_TEXT },
	{ "bigint", TAKES_INTEGERS | TAKES_TEXT },
	{ "decimal", TAKES_INTEGERS | TAKES_TEXT },
	{ "float", TAKES_INTEGERS | TAKES_DOUBLES | TAKES_TEXT },
	{ "double", TAKES_INTEGERS | TAKES_DOUBLES | TAKES_TEXT },
	{ "char", TAKES_INTEGERS | TAKES_TEXT },
	{ "varchar", TAKES_INTEGERS | TAKES_TEXT },
	{ "tinytext", TAKES_INTEGERS | TAKES_TEXT },
	{ "text", TAKES_INTEGERS | TAKES_TEXT },
	{ "mediumtext", TAKES_INTEGERS | TAKES_TEXT },
	{ "longtext", TAKES_INTEGERS | TAKES_TEXT },
	{ "date", TAKES_TEXT | TAKES_TIMES },
	{ "datetime", TAKES_TEXT | TAKES_TIMES },
	{ "timestamp", TAKES_TEXT | TAKES_TIMES },
	{ "time", TAKES_TEXT | TAKES_TIMES },
	{ "enum", TAKES_TEXT },
	{ "set", TAKES_TEXT },
};

static bool is_name(const char *name, struct slice text)
{
	return strlen(name) == text.size &&
	       strncasecmp(name, (const char *)text.data, text.size) == 0;
}

static unsigned takes(struct slice type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (is_name(types[i].type, type))
			return types[i].takes;
	return TAKES_NOTHING;
}

void mydb_load_free(struct mydb_load *l)
{
	if (l == NULL)
		return;
	free(l->columns);
	buf_done(&l->sql);
	free(l);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* A column as the catalog has it. */
enum { FACT_NAME, FACT_TYPE, FACT_NULLABLE, FACT_EXTRA, FACT_PRIMARY, FACT_COLLATION, FACT_UNIQUE };

static int ask_facts(struct db *db, const char *table, struct db_result **ret_result, struct err *e)
{
	char *name = mydb_literal(table);
	char *sql = xasprintf(
		"SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE = 'YES', EXTRA <> '', COLUMN_KEY = "
		"'PRI', COALESCE(COLLATION_NAME, ''), (SELECT COUNT(DISTINCT INDEX_NAME) FROM "
		"information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s "
		"AND NON_UNIQUE = 0) = 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = "
		"DATABASE() AND TABLE_NAME = %s",
		name, name);
	int rc = db_query(db, sql, ret_result, e);

	free(sql);
	free(name);
	return rc;
}

static bool says_yes(struct slice fact)
{
	return fact.size == 1 && fact.data[0] == '1';
}

static bool is_set(const struct mydb_rows *r, struct slice column)
{
	for (size_t i = 0; i < r->set_count; i++)
		if (is_name(r->set[i], column))
			return true;
	return false;
}

static size_t cell_of(const struct mydb_rows *r, struct slice column)
{
	size_t i = 0;

	while (i < r->count && !is_name(r->cells[i].column, column))
		i++;
	return i;
}

/* False: LOAD DATA would do something else with it. */
static bool learn_column(struct mydb_load *l, const struct slice *facts)
{
	size_t cell = cell_of(l->rows, facts[FACT_NAME]);

	if (cell == l->rows->count || says_yes(facts[FACT_EXTRA]))
		return false;
	l->columns[cell] = (struct load_column){
		.takes = takes(facts[FACT_TYPE]),
		.nullable = says_yes(facts[FACT_NULLABLE]),
	};
	if (!l->rows->updates)
		return true;
	return says_yes(facts[FACT_PRIMARY]) ? mydb_is_exact(facts[FACT_COLLATION])
					     : is_set(l->rows, facts[FACT_NAME]);
}

static int learn_table(struct mydb_load *l, struct db *db, const char *table, bool *ret_fits,
		       struct err *e)
{
	bool primary = false, unique = false, fits = true;
	const struct slice *facts;
	struct db_result *r;
	size_t count = 0;
	int rc;

	if (ask_facts(db, table, &r, e) < 0)
		return -1;
	while ((rc = db_next(r, &facts, e)) == 1) {
		fits = fits && learn_column(l, facts);
		primary = primary || says_yes(facts[FACT_PRIMARY]);
		unique = says_yes(facts[FACT_UNIQUE]);
		count++;
	}
	db_result_free(r);
	*ret_fits = fits && count == l->rows->count && (!l->rows->updates || (primary && unique));
	return rc;
}

static void write_sql(const struct mydb_sql *s, struct buf *sql)
{
	const struct mydb_rows *r = s->rows;

	buf_add_str(sql, "LOAD DATA LOCAL INFILE 'millrace' ");
	buf_add_str(sql, r->updates || r->replaces ? "REPLACE " : "");
	buf_add_str(sql, "INTO TABLE ");
	db_store_name(s->table, sql);
	buf_add_str(sql, " CHARACTER SET utf8mb4 (");
	for (size_t i = 0; i < r->count; i++) {
		buf_add_str(sql, i > 0 ? ", " : "");
		db_store_name(r->cells[i].column, sql);
	}
	buf_add_u8(sql, ')');
}

int mydb_load_learn(struct db *db, const struct mydb_sql *s, struct mydb_load **ret_load,
		    struct err *e)
{
	struct mydb_load *l;
	bool fits = false;
	int rc;

	*ret_load = NULL;
	if (s->rows == NULL)
		return 0;
	l = xcalloc(1, sizeof(*l));
	l->rows = s->rows;
	l->columns = xcalloc(s->rows->count + 1, sizeof(*l->columns));
	rc = learn_table(l, db, s->table, &fits, e);
	if (rc == 0 && fits) {
		write_sql(s, &l->sql);
		*ret_load = l;
	} else {
		mydb_load_free(l);
	}
	return rc;
}

struct slice mydb_load_sql(const struct mydb_load *l)
{
	return buf_slice(&l->sql);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool add_temporal(uint8_t type, int64_t number, struct buf *rows)
{
	char text[TEMPORAL_TEXT_MAX];
	struct temporal t;

	if (!temporal_from_number(type, number, &t) || t.hour > 838 ||
	    (type != COLUMN_TIME && t.year == 0))
		return false;
	buf_add(rows, text, temporal_text(type, &t, t.micros != 0 ? 6 : 0, text));
	return true;
}

static bool add_cell(const struct load_column *c, enum mydb_form form, const struct value *v,
		     struct buf *rows)
{
	static const uint8_t types_of[] = { [MYDB_DAYS] = COLUMN_DATE,
					    [MYDB_MICROS] = COLUMN_DATETIME,
					    [MYDB_CLOCK] = COLUMN_TIME };
	bool null = v->kind == VALUE_NULL || v->kind == VALUE_ABSENT;

	if (null ? !c->nullable : form != MYDB_AS_IS && v->kind != VALUE_INT)
		return false;
	if (!null && form != MYDB_AS_IS)
		return (c->takes & TAKES_TIMES) != 0 && add_temporal(types_of[form], v->i, rows);
	if (v->kind == VALUE_BYTES || (v->kind == VALUE_INT && (c->takes & TAKES_INTEGERS) == 0) ||
	    (v->kind == VALUE_DOUBLE && (c->takes & TAKES_DOUBLES) == 0) ||
	    (v->kind == VALUE_TEXT && (c->takes & TAKES_TEXT) == 0))
		return false;
	db_store_load_field(v, rows);
	return true;
}

bool mydb_load_row(const struct mydb_load *l, const struct value *const *values, struct buf *rows)
{
	size_t before = rows->size;

	for (size_t i = 0; i < l->rows->count; i++) {
		const struct mydb_cell *cell = &l->rows->cells[i];

		if (!add_cell(&l->columns[i], cell->form, values[cell->parameter], rows)) {
			rows->size = before;
			return false;
		}
		buf_add_u8(rows, i + 1 < l->rows->count ? '\t' : '\n');
	}
	return true;
}

void mydb_load_as_insert(const struct mydb_sql *s, struct slice rows, struct buf *sql)
{
	buf_add(sql, s->text.data, s->tuple_begin);
	db_store_load_literals(rows, sql);
	buf_add_str(sql, s->suffix);
}
