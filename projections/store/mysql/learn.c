/* learn.c - what a version's tables are, as the server tells it: for a view whose text doesn't say.
 */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

static bool is_spatial(const char *type)
{
	static const char *const types[] = { "geometry",           "point",
					     "linestring",         "polygon",
					     "multipoint",         "multilinestring",
					     "multipolygon",       "geomcollection",
					     "geometrycollection", NULL };

	for (const char *const *t = types; *t != NULL; t++)
		if (strcasecmp(*t, type) == 0)
			return true;
	return false;
}

/* MariaDB's JSON is text with a check. */
static int is_json(struct db *db, const char *database, const char *table, const char *column,
		   bool *ret_json, struct err *e)
{
	char *d = mydb_literal(database), *t = mydb_literal(table), *c = mydb_literal(column);
	int64_t count = 0;
	int rc = 0;

	if (db_is_mariadb(db) && db_server_number(db) >= 100300)
		rc = mydb_get_int(db, &count, e,
				  "SELECT COUNT(*) FROM information_schema.CHECK_CONSTRAINTS WHERE "
				  "CONSTRAINT_SCHEMA = %s AND TABLE_NAME = %s AND CONSTRAINT_NAME "
				  "= %s AND CHECK_CLAUSE LIKE 'json_valid(%%'",
				  d, t, c);
	*ret_json = count > 0;
	free(d);
	free(t);
	free(c);
	return rc;
}

static int learn_columns(struct db *db, const char *database, struct view_table *t, struct err *e)
{
	char *d = mydb_literal(database), *name = mydb_literal(t->name);
	char **columns = NULL, **types = NULL, **keys = NULL;
	size_t count = 0, type_count = 0, key_count = 0;
	int rc = -1;

#define OF_TABLE "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
	if (mydb_get_names(db, &columns, &count, e,
			   "SELECT COLUMN_NAME FROM information_schema.COLUMNS " OF_TABLE, d,
			   name) < 0 ||
	    mydb_get_names(db, &types, &type_count, e,
			   "SELECT COLUMN_TYPE FROM information_schema.COLUMNS " OF_TABLE, d,
			   name) < 0 ||
	    mydb_get_names(db, &keys, &key_count, e,
			   "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE "
			   "TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER "
			   "BY SEQ_IN_INDEX",
			   d, name) < 0)
		goto out;
	rc = 0;
	for (size_t i = 0; i < count && i < type_count && rc == 0; i++) {
		bool json = false;

		if (strcasecmp(types[i], "longtext") == 0)
			rc = is_json(db, database, t->name, columns[i], &json, e);
		view_learn_column(t, columns[i],
				  json                   ? "json"
				  : is_spatial(types[i]) ? "geometry"
							 : types[i]);
	}
	for (size_t i = 0; i < key_count; i++)
		view_learn_key(t, keys[i]);
out:
	view_names_free(columns, count);
	view_names_free(types, type_count);
	view_names_free(keys, key_count);
	free(d);
	free(name);
	return rc;
}

int store_mysql_learn(struct store *s, int version, bool try, struct view *v, struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version), **tables = NULL;
	struct target_mysql target = { 0 };
	struct db *db = NULL;
	size_t count = 0;
	int rc = mydb_connect(m, database, &db, e) < 0
			 ? -1
			 : mydb_tables(db, database, &tables, &count, e);

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = learn_columns(db, database, view_learn_table(v, tables[i]), e);
	if (rc == 0 && try)
		rc = mydb_run_tables(db, v->after_build_sql, e);
	if (rc == 0)
		rc = target_mysql_open(&target, db, e);
	if (rc == 0)
		rc = view_learn_end(v, try ? &target.target : NULL, e);
	target_mysql_done(&target);
	view_names_free(tables, count);
	db_close(db);
	free(database);
	return rc;
}
