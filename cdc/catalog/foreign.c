/* foreign.c - reads the lines of SHOW CREATE TABLE that begin a foreign key:
 *
 *   CONSTRAINT `name` FOREIGN KEY (`a`, `b`) REFERENCES `db`.`parent` (`x`, `y`)
 *       ON DELETE CASCADE ON UPDATE SET NULL
 *
 * Names stand in back quotes, doubled inside; `db`. only where it is another database. What does
 * not read so is no foreign key (a comment may look like one, but lines begin with two blanks and
 * an unquoted word only for what the server prints itself). */
#include "cdc/catalog/foreign.h"

#include "core/base/mem.h"
#include "core/value/row.h"

#include <stdlib.h>

static void key_done(struct foreign_key *k)
{
	for (size_t i = 0; i < k->column_count; i++)
		free(k->columns[i]);
	for (size_t i = 0; i < k->child_column_count; i++)
		free(k->child_columns[i]);
	free(k->columns);
	free(k->child_columns);
	free(k->db);
	free(k->table);
	free(k->parent_db);
	free(k->parent_table);
}

void foreign_keys_done(struct foreign_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		key_done(&keys->items[i]);
	free(keys->items);
	*keys = (struct foreign_keys){ NULL, 0 };
}

void foreign_keys_move(struct foreign_keys *from, struct foreign_keys *to)
{
	if (from->count > 0) {
		to->items = xrealloc(to->items, (to->count + from->count) * sizeof(*to->items));
		memcpy(to->items + to->count, from->items, from->count * sizeof(*to->items));
		to->count += from->count;
	}
	free(from->items);
	*from = (struct foreign_keys){ NULL, 0 };
}

/* ---- one line ------------------------------------------------------------------------------- */

static bool take(struct slice *text, const char *word)
{
	size_t n = strlen(word);

	if (text->size < n || memcmp(text->data, word, n) != 0)
		return false;
	*text = slice_of(text->data + n, text->size - n);
	return true;
}

/* A name in back quotes, malloced, or NULL. */
static char *take_name(struct slice *text)
{
	struct buf name = BUF_INIT;
	size_t i = 1;

	if (text->size == 0 || text->data[0] != '`')
		return NULL;
	for (; i < text->size; i++) {
		if (text->data[i] == '`' && (i + 1 == text->size || text->data[i + 1] != '`'))
			break;
		buf_add_u8(&name, text->data[i]);
		i += text->data[i] == '`';
	}
	if (i >= text->size) {
		buf_done(&name);
		return NULL;
	}
	*text = slice_of(text->data + i + 1, text->size - i - 1);
	return buf_cstr(&name); /* the caller takes the memory */
}

/* (`a`, `b`) */
static bool take_names(struct slice *text, char ***names, size_t *count)
{
	if (!take(text, "("))
		return false;
	do {
		char *name = take_name(text);

		if (name == NULL)
			return false;
		*names = xrealloc(*names, (*count + 1) * sizeof(**names));
		(*names)[(*count)++] = name;
	} while (take(text, ", "));
	return take(text, ")");
}

static bool take_parent(struct slice *text, struct foreign_key *k)
{
	k->parent_table = take_name(text);
	if (k->parent_table == NULL || !take(text, "."))
		return k->parent_table != NULL;
	free(k->parent_db);
	k->parent_db = k->parent_table;
	k->parent_table = take_name(text);
	return k->parent_table != NULL;
}

static bool acts(struct slice rest, const char *when)
{
	static const char *const actions[] = { "CASCADE", "SET NULL", "SET DEFAULT" };

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		char text[40];
		int n = snprintf(text, sizeof(text), " ON %s %s", when, actions[i]);

		if (memmem(rest.data, rest.size, text, (size_t)n) != NULL)
			return true;
	}
	return false;
}

static bool read_line(struct slice line, struct foreign_key *k)
{
	char *name;

	if (!take(&line, "  CONSTRAINT "))
		return false;
	name = take_name(&line);
	free(name);
	if (name == NULL || !take(&line, " FOREIGN KEY ") ||
	    !take_names(&line, &k->child_columns, &k->child_column_count) ||
	    !take(&line, " REFERENCES ") || !take_parent(&line, k) || !take(&line, " ") ||
	    !take_names(&line, &k->columns, &k->column_count))
		return false;
	k->on_delete = acts(line, "DELETE");
	k->on_update = acts(line, "UPDATE");
	return k->on_delete || k->on_update;
}

void foreign_keys_parse(const char *schema, const char *table, struct slice text,
			struct foreign_keys *keys)
{
	while (text.size > 0) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t size = end == NULL ? text.size : (size_t)(end - text.data);
		struct foreign_key k = { .db = xstrdup(schema),
					 .table = xstrdup(table),
					 .parent_db = xstrdup(schema) };

		if (read_line(slice_of(text.data, size), &k)) {
			keys->items =
				xrealloc(keys->items, (keys->count + 1) * sizeof(*keys->items));
			keys->items[keys->count++] = k;
		} else {
			key_done(&k);
		}
		size += end != NULL;
		text = slice_of(text.data + size, text.size - size);
	}
}

/* ---- from the source ------------------------------------------------------------------------ */

#define BATCH 100 /* tables in a round trip */

static void add_statement(const char *schema, const char *table, struct buf *sql)
{
	buf_add_str(sql, "SHOW CREATE TABLE ");
	row_quote_name(schema, sql);
	buf_add_u8(sql, '.');
	row_quote_name(table, sql);
}

static int take_text(void *context, size_t statement, const struct slice *row, size_t columns,
		     struct err *e)
{
	const struct foreign_table *t = &((const struct foreign_table *)context)[statement];

	(void)e;
	if (columns >= 2 && row[1].data != NULL)
		foreign_keys_parse(t->db, t->table, row[1], t->keys);
	return 0;
}

int foreign_keys_read_all(struct db *db, const struct foreign_table *tables, size_t count,
			  size_t *ret_missing, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc = 0;

	*ret_missing = count;
	for (size_t at = 0, to, done; at < count && rc == 0; at += done) {
		to = count - at < BATCH ? count : at + BATCH;
		buf_reset(&sql);
		for (size_t i = at; i < to; i++) {
			if (i > at)
				buf_add_u8(&sql, ';');
			add_statement(tables[i].db, tables[i].table, &sql);
		}
		/* the context isn't changed */
		rc = db_query_batch(db, buf_cstr(&sql), take_text, (void *)(uintptr_t)(tables + at),
				    &done, e);
		if (rc < 0 && e->kind != ERR_RETRY) {
			err_clear(e);
			*ret_missing = at + done;
			rc = 0;
			break;
		}
	}
	buf_done(&sql);
	return rc;
}

int foreign_keys_read(struct db *db, const char *schema, const char *table,
		      struct foreign_keys *keys, struct err *e)
{
	const struct foreign_table one = { schema, table, keys };
	size_t missing;

	if (foreign_keys_read_all(db, &one, 1, &missing, e) < 0)
		return -1;
	return missing == 0 ? 1 : 0;
}
