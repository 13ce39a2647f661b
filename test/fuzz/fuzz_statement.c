/* fuzz_statement.c - the text of QUERY events (cdc/binlog/statement*.c, token.c) and of SHOW CREATE
 * TABLE (cdc/catalog/foreign.c). The quick look and the reader say the same of what shapes a group.
 */
#include "test/fuzz/fuzz.h"

#include "cdc/binlog/statement.h"
#include "cdc/catalog/foreign.h"

#include <string.h>

static void check_tables(const struct statement *s)
{
	fuzz_check(s->table_count <= STATEMENT_TABLES_MAX, "%zu tables", s->table_count);
	for (size_t i = 0; i < s->table_count; i++) {
		const struct statement_table *t = &s->tables[i];

		fuzz_check(t->db != NULL && t->table != NULL, "a table without a name");
		if (t->role != STATEMENT_FILLED)
			continue;
		fuzz_check(i > 0, "no old name before '%s'", t->table);
		if (s->kind == STATEMENT_RENAME_TABLE)
			fuzz_check(t[-1].role == STATEMENT_LEFT, "before '%s'", t->table);
		else
			fuzz_check(s->kind == STATEMENT_ALTER_TABLE &&
					   s->tables[0].role == STATEMENT_LEFT,
				   "'%s'", t->table);
	}
	fuzz_check(statement_kind_name(s->kind)[0] != '\0', "kind %d", (int)s->kind);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size), name = slice_of("", 0);
	struct statement s = STATEMENT_INIT;
	struct foreign_keys keys = { NULL, 0 };
	enum statement_kind quick = statement_peek(text, &name);
	struct err e = ERR_INIT;

	fuzz_check(quick <= STATEMENT_XA_OTHER || quick == STATEMENT_OTHER, "kind %d", (int)quick);
	if (statement_read(text, slice_str("d"), &s, &e) == 0) {
		check_tables(&s);
		fuzz_check(quick == s.kind ||
				   (quick == STATEMENT_OTHER && s.kind > STATEMENT_XA_OTHER),
			   "quick %d, whole %d", (int)quick, (int)s.kind);
		if (quick == STATEMENT_SAVEPOINT || quick == STATEMENT_ROLLBACK_TO)
			fuzz_check(statement_same_name(name, name), "'%.*s'", (int)name.size,
				   name.data);
		statement_done(&s);
	} else {
		fuzz_check_error(&e, ERR_DATA);
	}
	foreign_keys_parse("d", "t", text, &keys);
	for (size_t i = 0; i < keys.count; i++) {
		const struct foreign_key *k = &keys.items[i];

		fuzz_check(k->parent_table != NULL && k->parent_db != NULL, "no parent");
		fuzz_check(k->on_delete || k->on_update, "it doesn't act");
		for (size_t c = 0; c < k->column_count; c++)
			fuzz_check(k->columns[c] != NULL, "no column");
		for (size_t c = 0; c < k->child_column_count; c++)
			fuzz_check(k->child_columns[c] != NULL, "no column");
	}
	foreign_keys_done(&keys);
	return 0;
}
