/*
 * expression.c - compile once, then ask per row.
 *
 * The expression is put into `SELECT (...) FROM "table"`, where the table is a virtual one of
 * exactly one row: the row that is being looked at. Its columns are declared with the affinity and
 * the collation that the source's columns have, so SQLite's own rules do the comparing, and each
 * column is fetched only when the expression really gets to it. No text is substituted and nothing
 * is bound.
 *
 * What may be used is decided while SQLite compiles: its authorizer names every column and
 * function, a second SELECT is a subquery, and a column whose collation we can't follow is declared
 * with a collation that is then removed, which hurts only when something is compared by it. The
 * compiled program is then read once (EXPLAIN) for text that is ordered by rules that are known for
 * equality only.
 */
#include "core/sql/expression.h"

#include "core/base/mem.h"
#include "core/base/settings.h"
#include "core/sql/expression_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define TEXT_MAX 65536      /* bytes of an expression */
#define EXACT_DIGITS_MAX 15 /* decimal digits that a double always keeps */

struct expression {
	const struct shape *shape;
	sqlite3 *db;
	sqlite3_stmt *statement;
	struct text_context text;
	bool *uses;
	int lone; /* the column that is the whole expression, or -1 */
	struct buf result;
	struct err compile; /* why the authorizer said no */
	unsigned selects;

	const struct value *values; /* the row, during an evaluation */
	bool test;                  /* for true or false, not for its value */
	struct err *run;
};

/* ---- the table of one row ---- */

struct row_table {
	sqlite3_vtab base;
	struct expression *x;
};

struct row_cursor {
	sqlite3_vtab_cursor base;
	bool end;
};

static bool is_temporal(uint8_t type)
{
	switch ((enum column_type)type) {
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_DATETIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_TIME2:
	case COLUMN_DATETIME2:
	case COLUMN_TIMESTAMP2:
		return true;
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_LONG:
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
	case COLUMN_LONGLONG:
	case COLUMN_INT24:
	case COLUMN_YEAR:
	case COLUMN_VARCHAR:
	case COLUMN_BIT:
	case COLUMN_NEWDECIMAL:
	case COLUMN_ENUM:
	case COLUMN_SET:
	case COLUMN_BLOB:
	case COLUMN_STRING:
	case COLUMN_JSON:
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return false;
	}
	return false;
}

/* Character data that is text: its collation matters. */
static bool is_text(const struct column *c)
{
	switch (c->type) {
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		return !c->is_binary;
	case COLUMN_ENUM:
	case COLUMN_SET:
	case COLUMN_JSON: /* text here, and compared in ways of their own there */
	case COLUMN_VECTOR:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return true;
	default: /* a byte, not an enum: everything that isn't character data */
		return false;
	}
}

static bool is_bytes(const struct column *c)
{
	return (c->type == COLUMN_BIT && c->bits > 1) || c->type == COLUMN_GEOMETRY ||
	       (column_is_character(c) && c->is_binary);
}

static const char *affinity(const struct column *c)
{
	if (is_text(c))
		return "TEXT";
	if (is_bytes(c))
		return "BLOB";
	return c->type == COLUMN_FLOAT || c->type == COLUMN_DOUBLE ? "REAL" : "NUMERIC";
}

static void add_name(struct buf *sql, const char *name)
{
	buf_add_u8(sql, '"');
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '"')
			buf_add_u8(sql, '"');
		buf_add_u8(sql, (uint8_t)*p);
	}
	buf_add_u8(sql, '"');
}

static int row_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
		       sqlite3_vtab **ret_table, char **ret_message)
{
	struct expression *x = context;
	struct buf sql = BUF_INIT;
	struct row_table *table;
	int rc;

	(void)argc;
	(void)argv;
	(void)ret_message;
	buf_add_str(&sql, "CREATE TABLE x(");
	for (uint16_t i = 0; i < x->shape->column_count; i++) {
		const struct column *c = &x->shape->columns[i];

		add_name(&sql, c->name);
		buf_add_format(&sql, " %s%s%s%s", affinity(c), is_text(c) ? " COLLATE " : "",
			       is_text(c) ? text_rule_name(text_rule_of(c->collation)) : "",
			       i + 1 < x->shape->column_count ? "," : ")");
	}
	rc = sqlite3_declare_vtab(db, buf_cstr(&sql));
	buf_done(&sql);
	if (rc != SQLITE_OK)
		return rc;
	table = sqlite3_malloc(sizeof(*table));
	if (table == NULL)
		return SQLITE_NOMEM;
	*table = (struct row_table){ .x = x };
	*ret_table = &table->base;
	return SQLITE_OK;
}

static int row_disconnect(sqlite3_vtab *table)
{
	sqlite3_free(table);
	return SQLITE_OK;
}

static int row_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
	(void)table;
	info->estimatedRows = 1;
	return SQLITE_OK;
}

static int row_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor)
{
	struct row_cursor *cursor = sqlite3_malloc(sizeof(*cursor));

	(void)table;
	if (cursor == NULL)
		return SQLITE_NOMEM;
	*cursor = (struct row_cursor){ .end = false };
	*ret_cursor = &cursor->base;
	return SQLITE_OK;
}

static int row_close(sqlite3_vtab_cursor *cursor)
{
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static int row_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int argc,
		      sqlite3_value **argv)
{
	(void)number;
	(void)text;
	(void)argc;
	(void)argv;
	((struct row_cursor *)cursor)->end = false;
	return SQLITE_OK;
}

static int row_next(sqlite3_vtab_cursor *cursor)
{
	((struct row_cursor *)cursor)->end = true;
	return SQLITE_OK;
}

static int row_end(sqlite3_vtab_cursor *cursor)
{
	return ((struct row_cursor *)cursor)->end;
}

static int row_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret_id)
{
	(void)cursor;
	*ret_id = 1;
	return SQLITE_OK;
}

/* A decimal's text as a number that compares exactly, or an error. */
static int put_number(sqlite3_context *context, const struct column *c, struct slice text,
		      struct err *e)
{
	char number[80], *end;
	size_t digits = 0, zeros = 0;
	int64_t whole;

	if (text.size == 0 || text.size >= sizeof(number))
		return err_data(e, "column %s is no number", c->name);
	memcpy(number, text.data, text.size);
	number[text.size] = '\0';
	errno = 0;
	whole = strtoll(number, &end, 10);
	if (*end == '\0' && errno == 0) {
		sqlite3_result_int64(context, whole);
		return 0;
	}
	for (const char *p = number; *p != '\0';
	     p++) { /* those that count: from the first to the last that isn't 0 */
		zeros = *p == '0' ? zeros + (digits > 0) : *p == '.' || *p == '-' ? zeros : 0;
		digits += *p >= '0' && *p <= '9' && (digits > 0 || *p != '0');
	}
	if (digits - zeros > EXACT_DIGITS_MAX)
		return err_data(
			e,
			"column %s has a number of more than %d digits, which an expression cannot compare exactly",
			c->name, EXACT_DIGITS_MAX);
	sqlite3_result_double(context, strtod(number, NULL));
	return 0;
}

/* A date that is none: in a test, the zero date lies before all others. */
static int put_no_date(sqlite3_context *context, const struct expression *x, const struct column *c,
		       struct slice text, struct err *e)
{
	if (x->test && text.size >= 10 && memcmp(text.data, "0000-00-00", 10) == 0)
		sqlite3_result_int64(context, INT64_MIN);
	else if (x->test)
		return err_data(
			e, "column %s has a date that is none, which an expression cannot compare",
			c->name);
	else
		sqlite3_result_text64(context, (const char *)text.data, text.size, SQLITE_STATIC,
				      SQLITE_UTF8);
	return 0;
}

static int put_text(sqlite3_context *context, const struct expression *x, const struct column *c,
		    struct slice text, struct err *e)
{
	if (c->type == COLUMN_NEWDECIMAL || c->type == COLUMN_LONGLONG)
		return put_number(context, c, text, e);
	if (is_temporal(c->type))
		return put_no_date(context, x, c, text, e);
	sqlite3_result_text64(context, text.size > 0 ? (const char *)text.data : "", text.size,
			      SQLITE_STATIC, SQLITE_UTF8);
	return 0;
}

static int put_value(sqlite3_context *context, const struct expression *x, const struct column *c,
		     const struct value *v, struct err *e)
{
	switch ((enum value_kind)v->kind) {
	case VALUE_ABSENT:
		err_data(e, "the row image lacks column %s", c->name);
		return err_hint(e,
				"Set binlog_row_image=FULL in the session that writes this table.");
	case VALUE_NULL:
		sqlite3_result_null(context);
		return 0;
	case VALUE_INT:
		sqlite3_result_int64(context, v->i);
		return 0;
	case VALUE_DOUBLE:
		sqlite3_result_double(context, v->d);
		return 0;
	case VALUE_TEXT:
		return put_text(context, x, c, v->bytes, e);
	case VALUE_BYTES:
		sqlite3_result_blob64(context, v->bytes.size > 0 ? (const void *)v->bytes.data : "",
				      v->bytes.size, SQLITE_STATIC);
		return 0;
	}
	return err_fatal(e, "column %s has a value of unknown kind %u", c->name, v->kind);
}

static int row_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
	struct expression *x = ((struct row_table *)cursor->pVtab)->x;
	struct err e = ERR_INIT;

	if (put_value(context, x, &x->shape->columns[column], &x->values[column], &e) == 0)
		return SQLITE_OK;
	*x->run = e;
	return SQLITE_ERROR;
}

static const sqlite3_module row_module = {
	.xCreate = row_connect,
	.xConnect = row_connect,
	.xBestIndex = row_best_index,
	.xDisconnect = row_disconnect,
	.xDestroy = row_disconnect,
	.xOpen = row_open,
	.xClose = row_close,
	.xFilter = row_filter,
	.xNext = row_next,
	.xEof = row_end,
	.xColumn = row_column,
	.xRowid = row_rowid,
};

/* ---- compiling ---- */

static int authorize_column(struct expression *x, const char *table, const char *column)
{
	int number;

	if (sqlite3_stricmp(table, x->shape->table) != 0) {
		err_config(&x->compile, "it reads table %s; an expression sees its own row only",
			   table);
		return SQLITE_DENY;
	}
	if (column[0] == '\0')
		return SQLITE_OK;
	number = shape_column(x->shape, slice_str(column));
	if (number < 0) {
		err_config(&x->compile, "table %s.%s has no column %s", x->shape->db,
			   x->shape->table, column);
		return SQLITE_DENY;
	}
	x->uses[number] = true;
	return SQLITE_OK;
}

static int authorize(void *context, int action, const char *a, const char *b, const char *db,
		     const char *trigger)
{
	struct expression *x = context;

	(void)db;
	(void)trigger;
	if (action == SQLITE_SELECT && x->selects++ == 0)
		return SQLITE_OK;
	if (action == SQLITE_SELECT) {
		err_config(&x->compile,
			   "it contains a subquery; an expression sees its own row only");
		return SQLITE_DENY;
	}
	if (action == SQLITE_READ)
		return authorize_column(x, a, b);
	if (action == SQLITE_FUNCTION && text_function_allowed(b))
		return SQLITE_OK;
	if (action == SQLITE_FUNCTION) {
		err_config(&x->compile, "function %s() is not available in expressions", b);
		err_hint(
			&x->compile,
			"What its result depends on must be the row alone, and alike in the source; "
			"see schemas/mapping.md.");
	} else {
		err_config(&x->compile, "it does more than compute a value (SQLite action %d)",
			   action);
	}
	return SQLITE_DENY;
}

static void hint_column(const struct expression *x, const char *name, struct err *e)
{
	const char **known = xcalloc(x->shape->column_count + 1u, sizeof(*known));
	const char *nearest;

	for (uint16_t i = 0; i < x->shape->column_count; i++)
		known[i] = x->shape->columns[i].name;
	nearest = settings_nearest(name, known, x->shape->column_count);
	if (nearest != NULL)
		err_hint(e, "Did you mean %s?", nearest);
	else
		err_hint(e, "Text goes in single quotes: '%s'.", name);
	free(known);
}

static int prepare_failed(struct expression *x, struct err *e)
{
	static const char no_column[] = "no such column: ",
			  no_collation[] = "no such collation sequence: ";
	const char *message = sqlite3_errmsg(x->db);

	if (x->compile.kind != ERR_NONE) {
		*e = x->compile;
		return -1;
	}
	if (strncmp(message, no_column, sizeof(no_column) - 1) == 0) {
		const char *name = message + sizeof(no_column) - 1;

		err_config(e, "table %s.%s has no column %s", x->shape->db, x->shape->table, name);
		hint_column(x, name, e);
		return -1;
	}
	if (strncmp(message, no_collation, sizeof(no_collation) - 1) == 0 &&
	    strstr(message, text_rule_name(TEXT_UNKNOWN)) != NULL) {
		err_config(e,
			   "it compares text of a column whose collation cannot be followed here");
		return err_hint(e, "Such a column can be tested with IS NULL only.");
	}
	return err_config(e, "%s", message);
}

static bool any_used(const struct expression *x, bool (*is)(const struct column *c))
{
	for (uint16_t i = 0; i < x->shape->column_count; i++) {
		if (x->uses[i] && is(&x->shape->columns[i]))
			return true;
	}
	return false;
}

static bool is_soft(const struct column *c)
{
	return is_text(c) && text_rule_soft(text_rule_of(c->collation));
}

static bool is_date(const struct column *c)
{
	return is_temporal(c->type);
}

/* Opcodes that order what they compare, with the name of a soft collation. */
static bool row_orders(sqlite3_stmt *program)
{
	static const char *const ordering[] = { "Lt", "Le", "Gt", "Ge" };
	const char *opcode = (const char *)sqlite3_column_text(program, 1);
	const char *collation = (const char *)sqlite3_column_text(program, 5);
	size_t at = 0;

	while (at < 4 && (opcode == NULL || strcmp(opcode, ordering[at]) != 0))
		at++;
	if (at == 4 || collation == NULL)
		return false;
	for (int rule = 0; rule < TEXT_RULES; rule++) {
		const char *name = text_rule_name((enum text_rule)rule);
		size_t size = strlen(name);

		if (text_rule_soft((enum text_rule)rule) && strncmp(collation, name, size) == 0 &&
		    collation[size] != '_')
			return true;
	}
	return false;
}

static int check_order(struct expression *x, const char *sql, struct err *e)
{
	sqlite3_stmt *program;
	bool orders = false;
	char *explain = xasprintf("EXPLAIN %s", sql);
	int rc;

	x->selects = 0;
	rc = sqlite3_prepare_v2(x->db, explain, -1, &program, NULL);
	free(explain);
	if (rc != SQLITE_OK)
		return err_fatal(e, "reading the compiled expression: %s", sqlite3_errmsg(x->db));
	while (sqlite3_step(program) == SQLITE_ROW)
		orders = orders || row_orders(program);
	sqlite3_finalize(program);
	if (!orders)
		return 0;
	err_config(e,
		   "it orders text (<, >, BETWEEN) by a collation that is known for equality only");
	return err_hint(e, "Compare with = or LIKE, or use a column with a _bin collation.");
}

/* One rule must fit all text that LIKE may see. */
static int choose_like_rule(struct expression *x, struct err *e)
{
	bool known = false;

	x->text.like_rule = TEXT_FOLDED;
	for (uint16_t i = 0; i < x->shape->column_count; i++) {
		const struct column *c = &x->shape->columns[i];
		enum text_rule rule;

		if (!x->uses[i] || !is_text(c))
			continue;
		rule = text_rule_of(c->collation);
		if (rule == TEXT_UNKNOWN || (known && rule / 2 != x->text.like_rule / 2))
			return err_config(
				e,
				"LIKE beside column %s: its collation cannot be followed here, or differs from "
				"that of another column in the expression",
				c->name);
		x->text.like_rule = rule;
		known = true;
	}
	return 0;
}

static bool mentions(const char *text, const char *word)
{
	size_t size = strlen(word);

	for (const char *p = text; *p != '\0'; p++) {
		if (sqlite3_strnicmp(p, word, (int)size) == 0)
			return true;
	}
	return false;
}

static int check_literals(struct expression *x, const struct scan *scan, struct err *e)
{
	if (scan->date_literal && any_used(x, is_date)) {
		err_config(e, "a date in quotes is text; date columns are numbers here");
		return err_hint(
			e,
			"Write days('2024-01-31') beside a DATE, micros('2024-01-31 12:00:00') beside a DATETIME, "
			"TIMESTAMP or TIME.");
	}
	if (scan->text_literal && any_used(x, is_bytes)) {
		err_config(e, "a string is text; binary columns are bytes");
		return err_hint(e, "Write x'...' with hex digits.");
	}
	if (scan->foreign_literal && any_used(x, is_soft)) {
		err_config(
			e,
			"a string beyond ASCII beside a column whose collation is known for ASCII only");
		return err_hint(e, "Use a column with a _bin collation.");
	}
	return 0;
}

static int prepare(struct expression *x, const char *text, const struct scan *scan, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc = -1;

	buf_add_str(&sql, "SELECT (");
	buf_add_str(&sql, text);
	buf_add_str(&sql, "\n) FROM ");
	add_name(&sql, x->shape->table);
	sqlite3_set_authorizer(x->db, authorize, x);
	if (sqlite3_prepare_v3(x->db, buf_cstr(&sql), -1, SQLITE_PREPARE_PERSISTENT, &x->statement,
			       NULL) != SQLITE_OK) {
		prepare_failed(x, e);
		goto out;
	}
	if (sqlite3_bind_parameter_count(x->statement) > 0 ||
	    sqlite3_column_count(x->statement) != 1) {
		err_config(e, "it is not one value computed from the row");
		goto out;
	}
	if (check_literals(x, scan, e) < 0 || check_order(x, buf_cstr(&sql), e) < 0)
		goto out;
	rc = mentions(text, "like") ? choose_like_rule(x, e) : 0;
out:
	buf_done(&sql);
	return rc;
}

static int open_database(struct expression *x, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	if (sqlite3_open_v2(":memory:", &x->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return err_fatal(e, "opening SQLite in memory: %s",
				 x->db != NULL ? sqlite3_errmsg(x->db) : "no memory");
	sqlite3_db_config(x->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(x->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 256, 64);
	buf_add_str(&sql, "CREATE VIRTUAL TABLE ");
	add_name(&sql, x->shape->table);
	buf_add_str(&sql, " USING millrace_row");
	rc = text_register(x->db, &x->text);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_module(x->db, "millrace_row", &row_module, x);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(x->db, buf_cstr(&sql), NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_collation_v2(x->db, text_rule_name(TEXT_UNKNOWN), SQLITE_UTF8,
						 NULL, NULL, NULL);
	buf_done(&sql);
	if (rc == SQLITE_OK)
		return 0;
	return err_config(e, "table %s.%s cannot be used in expressions: %s", x->shape->db,
			  x->shape->table, sqlite3_errmsg(x->db));
}

/* The column that the text names and nothing else, or -1. */
static int lone_column(const struct shape *shape, const char *text)
{
	size_t begin = strspn(text, " \t\r\n"), end = strlen(text);
	char quote;

	while (end > begin && strchr(" \t\r\n", text[end - 1]) != NULL)
		end--;
	quote = text[begin];
	if (end - begin >= 2 && (quote == '"' || quote == '`') && text[end - 1] == quote) {
		begin++;
		end--;
	}
	for (uint16_t i = 0; i < shape->column_count; i++) {
		const char *name = shape->columns[i].name;

		if (strlen(name) == end - begin &&
		    sqlite3_strnicmp(name, text + begin, (int)(end - begin)) == 0)
			return i;
	}
	return -1;
}

int expression_new(const char *origin, const char *text, const struct shape *shape,
		   struct expression **ret_expression, struct err *e)
{
	struct expression *x = xcalloc(1, sizeof(*x));
	struct scan scan;
	int rc = -1;

	x->shape = shape;
	x->uses = xcalloc(shape->column_count + 1u, sizeof(*x->uses));
	if (strlen(text) > TEXT_MAX)
		err_config(e, "it is longer than %d bytes", TEXT_MAX);
	else if (expression_scan(text, &scan, e) == 0 && open_database(x, e) == 0)
		rc = prepare(x, text, &scan, e);
	if (rc < 0) {
		expression_free(x);
		return err_wrap(e, "%s: expression \"%.200s\"", origin, text);
	}
	x->lone = lone_column(shape, text);
	*ret_expression = x;
	return 0;
}

void expression_free(struct expression *x)
{
	if (x == NULL)
		return;
	sqlite3_finalize(x->statement);
	sqlite3_close(x->db);
	buf_done(&x->result);
	free(x->uses);
	free(x);
}

bool expression_uses(const struct expression *x, uint16_t column)
{
	return x->uses[column];
}

/* ---- evaluating ---- */

static int step(struct expression *x, const struct value *values, bool test, struct err *e)
{
	struct err run = ERR_INIT;
	int rc;

	x->values = values;
	x->test = test;
	x->run = &run;
	x->text.undecided = false;
	rc = sqlite3_step(x->statement);
	x->values = NULL;
	if (run.kind != ERR_NONE) {
		*e = run;
		return -1;
	}
	if (rc != SQLITE_ROW)
		return err_data(e, "expression: %s", sqlite3_errmsg(x->db));
	if (!x->text.undecided)
		return 0;
	err_data(
		e,
		"expression: text differs from what it is compared with by accents or signs that its collation may not count");
	return err_hint(
		e, "Use a column with a _bin collation, or leave this comparison to the view.");
}

int expression_test(struct expression *x, const struct value *values, bool *ret_true, struct err *e)
{
	int rc = step(x, values, true, e);

	if (rc == 0)
		*ret_true = sqlite3_column_type(x->statement, 0) == SQLITE_INTEGER
				    ? sqlite3_column_int64(x->statement, 0) != 0
				    : sqlite3_column_double(x->statement, 0) != 0;
	sqlite3_reset(x->statement); /* an error was reported by step already */
	return rc;
}

static void take_result(struct expression *x, struct value *ret_value)
{
	struct value v = { .kind = VALUE_NULL };
	const void *data;

	switch (sqlite3_column_type(x->statement, 0)) {
	case SQLITE_INTEGER:
		v.kind = VALUE_INT;
		v.i = sqlite3_column_int64(x->statement, 0);
		break;
	case SQLITE_FLOAT:
		v.kind = VALUE_DOUBLE;
		v.d = sqlite3_column_double(x->statement, 0);
		break;
	case SQLITE_TEXT:
	case SQLITE_BLOB:
		v.kind = sqlite3_column_type(x->statement, 0) == SQLITE_TEXT ? VALUE_TEXT
									     : VALUE_BYTES;
		data = sqlite3_column_blob(x->statement, 0);
		buf_reset(&x->result);
		buf_add(&x->result, data, (size_t)sqlite3_column_bytes(x->statement, 0));
		v.bytes = x->result.size > 0 ? buf_slice(&x->result) : slice_of("", 0);
		break;
	default: /* SQLITE_NULL; an int of SQLite's, not an enum of ours */
		break;
	}
	*ret_value = v;
}

int expression_value(struct expression *x, const struct value *values, struct value *ret_value,
		     struct err *e)
{
	int rc;

	if (x->lone >= 0 && values[x->lone].kind != VALUE_ABSENT) {
		*ret_value = values[x->lone];
		return 0;
	}
	rc = step(x, values, false, e);
	if (rc == 0)
		take_result(x, ret_value);
	sqlite3_reset(x->statement); /* an error was reported by step already */
	return rc;
}
