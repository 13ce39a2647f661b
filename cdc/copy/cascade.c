/* cascade.c - from a parent's change to the tables that have to be compared.
 *
 * A child that is captured gets a want; one that is not is gone through: whichever of its rows
 * changed, its own children may have. The walk marks what it has seen, as keys may form circles.
 *
 * Wants are of the rows that referred to the parent's value; many changes of parents within a
 * moment fall together in one that has not begun. Behind a table that is not captured, and where
 * the value is not in the row image, the whole table is compared. The hot path (a change of a table
 * that is nobody's parent) is one comparison of a shape pointer with the last one seen. */
#include "cdc/copy/cascade.h"

#include "cdc/catalog/foreign.h"
#include "cdc/copy/state.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/value/write.h"

#include <stdlib.h>

#define TABLES_MAX 10000 /* looked at above captured ones */

struct cascade {
	struct catalog *catalog;
	struct foreign_keys keys;
	bool *seen; /* per key, during a walk */
	size_t child_count;
	char **child_names;
	const struct shape *last; /* held by a reference */
	bool last_is_parent;
};

struct cascade *cascade_new(struct catalog *catalog)
{
	struct cascade *c = xcalloc(1, sizeof(*c));

	c->catalog = catalog;
	return c;
}

static void forget(struct cascade *c)
{
	foreign_keys_done(&c->keys);
	for (size_t i = 0; i < c->child_count; i++)
		free(c->child_names[i]);
	c->child_count = 0;
	shape_unref((struct shape *)(uintptr_t)c->last);
	c->last = NULL;
}

void cascade_free(struct cascade *c)
{
	if (c == NULL)
		return;
	forget(c);
	free(c->child_names);
	free(c->seen);
	free(c);
}

/* ---- what there is -------------------------------------------------------------------------- */

static bool is_captured(const struct cascade *c, const char *db, const char *table)
{
	return catalog_captures(c->catalog, slice_str(db), slice_str(table));
}

static bool was_read(const struct foreign_keys *keys, size_t from, const char *db,
		     const char *table)
{
	for (size_t i = 0; i < from; i++)
		if (strcmp(keys->items[i].parent_db, db) == 0 &&
		    strcmp(keys->items[i].parent_table, table) == 0)
			return true;
	return false;
}

/* Tables above, which are not captured, may be children themselves. */
static int read_above(struct cascade *c, struct db *db, struct err *e)
{
	for (size_t i = 0; i < c->keys.count && i < TABLES_MAX; i++) {
		const char *parent_db = c->keys.items[i].parent_db,
			   *parent = c->keys.items[i].parent_table;
		int rc;

		catalog_watch(c->catalog, parent_db, parent);
		if (is_captured(c, parent_db, parent) || was_read(&c->keys, i, parent_db, parent))
			continue;
		rc = foreign_keys_read(db, parent_db, parent, &c->keys, e);
		if (rc < 0)
			return -1;
		if (rc == 1)
			log_warning("capture",
				    "%s.%s changes captured tables by foreign keys; whether others "
				    "change it so can't be seen: this account has no SELECT on it",
				    parent_db, parent);
	}
	return 0;
}

static void note_child(struct cascade *c, const struct foreign_key *k)
{
	char *name = xasprintf("%s.%s", k->db, k->table);

	for (size_t i = 0; i < c->child_count; i++) {
		if (strcmp(c->child_names[i], name) == 0) {
			free(name);
			return;
		}
	}
	c->child_names = xrealloc(c->child_names, (c->child_count + 1) * sizeof(char *));
	c->child_names[c->child_count++] = name;
}

int cascade_read(struct cascade *c, struct db *db, struct catalog_name *names, size_t count,
		 struct err *e)
{
	forget(c);
	for (size_t i = 0; i < count; i++)
		foreign_keys_move(&names[i].keys, &c->keys);
	if (read_above(c, db, e) < 0)
		return -1;
	for (size_t i = 0; i < c->keys.count; i++)
		if (is_captured(c, c->keys.items[i].db, c->keys.items[i].table))
			note_child(c, &c->keys.items[i]);
	c->seen = xrealloc(c->seen, c->keys.count + 1);
	return 0;
}

size_t cascade_children(const struct cascade *c, const char *const **ret_names)
{
	*ret_names = (const char *const *)c->child_names;
	return c->child_count;
}

/* ---- changes -------------------------------------------------------------------------------- */

static bool is_parent(const struct foreign_key *k, const char *db, const char *table)
{
	return strcmp(k->parent_db, db) == 0 && strcmp(k->parent_table, table) == 0;
}

static bool equal_cells(const struct cell *a, const struct cell *b)
{
	if (a->state == CELL_ABSENT || b->state == CELL_ABSENT)
		return b->state == CELL_ABSENT; /* an after-image lacks what did not change */
	return cell_equal(a, b);
}

/* Does the change move what children refer to? */
static bool touches(const struct foreign_key *k, const struct change *change)
{
	if (change->before == NULL)
		return false;
	if (change->after == NULL)
		return k->on_delete;
	for (size_t i = 0; k->on_update && i < k->column_count; i++) {
		int column = shape_column(change->shape, slice_str(k->columns[i]));

		if (column < 0 || !equal_cells(&change->before[column], &change->after[column]))
			return true;
	}
	return false;
}

/* ---- what has to be compared ---------------------------------------------------------------- */

static void add_hex(struct buf *out, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes.size; i++) {
		buf_add_u8(out, (uint8_t)digits[bytes.data[i] >> 4]);
		buf_add_u8(out, (uint8_t)digits[bytes.data[i] & 15]);
	}
}

/* The value that children referred to. 1; 0: NULL, to which nothing refers; -1: not known. */
static int describe(const struct foreign_key *k, const struct change *change, struct buf *columns,
		    struct buf *def, struct buf *value)
{
	struct buf bytes = BUF_INIT;
	int rc = k->column_count == k->child_column_count ? 1 : -1;

	buf_add_u8(def, change->after == NULL ? 'd' : 'u');
	for (size_t i = 0; i < k->column_count && rc == 1; i++) {
		int column = shape_column(change->shape, slice_str(k->columns[i]));
		const struct cell *cell = column < 0 ? NULL : &change->before[column];

		if (cell == NULL || cell->state != CELL_VALUE) {
			rc = cell != NULL && cell->state == CELL_NULL ? 0 : -1;
			break;
		}
		buf_add_str(columns, i > 0 ? "," : "");
		row_quote_name(k->child_columns[i], columns);
		state_describe(&change->shape->columns[column], def);
		write_bytes(&bytes, cell->data, cell->size);
	}
	add_hex(value, buf_slice(&bytes));
	buf_done(&bytes);
	return rc;
}

static int want_child(const struct foreign_key *k, const struct change *change,
		      struct reconcile *reconcile, struct err *e)
{
	struct buf columns = BUF_INIT, def = BUF_INIT, value = BUF_INIT;
	char *why = xasprintf("foreign key to %s.%s", k->parent_db, k->parent_table);
	int rc = change == NULL ? -1 : describe(k, change, &columns, &def, &value);

	if (rc == 1) {
		struct reconcile_key key = { .db = k->db,
					     .table = k->table,
					     .columns = buf_cstr(&columns),
					     .def = buf_cstr(&def),
					     .value = buf_cstr(&value) };

		rc = reconcile_want_key(reconcile, &key, why, e);
	} else if (rc < 0) {
		rc = reconcile_want(reconcile, k->db, k->table, "", why, e);
	}
	buf_done(&columns);
	buf_done(&def);
	buf_done(&value);
	free(why);
	return rc;
}

/* change: the parent's; NULL behind a table that is not captured: which of its rows went is not
 * known, so that the child is compared whole. */
static int reach(struct cascade *c, size_t key, const struct change *change,
		 struct reconcile *reconcile, struct err *e)
{
	const struct foreign_key *k = &c->keys.items[key];

	if (c->seen[key])
		return 0;
	c->seen[key] = true;
	if (is_captured(c, k->db, k->table))
		return want_child(k, change, reconcile, e);
	for (size_t i = 0; i < c->keys.count; i++)
		if (is_parent(&c->keys.items[i], k->db, k->table) &&
		    reach(c, i, NULL, reconcile, e) < 0)
			return -1;
	return 0;
}

static bool is_of_parent(struct cascade *c, struct shape *shape)
{
	if (c->last == shape)
		return c->last_is_parent;
	shape_unref((struct shape *)(uintptr_t)c->last);
	c->last = shape_ref(shape);
	c->last_is_parent = false;
	for (size_t i = 0; i < c->keys.count && !c->last_is_parent; i++)
		c->last_is_parent = is_parent(&c->keys.items[i], shape->db, shape->table);
	return c->last_is_parent;
}

int cascade_change(struct cascade *c, const struct change *change, bool unchecked,
		   struct reconcile *reconcile, struct err *e)
{
	if (unchecked || c->keys.count == 0 || change->before == NULL ||
	    !is_of_parent(c, change->shape))
		return 0;
	memset(c->seen, 0, c->keys.count);
	for (size_t i = 0; i < c->keys.count; i++) {
		const struct foreign_key *k = &c->keys.items[i];

		if (is_parent(k, change->shape->db, change->shape->table) && touches(k, change) &&
		    reach(c, i, change, reconcile, e) < 0)
			return -1;
	}
	return 0;
}
