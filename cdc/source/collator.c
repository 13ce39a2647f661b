/* collator.c - learns collations, and weighs what cannot be weighed here.
 *
 * What is asked of a collation, once: its name and character set; whether it pads; what a space
 * weighs; on MariaDB how many levels it has (WEIGHT_STRING of a letter is the levels' weights one
 * behind the other). Then whether ASCII characters weigh the same alone and next to each other: the
 * weights of a text with all pairs, and of one with all triples of letters, must be those of its
 * characters (Czech ch, Danish aa, Hungarian dzs are not). Where they are, ASCII text is weighed
 * here.
 *
 * What it refuses: a collation with levels whose comparison passes over a level without telling
 * (uca1400_nopad_ai_cs and its kin: 'a' with an accent equals 'a' and weighs more); on MySQL five
 * old ones (ask_mysql()). */
#include "cdc/source/collator.h"

#include "core/base/mem.h"
#include "core/mysql/db.h"
#include "core/value/charset.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define CACHE_BYTES_MAX (4 * 1024 * 1024)

struct known {
	int id; /* as uthash wants it */
	struct key_collation collation;
	UT_hash_handle hh;
};

struct weighed {
	char *key; /* collation id (2 bytes), text */
	unsigned key_size;
	struct buf part;
	UT_hash_handle hh;
};

struct collator {
	const struct settings *settings;
	struct key_weigher weigher;
	pthread_mutex_t lock; /* of all below */
	struct db *db;
	struct known *known;
	struct weighed *cache;
	size_t cache_bytes;
	struct buf sql, scratch, name;
};

static const char *charset_name(void *context, const struct column *c)
{
	const struct key_collation *k = collator_find(context, c->collation);

	return k != NULL ? k->charset : "binary";
}

static int weigh(void *context, size_t part, const struct column *column, struct slice value,
		 struct buf *key, struct err *e);

struct collator *collator_new(const struct settings *settings)
{
	struct collator *c = xcalloc(1, sizeof(*c));

	c->settings = settings;
	c->weigher = (struct key_weigher){ c, weigh, charset_name };
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void forget(struct collator *c)
{
	struct weighed *w, *next;

	HASH_ITER(hh, c->cache, w, next)
	{
		HASH_DEL(c->cache, w);
		free(w->key);
		buf_done(&w->part);
		free(w);
	}
	c->cache_bytes = 0;
}

void collator_free(struct collator *c)
{
	struct known *k, *next;

	if (c == NULL)
		return;
	forget(c);
	HASH_ITER(hh, c->known, k, next)
	{
		HASH_DEL(c->known, k);
		free(k);
	}
	db_close(c->db);
	buf_done(&c->sql);
	buf_done(&c->scratch);
	buf_done(&c->name);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

const struct key_weigher *collator_weigher(const struct collator *c)
{
	return &c->weigher;
}

static const struct key_collation *find(struct collator *c, uint16_t collation)
{
	struct known *k;
	int id = collation;

	HASH_FIND_INT(c->known, &id, k);
	return k != NULL ? &k->collation : NULL;
}

const struct key_collation *collator_find(struct collator *c, uint16_t collation)
{
	const struct key_collation *k;

	pthread_mutex_lock(&c->lock);
	k = find(c, collation);
	pthread_mutex_unlock(&c->lock);
	return k;
}

/* ---- questions ------------------------------------------------------------------------------ */

/* One row, handed to take(). A lost connection is made anew once: it may have been idle for hours.
 */
static int ask(struct collator *c,
	       int (*take)(void *context, const struct slice *row, struct err *e), void *context,
	       struct err *e)
{
	struct db_result *result = NULL;
	const struct slice *row;
	int rc = -1;

	for (int tries = 0; tries < 2; tries++) {
		*e = (struct err)ERR_INIT;
		if (c->db == NULL && db_open(c->settings, DB_TEXT_BINARY, &c->db, e) < 0)
			return -1;
		rc = db_query(c->db, buf_cstr(&c->sql), &result, e);
		if (rc == 0)
			rc = db_next(result, &row, e);
		if (rc == 1)
			rc = take(context, row, e);
		else if (rc == 0)
			rc = err_retry(e, "the source gave no answer about a collation");
		db_result_free(result);
		result = NULL;
		if (rc == 0 || e->kind != ERR_RETRY)
			return rc;
		db_close(c->db);
		c->db = NULL;
	}
	return rc;
}

static void add_text(struct collator *c, const struct key_collation *k, struct slice text)
{
	buf_add_format(&c->sql, "_%s x'", k->charset);
	for (size_t i = 0; i < text.size; i++)
		buf_add_format(&c->sql, "%02x", text.data[i]);
	buf_add_format(&c->sql, "' COLLATE %s", k->name);
}

static void add_weight(struct collator *c, const struct key_collation *k, struct slice text,
		       unsigned level)
{
	buf_add_str(&c->sql, "WEIGHT_STRING(");
	add_text(c, k, text);
	if (level > 0)
		buf_add_format(&c->sql, " LEVEL %u", level);
	buf_add_str(&c->sql, ")");
}

static int take_name(void *context, const struct slice *row, struct err *e)
{
	struct key_collation *k = context;

	(void)e;
	(void)snprintf(k->charset, sizeof(k->charset), "%.*s", (int)row[0].size,
		       (const char *)row[0].data); /* names are shorter */
	(void)snprintf(k->name, sizeof(k->name), "%.*s", (int)row[1].size,
		       (const char *)row[1].data);
	return 0;
}

static int has_full_names(void *context, const struct slice *row, struct err *e)
{
	(void)e;
	*(bool *)context = !slice_is(row[0], "0");
	return 0;
}

/* Servers with UCA 14 collations list their ids in one table, older ones in the other. */
static int ask_name(struct collator *c, struct key_collation *k, struct err *e)
{
	bool full = false;

	buf_reset(&c->sql);
	buf_add_str(&c->sql,
		    "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = "
		    "'information_schema' AND TABLE_NAME = 'COLLATION_CHARACTER_SET_APPLICABILITY'"
		    " AND COLUMN_NAME = 'FULL_COLLATION_NAME'");
	if (ask(c, has_full_names, &full, e) < 0)
		return -1;
	buf_reset(&c->sql);
	buf_add_format(
		&c->sql,
		full ? "SELECT CHARACTER_SET_NAME, FULL_COLLATION_NAME FROM "
		       "information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID = %u"
		     : "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM "
		       "information_schema.COLLATIONS WHERE ID = %u",
		k->id);
	return ask(c, take_name, k, e);
}

/* ---- a collation ---------------------------------------------------------------------------- */

/* Characters of ASCII in the character sets that we can convert. */
static struct slice ascii_text(enum charset charset, char character, uint8_t bytes[4])
{
	memset(bytes, 0, 4);
	switch ((unsigned)charset) { /* all but these have ASCII in single bytes */
	case CHARSET_UCS2:
	case CHARSET_UTF16:
		bytes[1] = (uint8_t)character;
		return slice_of(bytes, 2);
	case CHARSET_UTF16LE:
		bytes[0] = (uint8_t)character;
		return slice_of(bytes, 2);
	case CHARSET_UTF32:
		bytes[3] = (uint8_t)character;
		return slice_of(bytes, 4);
	default:
		bytes[0] = (uint8_t)character;
		return slice_of(bytes, 1);
	}
}

static bool set_weight(struct key_weight *w, struct slice bytes)
{
	if (bytes.data == NULL || bytes.size > KEY_UNIT_MAX)
		return false;
	w->size = (uint8_t)bytes.size;
	memcpy(w->bytes, bytes.data, bytes.size);
	return true;
}

/* The answer holds: does it pad; a, whole; a, level by level; a space, level by level. */
static bool set_levels(struct key_collation *k, const struct slice *row)
{
	static const uint8_t sets[][KEY_LEVELS_MAX] = { { 1 }, { 1, 2 }, { 1, 3 }, { 1, 2, 3 } };

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		size_t at = 0, n = 0;

		for (; n < KEY_LEVELS_MAX && sets[i][n] != 0; n++) {
			struct slice level = row[1 + sets[i][n]];

			if (at + level.size > row[1].size ||
			    memcmp(row[1].data + at, level.data, level.size) != 0)
				break;
			at += level.size;
			k->levels[n] = sets[i][n];
			if (!set_weight(&k->space[n], row[4 + sets[i][n]]))
				return false;
		}
		k->level_count = (uint8_t)n;
		if (at == row[1].size && (n == KEY_LEVELS_MAX || sets[i][n] == 0))
			return true;
	}
	return false;
}

static int refuse_order(const struct key_collation *k, struct err *e)
{
	err_config(e, "collation %s of a key column sorts in a way that its weights don't show",
		   k->name);
	return err_hint(e, "The table cannot be copied in order of that key: leave it out of "
			   "capture.tables, begin with source.start = now, or give the column "
			   "another collation.");
}

static int take_order(void *context, const struct slice *row, struct err *e)
{
	struct key_collation *k = context;
	bool known = row[1].size > 0 && set_levels(k, row);

	k->pad = slice_is(row[0], "1");
	if (known && (k->pad || k->level_count != 2 || k->levels[1] != 3))
		return 0;
	return refuse_order(k, e);
}

static int ask_order(struct collator *c, struct key_collation *k, struct err *e)
{
	enum charset charset = charset_of(k->id);
	uint8_t a[4], space[4], both[8];
	struct slice letter = ascii_text(charset, 'a', a), blank = ascii_text(charset, ' ', space);

	memcpy(both, a, letter.size);
	memcpy(both + letter.size, space, blank.size);
	buf_reset(&c->sql);
	buf_add_str(&c->sql, "SELECT ");
	add_text(c, k, letter);
	buf_add_str(&c->sql, " = ");
	add_text(c, k, slice_of(both, letter.size + blank.size));
	buf_add_str(&c->sql, ",");
	add_weight(c, k, letter, 0);
	for (unsigned level = 1; level <= KEY_LEVELS_MAX; level++) {
		buf_add_str(&c->sql, ",");
		add_weight(c, k, letter, level);
	}
	for (unsigned level = 1; level <= KEY_LEVELS_MAX; level++) {
		buf_add_str(&c->sql, ",");
		add_weight(c, k, blank, level);
	}
	return ask(c, take_order, k, e);
}

/* ---- ASCII ---------------------------------------------------------------------------------- */

static int take_ascii(void *context, const struct slice *row, struct err *e)
{
	struct key_collation *k = context;

	(void)e;
	k->ascii = true;
	for (size_t i = 0; i < 128 && k->ascii; i++)
		k->ascii = set_weight(&k->weights[i], row[i]);
	return 0;
}

/* Every pair of ASCII characters, then every triple of letters. */
static void add_neighbours(struct buf *text)
{
	for (int i = 0; i < 128; i++)
		for (int j = 0; j < 128; j++) {
			buf_add_u8(text, (uint8_t)i);
			buf_add_u8(text, (uint8_t)j);
		}
	for (int i = 0; i < 26 * 26 * 26; i++) {
		buf_add_u8(text, (uint8_t)('a' + i / 676));
		buf_add_u8(text, (uint8_t)('a' + i / 26 % 26));
		buf_add_u8(text, (uint8_t)('a' + i % 26));
	}
}

struct neighbours {
	struct key_collation *collation;
	struct buf expected;
};

static int take_neighbours(void *context, const struct slice *row, struct err *e)
{
	struct neighbours *n = context;

	(void)e;
	n->collation->ascii = slice_equal(row[0], buf_slice(&n->expected));
	return 0;
}

static int ask_ascii(struct collator *c, struct key_collation *k, struct err *e)
{
	enum charset charset = charset_of(k->id);
	struct neighbours n = { k, BUF_INIT };
	struct buf text = BUF_INIT;
	int rc;

	if (k->level_count != 1 || (charset != CHARSET_ASCII && charset != CHARSET_LATIN1 &&
				    charset != CHARSET_UTF8MB3 && charset != CHARSET_UTF8MB4))
		return 0;
	buf_reset(&c->sql);
	buf_add_str(&c->sql, "SELECT ");
	for (int i = 0; i < 128; i++) {
		uint8_t byte = (uint8_t)i;

		buf_add_str(&c->sql, i > 0 ? "," : "");
		add_weight(c, k, slice_of(&byte, 1), 0);
	}
	if (ask(c, take_ascii, k, e) < 0)
		return -1;
	if (!k->ascii)
		return 0;
	add_neighbours(&text);
	for (size_t i = 0; i < text.size; i++)
		buf_add(&n.expected, k->weights[text.data[i]].bytes, k->weights[text.data[i]].size);
	buf_reset(&c->sql);
	buf_add_str(&c->sql, "SELECT ");
	add_weight(c, k, buf_slice(&text), 0);
	rc = ask(c, take_neighbours, &n, e);
	buf_done(&text);
	buf_done(&n.expected);
	return rc;
}

/* ---- MySQL ---------------------------------------------------------------------------------- */

static int take_mysql(void *context, const struct slice *row, struct err *e)
{
	struct key_collation *k = context;
	bool one = row[1].size > 0 && row[2].size == 2 * row[1].size &&
		   memcmp(row[2].data, row[1].data, row[1].size) == 0 &&
		   memcmp(row[2].data + row[1].size, row[1].data, row[1].size) == 0;

	k->pad = slice_is(row[0], "1");
	k->level_count = 1;
	if (!k->pad || (one && row[3].size > 0 && set_weight(&k->space[0], row[3])))
		return 0;
	return refuse_order(k, e);
}

/* Where MySQL's weights are of several levels it gives them as one string: in collations without
 * padding with a zero weight behind each level, which sorts as it is; in the two Czech ones that
 * pad in a way that a space's weight doesn't show. In the other three texts are found that an index
 * has in another order than their weights. */
static int ask_mysql(struct collator *c, struct key_collation *k, struct err *e)
{
	static const char *const refused[] = { "big5_chinese_ci", "gb18030_chinese_ci",
					       "tis620_thai_ci" };
	enum charset charset = charset_of(k->id);
	uint8_t b[4], space[4], both[8], twice[8];
	struct slice letter = ascii_text(charset, 'b', b), blank = ascii_text(charset, ' ', space);

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strcmp(k->name, refused[i]) == 0)
			return refuse_order(k, e);
	memcpy(both, b, letter.size);
	memcpy(both + letter.size, space, blank.size);
	memcpy(twice, b, letter.size);
	memcpy(twice + letter.size, b, letter.size);
	buf_reset(&c->sql);
	buf_add_str(&c->sql, "SELECT ");
	add_text(c, k, letter);
	buf_add_str(&c->sql, " = ");
	add_text(c, k, slice_of(both, letter.size + blank.size));
	buf_add_str(&c->sql, ",");
	add_weight(c, k, letter, 0);
	buf_add_str(&c->sql, ",");
	add_weight(c, k, slice_of(twice, 2 * letter.size), 0);
	buf_add_str(&c->sql, ",");
	add_weight(c, k, blank, 0);
	return ask(c, take_mysql, k, e);
}

/* The name was asked for, so there is a connection. */
static int ask_levels(struct collator *c, struct key_collation *k, struct err *e)
{
	return db_is_mariadb(c->db) ? ask_order(c, k, e) : ask_mysql(c, k, e);
}

static int learn(struct collator *c, uint16_t collation, struct err *e)
{
	struct known *k;

	if (find(c, collation) != NULL)
		return 0;
	k = xcalloc(1, sizeof(*k));
	k->id = k->collation.id = collation;
	if (ask_name(c, &k->collation, e) < 0 || ask_levels(c, &k->collation, e) < 0 ||
	    ask_ascii(c, &k->collation, e) < 0) {
		free(k);
		return -1;
	}
	HASH_ADD_INT(c->known, id, k);
	return 0;
}

int collator_prepare(struct collator *c, const struct shape *shape, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < shape->key_count && rc == 0; i++) {
		const struct column *column = &shape->columns[shape->key[i]];

		if (!key_is_text(shape, i) || (rc = learn(c, column->collation, e)) == 0)
			continue;
		err_wrap(e, "table %s.%s, key column %s", shape->db, shape->table, column->name);
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* ---- one text ------------------------------------------------------------------------------- */

struct weighing {
	const struct key_collation *collation;
	struct buf *part;
};

static int take_weights(void *context, const struct slice *row, struct err *e)
{
	struct weighing *w = context;

	for (size_t i = 0; i < w->collation->level_count; i++)
		if (row[i].data == NULL)
			return err_data(e, "the source did not weigh a text of collation %s",
					w->collation->name);
	if (!key_collate(w->collation, row, w->part))
		return err_data(e, "the source's weights of a text of collation %s are cut short",
				w->collation->name);
	return 0;
}

static int ask_weight(struct collator *c, const struct key_collation *k, struct slice value,
		      struct buf *part, struct err *e)
{
	struct weighing w = { k, part };

	buf_reset(&c->sql);
	buf_add_str(&c->sql, "SELECT ");
	for (size_t i = 0; i < k->level_count; i++) {
		buf_add_str(&c->sql, i > 0 ? "," : "");
		add_weight(c, k, value, k->level_count > 1 ? k->levels[i] : 0);
	}
	return ask(c, take_weights, &w, e);
}

static void remember(struct collator *c, struct weighed *w)
{
	w->key_size = (unsigned)c->name.size;
	w->key = xmalloc(c->name.size);
	memcpy(w->key, c->name.data, c->name.size);
	c->cache_bytes += c->name.size + w->part.size + sizeof(*w);
	HASH_ADD_KEYPTR(hh, c->cache, w->key, w->key_size, w);
}

static int weigh_remote(struct collator *c, const struct key_collation *k, struct slice value,
			struct buf *key, struct err *e)
{
	struct weighed *w;

	buf_reset(&c->name);
	buf_add(&c->name, &k->id, sizeof(k->id));
	buf_add_slice(&c->name, value);
	HASH_FIND(hh, c->cache, c->name.data, (unsigned)c->name.size, w);
	if (w == NULL) {
		if (c->cache_bytes > CACHE_BYTES_MAX)
			forget(c);
		w = xcalloc(1, sizeof(*w));
		if (ask_weight(c, k, value, &w->part, e) < 0) {
			buf_done(&w->part);
			free(w);
			return -1;
		}
		remember(c, w);
	}
	buf_add_slice(key, buf_slice(&w->part));
	return 0;
}

static int weigh(void *context, size_t part, const struct column *column, struct slice value,
		 struct buf *key, struct err *e)
{
	struct collator *c = context;
	const struct key_collation *k;
	int rc = 0;

	(void)part;
	pthread_mutex_lock(&c->lock);
	k = find(c, column->collation);
	if (value.size > KEY_BYTES_MAX)
		rc = err_data(e, "column %s: a key of %zu bytes", column->name, value.size);
	else if (k == NULL &&
		 (learn(c, column->collation, e) < 0 || (k = find(c, column->collation)) == NULL))
		rc = -1;
	else if (!key_collate_ascii(k, value, &c->scratch, key))
		rc = weigh_remote(c, k, value, key, e);
	pthread_mutex_unlock(&c->lock);
	return rc;
}
