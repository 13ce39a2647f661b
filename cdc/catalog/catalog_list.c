/* catalog_list.c - the tables that capture.tables names, as they exist on the source.
 *
 * All mistakes are reported at once: every pattern that matches nothing, every table that isn't a
 * base table. Views and sequences that a db.* pattern covers are left out silently: they have no
 * row events.
 */
#include "cdc/catalog/catalog_priv.h"
#include "cdc/catalog/foreign.h"

#include "core/base/mem.h"

#include <stdlib.h>

#define SQL_TABLES                                                           \
	"SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS"    \
	" FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ("

struct list {
	struct catalog_name *names;
	size_t count, capacity;
	bool *matched; /* per pattern */
	struct buf mistakes;
};

static const char *dot_of(const char *pattern)
{
	return strchr(pattern, '.');
}

/* The databases that the patterns name, as a list of literals. */
static void tables_sql(const struct text_list *patterns, struct buf *sql)
{
	buf_add_str(sql, SQL_TABLES "''");
	for (size_t i = 0; i < patterns->count; i++) {
		const char *dot = dot_of(patterns->items[i]);

		if (dot == NULL)
			continue;
		buf_add_u8(sql, ',');
		db_quote(slice_of(patterns->items[i], (size_t)(dot - patterns->items[i])), sql);
	}
	buf_add_str(sql, ") ORDER BY 1, 2");
}

/* Marks the patterns that this table fulfils. Returns whether one names it by itself. */
static bool mark(struct list *l, const struct text_list *patterns, struct slice db,
		 struct slice table)
{
	bool by_name = false;

	for (size_t i = 0; i < patterns->count; i++) {
		const char *pattern = patterns->items[i], *dot = dot_of(pattern);

		if (dot == NULL || !slice_equal(db, slice_of(pattern, (size_t)(dot - pattern))))
			continue;
		if (slice_is(table, dot + 1)) {
			l->matched[i] = true;
			by_name = true;
		} else if (strcmp(dot + 1, "*") == 0) {
			l->matched[i] = true;
		}
	}
	return by_name;
}

/* Takes `text`. */
static void mistake(struct list *l, char *text)
{
	if (l->mistakes.size > 0)
		buf_add_str(&l->mistakes, "; ");
	buf_add_str(&l->mistakes, text);
	free(text);
}

static int64_t estimate_of(struct slice rows)
{
	char text[24] = "";

	if (rows.data != NULL && rows.size < sizeof(text))
		memcpy(text, rows.data, rows.size);
	return strtoll(text, NULL, 10);
}

static void take(struct list *l, const struct text_list *patterns, const struct slice *row)
{
	bool by_name = mark(l, patterns, row[0], row[1]);

	if (!slice_is(row[2], "BASE TABLE")) {
		if (by_name || slice_is(row[2], "SYSTEM VERSIONED"))
			mistake(l, xasprintf("%.*s.%.*s is a %.*s: only base tables are supported",
					     (int)row[0].size, (const char *)row[0].data,
					     (int)row[1].size, (const char *)row[1].data,
					     (int)row[2].size, (const char *)row[2].data));
		return;
	}
	if (l->count == l->capacity) {
		l->capacity = l->capacity == 0 ? 16 : l->capacity * 2;
		l->names = xrealloc(l->names, l->capacity * sizeof(l->names[0]));
	}
	l->names[l->count++] = (struct catalog_name){
		.db = xstrndup((const char *)row[0].data, row[0].size),
		.table = xstrndup((const char *)row[1].data, row[1].size),
		.rows_estimate = estimate_of(row[4]),
		.transactional = slice_is(row[3], "InnoDB"),
	};
}

static int read_cascades(struct db *db, struct list *l, struct err *e)
{
	struct foreign_table *tables = xcalloc(l->count + 1, sizeof(*tables));
	size_t missing;
	int rc;

	for (size_t i = 0; i < l->count; i++)
		tables[i] = (struct foreign_table){ l->names[i].db, l->names[i].table,
						    &l->names[i].keys };
	rc = foreign_keys_read_all(db, tables, l->count, &missing, e);
	free(tables);
	if (rc == 0 && missing < l->count) /* listed a moment ago */
		return err_retry(e, "table %s.%s has just been dropped", l->names[missing].db,
				 l->names[missing].table);
	return rc;
}

static int judge(const struct catalog *c, struct list *l, const struct text_list *patterns,
		 struct err *e)
{
	for (size_t i = 0; i < patterns->count; i++) {
		const char *pattern = patterns->items[i];

		if (dot_of(pattern) == NULL)
			mistake(l, xasprintf("'%s' is not of the form db.table or db.*", pattern));
		else if (!l->matched[i] && !catalog_lacks(c, pattern))
			mistake(l, xasprintf("%s matches no table on the source", pattern));
	}
	if (l->mistakes.size == 0)
		return 0;
	err_config(e, "capture.tables: %s", buf_cstr(&l->mistakes));
	return err_hint(
		e,
		"Names count with their case; the account sees only tables on which it has SELECT.");
}

int catalog_list(struct catalog *c, struct db *db, struct catalog_name **ret_names,
		 size_t *ret_count, struct err *e)
{
	const struct text_list *patterns = catalog_patterns(c);
	struct list l = { 0 };
	struct buf sql = BUF_INIT;
	struct db_result *r = NULL;
	const struct slice *row;
	int rc;

	l.matched = xcalloc(patterns->count, sizeof(l.matched[0]));
	tables_sql(patterns, &sql);
	rc = db_query(db, buf_cstr(&sql), &r, e);
	while (rc >= 0 && (rc = db_next(r, &row, e)) == 1)
		if (catalog_captures(c, row[0], row[1]))
			take(&l, patterns, row);
	db_result_free(r);
	if (rc == 0)
		rc = judge(c, &l, patterns, e);
	if (rc == 0)
		rc = read_cascades(db, &l, e);
	if (rc == 0) {
		*ret_names = l.names;
		*ret_count = l.count;
	} else {
		catalog_names_free(l.names, l.count);
	}
	free(l.matched);
	buf_done(&l.mistakes);
	buf_done(&sql);
	return rc;
}

void catalog_names_free(struct catalog_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(names[i].db);
		free(names[i].table);
		foreign_keys_done(&names[i].keys);
	}
	free(names);
}
