/* view.c - reads a view folder into memory and puts its parts together; the parts are checked in
 * view_parse.c (text) and view_check.c (SQL).
 *
 * The folder is read once, into a sorted list of files; everything else works on that list. So a
 * view that is rebuilt from the definition stored in a version takes the same path as one read from
 * disk, and what is stored is what was checked. The fingerprint covers names and contents of all
 * files but the cases: they prove the rows, they don't make them; and but the shapes, which are the
 * source's. */
#include "projections/apply/query.h"
#include "projections/apply/view_priv.h"

#include "core/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void view_mistake(struct view_mistakes *m, const char *file, int line, const char *hint,
		  const char *format, ...)
{
	char what[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (m->count++ > 0)
		buf_add_u8(&m->text, '\n');
	if (line > 0)
		buf_add_format(&m->text, "%s/%s:%d: %s", m->place, file, line, what);
	else
		buf_add_format(&m->text, "%s/%s: %s", m->place, file, what);
	if (hint != NULL)
		buf_add_format(&m->text, "\n  HINT: %s", hint);
}

void view_mistake_err(struct view_mistakes *m, const struct err *e)
{
	const char *hint = strstr(e->msg, "\nHINT: ");
	size_t size = hint != NULL ? (size_t)(hint - e->msg) : strlen(e->msg);

	if (m->count++ > 0)
		buf_add_u8(&m->text, '\n');
	buf_add_format(&m->text, "%s/", m->place);
	buf_add(&m->text, e->msg, size);
	if (hint != NULL)
		buf_add_format(&m->text, "\n  %s", hint + 1);
}

const struct view_file *view_file(const struct view *v, const char *name)
{
	for (size_t i = 0; i < v->files.count; i++) {
		if (strcmp(v->files.items[i].name, name) == 0)
			return &v->files.items[i];
	}
	return NULL;
}

void view_words_add(char ***words, size_t *count, const char *text, size_t size)
{
	*words = xrealloc(*words, (*count + 1) * sizeof(**words));
	(*words)[(*count)++] = xstrndup(text, size);
}

void view_names_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

int view_names_find(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return (int)i;
	}
	return -1;
}

bool view_ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);

	return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* ---- fingerprint ----------------------------------------------------------------------------- */

/* FNV-1a (Fowler, Noll, Vo), 64 bits, twice with different offsets: tells two definitions apart;
 * nobody has a reason to forge one. */
static uint64_t fnv(uint64_t hash, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	do { /* the NUL counts too: it separates names from contents */
		hash = (hash ^ *p) * UINT64_C(0x100000001b3);
	} while (*p++ != '\0');
	return hash;
}

static void make_fingerprint(struct view *v)
{
	uint64_t a = UINT64_C(0xcbf29ce484222325), b = UINT64_C(0x9ae16a3b2f90404f);

	for (size_t i = 0; i < v->files.count; i++) {
		const struct view_file *f = &v->files.items[i];

		if (strncmp(f->name, "cases/", 6) == 0 || strncmp(f->name, "shape/", 6) == 0)
			continue;
		a = fnv(fnv(a, f->name), f->text);
		b = fnv(fnv(b, f->text), f->name);
	}
	snprintf(v->fingerprint, sizeof(v->fingerprint), "%016llx%016llx", (unsigned long long)a,
		 (unsigned long long)b);
}

/* ---- the parts ------------------------------------------------------------------------------- */

/* tables.sql falls into two halves at a line "-- after build". */
static void split_tables(struct view *v, const char *text)
{
	static const char mark[] = "-- after build";
	const char *line = text;

	while (line != NULL && strncasecmp(line, mark, sizeof(mark) - 1) != 0) {
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	if (line == NULL) {
		v->create_sql = xstrdup(text);
		v->after_build_sql = xstrdup("");
		return;
	}
	v->create_sql = xstrndup(text, (size_t)(line - text));
	/* as many empty lines in front as the first half has, so that messages name the file's own
	 * lines */
	v->after_build_sql = xstrdup(text);
	for (char *p = v->after_build_sql; p < v->after_build_sql + (line - text); p++)
		*p = *p == '\n' ? '\n' : ' ';
}

static void add_handler(struct view *v, const struct view_file *f)
{
	static const struct {
		const char *ending;
		enum view_on on;
	} kinds[] = { { ".insert", VIEW_ON_INSERT },
		      { ".update", VIEW_ON_UPDATE },
		      { ".delete", VIEW_ON_DELETE },
		      { ".truncate", VIEW_ON_TRUNCATE } };
	char *name = xstrndup(f->name + 3, (size_t)(strrchr(f->name, '.') - f->name) - 3);
	struct view_handler *h;

	v->handlers = xrealloc(v->handlers, (v->handler_count + 1) * sizeof(*v->handlers));
	h = &v->handlers[v->handler_count++];
	*h = (struct view_handler){ .on = VIEW_ON_EVENT, .name = name, .file = f };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!view_ends_with(name, kinds[i].ending))
			continue;
		name[strlen(name) - strlen(kinds[i].ending)] = '\0';
		h->on = kinds[i].on;
		return;
	}
}

static void read_question(struct view *v, struct view_mistakes *m)
{
	const struct view_file *source = view_file(v, "source.sql");

	if (source != NULL)
		view_source_parse(v, "source.sql", source->text, m);
	else
		view_generate_source(v);
}

/* As the store would, but at once: SQLite is always at hand. */
static void learn_sqlite(struct view *v, struct view_mistakes *m)
{
	v->learned = view_check(v, m);
	read_question(v, m);
}

/* Kinds whose tables and statements are made, not written. */
static void put_kind_together(struct view *v, struct view_mistakes *m)
{
	for (size_t i = 0; i < v->files.count; i++) {
		const char *name = v->files.items[i].name;

		if (strncmp(name, "tables.", 7) == 0 || strncmp(name, "on/", 3) == 0)
			view_mistake(m, name, 0,
				     "Delete it, or use kind = sql. Indexes stand in indexes.sql.",
				     "a view of kind %s has no handlers: its tables are made and "
				     "kept by Millrace",
				     v->kind == VIEW_MIRROR ? "mirror" : "query");
	}
	v->create_sql = xstrdup("");
	v->after_build_sql = xstrdup("");
	view_generate(v, m);
}

/* Learns a view whose SQL was made, as soon as it is. */
void view_generated(struct view *v, struct view_mistakes *m)
{
	if (strcmp(v->store, "sqlite") == 0)
		learn_sqlite(v, m);
}

/* SQL everywhere but in DynamoDB. */
static void refuse_templates(const struct view *v, struct view_mistakes *m)
{
	for (size_t i = 0; i < v->files.count; i++) {
		const char *name = v->files.items[i].name;

		if (view_ends_with(name, ".json"))
			view_mistake(m, name, 0,
				     "Write store = dynamodb into view.conf, or use .sql.",
				     "only views with store = dynamodb have .json files");
	}
}

static void learn(struct view *v, bool has_tables, struct view_mistakes *m)
{
	if (strcmp(v->store, "dynamodb") == 0) {
		v->learned = view_learn_dynamo(v, m);
		if (v->learned)
			read_question(v, m);
		return;
	}
	refuse_templates(v, m);
	if (!has_tables)
		view_mistake(m, "tables.sql", 0, "It creates the view's tables.", "missing");
	else if (strcmp(v->store, "sqlite") == 0)
		learn_sqlite(v, m);
}

static void put_together(struct view *v, struct view_mistakes *m)
{
	const struct view_file *conf = view_file(v, "view.conf"),
			       *tables = view_file(v, "tables.sql");

	if (conf == NULL)
		view_mistake(m, "view.conf", 0,
			     "It says what the view reads: inputs = TOPIC, TOPIC", "missing");
	else
		view_conf_parse(v, conf->text, m);
	make_fingerprint(v);
	if (v->store == NULL)
		v->store = xstrdup("sqlite");
	if (v->kind != VIEW_SQL) {
		put_kind_together(v, m);
		return;
	}
	for (size_t i = 0; i < v->files.count; i++) {
		if (strncmp(v->files.items[i].name, "on/", 3) == 0)
			add_handler(v, &v->files.items[i]);
	}
	if (v->handler_count == 0)
		view_mistake(m, "on", 0,
			     "Add a file on/EVENT.sql for each event that changes the view.",
			     "no handler");
	split_tables(v, tables != NULL ? tables->text : "");
	learn(v, tables != NULL, m);
}

static int finish(struct view *v, struct view_mistakes *m, struct view **ret_view, struct err *e)
{
	if (m->count > 0) {
		err_config(e, "%s", buf_cstr(&m->text));
		view_free(v);
	} else {
		*ret_view = v;
	}
	buf_done(&m->text);
	return m->count > 0 ? -1 : 0;
}

int view_from_files(const char *name, const char *place, struct view_files *take_files,
		    struct view **ret_view, struct err *e)
{
	struct view_mistakes m = { .place = place };
	struct view *v = xcalloc(1, sizeof(*v));

	v->name = xstrdup(name);
	v->place = xstrdup(place);
	v->files = *take_files;
	*take_files = (struct view_files){ 0 };
	put_together(v, &m);
	return finish(v, &m, ret_view, e);
}

int view_learn_end(struct view *v, struct target *target, struct err *e)
{
	struct view_mistakes m = { .place = v->place };

	view_hide_mirrors(v);
	view_check_keys(v, &m);
	if (target != NULL)
		view_check_handlers(v, target, &m);
	read_question(v, &m);
	v->learned = m.count == 0;
	if (m.count > 0)
		err_config(e, "%s", buf_cstr(&m.text));
	buf_done(&m.text);
	return v->learned ? 0 : -1;
}

static char *last_part(const char *dir)
{
	size_t end = strlen(dir), start;

	while (end > 1 && dir[end - 1] == '/')
		end--;
	start = end;
	while (start > 0 && dir[start - 1] != '/')
		start--;
	return xstrndup(dir + start, end - start);
}

bool view_is_plain(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return strspn(text, plain) == strlen(text);
}

/* The name becomes a file's, a URL's and a metric label's part. */
static bool name_is_plain(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strlen(name) <= 200 && view_is_plain(name);
}

int view_read(const char *dir, struct view **ret_view, struct err *e)
{
	struct view_mistakes m = { .place = dir };
	struct stat info;
	struct view *v;

	if (stat(dir, &info) < 0 || !S_ISDIR(info.st_mode)) {
		err_config(e, "%s: no such view folder", dir);
		return err_hint(e,
				"A view is a folder with view.conf, tables.sql and on/*.sql; see "
				"project.views.");
	}
	v = xcalloc(1, sizeof(*v));
	v->name = last_part(dir);
	v->place = xstrdup(dir);
	if (!name_is_plain(v->name))
		view_mistake(&m, "", 0, "Use letters, digits, '_', '-' and '.'.",
			     "not a name for a view: %s", v->name);
	view_folder_read(dir, &v->files, &m);
	put_together(v, &m);
	return finish(v, &m, ret_view, e);
}

void view_table_done(struct view_table *t)
{
	free(t->name);
	view_names_free(t->key, t->key_count);
	view_names_free(t->columns, t->column_count);
	view_names_free(t->types, t->column_count);
	free(t->source);
}

void view_free(struct view *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < v->table_count; i++)
		view_table_done(&v->tables[i]);
	for (size_t i = 0; i < v->handler_count; i++)
		free(v->handlers[i].name);
	for (size_t i = 0; i < v->query_count; i++)
		view_query_done(&v->queries[i], v->mirror_count);
	for (size_t i = 0; i < v->mirror_count; i++)
		mirror_table_done(&v->mirrors[i]);
	free(v->queries);
	free(v->mirrors);
	free(v->source_db);
	free(v->tables);
	free(v->handlers);
	view_names_free(v->inputs, v->input_count);
	view_files_done(&v->files);
	free(v->store);
	free(v->create_sql);
	free(v->after_build_sql);
	free(v->name);
	free(v->place);
	free(v->owner);
	free(v->doc);
	free(v);
}

struct view_table *view_table_find(struct view *v, const char *name)
{
	for (size_t i = 0; i < v->table_count; i++) {
		if (strcmp(v->tables[i].name, name) == 0)
			return &v->tables[i];
	}
	return NULL;
}

const struct view_table *view_table(const struct view *v, const char *name)
{
	for (size_t i = 0; i < v->table_count; i++) {
		if (strcmp(v->tables[i].name, name) == 0)
			return &v->tables[i];
	}
	return NULL;
}

struct view_table *view_learn_table(struct view *v, const char *name)
{
	struct view_table *t = view_table_find(v, name);

	if (t != NULL)
		return t;
	v->tables = xrealloc(v->tables, (v->table_count + 1) * sizeof(*v->tables));
	t = &v->tables[v->table_count++];
	*t = (struct view_table){ .name = xstrdup(name) };
	return t;
}

void view_learn_column(struct view_table *t, const char *name, const char *type)
{
	size_t count = t->column_count;

	view_words_add(&t->types, &count, type, strlen(type));
	view_words_add(&t->columns, &t->column_count, name, strlen(name));
}

void view_learn_key(struct view_table *t, const char *column)
{
	if (t->key_line == 0)
		view_words_add(&t->key, &t->key_count, column, strlen(column));
}
