/* catalog.c - which tables are captured, and the cache of what they look like.
 *
 * A TABLE_MAP comes before the rows of every statement, so the common case must be cheap: its body,
 * compared from behind the table id with the last one of the same table, is the same bytes, and
 * nothing is read. Otherwise the shape is built anew, and kept as the old one when both are equal,
 * so that plans made for a shape last until the table really changes.
 *
 * Entries are found by id and by name, in two arrays of chains. Tables that aren't captured have
 * entries too (their rows must be told from a corrupt stream) but no shape. A source that makes and
 * drops tables all day would grow this for ever, so entries not seen for long are dropped when
 * there are too many. */
#include "cdc/catalog/catalog.h"

#include "cdc/catalog/catalog_priv.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define BUCKETS 4096
#define ENTRIES_MAX 65536
/* Those of the last so many TABLE_MAPs stay: far more than one statement has. */
#define ENTRIES_KEEP 10000
#define ID_SIZE 6
#define ROWS_HEADER_SIZE 8 /* MariaDB writes table ids of 6 bytes */

struct entry {
	struct catalog_table pub;
	struct entry *next_by_id, *next_by_name;
	bool has_id;
	uint64_t stamp;  /* number of its last TABLE_MAP */
	struct buf body; /* of that TABLE_MAP, behind the id; captured tables only */
	char *db, *table;
	struct lineage line;
};

struct catalog {
	struct text_list patterns;
	struct text_list lacking; /* "db.table" */
	struct text_list watched; /* the same */
	struct catalog_hints hints;
	struct catalog_server server;
	struct entry *by_id[BUCKETS], *by_name[BUCKETS];
	size_t count;
	uint64_t maps; /* TABLE_MAPs so far */
	struct catalog_source source;
	bool goes_on; /* capture.unknown_columns = reconcile */
};

struct catalog *catalog_new(const struct settings *settings)
{
	struct catalog *c = xcalloc(1, sizeof(*c));

	c->server.hints = &c->hints;
	c->goes_on = settings->capture_unknown_columns != NULL &&
		     strcmp(settings->capture_unknown_columns, "reconcile") == 0;
	c->patterns.count = settings->capture_tables.count;
	c->patterns.items = xcalloc(c->patterns.count, sizeof(c->patterns.items[0]));
	for (size_t i = 0; i < c->patterns.count; i++)
		c->patterns.items[i] = xstrdup(settings->capture_tables.items[i]);
	return c;
}

static void entry_free(struct entry *en)
{
	shape_unref(en->pub.shape);
	lineage_done(&en->line);
	buf_done(&en->body);
	free(en->db);
	free(en->table);
	free(en);
}

void catalog_free(struct catalog *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (c->by_name[i] != NULL) {
			struct entry *en = c->by_name[i];

			c->by_name[i] = en->next_by_name;
			entry_free(en);
		}
	for (size_t i = 0; i < c->patterns.count; i++)
		free(c->patterns.items[i]);
	free(c->patterns.items);
	for (size_t i = 0; i < c->lacking.count; i++)
		free(c->lacking.items[i]);
	free(c->lacking.items);
	for (size_t i = 0; i < c->watched.count; i++)
		free(c->watched.items[i]);
	free(c->watched.items);
	catalog_hints_done(&c->hints);
	free(c);
}

struct catalog_hints *catalog_hints_of(struct catalog *c)
{
	return &c->hints;
}

bool catalog_has_hints(const struct catalog *c)
{
	return c->hints.count > 0;
}

const struct text_list *catalog_patterns(const struct catalog *c)
{
	return &c->patterns;
}

const struct text_list *catalog_lacking(const struct catalog *c)
{
	return &c->lacking;
}

void catalog_may_lack(struct catalog *c, const char *db, const char *table)
{
	c->lacking.items =
		xrealloc(c->lacking.items, (c->lacking.count + 1) * sizeof(c->lacking.items[0]));
	c->lacking.items[c->lacking.count++] = xasprintf("%s.%s", db, table);
}

bool catalog_lacks(const struct catalog *c, const char *pattern)
{
	size_t size = strlen(pattern);

	if (size >= 2 && strcmp(pattern + size - 2, ".*") == 0)
		size--; /* db. */
	else
		size++; /* with the NUL: all of it */
	for (size_t i = 0; i < c->lacking.count; i++)
		if (strncmp(c->lacking.items[i], pattern, size) == 0)
			return true;
	return false;
}

bool catalog_captures(const struct catalog *c, struct slice db, struct slice table)
{
	for (size_t i = 0; i < c->patterns.count; i++) {
		const char *pattern = c->patterns.items[i], *dot = strchr(pattern, '.');

		if (strcmp(pattern, "*.*") == 0) /* offline decoding; catalog_list refuses it */
			return true;
		if (dot == NULL || !slice_equal(db, slice_of(pattern, (size_t)(dot - pattern))))
			continue;
		if (strcmp(dot + 1, "*") == 0 || slice_is(table, dot + 1))
			return true;
	}
	return false;
}

/* ---- entries ---- */

static size_t bucket_of_id(uint64_t id)
{
	return (size_t)(id % BUCKETS);
}

/* FNV-1a */
static uint32_t hash(uint32_t h, struct slice s)
{
	for (size_t i = 0; i < s.size; i++)
		h = (h ^ s.data[i]) * 16777619u;
	return h;
}

static size_t bucket_of_name(struct slice db, struct slice table)
{
	return hash(hash(hash(2166136261u, db), slice_of("", 1)), table) % BUCKETS;
}

static struct entry *find_name(const struct catalog *c, struct slice db, struct slice table)
{
	struct entry *en = c->by_name[bucket_of_name(db, table)];

	while (en != NULL && !(slice_is(db, en->db) && slice_is(table, en->table)))
		en = en->next_by_name;
	return en;
}

static struct entry *find_id(const struct catalog *c, uint64_t id)
{
	struct entry *en = c->by_id[bucket_of_id(id)];

	while (en != NULL && en->pub.id != id)
		en = en->next_by_id;
	return en;
}

static void forget_id(struct catalog *c, struct entry *en)
{
	struct entry **at = &c->by_id[bucket_of_id(en->pub.id)];

	if (!en->has_id)
		return;
	while (*at != en)
		at = &(*at)->next_by_id;
	*at = en->next_by_id;
	en->next_by_id = NULL;
	en->has_id = false;
}

static void give_id(struct catalog *c, struct entry *en, uint64_t id)
{
	struct entry *other;

	if (en->has_id && en->pub.id == id)
		return;
	forget_id(c, en);
	other = find_id(c, id);
	if (other != NULL) /* the server uses an id again after its restart */
		forget_id(c, other);
	en->pub.id = id;
	en->has_id = true;
	en->next_by_id = c->by_id[bucket_of_id(id)];
	c->by_id[bucket_of_id(id)] = en;
}

static void drop_old(struct catalog *c)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct entry **at = &c->by_name[i];

		while (*at != NULL) {
			struct entry *en = *at;

			if (c->maps - en->stamp < ENTRIES_KEEP || en->line.ahead_count > 0) {
				at = &en->next_by_name;
				continue;
			}
			*at = en->next_by_name;
			forget_id(c, en);
			entry_free(en);
			c->count--;
		}
	}
}

static bool is_watched(const struct catalog *c, const char *db, const char *table)
{
	size_t n = strlen(db);

	for (size_t i = 0; i < c->watched.count; i++)
		if (strncmp(c->watched.items[i], db, n) == 0 && c->watched.items[i][n] == '.' &&
		    strcmp(c->watched.items[i] + n + 1, table) == 0)
			return true;
	return false;
}

void catalog_watch(struct catalog *c, const char *db, const char *table)
{
	struct entry *en = find_name(c, slice_str(db), slice_str(table));

	if (is_watched(c, db, table))
		return;
	c->watched.items =
		xrealloc(c->watched.items, (c->watched.count + 1) * sizeof(c->watched.items[0]));
	c->watched.items[c->watched.count++] = xasprintf("%s.%s", db, table);
	if (en != NULL) {
		en->pub.watched = !en->pub.captured;
		forget_id(c, en); /* its next TABLE_MAP gives it a shape */
	}
}

static struct entry *add_entry(struct catalog *c, struct slice db, struct slice table)
{
	size_t bucket = bucket_of_name(db, table);
	struct entry *en = xcalloc(1, sizeof(*en));

	if (c->count >= ENTRIES_MAX)
		drop_old(c);
	en->db = xstrndup((const char *)db.data, db.size);
	en->table = xstrndup((const char *)table.data, table.size);
	en->pub.db = en->db;
	en->pub.table = en->table;
	en->pub.captured = catalog_captures(c, db, table);
	en->pub.watched = !en->pub.captured && is_watched(c, en->db, en->table);
	en->next_by_name = c->by_name[bucket];
	c->by_name[bucket] = en;
	c->count++;
	return en;
}

void catalog_know(struct catalog *c, struct shape *shape)
{
	struct slice db = slice_str(shape->db), table = slice_str(shape->table);
	struct entry *en = find_name(c, db, table);

	if (en == NULL)
		en = add_entry(c, db, table);
	if (en->pub.shape == NULL)
		en->pub.shape = shape_ref(shape);
}

/* ---- catalog mode ---- */

void catalog_ask_by(struct catalog *c, const struct catalog_source *source)
{
	c->source = *source;
}

void catalog_go_on(struct catalog *c)
{
	c->goes_on = true;
}

bool catalog_tracks(const struct catalog *c, const char *db, const char *table)
{
	return catalog_captures(c, slice_str(db), slice_str(table)) || is_watched(c, db, table);
}

static struct entry *tracked(struct catalog *c, const char *db, const char *table)
{
	struct entry *en;

	if (!catalog_tracks(c, db, table))
		return NULL;
	en = find_name(c, slice_str(db), slice_str(table));
	return en != NULL ? en : add_entry(c, slice_str(db), slice_str(table));
}

static void found(struct catalog *c, struct entry *en, uint64_t at)
{
	(void)c;
	lineage_found(&en->line, at);
}

/* The same TABLE_MAP may mean other columns from here on. */
static void met(struct catalog *c, struct entry *en, uint64_t at)
{
	lineage_met(&en->line, at);
	forget_id(c, en);
	buf_reset(&en->body);
}

static void each(struct catalog *c, const char *db, const char *table, uint64_t at,
		 void (*act)(struct catalog *c, struct entry *en, uint64_t at))
{
	struct entry *one = table[0] != '\0' ? tracked(c, db, table) : NULL;

	if (one != NULL)
		act(c, one, at);
	for (size_t i = 0; i < BUCKETS && table[0] == '\0'; i++)
		for (struct entry *en = c->by_name[i]; en != NULL; en = en->next_by_name)
			if ((en->pub.captured || en->pub.watched) &&
			    (db[0] == '\0' || strcmp(db, en->db) == 0))
				act(c, en, at);
}

void catalog_found(struct catalog *c, const char *db, const char *table, uint64_t at)
{
	each(c, db, table, at, found);
}

void catalog_met(struct catalog *c, const char *db, const char *table, uint64_t at)
{
	each(c, db, table, at, met);
}

void catalog_was(struct catalog *c, struct shape *shape)
{
	struct entry *en = tracked(c, shape->db, shape->table);

	if (en != NULL)
		lineage_was(&en->line, shape);
}

void catalog_told(struct catalog *c, const char *db, const char *table, struct shape *shape)
{
	struct entry *en = tracked(c, db, table);

	if (en != NULL)
		lineage_told(&en->line, shape);
}

const struct lineage_span *catalog_in_force(const struct catalog *c, const char *db,
					    const char *table)
{
	const struct entry *en = find_name(c, slice_str(db), slice_str(table));

	return en != NULL && en->line.here.shape != NULL ? &en->line.here : NULL;
}

void catalog_kept(struct catalog *c, const char *db, const char *table, int32_t id)
{
	struct entry *en = find_name(c, slice_str(db), slice_str(table));

	if (en != NULL)
		en->line.here.id = id;
}

bool catalog_has_ahead(const struct catalog *c, const char *db, const char *table)
{
	const struct entry *en = find_name(c, slice_str(db), slice_str(table));

	return en != NULL && en->line.ahead_count > 0;
}

bool catalog_next_wanted(const struct catalog *c, size_t *at, const char **ret_db,
			 const char **ret_table)
{
	size_t n = 0;

	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct entry *en = c->by_name[i]; en != NULL; en = en->next_by_name) {
			if (n++ < *at || !lineage_wants(&en->line) || en->line.told ||
			    !(en->pub.captured || en->pub.watched))
				continue;
			*at = n;
			*ret_db = en->db;
			*ret_table = en->table;
			return true;
		}
	return false;
}

/* ---- TABLE_MAP ---- */

bool catalog_prints_json_as_5_7(const char *version)
{
	return strncmp(version, "5.7.", 4) == 0;
}

void catalog_server(struct catalog *c, const char *version)
{
	c->server.mysql = strstr(version, "MariaDB") == NULL;
	c->server.json_5_7 = c->server.mysql && catalog_prints_json_as_5_7(version);
}

void catalog_take_gaps(struct catalog *c)
{
	c->server.gaps = true;
}

static int map_shape(struct catalog *c, struct entry *en, const struct table_map *map,
		     struct shape **ret_shape, struct err *e)
{
	struct catalog_server server = c->server;

	server.hints_are_late = en->line.ahead_count > 0;
	server.in_force = en->line.here.shape;
	if (map->has[TABLE_MAP_COLUMN_NAME] || c->server.gaps)
		return catalog_map_shape(map, &server, en->pub.captured, ret_shape, e);
	return catalog_known_shape(map, &c->server, en->pub.captured, &c->source, &en->line,
				   ret_shape, e);
}

/* Its rows are passed over: who delivers makes up for them. */
static int go_on(struct entry *en, struct err *e)
{
	if (!en->pub.unknown)
		log_warning("capture", "%.*s", (int)strcspn(e->msg, "\n"), e->msg);
	err_clear(e);
	shape_unref(en->pub.shape);
	en->pub.shape = NULL;
	en->pub.unknown = true;
	return 0;
}

static int take_shape(struct catalog *c, struct entry *en, struct slice body, struct err *e)
{
	struct table_map map;
	struct shape *fresh;

	if (table_map_read(body, ROWS_HEADER_SIZE, &map, e) < 0)
		return -1;
	if (map_shape(c, en, &map, &fresh, e) < 0)
		return c->goes_on && en->pub.captured && en->line.refused ? go_on(en, e) : -1;
	en->pub.unknown = false;
	if (en->pub.shape != NULL && shape_equal(en->pub.shape, fresh)) {
		shape_unref(fresh);
	} else {
		shape_unref(en->pub.shape);
		en->pub.shape = fresh;
	}
	if (map.has[TABLE_MAP_COLUMN_NAME]) /* it may be the last one that says so */
		lineage_was(&en->line, en->pub.shape);
	buf_reset(&en->body);
	buf_add(&en->body, body.data + ID_SIZE, body.size - ID_SIZE);
	buf_trim(&en->body);
	return 0;
}

int catalog_table_map(struct catalog *c, struct slice body, const struct catalog_table **ret_table,
		      struct err *e)
{
	struct slice db, table, rest;
	struct entry *en;
	uint64_t id;

	if (table_map_id(body, ROWS_HEADER_SIZE, &id, e) < 0)
		return -1;
	rest = slice_of(body.data + ID_SIZE, body.size - ID_SIZE);
	en = find_id(c, id);
	if (en == NULL || en->pub.shape == NULL || !slice_equal(buf_slice(&en->body), rest)) {
		if (table_map_names(body, ROWS_HEADER_SIZE, &db, &table, e) < 0)
			return -1;
		en = find_name(c, db, table);
		if (en == NULL)
			en = add_entry(c, db, table);
		if ((en->pub.captured || en->pub.watched) &&
		    (en->pub.shape == NULL || !slice_equal(buf_slice(&en->body), rest)) &&
		    take_shape(c, en, body, e) < 0)
			return -1;
		give_id(c, en, id);
	}
	en->stamp = ++c->maps;
	*ret_table = &en->pub;
	return 0;
}

const struct catalog_table *catalog_find(const struct catalog *c, uint64_t id)
{
	const struct entry *en = find_id(c, id);

	return en == NULL ? NULL : &en->pub;
}

void catalog_reset(struct catalog *c)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (c->by_id[i] != NULL)
			forget_id(c, c->by_id[i]);
}
