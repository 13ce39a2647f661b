/* mirror_fields.c - a change of a mirrored table that is given by the names of its fields: test
 * cases do that. */
#include "projections/apply/kind_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct mirror_rows *rows_named(struct mirror *m, const char *name)
{
	for (size_t i = 0; i < m->view->mirror_count; i++) {
		const struct mirror_table *t = m->rows[i].table;
		size_t db = strlen(t->db);

		if (strncmp(name, t->db, db) == 0 && name[db] == '.' &&
		    strcmp(name + db + 1, t->table) == 0)
			return &m->rows[i];
	}
	return NULL;
}

/* Returns whether any field is of the image. */
static bool take_fields(const struct mirror_rows *r, const char *image,
			const struct handlers_field *fields, size_t count,
			const struct value **values)
{
	bool any = false;

	for (size_t f = 0; f < count; f++) {
		if (strncmp(fields[f].name, image, strlen(image)) != 0)
			continue;
		any = true;
		for (size_t i = 0; i < r->table->column_count; i++) {
			if (strcmp(fields[f].name + strlen(image), r->table->columns[i].leaf) == 0)
				values[i] = &fields[f].value;
		}
	}
	return any;
}

int mirror_run_fields(struct mirror *m, enum view_on on, const char *name,
		      const struct handlers_field *fields, size_t count, bool *ret_found,
		      struct err *e)
{
	static const enum mirror_op ops[] = { [VIEW_ON_EVENT] = MIRROR_PUT,
					      [VIEW_ON_INSERT] = MIRROR_PUT,
					      [VIEW_ON_UPDATE] = MIRROR_CHANGE,
					      [VIEW_ON_DELETE] = MIRROR_REMOVE,
					      [VIEW_ON_TRUNCATE] = MIRROR_CLEAR };
	struct mirror_rows *r = on != VIEW_ON_EVENT ? rows_named(m, name) : NULL;
	struct mirror_image before = { NULL }, after = { NULL };
	const struct value **was, **is;
	size_t n;
	int rc;

	*ret_found = r != NULL;
	if (r == NULL)
		return 0;
	n = r->table->column_count;
	was = xcalloc(n + 1, sizeof(*was));
	is = xcalloc(n + 1, sizeof(*is));
	for (size_t i = 0; i < n && on == VIEW_ON_INSERT; i++)
		is[i] = &mirror_null; /* a case needn't write out every column */
	if (take_fields(r, "before.", fields, count, was))
		before.values = was;
	if (take_fields(r, "after.", fields, count, is))
		after.values = is;
	rc = mirror_row(m, r, ops[on], &before, &after, e);
	free(was);
	free(is);
	return rc;
}
