/* shaping.c - see shaping.h. Temporary tables are none of ours; a DROP counts because the name may
 * be given anew, OPTIMIZE because it may convert old formats of dates. */
#include "cdc/change/shaping.h"

static bool may_shape(const struct statement *s)
{
	switch (s->kind) {
	case STATEMENT_CREATE_TABLE:
	case STATEMENT_ALTER_TABLE:
	case STATEMENT_DROP_TABLE:
	case STATEMENT_RENAME_TABLE:
	case STATEMENT_OPTIMIZE:
	case STATEMENT_DROP_DATABASE:
		return true;
	case STATEMENT_OTHER:
		return s->unreadable;
	case STATEMENT_BEGIN:
	case STATEMENT_COMMIT:
	case STATEMENT_ROLLBACK:
	case STATEMENT_SAVEPOINT:
	case STATEMENT_ROLLBACK_TO:
	case STATEMENT_RELEASE:
	case STATEMENT_XA_COMMIT:
	case STATEMENT_XA_ROLLBACK:
	case STATEMENT_XA_OTHER:
	case STATEMENT_TRUNCATE:
	case STATEMENT_DDL_OTHER:
	case STATEMENT_DML:
		return false;
	}
	return false;
}

void shaping_each(const struct statement *s, shaping_fn each, void *context)
{
	if (s->temporary || !may_shape(s))
		return;
	if (s->unreadable && s->any_table) {
		each(context, "", "");
		return;
	}
	for (size_t i = 0; i < s->table_count; i++)
		if (s->tables[i].target)
			each(context, s->tables[i].db, s->tables[i].table);
}
