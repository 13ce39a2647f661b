/* test_foreign.c - which foreign keys act on their children, from the text of SHOW CREATE TABLE. */
#include "cdc/catalog/foreign.h"
#include "test/unit/unit.h"

#include <string.h>

static const char text[] =
	"CREATE TABLE `c` (\n"
	"  `id` int(11) NOT NULL,\n"
	"  `x` varchar(90) DEFAULT '\n  CONSTRAINT `lie` FOREIGN KEY (`x`) REFERENCES `p`',\n"
	"  PRIMARY KEY (`id`),\n"
	"  CONSTRAINT `a` FOREIGN KEY (`x`, `y``z`) REFERENCES `p``q` (`u`, `v`) ON DELETE CASCADE,\n"
	"  CONSTRAINT `b` FOREIGN KEY (`x`) REFERENCES `other db`.`p` (`u`) ON DELETE NO ACTION ON "
	"UPDATE SET NULL,\n"
	"  CONSTRAINT `d` FOREIGN KEY (`x`) REFERENCES `p` (`u`),\n"
	"  CONSTRAINT `e` FOREIGN KEY (`x`) REFERENCES `p` (`u`) ON DELETE NO ACTION,\n"
	"  CONSTRAINT `f` CHECK (`x` = ' ON DELETE CASCADE')\n"
	") ENGINE=InnoDB COMMENT='  CONSTRAINT `g` FOREIGN KEY (`x`) REFERENCES `p` (`u`) ON DELETE "
	"CASCADE'";

START_TEST(test_keys_that_act)
{
	struct foreign_keys keys = { NULL, 0 };

	foreign_keys_parse("db", "c", slice_str(text), &keys);
	ck_assert_uint_eq(keys.count, 2);
	ck_assert_str_eq(keys.items[0].parent_db, "db");
	ck_assert_str_eq(keys.items[0].parent_table, "p`q");
	ck_assert_uint_eq(keys.items[0].column_count, 2);
	ck_assert_str_eq(keys.items[0].columns[1], "v");
	ck_assert_uint_eq(keys.items[0].child_column_count, 2);
	ck_assert_str_eq(keys.items[0].child_columns[1], "y`z");
	ck_assert(keys.items[0].on_delete && !keys.items[0].on_update);
	ck_assert_str_eq(keys.items[1].parent_db, "other db");
	ck_assert_str_eq(keys.items[1].parent_table, "p");
	ck_assert(!keys.items[1].on_delete && keys.items[1].on_update);
	ck_assert_str_eq(keys.items[1].table, "c");
	foreign_keys_done(&keys);
	ck_assert_uint_eq(keys.count, 0);
}
END_TEST

START_TEST(test_cut_short)
{
	for (size_t size = 0; size <= strlen(text); size++) {
		struct foreign_keys keys = { NULL, 0 };

		foreign_keys_parse("db", "c", slice_of(text, size), &keys);
		ck_assert_uint_le(keys.count, 2);
		foreign_keys_done(&keys);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("foreign");

	unit_test(s, test_keys_that_act);
	unit_test(s, test_cut_short);
	return unit_run(s);
}
