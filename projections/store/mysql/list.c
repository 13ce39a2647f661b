/* list.c - what versions there are: databases of their names that have their bookkeeping. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_MAX 1000000

int mydb_tables(struct db *db, const char *database, char ***ret_names, size_t *ret_count,
		struct err *e)
{
	char *name = mydb_literal(database);
	int rc = mydb_get_names(db, ret_names, ret_count, e,
				"SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
				"TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME "
				"NOT LIKE 'millrace\\_%%' ORDER BY TABLE_NAME",
				name);

	free(name);
	return rc;
}

static int has_bookkeeping(struct db *db, const char *database, bool *ret_has, struct err *e)
{
	char *name = mydb_literal(database);
	int64_t count = 0;
	int rc = mydb_get_int(db, &count, e,
			      "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA "
			      "= %s AND TABLE_NAME IN ('millrace_view', 'millrace_position')",
			      name);

	free(name);
	*ret_has = count == 2;
	return rc;
}

static int refuse_other(const struct mydb_store *m, const char *database, struct slice owner,
			struct err *e)
{
	err_config(e,
		   "database %s on %s belongs to another Millrace: millrace.name = %.*s there, "
		   "%s here",
		   database, m->role, (int)owner.size, (const char *)owner.data, m->owner);
	return err_hint(e, "Give the view another name, or use another server.");
}

static int64_t number_of(struct slice text)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%.*s", (int)text.size, (const char *)text.data);
	return strtoll(digits, NULL, 10);
}

enum {
	INFO_COLUMNS = 13,
	TRIES = 10,
	NO_SUCH_DATABASE = 1049,
	NO_SUCH_TABLE = 1146,
	DEADLOCK = 1213
};

static int read_info(const struct mydb_store *m, const char *database, const struct slice *row,
		     struct store_info *ret_info, struct err *e)
{
	if (!slice_is(row[0], m->owner) || !slice_is(row[1], m->view))
		return refuse_other(m, database, row[0], e);
	if (number_of(row[2]) == 0) /* not whole, or on its way out */
		return 0;
	*ret_info = (struct store_info){
		.version = (int)number_of(row[3]),
		.state = store_state_of(row[4]),
		.made_us = number_of(row[6]),
		.superseded_us = number_of(row[7]),
		.built = number_of(row[8]) != 0,
		.swap = number_of(row[9]) != 0,
		.seq = number_of(row[10]),
		.commit_us = number_of(row[11]),
	};
	snprintf(ret_info->fingerprint, sizeof(ret_info->fingerprint), "%.*s", (int)row[5].size,
		 (const char *)row[5].data);
	gtid_text_cut(row[12], ret_info->gtid_set, sizeof(ret_info->gtid_set));
	return 1;
}

static int ask_info(const struct mydb_store *m, struct db *db, const char *database,
		    struct store_info *ret_info, struct err *e)
{
	char *quoted = mydb_quoted(database), *sql;
	struct db_result *r = NULL;
	const struct slice *row;
	int rc;

	sql = xasprintf("SELECT v.millrace, v.view_name, v.whole, v.version, v.state, "
			"v.definition, v.made_us, v.superseded_us, v.built, v.swap, p.seq, "
			"p.commit_us, p.gtid_set FROM %s.millrace_view v JOIN "
			"%s.millrace_position p ON p.id = v.id",
			quoted, quoted);
	rc = db_query(db, sql, &r, e);
	if (rc == 0 && (rc = db_next(r, &row, e)) == 1)
		rc = db_column_count(r) == INFO_COLUMNS ? read_info(m, database, row, ret_info, e)
							: 0;
	db_result_free(r);
	free(sql);
	free(quoted);
	return rc;
}

/* Others make and remove versions meanwhile: a table that went since it was seen is looked for
 * again. */
int mydb_info(const struct mydb_store *m, struct db *db, int version, struct store_info *ret_info,
	      struct err *e)
{
	char *database = mydb_database(m, version);
	bool has = true;
	int rc = 0;

	for (int i = 0; i < TRIES && has; i++) {
		err_clear(e);
		rc = has_bookkeeping(db, database, &has, e);
		if (rc < 0 || !has)
			break;
		rc = ask_info(m, db, database, ret_info, e);
		if (rc >= 0 || (db_error_number(db) != NO_SUCH_DATABASE &&
				db_error_number(db) != NO_SUCH_TABLE))
			break;
	}
	free(database);
	return rc;
}

/* Of VIEW_v12: 12; 0: another name. */
static int version_of(const struct mydb_store *m, const char *database)
{
	size_t size = strlen(m->view);
	char *end;
	long n;

	if (strncmp(database, m->view, size) != 0 || strncmp(database + size, "_v", 2) != 0 ||
	    database[size + 2] < '1' || database[size + 2] > '9')
		return 0;
	n = strtol(database + size + 2, &end, 10);
	return *end == '\0' && n <= VERSION_MAX ? (int)n : 0;
}

int mydb_numbers(const struct mydb_store *m, struct db *db, int **ret_numbers, size_t *ret_count,
		 struct err *e)
{
	char **names = NULL, *prefix = xasprintf("%s_v", m->view), *quoted = mydb_literal(prefix);
	size_t count = 0, name_count = 0;
	int rc = mydb_get_names(db, &names, &name_count, e,
				"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE "
				"LEFT(SCHEMA_NAME, CHAR_LENGTH(%s)) = %s",
				quoted, quoted);

	free(quoted);
	free(prefix);
	if (rc < 0)
		return -1;
	*ret_numbers = xcalloc(name_count + 1, sizeof(int));
	for (size_t i = 0; i < name_count; i++)
		if (version_of(m, names[i]) != 0)
			(*ret_numbers)[count++] = version_of(m, names[i]);
	*ret_count = count;
	view_names_free(names, name_count);
	return 0;
}

int mydb_infos(struct mydb_store *m, struct db *db, struct store_info **ret_infos,
	       size_t *ret_count, struct err *e)
{
	struct store_info *infos;
	size_t count = 0, number_count = 0;
	int *numbers = NULL, rc = mydb_numbers(m, db, &numbers, &number_count, e);

	if (rc < 0)
		return -1;
	infos = xcalloc(number_count + 1, sizeof(*infos));
	for (size_t i = 0; i < number_count && rc >= 0; i++) {
		rc = mydb_info(m, db, numbers[i], &infos[count], e);
		count += rc == 1;
	}
	free(numbers);
	if (rc < 0) {
		free(infos);
		return -1;
	}
	store_sort_infos(infos, count);
	*ret_infos = infos;
	*ret_count = count;
	return 0;
}

/* Versions that others make and remove meanwhile can make our reading a deadlock's victim. */
static int read_list(struct mydb_store *m, struct db *db, int *ret_live,
		     struct store_info **ret_infos, size_t *ret_count, struct err *e)
{
	int rc = -1;

	for (int i = 0; i < TRIES; i++) {
		err_clear(e);
		rc = mydb_live(m, db, ret_live, e) < 0 ? -1
						       : mydb_infos(m, db, ret_infos, ret_count, e);
		if (rc == 0 || db_error_number(db) != DEADLOCK)
			break;
	}
	return rc;
}

int store_mysql_list(struct store *s, struct store_info **ret_infos, size_t *ret_count,
		     struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	struct db *db = NULL;
	int live = 0, rc = -1;

	if (mydb_connect(m, NULL, &db, e) == 0)
		rc = read_list(m, db, &live, ret_infos, ret_count, e);
	db_close(db);
	if (rc < 0)
		return err_wrap(e, "view %s", m->view);
	for (size_t i = 0; i < *ret_count; i++) {
		struct store_info *info = &(*ret_infos)[i];

		if (info->version == live && info->built)
			info->state = STORE_LIVE;
		else if (info->state == STORE_LIVE) /* a crash on either side of the swap */
			info->state = !info->built ? STORE_BUILDING
				      : info->swap ? STORE_READY
						   : STORE_SUPERSEDED;
	}
	return 0;
}

int store_mysql_definition(struct store *s, int version, struct view_files *ret_files,
			   struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version);
	struct view_files files = { 0 };
	struct db_result *r = NULL;
	const struct slice *row;
	struct db *db = NULL;
	int rc = -1;

	if (mydb_connect(m, database, &db, e) < 0 ||
	    db_query(db, "SELECT path, content FROM millrace_definition", &r, e) < 0)
		goto out;
	while ((rc = db_next(r, &row, e)) == 1) {
		char *file = xstrndup((const char *)row[0].data, row[0].size);

		view_files_add(&files, file, xstrndup((const char *)row[1].data, row[1].size));
		free(file);
	}
out:
	db_result_free(r);
	db_close(db);
	free(database);
	if (rc < 0)
		view_files_done(&files);
	else
		*ret_files = files;
	return rc;
}
