/* catalog_known.c - the shape of a TABLE_MAP that doesn't name its columns (catalog mode).
 *
 * The shape is the one in force where the stream stands (lineage.h), and the TABLE_MAP must be one
 * of it: number, types, sizes and nullability of the columns, and whatever else it says. That shows
 * what changed without a statement in the binlog (sql_log_bin = 0), as far as it can be seen. Where
 * the shape in force is not known, none is guessed from what would fit: two columns that were
 * renamed fit as well as ever. */
#include "cdc/catalog/catalog_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define EVIDENCE_MAX 500 /* bytes of one list of columns in a message */

struct meeting {
	const struct table_map *map;
	const struct catalog_server *server;
	bool captured;
	char *db, *table;
	const struct catalog_source *source;
	struct lineage *line;
};

/* ---- texts ---------------------------------------------------------------------------------- */

void catalog_column_text(const struct column *c, struct buf *out)
{
	char text[64];

	if (c->name != NULL)
		buf_add_format(out, "%s ", c->name);
	buf_add_str(out, column_type_text(c, text, sizeof(text)));
	if (c->type == COLUMN_VARCHAR || c->type == COLUMN_STRING)
		buf_add_format(out, " of %u bytes", c->size_max);
	if (!c->nullable)
		buf_add_str(out, " not null");
}

static void shape_text(const struct shape *s, struct buf *out)
{
	for (uint16_t i = 0; i < s->column_count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		catalog_column_text(&s->columns[i], out);
	}
}

/* At most so much of it. */
static void cut(struct buf *b)
{
	if (b->size <= EVIDENCE_MAX)
		return;
	b->size = EVIDENCE_MAX;
	while (b->size > 0 && (b->data[b->size] & 0xc0) == 0x80)
		b->size--;
	buf_add_str(b, " ...");
}

/* ---- what can't be known -------------------------------------------------------------------- */

static int refuse(const struct meeting *m, const char *why, const struct shape *other,
		  struct err *e)
{
	struct buf says = BUF_INIT, known = BUF_INIT;

	m->line->refused = true;
	catalog_map_text(m->map, &says);
	cut(&says);
	if (other != NULL) {
		buf_add_str(&known, "; known: ");
		shape_text(other, &known);
		cut(&known);
	}
	err_data(e, "table %s.%s: %s. The binlog says: %u columns: %s%s", m->db, m->table, why,
		 m->map->column_count, buf_cstr(&says), buf_cstr(&known));
	buf_done(&says);
	buf_done(&known);
	return err_hint(
		e,
		"Nobody can tell these rows' columns any more (docs/OPERATIONS.md, catalog mode). "
		"capture.unknown_columns = reconcile goes on without them, and finds by comparing "
		"the table what they changed; or leave the table out of capture.tables.");
}

static int refuse_unknown(const struct meeting *m, struct err *e)
{
	const struct lineage *l = m->line;
	const struct shape *after = NULL;
	char why[200];

	for (size_t i = 0; i < l->ahead_count && after == NULL; i++)
		after = l->ahead[i].shape;
	if (l->ahead_count == 0)
		return refuse(m,
			      "what its columns are called is not known, it is not there any more",
			      NULL, e);
	(void)snprintf(why, sizeof(why),
		       "what its columns were here is not known, %zu statement%s on it lie%s "
		       "between this place and the present, and it was never looked at here",
		       l->ahead_count, l->ahead_count == 1 ? "" : "s",
		       l->ahead_count == 1 ? "s" : "");
	return refuse(m, why, after, e);
}

/* ---- the shape in force --------------------------------------------------------------------- */

static bool fits(const struct meeting *m, const struct shape *shape)
{
	return shape != NULL && catalog_map_is_of(m->map, m->server, m->captured, shape);
}

static int ask(const struct meeting *m, struct err *e)
{
	if (m->source->ask == NULL) {
		err_data(e, "table %s.%s: the binlog does not say what its columns are called",
			 m->db, m->table);
		return err_hint(e,
				"SET GLOBAL binlog_row_metadata=FULL on the source. It holds for "
				"what is written from then on.");
	}
	return m->source->ask(m->source->context, m->db, m->table, e);
}

/* The shape changed, and no statement in the binlog did it: the TABLE_MAP decides, if it can. */
static int settle_doubt(const struct meeting *m, struct err *e)
{
	bool old = fits(m, m->line->doubt), new = fits(m, m->line->here.shape);

	if (old && new)
		return refuse(m,
			      "it was altered by a statement that is not in the binlog, and rows "
			      "of before and after look alike",
			      m->line->doubt, e);
	if (old)
		lineage_take_doubt(m->line);
	if (!old && new)
		log_warning("capture",
			    "%s.%s was altered by a statement that is not in the binlog; its rows "
			    "are read as information_schema says now",
			    m->db, m->table);
	return 0;
}

static int resolve(const struct meeting *m, struct err *e)
{
	struct lineage *l = m->line;

	if (lineage_wants(l) && ask(m, e) < 0)
		return -1;
	if (l->here.shape != NULL && l->doubt == NULL && !fits(m, l->here.shape) &&
	    l->ahead_count == 0 && ask(m, e) < 0)
		return -1;
	if (l->doubt != NULL && settle_doubt(m, e) < 0)
		return -1;
	if (l->here.shape == NULL)
		return refuse_unknown(m, e);
	if (!fits(m, l->here.shape))
		return refuse(m, "its columns are others than those known", l->here.shape, e);
	return 0;
}

int catalog_known_shape(const struct table_map *map, const struct catalog_server *server,
			bool captured, const struct catalog_source *source, struct lineage *line,
			struct shape **ret_shape, struct err *e)
{
	struct meeting m = { .map = map,
			     .server = server,
			     .captured = captured,
			     .db = xstrndup((const char *)map->db.data, map->db.size),
			     .table = xstrndup((const char *)map->table.data, map->table.size),
			     .source = source,
			     .line = line };
	int rc;

	line->refused = false;
	rc = resolve(&m, e);
	if (rc == 0) {
		shape_unref(line->doubt); /* settled */
		line->doubt = NULL;
		*ret_shape = shape_ref(line->here.shape);
	}
	free(m.db);
	free(m.table);
	return rc;
}
