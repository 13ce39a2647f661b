/* state_link.c - rows found by other columns than their key's: those of a foreign key.
 *
 * clang-format off
 *   linked  link, names, def       the columns that are followed, and what they were like
 *   links   link, value, key       value: as a key made of these columns; empty: not known
 * clang-format on
 *
 * A link is made when somebody asks for it, from all rows, and kept up with every record from then
 * on. It may lead to rows that have another value by now, or are gone: whoever follows it looks at
 * the row. It never lacks one. NULL refers to nothing and has no link. */
#include "cdc/copy/state_priv.h"

#include "cdc/change/key.h"
#include "core/base/mem.h"

#include <stdlib.h>

/* ---- columns -------------------------------------------------------------------------------- */

/* The name that *at begins with, without its back quotes, into `name`. */
static bool next_name(const char **at, struct buf *name)
{
	const char *p = *at;

	buf_reset(name);
	if (*p == ',')
		p++;
	if (*p++ != '`')
		return false;
	for (; *p != '\0'; p++) {
		if (*p == '`' && p[1] != '`')
			break;
		p += *p == '`';
		buf_add_u8(name, (uint8_t)*p);
	}
	*at = *p == '`' ? p + 1 : p;
	return *p == '`';
}

size_t state_columns(const struct shape *shape, const char *names, uint16_t *ret_columns)
{
	struct buf name = BUF_INIT;
	size_t count = 0;
	int column = 0;

	while (*names != '\0' && column >= 0 && count < KEY_PARTS_MAX) {
		column = next_name(&names, &name) ? shape_column(shape, buf_slice(&name)) : -1;
		if (column >= 0)
			ret_columns[count++] = (uint16_t)column;
	}
	buf_done(&name);
	return column < 0 || *names != '\0' ? 0 : count;
}

void state_describe(const struct column *c, struct buf *out)
{
	buf_add_format(out, "%d.%d.%d.%d.%d.%d.%d.%d;", c->type, c->is_unsigned, c->is_binary,
		       c->collation, c->precision, c->scale, c->fraction, c->bits);
}

struct shape state_view(const struct shape *shape, uint16_t *columns, size_t count)
{
	struct shape view = *shape;

	view.key = columns;
	view.key_count = (uint16_t)count;
	return view;
}

/* ---- the file ------------------------------------------------------------------------------- */

static void describe(const struct state *s, const struct state_link *link, struct buf *out)
{
	for (size_t i = 0; i < link->count; i++)
		state_describe(&s->shape->columns[link->columns[i]], out);
	(void)buf_cstr(out);
}

void state_forget_links(struct state *s)
{
	for (size_t i = 0; i < s->link_count; i++)
		free(s->links[i].names);
	free(s->links);
	s->links = NULL;
	s->link_count = 0;
}

static struct state_link *add_link(struct state *s, int64_t id, const char *names)
{
	struct state_link *link;

	s->links = xrealloc(s->links, (s->link_count + 1) * sizeof(*s->links));
	link = &s->links[s->link_count++];
	*link = (struct state_link){ .id = id, .names = xstrdup(names) };
	link->count = state_columns(s->shape, names, link->columns);
	return link;
}

/* Those whose columns have changed are of no use any more. */
static int drop_unfit(struct state *s, struct err *e)
{
	return sql_run(s->db, "DELETE FROM links WHERE link NOT IN (SELECT link FROM linked)", e);
}

int state_read_links(struct state *s, struct err *e)
{
	struct sql_statement *q = NULL, *drop = NULL;
	struct buf def = BUF_INIT;
	struct value v[3];
	int rc;

	state_forget_links(s);
	if (sql_prepare(s->db, s->path, "SELECT link, names, def FROM linked", NULL, &q, e) < 0 ||
	    sql_prepare(s->db, s->path, "DELETE FROM linked WHERE link = ?1", NULL, &drop, e) < 0) {
		sql_finalize(q);
		return -1;
	}
	while ((rc = sql_step(q, e)) == 1) {
		char *names;
		struct state_link *link;

		for (int i = 0; i < 3; i++)
			sql_column(q, i, &v[i]);
		names = xstrndup((const char *)v[1].bytes.data, v[1].bytes.size);
		link = add_link(s, v[0].i, names);
		free(names);
		buf_reset(&def);
		describe(s, link, &def);
		if (link->count > 0 && slice_equal(buf_slice(&def), v[2].bytes))
			continue;
		free(link->names);
		s->link_count--;
		if (state_bind_int(drop, 1, v[0].i, e) < 0 || state_run(drop, e) < 0) {
			rc = -1;
			break;
		}
	}
	sql_finalize(q);
	sql_finalize(drop);
	buf_done(&def);
	return rc < 0 ? -1 : drop_unfit(s, e);
}

/* ---- values --------------------------------------------------------------------------------- */

/* 1: there is one; 0: NULL, it refers to nothing. An empty one: not known. */
static int value_of(struct state *s, struct state_link *link, const struct cell *cells,
		    struct err *e)
{
	struct shape view = state_view(s->shape, link->columns, link->count);

	buf_reset(&s->link_value);
	for (size_t i = 0; i < link->count; i++)
		if (cells[link->columns[i]].state == CELL_NULL)
			return 0;
	for (size_t i = 0; i < link->count; i++)
		if (cells[link->columns[i]].state == CELL_ABSENT)
			return 1;
	return key_from_cells(&view, cells, collator_weigher(s->collator), &s->link_value, e) < 0
		       ? -1
		       : 1;
}

static int put_link(struct sql_statement *q, const struct state_link *link, struct slice value,
		    struct slice key, struct err *e)
{
	if (value.data == NULL)
		value = slice_of("", 0);
	if (state_bind_int(q, 1, link->id, e) < 0 || state_bind_bytes(q, 2, value, e) < 0 ||
	    state_bind_bytes(q, 3, key, e) < 0)
		return -1;
	return state_run(q, e);
}

int state_link_row(struct state *s, struct slice key, const struct cell *cells, struct err *e)
{
	for (size_t i = 0; i < s->link_count; i++) {
		int rc = value_of(s, &s->links[i], cells, e);

		if (rc == 1)
			rc = put_link(s->link, &s->links[i], buf_slice(&s->link_value), key, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int state_unlink_row(struct state *s, struct slice key, const struct cell *cells, struct err *e)
{
	for (size_t i = 0; i < s->link_count; i++) {
		int rc = value_of(s, &s->links[i], cells, e);

		if (rc == 1)
			rc = put_link(s->unlink, &s->links[i], buf_slice(&s->link_value), key, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- a link that is asked for --------------------------------------------------------------- */

void state_want_link(struct state *s, const char *names)
{
	free(s->wanted_link);
	s->wanted_link = xstrdup(names);
}

static struct state_link *find_link(const struct state *s, const char *names)
{
	for (size_t i = 0; i < s->link_count; i++)
		if (strcmp(s->links[i].names, names) == 0)
			return &s->links[i];
	return NULL;
}

static int note_link(struct state *s, struct state_link *link, struct err *e)
{
	struct sql_statement *q = NULL;
	struct buf def = BUF_INIT;
	int rc = -1;

	describe(s, link, &def);
	if (sql_prepare(s->db, s->path, "INSERT INTO linked VALUES (?1, ?2, ?3)", NULL, &q, e) ==
		    0 &&
	    state_bind_int(q, 1, link->id, e) == 0 && state_bind_text(q, 2, link->names, e) == 0 &&
	    state_bind_bytes(q, 3, buf_slice(&def), e) == 0)
		rc = state_run(q, e);
	sql_finalize(q);
	buf_done(&def);
	return rc;
}

static int link_all(struct state *s, struct err *e)
{
	struct buf bytes = BUF_INIT;
	struct state_row row;
	int rc = state_seek(s, NULL, NULL, e);

	while (rc == 0 && (rc = state_next(s, &row, e)) == 1) {
		rc = state_cells(s, &row, &bytes, s->cells, e);
		if (rc == 0)
			rc = state_link_row(s, row.key, s->cells, e);
		if (rc == 0 && s->stopping)
			rc = err_retry(e, "stopping");
	}
	sql_reset(s->range);
	buf_done(&bytes);
	return rc;
}

int state_make_link(struct state *s, struct err *e)
{
	struct state_link *link;
	int64_t last = 0;

	for (size_t i = 0; i < s->link_count; i++) {
		struct shape view = state_view(s->shape, s->links[i].columns, s->links[i].count);

		if (collator_prepare(s->collator, &view, e) < 0)
			return -1;
		last = s->links[i].id > last ? s->links[i].id : last;
	}
	if (s->wanted_link == NULL || s->counted || find_link(s, s->wanted_link) != NULL)
		return 0;
	link = add_link(s, last + 1, s->wanted_link);
	if (link->count > 0) {
		struct shape view = state_view(s->shape, link->columns, link->count);

		if (collator_prepare(s->collator, &view, e) == 0 &&
		    sql_run(s->db, "BEGIN", e) == 0 && note_link(s, link, e) == 0 &&
		    link_all(s, e) == 0 && sql_run(s->db, "COMMIT", e) == 0)
			return 0;
	} else {
		err_data(e, "topic %s: no columns %s", s->topic, s->wanted_link);
	}
	free(link->names);
	s->link_count--;
	return -1;
}

/* ---- the owner's side ----------------------------------------------------------------------- */

int state_linked(struct state *s, const char *names, struct slice value, struct slice after,
		 struct buf *ret_key, struct err *e)
{
	const struct state_link *link = find_link(s, names);
	struct value key;
	int rc;

	if (link == NULL)
		return err_retry(e, "topic %s: rows are not linked by %s", s->topic, names);
	sql_reset(s->follow);
	if (state_bind_int(s->follow, 1, link->id, e) < 0 ||
	    state_bind_bytes(s->follow, 2, value, e) < 0 ||
	    state_bind_bytes(s->follow, 3, after, e) < 0)
		return -1;
	rc = sql_step(s->follow, e);
	if (rc == 1) {
		struct buf copy = BUF_INIT;

		sql_column(s->follow, 0, &key);
		buf_add_slice(&copy, key.bytes); /* `after` may point into *ret_key */
		buf_done(ret_key);
		*ret_key = copy;
	}
	sql_reset(s->follow);
	return rc;
}
