/* verb_view_new.c - `millrace view new NAME --table DB.TABLE`: a view's folder that works as it is.
 *
 * Columns and key are those of the table's registered schema; --columns and --key say them where
 * capture has not begun. The case writes one row and takes it away again, so `view test` passes at
 * once. What stands there already is never overwritten. */
#include "cli/verb_view.h"

#include "core/avro/schema.h"
#include "core/base/mem.h"
#include "core/registry/registry.h"
#include "projections/apply/view.h"
#include "projections/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum form { FORM_NUMBER, FORM_REAL, FORM_TEXT, FORM_BYTES };

struct new_column {
	char *name;
	enum form form;
	bool key;
};

struct folder {
	const struct view_new *asked;
	char *dir, *topic;
	const char *table; /* behind the dot */
	bool mysql;
	struct new_column *columns;
	size_t count;
};

bool verb_view_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* ---- columns --------------------------------------------------------------------------------- */

static struct new_column *find(struct folder *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->columns[i].name, name) == 0)
			return &f->columns[i];
	}
	return NULL;
}

static void add(struct folder *f, const char *name, size_t size, enum form form)
{
	f->columns = xrealloc(f->columns, (f->count + 1) * sizeof(*f->columns));
	f->columns[f->count++] = (struct new_column){ .name = xstrndup(name, size), .form = form };
}

static enum form form_of(const struct schema *s)
{
	for (size_t i = 0; s->type == SCHEMA_UNION && i < s->count; i++) {
		if (s->branches[i]->type != SCHEMA_NULL)
			return form_of(s->branches[i]);
	}
	if (s->logical != NULL && strcmp(s->logical, "decimal") == 0)
		return FORM_REAL;
	if (s->type == SCHEMA_INT || s->type == SCHEMA_LONG || s->type == SCHEMA_BOOLEAN)
		return FORM_NUMBER;
	if (s->type == SCHEMA_FLOAT || s->type == SCHEMA_DOUBLE)
		return FORM_REAL;
	return s->type == SCHEMA_BYTES ? FORM_BYTES : FORM_TEXT;
}

/* The record inside a field that is one, or null. */
static const struct schema *record_in(const struct schema *root, const char *field)
{
	const struct schema *s = root;

	for (size_t i = 0; field != NULL && i < root->count; i++) {
		if (strcmp(root->fields[i].name, field) == 0)
			s = root->fields[i].schema;
	}
	for (size_t i = 0; s->type == SCHEMA_UNION && i < s->count; i++) {
		if (s->branches[i]->type == SCHEMA_RECORD)
			return s->branches[i];
	}
	return s->type == SCHEMA_RECORD && (field == NULL || s != root) ? s : NULL;
}

/* 1: read; 0: nothing is registered. */
static int read_subject(struct registry *r, const char *topic, const char *ending,
			struct schema **ret_schema, struct err *e)
{
	char *subject = xasprintf("%s-%s", topic, ending);
	struct registry_schema found;
	int rc = registry_latest(r, subject, &found, e);

	if (rc == 1)
		rc = schema_parse(slice_str(found.text), ret_schema, e) < 0 ? -1 : 1;
	free(subject);
	return rc;
}

static int read_registered(struct folder *f, const struct settings *settings, struct err *e)
{
	struct schema *row = NULL, *key = NULL;
	struct registry *r = NULL;
	const struct schema *after;
	int rc = registry_open(settings, false, &r, e);

	if (rc == 0)
		rc = read_subject(r, f->topic, "value", &row, e);
	after = rc == 1 ? record_in(row, "after") : NULL;
	for (size_t i = 0; after != NULL && i < after->count; i++)
		add(f, after->fields[i].name, strlen(after->fields[i].name),
		    form_of(after->fields[i].schema));
	if (after != NULL && (rc = read_subject(r, f->topic, "key", &key, e)) == 1) {
		const struct schema *k = record_in(key, NULL);

		for (size_t i = 0; k != NULL && i < k->count; i++) {
			struct new_column *c = find(f, k->fields[i].name);

			if (c != NULL)
				c->key = true;
		}
	}
	schema_free(row);
	schema_free(key);
	registry_close(r);
	return rc < 0 ? -1 : 0;
}

static void read_list(const char *list, struct folder *f, bool key)
{
	while (list != NULL && *list != '\0') {
		size_t size = strcspn(list, ",");
		char *name = xstrndup(list, size);
		struct new_column *c = find(f, name);

		if (key && c != NULL)
			c->key = true;
		else if (c == NULL)
			add(f, list, size, key ? FORM_NUMBER : FORM_TEXT);
		if (key && c == NULL)
			f->columns[f->count - 1].key = true;
		free(name);
		list += size + (list[size] == ',');
	}
}

static int read_columns(struct folder *f, const struct settings *settings, struct err *e)
{
	bool has_key = false;

	if (f->asked->columns != NULL)
		read_list(f->asked->columns, f, false);
	else if (read_registered(f, settings, e) < 0)
		return -1;
	if (f->count == 0) {
		err_config(e, "no schema is registered for %s", f->topic);
		return err_hint(e,
				"Start `millrace run` with %s in capture.tables, or name its "
				"columns: --columns A,B,C --key A.",
				f->asked->table);
	}
	if (f->asked->key != NULL) {
		for (size_t i = 0; i < f->count; i++)
			f->columns[i].key = false;
		read_list(f->asked->key, f, true);
	}
	for (size_t i = 0; i < f->count; i++)
		has_key |= f->columns[i].key;
	if (!has_key) {
		err_config(e, "table %s has no key", f->asked->table);
		return err_hint(e, "Say which columns tell its rows apart: --key A,B.");
	}
	return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int write_file(const struct folder *f, const char *name, struct buf *take, struct err *e)
{
	char *path = xasprintf("%s/%s", f->dir, name);
	FILE *file = fopen(path, "wxe");
	int rc = 0;

	if (file == NULL || fputs(buf_cstr(take), file) < 0 || fflush(file) != 0)
		rc = err_config(e, "%s: %s", path, strerror(errno));
	if (file != NULL)
		fclose(file);
	buf_done(take);
	free(path);
	return rc;
}

static void add_name(const struct folder *f, const char *name, struct buf *out)
{
	if (f->mysql)
		buf_add_format(out, "`%s`", name);
	else
		sql_quote_name(name, out);
}

/* seq, gtid and at are of the record; a column that is called so has another parameter. */
static void add_parameter(const char *name, struct buf *out)
{
	bool taken = strcmp(name, "seq") == 0 || strcmp(name, "gtid") == 0 ||
		     strcmp(name, "at") == 0;

	buf_add_format(out, ":%s%s", taken ? "value_" : "", name);
}

static const char *type_of(const struct folder *f, const struct new_column *c)
{
	bool sqlite = strcmp(f->asked->store, "sqlite") == 0;

	switch (c->form) {
	case FORM_NUMBER:
		return sqlite ? "INTEGER" : "BIGINT";
	case FORM_REAL:
		return sqlite ? "NUMERIC" : f->mysql ? "DECIMAL(65,10)" : "NUMERIC";
	case FORM_TEXT:
		return f->mysql && c->key ? "VARCHAR(255)" : f->mysql ? "LONGTEXT" : "TEXT";
	case FORM_BYTES:
		return sqlite ? "BLOB" : f->mysql ? "LONGBLOB" : "BYTEA";
	}
	return "TEXT";
}

static void add_key(const struct folder *f, const char *between, bool conditions, struct buf *out)
{
	bool first = true;

	for (size_t i = 0; i < f->count; i++) {
		if (!f->columns[i].key)
			continue;
		buf_add_str(out, first ? "" : between);
		add_name(f, f->columns[i].name, out);
		if (conditions) {
			buf_add_str(out, " = ");
			add_parameter(f->columns[i].name, out);
		}
		first = false;
	}
}

static void tables_sql(const struct folder *f, struct buf *out)
{
	buf_add_str(out, "CREATE TABLE ");
	add_name(f, f->table, out);
	buf_add_str(out, " (\n");
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, "  ");
		add_name(f, f->columns[i].name, out);
		buf_add_format(out, " %s%s,\n", type_of(f, &f->columns[i]),
			       f->columns[i].key ? " NOT NULL" : "");
	}
	buf_add_str(out, "  PRIMARY KEY (");
	add_key(f, ", ", false, out);
	buf_add_str(out, ")\n);\n");
}

/* An insert that may find the row: a row that was copied comes once more when it is reconciled. */
static void put_sql(const struct folder *f, struct buf *out)
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
		add_parameter(f->columns[i].name, out);
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

static void delete_sql(const struct folder *f, bool all, struct buf *out)
{
	buf_add_str(out, "DELETE FROM ");
	add_name(f, f->table, out);
	if (!all) {
		buf_add_str(out, " WHERE ");
		add_key(f, " AND ", true, out);
	}
	buf_add_str(out, ";\n");
}

static void sample_row(const struct folder *f, bool key_only, struct buf *out)
{
	bool first = true;

	buf_add_u8(out, '{');
	for (size_t i = 0; i < f->count; i++) {
		const struct new_column *c = &f->columns[i];

		if (key_only && !c->key)
			continue;
		buf_add_format(out, "%s\"%s\": %s", first ? "" : ", ", c->name,
			       !c->key                                          ? "null"
			       : c->form == FORM_NUMBER || c->form == FORM_REAL ? "1"
										: "\"a\"");
		first = false;
	}
	buf_add_u8(out, '}');
}

static void cases(const struct folder *f, struct buf *out)
{
	buf_add_format(out,
		       "{\"case\": \"a row comes and goes\"}\n{\"row\": \"%s\", \"op\": \"c\", "
		       "\"after\": ",
		       f->asked->table);
	sample_row(f, false, out);
	buf_add_format(out, "}\n{\"expect\": \"%s\", \"rows\": [", f->table);
	sample_row(f, true, out);
	buf_add_format(out, "]}\n{\"row\": \"%s\", \"op\": \"d\", \"before\": ", f->asked->table);
	sample_row(f, false, out);
	buf_add_format(out, "}\n{\"expect\": \"%s\", \"rows\": []}\n", f->table);
}

static void source_sql(const struct folder *f, struct buf *out)
{
	buf_add_format(out, "-- table: %s\nSELECT ", f->table);
	for (size_t i = 0; i < f->count; i++)
		buf_add_format(out, "%s`%s`", i > 0 ? ", " : "", f->columns[i].name);
	buf_add_format(out, " FROM %s\n", f->asked->table);
}

static void view_conf(const struct folder *f, struct buf *out)
{
	buf_add_format(out,
		       "; Rows of %s.\nowner  = \ndoc    = rows of %s\nstore  = %s\nkind   = %s\n"
		       "inputs = %s\n",
		       f->asked->table, f->asked->table, f->asked->store, f->asked->kind, f->topic);
}

static int write_handler(const struct folder *f, const char *op, struct buf *take, struct err *e)
{
	char *name = xasprintf("on/%s.%s.sql", f->asked->table, op);
	int rc = write_file(f, name, take, e);

	free(name);
	return rc;
}

static int write_sql_kind(const struct folder *f, struct err *e)
{
	struct buf tables = BUF_INIT, put = BUF_INIT, again = BUF_INIT, gone = BUF_INIT,
		   all = BUF_INIT, source = BUF_INIT, text = BUF_INIT;

	tables_sql(f, &tables);
	put_sql(f, &put);
	put_sql(f, &again);
	delete_sql(f, false, &gone);
	delete_sql(f, true, &all);
	source_sql(f, &source);
	cases(f, &text);
	/* each takes its text; the first that fails says why, those behind it then are not there */
	return write_file(f, "tables.sql", &tables, e) < 0 ||
			       write_handler(f, "insert", &put, e) < 0 ||
			       write_handler(f, "update", &again, e) < 0 ||
			       write_handler(f, "delete", &gone, e) < 0 ||
			       write_handler(f, "truncate", &all, e) < 0 ||
			       write_file(f, "source.sql", &source, e) < 0 ||
			       write_file(f, "cases/first.jsonl", &text, e) < 0
		       ? -1
		       : 0;
}

/* A mirror needs no SQL; its case needs to know what the source's table looks like. */
static int write_mirror_kind(const struct folder *f, struct err *e)
{
	struct buf tables = BUF_INIT, text = BUF_INIT;
	struct buf plain = BUF_INIT;

	tables_sql(f, &tables);
	buf_add_str(&plain, buf_cstr(&tables));
	buf_done(&tables);
	cases(f, &text);
	return write_file(f, "cases/tables.sql", &plain, e) < 0 ||
			       write_file(f, "cases/first.jsonl", &text, e) < 0
		       ? -1
		       : 0;
}

static int make_folder(const struct folder *f, const char *below, struct err *e)
{
	char *path = xasprintf("%s%s", f->dir, below);
	int rc = 0;

	if (mkdir(path, 0755) < 0)
		rc = err_config(e, "%s: %s", path, strerror(errno));
	free(path);
	return rc;
}

static int make(struct folder *f, const struct settings *settings, struct err *e)
{
	bool mirror = strcmp(f->asked->kind, "mirror") == 0;
	struct buf conf = BUF_INIT;

	if (verb_view_there(f->dir)) {
		err_config(e, "%s is there already", f->dir);
		return err_hint(e, "Nothing was written. Give another name.");
	}
	if (read_columns(f, settings, e) < 0)
		return -1;
	(void)mkdir(settings->project_views_dir, 0755); /* what is wrong says the next one */
	if (make_folder(f, "", e) < 0 || make_folder(f, "/cases", e) < 0 ||
	    (!mirror && make_folder(f, "/on", e) < 0))
		return -1;
	view_conf(f, &conf);
	return write_file(f, "view.conf", &conf, e) < 0 ||
			       (mirror ? write_mirror_kind(f, e) : write_sql_kind(f, e)) < 0
		       ? -1
		       : 0;
}

static int check(const struct view_new *asked, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	const struct store_ops *ops;

	if (asked->name[0] == '\0' || strspn(asked->name, plain) != strlen(asked->name))
		return err_config(e, "not a name for a view: '%s'", asked->name);
	if (strchr(asked->table, '.') == NULL)
		return err_config(e, "--table is DB.TABLE, not '%s'", asked->table);
	if (strcmp(asked->kind, "sql") != 0 && strcmp(asked->kind, "mirror") != 0)
		return err_config(e, "--kind is sql or mirror, not '%s'", asked->kind);
	return store_named(asked->store, &ops, e);
}

int verb_view_new(const struct settings *settings, const struct view_new *given)
{
	struct view_new asked = *given;
	struct folder f = { .asked = &asked };
	struct err e = ERR_INIT;
	int rc;

	asked.kind = given->kind != NULL ? given->kind : "sql";
	asked.store = given->store != NULL ? given->store : "sqlite";
	rc = check(&asked, &e);
	if (rc == 0) {
		f.table = strchr(asked.table, '.') + 1;
		f.mysql = strcmp(asked.store, "mariadb") == 0 || strcmp(asked.store, "mysql") == 0;
		f.dir = xasprintf("%s/%s", settings->project_views_dir, asked.name);
		f.topic = xasprintf("%s.%s", settings->name, asked.table);
		rc = make(&f, settings, &e);
	}
	for (size_t i = 0; i < f.count; i++)
		free(f.columns[i].name);
	free(f.columns);
	if (rc == 0)
		printf("%s: a view of %s; try it with `millrace view test %s`, then start "
		       "`millrace project %s`\n",
		       f.dir, asked.table, f.dir, asked.name);
	free(f.dir);
	free(f.topic);
	return rc < 0 ? verb_fail(&e) : EXIT_OK;
}
