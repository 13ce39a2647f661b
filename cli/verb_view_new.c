/* verb_view_new.c - `millrace view new NAME --table DB.TABLE`: a view's folder that works as it is.
 * `--topic TOPIC`, for published events, is in view_new_topic.c.
 *
 * Columns and key are those of the table's registered schema; --columns and --key say them where
 * capture has not begun. The case writes one row and takes it away again, so `view test` passes at
 * once. What stands there already is never overwritten. */
#include "cli/view_new.h"

#include "core/base/mem.h"
#include "projections/apply/view.h"
#include "projections/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

bool verb_view_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool is_kind(const struct new_folder *f, const char *kind)
{
	return strcmp(f->asked->kind, kind) == 0;
}

/* The table or topic, for people. */
static const char *of_what(const struct view_new *asked)
{
	return asked->topic != NULL ? asked->topic : asked->table;
}

static bool is_dynamo(const struct new_folder *f)
{
	return strcmp(f->asked->store, store_dynamo.name) == 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

int view_new_write(const struct new_folder *f, const char *name, struct buf *take, struct err *e)
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

/* "on/DB.TABLE.insert.sql" and the like. */
static int write_named(const struct new_folder *f, const char *format, const char *table,
		       const char *op, const char *ending, struct buf *take, struct err *e)
{
	char *name = xasprintf("%s/%s%s%s", format, table, op, ending);
	int rc = view_new_write(f, name, take, e);

	free(name);
	return rc;
}

static int write_handlers(const struct new_folder *f, struct err *e)
{
	bool json = is_dynamo(f);
	static const char *const operations[] = { ".insert", ".update", ".delete", ".truncate" };
	int rc = 0;

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]) && rc == 0; i++) {
		struct buf text = BUF_INIT;

		if (i < 2)
			(json ? view_new_put_json : view_new_put_sql)(f, &text);
		else
			(json ? view_new_delete_json : view_new_delete_sql)(f, i == 3, &text);
		rc = write_named(f, "on", f->asked->table, operations[i], json ? ".json" : ".sql",
				 &text, e);
	}
	return rc;
}

/* SQLite keeps a decimal as text. */
static const char *sample_of(const struct new_folder *f, const struct new_column *c)
{
	switch (c->form) {
	case FORM_NUMBER:
	case FORM_REAL:
		return "1";
	case FORM_DECIMAL:
		return strcmp(f->asked->store, store_sqlite.name) == 0 ? "\"1\"" : "1";
	case FORM_TEXT:
	case FORM_BYTES:
		return "\"a\"";
	}
	return "null";
}

/* JSON has no bytes; only SQLite takes text in their place. Mirrored tables are tried there. */
static bool has_case(const struct new_folder *f)
{
	bool bytes = false;

	for (size_t i = 0; i < f->count; i++)
		bytes |= f->columns[i].key && f->columns[i].form == FORM_BYTES;
	return !bytes || !is_kind(f, "sql") || strcmp(f->asked->store, store_sqlite.name) == 0;
}

void view_new_sample(const struct new_folder *f, bool key_only, struct buf *out)
{
	bool first = true;

	buf_add_u8(out, '{');
	for (size_t i = 0; i < f->count; i++) {
		const struct new_column *c = &f->columns[i];

		if (key_only && !c->key)
			continue;
		buf_add_format(out, "%s\"%s\": %s", first ? "" : ", ", c->name,
			       c->key ? sample_of(f, c) : "null");
		first = false;
	}
	buf_add_u8(out, '}');
}

static void cases(const struct new_folder *f, struct buf *out)
{
	buf_add_format(out,
		       "{\"case\": \"a row comes and goes\"}\n{\"row\": \"%s\", \"op\": \"c\", "
		       "\"after\": ",
		       f->asked->table);
	view_new_sample(f, false, out);
	buf_add_format(out, "}\n{\"expect\": \"%s\", \"rows\": [", f->table);
	view_new_sample(f, true, out);
	buf_add_format(out, "]}\n{\"row\": \"%s\", \"op\": \"d\", \"before\": ", f->asked->table);
	view_new_sample(f, false, out);
	buf_add_format(out, "}\n{\"expect\": \"%s\", \"rows\": []}\n", f->table);
}

static void view_conf(const struct new_folder *f, struct buf *out)
{
	const char *what = of_what(f->asked), *rows = f->asked->topic != NULL ? "events" : "rows";

	buf_add_format(out,
		       "; The %s of %s.\nowner  = \ndoc    = %s of %s\nstore  = %s\n"
		       "kind   = %s\ninputs = %s\n",
		       rows, what, rows, what, f->asked->store, f->asked->kind, f->topic);
	for (size_t i = 0, n = 0; i < f->count && is_kind(f, "query"); i++) {
		if (!f->columns[i].key)
			continue;
		if (n++ == 0)
			buf_add_format(out, "key.%s = ", f->table);
		buf_add_format(out, "%s%s", n > 1 ? ", " : "", f->columns[i].name);
	}
	buf_add_str(out, is_kind(f, "query") ? "\n" : "");
}

static int write_cases(const struct new_folder *f, struct err *e)
{
	struct buf text = BUF_INIT;

	if (!has_case(f))
		return 0;
	(f->asked->topic != NULL ? view_new_topic_cases : cases)(f, &text);
	return view_new_write(f, "cases/first.jsonl", &text, e);
}

static int write_sql_kind(const struct new_folder *f, struct err *e)
{
	struct buf tables = BUF_INIT, source = BUF_INIT;
	int rc;

	if (is_dynamo(f)) {
		view_new_tables_json(f, &tables);
		rc = view_new_write(f, "tables.json", &tables, e);
	} else {
		view_new_tables_sql(f, f->table, &tables);
		rc = view_new_write(f, "tables.sql", &tables, e);
	}
	if (rc < 0 || (f->asked->topic != NULL ? view_new_topic_handlers(f, is_dynamo(f), e)
					       : write_handlers(f, e)) < 0)
		return -1;
	if (f->asked->topic == NULL)
		view_new_source_sql(f, &source);
	else if (!view_new_topic_source(f, &source))
		return 0;
	return view_new_write(f, "source.sql", &source, e);
}

/* What the cases of mirrored tables are told about the source. */
static int write_source_tables(const struct new_folder *f, struct err *e)
{
	struct buf text = BUF_INIT;

	view_new_tables_sql(f, f->source, &text);
	return view_new_write(f, "cases/tables.sql", &text, e);
}

static int write_query_kind(const struct new_folder *f, struct err *e)
{
	struct buf query = BUF_INIT, keys = BUF_INIT, source = BUF_INIT;

	view_new_query_sql(f, &query);
	if (view_new_write(f, "query.sql", &query, e) < 0)
		return -1;
	view_new_keys_sql(f, &keys);
	if (write_named(f, "keys", f->source, "", ".sql", &keys, e) < 0 ||
	    write_source_tables(f, e) < 0)
		return -1;
	if (strcmp(f->asked->store, "postgresql") != 0)
		return 0;
	view_new_source_sql(f, &source); /* its quotes are not the source's */
	return view_new_write(f, "source.sql", &source, e);
}

static int write_kind(const struct new_folder *f, struct err *e)
{
	if (is_kind(f, "mirror"))
		return write_source_tables(f, e);
	return is_kind(f, "query") ? write_query_kind(f, e) : write_sql_kind(f, e);
}

static int make_folder(const struct new_folder *f, const char *below, struct err *e)
{
	char *path = xasprintf("%s%s", f->dir, below);
	int rc = 0;

	if (mkdir(path, 0755) < 0)
		rc = err_config(e, "%s: %s", path, strerror(errno));
	free(path);
	return rc;
}

static int make(struct new_folder *f, const struct settings *settings, struct err *e)
{
	struct buf conf = BUF_INIT;

	if (verb_view_there(f->dir)) {
		err_config(e, "%s is there already", f->dir);
		return err_hint(e, "Nothing was written. Give another name.");
	}
	if ((f->asked->topic != NULL ? view_new_topic_columns : view_new_columns)(f, settings, e) <
		    0 ||
	    (is_dynamo(f) && (view_new_check_dynamo(f, e) < 0 || view_new_topic_check(f, e) < 0)))
		return -1;
	(void)mkdir(settings->project_views_dir, 0755); /* what is wrong says the next one */
	if (make_folder(f, "", e) < 0 || make_folder(f, "/cases", e) < 0 ||
	    (is_kind(f, "sql") && make_folder(f, "/on", e) < 0) ||
	    (is_kind(f, "query") && make_folder(f, "/keys", e) < 0))
		return -1;
	view_conf(f, &conf);
	return view_new_write(f, "view.conf", &conf, e) < 0 || write_kind(f, e) < 0 ||
			       write_cases(f, e) < 0
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
	if (asked->topic != NULL &&
	    (strcmp(asked->kind, "sql") != 0 || asked->columns != NULL || asked->key != NULL))
		return err_config(e, "a view of events is of kind sql, with their fields and key: "
				     "leave out --kind, --columns and --key");
	if (asked->topic == NULL && strchr(asked->table, '.') == NULL)
		return err_config(e, "--table is DB.TABLE, not '%s'", asked->table);
	if (strcmp(asked->kind, "sql") != 0 && strcmp(asked->kind, "mirror") != 0 &&
	    strcmp(asked->kind, "query") != 0)
		return err_config(e, "--kind is sql, mirror or query, not '%s'", asked->kind);
	if (store_named(asked->store, &ops, e) < 0)
		return -1;
	if (ops == &store_dynamo && strcmp(asked->kind, "sql") != 0) {
		err_config(e, "a view of kind %s can't live in DynamoDB, which has no SELECT",
			   asked->kind);
		return err_hint(e,
				"Leave --kind out, for item templates; or give another --store.");
	}
	return 0;
}

/* The last part of a topic's name, as a table may be called. */
static char *topic_table(const char *topic)
{
	const char *dot = strrchr(topic, '.');
	char *name = xstrdup(dot != NULL && dot[1] != '\0' ? dot + 1 : topic);

	for (char *p = name; *p != '\0'; p++)
		*p = *p == '-' || *p == '.' ? '_' : *p;
	return name;
}

/* The tables of kind query stand beside those that they are made of: they can't have their names.
 */
static char *table_name(const struct view_new *asked, const char *source)
{
	char *name;

	if (strcmp(asked->kind, "query") != 0)
		return xstrdup(source);
	name = xasprintf("%s%s", asked->name, strcasecmp(asked->name, source) == 0 ? "_rows" : "");
	for (char *p = name; *p != '\0'; p++)
		*p = *p == '-' ? '_' : *p;
	return name;
}

int verb_view_new(const struct settings *settings, const struct view_new *given)
{
	struct view_new asked = *given;
	struct new_folder f = { .asked = &asked };
	struct err e = ERR_INIT;
	int rc;

	asked.kind = given->kind != NULL ? given->kind : "sql";
	asked.store = given->store != NULL ? given->store : "sqlite";
	rc = check(&asked, &e);
	if (rc == 0) {
		if (asked.topic != NULL) {
			f.table = topic_table(asked.topic);
		} else {
			f.source = strchr(asked.table, '.') + 1;
			f.table = table_name(&asked, f.source);
		}
		f.mysql = strcmp(asked.store, "mariadb") == 0 || strcmp(asked.store, "mysql") == 0;
		f.dir = xasprintf("%s/%s", settings->project_views_dir, asked.name);
		f.topic = asked.topic != NULL ? xstrdup(asked.topic)
					      : xasprintf("%s.%s", settings->name, asked.table);
		rc = make(&f, settings, &e);
	}
	for (size_t i = 0; i < f.count; i++)
		free(f.columns[i].name);
	free(f.columns);
	event_files_done(&f.events);
	if (rc == 0)
		printf("%s: a view of %s; try it with `millrace view test %s`, then start "
		       "`millrace project %s`\n%s",
		       f.dir, of_what(&asked), f.dir, asked.name,
		       has_case(&f)
			       ? ""
			       : "Its key holds bytes, which no case can write: there is none.\n");
	free(f.table);
	free(f.dir);
	free(f.topic);
	return rc < 0 ? verb_fail(&e) : EXIT_OK;
}
