/* view_parse.c - the text parts of a view: view.conf and source.sql.
 *
 * view.conf is `key = value` lines; '#' and ';' begin a comment line, a [section] line is allowed
 * and means nothing. An unknown key is a mistake and the nearest known one is named: a mistyped
 * `input` must not make a view that reads nothing. source.sql is cut at its "-- table: NAME" lines;
 * the SELECTs themselves are the source's language and are only looked at as far as the shape goes
 * (one statement, which reads). */
#include "projections/apply/view_priv.h"

#include "core/base/mem.h"
#include "core/base/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const conf_keys[] = { "owner", "doc",   "inputs", "key",
					 "kind",  "store", "order",  "workers",
					 "verify_every" };

struct line {
	const char *start, *end; /* blanks around taken off */
};

static struct line trim(const char *start, const char *end)
{
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	return (struct line){ start, end };
}

static void split_words(const char *start, const char *end, char ***words, size_t *count)
{
	while (start <= end) {
		const char *comma = memchr(start, ',', (size_t)(end - start));
		struct line word = trim(start, comma != NULL ? comma : end);

		if (word.end > word.start)
			view_words_add(words, count, word.start, (size_t)(word.end - word.start));
		if (comma == NULL)
			return;
		start = comma + 1;
	}
}

static void set_key(struct view *v, const char *table, struct line columns, int line,
		    struct view_mistakes *m)
{
	struct view_table *t;

	if (table[0] == '\0') {
		view_mistake(m, "view.conf", line, "Write key.TABLE = COLUMN, COLUMN",
			     "a key without a table");
		return;
	}
	if (view_table(v, table) != NULL) {
		view_mistake(m, "view.conf", line, NULL, "the key of table %s is given twice",
			     table);
		return;
	}
	v->tables = xrealloc(v->tables, (v->table_count + 1) * sizeof(*v->tables));
	t = &v->tables[v->table_count++];
	*t = (struct view_table){ .name = xstrdup(table), .key_line = line };
	split_words(columns.start, columns.end, &t->key, &t->key_count);
	if (t->key_count == 0)
		view_mistake(m, "view.conf", line, "Write key.TABLE = COLUMN, COLUMN",
			     "table %s: the key is empty", table);
}

static void set_text(char **field, struct line value, const char *key, int line,
		     struct view_mistakes *m)
{
	if (*field != NULL) {
		view_mistake(m, "view.conf", line, NULL, "%s is given twice", key);
		return;
	}
	*field = xstrndup(value.start, (size_t)(value.end - value.start));
}

/* One word out of a list; *ret is its number, or stays. */
static void set_choice(const char *key, const char *const *words, size_t count, struct line value,
		       int line, int *ret, struct view_mistakes *m)
{
	size_t size = (size_t)(value.end - value.start);
	struct buf hint = BUF_INIT;

	for (size_t i = 0; i < count; i++) {
		if (slice_is(slice_of(value.start, size), words[i])) {
			*ret = (int)i;
			buf_done(&hint);
			return;
		}
		buf_add_format(&hint, "%s%s", i > 0 ? ", " : "It is one of: ", words[i]);
	}
	view_mistake(m, "view.conf", line, buf_cstr(&hint), "%s = %.*s is not known", key,
		     (int)(size > 60 ? 60 : size), value.start);
	buf_done(&hint);
}

static void set_kind(struct view *v, struct line value, int line, struct view_mistakes *m)
{
	static const char *const kinds[] = { [VIEW_SQL] = "sql",
					     [VIEW_MIRROR] = "mirror",
					     [VIEW_QUERY] = "query" };
	int kind = VIEW_SQL;

	set_choice("kind", kinds, sizeof(kinds) / sizeof(kinds[0]), value, line, &kind, m);
	v->kind = (enum view_kind)kind;
}

/* Stores stand above this folder: whether this build has one is said there (store_named()). */
static void set_store(struct view *v, struct line value, int line, struct view_mistakes *m)
{
	static const char *const stores[] = { "sqlite", "postgresql", "mariadb", "mysql",
					      "dynamodb" };
	int store = 0;

	set_choice("store", stores, sizeof(stores) / sizeof(stores[0]), value, line, &store, m);
	free(v->store);
	v->store = xstrdup(stores[store]);
}

static void set_order(struct view *v, struct line value, int line, struct view_mistakes *m)
{
	static const char *const orders[] = { [VIEW_ORDER_SOURCE] = "source",
					      [VIEW_ORDER_PARTITION] = "partition" };
	int order = VIEW_ORDER_SOURCE;

	set_choice("order", orders, sizeof(orders) / sizeof(orders[0]), value, line, &order, m);
	v->order = (enum view_order)order;
}

static void set_workers(struct view *v, struct line value, int line, struct view_mistakes *m)
{
	char *text = xstrndup(value.start, (size_t)(value.end - value.start)), *end;
	long workers = strtol(text, &end, 10);

	if (*end != '\0' || end == text || workers < 1 || workers > VIEW_WORKERS_MAX)
		view_mistake(m, "view.conf", line, NULL, "workers is a number from 1 to %d",
			     VIEW_WORKERS_MAX);
	else
		v->workers = (int)workers;
	free(text);
}

static void set_verify_every(struct view *v, struct line value, int line, struct view_mistakes *m)
{
	char *text = xstrndup(value.start, (size_t)(value.end - value.start));

	if (settings_parse_ms(text, &v->verify_every_ms))
		v->has_verify_every = true;
	else
		view_mistake(m, "view.conf", line, "A number with s, m, h or d: 10m; 0: never.",
			     "verify_every is a time");
	free(text);
}

/* What can't be kept up by several members, with the reason. */
static void check_order(const struct view *v, struct view_mistakes *m)
{
	const char *store = v->store != NULL ? v->store : "sqlite";
	static const char hint[] = "Leave order out: then one worker applies whole source "
				   "transactions in the source's order.";

	if (v->order != VIEW_ORDER_PARTITION && v->workers > 0)
		view_mistake(m, "view.conf", 0, "Add order = partition, or leave workers out.",
			     "workers: only order = partition has several");
	if (v->order != VIEW_ORDER_PARTITION)
		return;
	if (strcmp(store, "sqlite") == 0)
		view_mistake(m, "view.conf", 0, hint,
			     "order = partition: SQLite has one writer at a time");
	else if (strcmp(store, "dynamodb") == 0)
		view_mistake(m, "view.conf", 0, hint,
			     "order = partition: DynamoDB has no transaction that holds the rows "
			     "and a partition's position together");
	if (v->kind == VIEW_MIRROR)
		view_mistake(m, "view.conf", 0, hint,
			     "order = partition: a mirror follows its table's changes of shape, "
			     "which members would come to one after the other");
	if (v->kind == VIEW_QUERY)
		view_mistake(m, "view.conf", 0, hint,
			     "order = partition: a row of a query view is computed from rows of "
			     "many partitions, which members change independently");
}

static void set_inputs(struct view *v, struct line value, int line, struct view_mistakes *m)
{
	if (v->input_count > 0) {
		view_mistake(m, "view.conf", line, NULL, "inputs is given twice");
		return;
	}
	split_words(value.start, value.end, &v->inputs, &v->input_count);
	for (size_t i = 0; i < v->input_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(v->inputs[i], v->inputs[j]) == 0)
				view_mistake(m, "view.conf", line, NULL, "inputs names %s twice",
					     v->inputs[i]);
		}
	}
}

static void set_one(struct view *v, const char *key, struct line value, int line,
		    struct view_mistakes *m)
{
	const char *colon = memchr(value.start, ':', (size_t)(value.end - value.start));

	if (strcmp(key, "owner") == 0) {
		set_text(&v->owner, value, key, line, m);
	} else if (strcmp(key, "doc") == 0) {
		set_text(&v->doc, value, key, line, m);
	} else if (strcmp(key, "inputs") == 0) {
		set_inputs(v, value, line, m);
	} else if (strcmp(key, "kind") == 0) {
		set_kind(v, value, line, m);
	} else if (strcmp(key, "store") == 0) {
		set_store(v, value, line, m);
	} else if (strcmp(key, "order") == 0) {
		set_order(v, value, line, m);
	} else if (strcmp(key, "workers") == 0) {
		set_workers(v, value, line, m);
	} else if (strcmp(key, "verify_every") == 0) {
		set_verify_every(v, value, line, m);
	} else if (strncmp(key, "key.", 4) == 0) {
		set_key(v, key + 4, value, line, m);
	} else if (strcmp(key, "key") == 0 && colon != NULL) {
		struct line name = trim(value.start, colon);
		char *table = xstrndup(name.start, (size_t)(name.end - name.start));

		set_key(v, table, trim(colon + 1, value.end), line, m);
		free(table);
	} else if (strcmp(key, "key") == 0) {
		set_key(v, "", value, line, m);
	} else {
		const char *near =
			settings_nearest(key, conf_keys, sizeof(conf_keys) / sizeof(conf_keys[0]));
		char hint[200];

		snprintf(hint, sizeof(hint),
			 near != NULL ? "Did you mean '%s'?"
				      : "Known keys: owner, doc, inputs, "
					"key.TABLE, kind, store, order, workers, "
					"verify_every.%s",
			 near != NULL ? near : "");
		view_mistake(m, "view.conf", line, hint, "unknown key '%.100s'", key);
	}
}

void view_conf_parse(struct view *v, const char *text, struct view_mistakes *m)
{
	int number = 0;

	for (const char *at = text; *at != '\0';) {
		size_t size = strcspn(at, "\n");
		struct line line = trim(at, at + size);
		const char *equals = memchr(line.start, '=', (size_t)(line.end - line.start));
		struct line left;
		char *key;

		number++;
		at += size + (at[size] == '\n');
		if (line.start == line.end || strchr("#;[", *line.start) != NULL)
			continue;
		if (equals == NULL) {
			view_mistake(m, "view.conf", number, NULL, "not a 'key = value' line");
			continue;
		}
		left = trim(line.start, equals);
		key = xstrndup(left.start, (size_t)(left.end - left.start));
		set_one(v, key, trim(equals + 1, line.end), number, m);
		free(key);
	}
	if (v->input_count == 0)
		view_mistake(m, "view.conf", 0, "Write inputs = TOPIC, TOPIC",
			     "no inputs: the view would read nothing");
	check_order(v, m);
}

/* ---- source.sql ------------------------------------------------------------------------------ */

static void clear_questions(struct view *v)
{
	for (size_t i = 0; i < v->table_count; i++) {
		free(v->tables[i].source);
		v->tables[i].source = NULL;
	}
}

/* The first word of a statement: comments and blanks skipped. */
static struct line first_word(const char *p, const char *end)
{
	const char *start;

	while (p < end) {
		if (isspace((unsigned char)*p) || *p == '(') {
			p++;
		} else if (p + 1 < end && p[0] == '-' && p[1] == '-') {
			while (p < end && *p != '\n')
				p++;
		} else {
			break;
		}
	}
	start = p;
	while (p < end && isalpha((unsigned char)*p))
		p++;
	return (struct line){ start, p };
}

static void set_question(struct view *v, const char *file, const char *table, int line,
			 const char *start, const char *end, struct view_mistakes *m)
{
	struct line body = trim(start, end), word;
	struct view_table *known = view_table_find(v, table);

	while (body.end > body.start && body.end[-1] == ';')
		body = trim(body.start, body.end - 1);
	word = first_word(body.start, body.end);
	if (word.end == word.start) {
		view_mistake(m, file, line, NULL, "table %s: no SELECT follows", table);
	} else if (strncasecmp(word.start, "select", 6) != 0 &&
		   strncasecmp(word.start, "with", 4) != 0) {
		view_mistake(m, file, line, NULL, "table %s: not a SELECT", table);
	} else if (known == NULL) {
		view_mistake(m, file, line, "The name after '-- table:' is one of tables.sql.",
			     "no table %s in the view", table);
	} else if (known->source != NULL) {
		view_mistake(m, file, line, NULL, "table %s has two questions", table);
	} else {
		known->source = xstrndup(body.start, (size_t)(body.end - body.start));
	}
}

/* "-- table: NAME" -> NAME, malloced; NULL when the line is another. */
static char *table_line(struct line line)
{
	static const char mark[] = "table:";
	struct line rest;

	if (line.end - line.start < 2 || line.start[0] != '-' || line.start[1] != '-')
		return NULL;
	rest = trim(line.start + 2, line.end);
	if ((size_t)(rest.end - rest.start) < sizeof(mark) - 1 ||
	    strncasecmp(rest.start, mark, sizeof(mark) - 1) != 0)
		return NULL;
	rest = trim(rest.start + sizeof(mark) - 1, rest.end);
	return xstrndup(rest.start, (size_t)(rest.end - rest.start));
}

void view_source_parse(struct view *v, const char *file, const char *text, struct view_mistakes *m)
{
	const char *start = text;
	char *table = NULL;
	int number = 0, table_number = 0;

	clear_questions(v);
	for (const char *at = text; *at != '\0';) {
		size_t size = strcspn(at, "\n");
		struct line line = trim(at, at + size);
		char *next = table_line(line);

		number++;
		if (next != NULL) {
			if (table != NULL)
				set_question(v, file, table, table_number, start, at, m);
			free(table);
			table = next;
			table_number = number;
			start = at + size;
		} else if (table == NULL && line.end > line.start && line.start[0] != '-') {
			view_mistake(m, file, number,
				     "Put a line '-- table: NAME' before each SELECT.",
				     "a statement that belongs to no table");
			return;
		}
		at += size + (at[size] == '\n');
	}
	if (table != NULL)
		set_question(v, file, table, table_number, start, text + strlen(text), m);
	free(table);
}

int view_set_source(struct view *v, const char *file, const char *text, struct err *e)
{
	struct view_mistakes m = { .place = "." };

	view_source_parse(v, file, text, &m);
	if (m.count > 0)
		err_config(e, "%s", buf_cstr(&m.text) + (file[0] == '/' ? 2 : 0));
	buf_done(&m.text);
	return m.count > 0 ? -1 : 0;
}
