/* test_view.c - reading view folders: what is right, and every mistake with its place. */
#include "test/unit/unit.h"

#include "projections/apply/view.h"
#include "test/lib/folder.h"

static const char *dir;

static const char good_conf[] =
	"# a comment\n[view]\nowner = membership\ninputs = a.b, c\nkey.members = group_id, "
	"member_id\n";
static const char good_tables[] =
	"CREATE TABLE members (group_id INTEGER, member_id INTEGER, name TEXT);\n"
	"CREATE TABLE groups (id INTEGER PRIMARY KEY, title TEXT);\n-- After build\nCREATE INDEX "
	"m ON members (member_id);\n";

static void good(void)
{
	dir = folder_new();
	folder_write(dir, "view.conf", good_conf);
	folder_write(dir, "tables.sql", good_tables);
	folder_write(dir, "on/Joined.sql",
		     "INSERT INTO members VALUES (:group_id, :member_id, :name);\n"
		     "UPDATE groups SET title = 'x' WHERE id = :group_id;\n");
	folder_write(dir, "on/shop.item.update.sql", "DELETE FROM groups WHERE id = :before_id");
	folder_write(
		dir, "source.sql",
		"-- table: members\nSELECT 1;\n-- table: groups\n-- why\nWITH x AS (SELECT 1) "
		"SELECT *\nFROM x\n");
	folder_write(dir, "cases/a.jsonl", "{}");
}

START_TEST(test_good_folder)
{
	struct err e = ERR_INIT;
	const struct view_table *t;
	struct view *v;

	good();
	ck_assert_msg(view_read(dir, &v, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(v->owner, "membership");
	ck_assert_uint_eq(v->input_count, 2);
	ck_assert_str_eq(v->inputs[1], "c");
	ck_assert_uint_eq(v->handler_count, 2);
	ck_assert_int_eq(v->handlers[0].on, VIEW_ON_EVENT);
	ck_assert_str_eq(v->handlers[1].name, "shop.item");
	ck_assert_int_eq(v->handlers[1].on, VIEW_ON_UPDATE);
	ck_assert_uint_eq(v->table_count, 2);
	t = view_table(v, "members");
	ck_assert_uint_eq(t->key_count, 2);
	ck_assert_uint_eq(t->column_count, 3);
	ck_assert_str_eq(t->types[2], "TEXT");
	ck_assert_str_eq(t->source, "SELECT 1");
	t = view_table(v, "groups");
	ck_assert_str_eq(t->key[0], "id"); /* from the primary key */
	ck_assert_str_eq(t->source, "-- why\nWITH x AS (SELECT 1) SELECT *\nFROM x");
	ck_assert_ptr_null(strstr(v->create_sql, "INDEX"));
	ck_assert_ptr_nonnull(strstr(v->after_build_sql, "INDEX"));
	view_free(v);
	folder_remove(dir);
}
END_TEST

static void fingerprint(char *ret)
{
	struct err e = ERR_INIT;
	struct view *v;

	ck_assert_msg(view_read(dir, &v, &e) == 0, "%s", e.msg);
	snprintf(ret, VIEW_FINGERPRINT_SIZE, "%s", v->fingerprint);
	view_free(v);
}

START_TEST(test_fingerprint)
{
	char a[VIEW_FINGERPRINT_SIZE], b[VIEW_FINGERPRINT_SIZE];

	good();
	fingerprint(a);
	folder_write(dir, "cases/b.jsonl", "{}");
	folder_write(dir, "on/backup.sql~", "nothing");
	fingerprint(b);
	ck_assert_str_eq(a, b); /* cases and strange files don't count */
	folder_write(dir, "on/Joined.sql",
		     "INSERT INTO members VALUES (:group_id, :member_id, NULL)");
	fingerprint(b);
	ck_assert_str_ne(a, b);
	folder_remove(dir);
}
END_TEST

static const struct {
	const char *file, *text; /* put over the good folder */
	const char *says[3];     /* all of this in the message */
} bad[] = {
	{ "view.conf",
	  "input = a\nkey.members = group_id",
	  { "view.conf:1: unknown key 'input'", "'inputs'", "no inputs" } },
	{ "view.conf",
	  "inputs = a\nwhat\nstore = pg\nkind = mirrored",
	  { "view.conf:2:", "view.conf:3: store = pg", "view.conf:4:" } },
	{ "view.conf", "inputs = a, a\nkey.members = group_id", { "names a twice" } },
	{ "view.conf",
	  "inputs = a\nkey.members = nope",
	  { "view.conf:2: table members has no column nope" } },
	{ "view.conf",
	  "inputs = a\nkey.nothing = x",
	  { "view.conf:2: no table nothing", "members has no key" } },
	{ "view.conf",
	  "inputs = a\nkey.members = group_id\nkey.members = member_id",
	  { "view.conf:3:", "twice" } },
	{ "view.conf",
	  "inputs = a\ninputs = b\nkey.members = group_id",
	  { "view.conf:2: inputs is given twice" } },
	{ "view.conf",
	  "inputs = a\norder = partition\nkey.members = group_id",
	  { "order = partition: SQLite has one writer" } },
	{ "view.conf",
	  "inputs = a\norder = partition\nstore = dynamodb\nkey.members = group_id",
	  { "order = partition: DynamoDB has no transaction" } },
	{ "view.conf",
	  "inputs = a\norder = key\nworkers = 0",
	  { "view.conf:2: order = key", "source, partition", "view.conf:3: workers is a number" } },
	{ "view.conf", "inputs = a\nworkers = 2", { "only order = partition has several" } },
	{ "tables.sql",
	  "CREATE TABLE members (\n  group_id INTEGR,,\n",
	  { "tables.sql:2:", "syntax" } },
	{ "tables.sql", "", { "makes no table" } },
	{ "tables.sql", "CREATE TABLE millrace_x (a);", { "tables.sql:1: not allowed here" } },
	{ "tables.sql",
	  "CREATE TABLE members (group_id, member_id, name);\nCREATE TABLE groups (id PRIMARY "
	  "KEY, title);\n"
	  "-- after build\nCREATE INDEX x ON nowhere (a);",
	  { "tables.sql:4:", "nowhere" } },
	{ "on/Joined.sql",
	  "INSERT INTO members VALUES (:a, :b, :c);\n\nUPDATE groups SET titel = 1;",
	  { "on/Joined.sql:3: no such column: titel" } },
	{ "on/Joined.sql", "SELECT 1", { "only reads" } },
	{ "on/Joined.sql", "DELETE FROM groups WHERE id = ?", { "parameter without a name" } },
	{ "on/Joined.sql", "-- nothing\n", { "holds no statement" } },
	{ "on/Joined.sql", "COMMIT", { "on/Joined.sql:1: not allowed here" } },
	{ "source.sql", "SELECT 1", { "source.sql:1: a statement that belongs to no table" } },
	{ "source.sql", "-- table: nope\nSELECT 1", { "source.sql:1: no table nope" } },
	{ "source.sql", "-- table: members\nDELETE FROM x", { "not a SELECT" } },
	{ "source.sql",
	  "-- table: members\n-- table: groups\nSELECT 1",
	  { "source.sql:1:", "no SELECT follows" } },
	{ "source.sql",
	  "-- table: members\nSELECT 1\n-- table: members\nSELECT 2",
	  { "source.sql:3:", "two questions" } },
};

START_TEST(test_mistakes)
{
	struct err e = ERR_INIT;
	struct view *v;

	good();
	folder_write(dir, bad[_i].file, bad[_i].text);
	ck_assert_msg(view_read(dir, &v, &e) < 0, "case %d was read", _i);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	for (size_t i = 0; i < 3 && bad[_i].says[i] != NULL; i++)
		ck_assert_msg(strstr(e.msg, bad[_i].says[i]) != NULL, "case %d: '%s' is not in: %s",
			      _i, bad[_i].says[i], e.msg);
	folder_remove(dir);
}
END_TEST

START_TEST(test_order)
{
	struct err e = ERR_INIT;
	struct view *v;

	good();
	ck_assert_msg(view_read(dir, &v, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(v->order, VIEW_ORDER_SOURCE);
	view_free(v);
	folder_write(dir, "view.conf",
		     "inputs = a\nstore = postgresql\norder = partition\nworkers = 3\n"
		     "key.members = group_id, member_id\nkey.groups = id\n");
	ck_assert_msg(view_read(dir, &v, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(v->order, VIEW_ORDER_PARTITION);
	ck_assert_int_eq(v->workers, 3);
	view_free(v);
	folder_remove(dir);
}
END_TEST

START_TEST(test_missing_parts)
{
	struct err e = ERR_INIT;
	struct view *v;

	dir = folder_new();
	ck_assert_int_lt(view_read(dir, &v, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "view.conf: missing"));
	ck_assert_ptr_nonnull(strstr(e.msg, "tables.sql: missing"));
	ck_assert_ptr_nonnull(strstr(e.msg, "no handler"));
	ck_assert_int_lt(view_read("/nowhere", &v, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	folder_remove(dir);
}
END_TEST

/* Any text in any file gives a view or a message, never a crash. */
START_TEST(test_random_files)
{
	static const char *const files[] = { "view.conf", "tables.sql", "source.sql",
					     "on/Joined.sql", "cases/a.jsonl" };
	char text[200];

	unit_seed();
	good();
	for (int round = 0; round < 300; round++) {
		struct err e = ERR_INIT;
		struct view *v;
		size_t size = unit_random_below(sizeof(text));

		for (size_t i = 0; i < size; i++)
			text[i] = "key=.,;:-\n '\"()SELECTtable \xff"[unit_random_below(28)];
		text[size > 0 ? size - 1 : 0] = '\0';
		folder_write(dir, files[unit_random_below(5)], text);
		if (view_read(dir, &v, &e) == 0)
			view_free(v);
		else
			ck_assert_int_eq(e.kind, ERR_CONFIG);
	}
	folder_remove(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("view");
	TCase *c = tcase_create("mistakes");

	unit_test(s, test_good_folder);
	unit_test(s, test_fingerprint);
	tcase_add_loop_test(c, test_mistakes, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	suite_add_tcase(s, c);
	unit_test(s, test_missing_parts);
	unit_test(s, test_order);
	unit_test_slow(s, test_random_files, 30);
	return unit_run(s);
}
