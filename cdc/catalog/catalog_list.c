/* catalog_list.c - the tables that capture.tables names, as they exist on the source.
 *
 * All mistakes are reported at once: every pattern that matches nothing, every table that isn't a
 * base table. Views and sequences that a db.* pattern covers are left out silently: they have no
 * row events.
 *
 * A table that a statement is moving just now (RENAME, ALTER by copying) is missing from MariaDB's
 * lists. Asked for by its name it is there, as soon as that statement has ended: so are all that
 * are known by name, from a pattern or from before, and not listed.
 */
#include "cdc/catalog/catalog_priv.h"
#include "cdc/catalog/foreign.h"

#include "core/base/mem.h"

#include <stdlib.h>

#define SQL_TABLES                                                        \
	"SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS" \
	" FROM information_schema.TABLES WHERE TABLE_SCHEMA "

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
	buf_add_str(sql, SQL_TABLES "IN (''");
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

static int take_all(const struct catalog *c, struct list *l, struct db *db, const char *sql,
		    struct err *e)
{
	struct db_result *r = NULL;
	const struct slice *row;
	int rc = db_query(db, sql, &r, e);

	while (rc >= 0 && (rc = db_next(r, &row, e)) == 1)
		if (catalog_captures(c, row[0], row[1]))
			take(l, catalog_patterns(c), row);
	db_result_free(r);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct catalog_name *x = a, *y = b;
	int order = strcmp(x->db, y->db);

	return order != 0 ? order : strcmp(x->table, y->table);
}

/* listed: in order of names; what was added to l since stands behind as many. */
static bool is_listed(const struct list *l, const struct list *listed,
		      const struct catalog_name *name)
{
	if (bsearch(name, listed->names, listed->count, sizeof(*name), by_name) != NULL)
		return true;
	for (size_t i = listed->count; i < l->count; i++)
		if (by_name(name, &l->names[i]) == 0)
			return true;
	return false;
}

/* "db.*" is no name. */
static int ask(const struct catalog *c, struct list *l, const struct list *listed, const char *name,
	       struct db *db, struct err *e)
{
	const char *dot = dot_of(name);
	struct catalog_name wanted = { .table = NULL };
	struct buf sql = BUF_INIT;
	int rc = 0;

	if (dot == NULL || strcmp(dot + 1, "*") == 0)
		return 0;
	wanted.db = xstrndup(name, (size_t)(dot - name));
	wanted.table = xstrdup(dot + 1);
	if (!is_listed(l, listed, &wanted)) {
		buf_add_str(&sql, SQL_TABLES "= ");
		db_quote(slice_str(wanted.db), &sql);
		buf_add_str(&sql, " AND TABLE_NAME = ");
		db_quote(slice_str(wanted.table), &sql);
		rc = take_all(c, l, db, buf_cstr(&sql), e);
	}
	buf_done(&sql);
	free(wanted.db);
	free(wanted.table);
	return rc;
}

static int ask_by_name(const struct catalog *c, struct list *l, struct db *db, struct err *e)
{
	const struct text_list *lists[] = { catalog_patterns(c), catalog_lacking(c) };
	struct list listed = *l;
	int rc = 0;

	listed.names = xcalloc(l->count + 1, sizeof(*l->names));
	memcpy(listed.names, l->names, l->count * sizeof(*l->names));
	qsort(listed.names, listed.count, sizeof(*l->names), by_name);
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < lists[k]->count && rc == 0; i++)
			rc = ask(c, l, &listed, lists[k]->items[i], db, e);
	free(listed.names);
	if (l->count > listed.count) /* those of a database stand together */
		qsort(l->names, l->count, sizeof(*l->names), by_name);
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
	int rc;

	l.matched = xcalloc(patterns->count, sizeof(l.matched[0]));
	tables_sql(patterns, &sql);
	rc = take_all(c, &l, db, buf_cstr(&sql), e);
	if (rc == 0)
		rc = ask_by_name(c, &l, db, e);
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
